"""The objects in the labels, as a table: look, sort, filter, and do something to them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QItemSelection, QItemSelectionModel, QObject, QSize, Qt, Signal
from qtpy.QtGui import QAction, QColor, QIcon, QKeyEvent, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QInputDialog,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QTableView,
)

from .object_model import Column, ObjectModel
from .object_rows import Filter
from .section import Section
from .thumbnails import SIDE

if TYPE_CHECKING:
    from napari_mobilesam.engine import Classes, SegmentedObject

_SCATTERED = 300
_SHOW = (
    ('all', None, ''),
    ('unclear', None, 'unclear'),
    ('reviewed', None, 'reviewed'),
    ('not reviewed', None, 'open'),
)


class ObjectPanel(Section):
    """The table, its filter, the class of the next object, and buttons.

    Signals
    -------
    chosen (int)
        An object was clicked: show it.
    reopened, split (int)
        An object is to be changed.
    removed, merged (list of int)
    class_given (list of int, int)
    flag_given (list of int, str, bool)
    next_class_chosen (int)
        The class of the objects to come.
    classes_changed (Classes)
    """

    chosen = Signal(int)
    reopened = Signal(int)
    split = Signal(int)
    removed = Signal(list)
    merged = Signal(list)
    class_given = Signal(list, int)
    flag_given = Signal(list, str, bool)
    next_class_chosen = Signal(int)
    classes_changed = Signal(object)

    def __init__(self, model: ObjectModel) -> None:
        super().__init__('Objects')
        self.model = model
        self._classes: Classes | None = None
        self._kept: list[int] = []
        self._all_kept = False
        self.next_class = QComboBox()
        self.next_class.setMinimumWidth(80)
        self.next_class.setAccessibleName('Class of the next object')
        self.next_class.setToolTip('The class of the next object; keys 1 to 9, 0 for none')
        self.edit_classes = QPushButton('Classes')
        self.edit_classes.setToolTip('Add, rename or recolour classes')
        self.edit_classes.setMenu(QMenu(self))
        self.search = QLineEdit()
        self.search.setPlaceholderText('id or class')
        self.search.setAccessibleName('Find an object')
        self.search.setClearButtonEnabled(True)
        self.show_only = QComboBox()
        self.show_only.setMinimumWidth(60)
        self.show_only.setAccessibleName('List only some objects')
        self.show_only.setToolTip('List only some objects')
        self.table = _table(model)
        self.table.setAccessibleName('Objects')
        self.count = QLabel()
        self.buttons = {
            name: QPushButton(title)
            for name, title in (
                ('reopen', 'Reop&en'),
                ('split', 'Spli&t'),
                ('merge', 'Mer&ge'),
                ('delete', '&Delete'),
            )
        }
        for name, hint in (
            ('reopen', 'Bring the prompts of the selected object back to change it (double-click)'),
            ('split', 'Divide the selected object between the positive points placed on it'),
            ('merge', 'Make one object of the selected ones'),
            ('delete', 'Delete the selected objects from the labels (Del)'),
        ):
            self.buttons[name].setToolTip(hint)
            self.buttons[name].setMinimumWidth(40)
        self._lay_out()
        self._connect()
        self._show_selection()

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(4)
        top.addWidget(QLabel('Next'))
        top.addWidget(self.next_class, stretch=1)
        top.addWidget(self.edit_classes)
        find = QHBoxLayout()
        find.setSpacing(4)
        find.addWidget(self.search, stretch=3)
        find.addWidget(self.show_only, stretch=2)
        row = QHBoxLayout()
        row.setSpacing(4)
        for button in self.buttons.values():
            row.addWidget(button, stretch=1)
        self.body.addLayout(top)
        self.body.addLayout(find)
        self.body.addWidget(self.table)
        self.body.addWidget(self.count)
        self.body.addLayout(row)

    def _connect(self) -> None:
        self.search.textChanged.connect(self._filter)
        self.show_only.currentIndexChanged.connect(self._filter)
        self.next_class.currentIndexChanged.connect(
            lambda _index: self.next_class_chosen.emit(self.next_class.currentData() or 0)
        )
        self.table.clicked.connect(lambda index: self._emit(self.chosen, index.row()))
        self.table.doubleClicked.connect(lambda index: self._emit(self.reopened, index.row()))
        self.table.selectionModel().selectionChanged.connect(self._show_selection)
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.table.customContextMenuRequested.connect(self._open_menu)
        self.table.installEventFilter(self)
        self.model.about_to_fill.connect(self._keep_selection)
        self.model.filled.connect(self._restore_selection)
        for signal in (self.model.rowsInserted, self.model.rowsRemoved, self.model.filled):
            signal.connect(self._show_selection)
        self.buttons['reopen'].clicked.connect(partial(self._on_one, self.reopened))
        self.buttons['split'].clicked.connect(partial(self._on_one, self.split))
        self.buttons['merge'].clicked.connect(lambda: self.merged.emit(self.selected))
        self.buttons['delete'].clicked.connect(self._remove)

    # -- selection

    @property
    def selected(self) -> list[int]:
        """The ids of the selected rows, from top to bottom."""
        ranges = self.table.selectionModel().selection()
        rows = sorted(row for part in ranges for row in range(part.top(), part.bottom() + 1))
        records = [self.model.record(row) for row in dict.fromkeys(rows)]
        return [record.label for record in records if record is not None]

    def select(self, labels: list[int], *, scroll: bool = True) -> None:
        """Select objects, where they are listed.

        None at all where they are scattered over so many places that Qt would take seconds, now
        and at each row that comes or goes.
        """
        found = sorted(row for row in map(self.model.row, labels) if row is not None)
        ends = [i for i, row in enumerate(found) if i + 1 == len(found) or found[i + 1] != row + 1]
        selection = QItemSelection()
        first = 0
        for end in ends if len(ends) <= _SCATTERED else []:
            selection.select(
                self.model.index(found[first], 0), self.model.index(found[end], len(Column) - 1)
            )
            first = end + 1
        flags = QItemSelectionModel.SelectionFlag
        self.table.selectionModel().select(selection, flags.ClearAndSelect)
        if found and scroll:
            self.table.scrollTo(self.model.index(found[0], 0))

    def _keep_selection(self) -> None:
        ranges = self.table.selectionModel().selection()
        number = sum(part.height() for part in ranges)
        self._all_kept = number == self.model.rowCount() > 0
        self._kept = self.selected if number <= _SCATTERED else []

    def _restore_selection(self) -> None:
        if self._all_kept:
            self.table.selectAll()
        elif self._kept:
            self.select(self._kept, scroll=False)

    def _show_selection(self, *_: Any) -> None:
        ranges = self.table.selectionModel().selection()
        number = sum(part.height() for part in ranges)
        listed = self.model.rowCount()
        word = 'object' if listed == 1 else 'objects'
        self.count.setText(f'{listed:,} {word}' + (f', {number:,} selected' if number else ''))
        self.buttons['reopen'].setEnabled(number == 1)
        self.buttons['split'].setEnabled(number == 1)
        self.buttons['merge'].setEnabled(number > 1)
        self.buttons['delete'].setEnabled(number > 0)

    # -- acting

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Delete removes, Return reopens, arrows show the next object."""
        if watched is self.table and isinstance(event, QKeyEvent):
            pressed = event.type() == QEvent.Type.KeyPress
            if pressed and event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
                self._remove()
                return True
            if pressed and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._on_one(self.reopened)
                return True
            if not pressed and event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
                self._on_one(self.chosen)
        return bool(super().eventFilter(watched, event))

    def _emit(self, signal: Any, row: int) -> None:
        record = self.model.record(row)
        if record is not None:
            signal.emit(record.label)

    def _on_one(self, signal: Any, _checked: bool = False) -> None:
        selected = self.selected
        if len(selected) == 1:
            signal.emit(selected[0])

    def _remove(self) -> None:
        selected = self.selected
        if selected:
            self.removed.emit(selected)

    def _open_menu(self, place: Any) -> None:
        menu = self.menu()
        menu.exec(self.table.viewport().mapToGlobal(place))
        menu.deleteLater()

    def menu(self) -> QMenu:
        """Make the menu of the selected objects."""
        menu = QMenu(self)
        selected = self.selected
        records = [r for r in map(self._record, selected) if r is not None]
        for name in ('unclear', 'reviewed'):
            value = not all(getattr(record, name) for record in records)
            self._add(menu, f'Mark as {"" if value else "not "}{name}', selected, name, value)
        classes = menu.addMenu('Class')
        for title, class_id, colour in self._class_entries():
            action = classes.addAction(title)
            if colour:
                action.setIcon(_swatch(colour))
            action.triggered.connect(partial(self._give_class, selected, class_id))
        menu.setEnabled(bool(selected))
        return menu

    def _add(self, menu: QMenu, title: str, ids: list[int], name: str, value: bool) -> None:
        action = menu.addAction(title)
        action.triggered.connect(lambda _checked=False: self.flag_given.emit(ids, name, value))

    def _give_class(self, ids: list[int], class_id: int, _checked: bool = False) -> None:
        self.class_given.emit(ids, class_id)

    def _record(self, label: int) -> SegmentedObject | None:
        row = self.model.row(label)
        return None if row is None else self.model.record(row)

    # -- filter and classes

    def _filter(self, *_: Any) -> None:
        class_id, flag = self.show_only.currentData() or (None, '')
        self.model.set_filter(Filter(self.search.text(), class_id, flag))

    def _class_entries(self) -> list[tuple[str, int, str]]:
        known = [] if self._classes is None else list(self._classes)
        return [('no class', 0, ''), *((item.name, item.class_id, item.colour) for item in known)]

    def show_classes(self, classes: Classes, current: int) -> None:
        """List the classes, and say which one the next object gets."""
        if classes != self._classes:
            self._classes = classes
            entries = self._class_entries()
            for combo, items in (
                (self.next_class, [(t, i, c) for t, i, c in entries]),
                (
                    self.show_only,
                    [(title, (class_id, flag), '') for title, class_id, flag in _SHOW]
                    + [(title, (i, ''), colour) for title, i, colour in entries],
                ),
            ):
                chosen = combo.currentData()
                combo.blockSignals(True)
                combo.clear()
                for title, data, colour in items:
                    combo.addItem(_swatch(colour) if colour else QIcon(), title, data)
                found = next((i for i in range(combo.count()) if combo.itemData(i) == chosen), 0)
                combo.setCurrentIndex(found)
                combo.blockSignals(False)
            self._fill_class_menu(classes)
            self._filter()
        place = self.next_class.findData(current)
        self.next_class.blockSignals(True)
        self.next_class.setCurrentIndex(max(place, 0))
        self.next_class.blockSignals(False)

    def _fill_class_menu(self, classes: Classes) -> None:
        menu = self.edit_classes.menu()
        menu.clear()
        self._entry(menu, 'Add a class', lambda: self._rename(0))
        for item in classes:
            sub = menu.addMenu(_swatch(item.colour), item.name)
            self._entry(sub, 'Rename…', partial(self._rename, item.class_id))
            self._entry(sub, 'Colour…', partial(self._recolour, item.class_id))
            self._entry(
                sub,
                'Remove',
                partial(self._change_classes, partial(classes.removed, item.class_id)),
            )

    def _entry(self, menu: QMenu, title: str, call: Callable[[], object]) -> None:
        action = QAction(title, menu)
        action.triggered.connect(lambda _checked=False: call())
        menu.addAction(action)

    def _rename(self, class_id: int) -> None:
        classes = self._classes
        if classes is None:
            return
        old = classes.name(class_id) or classes.added().items[-1].name
        name, agreed = QInputDialog.getText(self, 'Class', 'Name of the class', text=old)
        if agreed and name.strip():
            self._change_classes(
                lambda: classes.changed(class_id, name=name) if class_id else classes.added(name)
            )

    def _recolour(self, class_id: int) -> None:
        classes = self._classes
        item = None if classes is None else classes.get(class_id)
        if classes is None or item is None:
            return
        colour = QColorDialog.getColor(QColor(item.colour), self, 'Colour of the class')
        if colour.isValid():
            self._change_classes(lambda: classes.changed(class_id, colour=colour.name()))

    def _change_classes(self, change: Callable[[], Classes]) -> None:
        try:
            self.classes_changed.emit(change())
        except ValueError as reason:
            self.count.setText(str(reason))


