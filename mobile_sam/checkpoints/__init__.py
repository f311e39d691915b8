"""Checkpoints: what there is, where it lies, how it gets here, and how it is read safely.

`find` turns a name or a path into a file, `load_model` into a model. Importing this package
imports neither torch nor pooch; the functions do when they need them.

Examples
--------
>>> from mobile_sam.checkpoints import REGISTRY
>>> REGISTRY['mobile_sam'].architecture
'vit_t'
"""

from __future__ import annotations

from .downloading import cache_folder, download
from .errors import (
    CheckpointError,
    CheckpointNotFoundError,
    DamagedCheckpointError,
    DownloadCancelled,
    DownloadError,
    DownloadInterruptedError,
    DownloadMismatchError,
    DownloadRefusedError,
    IncompatibleCheckpointError,
    OfflineError,
    UnsafeCheckpointError,
)
from .layout import infer_architecture
from .loading import LoadedModel, file_digest, load_model, load_state_dict
from .registry import (
    BUNDLED,
    BUNDLED_NAME,
    DEFAULT_NAME,
    REGISTRY,
    CheckpointInfo,
    suiting_thresholds,
)
from .saving import save_checkpoint
from .search import Found, bundled_path, find, locate

__all__ = [
    'BUNDLED',
    'BUNDLED_NAME',
    'DEFAULT_NAME',
    'REGISTRY',
    'CheckpointError',
    'CheckpointInfo',
    'CheckpointNotFoundError',
    'DamagedCheckpointError',
    'DownloadCancelled',
    'DownloadError',
    'DownloadInterruptedError',
    'DownloadMismatchError',
    'DownloadRefusedError',
    'Found',
    'IncompatibleCheckpointError',
    'LoadedModel',
    'OfflineError',
    'UnsafeCheckpointError',
    'bundled_path',
    'cache_folder',
    'download',
    'file_digest',
    'find',
    'infer_architecture',
    'load_model',
    'load_state_dict',
    'locate',
    'save_checkpoint',
    'suiting_thresholds',
]
