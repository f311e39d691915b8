"""Where objects go, and what happens where they meet."""

from __future__ import annotations

from napari.layers import Labels, Layer
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel

from napari_mobilesam.engine import OverlapRule

from .layer_combo import LayerCombo
from .section import Section

_RULES = (
    (OverlapRule.KEEP, 'keep the earlier object'),
    (OverlapRule.REPLACE, 'replace by the new object'),
)


class LabelsPanel(Section):
    """Choose the Labels layer and the overlap rule.

    Signals
    -------
    labels_chosen (Labels or None)
        None stands for a new layer.
    overlap_chosen (OverlapRule)
    """

    labels_chosen = Signal(object)
    overlap_chosen = Signal(object)

    def __init__(self, overlap: OverlapRule) -> None:
        super().__init__('Objects')
        self.labels = LayerCombo('new layer')
        self.overlap = QComboBox()
        self.overlap.setMinimumWidth(80)
        for rule, title in _RULES:
            self.overlap.addItem(title, rule)
        self.overlap.setCurrentIndex(self.overlap.findData(overlap))
        self.overlap.setToolTip('What happens to pixels that two objects claim')
        self.count = QLabel()
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow('Into', self.labels)
        form.addRow('Overlap', self.overlap)
        form.addRow('', self.count)
        self.body.addLayout(form)
        self.labels.chosen.connect(self.labels_chosen)
        self.overlap.currentIndexChanged.connect(
            lambda _index: self.overlap_chosen.emit(self.overlap.currentData())
        )

    def show_overlap(self, rule: OverlapRule) -> None:
        """Show the overlap rule; tells nobody."""
        with QSignalBlocker(self.overlap):
            self.overlap.setCurrentIndex(self.overlap.findData(rule))

    def show_labels(self, layers: list[Layer], current: Labels | None, objects: int) -> None:
        """List the Labels layers, and say how many objects were committed."""
        self.labels.show_layers(layers, current)
        word = 'object' if objects == 1 else 'objects'
        self.count.setText(f'{objects} {word} in this session')
