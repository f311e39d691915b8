"""The slice strip: which slices of a stack are embedded, prompted and accepted; click to go."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from qtpy.QtCore import QEvent, QRectF, Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

# Told apart without colours by their rows, from top to bottom.
EMBEDDED, PROMPTED, ACCEPTED = '#3d8bfd', '#f5b301', '#17b978'
_ROWS = (EMBEDDED, PROMPTED, ACCEPTED)
_ROW = 7
_GAP = 1


def slice_at(x: float, width: float, count: int) -> int:
    """Return the slice under a horizontal place of a widget that shows `count` of them."""
    return min(max(int(x / max(width, 1) * count), 0), max(count - 1, 0))


def slice_span(index: int, width: float, count: int) -> tuple[float, float]:
    """Return where a slice begins and ends in a widget; at least a pixel wide."""
    start = index * width / max(count, 1)
    return start, max((index + 1) * width / max(count, 1), start + 1)


class SliceStrip(QWidget):
    """All slices side by side, in three rows: embedded, prompted, accepted.

    Signals
    -------
    clicked (int)
        Go to this slice.
    """

    clicked = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._here = 0
        self._embedded: frozenset[int] = frozenset()
        self._prompted: frozenset[int] = frozenset()
        self._accepted: dict[int, int] = {}
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(3 * _ROW + 4 * _GAP + 4)
        self.setMinimumWidth(80)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName('Slices: embedded, prompted, accepted')
        self.setAccessibleDescription('The arrow keys go from slice to slice')
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def show_stack(self, count: int, here: int) -> None:
        """Show so many slices, and on which one the user is."""
        if (count, here) != (self._count, self._here):
            self._count, self._here = count, here
            self.update()

    def show_slices(
        self, embedded: Collection[int], prompted: Collection[int], accepted: Mapping[int, int]
    ) -> None:
        """Show what the slices have; of accepted ones the number of objects."""
        now = frozenset(embedded), frozenset(prompted), dict(accepted)
        if now != (self._embedded, self._prompted, self._accepted):
            self._embedded, self._prompted, self._accepted = now
            self.update()

    def text(self, index: int) -> str:
        """Say what there is on a slice."""
        parts = [f'Slice {index}']
        if index in self._embedded:
            parts.append('embedded')
        if index in self._prompted:
            parts.append('prompted')
        objects = self._accepted.get(index, 0)
        if objects:
            parts.append(f'{objects} object{"s" * (objects != 1)}')
        return ' · '.join(parts)

    # -- Qt

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Draw the three rows and the slice on display."""
        if not self._count:
            return
        painter = QPainter(self)
        painter.setPen(Qt.PenStyle.NoPen)
        empty = self.palette().color(self.foregroundRole())
        empty.setAlpha(38)
        width = self.width()
        gap = 1.0 if width / self._count >= 4 else 0.0
        for row, (colour, present) in enumerate(
            zip(_ROWS, (self._embedded, self._prompted, self._accepted), strict=True)
        ):
            top = 2 + _GAP + row * (_ROW + _GAP)
            painter.fillRect(QRectF(0, top, width, _ROW), empty)
            for index in present:
                if 0 <= index < self._count:
                    start, stop = slice_span(index, width, self._count)
                    cell = QRectF(start, top, max(stop - start - gap, 1), _ROW)
                    painter.fillRect(cell, QColor(colour))
        start, stop = slice_span(self._here, width, self._count)
        stop = max(stop, start + 3)
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawRect(QRectF(start, 0.5, min(stop, width) - start - 1, self.height() - 1.5))

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Go to the slice under the mouse."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton and self._count:
            self.clicked.emit(slice_at(event.position().x(), self.width(), self._count))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Say what is under the mouse; with the button down, go there."""
        if event is None or not self._count:
            return
        index = slice_at(event.position().x(), self.width(), self._count)
        if event.buttons() & Qt.MouseButton.LeftButton:
            if index != self._here:
                self.clicked.emit(index)
        else:
            QToolTip.showText(event.globalPosition().toPoint(), self.text(index), self)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Go on with the arrow keys."""
        if event is None:
            return
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        goal = {
            Qt.Key.Key_Home: 0,
            Qt.Key.Key_End: self._count - 1,
        }.get(event.key(), self._here + steps.get(event.key(), 0))
        if goal != self._here and 0 <= goal < self._count:
            self.clicked.emit(goal)
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent | None) -> bool:
        """Follow the theme."""
        if event is not None and event.type() == QEvent.Type.PaletteChange:
            self.update()
        return bool(super().event(event))


def legend() -> str:
    """Return one line of rich text that explains the colours."""
    names = ('embedded', 'prompted', 'with&nbsp;objects')
    marks = (
        f'<span style="color:{colour}">■</span>&nbsp;{name}'
        for colour, name in zip(_ROWS, names, strict=True)
    )
    return ' &nbsp;'.join(marks)
