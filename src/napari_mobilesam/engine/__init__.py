"""The engine: from planes and prompts to masks and labels.

numpy in, numpy out; it knows the model package and neither napari nor Qt. Coordinates are
(row, column) in pixels of a plane, with pixel centres at integers. torch is imported only when a
`SamSegmenter` is made.
"""

from __future__ import annotations

from .annotator import Annotator, Prediction, Stage
from .cancel import Cancelled, CancelToken
from .candidates import Candidates, best_index
from .classes import Classes, ObjectClass
from .commit import LabelOverflowError, OverlapRule, next_label, paint_masks
from .composite import Channel
from .devices import choose_device, precisions_of
from .disk import DiskInfo, DiskStore, default_cache_folder
from .edits import LabelEdit
from .embedding import Embedding
from .everything import (
    EverythingOptions,
    Progress,
    Proposal,
    Proposals,
    segment_everything,
    segment_prompts,
)
from .fingerprint import fingerprint
from .frame import Frame
from .geometry import (
    boxes_on_plane,
    embed_points,
    plane_index,
    points_on_plane,
    round_index,
)
from .history import History, RecordChange, Step
from .intensity import IntensityMapping, to_rgb8, window
from .making import Making
from .mask_prompt import MaskPrompt, mask_logits
from .objects import PromptedPlane, SegmentedObject
from .parts import prompted_parts
from .patch import Patch
from .plane import PlaneIndexError, PlaneKey, PlaneSource
from .planning import (
    PlacedMask,
    UndecidedOverlapError,
    plan_commit,
    plan_merge,
    plan_painted,
    plan_records,
    plan_removal,
    plan_split,
)
from .prompts import PromptOutsidePlaneError, Prompts
from .sam_segmenter import SamSegmenter
from .segmenter import Segmenter
from .session import Recorder, Session
from .split import opposite_seed, split_mask
from .stack_sample import StackSample
from .store import EmbeddingStore
from .survey import Survey, list_objects
from .thumbnail import thumbnail
from .tidy import TidyOptions, tidy, tidy_patch
from .worker import Ticket, Worker, WorkerClosedError

__all__ = [
    'Annotator',
    'CancelToken',
    'Cancelled',
    'Candidates',
    'Channel',
    'Classes',
    'DiskInfo',
    'DiskStore',
    'Embedding',
    'EmbeddingStore',
    'EverythingOptions',
    'Frame',
    'History',
    'IntensityMapping',
    'LabelEdit',
    'LabelOverflowError',
    'Making',
    'MaskPrompt',
    'ObjectClass',
    'OverlapRule',
    'Patch',
    'PlacedMask',
    'PlaneIndexError',
    'PlaneKey',
    'PlaneSource',
    'Prediction',
    'Progress',
    'PromptOutsidePlaneError',
    'PromptedPlane',
    'Prompts',
    'Proposal',
    'Proposals',
    'RecordChange',
    'Recorder',
    'SamSegmenter',
    'SegmentedObject',
    'Segmenter',
    'Session',
    'StackSample',
    'Stage',
    'Step',
    'Survey',
    'Ticket',
    'TidyOptions',
    'UndecidedOverlapError',
    'Worker',
    'WorkerClosedError',
    'best_index',
    'boxes_on_plane',
    'choose_device',
    'default_cache_folder',
    'embed_points',
    'fingerprint',
    'list_objects',
    'mask_logits',
    'next_label',
    'opposite_seed',
    'paint_masks',
    'plan_commit',
    'plan_merge',
    'plan_painted',
    'plan_records',
    'plan_removal',
    'plan_split',
    'plane_index',
    'points_on_plane',
    'precisions_of',
    'prompted_parts',
    'round_index',
    'segment_everything',
    'segment_prompts',
    'split_mask',
    'thumbnail',
    'tidy',
    'tidy_patch',
    'to_rgb8',
    'window',
]
