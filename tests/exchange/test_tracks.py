"""Tracks written for other programs."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile

from napari_mobilesam.engine.stacks import MaskPatch
from napari_mobilesam.engine.stacks.linking import SliceObject
from napari_mobilesam.engine.stacks.tracking import Tracking
from napari_mobilesam.exchange import ExchangeError
from napari_mobilesam.exchange.track_graph import TrackGrid
from napari_mobilesam.exchange.tracks import write_tracks

GRID = TrackGrid(6, (40, 60), (0.5, 0.25), 'micrometer', 2.0, 'second', 'movie\x01.tif')


def block(t: int, row: int, column: int, score: float = 0.9) -> SliceObject:
    return SliceObject(t, MaskPatch.cut(np.ones((4, 6), bool), row, column), score)


@pytest.fixture
def lineage() -> Tracking:
    """One divides after frame 1; one of the two is missing on frame 3; one was seen once."""
    return Tracking(
        {
            1: (block(0, 10, 20), block(1, 10, 20)),
            2: (block(2, 4, 20), block(4, 4, 20)),
            3: (block(2, 16, 20, 0.5), block(3, 16, 20)),
            4: (block(5, 30, 50),),
        },
        {2: 1, 3: 1},
    )


def test_the_format_of_the_challenge(tmp_path: Path, lineage: Tracking) -> None:
    write_tracks(lineage, tmp_path / 'RES', GRID)
    assert len(list((tmp_path / 'RES').iterdir())) == 7
    lines = (tmp_path / 'RES/res_track.txt').read_text().splitlines()
    assert lines == ['1 0 1 0', '2 2 4 1', '3 2 3 1', '4 5 5 0']
    labels = [tifffile.imread(tmp_path / f'RES/mask{t:03}.tif') for t in range(6)]
    assert labels[0].dtype == np.uint16
    assert [np.unique(plane[plane > 0]).tolist() for plane in labels] == [
        [1],
        [1],
        [2, 3],
        [3],
        [2],
        [4],
    ]
    many = Tracking({70000: (block(0, 5, 5),)}, {})
    with pytest.raises(ExchangeError, match='room for 65535'):
        write_tracks(many, tmp_path / 'many', GRID)
    assert not (tmp_path / 'many').exists()


def test_trackmate(tmp_path: Path, lineage: Tracking) -> None:
    path = tmp_path / 'tracks.xml'
    write_tracks(lineage, path, GRID)
    root = ElementTree.parse(path).getroot()
    model = root.find('Model')
    assert model is not None
    assert model.attrib == {'spatialunits': 'micrometer', 'timeunits': 'second'}
    spots = {spot.get('ID'): spot for spot in model.iter('Spot')}
    assert len(spots) == 7
    spot = spots['0']
    # the centre of rows 10-13 and columns 20-25
    assert float(spot.get('POSITION_Y', '')) == pytest.approx(11.5 * 0.5)
    assert float(spot.get('POSITION_X', '')) == pytest.approx(22.5 * 0.25)
    ring = np.array((spot.text or '').split(), float).reshape(-1, 2)
    assert len(ring) == int(spot.get('ROI_N_POINTS', '')) == 4
    assert np.abs(ring[:, 0]).tolist() == pytest.approx([3 * 0.25] * 4)
    assert np.abs(ring[:, 1]).tolist() == pytest.approx([2 * 0.5] * 4)
    # one lineage; what was seen once is no track, but a spot
    (track,) = model.iter('Track')
    said = {name: track.get(name) for name in ('NUMBER_SPOTS', 'NUMBER_GAPS', 'NUMBER_SPLITS')}
    assert said == {'NUMBER_SPOTS': '6', 'NUMBER_GAPS': '1', 'NUMBER_SPLITS': '1'}
    edges = {(edge.get('SPOT_SOURCE_ID'), edge.get('SPOT_TARGET_ID')) for edge in track}
    frames = {tuple(int(spots[end or ''].get('FRAME', '')) for end in edge) for edge in edges}
    assert len(edges) == 5
    assert frames == {(0, 1), (1, 2), (2, 4), (2, 3)}
    kept = [one.get('TRACK_ID') for one in model.iter('TrackID')]
    assert kept == [track.get('TRACK_ID')]
    declared = {one.get('feature') for one in model.iter('Feature')}
    for element in (spot, track, track[0]):
        assert set(element.keys()) - {'ID', 'name', 'ROI_N_POINTS'} <= declared
    image = root.find('Settings/ImageData')
    assert image is not None
    assert (image.get('filename'), image.get('nframes'), image.get('width')) == (
        'movie.tif',
        '6',
        '60',
    )


def test_geff(tmp_path: Path, lineage: Tracking) -> None:
    geff = pytest.importorskip('geff', reason='needs the extra [tracking]')
    path = tmp_path / 'tracks.geff'
    write_tracks(lineage, path, GRID)
    graph, metadata = geff.read(path, structure_validation=True)
    assert [axis.unit for axis in metadata.axes] == ['second', 'micrometer', 'micrometer']
    assert len(graph.nodes) == 7
    assert graph.nodes[0]['y'] == pytest.approx(11.5 * 0.5)
    tracks = nodes_by_track(graph)
    assert [len(tracks[n]) for n in (1, 2, 3, 4)] == [2, 2, 2, 1]
    last = tracks[1][-1]
    assert sorted(graph.successors(last)) == sorted((tracks[2][0], tracks[3][0]))
    assert graph.has_edge(*tracks[2])
    with pytest.raises(ExchangeError, match='there already'):
        write_tracks(lineage, path, GRID)
    write_tracks(Tracking({}, {}), path, GRID, overwrite=True)
    graph, _ = geff.read(path)
    assert not graph.nodes


def nodes_by_track(graph: object) -> dict[int, list[int]]:
    tracks: dict[int, list[int]] = {}
    for node, values in sorted(graph.nodes(data=True), key=lambda one: one[1]['t']):  # type: ignore[attr-defined]
        tracks.setdefault(int(values['tracklet']), []).append(node)
    return tracks


def test_without_geff(tmp_path: Path, lineage: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'geff', None)
    with pytest.raises(ExchangeError, match=r'napari-mobilesam\[tracking\]'):
        write_tracks(lineage, tmp_path / 'tracks.geff', GRID)


@pytest.mark.parametrize('name', ['mine', 'mine.geff', 'mine.xml'])
def test_a_folder_with_other_things_is_not_replaced(
    tmp_path: Path, lineage: Tracking, name: str
) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / 'thesis.doc').touch()
    with pytest.raises(ExchangeError):
        write_tracks(lineage, tmp_path / name, GRID, overwrite=True)
    assert (tmp_path / name / 'thesis.doc').exists()
