"""Which image, and which of its intensities the model sees."""

from __future__ import annotations

from napari.layers import Image, Layer
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QFormLayout, QHBoxLayout, QLabel, QWidget

from napari_mobilesam.engine import IntensityMapping

from .layer_combo import LayerCombo
from .section import Section

_MODES = (
    ('percentile', 'Percentiles of the plane', 'Robust: a single hot pixel changes nothing.'),
    ('displayed', 'As displayed', "The layer's contrast limits and gamma."),
    ('full', 'Full range', 'From the darkest to the brightest pixel of the plane.'),
)


class _Percentile(QDoubleSpinBox):
    """A spin box for a percentile: three decimals are kept, those that say nothing not shown."""

    def __init__(self, value: float, hint: str) -> None:
        super().__init__()
        # Decimals and range before the value: a box of two would make 0.13 of 0.125 at once.
        self.setDecimals(3)
        self.setRange(0.0, 100.0)
        self.setSingleStep(0.1)
        self.setValue(value)
        self.setToolTip(hint)

    def textFromValue(self, value: float) -> str:
        return f'{value:g}'


class ImagePanel(Section):
    """Choose the image and the intensity mapping.

    Signals
    -------
    image_chosen (Image or None)
    mapping_chosen (IntensityMapping or None)
        None stands for the mapping that the layer is displayed with.
    """

    image_chosen = Signal(object)
    mapping_chosen = Signal(object)

    def __init__(self, mapping: IntensityMapping, as_displayed: bool) -> None:
        super().__init__('Image')
        self.image = LayerCombo('none')
        self.image.chosen.connect(self.image_chosen)
        self.mode = QComboBox()
        self.mode.setMinimumWidth(80)
        for index, (mode, title, hint) in enumerate(_MODES):
            self.mode.addItem(title, mode)
            self.mode.setItemData(index, hint, 3)  # Qt.ItemDataRole.ToolTipRole
        self.mode.setToolTip('How pixel values become the picture that the model sees')
        self.low = _Percentile(mapping.low, 'This percentile of the plane becomes black')
        self.high = _Percentile(mapping.high, 'This percentile of the plane becomes white')

        self._percentiles = QWidget()
        row = QHBoxLayout(self._percentiles)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.low, stretch=1)
        row.addWidget(QLabel('to'))
        row.addWidget(self.high, stretch=1)
        row.addWidget(QLabel('%'))

        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow('Layer', self.image)
        form.addRow('Intensity', self.mode)
        form.addRow(self._percentiles)
        self.body.addLayout(form)
        self._form = form

        self.mode.setCurrentIndex(self.mode.findData('displayed' if as_displayed else mapping.mode))
        self._show_percentiles()
        self.mode.currentIndexChanged.connect(self._on_mode)
        for box in (self.low, self.high):
            box.editingFinished.connect(self._send)

    @property
    def mapping(self) -> IntensityMapping | None:
        """The mapping that is set; None for the one that the layer is displayed with."""
        mode = self.mode.currentData()
        if mode == 'displayed':
            return None
        return IntensityMapping(mode=mode, low=self.low.value(), high=self.high.value())

    def show_images(self, images: list[Layer], current: Image | None) -> None:
        """List the images."""
        self.image.show_layers(images, current)

    def _on_mode(self) -> None:
        self._show_percentiles()
        self._send()

    def _show_percentiles(self) -> None:
        self._form.setRowVisible(self._percentiles, self.mode.currentData() == 'percentile')

    def _send(self) -> None:
        if self.low.value() >= self.high.value():
            with QSignalBlocker(self.low):
                self.low.setValue(max(0.0, self.high.value() - 1.0))
            if self.low.value() >= self.high.value():
                self.high.setValue(1.0)
        self.mapping_chosen.emit(self.mapping)
