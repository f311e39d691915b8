"""What finding, following and refining have in common: where they work, and how they hear of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_mobilesam.layers import NotAnnotatable

from .stack_work import StackWork

if TYPE_CHECKING:
    from napari_mobilesam.engine import Annotator
    from napari_mobilesam.engine.stacks import PlaneSeries

    from .bridge import WorkerBridge
    from .committing import Committer
    from .model import ModelKeeper
    from .stack_place import StackPlace


class StackTask(QObject):
    """Something that is done slice by slice in the background.

    Parameters
    ----------
    lane : str
        Of the worker.
    bridge : WorkerBridge
    model : ModelKeeper
    committer : Committer
    place : StackPlace
    parent : QObject, optional

    Signals
    -------
    found (object)
        A slice is done: something with its `index`.
    status_changed (str, str)
        One line for the user, and its kind.
    """

    found = Signal(object)
    status_changed = Signal(str, str)

    def __init__(
        self,
        lane: str,
        bridge: WorkerBridge,
        model: ModelKeeper,
        committer: Committer,
        place: StackPlace,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._model = model
        self._committer = committer
        self._place = place
        self.work = StackWork(bridge, lane, self)
        self.work.stepped.connect(self._on_step)
        self.work.ended.connect(self._on_ended)
        self.work.failed.connect(self._on_failed)

    def forget(self) -> None:
        """Begin anew: another stack."""
        raise NotImplementedError

    def _means(self) -> tuple[PlaneSeries, Annotator]:
        """Return the stack and the model.

        Raises
        ------
        NotAnnotatable
            If there is none of the two; says what to do.
        """
        series, annotator = self._place.series, self._model.annotator
        if series is None:
            problem = self._place.problem or 'There is no stack here: open an image with a slider.'
            raise NotAnnotatable(problem)
        if annotator is None:
            raise NotAnnotatable('There is no model yet: wait until it is loaded.')
        return series, annotator

    def _on_step(self, step: Any) -> None:
        raise NotImplementedError

    def _on_ended(self, complete: bool) -> None:
        raise NotImplementedError

    def _on_failed(self, why: str) -> None:
        raise NotImplementedError
