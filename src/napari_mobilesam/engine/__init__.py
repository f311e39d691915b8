"""The engine: from planes and prompts to masks and labels.

numpy in, numpy out; it knows the model package and neither napari nor Qt. Coordinates are
(row, column) in pixels of a plane, with pixel centres at integers. torch is imported only when a
`SamSegmenter` is made.
"""

from __future__ import annotations

from .annotator import Annotator, Prediction, Stage
from .cancel import Cancelled, CancelToken
from .candidates import Candidates, best_index
from .commit import Edit, LabelOverflowError, OverlapRule, next_label, paint_masks, plan_commit
from .composite import Channel
from .disk import DiskInfo, DiskStore, default_cache_folder
from .embedding import Embedding
from .fingerprint import fingerprint
from .frame import Frame
from .geometry import (
    boxes_on_plane,
    embed_points,
    plane_index,
    points_on_plane,
    round_index,
)
from .intensity import IntensityMapping, to_rgb8, window
from .mask_prompt import MaskPrompt, mask_logits
from .parts import prompted_parts
from .plane import PlaneIndexError, PlaneKey, PlaneSource
from .prompts import PromptOutsidePlaneError, Prompts
from .segmenter import SamSegmenter, Segmenter, choose_device
from .session import Change, SegmentedObject, Session
from .stack_sample import StackSample
from .store import EmbeddingStore
from .worker import Ticket, Worker, WorkerClosedError

__all__ = [
    'Annotator',
    'CancelToken',
    'Cancelled',
    'Candidates',
    'Change',
    'Channel',
    'DiskInfo',
    'DiskStore',
    'Edit',
    'Embedding',
    'EmbeddingStore',
    'Frame',
    'IntensityMapping',
    'LabelOverflowError',
    'MaskPrompt',
    'OverlapRule',
    'PlaneIndexError',
    'PlaneKey',
    'PlaneSource',
    'Prediction',
    'PromptOutsidePlaneError',
    'Prompts',
    'SamSegmenter',
    'SegmentedObject',
    'Segmenter',
    'Session',
    'StackSample',
    'Stage',
    'Ticket',
    'Worker',
    'WorkerClosedError',
    'best_index',
    'boxes_on_plane',
    'choose_device',
    'default_cache_folder',
    'embed_points',
    'fingerprint',
    'mask_logits',
    'next_label',
    'paint_masks',
    'plan_commit',
    'plane_index',
    'points_on_plane',
    'prompted_parts',
    'round_index',
    'to_rgb8',
    'window',
]
