"""What finding and following have in common: where they work, and how they hear of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from .stack_work import StackWork

if TYPE_CHECKING:
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
    status_changed (str, str)
        One line for the user, and its kind.
    """

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

    def _on_step(self, step: Any) -> None:
        raise NotImplementedError

    def _on_ended(self, complete: bool) -> None:
        raise NotImplementedError

    def _on_failed(self, why: str) -> None:
        raise NotImplementedError
