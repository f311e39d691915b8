"""Which image, and which picture of it the model sees."""

from __future__ import annotations

from typing import Any

from napari.layers import Image, Layer
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from napari_mobilesam.engine import IntensityMapping
from napari_mobilesam.layers import ImageChannel, PictureChoice

from .layer_combo import LayerCombo
from .section import Section
from .shortcuts import describe

_CONTENTS = (
    ('layer', 'this layer', 'The layer alone, without its colormap.'),
    ('visible', 'all that is visible', 'All visible images, as they are displayed: with colours.'),
    ('rgb', 'red, green and blue', 'Up to three layers or channels, one for each colour.'),
)
_MODES = (
    ('percentile', 'percentiles of the plane', 'Robust: a single hot pixel changes nothing.'),
    ('stack', 'percentiles of the stack', 'All planes alike, by a sample of a few of them.'),
    ('displayed', 'as displayed', "The layer's contrast limits and gamma."),
    ('full', 'full range', 'From the darkest to the brightest pixel of the plane.'),
)
_COLOURS = ('Red', 'Green', 'Blue')


class _Percentile(QDoubleSpinBox):
    """A spin box for a percentile: three decimals are kept, those that say nothing not shown."""

    def __init__(self, value: float, name: str, hint: str) -> None:
        super().__init__()
        # Decimals and range before the value: a box of two would make 0.13 of 0.125 at once.
        self.setDecimals(3)
        self.setRange(0.0, 100.0)
        self.setSingleStep(0.1)
        self.setValue(value)
        self.setToolTip(hint)
        self.setAccessibleName(name)

    def textFromValue(self, value: float) -> str:
        return f'{value:g}'


def _combo(entries: tuple[tuple[str, str, str], ...], hint: str) -> QComboBox:
    combo = QComboBox()
    # Cut where the dock is narrow; it does not widen the dock.
    combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    combo.setMinimumWidth(80)
    for index, (value, title, tip) in enumerate(entries):
        combo.addItem(title, value)
        combo.setItemData(index, tip, Qt.ItemDataRole.ToolTipRole)
    combo.setToolTip(hint)
    return combo


class ImagePanel(Section):
    """Choose the image, and how the picture that the model sees is made of it.

    Signals
    -------
    image_chosen (Image or None)
    choice_made (PictureChoice)
    seen_clicked
        The user wants to look at what the model sees.
    """

    image_chosen = Signal(object)
    choice_made = Signal(object)
    seen_clicked = Signal()

    def __init__(self, choice: PictureChoice) -> None:
        super().__init__('Image')
        mapping = IntensityMapping() if choice.mapping is None else choice.mapping
        self.image = LayerCombo('none')
        self.content = _combo(_CONTENTS, 'What the picture that the model sees is made of')
        self.mode = _combo(_MODES, 'How pixel values become black and white')
        self.low = _Percentile(mapping.low, 'From', 'This percentile becomes black')
        self.high = _Percentile(mapping.high, 'To', 'This percentile becomes white')
        self.colours = tuple(LayerCombo('none') for _ in _COLOURS)
        self.seen = QPushButton('Show what the model sees')
        describe(self.seen, 'show_seen')

        self._percentiles = QWidget()
        row = QHBoxLayout(self._percentiles)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.low, stretch=1)
        row.addWidget(QLabel('to'))
        row.addWidget(self.high, stretch=1)
        row.addWidget(QLabel('%'))

        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow('La&yer', self.image)
        form.addRow('Pict&ure', self.content)
        for name, combo in zip(_COLOURS, self.colours, strict=True):
            combo.setAccessibleName(name)
            form.addRow(name, combo)
        form.addRow('Intensity', self.mode)
        form.addRow(self._percentiles)
        self.body.addLayout(form)
        self.body.addWidget(self.seen)
        self._form = form

        self.content.setCurrentIndex(self.content.findData(choice.content))
        self.mode.setCurrentIndex(
            self.mode.findData('displayed' if choice.mapping is None else mapping.mode)
        )
        self._show_rows()
        self.image.chosen.connect(self.image_chosen)
        self.content.currentIndexChanged.connect(self._on_rows)
        self.mode.currentIndexChanged.connect(self._on_rows)
        for combo in self.colours:
            combo.chosen.connect(self._send)
        for box in (self.low, self.high):
            box.editingFinished.connect(self._send)
        self.seen.clicked.connect(self.seen_clicked)

    @property
    def choice(self) -> PictureChoice:
        """What is set."""
        mode = self.mode.currentData()
        red, green, blue = (combo.currentData() for combo in self.colours)
        return PictureChoice(
            mapping=None
            if mode == 'displayed'
            else IntensityMapping(mode=mode, low=self.low.value(), high=self.high.value()),
            content=self.content.currentData(),
            rgb=(red, green, blue),
        )

    def show_choice(self, choice: PictureChoice) -> None:
        """Show how the picture is made; tells nobody."""
        mapping = choice.mapping
        widgets = (self.content, self.mode, self.low, self.high)
        blockers = [QSignalBlocker(widget) for widget in widgets]
        self.content.setCurrentIndex(self.content.findData(choice.content))
        self.mode.setCurrentIndex(
            self.mode.findData('displayed' if mapping is None else mapping.mode)
        )
        if mapping is not None:
            self.low.setValue(mapping.low)
            self.high.setValue(mapping.high)
        del blockers
        self._show_rows()

    def show_images(
        self,
        images: list[Layer],
        current: Image | None,
        channels: list[ImageChannel],
        rgb: tuple[ImageChannel | None, ...],
    ) -> None:
        """List the images, and what can be red, green or blue."""
        self.image.show_layers(images, current)
        entries: list[tuple[str, Any]] = [(part.title, part) for part in channels]
        for combo, chosen in zip(self.colours, rgb, strict=True):
            combo.show_entries(entries, chosen)

    def _on_rows(self) -> None:
        self._show_rows()
        self._send()

    def _show_rows(self) -> None:
        content, mode = self.content.currentData(), self.mode.currentData()
        for combo in self.colours:
            self._form.setRowVisible(combo, content == 'rgb')
        # What is visible is always taken as it is displayed.
        self._form.setRowVisible(self.mode, content != 'visible')
        self._form.setRowVisible(
            self._percentiles, content != 'visible' and mode in ('percentile', 'stack')
        )

    def _send(self, _value: object = None) -> None:
        if self.low.value() >= self.high.value():
            with QSignalBlocker(self.low):
                self.low.setValue(max(0.0, self.high.value() - 1.0))
            if self.low.value() >= self.high.value():
                self.high.setValue(1.0)
        self.choice_made.emit(self.choice)
