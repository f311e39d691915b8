"""A ring round what has the keyboard: napari's style shows that nowhere."""

from __future__ import annotations

from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, QObject, QPoint, QRectF, Qt
from qtpy.QtGui import QColor, QGuiApplication, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QApplication, QWidget

_MARGIN = 3
_MOVES = (QEvent.Type.Move, QEvent.Type.Resize, QEvent.Type.Show, QEvent.Type.Hide)


class FocusRing(QWidget):
    """Drawn over the widgets of a panel; a click with the mouse needs and gets none.

    Parameters
    ----------
    panel
        Whose children are shown.
    """

    def __init__(self, panel: QWidget) -> None:
        super().__init__(panel)
        self._panel = panel
        self._watched: list[QWidget] = []
        self._colour = QColor('white')
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.hide()
        application = QApplication.instance()
        if isinstance(application, QApplication):
            application.focusChanged.connect(self._on_focus)

    def close(self) -> bool:
        """Follow the keyboard no more."""
        application = QApplication.instance()
        if isinstance(application, QApplication):
            application.focusChanged.disconnect(self._on_focus)
        self._follow(None)
        return super().close()

    def show_theme(self, theme: str) -> None:
        """Take the colour of the theme's text, which is seen on all of its buttons."""
        self._colour = QColor(get_theme(theme).text.as_hex())
        self.update()

    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:
        """Go where the widget goes, and what it lies in."""
        if event is not None and event.type() in _MOVES:
            self._place()
        return False

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self._colour, 2))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 3, 3)

    def _on_focus(self, _old: QWidget | None, new: QWidget | None) -> None:
        inside = new is not None and self._panel.isAncestorOf(new)
        by_mouse = QGuiApplication.mouseButtons() != Qt.MouseButton.NoButton
        self._follow(new if inside and not by_mouse else None)

    def _follow(self, widget: QWidget | None) -> None:
        for one in self._watched:
            one.removeEventFilter(self)
        self._watched = []
        one = widget
        while one is not None and one is not self._panel:
            one.installEventFilter(self)
            self._watched.append(one)
            one = one.parentWidget()
        self._place()

    def _place(self) -> None:
        if not self._watched or not self._watched[0].isVisible():
            self.hide()
            return
        shown = self._watched[0]
        place = shown.rect().translated(shown.mapTo(self._panel, QPoint(0, 0)))
        around = place.adjusted(-_MARGIN, -_MARGIN, _MARGIN, _MARGIN)
        self.setGeometry(around.intersected(self._panel.rect()))
        self.show()
        self.raise_()
