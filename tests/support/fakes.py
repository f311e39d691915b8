"""A segmenter without a model, for tests of everything that is built on the engine.

Its masks are what a person would expect of a clear picture: the connected component under the
point. It is deterministic, needs no torch, and keeps its calls for assertions.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_mobilesam.engine import (
    CancelToken,
    Candidates,
    Embedding,
    Prompts,
    fingerprint,
)

SIDE = 256
STRIDE = 4


class FakeSegmenter:
    """Segment by threshold and connected components on a 256 x 256 grid.

    Parameters
    ----------
    digest : str
        Stands for the weights.
    gate : threading.Event, optional
        Where given, every `encode` and `decode` waits until it is set: a slow model under the
        test's control. It never waits longer than ten seconds.
    at_once : int
        How many pictures it says to encode together.

    Attributes
    ----------
    encoded : list of tuple
        Shape of every picture encoded.
    together : list of int
        How many pictures each `encode_many` got.
    decoded : list of Prompts
        Prompts of every decode.
    hovered : list of (row, column)
        Place of every hover.
    threads : set of str
        Names of the threads that called.
    started : threading.Event
        Set when a call begins; clear it to wait for the next one.
    fail_with : Exception or None
        Raised by the next calls while set.
    """

    def __init__(
        self, digest: str = 'fake', gate: threading.Event | None = None, at_once: int = 1
    ) -> None:
        self._digest = digest
        self.at_once = at_once
        self.together: list[int] = []
        self.gate = gate
        self.started = threading.Event()
        self.encoded: list[tuple[int, ...]] = []
        self.decoded: list[Prompts] = []
        self.hovered: list[tuple[float, float]] = []
        self.threads: set[str] = set()
        self.fail_with: Exception | None = None

    @property
    def digest(self) -> str:
        return self._digest

    @property
    def encoding_digest(self) -> str:
        return self._digest

    @property
    def thresholds(self) -> tuple[float, float]:
        return 0.8, 0.5

    def encode(self, image: NDArray[np.uint8], *, key: str | None = None) -> Embedding:
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3
        self.encoded.append(image.shape)
        self._enter()
        height, width = image.shape[:2]
        # the picture in the upper left of a square, its longer side filling it, like SAM's
        longest = max(height, width)
        size = tuple(max(1, round(side * SIDE * STRIDE / longest)) for side in (height, width))
        rows, columns = (
            np.minimum((np.arange(-(-n // STRIDE)) * STRIDE + 1.5) * full / n, full - 1).astype(int)
            for n, full in zip(size, (height, width), strict=True)
        )
        grey = np.zeros((SIDE, SIDE), np.float16)  # 0..255 are exact in float16
        grey[: len(rows), : len(columns)] = image[rows][:, columns].mean(axis=2)
        features = np.zeros((256, 64, 64), np.float16)
        features.reshape(-1)[: SIDE * SIDE] = grey.ravel()
        return Embedding(
            features,
            (height, width),
            (size[0], size[1]),
            fingerprint(image, self.encoding_digest) if key is None else key,
        )

    def encode_many(
        self, images: Iterable[NDArray[np.uint8]], *, keys: Iterable[str] | None = None
    ) -> Iterator[Embedding]:
        pictures = list(images)
        self.together.append(len(pictures))
        names = [None] * len(pictures) if keys is None else list(keys)
        for image, key in zip(pictures, names, strict=True):
            yield self.encode(image, key=key)

    def decode(self, embedding: Embedding, prompts: Prompts) -> Candidates:
        if not prompts:
            raise ValueError('no prompts')
        prompts = prompts.clipped(embedding.original_size)
        self.decoded.append(prompts)
        return self._find(embedding, prompts)

    def _find(self, embedding: Embedding, prompts: Prompts) -> Candidates:
        self._enter()
        scale = np.array(embedding.input_size) / embedding.original_size / STRIDE
        grey = embedding.features.reshape(-1)[: SIDE * SIDE].reshape(SIDE, SIDE).astype(float)
        height, width = (-(-n // STRIDE) for n in embedding.input_size)
        inside = np.zeros((SIDE, SIDE), bool)
        inside[:height, :width] = True
        bright = (grey > (grey[inside].min() + grey[inside].max()) / 2) & inside

        points = [
            (*(((np.array(point) + 0.5) * scale).astype(int).clip(0, SIDE - 1)), positive)
            for point, positive in zip(prompts.points, prompts.positive, strict=True)
        ]
        mask = np.zeros((SIDE, SIDE), bool)
        if prompts.mask is not None:
            mask |= prompts.mask.logits > 0
        if prompts.box is not None:
            low = np.floor((np.array(prompts.box[:2]) + 0.5) * scale).astype(int)
            high = np.ceil((np.array(prompts.box[2:]) + 0.5) * scale).astype(int)
            box = tuple(slice(max(a, 0), max(b, a + 1)) for a, b in zip(low, high, strict=True))
            mask[box] = bright[box]
        for row, column, positive in points:
            layer = bright if bright[row, column] else ~bright & inside
            components, _ = ndimage.label(layer)
            component = components == components[row, column]
            mask = mask | component if positive else mask & ~component

        masks, scores = [mask], [0.9]
        if prompts.ambiguous:
            masks = [ndimage.binary_erosion(mask), mask, ndimage.binary_dilation(mask) & inside]
            scores = [0.5, 0.9, 0.7]
        logits = np.where(np.array(masks), 8.0, -8.0).astype(np.float32)
        return Candidates(
            logits, np.array(scores, np.float32), embedding.original_size, embedding.input_size
        )

    def hover(self, embedding: Embedding, point: tuple[float, float], rank: int = 0) -> Candidates:
        prompts = Prompts((point,), (True,)).clipped(embedding.original_size)
        self.hovered.append(prompts.points[0])
        found = self._find(embedding, prompts)
        chosen = found.order[rank % len(found)]
        return Candidates(
            found.logits[[chosen]],
            found.scores[[chosen]],
            found.original_size,
            found.input_size,
            tuple(found.score(index) for index in found.order if index != chosen),
        )

    def decode_many(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompts],
        cancel: CancelToken | None = None,
    ) -> Iterator[Candidates]:
        for wish in prompts:
            if cancel is not None:
                cancel.check()
            yield self.decode(embedding, wish)

    def propose(
        self,
        embedding: Embedding,
        points: Sequence[tuple[float, float]],
        min_score: float,
        cancel: CancelToken | None = None,
    ) -> Iterator[Candidates | None]:
        for point in points:
            if cancel is not None:
                cancel.check()
            found = self.decode(embedding, Prompts((point,), (True,)))
            good = found.scores > min_score
            yield (
                Candidates(
                    found.logits[good], found.scores[good], found.original_size, found.input_size
                )
                if good.any()
                else None
            )

    def _enter(self) -> None:
        self.threads.add(threading.current_thread().name)
        self.started.set()
        if self.gate is not None:
            assert self.gate.wait(10), 'the test never opened the gate'
        if self.fail_with is not None:
            raise self.fail_with
