"""From the engine's records to what is exported."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from napari_mobilesam.engine import SegmentedObject, Session

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


def _colour(text: str) -> Colour:
    red, green, blue = bytes.fromhex(text[1:])
    return red, green, blue
