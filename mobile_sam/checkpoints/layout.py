"""Which tensors a model has, and whether a state dict has the same."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .errors import DamagedCheckpointError, IncompatibleCheckpointError

if TYPE_CHECKING:
    import torch

#: Name → (shape, is floating point) of a model's tensors, in the model's order.
Layout = Mapping[str, tuple[tuple[int, ...], bool]]

_PREFIXES = ('module.', '_orig_mod.', 'sam.')
_VIT_BY_WIDTH_AND_DEPTH = {(768, 12): 'vit_b', (1024, 24): 'vit_l', (1280, 32): 'vit_h'}
_SHOWN = 3


def infer_architecture(state: Mapping[str, Any]) -> str:
    """Tell from names and shapes which model a state dict belongs to.

    Parameters
    ----------
    state : mapping of str to Tensor
        As `load_state_dict` returns it, without any prefix.

    Returns
    -------
    str
        ``'vit_t'``, ``'vit_b'``, ``'vit_l'`` or ``'vit_h'``.

    Raises
    ------
    IncompatibleCheckpointError
        The tensors are those of no model in `mobile_sam.sam_model_registry`.
    """
    if 'image_encoder.patch_embed.seq.0.c.weight' in state:
        return 'vit_t'
    projection = state.get('image_encoder.patch_embed.proj.weight')
    shape = tuple(getattr(projection, 'shape', ()))
    if shape:
        blocks = {key.split('.')[2] for key in state if key.startswith('image_encoder.blocks.')}
        architecture = _VIT_BY_WIDTH_AND_DEPTH.get((shape[0], len(blocks)))
        if architecture is not None:
            return architecture
        raise IncompatibleCheckpointError(
            'Expected the image encoder of vit_t, vit_b (768 wide, 12 blocks), vit_l (1024, 24) '
            f'or vit_h (1280, 32), found one {shape[0]} wide with {len(blocks)} blocks. Only '
            'MobileSAM and the original SAM are supported.'
        )
    raise IncompatibleCheckpointError(
        'Expected the tensors of MobileSAM or SAM (image_encoder.…, prompt_encoder.…, '
        f'mask_decoder.…), found {len(state)} others: {_some(list(state))}. Choose a file made '
        'for MobileSAM or the original SAM.'
    )


def layout_of(state: Mapping[str, torch.Tensor]) -> Layout:
    """Give the layout of a model's state dict."""
    return MappingProxyType(
        {key: (tuple(value.shape), value.is_floating_point()) for key, value in state.items()}
    )


@lru_cache(maxsize=4)
def expected_layout(architecture: str) -> Layout:
    """Give the layout of an architecture, where no model of it is at hand."""
    from mobile_sam.build_sam import sam_model_registry

    # Not on the meta device, though that would need no memory: arithmetic there makes torch
    # import its compiler and triton, whose LLVM crashes a process that draws with Mesa's.
    return layout_of(sam_model_registry[architecture]().state_dict())


def strip_prefixes(state: Mapping[str, Any]) -> dict[str, Any]:
    """Take off what wrappers (DDP, compile, micro-sam) put before every single name."""
    result = dict(state)
    while result:
        prefix = next((p for p in _PREFIXES if all(key.startswith(p) for key in result)), None)
        if prefix is None:
            break
        result = {key.removeprefix(prefix): value for key, value in result.items()}
    return result


def check_layout(
    state: Mapping[str, torch.Tensor], architecture: str, layout: Layout | None = None
) -> None:
    """Raise unless names, shapes and kinds of numbers are exactly those of the model.

    Reads no tensor's content, so it is safe on tensors that claim to be huge.

    Raises
    ------
    IncompatibleCheckpointError
        Says how many tensors are missing, surplus or misshaped, and the first few of each.
    """
    import torch

    layout = expected_layout(architecture) if layout is None else layout
    missing = [key for key in layout if key not in state]
    surplus = [key for key in state if key not in layout]
    wrong = []
    for key, (shape, floating) in layout.items():
        tensor = state.get(key)
        if tensor is None:
            continue
        if tuple(tensor.shape) != shape:
            wrong.append(f'{key} is {tuple(tensor.shape)}, expected {shape}')
        elif tensor.is_complex() or tensor.is_floating_point() != floating:
            wrong.append(
                f'{key} is {tensor.dtype}, expected {"floats" if floating else "integers"}'
            )
        elif tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
            wrong.append(f'{key} is sparse, quantised or empty, expected a plain tensor')
    problems = [
        f'{len(names)} {what} ({_some(names)})'
        for what, names in (('missing', missing), ('surplus', surplus), ('misshaped', wrong))
        if names
    ]
    if problems:
        raise IncompatibleCheckpointError(
            f'Expected the {len(layout)} tensors of {architecture}, found {len(state)}: '
            f'{"; ".join(problems)}. Choose a file made for {architecture}, or save the whole '
            "model's state dict again."
        )


def plain_tensors(
    state: Mapping[str, torch.Tensor],
    architecture: str,
    origin: str,
    layout: Layout | None = None,
) -> dict[str, torch.Tensor]:
    """Copy a checked state to plain float32 and int64 tensors, in the model's order.

    Raises
    ------
    DamagedCheckpointError
        A tensor holds NaN or infinity, which no later step would notice.
    """
    import torch

    result = {}
    broken = []
    layout = expected_layout(architecture) if layout is None else layout
    for key, (_, floating) in layout.items():
        dtype = torch.float32 if floating else torch.int64
        value = (
            state[key].detach().to(dtype=dtype, copy=True, memory_format=torch.contiguous_format)
        )
        if floating and not bool(torch.isfinite(value).all()):
            broken.append(key)
        result[key] = value
    if broken:
        raise DamagedCheckpointError(
            f'Expected numbers in {origin}, found NaN or infinity in {len(broken)} tensors: '
            f'{_some(broken)}. The training that made them diverged, or the file is damaged; use '
            'an earlier checkpoint.'
        )
    return result


def _some(names: list[str]) -> str:
    # A hostile file chooses these names: keep them short, and without control characters.
    shown = [''.join(c if c.isprintable() else '?' for c in name[:160]) for name in names[:_SHOWN]]
    return ', '.join(shown) + (', …' if len(names) > _SHOWN else '')
