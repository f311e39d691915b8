"""What panels and scripts can hear from the controller."""

from __future__ import annotations

from qtpy.QtCore import QObject, Signal


class AnnotatorSignals(QObject):
    """The signals of `AnnotatorController`.

    Signals
    -------
    image_changed
        Another image, or none.
    labels_changed
        Another Labels layer, or none.
    candidate_changed (Shown or None)
        What is on display.
    hovered_changed (Hovered or None)
        What a click would give.
    tool_changed
        Active tool or polarity.
    hover_changed (bool)
        The preview under the mouse is on or off.
    status_changed (str, str)
        One line for the user, and its kind: `'ready'`, `'busy'` or `'warning'`.
    timing_changed (object, object)
        Encode and decode time in ms; None leaves the last one.
    committed (SegmentedObject)
        An object is in the labels.
    overlap_asked (dict or None)
        Whose pixels the candidate claims; see `answer_overlap`.
    class_changed
        Another class for the next object.
    class_key (int)
        A number key: the class that the user wants to give.
    plane_changed (PlaneSource or None)
        What the model looks at.
    choice_changed (PictureChoice)
        The picture that the model sees is made in another way.
    guard_changed (str, bool)
        A line about the scale, and whether a frame is in use.
    seen_wanted, help_wanted
        The user asked for these windows by a key.
    """

    image_changed = Signal()
    labels_changed = Signal()
    candidate_changed = Signal(object)
    hovered_changed = Signal(object)
    tool_changed = Signal()
    hover_changed = Signal(bool)
    status_changed = Signal(str, str)
    timing_changed = Signal(object, object)
    encoding_changed = Signal(bool)
    committed = Signal(object)
    overlap_asked = Signal(object)
    class_changed = Signal()
    class_key = Signal(int)
    plane_changed = Signal(object)
    choice_changed = Signal(object)
    guard_changed = Signal(str, bool)
    seen_wanted = Signal()
    help_wanted = Signal()