def _swatch(colour: str) -> QIcon:
    pixmap = QPixmap(12, 12)
    pixmap.fill(QColor(colour))
    return QIcon(pixmap)


def _table(model: ObjectModel) -> QTableView:
    table = QTableView()
    table.setModel(model)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setAlternatingRowColors(False)
    table.setShowGrid(False)
    table.setWordWrap(False)
    table.setTabKeyNavigation(False)
    table.setIconSize(QSize(SIDE, SIDE))
    table.setMinimumHeight(190)
    table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    rows, columns = table.verticalHeader(), table.horizontalHeader()
    rows.hide()
    # A fixed height: Qt need not ask for ten thousand.
    rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
    rows.setDefaultSectionSize(SIDE + 4)
    columns.setMinimumSectionSize(22)
    columns.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
    columns.setSectionResizeMode(Column.CLASS, QHeaderView.ResizeMode.Stretch)
    columns.setHighlightSections(False)
    # A selection of its own, empty: Qt's header asks the model of each row in each column whether
    # it is selected, before it draws itself.
    columns.setSelectionModel(QItemSelectionModel(model, table))
    for column, width in ((0, 58), (2, 38), (3, 72), (4, 42), (5, 24)):
        columns.resizeSection(column, width)
    table.setSortingEnabled(True)
    table.sortByColumn(Column.ID, Qt.SortOrder.AscendingOrder)
    return table
