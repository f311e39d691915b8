"""Copy as Python: a script on the public API that does what was done."""

from __future__ import annotations

from napari_mobilesam.engine import IntensityMapping, SegmentedObject, Session
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
    plane, prompts = record.prompted[0].plane, record.prompts
    ndim = plane.ndim
    name = session.classes.name(record.class_id)
    more = [f'class_name={name!r}'] if name else []
    own = record.mapping is not None and record.mapping != usual
    if plane.displayed == (ndim - 2, ndim - 1) and prompts.mask is None and not own:
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
    if prompts.mask is not None:
        return f'# object {record.label} was made from a mask, which is too long for a script', []
    if own:
        more.append(f'mapping={record.mapping!r}')
    used = ['PlaneKey', 'Prompts', *['IntensityMapping'] * own]
    return f'session.segment_plane({", ".join([repr(plane), repr(prompts), *more])})', used
