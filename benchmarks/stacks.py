"""How well stacks are segmented: prints tables. No part of the test run.

    python benchmarks/stacks.py propagate             one click in the middle of each object
    python benchmarks/stacks.py automatic             whole volumes, against Otsu and watershed
    python benchmarks/stacks.py batch                 what 50 objects cost, compared with one

Volumes are the real ones in ``../shared/data/stacks``, where there are any, and simulated ones.
``--weights NAME|PATH`` names another checkpoint, ``--only WORD`` volumes with that word in their
name, ``--cache FOLDER`` a place for embeddings, which are computed once. ``propagate`` takes the
objects in the middle of each volume, ``--objects N`` of them: of the others no slice is encoded.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_mobilesam.engine import (
    Annotator,
    DiskStore,
    EmbeddingStore,
    PlaneKey,
    PlaneSource,
    Prompts,
    SamSegmenter,
)
from napari_mobilesam.engine.stacks import (
    MaskPatch,
    PlaneSeries,
    Propagation,
    PropagationOptions,
)
from napari_mobilesam.engine.stacks.consensus import three_views
from napari_mobilesam.engine.stacks.detectors import blob_detector
from napari_mobilesam.engine.stacks.linking import LinkOptions, paint_linked
from napari_mobilesam.engine.stacks.measure import area_drift, average_precision
from napari_mobilesam.engine.stacks.shapes import interior_points
from napari_mobilesam.engine.stacks.volume import VolumeSegmentation

ROOT = Path(__file__).resolve().parents[1]
MODES = ('box', 'mask', 'points', 'agreement')
# Objects that the camera's field cut down to almost nothing tell about the crop, not about us.
LEAST_VOXELS = 100


@dataclass(frozen=True)
class Volume:
    name: str
    image: np.ndarray
    truth: np.ndarray
    depth: float = 1.0
    """Distance of two slices, in pixels."""


def volumes(only: str = '') -> Iterator[Volume]:
    import tifffile

    from mobile_sam.training.simulate import simulate
    from napari_mobilesam.sample_data import simulated_nuclei

    folder = ROOT.parent / 'shared' / 'data' / 'stacks'
    for image in sorted(folder.glob('*_image.tif')):
        name = image.name.removesuffix('_image.tif')
        if only in name:
            truth = tifffile.imread(image.with_name(f'{name}_label.tif'))
            yield Volume(name, tifffile.imread(image), truth.astype(np.int32))
    simulated: dict[str, Callable[[], Any]] = {
        'simulated_demo': simulated_nuclei,
        'simulated_nuclei': lambda: simulate(
            'nuclei',
            (24, 192, 192),
            seed=11,
            size=30,
            crowding=0.4,
            noise=0.3,
            anisotropy=2.5,
        ),
        'simulated_cells': lambda: simulate(
            'cells',
            (20, 192, 192),
            seed=12,
            size=44,
            crowding=0.6,
            noise=0.3,
            anisotropy=2.5,
        ),
    }
    for name, make in simulated.items():
        if only in name:
            made = make()
            depth = made.voxel_size[0] / made.voxel_size[-1]
            yield Volume(name, made.image, made.labels, depth)


def segmenter_of(arguments: argparse.Namespace) -> SamSegmenter:
    from mobile_sam.checkpoints import BUNDLED_NAME, find, load_model

    return SamSegmenter(load_model(find(arguments.weights or BUNDLED_NAME).path))


def annotator_of(arguments: argparse.Namespace) -> Annotator:
    return Annotator(segmenter_of(arguments), EmbeddingStore(512, DiskStore(arguments.cache)))


def series_of(volume: Volume) -> PlaneSeries:
    key = PlaneKey(volume.name, (1, 2), (0,))
    return PlaneSeries(PlaneSource(key, volume.image), 0)


def middle_clicks(
    truth: np.ndarray, most: int | None = None
) -> dict[int, tuple[int, tuple[float, float]]]:
    """Return for each object its middle slice, and the point deepest within it there.

    With `most` only for that many objects, whose middle slices are nearest to that of the volume.
    """
    clicks = {}
    for label in np.unique(truth[truth > 0]).tolist():
        mask = truth == label
        if np.count_nonzero(mask) < LEAST_VOXELS:
            continue
        slices = np.flatnonzero(mask.any(axis=(1, 2)))
        middle = int(slices[np.argmin(np.abs(slices - slices.mean()))])
        clicks[label] = middle, interior_points(MaskPatch.cut(mask[middle]))[0]
    nearest = sorted(clicks, key=lambda label: (abs(clicks[label][0] - len(truth) / 2), label))
    return {label: clicks[label] for label in nearest[:most]}


def clicked(
    annotator: Annotator, planes: PlaneSeries, clicks: dict[int, tuple[int, tuple[float, float]]]
) -> dict[int, tuple[int, MaskPatch]]:
    """Turn clicks into masks, all of a slice in one batch."""
    masks = {}
    for index in sorted({index for index, _ in clicks.values()}):
        here = {label: point for label, (at, point) in clicks.items() if at == index}
        prompts = [Prompts((point,), (True,)) for point in here.values()]
        for label, found in zip(here, annotator.predict_many(planes[index], prompts), strict=True):
            found_patch = found.patch()
            patch = MaskPatch.cut(found_patch.mask, *found_patch.corner)
            if patch:
                masks[label] = index, patch
    return masks


def propagate(arguments: argparse.Namespace) -> None:
    print(
        'volume                 mode       objects  3D IoU  2D IoU  growth   far  too many  too few'
    )
    for volume in volumes(arguments.only):
        annotator, planes = annotator_of(arguments), series_of(volume)
        masks = clicked(annotator, planes, clicks := middle_clicks(volume.truth, arguments.objects))
        flat = [
            volume_overlap(patch.full(planes.shape), volume.truth[index] == label)
            for label, (index, patch) in masks.items()
        ]
        for mode in MODES if arguments.mode is None else (arguments.mode,):
            propagation = Propagation(annotator, planes, PropagationOptions(mode=mode))
            for label, (index, patch) in masks.items():
                propagation.anchor(label, index, patch)
            for step in propagation.run():
                print(f'\r{volume.name} {mode} {step.done}/{step.total}', end='', file=sys.stderr)
            report(volume, mode, clicks, flat, propagation)
        if arguments.views:
            for label in propagation.labels:
                for view in three_views(annotator, planes, propagation, label, volume.depth):
                    where = f'{volume.name} {label} sides {view.done}/{view.total}'
                    print(f'\r{where}', end='', file=sys.stderr)
            report(volume, 'views', clicks, flat, propagation)


def report(
    volume: Volume,
    mode: str,
    clicks: dict[int, tuple[int, tuple[float, float]]],
    flat: list[float],
    propagation: Propagation,
) -> None:
    print('\r', end='', file=sys.stderr)
    overlaps, drifts, excess, lack = [], [], [], []
    for label in clicks:
        truth = volume.truth == label
        found = np.zeros_like(truth)
        if label in propagation.labels:
            for index, mask in propagation.masks(label).items():
                found[index] = mask.patch.full(truth.shape[1:])
            drifts.append(area_drift(truth, found, clicks[label][0]))
        overlaps.append(volume_overlap(found, truth))
        here, there = found.any(axis=(1, 2)), truth.any(axis=(1, 2))
        excess.append(np.count_nonzero(here & ~there))
        lack.append(np.count_nonzero(there & ~here))
    print(
        f'{volume.name:22} {mode:10} {len(clicks):7}  {np.mean(overlaps):6.3f}  '
        f'{np.mean(flat):6.3f}  {np.median([d.growth for d in drifts]):+6.2f}  '
        f'{np.median([d.far for d in drifts]):4.2f}  '
        f'{np.mean(excess):8.2f}  {np.mean(lack):7.2f}',
        flush=True,
    )


def automatic(arguments: argparse.Namespace) -> None:
    print('volume                true  found  AP@0.5  baseline AP@0.5 (found)')
    for volume in volumes(arguments.only):
        annotator, planes = annotator_of(arguments), series_of(volume)
        segmentation = VolumeSegmentation(planes, blob_detector(annotator))
        for step in segmentation.run():
            print(f'\r{volume.name} {step.done}/{step.total}', end='', file=sys.stderr)
        print('\r', end='', file=sys.stderr)
        objects = segmentation.link(LinkOptions(min_score=arguments.min_score))
        found = np.stack([paint_linked(objects, z, planes.shape) for z in range(len(planes))])
        simple = otsu_watershed(volume.image)
        print(
            f'{volume.name:21} {len(np.unique(volume.truth)) - 1:4}  {len(objects):5}  '
            f'{average_precision(volume.truth, found):6.3f}  '
            f'{average_precision(volume.truth, simple):6.3f} ({simple.max()})',
            flush=True,
        )


def otsu_watershed(image: np.ndarray) -> np.ndarray:
    """Segment a volume as one would without a model: Otsu on each slice, a watershed in 3D."""
    from scipy import ndimage
    from skimage.feature import peak_local_max
    from skimage.filters import threshold_otsu
    from skimage.segmentation import watershed

    smooth = np.stack([ndimage.gaussian_filter(plane.astype(float), 1) for plane in image])
    bright = np.stack([plane > threshold_otsu(plane) for plane in smooth])
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(bright), 1)
    peaks = peak_local_max(depth, min_distance=4, labels=bright.astype(np.int32))
    markers = np.zeros(image.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return watershed(-depth, markers, mask=bright)


def volume_overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.count_nonzero(one & other) / max(np.count_nonzero(one | other), 1))


def batch(arguments: argparse.Namespace) -> None:
    """Compare propagating 50 objects with propagating one, in processor time.

    Slices are embedded before, once: that costs the same for one object and for fifty.
    """
    from mobile_sam.training.simulate import simulate

    made = simulate('nuclei', (3, 896, 896), seed=5, size=26, crowding=0.7, noise=0.3)
    # The same slice again and again: nothing ends, so that each step really has all objects.
    volume = Volume('slab', np.repeat(made.image[1:2], arguments.slices, axis=0), made.labels)
    # Of unlike noise, or all slices would share one embedding.
    rng = np.random.default_rng(0)
    volume.image[:, 0, :] = rng.integers(0, 2**8, volume.image[:, 0, :].shape)
    planes = series_of(volume)
    present = np.unique(made.labels[1][made.labels[1] > 0]).tolist()
    sizes = {label: np.count_nonzero(made.labels[1] == label) for label in present}
    chosen = [label for label in present if sizes[label] >= LEAST_VOXELS][: arguments.objects]
    patches = [MaskPatch.cut(made.labels[1] == label) for label in chosen]
    annotator = Annotator(segmenter_of(arguments), EmbeddingStore(1024))
    start = time.process_time()
    for number, plane in enumerate(planes, 1):
        annotator.embed(plane)
        print(f'\rembedding {number}/{len(planes)}', end='', file=sys.stderr)
    encoding = time.process_time() - start
    print(f'\r{len(planes)} slices embedded: {encoding:.2f} s of processor time', flush=True)
    times = {}
    for objects in (1, len(patches)):
        propagation = Propagation(annotator, planes)
        for label, patch in enumerate(patches[:objects], 1):
            propagation.anchor(label, 0, patch)
        start, followed = time.process_time(), 0
        for step in propagation.run():
            followed += len(step.found)
            print(f'\r{objects} objects {step.done}/{step.total}', end='', file=sys.stderr)
        times[objects] = time.process_time() - start
        print(
            f'\r{objects:3} objects, {followed} masks found: {times[objects]:.2f} s beside that',
            flush=True,
        )
    one, many = (times[objects] for objects in (1, len(patches)))
    print(f'{len(patches)} objects cost {(encoding + many) / (encoding + one):.2f} x one object')
    print(f'{many / one:.2f} x with all embeddings at hand')


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('what', choices=['propagate', 'automatic', 'batch'])
    parser.add_argument('--weights')
    parser.add_argument('--only', default='')
    parser.add_argument('--mode', choices=MODES)
    parser.add_argument(
        '--views', action='store_true', help='after the last mode, ask the two other sides as well'
    )
    parser.add_argument('--min-score', type=float, default=0.3)
    parser.add_argument('--slices', type=int, default=50)
    parser.add_argument('--objects', type=int, help='of each volume; by default 16, or 50 a batch')
    parser.add_argument('--cache', type=Path, help='folder; by default in the cache folder')
    arguments = parser.parse_args()
    if arguments.objects is None:
        arguments.objects = 50 if arguments.what == 'batch' else 16
    tables = {'propagate': propagate, 'automatic': automatic, 'batch': batch}
    tables[arguments.what](arguments)


if __name__ == '__main__':
    main()
