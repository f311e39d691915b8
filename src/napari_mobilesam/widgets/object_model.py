"""The objects of a session as a table for Qt."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt, Signal
from qtpy.QtGui import QColor

from .object_rows import Filter, ObjectRows

if TYPE_CHECKING:
    from napari_mobilesam.engine import SegmentedObject, Session

    from .thumbnails import Thumbnails

# With more changes at once, making the table anew is quicker than row after row.
_MANY = 50
_DISPLAY, _DECORATION = Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.DecorationRole
_TOOLTIP, _ALIGNMENT = Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.TextAlignmentRole


class Column(IntEnum):
    """The columns, from left to right."""

    ID = 0
    CLASS = 1
    WHERE = 2
    AREA = 3
    SCORE = 4
    FLAGS = 5


_NUMBER = len(Column)
_TITLES = ('Id', 'Class', 'Slice', 'Area', 'Score', '')
_HINTS = (
    'The id in the labels',
    'The class',
    'The slice, or the first and last one',
    'Area, in the units of the labels layer',
    "The model's own estimate of how well the mask fits; click to see the least certain first",
    '? unclear, ✓ reviewed',
)


class ObjectModel(QAbstractTableModel):
    """Rows for the objects of a session, kept in step with it.

    One object more, fewer or changed touches one row; sorting and filtering are done here, see
    `ObjectRows`.

    Parameters
    ----------
    thumbnails
        The pictures.

    Signals
    -------
    about_to_fill, filled
        The table is made anew: who shows it keeps the selection.
    """

    about_to_fill = Signal()
    filled = Signal()

    def __init__(self, thumbnails: Thumbnails) -> None:
        super().__init__()
        self._thumbnails = thumbnails
        self._session: Session | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._rows = ObjectRows()
        self._column = Column.ID
        self._filter = Filter()
        self._where: Callable[[SegmentedObject], str] = lambda _record: ''
        self._size: Callable[[SegmentedObject], str] = lambda record: str(record.area)
        thumbnails.made.connect(self._on_thumbnails)

    # -- what is shown

    def show_session(
        self,
        session: Session | None,
        where: Callable[[SegmentedObject], str],
        size: Callable[[SegmentedObject], str],
    ) -> None:
        """Show the objects of another session.

        Parameters
        ----------
        session
            None for no objects.
        where
            Says on which slices an object is.
        size
            Says how large it is.
        """
        self._where, self._size = where, size
        if session is self._session:
            return
        self.close()
        self._session = session
        self._thumbnails.clear()
        if session is not None:
            self._unsubscribe = session.subscribe(self._on_records)
        self._fill()

    def close(self) -> None:
        """Follow no session any more."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        self._unsubscribe = self._session = None

    def set_filter(self, wanted: Filter) -> None:
        """List only some objects."""
        if wanted != self._filter:
            self._filter = wanted
            self._fill()

    def record(self, row: int) -> SegmentedObject | None:
        """Return the object in a row."""
        if self._session is None or not 0 <= row < len(self._rows):
            return None
        return self._session.get(self._rows.label(row))

    def row(self, label: int) -> int | None:
        """Return the row of an object; None where it is not listed."""
        return self._rows.row(label)

    # -- Qt's side

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else _NUMBER

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = _DISPLAY
    ) -> str | None:
        if orientation == Qt.Orientation.Horizontal:
            if role == _DISPLAY:
                return _TITLES[section]
            if role == _TOOLTIP:
                return _HINTS[section]
        return None

    def data(self, index: QModelIndex, role: int = _DISPLAY) -> Any:
        if role not in (_DISPLAY, _DECORATION, _TOOLTIP, _ALIGNMENT):
            return None
        record = self.record(index.row())
        if record is None or self._session is None:
            return None
        column = index.column()
        if role == _DISPLAY:
            return self._text(record, column)
        if role == _DECORATION:
            if column == Column.ID:
                return self._thumbnails.pixmap(record, self._colour(record))
            if column == Column.CLASS and record.class_id:
                return QColor(self._colour(record))
            return None
        if role == _TOOLTIP:
            return self._hint(record)
        right = column in (Column.AREA, Column.SCORE, Column.WHERE)
        side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
        return side | Qt.AlignmentFlag.AlignVCenter

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        wanted, descending = Column(max(column, 0)), order == Qt.SortOrder.DescendingOrder
        if (wanted, descending) == (self._column, self._rows.descending):
            return  # kept in that order anyway; Qt asks twice for each click
        self.about_to_fill.emit()
        self._column = wanted
        self._rows.descending = descending
        self._fill(told=True)

    # -- texts

    def _text(self, record: SegmentedObject, column: int) -> str:
        if column == Column.ID:
            return str(record.label)
        if column == Column.CLASS:
            return self._class_name(record)
        if column == Column.WHERE:
            return self._where(record)
        if column == Column.AREA:
            return self._size(record)
        if column == Column.SCORE:
            return '' if record.score is None else f'{record.score:.2f}'
        return ('?' if record.unclear else '') + ('✓' if record.reviewed else '')

    def _hint(self, record: SegmentedObject) -> str:
        made = f'{len(record.prompted)} prompted' if record.prompted else 'painted or loaded'
        return f'Object {record.label}: {record.area:,} px, {made}'

    def _class_name(self, record: SegmentedObject) -> str:
        return '' if self._session is None else self._session.classes.name(record.class_id)

    def _colour(self, record: SegmentedObject) -> str:
        found = None if self._session is None else self._session.classes.get(record.class_id)
        return '#1ad9ff' if found is None else found.colour

    def _key(self, record: SegmentedObject) -> Any:
        if self._column == Column.CLASS:
            return self._class_name(record)
        if self._column == Column.WHERE:
            return record.bounds
        if self._column == Column.AREA:
            return record.area
        if self._column == Column.SCORE:
            return 2.0 if record.score is None else record.score
        if self._column == Column.FLAGS:
            return (not record.unclear, record.reviewed)
        return record.label

    def _wanted(self, record: SegmentedObject) -> bool:
        return self._filter.accepts(record, self._class_name(record))

    # -- following the session

    def _fill(self, *, told: bool = False) -> None:
        if not told:
            self.about_to_fill.emit()
        self.beginResetModel()
        records = () if self._session is None else self._session.objects
        wanted = records if self._filter == Filter() else filter(self._wanted, records)
        self._rows.fill(wanted, self._key)
        self.endResetModel()
        self.filled.emit()

    def _on_records(self, labels: tuple[int, ...] | None) -> None:
        if labels is None or len(labels) > _MANY:
            self._fill()
            return
        for label in labels:
            self._refresh(label)

    def _refresh(self, label: int) -> None:
        record = None if self._session is None else self._session.get(label)
        key = None if record is None or not self._wanted(record) else self._key(record)
        row = self._rows.row(label)
        if row is not None and key is not None and key == self._rows.key(label):
            self.dataChanged.emit(self.index(row, 0), self.index(row, len(Column) - 1))
            return
        if row is not None:
            self.beginRemoveRows(QModelIndex(), row, row)
            self._rows.remove(label)
            self.endRemoveRows()
        if key is not None:
            row = self._rows.place_for(key, label)
            self.beginInsertRows(QModelIndex(), row, row)
            self._rows.insert(key, label)
            self.endInsertRows()

    def _on_thumbnails(self, labels: list[int]) -> None:
        for label in labels:
            row = self._rows.row(label)
            if row is not None:
                with suppress(RuntimeError):  # the window may be going
                    self.dataChanged.emit(self.index(row, 0), self.index(row, 0), [_DECORATION])
