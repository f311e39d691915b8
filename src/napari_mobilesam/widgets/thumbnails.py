"""Thumbnails of objects: made on the worker when a row is first seen, and kept for a while."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtGui import QColor, QImage, QPixmap

from napari_mobilesam.engine import thumbnail

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_mobilesam.engine import CancelToken, SegmentedObject

    from .bridge import WorkerBridge

SIDE = 28
_DENSITY = 2  # for screens of high density
_KEPT = 600
_AT_ONCE = 24

Crop = Callable[[], 'tuple[NDArray[np.bool_], NDArray[Any] | None]']
"""Reads the mask and the picture of an object; on the worker."""


class Thumbnails(QObject):
    """Small pictures of objects.

    Parameters
    ----------
    bridge
        Makes them.
    parent
        Qt parent.

    Signals
    -------
    made (list of int)
        The pictures of these ids are there.
    """

    made = Signal(list)

    def __init__(self, bridge: WorkerBridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._crop: Callable[[SegmentedObject], Crop | None] = lambda _record: None
        self._pixmaps: OrderedDict[tuple[Any, ...], QPixmap] = OrderedDict()
        self._wanted: dict[int, tuple[tuple[Any, ...], SegmentedObject]] = {}
        self._busy = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(30)
        self._timer.timeout.connect(self._ask)

    def read_with(self, crop: Callable[[SegmentedObject], Crop | None]) -> None:
        """Say how the pixels of an object are read; None where there are none to be had."""
        self._crop = crop

    def clear(self) -> None:
        """Forget all: these are other labels."""
        self._pixmaps.clear()
        self._wanted.clear()

    def pixmap(self, record: SegmentedObject, colour: str) -> QPixmap | None:
        """Return the picture of an object, or None and make it soon."""
        key = (record.label, record.area, record.bounds, colour)
        found = self._pixmaps.get(key)
        if found is not None:
            self._pixmaps.move_to_end(key)
            return found
        self._wanted[record.label] = (key, record)
        if not self._busy and not self._timer.isActive():
            self._timer.start()
        return self._blank()

    def _blank(self) -> QPixmap:
        pixmap = QPixmap(SIDE * _DENSITY, SIDE * _DENSITY)
        pixmap.fill(QColor(0, 0, 0, 0))
        pixmap.setDevicePixelRatio(_DENSITY)
        return pixmap

    def _ask(self) -> None:
        # The rows that were seen last are those that are on the screen.
        recent = list(self._wanted.items())[-_AT_ONCE:]
        self._wanted.clear()
        work = []
        for label, (key, record) in recent:
            crop = self._crop(record)
            if crop is not None:
                work.append((label, key, crop))
        if not work:
            return
        self._busy = True
        self._bridge.submit(
            'thumbnail', partial(_draw, work), self._take, lambda _error: self._take([])
        )

    def _take(self, drawn: list[tuple[int, tuple[Any, ...], NDArray[np.uint8]]]) -> None:
        self._busy = False
        for _, key, picture in drawn:
            side = picture.shape[0]
            image = QImage(picture.tobytes(), side, side, 3 * side, QImage.Format.Format_RGB888)
            pixmap = QPixmap.fromImage(image)
            pixmap.setDevicePixelRatio(_DENSITY)
            self._pixmaps[key] = pixmap
            while len(self._pixmaps) > _KEPT:
                self._pixmaps.popitem(last=False)
        if self._wanted:
            self._timer.start()
        if drawn:
            self.made.emit([label for label, _, _ in drawn])


def _draw(
    work: list[tuple[int, tuple[Any, ...], Crop]], cancel: CancelToken
) -> list[tuple[int, tuple[Any, ...], NDArray[np.uint8]]]:
    drawn = []
    for label, key, crop in work:
        cancel.check()
        colour = key[-1]
        rgb = (int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16))
        mask, pixels = crop()
        drawn.append((label, key, thumbnail(mask, pixels, rgb, SIDE * _DENSITY)))
    return drawn
