"""Class, score and flags of the objects in the features of their Labels layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from qtpy.QtCore import QObject, QTimer

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_mobilesam.engine import Session

REST_MS = 500
"""napari takes a whole new table each time: it is given one when the user pauses."""

COLUMNS = ('index', 'class', 'score', 'unclear', 'reviewed')


class LabelFeatures(QObject):
    """Keeps `Labels.features` in step with a session, after a pause.

    Columns of others stay. A layer is left alone as long as there is nothing of ours to say about
    its objects, or where its features are not listed by id (no column ``index``).

    Parameters
    ----------
    parent
        Qt parent.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._layer: Labels | None = None
        self._session: Session | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REST_MS)
        self._timer.timeout.connect(self.flush)

    def follow(self, layer: Labels | None, session: Session | None) -> None:
        """Write into another layer from now on; what is due in the old one is written first."""
        if layer is self._layer and session is self._session:
            return
        if self._timer.isActive():
            self.flush()
        if self._unsubscribe is not None:
            self._unsubscribe()
        self._unsubscribe = None if session is None else session.subscribe(self._on_records)
        self._layer, self._session = layer, session

    def flush(self) -> None:
        """Write now."""
        self._timer.stop()
        layer, session = self._layer, self._session
        if layer is None or session is None:
            return
        old = layer.features
        if len(old.columns) and 'index' not in old.columns:
            return
        new = features_of(session)
        others = [name for name in old.columns if name not in COLUMNS]
        if others:
            kept = old[['index', *others]].drop_duplicates('index')
            new = new.merge(kept, on='index', how='outer')
        layer.features = new

    def _on_records(self, _labels: tuple[int, ...] | None) -> None:
        known = self._layer is not None and 'class' in self._layer.features.columns
        if known or (self._session is not None and _has_something_to_say(self._session)):
            self._timer.start()


def features_of(session: Session) -> pd.DataFrame:
    """Return what is known of the objects of a session, one row each, by ascending id."""
    records = session.objects
    names = {record.class_id: '' for record in records}
    names = {class_id: session.classes.name(class_id) for class_id in names}
    scores = [np.nan if record.score is None else record.score for record in records]
    return pd.DataFrame(
        {
            'index': np.array([record.label for record in records], dtype=np.int64),
            'class': [names[record.class_id] for record in records],
            'score': np.array(scores, dtype=np.float64),
            'unclear': np.array([record.unclear for record in records], dtype=bool),
            'reviewed': np.array([record.reviewed for record in records], dtype=bool),
        },
        columns=list(COLUMNS),
    )


def _has_something_to_say(session: Session) -> bool:
    return any(
        record.prompted
        or record.class_id
        or record.unclear
        or record.reviewed
        or record.score is not None
        for record in session
    )
