"""The scripting API, replay and scripts made from sessions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from fakes import FakeSegmenter
from pictures import CENTRES, RADIUS, disc, iou, plane, stack

from napari_mobilesam import Session
from napari_mobilesam.as_python import as_python
from napari_mobilesam.engine import EverythingOptions, IntensityMapping, PlaneKey, Prompts
from napari_mobilesam.exchange import ExchangeError
from napari_mobilesam.exchange.session_file import find_image, load_session
from napari_mobilesam.replay import replay


class OtherSegmenter(FakeSegmenter):
    """Another model: its masks are a little smaller, and so is what it thinks of them."""

    def decode(self, embedding, prompts):
        from dataclasses import replace

        found = super().decode(embedding, prompts)
        logits = found.logits.copy()
        logits[:, :, 1:] = np.minimum(logits[:, :, 1:], found.logits[:, :, :-1])
        return replace(found, logits=logits, scores=found.scores * 0.9)


def annotated(image: Path) -> Session:
    session = Session.open(image, segmenter=FakeSegmenter())
    for z, (row, column) in enumerate(CENTRES):
        session.segment(points=[(z, row + 2 * z, column)], class_name=('disc', '')[z % 2])
    return session


@pytest.fixture
def image(tmp_path: Path) -> Path:
    tifffile.imwrite(tmp_path / 'stack.tif', stack(), photometric='minisblack')
    return tmp_path / 'stack.tif'


def test_objects_are_segmented_one_by_one(image: Path) -> None:
    session = annotated(image)
    assert [record.label for record in session.objects] == [1, 2, 3]
    for z, (row, column) in enumerate(CENTRES):
        disc = stack()[z] > 100
        found = session.labels[z] == z + 1
        assert found[row + 2 * z, column]
        assert iou(found, found & disc) > 0.95
    assert session.segmentation.info(1).class_name == 'disc'
    assert session.segmentation.info(1).n_prompts == 1


def test_objects_are_followed_found_and_refined_through_a_stack(image: Path) -> None:
    discs = stack() > 100
    session = Session.open(image, segmenter=FakeSegmenter())
    row, column = CENTRES[1]
    label = session.segment(points=[(2, row + 4, column)])
    along, told = session.stack('z' if 'z' in session.picture.axes else 0), []
    confidence = along.propagate([label], progress=lambda *done: told.append(done))
    assert np.isfinite(confidence[label]).all()
    assert told[-1] == (4, 4)
    one = np.zeros_like(discs)
    for z in range(5):
        one[z] = discs[z] & disc(discs[z].shape, (row + 2 * z, column), 2 * RADIUS)
        assert iou(session.labels[z] == label, one[z]) > 0.9
    assert session.objects[0].bounds[0] == (0, 5)
    assert session.objects[0].area == np.count_nonzero(session.labels == label)
    assert sorted(along.find()) == [2, 3]
    assert iou(session.labels > 0, discs) > 0.9
    assert session.undo()
    assert [record.label for record in session.objects] == [label]
    assert session.undo()
    assert np.unique(np.nonzero(session.labels)[0]).tolist() == [2]


def test_a_correction_is_kept_and_its_neighbours_follow(image: Path) -> None:
    session = Session.open(image, segmenter=FakeSegmenter())
    row, column = CENTRES[1]
    label = session.segment(points=[(0, row, column)])
    along = session.stack()
    along.propagate(first=0, last=2)
    assert not session.labels[3:].any()
    session.labels[1][:, column:] = 0
    corrected = session.labels[1].copy()
    along.propagate([label])
    np.testing.assert_array_equal(session.labels[1], corrected)
    assert (session.labels == label).any(axis=(1, 2)).all()


def test_the_slices_of_one_time_point_of_several() -> None:
    session = Session.open(np.stack([stack(), stack()]), axes='tzyx', segmenter=FakeSegmenter())
    row, column = CENTRES[1]
    first = session.segment(points=[(0, 1, row + 2, column)])
    second = session.segment(points=[(1, 2, row + 4, column)])
    assert list(session.stack('z', at=(1, 0)).propagate()) == [second]
    assert (session.labels[1] == second).any(axis=(1, 2)).all()
    assert np.unique(np.nonzero(session.labels[0])[0]).tolist() == [1]
    assert list(session.stack('t', at=(0, 1)).propagate()) == [first, second]


def test_labels_of_another_program_are_refined(image: Path) -> None:
    discs = stack() > 100
    coarse = np.zeros(discs.shape, np.int32)
    for label, (row, column) in enumerate(CENTRES, 7):
        for z in range(5):
            coarse[z][disc(discs[z].shape, (row + 2 * z, column), RADIUS - 4)] = label
    session = Session.open(image, labels=coarse, segmenter=FakeSegmenter())
    assert [record.label for record in session.objects] == [7, 8, 9]
    assert session.objects[0].area == np.count_nonzero(coarse == 7)
    assert session.stack().refine(slices=[1, 2]) == [7, 8, 9]
    assert iou(coarse[1:3] > 0, discs[1:3]) < 0.55
    assert iou(session.labels[1:3] > 0, discs[1:3]) > 0.85
    np.testing.assert_array_equal(session.labels[0], coarse[0])
    assert set(np.unique(session.labels)) == {0, 7, 8, 9}
    assert session.undo()
    np.testing.assert_array_equal(session.labels, coarse)


def test_what_a_stack_cannot_do_is_told(image: Path) -> None:
    session = annotated(image)
    with pytest.raises(ValueError, match=r'expected one of the axes .* got y'):
        session.stack('y')
    with pytest.raises(ValueError, match=r'expected one of the axes .* got 1'):
        session.stack(1)
    along = session.stack()
    with pytest.raises(ValueError, match=r'no objects \[9\]; there are \[1, 2, 3\]'):
        along.propagate([9])
    with pytest.raises(ValueError, match=r'slices from 0 to 4'):
        along.propagate(first=2, last=5)
    with pytest.raises(ValueError, match=r'axes'):
        Session.open(plane(), segmenter=FakeSegmenter()).stack()


def test_a_single_picture_box_negative_points_and_undo() -> None:
    session = Session.open(plane(), segmenter=FakeSegmenter())
    row, column = CENTRES[0]
    first = session.segment(box=[(row - 20, column - 20), (row + 20, column + 20)])
    assert (first, session.segment([(row, column)])) == (1, 0)  # all of its pixels are taken
    assert session.segment([(row, column)], overlap='replace') == 2
    other = CENTRES[2]
    assert session.segment([other, (row, column)], [(row, column)]) == 3
    assert session.undo()
    assert session.redo()
    session.remove(3)
    assert 3 not in session.labels
    assert session.segment_each([other, other]) == [4, 0]
    while session.undo():
        pass
    assert not session.labels.any()


@pytest.mark.parametrize(
    'prompts',
    [
        {},
        {'points': [(1, 2)]},
        {'points': [(0, 1, 2), (1, 1, 2)]},
        {'points': [(9, 1, 2)]},
        {'points': [(0, 900, 2)]},
        {'points': [(0, float('nan'), 2)]},
        {'box': [(0, 1, 2)]},
    ],
)
def test_wrong_prompts_are_told(prompts: dict) -> None:
    session = Session.open(stack(), segmenter=FakeSegmenter())
    with pytest.raises((ValueError, IndexError)):
        session.segment(**prompts)
    assert not session.labels.any()


def test_objects_that_are_there_are_kept(image: Path, tmp_path: Path) -> None:
    first = annotated(image)
    first.export(tmp_path / 'labels.tif')
    session = Session.open(image, labels=tmp_path / 'labels.tif', segmenter=FakeSegmenter())
    row, column = CENTRES[0]
    assert session.segment([(4, row + 8, column)]) == 4
    with pytest.raises(ExchangeError, match='shape'):
        Session.open(plane(), labels=tmp_path / 'labels.tif')


def test_everything_is_what_points_would_give() -> None:
    session = Session.open(stack(3), segmenter=FakeSegmenter())
    told: list[tuple[int, int]] = []
    options = EverythingOptions(points_per_side=12)
    ids = session.segment_everything(
        [(0,), (2,)], class_name='disc', options=options, progress=lambda *n: told.append(n)
    )
    assert told == [(0, 2), (1, 2), (2, 2)]
    assert not session.labels[1].any()
    for z in (0, 2):
        for row, column in CENTRES:
            label = session.labels[z, row + 2 * z, column]
            assert label in ids
            assert session.segmentation.info(int(label)).class_name == 'disc'
    assert session.undo()
    assert not session.labels[2].any()


def test_sessions_are_saved_and_loaded(image: Path, tmp_path: Path) -> None:
    before = annotated(image)
    path = before.save(tmp_path / 'a')
    after = Session.load(path, segmenter=FakeSegmenter())
    assert np.array_equal(after.labels, before.labels)
    assert after.objects == before.objects
    assert after.undo()
    assert 3 not in after.labels


def test_replay_by_the_same_model_is_identical(image: Path, tmp_path: Path) -> None:
    before = annotated(image)
    row, column = CENTRES[1]
    # the second best mask; one that takes pixels of another; one seen from the side
    before.segment([(0, row, column)], candidate=2)
    before.segment([(0, row, column)], overlap='replace', prompted_only=False)
    before.remove(2)
    side = PlaneKey('', (0, 2), (CENTRES[0][0] + 8,))
    before.segment_plane(side, Prompts(((4.0, CENTRES[0][1] * 1.0),), (True,)))
    saved = load_session(before.save(tmp_path / 'a'))
    done = replay(saved, find_image(saved), segmenter=FakeSegmenter())
    assert done.identical
    assert (done.predicted, done.copied) == (6, 1)
    assert np.array_equal(done.session.labels, before.labels)
    assert {c.iou for c in done.comparisons} == {1.0}


def test_replay_by_another_model_compares(image: Path, tmp_path: Path) -> None:
    saved = load_session(annotated(image).save(tmp_path / 'a'))
    done = replay(saved, find_image(saved), segmenter=OtherSegmenter('other'))
    assert not done.identical
    assert [c.label for c in done.comparisons] == [1, 2, 3]
    assert [c.class_name for c in done.comparisons] == ['disc', '', 'disc']
    for comparison in done.comparisons:
        assert 0.8 < comparison.iou < 1
        recorded = saved.labels == comparison.label
        replayed = done.session.labels == comparison.label
        assert comparison.iou == pytest.approx(iou(recorded, replayed))
        assert comparison.recorded == recorded.sum() > comparison.replayed == replayed.sum()


def test_a_script_does_the_same(image: Path, tmp_path: Path, monkeypatch) -> None:
    before = annotated(image)
    side = PlaneKey('', (0, 2), (CENTRES[0][0] + 8,))
    before.segment_plane(side, Prompts(((4.0, CENTRES[0][1] * 1.0),), (True,)))
    script = as_python(before.records, before.identity)
    made: list[Session] = []

    def opened(*args, **kwargs):
        made.append(original(*args, segmenter=FakeSegmenter(), **kwargs))
        return made[-1]

    original = Session.open
    monkeypatch.setattr(Session, 'open', opened)
    monkeypatch.chdir(tmp_path)
    exec(compile(script, 'script', 'exec'), {})
    assert np.array_equal(made[0].labels, before.labels)
    assert (tmp_path / 'labels.ome.zarr').is_dir()
    assert [r.class_id for r in made[0].objects] == [r.class_id for r in before.objects]


def test_a_script_says_how_intensities_were_mapped(image: Path) -> None:
    mapping = IntensityMapping('full', gamma=0.5)
    session = Session.open(image, segmenter=FakeSegmenter(), mapping=mapping)
    session.segment([(0, *CENTRES[0])])
    script = as_python(session.records, session.identity, 'vit_b')
    assert "weights='vit_b', mapping=IntensityMapping(mode='full'" in script
    assert 'from napari_mobilesam.engine import IntensityMapping\n' in script


def test_the_name_costs_nothing_until_it_is_used() -> None:
    code = """
import sys, napari_mobilesam
assert 'Session' in dir(napari_mobilesam)
print(sorted({'numpy', 'torch', 'napari'} & set(sys.modules)))
napari_mobilesam.Session
print(sorted({'torch', 'napari', 'qtpy', 'skimage', 'pandas'} & set(sys.modules)))
"""
    result = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    assert result.stdout.split('\n')[:2] == ['[]', '[]']
