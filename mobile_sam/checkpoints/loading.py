"""From a checkpoint to a model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import IncompatibleCheckpointError
from .layout import (
    Layout,
    check_layout,
    infer_architecture,
    layout_of,
    plain_tensors,
    strip_prefixes,
)
from .reading import read_tensors
from .registry import DEFAULT_NAME
from .search import find

if TYPE_CHECKING:
    import torch

    from mobile_sam.modeling import Sam

    from .transfer import Cancelled, Progress


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model with the checkpoint's numbers, and what tells it from every other one.

    Parameters
    ----------
    model : Sam
        In eval mode, on the device asked for.
    digest : str
        SHA-256 of the checkpoint file, in hex: the identity of this model in caches and records.
    architecture : str
        Key of `mobile_sam.sam_model_registry`.
    name : str
        Name of the registry or of the bundled checkpoint, else the file's name.
    notice : str or None
        What the user must be told: a substitute is in use, or parts of the file were left out.
    """

    model: Sam
    digest: str
    architecture: str
    name: str
    notice: str | None = None


def load_state_dict(
    path: str | PathLike[str], *, model: Sam | None = None
) -> dict[str, torch.Tensor]:
    """Read a checkpoint file, safely and strictly.

    Accepted are a bare state dict, one under ``average`` (the state of a run of
    `mobile_sam.training`), ``model_state`` (micro-sam), ``state_dict`` or ``model``, and a prefix
    ``sam.``, ``module.`` or ``_orig_mod.`` on every name. Floats of any width become float32.

    Parameters
    ----------
    path : str or path-like
        The file.
    model : Sam, optional
        The model that it must fit; by default any of the supported ones.

    Returns
    -------
    dict of str to Tensor
        Exactly the model's tensors in the model's order, on the CPU, float32 and int64, with
        memory of their own.

    Raises
    ------
    CheckpointNotFoundError
        There is no such file.
    DamagedCheckpointError
        It is no checkpoint, cut short, or holds NaN or infinity.
    UnsafeCheckpointError
        It carries code; none of it was run.
    IncompatibleCheckpointError
        Its tensors are not those of the model.
    """
    path = Path(path)
    state, found, _ = _open(path, None if model is None else infer_architecture(model.state_dict()))
    return _checked(path, state, found, None if model is None else layout_of(model.state_dict()))


def load_model(
    name_or_path: str | Path = DEFAULT_NAME,
    device: str | torch.device = 'cpu',
    *,
    allow_download: bool = True,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
) -> LoadedModel:
    """Find a checkpoint, read it, and build its model.

    Parameters
    ----------
    name_or_path : str or Path
        See `find`.
    device : str or torch.device
        Where the model goes.
    allow_download, progress, cancelled
        See `find`.

    Returns
    -------
    LoadedModel

    Raises
    ------
    CheckpointError
        One of its subclasses; see `find` and `load_state_dict`.
    """
    found = find(
        name_or_path, allow_download=allow_download, progress=progress, cancelled=cancelled
    )
    state, architecture, note = _open(
        found.path, None if found.info is None else found.info.architecture
    )
    # Imported only now: a file that is no good should not cost the import of the model.
    from mobile_sam.build_sam import sam_model_registry

    model = sam_model_registry[architecture]()
    layout = layout_of(model.state_dict())
    model.load_state_dict(_checked(found.path, state, architecture, layout), strict=True)
    model.eval()
    digest = file_digest(found.path)
    notices = [notice for notice in (found.notice, note) if notice]
    return LoadedModel(
        model=model.to(device),
        digest=digest,
        architecture=architecture,
        name=found.path.name if found.info is None else found.info.name,
        notice=' '.join(notices) or None,
    )


def file_digest(path: str | PathLike[str]) -> str:
    """Give the SHA-256 of a file in hex, read in pieces."""
    with Path(path).open('rb') as stream:
        return hashlib.file_digest(stream, 'sha256').hexdigest()


def _open(path: Path, architecture: str | None) -> tuple[dict[str, torch.Tensor], str, str | None]:
    """Read the tensors, and tell their architecture and what was left out."""
    raw, note = read_tensors(path)
    state = strip_prefixes(raw)
    try:
        found = infer_architecture(state)
        if architecture is not None and found != architecture:
            raise IncompatibleCheckpointError(
                f'Expected {architecture}, found {found}. Choose another file, or build {found}.'
            )
    except IncompatibleCheckpointError as error:
        raise IncompatibleCheckpointError(f'{path}: {error}') from error
    return state, found, note


def _checked(
    path: Path, state: Mapping[str, torch.Tensor], architecture: str, layout: Layout | None
) -> dict[str, torch.Tensor]:
    try:
        check_layout(state, architecture, layout)
    except IncompatibleCheckpointError as error:
        raise IncompatibleCheckpointError(f'{path}: {error}') from error
    return plain_tensors(state, architecture, str(path), layout)
