"""TrackMate's files: spots with contours, and the lineages that they are part of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .files import replacing
from .polygons import trace
from .track_graph import TrackGrid, lineages_of, links_of, spots_of

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from napari_mobilesam.engine.stacks.linking import SliceObject
    from napari_mobilesam.engine.stacks.patch import MaskPatch
    from napari_mobilesam.engine.stacks.tracking import Tracking

# The layout of the files of this version is what is written.
_TRACKMATE = '7.14.0'
_FEATURES = {
    'SpotFeatures': (
        ('QUALITY', 'Quality', 'QUALITY', False),
        ('POSITION_X', 'X', 'POSITION', False),
        ('POSITION_Y', 'Y', 'POSITION', False),
        ('POSITION_Z', 'Z', 'POSITION', False),
        ('POSITION_T', 'T', 'TIME', False),
        ('FRAME', 'Frame', 'NONE', True),
        ('RADIUS', 'Radius', 'LENGTH', False),
        ('VISIBILITY', 'Visibility', 'NONE', True),
    ),
    'EdgeFeatures': (
        ('SPOT_SOURCE_ID', 'Source spot ID', 'NONE', True),
        ('SPOT_TARGET_ID', 'Target spot ID', 'NONE', True),
        ('EDGE_TIME', 'Edge time', 'TIME', False),
    ),
    'TrackFeatures': (
        ('TRACK_INDEX', 'Track index', 'NONE', True),
        ('TRACK_ID', 'Track ID', 'NONE', True),
        ('NUMBER_SPOTS', 'Number of spots in track', 'NONE', True),
        ('NUMBER_GAPS', 'Number of gaps', 'NONE', True),
        ('NUMBER_SPLITS', 'Number of split events', 'NONE', True),
        ('TRACK_START', 'Track start', 'TIME', False),
        ('TRACK_STOP', 'Track stop', 'TIME', False),
        ('TRACK_DURATION', 'Duration of track', 'TIME', False),
    ),
}


def write_trackmate(
    tracking: Tracking, path: Path, grid: TrackGrid, *, overwrite: bool = False
) -> None:
    """Write a file that TrackMate opens, with contours; parameters as of `tracks.write_tracks`.

    A track of TrackMate is a whole lineage: what came out of a division belongs to it. An object
    that is on one frame only is a spot without a track, as TrackMate has it.

    Notes
    -----
    J.-Y. Tinevez et al., TrackMate: an open and extensible platform for single-particle tracking,
    Methods 115 (2017) 80-90; https://imagej.net/plugins/trackmate.
    """
    from xml.etree import ElementTree

    root = ElementTree.Element('TrackMate', version=_TRACKMATE)
    model = _child(root, 'Model', spatialunits=grid.unit, timeunits=grid.time_unit)
    _declare(_child(model, 'FeatureDeclarations'))
    spots = list(spots_of(tracking))
    _add_spots(_child(model, 'AllSpots', nspots=len(spots)), spots, grid)
    lineages = _add_tracks(_child(model, 'AllTracks'), tracking, spots, grid)
    kept = _child(model, 'FilteredTracks')
    for lineage in lineages:
        _child(kept, 'TrackID', TRACK_ID=lineage)
    _add_settings(_child(root, 'Settings'), grid)
    _child(root, 'GUIState', state='ConfigureViews')
    ElementTree.indent(root)
    with replacing(path, overwrite) as part:
        ElementTree.ElementTree(root).write(part, encoding='UTF-8', xml_declaration=True)


def _child(parent: Element, tag: str, **attributes: object) -> Element:
    from xml.etree.ElementTree import SubElement

    return SubElement(parent, tag, {name: _said(value) for name, value in attributes.items()})


def _said(value: object) -> str:
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, str):
        # XML 1.0 has no way to say control characters, which names of layers may have
        return ''.join(sign for sign in value if sign.isprintable())
    return str(value)


def _declare(parent: Element) -> None:
    for kind, features in _FEATURES.items():
        group = _child(parent, kind)
        for feature, name, dimension, integer in features:
            _child(
                group,
                'Feature',
                feature=feature,
                name=name,
                shortname=name,
                dimension=dimension,
                isint=integer,
            )


def _add_spots(parent: Element, spots: list[tuple[int, int, SliceObject]], grid: TrackGrid) -> None:
    frames: dict[int, list[tuple[int, SliceObject]]] = {}
    for number, _, one in spots:
        frames.setdefault(one.index, []).append((number, one))
    for frame, present in sorted(frames.items()):
        group = _child(parent, 'SpotsInFrame', frame=frame)
        for number, one in present:
            row, column = one.patch.centroid
            ring = _contour(one.patch, grid)
            spot = _child(
                group,
                'Spot',
                ID=number,
                name=f'ID{number}',
                QUALITY=float(one.score),
                POSITION_X=column * grid.pixel[1],
                POSITION_Y=row * grid.pixel[0],
                POSITION_Z=0.0,
                POSITION_T=frame * grid.interval,
                FRAME=frame,
                RADIUS=one.patch.radius * float(np.sqrt(grid.pixel[0] * grid.pixel[1])),
                VISIBILITY=1,
                ROI_N_POINTS=len(ring) // 2,
            )
            spot.text = ' '.join(f'{value:.6g}' for value in ring)


def _contour(patch: MaskPatch, grid: TrackGrid) -> list[float]:
    """Return the outline of the largest part: x, y, x, y … from the centre, in the grid's units."""
    ring = max((part.shell for part in trace(patch.mask, (patch.row, patch.column))), key=_extent)
    away = (ring - patch.centroid) * grid.pixel
    values: list[float] = away[:, ::-1].ravel().tolist()
    return values


