"""Crops, boxes, repairs of masks and the table of masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mobile_sam.utils import amg


def test_every_name_of_the_reference_is_here() -> None:
    names = """MaskData is_box_near_crop_edge box_xyxy_to_xywh batch_iterator mask_to_rle_pytorch
    rle_to_mask area_from_rle calculate_stability_score build_point_grid
    build_all_layer_point_grids generate_crop_boxes uncrop_boxes_xyxy uncrop_points uncrop_masks
    remove_small_regions coco_encode_rle batched_mask_to_box"""
    assert sorted(amg.__all__) == sorted(names.split())
    assert all(callable(getattr(amg, name)) for name in amg.__all__)


@given(st.integers(1, 40))
def test_grid_is_centred_with_x_fastest(n: int) -> None:
    grid = amg.build_point_grid(n)
    assert grid.shape == (n * n, 2)
    np.testing.assert_allclose(grid.mean(axis=0), 0.5)
    np.testing.assert_allclose(grid[0], 1 / (2 * n))
    assert (np.diff(grid[:n, 0]) > 0).all()
    assert (grid[:n, 1] == grid[0, 1]).all()


def test_grids_get_sparser_by_layer() -> None:
    assert [len(g) for g in amg.build_all_layer_point_grids(8, 2, 2)] == [64, 16, 4]
    with pytest.raises(ValueError, match='at least one point per side, found 0'):
        amg.build_all_layer_point_grids(3, 2, 2)


@given(st.integers(20, 900), st.integers(20, 900), st.integers(0, 3), st.floats(0, 0.6))
def test_crops_of_a_layer_cover_the_image(h: int, w: int, n_layers: int, overlap: float) -> None:
    boxes, layers = amg.generate_crop_boxes((h, w), n_layers, overlap)
    assert boxes[0] == [0, 0, w, h]
    for layer in range(n_layers + 1):
        covered = np.zeros((h, w), dtype=bool)
        chosen = [box for box, at in zip(boxes, layers, strict=True) if at == layer]
        assert len(chosen) == 4**layer or min(h, w) < 100
        for x0, y0, x1, y1 in chosen:
            assert 0 <= x0 < x1 <= w
            assert 0 <= y0 < y1 <= h
            covered[y0:y1, x0:x1] = True
        assert covered.all()


@pytest.mark.parametrize(
    ('box', 'near'),
    [
        ((50, 50, 60, 60), False),
        ((5, 50, 60, 60), True),  # cut by the crop's left side, which lies inside the image
        ((50, 50, 60, 95), False),  # at the crop's bottom, but that is the image's
        ((20, 50, 60, 60), True),  # 20 pixels is still near
        ((21, 50, 60, 60), False),
    ],
)
def test_near_edge(box: tuple[int, ...], near: bool) -> None:
    flags = amg.is_box_near_crop_edge(
        torch.tensor([box]), crop_box=[100, 0, 200, 100], orig_box=[0, 0, 400, 100]
    )
    assert flags.tolist() == [near]


def test_uncropping_moves_boxes_and_points() -> None:
    crop = [10, 20, 30, 40]
    assert amg.uncrop_boxes_xyxy(torch.tensor([[1, 2, 3, 4]]), crop).tolist() == [[11, 22, 13, 24]]
    points = torch.tensor([[[1.5, 2.0]]], dtype=torch.float64)
    moved = amg.uncrop_points(points, crop)
    assert moved.dtype == torch.float64
    assert moved.tolist() == [[[11.5, 22.0]]]


def test_uncropping_masks_pads_them_in_place() -> None:
    masks = torch.ones(2, 3, 4, dtype=torch.bool)
    padded = amg.uncrop_masks(masks, [5, 6, 9, 9], 12, 10)
    assert padded.shape == (2, 12, 10)
    assert padded.dtype == torch.bool
    assert padded[:, 6:9, 5:9].all()
    assert padded.sum() == masks.sum()
    assert amg.uncrop_masks(masks, [0, 0, 4, 3], 3, 4) is masks


@pytest.mark.parametrize('kind', [list, np.array, torch.tensor])
def test_box_as_corner_and_size(kind: type) -> None:
    box = kind([3, 4, 10, 20])
    turned = amg.box_xyxy_to_xywh(box)
    assert type(turned) is type(box)
    assert [int(side) for side in turned] == [3, 4, 7, 16]
    assert [int(side) for side in box] == [3, 4, 10, 20]


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=3, max_dims=3, max_side=12)))
def test_boxes_of_masks(masks: np.ndarray) -> None:
    boxes = amg.batched_mask_to_box(torch.from_numpy(masks))
    assert boxes.dtype == torch.int64
    for mask, box in zip(masks, boxes.tolist(), strict=True):
        rows, columns = np.nonzero(mask)
        expected = [columns.min(), rows.min(), columns.max(), rows.max()] if rows.size else [0] * 4
        assert box == expected


def test_boxes_of_masks_take_any_leading_axes() -> None:
    one = torch.zeros(5, 6, dtype=torch.bool)
    one[1:3, 2:6] = True
    assert amg.batched_mask_to_box(one).tolist() == [2, 1, 5, 2]
    assert amg.batched_mask_to_box(one.expand(2, 3, 5, 6)).shape == (2, 3, 4)
    assert amg.batched_mask_to_box(torch.zeros(0, 5, 6, dtype=torch.bool)).shape == (0, 4)


def test_stability_is_a_ratio_of_areas() -> None:
    logits = torch.tensor([[[2.0, 0.5, -0.5, -2.0]], [[-5.0] * 4], [[5.0] * 4]])
    score = amg.calculate_stability_score(logits, 0.0, 1.0)
    assert score.dtype == torch.float32
    assert score[0] == pytest.approx(1 / 3)
    assert score[1].isnan()
    assert score[2] == 1


def test_stability_counts_more_pixels_than_int16_holds() -> None:
    logits = torch.ones(1, 200, 200)
    assert amg.calculate_stability_score(logits, 0.0, 0.5).tolist() == [1.0]


def _blot() -> np.ndarray:
    mask = np.zeros((20, 20), dtype=bool)
    mask[2:12, 2:12] = True
    mask[4, 4] = False  # a small hole
    mask[6:10, 6:10] = False  # a large one
    mask[15, 15] = mask[16, 16] = True  # an island of two pixels that touch by their corners
    return mask


def test_small_holes_are_filled() -> None:
    filled, changed = amg.remove_small_regions(_blot(), 5, 'holes')
    expected = _blot()
    expected[4, 4] = True
    assert changed
    np.testing.assert_array_equal(filled, expected)


def test_small_islands_are_dropped() -> None:
    cleaned, changed = amg.remove_small_regions(_blot(), 3, 'islands')
    assert changed
    assert not cleaned[14:].any()
    np.testing.assert_array_equal(cleaned[:14], _blot()[:14])


def test_islands_that_touch_by_corners_count_together() -> None:
    kept, changed = amg.remove_small_regions(_blot(), 2, 'islands')
    assert not changed
    np.testing.assert_array_equal(kept, _blot())


def test_the_largest_island_stays_even_if_small() -> None:
    cleaned, changed = amg.remove_small_regions(_blot(), 1000, 'islands')
    assert changed
    np.testing.assert_array_equal(cleaned[:14], _blot()[:14])
    assert not cleaned[14:].any()


@pytest.mark.parametrize('mode', ['holes', 'islands'])
@pytest.mark.parametrize('value', [False, True])
def test_uniform_masks_survive_repair(value: bool, mode: str) -> None:
    mask = np.full((5, 6), value)
    kept, changed = amg.remove_small_regions(mask, 3, mode)
    assert not changed
    np.testing.assert_array_equal(kept, mask)


def test_unknown_repair_is_refused() -> None:
    with pytest.raises(ValueError, match="found 'spots'"):
        amg.remove_small_regions(_blot(), 3, 'spots')


def _table() -> amg.MaskData:
    return amg.MaskData(t=torch.arange(4), a=np.arange(4) * 10, names=['p', 'q', 'r', 's'])


def _columns(table: amg.MaskData) -> dict[str, list]:
    return {name: [getattr(v, 'item', lambda v=v: v)() for v in c] for name, c in table.items()}


@pytest.mark.parametrize(
    ('keep', 'rows'),
    [
        (torch.tensor([True, False, True, False]), [0, 2]),
        (torch.tensor([3, 1]), [3, 1]),
        (torch.zeros(4, dtype=torch.bool), []),
        (torch.zeros(0, dtype=torch.int64), []),
    ],
)
def test_table_keeps_rows_in_every_column(keep: torch.Tensor, rows: list[int]) -> None:
    table = _table()
    table.filter(keep)
    assert _columns(table) == {
        't': rows,
        'a': [10 * row for row in rows],
        'names': ['pqrs'[row] for row in rows],
    }


def test_table_appends_without_touching_the_other() -> None:
    table, other = amg.MaskData(), _table()
    table.cat(other)
    table.cat(other)
    table['names'].append('x')
    assert _columns(table)['t'] == [0, 1, 2, 3] * 2
    assert _columns(other) == _columns(_table())


def test_table_reads_like_a_dictionary() -> None:
    table = _table()
    del table['t']
    table['t'] = torch.ones(4)
    assert 't' in table
    assert 'u' not in table
    table.to_numpy()
    assert isinstance(table['t'], np.ndarray)
    with pytest.raises(TypeError, match=r"column 'score', found float\. Wrap"):
        table['score'] = 0.5


def test_batches_cover_everything_once() -> None:
    batches = list(amg.batch_iterator(3, np.arange(7), list('abcdefg')))
    assert [len(numbers) for numbers, _ in batches] == [3, 3, 1]
    assert ''.join(''.join(letters) for _, letters in batches) == 'abcdefg'
    assert list(amg.batch_iterator(3, [])) == []
    for wrong in ([], [[1], [1, 2]]):
        with pytest.raises(ValueError, match='equal length'):
            list(amg.batch_iterator(3, *wrong))
