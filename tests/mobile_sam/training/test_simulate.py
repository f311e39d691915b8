"""The simulator: truth that fits the picture, repeatable by seed."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from mobile_sam.training.simulate import KINDS, KINDS_3D, Options, simulate
from mobile_sam.training.simulate._layout import tidy
from mobile_sam.training.simulate._scene import Scene


def surroundings(labels: np.ndarray, reach: int = 4) -> np.ndarray:
    """Background within `reach` pixels of an object, but not the pixel the blur shares."""
    near = ndimage.binary_dilation(labels > 0, iterations=reach)
    touching = ndimage.binary_dilation(labels > 0, iterations=2)
    return near & ~touching


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('seed', [0, 1, 5])
def test_every_kind_has_clean_labels(kind: str, seed: int) -> None:
    result = simulate(kind, (160, 200), seed)
    assert result.kind == kind
    assert result.image.shape == ((160, 200, 3) if kind == 'tissue' else (160, 200))
    assert result.image.dtype == np.uint8
    assert result.image.std() > 1, 'an empty picture'
    assert result.labels.shape == (160, 200)
    assert result.labels.dtype == np.int32
    present = np.unique(result.labels)
    present = present[present > 0]
    assert len(present) >= 1
    np.testing.assert_array_equal(present, np.arange(1, len(present) + 1))
    for label in present:
        assert ndimage.label(result.labels == label)[1] == 1, f'label {label} is in pieces'
    assert len(result.voxel_size) == 2
    assert all(0 < step < 10 for step in result.voxel_size)


@pytest.mark.parametrize('kind', KINDS)
def test_the_seed_decides(kind: str) -> None:
    first, again, other = (simulate(kind, (96, 128), seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert not np.array_equal(first.image, other.image)
    assert not np.array_equal(first.labels, other.labels)


@pytest.mark.parametrize(
    ('kind', 'brighter'),
    [('nuclei', True), ('filaments', True), ('tissue', False), ('worms', False)],
)
@pytest.mark.parametrize('seed', range(4))
def test_labels_lie_on_the_objects(kind: str, brighter: bool, seed: int) -> None:
    result = simulate(kind, (192, 192), seed, noise=0.2, haze=0.1, blur=0.5, crowding=0.4)
    grey = result.image.astype(float)
    if grey.ndim == 3:
        grey = grey[..., 0]  # hematoxylin takes the red away
    inside, outside = grey[result.labels > 0].mean(), grey[surroundings(result.labels)].mean()
    assert (inside > 1.2 * outside) if brighter else (inside < outside - 8)


def test_labels_moved_by_an_object_do_not_fit() -> None:
    # Guards the test above: it must notice labels that are out of place.
    result = simulate('nuclei', (192, 192), 2, size=16, noise=0.2, haze=0.1, crowding=0.4)
    moved = np.roll(result.labels, (11, 11), (0, 1))
    right = (
        result.image[result.labels > 0].mean() - result.image[surroundings(result.labels)].mean()
    )
    wrong = result.image[moved > 0].mean() - result.image[surroundings(moved)].mean()
    assert wrong < 0.5 * right


def test_membranes_are_where_labels_meet() -> None:
    result = simulate('cells', (192, 192), 1, size=40, noise=0.1, haze=0, blur=0.5, crowding=1)
    differs = result.labels[:, 1:] != result.labels[:, :-1]
    border = result.image[:, 1:][differs].mean()
    middle = result.image[ndimage.binary_erosion(result.labels > 0, iterations=1)]
    deep = result.image[ndimage.distance_transform_edt(~np.pad(differs, ((0, 0), (1, 0)))) > 8]
    assert border > 2 * deep.mean()
    assert border > middle.mean()


@pytest.mark.parametrize('kind', KINDS_3D)
def test_volumes(kind: str) -> None:
    result = simulate(kind, (20, 64, 72), 2, size=18, anisotropy=2, crowding=0.7)
    assert result.image.shape == result.labels.shape == (20, 64, 72)
    z, y, x = result.voxel_size
    assert (y, z) == (x, pytest.approx(2 * x, rel=1e-3))
    assert result.labels.max() >= 3
    depths = []
    for label, window in enumerate(ndimage.find_objects(result.labels), start=1):
        assert ndimage.label(result.labels[window] == label)[1] == 1
        depths.append(window[0].stop - window[0].start)
    # 18 pixels across are 9 planes at twice the distance; some are cut off by the volume's faces.
    assert 4 <= max(depths) <= 20
    assert np.median(depths) > 1


def test_sixteen_bits() -> None:
    result = simulate('nuclei', (96, 96), 0, dtype='uint16')
    assert result.image.dtype == np.uint16
    assert 255 < result.image.max() <= 4095


def test_size_sets_the_size() -> None:
    diameters = []
    for size in (12, 36):
        labels = simulate('nuclei', (256, 256), 1, size=size, crowding=0.3).labels
        inner = labels[40:-40, 40:-40]
        areas = np.bincount(inner.ravel())[1:]
        diameters.append(np.sqrt(4 / np.pi * np.median(areas[areas > 0])))
    assert diameters[0] == pytest.approx(12, rel=0.4)
    assert diameters[1] == pytest.approx(36, rel=0.4)


def test_crowding_fills_the_picture() -> None:
    filled = [
        (simulate('nuclei', (192, 192), 1, size=16, crowding=c).labels > 0).mean()
        for c in (0.05, 0.95)
    ]
    assert filled[1] > 3 * filled[0]


def test_noise_adds_noise_and_nothing_else() -> None:
    quiet, loud = (simulate('nuclei', (128, 128), 1, noise=n) for n in (0.0, 1.0))
    np.testing.assert_array_equal(quiet.labels, loud.labels)

    def roughness(image: np.ndarray) -> float:
        values = image.astype(float)
        return float(np.abs(np.diff(values, axis=1)).mean() / values.std())

    assert roughness(loud.image) > 2 * roughness(quiet.image)


def test_fixing_one_value_leaves_the_others() -> None:
    free = Scene.create('nuclei', (64, 64), (9, 0), Options())
    fixed = Scene.create('nuclei', (64, 64), (9, 0), Options(blur=0.0, crowding=1.0))
    assert (fixed.blur, fixed.crowding) == (0.0, 1.0)
    assert (fixed.size, fixed.noise, fixed.haze) == (free.size, free.noise, free.haze)


def test_tidy_keeps_the_largest_piece() -> None:
    labels = np.zeros((12, 20), dtype=np.int32)
    labels[1:6, 1:6] = 4
    labels[8:10, 1:3] = 4  # a smaller piece of the same label
    labels[1:3, 15:17] = 7  # too small
    labels[6:11, 10:18] = 9
    clean, count = tidy(labels, min_area=10)
    assert count == 2
    assert clean[3, 3] == 1
    assert clean[8, 1] == 0
    assert clean[2, 15] == 0
    assert clean[7, 12] == 2


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (('amoeba', (64, 64), 0), r"kind must be one of nuclei, .*; got 'amoeba'"),
        (('yeast', (8, 64, 64), 0), r"shape of 'yeast' must be \(Y, X\); got \(8, 64, 64\)"),
        (('nuclei', (2, 2, 64, 64), 0), r"shape of 'nuclei' must be \(Y, X\) or \(Z, Y, X\)"),
        (('nuclei', (16, 64), 0), 'at least 32 pixels'),
        (('nuclei', (64, 64), -1), 'seed must be 0 or more; got -1'),
    ],
)
def test_wrong_arguments(call: tuple[str, tuple[int, ...], int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulate(*call)


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        ({'sise': 3}, TypeError, 'unknown option sise; the options are size, crowding'),
        ({'noise': 1.5}, ValueError, 'noise must be between 0 and 1; got 1.5'),
        ({'size': 1}, ValueError, 'size must be between 2 and inf; got 1'),
        ({'dtype': 'float32'}, ValueError, "dtype must be 'uint8' or 'uint16'; got 'float32'"),
    ],
)
def test_wrong_options(options: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        simulate('nuclei', (64, 64), 0, **options)


def test_smallest_picture_and_volume() -> None:
    for kind in KINDS:
        assert simulate(kind, (32, 32), 0).labels.max() >= 1
    assert simulate('nuclei', (1, 32, 32), 0).labels.shape == (1, 32, 32)


def test_no_room() -> None:
    with pytest.raises(
        ValueError, match=r"no object of 'worms' found room in \(32, 32\).*smaller size"
    ):
        simulate('worms', (32, 32), 0, size=400)


def test_importing_it_is_light() -> None:
    code = (
        'import sys, mobile_sam.training.simulate\n'
        'heavy = {"torch", "torchvision", "skimage", "scipy"} & set(sys.modules)\n'
        'assert not heavy, heavy'
    )
    subprocess.run([sys.executable, '-c', code], check=True, timeout=60)
