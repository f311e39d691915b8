"""Devices that a model can be on: which there are, what they compute in, when they are full."""

from __future__ import annotations

FLOAT32, BFLOAT16, INT8 = 'float32', 'bfloat16', 'int8'


def choose_device(wanted: str = 'auto') -> str:
    """Return the torch device to use: `wanted`, or for ``'auto'`` the fastest at hand."""
    if wanted != 'auto':
        return wanted
    import torch

    if torch.cuda.is_available():
        return 'cuda'
    if torch.backends.mps.is_available():
        return 'mps'
    return 'cpu'


def precisions_of(device: str) -> tuple[str, ...]:
    """Return the precisions that are worth choosing with any weights; the first is the exact one.

    bfloat16 where the device computes with it, and has half as much to move: on NVIDIA graphics
    cards from Ampere on. Processors turn it into float32 and back.
    """
    import torch

    if not device.startswith('cuda') or not torch.cuda.is_available():
        return (FLOAT32,)
    capable = torch.cuda.get_device_capability(device) >= (8, 0)
    return (FLOAT32, BFLOAT16) if capable else (FLOAT32,)


def out_of_memory(error: RuntimeError) -> bool:
    """Whether an error says that the memory of a device did not suffice."""
    import torch

    # MPS and older CUDA versions raise a plain RuntimeError; the words are all there is to go by.
    return isinstance(error, torch.OutOfMemoryError) or 'out of memory' in str(error).lower()


def empty_cache(device: str) -> None:
    """Give memory that torch keeps for later back to a device."""
    import torch

    if device.startswith('cuda'):
        torch.cuda.empty_cache()
    elif device.startswith('mps'):
        torch.mps.empty_cache()
