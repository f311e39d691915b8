"""Small things that tests of the annotator share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from napari.utils.notifications import Notification, notification_manager


def rectangle(z: float, row0: float, column0: float, row1: float, column1: float) -> np.ndarray:
    return np.array(
        [(z, row0, column0), (z, row0, column1), (z, row1, column1), (z, row1, column0)]
    )


@contextmanager
def notifications() -> Iterator[list[str]]:
    """Collect what napari would show the user."""
    told: list[str] = []

    def note(notification: Notification) -> None:
        told.append(notification.message)

    with notification_manager:
        notification_manager.notification_ready.connect(note)
        try:
            yield told
        finally:
            notification_manager.notification_ready.disconnect(note)
