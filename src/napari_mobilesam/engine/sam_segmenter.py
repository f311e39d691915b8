"""A model of the SAM family as a segmenter; on a device with too little memory, with less of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from .cancel import CancelToken
from .candidates import Candidates
from .decoding import Decoded, SamDecoding
from .devices import FLOAT32, INT8, choose_device, empty_cache, out_of_memory, precisions_of
from .embedding import Embedding
from .encoding import SamEncoding, int8_tuned
from .fingerprint import fingerprint
from .prompts import Point, Prompts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mobile_sam.checkpoints import LoadedModel
    from mobile_sam.fast.crew import Crew

S = TypeVar('S')
T = TypeVar('T')
Notice = Callable[[str], None]

# Between two looks at the cancel token, a fifth of a second: enough for each thread to have several
# portions of its own.
_OBJECTS_AT_ONCE = 16
_OBJECTS_PER_THREAD = 16


@dataclass(frozen=True, slots=True, eq=False)
class _Picture:
    """A picture ready for the encoder: pixels (3, h, w), and what its embedding says of it."""

    pixels: NDArray[np.uint8]
    about: tuple[tuple[int, int], tuple[int, int], str]


#: Pictures that are being encoded, and the call that waits for their features.
_Running = tuple[list[_Picture], Callable[[], 'list[NDArray[np.float16]]']]


class SamSegmenter:
    """Segments with a model of the SAM family.

    Belongs to one thread at a time (the `Worker`'s). All tensors handed to the model are float32,
    which every device can do.

    Parameters
    ----------
    loaded : LoadedModel
        The model and the digest of its file, from `mobile_sam.checkpoints.load_model`.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'``, ``'cuda:1'``, ``'mps'``.
    on_notice : callable, optional
        Told in a sentence when the device's memory does not suffice: for so many pictures or
        objects at a time, or at all, and the CPU takes over. Called on the thread that encodes or
        decodes.
    precision : str
        In which the encoder computes, one of `precisions`; float32 where it is not among them.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        device: str = 'auto',
        on_notice: Notice | None = None,
        precision: str = FLOAT32,
    ) -> None:
        self._loaded = loaded
        self._on_notice = on_notice
        self._device = choose_device(device)
        # Looked up once, in files; a processor that stands in for another device computes exactly.
        self._int8 = self._device == 'cpu' and int8_tuned(loaded.digest)
        self._precision = precision if precision in self.precisions else FLOAT32
        self._objects_at_once = _OBJECTS_AT_ONCE
        self._decoding: SamDecoding | None = None
        self._encoding: SamEncoding | None = None
        self._crew: Crew | None = None
        loaded.model.eval()
        self._on_device(lambda: loaded.model.to(self._device))

    @property
    def digest(self) -> str:
        """SHA-256 of the checkpoint's file."""
        return self._loaded.digest

    @property
    def thresholds(self) -> tuple[float, float]:
        """Those that suit the checkpoint, where it is known by name."""
        from mobile_sam.checkpoints import suiting_thresholds

        return suiting_thresholds(self._loaded.name)

    @property
    def encoding_digest(self) -> str:
        """That, and the precision where it is not float32."""
        return self.digest if self._precision == FLOAT32 else f'{self.digest} {self._precision}'

    @property
    def precisions(self) -> tuple[str, ...]:
        """Those that are worth choosing on the device in use; the first is the exact one.

        ``'bfloat16'`` where the device computes with it; ``'int8'`` on a processor, where
        ``napari-mobilesam tune --int8`` found it quicker with this checkpoint, and good enough.
        """
        offered = precisions_of(self._device)
        return (*offered, INT8) if self._int8 else offered

    @property
    def precision(self) -> str:
        """In which the encoder computes; becomes float32 together with the CPU."""
        return self._precision

    @property
    def device(self) -> str:
        """The device in use; becomes ``'cpu'`` when another one ran out of memory."""
        return self._device

    @property
    def backend(self) -> str:
        """What evaluates the encoder, in a few words; empty before the first picture."""
        return '' if self._encoding is None else self._encoding.name

    @property
    def at_once(self) -> int:
        """As many as the device takes in one pass; fewer when its memory did not suffice."""
        return self._encoder().batch

    def encode(self, image: NDArray[np.uint8], *, key: str | None = None) -> Embedding:
        """Encode a picture.

        Parameters
        ----------
        image : ndarray of uint8, shape (H, W, 3)
            RGB as made by `to_rgb8`.
        key : str, optional
            Its fingerprint, if known.

        Returns
        -------
        Embedding
            Features (256, 64, 64) as float16, on the host.

        Raises
        ------
        ValueError
            If this is not such a picture.
        """
        (embedding,) = self.encode_many([image], keys=None if key is None else [key])
        return embedding

    def encode_many(
        self,
        images: Iterable[NDArray[np.uint8]],
        *,
        keys: Iterable[str] | None = None,
        cancel: CancelToken | None = None,
    ) -> Iterator[Embedding]:
        """Encode the pictures of a stack, as many at a time as suits the device.

        On a graphics card the next pictures are prepared while the last ones are encoded. Where its
        memory does not suffice for so many, there are half as many from then on.

        Parameters
        ----------
        images : iterable of ndarray of uint8, shape (H, W, 3)
            As for `encode`; read as they are needed, a few ahead.
        keys : iterable of str, optional
            Their fingerprints, if known.
        cancel : CancelToken, optional
            Polled between pictures.

        Yields
        ------
        Embedding
            In the order of the pictures, the same as `encode` gives.

        Raises
        ------
        ValueError
            If one is not such a picture; those before it were yielded.
        Cancelled
            If the token was cancelled; what was yielded before is whole.
        """
        cancel = CancelToken() if cancel is None else cancel
        names: Iterator[str | None] = iter(keys) if keys is not None else iter(lambda: None, 0)
        wishes = zip(images, names, strict=False)
        running: deque[_Running] = deque()
        while True:
            cancel.check()
            group: list[_Picture] = []
            failed: ValueError | None = None
            try:
                for image, key in islice(wishes, self._encoder().batch):
                    group.append(self._picture(image, key))
            except ValueError as error:
                failed = error
            if group:
                running.extend(self._start(group))
            # Where the device works by itself, one group runs while the next is read and prepared.
            ahead = 0 if failed is not None or not group else self._encoder().ahead
            while len(running) > ahead:
                pictures, wait = running.popleft()
                for picture, features in zip(pictures, wait(), strict=True):
                    yield Embedding(features, *picture.about)
            if failed is not None:
                raise failed
            if not group:
                return

    def release(self) -> None:
        """Give back the memory that is kept for the next picture; it is taken again when needed."""
        if self._encoding is not None:
            self._encoding.release()

    def _picture(self, image: NDArray[np.uint8], key: str | None) -> _Picture:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise ValueError(
                'expected a picture of dtype uint8 and shape (H, W, 3), as made by to_rgb8; '
                f'got {image.dtype} {image.shape}'
            )
        from mobile_sam.utils.transforms import ResizeLongestSide

        resized = ResizeLongestSide(self._side).apply_image(image)
        return _Picture(
            # torch warns about read-only arrays, and flipped ones have strides it does not know
            np.array(resized.transpose(2, 0, 1), order='C'),
            (
                (image.shape[0], image.shape[1]),
                (resized.shape[0], resized.shape[1]),
                fingerprint(image, self.encoding_digest) if key is None else key,
            ),
        )

    def _start(self, group: list[_Picture]) -> list[_Running]:
        """Begin to encode pictures, in halves where the device's memory does not suffice."""
        pixels = [picture.pixels for picture in group]
        if len(group) == 1:
            return [(group, self._on_device(lambda: self._encoder().start(pixels)))]
        try:
            return [(group, self._encoder().start(pixels))]
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
        half = len(group) // 2
        if half < self._encoder().batch:
            self._encoder().batch = half
            self._say_fewer(half, 'picture')
        empty_cache(self._device)
        return self._start(group[:half]) + self._start(group[half:])

    def decode(self, embedding: Embedding, prompts: Prompts) -> Candidates:
        """Offer masks for prompts.

        Three masks (part, object, group) for a single positive point without box and mask, which
        alone does not say which of them is meant; else one.

        Parameters
        ----------
        embedding : Embedding
            Of the picture, made with this model.
        prompts : Prompts
            In (row, column) pixels of the picture; what lies beside it is left out.

        Raises
        ------
        ValueError
            If there are no prompts.
        PromptOutsidePlaneError
            If none of them lies on the picture.
        """
        if not prompts:
            raise ValueError('decoding needs at least one point, a box or a mask; got no prompts')
        prompts = prompts.clipped(embedding.original_size)
        (decoded,) = self._on_device(lambda: self._decode(embedding, [prompts]))
        return Candidates(*decoded, embedding.original_size, embedding.input_size)

    def hover(self, embedding: Embedding, point: Point, rank: int = 0) -> Candidates:
        """Offer one mask for a positive point: by default what a click there would show first.

        Parameters
        ----------
        embedding : Embedding
            Of the picture, made with this model.
        point : tuple of (row, column)
            In pixels of the picture.
        rank : int
            Which of the masks, counted from the best; beyond the last it begins again.

        Returns
        -------
        Candidates
            Exactly one, with the scores of the others; its `patch` on a coarse grid costs next to
            nothing.

        Raises
        ------
        PromptOutsidePlaneError
            If the point does not lie on the picture.
        """
        prompts = Prompts((point,), (True,)).clipped(embedding.original_size)
        logits, score, others = self._on_device(
            lambda: self._decoder().one(embedding, prompts, rank)
        )
        return Candidates(logits, score, embedding.original_size, embedding.input_size, others)

    def decode_many(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompts],
        cancel: CancelToken | None = None,
    ) -> Iterator[Candidates]:
        """Offer masks for many objects of one picture, each with prompts of its own.

        Each answer is what `decode` gives for these prompts alone.

        Parameters
        ----------
        embedding : Embedding
            Of the picture, made with this model.
        prompts : sequence of Prompts
            One for each object, as many thousands as wanted.
        cancel : CancelToken, optional
            Polled between a few of them.

        Yields
        ------
        Candidates
            In the order of the prompts, as soon as they are there. Keep what is wanted of them
            and let go of the rest: those of a thousand points hold 0.8 GB.

        Raises
        ------
        ValueError
            If some prompts are empty; before anything is decoded, as the next.
        PromptOutsidePlaneError
            If all prompts of an object lie beside the picture.
        Cancelled
            If the token was cancelled; what was yielded before is whole.
        """
        wishes = []
        for number, wish in enumerate(prompts):
            if not wish:
                raise ValueError(
                    f'each object needs at least one point, a box or a mask; number {number} of '
                    f'{len(prompts)} has none'
                )
            wishes.append(wish.clipped(embedding.original_size))
        return self._decode_each(embedding, wishes, cancel)

    def _decode_each(
        self, embedding: Embedding, prompts: list[Prompts], cancel: CancelToken | None
    ) -> Iterator[Candidates]:
        for decoded in self._in_portions(prompts, partial(self._decode, embedding), cancel):
            yield Candidates(*decoded, embedding.original_size, embedding.input_size)

    def propose(
        self,
        embedding: Embedding,
        points: Sequence[Point],
        min_score: float,
        cancel: CancelToken | None = None,
    ) -> Iterator[Candidates | None]:
        """Offer the good masks of many points, without the work for the others.

        Parameters
        ----------
        embedding : Embedding
            Of the picture, made with this model.
        points : sequence of (row, column)
            On the picture, in its pixels; each is a positive point of an object of its own.
        min_score : float
            Masks that the model predicts no better IoU for are left out.
        cancel : CancelToken, optional
            Polled between a few of them.

        Yields
        ------
        Candidates or None
            In the order of the points; None where no mask is good enough.

        Raises
        ------
        Cancelled
            If the token was cancelled.
        """

        def propose(some: Sequence[Point]) -> list[Decoded | None]:
            return self._decoder().propose(embedding, some, min_score)

        for decoded in self._in_portions(points, propose, cancel):
            if decoded is None:
                yield None
            else:
                yield Candidates(*decoded, embedding.original_size, embedding.input_size)

    def _in_portions(
        self,
        items: Sequence[S],
        decode: Callable[[Sequence[S]], list[T]],
        cancel: CancelToken | None,
    ) -> Iterator[T]:
        """Decode a few objects at a time, and fewer where the device's memory does not suffice."""
        start = 0
        while start < len(items):
            if cancel is not None:
                cancel.check()
            some = items[start : start + self._objects_at_once]
            found = self._decoded(some, decode)
            if found is not None:
                yield from found
                start += len(some)

    def _decoded(
        self, some: Sequence[S], decode: Callable[[Sequence[S]], list[T]]
    ) -> list[T] | None:
        """Decode some objects; None where there are to be fewer at a time from now on."""
        if len(some) == 1:
            return self._on_device(lambda: decode(some))
        try:
            return decode(some)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
        # Beyond the handler, whose traceback would keep the tensors of the call alive.
        empty_cache(self._device)
        self._objects_at_once = len(some) // 2
        self._say_fewer(self._objects_at_once, 'object')
        return None

    def _decode(self, embedding: Embedding, prompts: Sequence[Prompts]) -> list[Decoded]:
        return self._decoder().decode(embedding, prompts)

    def _decoder(self) -> SamDecoding:
        if self._decoding is None:
            self._decoding = SamDecoding(self._loaded.model, self._device, self._threads())
        return self._decoding

    @property
    def _side(self) -> int:
        return int(self._loaded.model.image_encoder.img_size)

    def _encoder(self) -> SamEncoding:
        if self._encoding is None:
            self._encoding = SamEncoding(
                self._loaded.model, self._device, self._precision, self.digest, self._threads()
            )
        return self._encoding

    def _threads(self) -> Crew | None:
        """Those for encoding and decoding on the processor, as one of the two is done at a time."""
        from mobile_sam.fast.crew import Crew

        if self._crew is None and self._device == 'cpu':
            self._crew = Crew.of_torch()
            self._objects_at_once = max(_OBJECTS_AT_ONCE, _OBJECTS_PER_THREAD * self._crew.size)
        return self._crew

    def _on_device(self, call: Callable[[], T]) -> T:
        """Run `call`; where the device is out of memory, move to the CPU for good and repeat it."""
        try:
            return call()
        except RuntimeError as error:
            if self._device == 'cpu' or not out_of_memory(error):
                raise
            failed, self._device = self._device, 'cpu'
            self._precision = FLOAT32
        # Outside of the handler, whose traceback would keep the tensors of the failed call alive.
        self._decoding = self._encoding = None
        self._loaded.model.to('cpu')
        empty_cache(failed)
        self._say(
            f'The device {failed} ran out of memory: going on with the CPU, which is slower. '
            'Close other programs that use the device and choose it again.'
        )
        return call()

    def _say_fewer(self, number: int, what: str) -> None:
        some = f'one {what}' if number == 1 else f'{number} {what}s'
        self._say(f'The memory of {self._device} suffices for {some} at a time: going on so.')

    def _say(self, sentence: str) -> None:
        if self._on_notice is not None:
            self._on_notice(sentence)
