from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobile_sam.training.data import (
    Item,
    Reader,
    TrainingDataError,
    modality_weights,
    read_items,
    split_items,
    to_uint8,
)


def make(group: str, stratum: str = 's', modality: str = 'm', n: int = 1) -> list[Item]:
    path = Path('x')
    return [Item(f'{group}{i}', modality, stratum, group, path, path) for i in range(n)]


def test_split_never_divides_a_group_and_keeps_every_fifth_of_each_stratum():
    items = [i for g in range(23) for i in make(f'g{g}', n=3)]
    # A group that also has planes in another stratum must stay whole.
    items += make('g0', 'other') + make('h0', 'other')
    train, held = split_items(items)
    assert not {i.group for i in train} & {i.group for i in held}
    assert len(train) + len(held) == len(items)
    ordered = sorted((f'g{g}' for g in range(23)), key=lambda g: hashlib.sha1(g.encode()).digest())
    assert set(ordered[::5]) <= {i.group for i in held}
    assert not {i.group for i in held} - set(ordered[::5]) - {'g0', 'h0'}


def test_split_trains_on_the_only_group_of_a_stratum():
    train, held = split_items(make('only', n=4))
    assert (len(train), len(held)) == (4, 0)


def test_split_of_the_shared_data_holds_out_every_modality(shared: Path):
    train, held = split_items(read_items(shared / 'data'))
    assert {i.modality for i in held} == {i.modality for i in train}
    assert not {i.group for i in train} & {i.group for i in held}


def test_weights_balance_modalities_by_square_root():
    items = make('a', modality='many', n=100) + make('b', 't', modality='few', n=4)
    weights = modality_weights(items)
    assert weights.sum() == pytest.approx(1)
    assert weights[:100].sum() / weights[100:].sum() == pytest.approx(5)


def test_a_rare_stratum_is_drawn_half_as_often_as_one_of_thirty_times_as_many_images():
    items = make('a', 'common', n=96) + make('b', 'rare', n=3)
    weights = modality_weights(items)
    assert weights[:96].sum() / weights[96:].sum() == pytest.approx(2)


def test_pairs_are_found_and_a_missing_label_is_named(tmp_path: Path):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / 'a_image.png')
    with pytest.raises(TrainingDataError, match='a_label'):
        read_items(tmp_path)
    Image.fromarray(np.ones((8, 8), np.uint16)).save(tmp_path / 'a_label.png')
    (item,) = read_items(tmp_path)
    sample = Reader()(item)
    assert sample.grey
    assert sample.image.shape == (8, 8, 3)
    assert sample.labels.dtype == np.int32
    assert (sample.labels == 1).all()


def test_two_folders_with_equal_stems(tmp_path: Path):
    for modality, labels in (('em', 'labels'), ('dic', 'masks')):
        for kind in ('images', labels):
            (tmp_path / modality / kind).mkdir(parents=True)
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / modality / 'images' / 'a.jpg')
        Image.fromarray(np.ones((8, 8), np.uint16)).save(tmp_path / modality / labels / 'a.png')
    items = read_items(tmp_path)
    assert [(i.name, i.modality, i.group) for i in items] == [
        ('dic/a', 'dic', 'dic/a'), ('em/a', 'em', 'em/a'),
    ]  # fmt: skip
    assert (Reader()(items[0]).labels == 1).all()
    (one,) = read_items(tmp_path / 'em')
    assert (one.name, one.modality) == ('a', 'images')
    (tmp_path / 'em' / 'labels' / 'a.png').unlink()
    with pytest.raises(TrainingDataError, match='same name'):
        read_items(tmp_path)


@pytest.mark.parametrize(
    ('content', 'words'),
    [('[1', 'items'), ('[]', 'items'), ('{"items": [{"id": "a"}]}', 'item 0 has no image')],
)
def test_a_wrong_manifest_is_told(tmp_path: Path, content: str, words: str):
    (tmp_path / 'manifest.json').write_text(content)
    with pytest.raises(TrainingDataError, match=words):
        read_items(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path):
    with pytest.raises(TrainingDataError, match=r'manifest\.json'):
        read_items(tmp_path)


def test_sizes_that_differ_are_refused(tmp_path: Path):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / 'a_image.png')
    Image.fromarray(np.ones((8, 9), np.uint16)).save(tmp_path / 'a_label.png')
    with pytest.raises(TrainingDataError, match=r'\(8, 8\).*\(8, 9\)'):
        Reader()(read_items(tmp_path)[0])


def test_percentile_mapping():
    ramp = np.arange(1001, dtype=np.uint16).reshape(1, -1)
    mapped = to_uint8(ramp)
    assert mapped.min() == 0
    assert mapped.max() == 255
    assert mapped[0, 500] == 128
    assert not to_uint8(np.full((4, 4), 7, np.uint8)).any()
