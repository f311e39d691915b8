"""One object each: many objects of a plane at once, in small helpings, committed together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_mobilesam.engine import CancelToken, PlaneSource
from napari_mobilesam.engine.batch import Answer, Wish, answers, on_plane

if TYPE_CHECKING:
    from .bridge import WorkerBridge
    from .inference import Inference
    from .model import ModelKeeper

# So many objects are decoded before a click gets its turn.
HELPING = 48


class Batch(QObject):
    """Asks the worker for many objects, one helping after the other.

    A click that comes in between is answered in between. Nothing is written here: who listens
    gets all answers at the end, or what was done when the user had enough.

    Signals
    -------
    progressed (int, int, float)
        Done, of how many, and seconds left; negative while that is not known.
    done (PlaneSource, list of Answer)
        All that was found.
    ended
        It is over, in whatever way.
    failed (str)
        Why there is no result.
    """

    progressed = Signal(int, int, float)
    done = Signal(object, object)
    ended = Signal()
    failed = Signal(str)

    def __init__(
        self,
        bridge: WorkerBridge,
        model: ModelKeeper,
        inference: Inference,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._model = model
        self._inference = inference
        self._source: PlaneSource | None = None
        self._wishes: list[Wish] = []
        self._answers: list[Answer] = []
        self._started = 0.0

    @property
    def running(self) -> bool:
        """Whether it is under way."""
        return self._source is not None

    def start(self, source: PlaneSource, find: Callable[[], Sequence[Wish]]) -> None:
        """Begin, unless it is under way.

        Parameters
        ----------
        source
            The plane.
        find
            Makes the wishes; called on the worker, as it may read labels from disk.
        """
        if self.running:
            return
        if self._model.annotator is None:
            self.failed.emit('There is no model yet: wait until it is loaded.')
            return
        self._source, self._wishes, self._answers = source, [], []
        self.progressed.emit(0, 0, -1.0)
        self._bridge.submit(
            'batch',
            lambda _cancel: on_plane(find(), source.shape),
            self._on_found,
            self._on_error,
        )

    def stop(self, keep: bool) -> None:
        """End it, with what was done so far or with nothing."""
        if not self.running:
            return
        self._bridge.cancel('batch')
        self._end(keep)

    def _on_found(self, wishes: list[Wish]) -> None:
        if not wishes:
            self._end(False)
            self.failed.emit('There is nothing to segment on this plane: place prompts first.')
            return
        self._wishes = wishes
        self._started = perf_counter()
        self._go_on()

    def _go_on(self) -> None:
        source, annotator = self._source, self._model.annotator
        done, total = len(self._answers), len(self._wishes)
        if source is None or annotator is None:
            return
        left = (perf_counter() - self._started) / done * (total - done) if done else -1.0
        self.progressed.emit(done, total, left)
        if done == total:
            self._end(True)
            return
        helping = self._wishes[done : done + HELPING]
        prompted_only = self._inference.prompted_only

        def work(cancel: CancelToken) -> list[Answer]:
            return list(answers(annotator, source, helping, cancel, prompted_only))

        self._bridge.submit('batch', work, partial(self._on_answers, source), self._on_error)

    def _on_answers(self, source: PlaneSource, found: list[Answer]) -> None:
        if source is self._source:
            self._answers.extend(found)
            self._go_on()

    def _end(self, keep: bool) -> None:
        source, found = self._source, self._answers
        self._source, self._wishes, self._answers = None, [], []
        self.ended.emit()
        if keep and source is not None and found:
            self.done.emit(source, found)

    def _on_error(self, error: BaseException) -> None:
        self._end(True)  # what was done is whole
        self.failed.emit(f'Not all objects could be segmented: {error}')