def _extent(ring: np.ndarray) -> float:
    rows, columns = ring.T
    return abs(float(np.dot(rows, np.roll(columns, 1)) - np.dot(columns, np.roll(rows, 1))))


def _add_tracks(
    parent: Element,
    tracking: Tracking,
    spots: list[tuple[int, int, SliceObject]],
    grid: TrackGrid,
) -> list[int]:
    """Add the lineages that have links; returns their ids."""
    root_of = lineages_of(tracking)
    frame_of = {number: one.index for number, _, one in spots}
    track_of = {number: track for number, track, _ in spots}
    links: dict[int, list[tuple[int, int]]] = {}
    for source, target in links_of(tracking):
        links.setdefault(root_of[track_of[target]], []).append((source, target))
    for index, (root, edges) in enumerate(sorted(links.items())):
        members = sorted({number for edge in edges for number in edge})
        frames = [frame_of[number] for number in members]
        sources = [source for source, _ in edges]
        track = _child(
            parent,
            'Track',
            name=f'Track_{root}',
            TRACK_INDEX=index,
            TRACK_ID=root,
            NUMBER_SPOTS=len(members),
            NUMBER_GAPS=sum(frame_of[b] - frame_of[a] > 1 for a, b in edges),
            NUMBER_SPLITS=sum(sources.count(source) > 1 for source in set(sources)),
            TRACK_START=min(frames) * grid.interval,
            TRACK_STOP=max(frames) * grid.interval,
            TRACK_DURATION=(max(frames) - min(frames)) * grid.interval,
        )
        for source, target in edges:
            middle = (frame_of[source] + frame_of[target]) / 2 * grid.interval
            _child(track, 'Edge', SPOT_SOURCE_ID=source, SPOT_TARGET_ID=target, EDGE_TIME=middle)
    return sorted(links)


def _add_settings(parent: Element, grid: TrackGrid) -> None:
    _child(
        parent,
        'ImageData',
        filename=grid.name,
        folder='',
        width=grid.shape[1],
        height=grid.shape[0],
        nslices=1,
        nframes=grid.count,
        pixelwidth=grid.pixel[1],
        pixelheight=grid.pixel[0],
        voxeldepth=1.0,
        timeinterval=grid.interval,
    )
    _child(
        parent,
        'BasicSettings',
        xstart=0,
        xend=grid.shape[1] - 1,
        ystart=0,
        yend=grid.shape[0] - 1,
        zstart=0,
        zend=0,
        tstart=0,
        tend=grid.count - 1,
    )
    _child(parent, 'InitialSpotFilter', feature='QUALITY', value=0.0, isabove=True)
    _child(parent, 'SpotFilterCollection')
    _child(parent, 'TrackFilterCollection')
    analyzers = _child(parent, 'AnalyzerCollection')
    for kind in ('SpotAnalyzers', 'EdgeAnalyzers', 'TrackAnalyzers'):
        _child(analyzers, kind)
