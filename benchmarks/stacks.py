"""How well stacks are segmented: prints tables. No part of the test run.

    python benchmarks/stacks.py propagate             one click in the middle of each object
    python benchmarks/stacks.py automatic             whole volumes, against Otsu and watershed
    python benchmarks/stacks.py batch                 what 50 objects cost, compared with one

Volumes are the real ones in ``../shared/data/stacks``, where there are any, and simulated ones.
``--weights NAME|PATH`` names another checkpoint, ``--only WORD`` volumes with that word in their
name, ``--cache FOLDER`` a place for embeddings, which are computed once.
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
            'nuclei', (24, 192, 192), seed=11, size=30, crowding=0.4, noise=0.3, anisotropy=2.5
        ),
        'simulated_cells': lambda: simulate(
            'cells', (20, 192, 192), seed=12, size=44, crowding=0.6, noise=0.3, anisotropy=2.5
        ),
    }
    for name, make in simulated.items():
        if only in name:
            made = make()
            yield Volume(name, made.image, made.labels)


def annotator_of(arguments: argparse.Namespace) -> Annotator:
    from mobile_sam.checkpoints import BUNDLED_NAME, find, load_model

    segmenter = SamSegmenter(load_model(find(arguments.weights or BUNDLED_NAME).path))
    return Annotator(segmenter, EmbeddingStore(512, DiskStore(arguments.cache)))


def series_of(volume: Volume) -> PlaneSeries:
    key = PlaneKey(volume.name, (1, 2), (0,))
    return PlaneSeries(PlaneSource(key, volume.image), 0)


def middle_clicks(truth: np.ndarray) -> dict[int, tuple[int, tuple[float, float]]]:
    """Return for each object its middle slice, and the point deepest within it there."""
    clicks = {}
    for label in np.unique(truth[truth > 0]).tolist():
        mask = truth == label
        if np.count_nonzero(mask) < LEAST_VOXELS:
            continue
        slices = np.flatnonzero(mask.any(axis=(1, 2)))
        middle = int(slices[np.argmin(np.abs(slices - slices.mean()))])
        clicks[label] = middle, interior_points(MaskPatch.cut(mask[middle]))[0]
    return clicks


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
    print('volume                mode       objects  mean 3D IoU  2D IoU  growth  far   overshoot')
    for volume in volumes(arguments.only):
        annotator, planes = annotator_of(arguments), series_of(volume)
        masks = clicked(annotator, planes, clicks := middle_clicks(volume.truth))
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
            print('\r', end='', file=sys.stderr)
            overlaps, drifts = [], []
            for label in clicks:
                truth = volume.truth == label
                found = np.zeros_like(truth)
                if label in masks:
                    for index, mask in propagation.masks(label).items():
                        found[index] = mask.patch.full(planes.shape)
                    drifts.append(area_drift(truth, found, clicks[label][0]))
                overlaps.append(volume_overlap(found, truth))
            print(
                f'{volume.name:21} {mode:10} {len(clicks):7}  {np.mean(overlaps):11.3f}  '
                f'{np.mean(flat):6.3f}  {np.median([d.growth for d in drifts]):+6.2f}  '
                f'{np.median([d.far for d in drifts]):4.2f}  '
                f'{np.mean([d.overshoot for d in drifts]):9.2f}',
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
    """Compare propagating 50 objects with propagating one; with encoding, and without."""
    from mobile_sam.training.simulate import simulate

    made = simulate('nuclei', (3, 896, 896), seed=5, size=26, crowding=0.7, noise=0.3)
    slices, count = arguments.slices, arguments.objects
    # The same slice again and again: nothing ends, so that each step really has all objects.
    volume = Volume('slab', np.repeat(made.image[1:2], slices, axis=0), made.labels)
    # Of unlike noise, or all slices would share one embedding.
    rng = np.random.default_rng(0)
    volume.image[:, 0, :] = rng.integers(0, 2**8, volume.image[:, 0, :].shape)
    planes = series_of(volume)
    present = np.unique(made.labels[1][made.labels[1] > 0])
    chosen = [n for n in present.tolist() if (made.labels[1] == n).sum() >= LEAST_VOXELS][:count]
    patches = [MaskPatch.cut(made.labels[1] == label) for label in chosen]
    times = {}
    for encoded in (False, True):
        annotator = annotator_of(argparse.Namespace(weights=arguments.weights, cache=None))
        annotator = Annotator(annotator.segmenter, EmbeddingStore(1024))
        for objects in (1, len(patches)):
            if not encoded:
                annotator = Annotator(annotator.segmenter, EmbeddingStore(1024))
            propagation = Propagation(annotator, planes)
            for label, patch in enumerate(patches[:objects], 1):
                propagation.anchor(label, 0, patch)
            if encoded:
                for plane in planes:
                    annotator.embed(plane)
            start = time.process_time()
            steps = sum(1 for _ in propagation.run())
            times[objects, encoded] = time.process_time() - start
            what = 'embeddings at hand' if encoded else 'with encoding'
            print(
                f'{objects:3} objects, {steps} slices, {what}: '
                f'{times[objects, encoded]:.2f} s of processor time',
                flush=True,
            )
        print(f'ratio: {times[len(patches), encoded] / times[1, encoded]:.2f}', flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('what', choices=['propagate', 'automatic', 'batch'])
    parser.add_argument('--weights')
    parser.add_argument('--only', default='')
    parser.add_argument('--mode', choices=MODES)
    parser.add_argument('--min-score', type=float, default=0.3)
    parser.add_argument('--slices', type=int, default=50)
    parser.add_argument('--objects', type=int, default=50)
    parser.add_argument('--cache', type=Path, help='folder; by default in the cache folder')
    arguments = parser.parse_args()
    tables = {'propagate': propagate, 'automatic': automatic, 'batch': batch}
    tables[arguments.what](arguments)


if __name__ == '__main__':
    main()
