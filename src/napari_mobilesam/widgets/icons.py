"""napari's own icons in the colour of the theme, and chips in the colours of prompts."""

from __future__ import annotations

from napari.resources import get_colorized_svg, get_icon_path
from napari.utils.theme import get_theme
from qtpy.QtCore import QByteArray, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPen, QPixmap
from qtpy.QtSvg import QSvgRenderer

SIZE = 18
_DENSITY = 2  # drawn at twice the size, for screens of high density


def _canvas() -> QPixmap:
    pixmap = QPixmap(SIZE * _DENSITY, SIZE * _DENSITY)
    pixmap.fill(Qt.GlobalColor.transparent)
    return pixmap


def theme_icon(name: str, theme: str) -> QIcon:
    """Return one of napari's icons as the theme colours it."""
    svg = get_colorized_svg(get_icon_path(name), get_theme(theme).icon.as_hex())
    pixmap = _canvas()
    painter = QPainter(pixmap)
    QSvgRenderer(QByteArray(svg.encode())).render(painter, QRectF(pixmap.rect()))
    painter.end()
    pixmap.setDevicePixelRatio(_DENSITY)
    return QIcon(pixmap)


def chip_icon(colour: str, sign: str) -> QIcon:
    """Return a disc with a sign in it, as prompts look on the canvas."""
    pixmap = _canvas()
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    edge = SIZE * _DENSITY
    painter.setBrush(QColor(colour))
    painter.setPen(QPen(QColor('white'), edge / 14))
    painter.drawEllipse(QRectF(edge * 0.08, edge * 0.08, edge * 0.84, edge * 0.84))
    pen = QPen(QColor('white'), edge / 9)
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)  # as a keyword PyQt takes it, PySide does not
    painter.setPen(pen)
    middle, reach = edge / 2, edge * 0.2
    painter.drawLine(int(middle - reach), int(middle), int(middle + reach), int(middle))
    if sign == '+':
        painter.drawLine(int(middle), int(middle - reach), int(middle), int(middle + reach))
    painter.end()
    pixmap.setDevicePixelRatio(_DENSITY)
    return QIcon(pixmap)


ICON_SIZE = QSize(SIZE, SIZE)
