"""The annotator: from a plane and prompts to candidates. The GUI and the CLI drive this object."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from .cancel import CancelToken
from .candidates import Candidates
from .embedding import Embedding
from .everything import EverythingOptions, Progress, segment_everything
from .fingerprint import fingerprint
from .frame import Frame
from .parts import prompted_parts
from .patch import Patch
from .plane import PlaneKey, PlaneSource
from .prompts import Point, PromptOutsidePlaneError, Prompts
from .segmenter import Segmenter
from .store import EmbeddingStore

Stage = Literal['reading', 'encoding', 'decoding']
OnStage = Callable[[Stage], None]


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The answer to one set of prompts, with everything that a commit has to record.

    Parameters
    ----------
    key : PlaneKey
        The plane that was asked about; compare it with the one shown before drawing.
    prompts : Prompts
        As they were asked.
    candidates : Candidates
        The masks on offer, in pixels of the frame.
    model_digest : str
        The model that made them.
    frame : Frame
        The region of the plane that the candidates cover.
    shape : tuple of (int, int)
        Rows and columns of the plane.
    """

    key: PlaneKey
    prompts: Prompts
    candidates: Candidates
    model_digest: str
    frame: Frame
    shape: tuple[int, int]

    def patch(self, index: int | None = None, *, prompted_only: bool = True) -> Patch:
        """Make the part of a full-size mask that holds all of its pixels, in the plane.

        Parameters
        ----------
        index : int, optional
            Which candidate; by default the best.
        prompted_only : bool
            Keep only the connected parts that the prompts speak of; see `prompted_parts`.
        """
        local = self.candidates.patch(index)
        rows, columns = self.frame.on_plane(local.rows, local.columns)
        mask = local.mask
        if prompted_only:
            mask = prompted_parts(mask, self.prompts, (rows.start, columns.start))
        return Patch(rows, columns, mask, self.shape)

    def coarse_patch(
        self, grid: tuple[int, int], index: int | None = None, *, prompted_only: bool = True
    ) -> Patch:
        """Make a mask on a coarse grid over the frame, fast enough to follow the mouse.

        Parameters
        ----------
        grid : tuple of (int, int)
            Rows and columns over the frame.
        index, prompted_only
            As of `patch`.
        """
        patch = self.candidates.patch(index, grid)
        if not prompted_only:
            return patch
        local = self.frame.localised(replace(self.prompts, mask=None), grid)
        return patch.with_mask(prompted_parts(patch.mask, local, patch.corner))

    def mask(self, index: int | None = None, *, prompted_only: bool = True) -> NDArray[np.bool_]:
        """Make the full-size mask of a candidate, bool (H, W); parameters as of `patch`."""
        return self.patch(index, prompted_only=prompted_only).full()


@dataclass(frozen=True, slots=True)
class Embedded:
    """An embedding, and whether it had to be encoded for this."""

    embedding: Embedding
    encoded: bool


