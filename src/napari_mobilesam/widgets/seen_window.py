"""What the model sees: the mapped picture of the plane or frame, in a window of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QImage, QPainter, QPixmap
from qtpy.QtWidgets import QDialog, QLabel, QSizePolicy, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIZE = 420


class _Picture(QWidget):
    """A picture as large as fits, in proportion."""

    def __init__(self) -> None:
        super().__init__()
        self._pixmap = QPixmap()
        self.setMinimumSize(120, 120)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        return QSize(_SIZE, _SIZE)

    def show_picture(self, pixels: NDArray[np.uint8] | None) -> None:
        """Show uint8 (H, W, 3), or nothing."""
        if pixels is None:
            self._pixmap = QPixmap()
        else:
            pixels = np.ascontiguousarray(pixels)
            height, width = pixels.shape[:2]
            image = QImage(
                pixels.data, width, height, pixels.strides[0], QImage.Format.Format_RGB888
            )
            self._pixmap = QPixmap.fromImage(image)  # a copy: the array may go
        self.update()

    def paintEvent(self, _event: Any) -> None:
        if self._pixmap.isNull():
            return
        size = self._pixmap.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        left, top = (self.width() - size.width()) // 2, (self.height() - size.height()) // 2
        painter.drawPixmap(left, top, size.width(), size.height(), self._pixmap)
        painter.end()


class SeenWindow(QDialog):
    """Shows the picture that the encoder gets, until it is closed."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle('What the model sees')
        self.picture = _Picture()
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        column = QVBoxLayout(self)
        column.addWidget(self.picture, stretch=1)
        column.addWidget(self.text)

    def show_seen(self, pixels: NDArray[np.uint8] | None, text: str) -> None:
        """Show a picture, uint8 (H, W, 3), and what it is."""
        self.picture.show_picture(pixels)
        self.text.setText(text)
