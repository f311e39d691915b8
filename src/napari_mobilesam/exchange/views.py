"""From the engine's records to what is exported, and from what was imported to records."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from napari_mobilesam.engine import CancelToken, Classes, SegmentedObject, Session, Survey

from .images import Picture
from .segmentation import Colour, ObjectInfo, Segmentation


def segmentation_of(picture: Picture, labels: NDArray[Any], session: Session) -> Segmentation:
    """Return labels with the calibration of their image and the records of a session."""
    return Segmentation(
        labels,
        picture.axes,
        picture.scale,
        picture.unit,
        {record.label: info_of(record, session) for record in session},
        {item.name: _colour(item.colour) for item in session.classes},
        picture.name,
        picture.pixels,
    )


def info_of(record: SegmentedObject, session: Session) -> ObjectInfo:
    """Return what is exported of a record."""
    prompts = sum(
        len(p.prompts.points) + (p.prompts.box is not None) + (p.prompts.mask is not None)
        for p in record.prompted
    )
    return ObjectInfo(
        record.label,
        session.classes.name(record.class_id),
        tuple(flag for flag in ('reviewed', 'unclear') if getattr(record, flag)),
        record.score,
        prompts,
    )


def session_of(segmentation: Segmentation, cancel: CancelToken | None = None) -> Session:
    """Return records of all objects of labels that were imported, as they can be edited on.

    Reads all labels: for a worker.

    Raises
    ------
    Cancelled
        If the token was cancelled.
    """
    survey = Survey(segmentation.labels)
    while not survey.advance(CancelToken() if cancel is None else cancel):
        pass
    session = Session()
    classes = Classes()
    names = {info.class_name for info in segmentation.objects.values()} | {*segmentation.colours}
    for name in sorted(names - {''}):
        colour = segmentation.colours.get(name)
        text = '' if colour is None else '#' + bytes(colour).hex()
        classes = classes.added(name, text)
    session.classes = classes
    numbers = {item.name: item.class_id for item in classes}
    records = []
    for label, found in survey.found.items():
        info = segmentation.info(label)
        records.append(
            replace(
                found,
                score=info.score,
                class_id=numbers.get(info.class_name.strip(), 0),
                reviewed='reviewed' in info.flags,
                unclear='unclear' in info.flags,
            )
        )
    session.learn(records)
    return session


def _colour(text: str) -> Colour:
    red, green, blue = bytes.fromhex(text[1:])
    return red, green, blue