class Annotator:
    """Embeds planes, at most once each, and predicts masks from prompts.

    Its calls take long and belong on one thread, the `Worker`'s. They keep no state but
    the embeddings, so their order does not matter.

    Parameters
    ----------
    segmenter : Segmenter
        The model.
    store : EmbeddingStore, optional
        Where embeddings are kept; may be shared by annotators with different models.
    """

    def __init__(self, segmenter: Segmenter, store: EmbeddingStore | None = None) -> None:
        self._segmenter = segmenter
        self._store = EmbeddingStore() if store is None else store
        # A click must not read and hash a plane again. A source stands for unchanging pixels and
        # is compared by identity, so this can never name the embedding of other pixels.
        self._known: WeakKeyDictionary[PlaneSource, str] = WeakKeyDictionary()
        self._lock = Lock()

    @property
    def segmenter(self) -> Segmenter:
        """The model."""
        return self._segmenter

    @property
    def store(self) -> EmbeddingStore:
        """Where the embeddings are kept."""
        return self._store

    def is_embedded(self, source: PlaneSource) -> bool:
        """Whether this very source has its embedding in memory. Quick; from any thread."""
        with self._lock:
            key = self._known.get(source)
        return key is not None and key in self._store

    def embed(
        self,
        source: PlaneSource,
        cancel: CancelToken | None = None,
        on_stage: OnStage | None = None,
        *,
        ahead: bool = False,
    ) -> Embedding:
        """Return the embedding of a plane or a frame: from the store, or read, mapped and encoded.

        Parameters
        ----------
        source : PlaneSource
            The plane, or a frame of it.
        cancel : CancelToken, optional
            Polled between reading, fingerprinting and encoding.
        on_stage : callable, optional
            Told which stage begins, on this thread.
        ahead : bool
            Nobody asked for it yet: see `EmbeddingStore.put`.

        Raises
        ------
        Cancelled
            If the token was cancelled.
        """
        return self.embed_many([source], cancel, on_stage, ahead=ahead)[0].embedding

    def embed_many(
        self,
        sources: Sequence[PlaneSource],
        cancel: CancelToken | None = None,
        on_stage: OnStage | None = None,
        *,
        ahead: bool = False,
    ) -> list[Embedded]:
        """Return the embeddings of a few planes; those that have none are encoded together.

        All of them are read before the first is encoded: as many as `Segmenter.at_once` are few
        enough for memory, and as quick as it gets.

        Parameters
        ----------
        sources : sequence of PlaneSource
            Planes, or frames of planes.
        cancel, on_stage, ahead
            As of `embed`.

        Returns
        -------
        list of Embedded
            In the order of the sources.

        Raises
        ------
        Cancelled
            If the token was cancelled; what was encoded by then is kept all the same.
        """
        cancel = CancelToken() if cancel is None else cancel
        found: dict[int, Embedding] = {}
        missing: list[tuple[int, NDArray[np.uint8], str]] = []
        made_by = self._segmenter.encoding_digest
        for number, source in enumerate(sources):
            cancel.check()
            with self._lock:
                key = self._known.get(source)
            embedding = None if key is None else self._store.get(key, ahead=ahead)
            if embedding is None:
                if on_stage is not None:
                    on_stage('reading')
                image = source.image(cancel)
                cancel.check()
                key = fingerprint(image, made_by)
                embedding = self._store.get(key, ahead=ahead)
                if embedding is None:
                    missing.append((number, image, key))
                    continue
                self._remember(source, key)
            found[number] = embedding
        if missing:
            cancel.check()
            if on_stage is not None:
                on_stage('encoding')
            numbers, images, keys = zip(*missing, strict=True)
            made = self._segmenter.encode_many(images, keys=keys)
            for number, image, embedding in zip(numbers, images, made, strict=True):
                if self._segmenter.encoding_digest != made_by:
                    # It went to another device, in another precision, for want of memory.
                    key = fingerprint(image, self._segmenter.encoding_digest)
                    embedding = replace(embedding, key=key)
                # Kept even if cancelled by now: it is right, paid for, and may be wanted again.
                self._store.put(embedding, ahead=ahead)
                self._remember(sources[number], embedding.key)
                found[number] = embedding
        cancel.check()
        encoded = {number for number, _, _ in missing}
        return [Embedded(found[n], n in encoded) for n in range(len(sources))]

    def _remember(self, source: PlaneSource, key: str) -> None:
        with self._lock:
            self._known[source] = key

    def predict(
        self,
        source: PlaneSource,
        prompts: Prompts,
        cancel: CancelToken | None = None,
        on_stage: OnStage | None = None,
    ) -> Prediction:
        """Return the candidates for prompts on a plane, which is embedded if need be.

        Parameters
        ----------
        source : PlaneSource
            The plane, or a frame of it. Prompts beside the frame are answered on the whole plane.
        prompts : Prompts
            In (row, column) pixels of the plane.
        cancel, on_stage
            As in `embed`.

        Raises
        ------
        Cancelled
            If the token was cancelled.
        ValueError
            If there are no prompts.
        PromptOutsidePlaneError
            If none of them lies on the plane; found out before anything is read.
        """
        if not prompts:
            raise ValueError(
                'a prediction needs at least one point, a box or a mask; got no prompts'
            )
        prompts.clipped(source.shape)
        cancel = CancelToken() if cancel is None else cancel
        source = source.covering(prompts)
        embedding = self.embed(source, cancel, on_stage)
        if on_stage is not None:
            on_stage('decoding')
        local = source.region.localised(prompts, embedding.original_size)
        candidates = self._segmenter.decode(embedding, local)
        cancel.check()
        return self._prediction(source, prompts, candidates)

    def hover(self, source: PlaneSource, point: Point, rank: int = 0) -> Prediction | None:
        """Return one mask under the mouse, if that takes no encoding.

        Parameters
        ----------
        source : PlaneSource
            The plane.
        point : tuple of (row, column)
            In its pixels.
        rank : int
            Which of the masks, as of `Segmenter.hover`; by default the best.

        Returns
        -------
        Prediction or None
            Its candidates are that mask alone: draw its `coarse_patch`. None where the plane
            (or the frame, if the point lies on it) has no embedding in memory, or the point
            lies beside the plane: a hover never waits.
        """
        prompts = Prompts((point,), (True,))
        source = source.covering(prompts)
        with self._lock:
            key = self._known.get(source)
        embedding = None if key is None else self._store.get(key)
        if embedding is None:
            return None
        (local,) = source.region.localised(prompts, embedding.original_size).points
        try:
            candidates = self._segmenter.hover(embedding, local, rank)
        except PromptOutsidePlaneError:
            return None
        return self._prediction(source, prompts, candidates)

    def predict_many(
        self,
        source: PlaneSource,
        prompts: Sequence[Prompts],
        cancel: CancelToken | None = None,
        on_stage: OnStage | None = None,
    ) -> Iterator[Prediction]:
        """Predict many objects of a plane, each from prompts of its own.

        Parameters
        ----------
        source : PlaneSource
            The plane, which is embedded if need be.
        prompts : sequence of Prompts
            One for each object.
        cancel, on_stage
            As in `embed`.

        Yields
        ------
        Prediction
            In the order of the prompts, as soon as they are there: what `predict` returns for each.

        Raises
        ------
        Cancelled
            If the token was cancelled; what was yielded before is whole.
        ValueError
            If some prompts are empty; before anything is read, as the next.
        PromptOutsidePlaneError
            If all prompts of an object lie beside the plane.
        """
        wishes = tuple(prompts)
        for number, wish in enumerate(wishes):
            if not wish:
                raise ValueError(
                    f'each object needs at least one point, a box or a mask; number {number} of '
                    f'{len(wishes)} has none'
                )
            wish.clipped(source.shape)
        return self._predict_each(source, wishes, cancel, on_stage)

    def _predict_each(
        self,
        source: PlaneSource,
        prompts: tuple[Prompts, ...],
        cancel: CancelToken | None,
        on_stage: OnStage | None,
    ) -> Iterator[Prediction]:
        if not prompts:
            return
        frame = source.region
        if not all(frame.holds(wish) for wish in prompts):
            source = source.whole
            frame = source.region
        embedding = self.embed(source, cancel, on_stage)
        if on_stage is not None:
            on_stage('decoding')
        local = tuple(frame.localised(wish, embedding.original_size) for wish in prompts)
        found = self._segmenter.decode_many(embedding, local, cancel)
        for wish, candidates in zip(prompts, found, strict=True):
            yield self._prediction(source, wish, candidates)

    def everything(
        self,
        source: PlaneSource,
        options: EverythingOptions | None = None,
        cancel: CancelToken | None = None,
        on_stage: OnStage | None = None,
    ) -> Iterator[Progress]:
        """Find masks of everything on a plane, or on the frame that the source is of.

        Parameters
        ----------
        source : PlaneSource
            The plane, or a frame of it, which is embedded if need be.
        options : EverythingOptions, optional
            What to look for.
        cancel, on_stage
            As in `embed`.

        Yields
        ------
        Progress
            As of `segment_everything`, in pixels of the plane.

        Raises
        ------
        Cancelled
            If the token was cancelled; what was found until then stays.
        """
        embedding = self.embed(source, cancel, on_stage)
        if on_stage is not None:
            on_stage('decoding')
        yield from segment_everything(
            self._segmenter, embedding, options, cancel, frame=source.region
        )

    def _prediction(
        self, source: PlaneSource, prompts: Prompts, candidates: Candidates
    ) -> Prediction:
        frame = source.region
        if candidates.original_size != frame.shape:
            # Read from a coarser level: the masks are made as fine as the plane all the same.
            candidates = replace(candidates, original_size=frame.shape)
        return Prediction(
            source.key, prompts, candidates, self._segmenter.digest, frame, source.shape
        )
