"""Tracks layers that came with a step of the labels: they go and come back with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

if TYPE_CHECKING:
    from napari.layers import Tracks

    from napari_mobilesam.engine import Session, Step

    from .committing import Committer


@dataclass(slots=True, eq=False)
class _Kept:
    session: Session
    step: Step
    layer: Tracks
    place: int | None = None  # among the layers, while it is taken back


class TrackLayers(QObject):
    """Takes a layer away while the step that it came with is undone.

    Parameters
    ----------
    viewer
        The viewer, without proxy.
    committer
        Who writes the steps, and tells when one was undone, by whichever key.
    parent
        Qt parent.
    """

    def __init__(self, viewer: Any, committer: Committer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._committer = committer
        self._kept: list[_Kept] = []
        committer.labels_changed.connect(self._follow)

    def keep(self, step: Step, layer: Tracks) -> None:
        """Let a layer go with a step that was just written."""
        session = self._committer.session
        if session is not None:
            self._kept.append(_Kept(session, step, layer))

    def _follow(self) -> None:
        layers = self._viewer.layers
        for one in tuple(self._kept):
            history = one.session.history
            shown = one.place is None
            if not history.knows(one.step) or (shown and one.layer not in layers):
                self._kept.remove(one)  # nobody can undo it any more, or the user removed it
            elif shown and not history.is_done(one.step):
                one.place = layers.index(one.layer)
                if layers.selection.active is one.layer:
                    layers.selection.active = self._committer.labels
                layers.remove(one.layer)
            elif not shown and history.is_done(one.step):
                # The annotator's keys go by the active layer.
                active, place = layers.selection.active, min(one.place or 0, len(layers))
                layers.insert(place, one.layer)
                layers.selection.active = active
                one.place = None
