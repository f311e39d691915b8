"""The confidence curve: how sure an object is on each slice; click to go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from qtpy.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from .slice_strip import slice_at, slice_span

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Below this a slice wants to be looked at.
DOUBTFUL = 0.5
_LINE, _DOUBT = '#3d8bfd', '#e8368f'
_HEIGHT = 56


class ConfidenceCurve(QWidget):
    """A curve from 0 to 1 over the slices, below the slice strip and as wide.

    What the user gave is a dot at 1; slices below `DOUBTFUL` are marked.

    Signals
    -------
    clicked (int)
        Go to this slice.
    """

    clicked = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._curve: NDArray[np.float64] = np.zeros(0)
        self._here = 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(_HEIGHT)
        self.setMouseTracking(True)
        self.setAccessibleName('Confidence on each slice')
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def show_curve(self, curve: NDArray[np.float64] | None) -> None:
        """Show a curve, NaN where the object is not; None for none."""
        self._curve = np.zeros(0) if curve is None else np.asarray(curve, float)
        self.setVisible(curve is not None)
        self.update()

    def show_here(self, index: int) -> None:
        """Show on which slice the user is."""
        if index != self._here:
            self._here = index
            self.update()

    @property
    def least(self) -> int | None:
        """The slice of the least confidence; None without a curve."""
        present = np.flatnonzero(np.isfinite(self._curve))
        return int(present[np.argmin(self._curve[present])]) if present.size else None

    # -- Qt

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Draw the curve, the limit, and the slice on display."""
        count = len(self._curve)
        if not count:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        faint = self.palette().color(self.foregroundRole())
        faint.setAlpha(38)
        painter.fillRect(self.rect(), faint)
        width, height = self.width(), self.height() - 8
        start, stop = slice_span(self._here, width, count)
        painter.fillRect(QRectF(start, 0, stop - start, self.height()), faint)
        faint.setAlpha(120)
        painter.setPen(QPen(faint, 1, Qt.PenStyle.DashLine))
        limit = self._y(DOUBTFUL, height)
        painter.drawLine(QPointF(0, limit), QPointF(width, limit))
        places = [
            None
            if np.isnan(value)
            else QPointF(sum(slice_span(index, width, count)) / 2, self._y(value, height))
            for index, value in enumerate(self._curve)
        ]
        run: list[QPointF] = []
        painter.setPen(QPen(QColor(_LINE), 2))
        for place in [*places, None]:
            if place is not None:
                run.append(place)
            elif run:
                painter.drawPolyline(QPolygonF(run))
                run = []
        painter.setPen(Qt.PenStyle.NoPen)
        for value, place in zip(self._curve, places, strict=True):
            if place is not None:
                painter.setBrush(QColor(_DOUBT if value < DOUBTFUL else _LINE))
                radius = 3.5 if value < DOUBTFUL or value == 1 else 2
                painter.drawEllipse(place, radius, radius)

    @staticmethod
    def _y(value: float, height: int) -> float:
        return 4 + (1 - min(max(value, 0), 1)) * height

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Go to the slice under the mouse."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton and len(self._curve):
            self.clicked.emit(slice_at(event.position().x(), self.width(), len(self._curve)))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Say how sure the slice under the mouse is."""
        if event is None or not len(self._curve):
            return
        index = slice_at(event.position().x(), self.width(), len(self._curve))
        value = self._curve[index]
        words = 'not there' if np.isnan(value) else 'given' if value == 1 else f'{value:.2f}'
        QToolTip.showText(event.globalPosition().toPoint(), f'Slice {index}: {words}', self)

    def event(self, event: QEvent | None) -> bool:
        """Follow the theme."""
        if event is not None and event.type() == QEvent.Type.PaletteChange:
            self.update()
        return bool(super().event(event))
