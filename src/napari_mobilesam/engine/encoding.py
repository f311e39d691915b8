"""Encoding of pictures with a model of the SAM family: arrays inside and out, tensors between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .devices import BFLOAT16, FLOAT32, INT8

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from mobile_sam.fast.crew import Crew
    from mobile_sam.fast.tuning import Tuning
    from mobile_sam.modeling import Sam

# Pictures in a pass. A graphics card is kept busy by a few at once; on a processor they only push
# each other out of its caches (0.84 of the speed of one after the other).
_BATCH = {'cpu': 1, 'mps': 2, 'cuda': 8}


class SamEncoding:
    """Encodes pictures with the weights that a model has now, on the device where it is.

    Parameters
    ----------
    model : Sam
        In evaluation mode.
    device : str
        Where it is.
    precision : str
        `FLOAT32`, or `BFLOAT16` for what may be computed in it, or `INT8` where `int8_tuned` says
        so; features are float16 in any case.
    digest : str
        Of its weights: what `Tuning` found out for them is followed.
    crew : Crew, optional
        Threads to share the work on a processor.

    Attributes
    ----------
    name : str
        Of the form that the encoder is evaluated in.
    batch : int
        Pictures in a pass; to be made less where the memory of the device does not suffice.
    ahead : int
        Passes that may be begun before the features of an earlier one are taken.
    """

    def __init__(
        self,
        model: Sam,
        device: str,
        precision: str = FLOAT32,
        digest: str = '',
        crew: Crew | None = None,
    ) -> None:
        from mobile_sam.fast.encoder_forms import encoder_form

        self._model = model
        self._device = device
        self._encode, self.name = encoder_form(
            model.image_encoder, device, tuning_of(digest, precision), crew
        )
        self._half = precision == BFLOAT16
        if self._half:
            self.name += f', {BFLOAT16}'
        self.ahead = 1 if device.startswith('cuda') else 0
        self.batch = _BATCH.get(device.partition(':')[0], 1)

    def start(
        self, pictures: Sequence[NDArray[np.uint8]]
    ) -> Callable[[], list[NDArray[np.float16]]]:
        """Begin to encode pictures, and return the call that waits for their features.

        On a CUDA device the copies to and from it and the work itself go on behind, while the host
        prepares the next pictures. Elsewhere all is done when this returns.

        Parameters
        ----------
        pictures : sequence of ndarray of uint8, shape (3, h, w)
            Resized to the model's side, not yet padded.
        """
        import torch

        cuda = self._device.startswith('cuda')
        with torch.inference_mode():
            pixels = [torch.from_numpy(picture) for picture in pictures]
            if cuda:
                pixels = [picture.pin_memory() for picture in pixels]
            batch = torch.stack([self._prepare(picture) for picture in pixels])
            features = self._encoded(batch).to(torch.float16)
            if not cuda:
                return lambda: list(features.cpu().numpy())
            host = torch.empty(features.shape, dtype=features.dtype, pin_memory=True)
            host.copy_(features, non_blocking=True)
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record()

        def wait() -> list[NDArray[np.float16]]:
            done.synchronize()
            return list(host.numpy())

        return wait

    def release(self) -> None:
        """Give back the memory that is kept for the next picture."""
        release = getattr(self._encode, 'release', None)
        if release is not None:
            release()

    def _encoded(self, batch: torch.Tensor) -> torch.Tensor:
        import torch

        if not self._half:
            return self._encode(batch)
        # Each weight is used once, and what is kept from call to call cannot be recorded.
        kind = self._device.partition(':')[0]
        with torch.autocast(kind, torch.bfloat16, cache_enabled=False):
            return self._encode(batch)

    def _prepare(self, picture: torch.Tensor) -> torch.Tensor:
        import torch

        there = picture.to(self._device, non_blocking=True).to(torch.float32)
        return self._model.preprocess(there)


def int8_tuned(digest: str) -> bool:
    """Whether some weights have a form of 8-bit integers that is quicker here, and good enough."""
    tuning = tuning_of(digest, INT8)
    return tuning is not None and bool(tuning.choice)


def tuning_of(digest: str, precision: str = FLOAT32) -> Tuning | None:
    """Return what was measured of other libraries with some weights; None where nothing can be."""
    from mobile_sam.checkpoints import cache_folder
    from mobile_sam.fast.tuning import Tuning

    try:
        kind = INT8 if precision == INT8 else ''
        return Tuning(digest, cache_folder().parent / 'tuning', kind=kind)
    except ValueError:  # weights that are no file's have no such digest
        return None
