"""Copy as Python: a script on the public API that does what was done."""

from __future__ import annotations

from dataclasses import replace

from napari_mobilesam.engine import IntensityMapping, Making, SegmentedObject, Session
from napari_mobilesam.exchange.identity import ImageIdentity


def as_python(session: Session, identity: ImageIdentity, weights: str | None = None) -> str:
    """Return a script that makes the objects of a session from their prompts.

    Objects that were painted by hand, or followed through a stack, have no prompts of one plane;
    a comment says which ones they are.

    Parameters
    ----------
    session : Session
        The objects.
    identity : ImageIdentity
        The image.
    weights : str, optional
        Name or file of the checkpoint; None for the bundled one.
    """
    mappings = [record.mapping for record in session if record.mapping is not None]
    usual = max(set(mappings), key=mappings.count, default=IntensityMapping())
    lines = ['from napari_mobilesam import Session']
    names = ['IntensityMapping'] * (usual != IntensityMapping())
    body = [_opening(identity, weights, usual)]
    for record in session:
        if len(record.prompted) == 1 and record.prompts:
            call, used = _call(record, session, usual)
            body.append(call)
            names += used
        else:
            body.append(f'# object {record.label} has no prompts of one plane')
    if names:
        lines.append(f'from napari_mobilesam.engine import {", ".join(sorted(set(names)))}')
    return '\n'.join([*lines, '', *body, "session.export('labels.ome.zarr')", ''])


def _opening(identity: ImageIdentity, weights: str | None, mapping: IntensityMapping) -> str:
    arguments = [repr(identity.path or f'{identity.name}.tif')]
    if weights is not None:
        arguments.append(f'weights={weights!r}')
    if mapping != IntensityMapping():
        arguments.append(f'mapping={mapping!r}')
    return f'session = Session.open({", ".join(arguments)})'


def _call(
    record: SegmentedObject, session: Session, usual: IntensityMapping
) -> tuple[str, list[str]]:
    plane, prompts = replace(record.prompted[0].plane, source=''), record.prompts
    making = record.prompted[0].making or Making()
    ndim = plane.ndim
    name = session.classes.name(record.class_id)
    more = [f'class_name={name!r}'] if name else []
    if prompts.mask is not None:
        return f'# object {record.label} was made from a mask, which is too long for a script', []
    if not making.plain:
        return f'# object {record.label} was made on a picture of several layers, or of a part', []
    if making.candidate is not None:
        more.append(f'candidate={making.candidate}')
    if not making.prompted_only:
        more.append('prompted_only=False')
    own = record.mapping is not None and record.mapping != usual
    special = own or making.frame is not None or bool(making.tidy)
    if plane.displayed == (ndim - 2, ndim - 1) and not special:
        arguments = []
        for word, wanted in (('points', True), ('negative', False)):
            chosen = [
                (*plane.index, *point)
                for point, positive in zip(prompts.points, prompts.positive, strict=True)
                if positive is wanted
            ]
            if chosen:
                arguments.append(f'{word}={chosen!r}')
        if prompts.box is not None:
            corners = [(*plane.index, *prompts.box[:2]), (*plane.index, *prompts.box[2:])]
            arguments.append(f'box={corners!r}')
        return f'session.segment({", ".join(arguments + more)})', []
    used = ['PlaneKey', 'Prompts']
    for word, value in (
        ('mapping', record.mapping if own else None),
        ('frame', making.frame),
        ('tidy', making.tidy or None),
    ):
        if value is not None:
            more.append(f'{word}={value!r}')
            used.append(type(value).__name__)
    return f'session.segment_plane({", ".join([repr(plane), repr(prompts), *more])})', used
