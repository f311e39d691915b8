"""Tracks to files: for the Cell Tracking Challenge, for TrackMate, and as GEFF.

The end of the name decides: ``.xml`` is TrackMate's, ``.geff`` a folder in the Graph Exchange File
Format, any other name a folder of the challenge.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .errors import ExchangeError
from .files import replacing
from .track_graph import TrackGrid, links_of, spots_of
from .trackmate import write_trackmate

if TYPE_CHECKING:
    from napari_mobilesam.engine.stacks.tracking import Tracking

# What the format of the challenge has room for: ids are uint16.
_MOST_TRACKS = int(np.iinfo(np.uint16).max)


def write_tracks(
    tracking: Tracking, path: Path, grid: TrackGrid, *, overwrite: bool = False
) -> None:
    """Write tracks in the format that the name asks for.

    Parameters
    ----------
    tracking : Tracking
        The tracks.
    path : Path
        ``NAME.xml``, ``NAME.geff`` or another name, see above.
    grid : TrackGrid
        What they lie on.
    overwrite : bool
        Whether it may take the place of such a file or folder.

    Raises
    ------
    ExchangeError
        If it cannot be written; nothing is changed then.
    """
    write = {'.xml': write_trackmate, '.geff': write_geff}.get(path.suffix.lower(), write_ctc)
    write(tracking, path, grid, overwrite=overwrite)


def write_ctc(
    tracking: Tracking, folder: Path, grid: TrackGrid, *, overwrite: bool = False
) -> None:
    """Write the format of the Cell Tracking Challenge; parameters as of `write_tracks`.

    ``maskTTT.tif`` are the labels of the frames, uint16; ``res_track.txt`` has a line ``L B E P``
    for each track: id, first frame, last frame, parent or 0.

    Raises
    ------
    ExchangeError
        Also if there are more tracks than the format has ids.
    """
    import tifffile

    if max(tracking.tracks, default=0) > _MOST_TRACKS:
        raise ExchangeError(
            f'the format of the Cell Tracking Challenge has room for {_MOST_TRACKS} tracks; got '
            f'{max(tracking.tracks)}: leave out short ones by min_frames'
        )
    digits = max(3, len(str(grid.count - 1)))
    with replacing(folder, overwrite, _is_ctc) as part:
        part.mkdir()
        for index in range(grid.count):
            labels = tracking.paint(index, grid.shape).astype(np.uint16)
            tifffile.imwrite(part / f'mask{index:0{digits}}.tif', labels, compression='zlib')
        lines = [
            f'{label} {members[0].index} {members[-1].index} {tracking.parents.get(label, 0)}\n'
            for label, members in sorted(tracking.tracks.items())
        ]
        (part / 'res_track.txt').write_text(''.join(lines), encoding='ascii', newline='\n')


def write_geff(tracking: Tracking, path: Path, grid: TrackGrid, *, overwrite: bool = False) -> None:
    """Write a folder in the Graph Exchange File Format; parameters as of `write_tracks`.

    A node for each object of each frame: ``t``, ``y``, ``x`` in units of the grid, ``tracklet``,
    the id of its track, ``area`` in pixels, and ``score``. Edges go forwards in time, through
    gaps and from what divided to what came out of it.

    Raises
    ------
    ExchangeError
        Also if the package geff is missing.

    Notes
    -----
    https://liveimagetrackingtools.org/geff/
    """
    try:
        from geff import GeffMetadata
        from geff.core_io import write_arrays
    except ImportError:
        raise ExchangeError(
            'GEFF needs the package geff, which is not installed: '
            "pip install 'napari-mobilesam[tracking]'; or write TrackMate's .xml"
        ) from None
    spots = list(spots_of(tracking))
    columns: dict[str, list[float] | list[int]] = {
        't': [one.index * grid.interval for _, _, one in spots],
        'y': [one.patch.centroid[0] * grid.pixel[0] for _, _, one in spots],
        'x': [one.patch.centroid[1] * grid.pixel[1] for _, _, one in spots],
        'score': [float(one.score) for _, _, one in spots],
        'tracklet': [track for _, track, _ in spots],
        'area': [one.patch.area for _, _, one in spots],
    }
    units = {'t': grid.time_unit, 'y': grid.unit, 'x': grid.unit}
    metadata = GeffMetadata(
        directed=True,
        axes=[
            {'name': name, 'type': 'time' if name == 't' else 'space', 'unit': unit}
            for name, unit in units.items()
        ],
        node_props_metadata={},
        edge_props_metadata={},
        track_node_props={'tracklet': 'tracklet'},
    )
    with replacing(path, overwrite, _is_geff) as part:
        write_arrays(
            part,
            node_ids=np.array([number for number, _, _ in spots], np.uint64),
            node_props={
                name: {'values': np.array(values), 'missing': None}
                for name, values in columns.items()
            },
            edge_ids=np.array(links_of(tracking), np.uint64).reshape(-1, 2),
            edge_props={},
            metadata=metadata,
        )


def _is_ctc(folder: Path) -> bool:
    return all(
        one.name == 'res_track.txt' or (one.name.startswith('mask') and one.suffix == '.tif')
        for one in folder.iterdir()
    )


def _is_geff(folder: Path) -> bool:
    known = {'zarr.json', '.zattrs', '.zgroup', '.zmetadata', 'nodes', 'edges'}
    return all(one.name in known for one in folder.iterdir())
