"""Between the object table and what there is to do: one place that connects the two."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_mobilesam.engine import Classes
from napari_mobilesam.layers import crop_reader, size_text, where_text

from .object_model import ObjectModel
from .object_panel import ObjectPanel
from .thumbnails import Thumbnails

if TYPE_CHECKING:
    from napari_mobilesam.engine import SegmentedObject, Session

    from .bridge import WorkerBridge
    from .controller import AnnotatorController


class ObjectDesk(QObject):
    """Shows the objects of the current labels, and passes on what the user wants of them.

    Parameters
    ----------
    controller
        Who does it.
    bridge
        For thumbnails.
    parent
        Qt parent.
    """

    def __init__(
        self, controller: AnnotatorController, bridge: WorkerBridge, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self._session: Session | None = None
        self.thumbnails = Thumbnails(bridge, self)
        self.thumbnails.read_with(self._crop)
        self.model = ObjectModel(self.thumbnails)
        self.panel = panel = ObjectPanel(self.model)
        actions = controller.actions
        panel.chosen.connect(actions.go_to)
        panel.reopened.connect(actions.reopen)
        panel.split.connect(actions.split)
        panel.removed.connect(actions.remove)
        panel.merged.connect(actions.merge)
        panel.class_given.connect(actions.set_class)
        panel.flag_given.connect(actions.set_flag)
        panel.next_class_chosen.connect(partial(setattr, controller, 'class_id'))
        panel.classes_changed.connect(self._change_classes)
        controller.labels_changed.connect(self.refresh)
        controller.class_changed.connect(self._show_classes)
        controller.class_key.connect(self._on_class_key)
        self.refresh()

    def refresh(self) -> None:
        """Show the objects of the labels that there are now."""
        session = self._controller.session
        self.model.show_session(session, self._where, self._size)
        self._session = session
        self._show_classes()

    def close(self) -> None:
        """Follow nothing any more."""
        self.model.close()
        with suppress(RuntimeError, TypeError):
            self._controller.labels_changed.disconnect(self.refresh)

    def _show_classes(self) -> None:
        classes = Classes() if self._session is None else self._session.classes
        self.panel.show_classes(classes, self._controller.class_id)

    def _change_classes(self, classes: Classes) -> None:
        if self._session is not None:
            self._session.classes = classes
            self._show_classes()

    def _on_class_key(self, class_id: int) -> None:
        """Give the selected objects a class where the table has the keyboard, else the next."""
        if self._session is not None:
            self._change_classes(self._session.classes.ensured(class_id))
        selected = self.panel.selected
        if selected and self.panel.table.hasFocus():
            self._controller.actions.set_class(selected, class_id)
        else:
            self._controller.class_id = class_id

    # -- what napari's layers tell

    def _where(self, record: SegmentedObject) -> str:
        labels = self._controller.labels
        return '' if labels is None else where_text(labels, record, self._controller.viewer.dims)

    def _size(self, record: SegmentedObject) -> str:
        labels = self._controller.labels
        if labels is None:
            return str(record.area)
        return size_text(labels, record, self._controller.viewer.dims)

    def _crop(self, record: SegmentedObject) -> Any:
        labels = self._controller.labels
        if labels is None:
            return None
        return crop_reader(labels, self._controller.image, record, self._controller.viewer.dims)
