"""The demo without a display: the engine alone, one click for each object, results in files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mobilesam.engine import Annotator, Prompts, Segmenter, paint_masks

from .samples import SAMPLES, Sample, load_sample

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Segmented:
    """What the demo made of a sample.

    Attributes
    ----------
    sample
        The sample.
    picture
        What the model saw of its plane: uint8 (H, W, 3).
    labels
        uint16 (H, W); object i + 1 belongs to click i.
    scores
        The decoder's own estimate of each mask's quality.
    overlap
        Mean intersection over union with the truth, of the objects clicked; None without truth.
    """

    sample: Sample
    picture: NDArray[np.uint8]
    labels: NDArray[np.uint16]
    scores: tuple[float, ...]
    overlap: float | None

    @property
    def count(self) -> int:
        """How many objects there are in the labels."""
        return len(np.unique(self.labels[self.labels > 0]))

    @property
    def volume(self) -> NDArray[np.uint16]:
        """Labels of the image's shape: other planes than the demo's are empty."""
        labels = np.zeros(self.sample.image.shape, dtype=np.uint16)
        labels[self.sample.index] = self.labels
        return labels


@dataclass(frozen=True, slots=True, eq=False)
class DemoReport:
    """Where the demo's files lie, and what is in them."""

    picture: Path
    labels: tuple[Path, ...]
    segmented: tuple[Segmented, ...]


def segment(annotator: Annotator, sample: Sample) -> Segmented:
    """Make an object of every click of a sample, each by itself."""
    source = sample.source
    masks: list[NDArray[np.bool_]] = []
    scores: list[float] = []
    for click in sample.clicks:
        prediction = annotator.predict(source, Prompts((click,), (True,)))
        masks.append(prediction.mask())
        scores.append(prediction.candidates.score())
    labels = paint_masks(masks, scores, source.shape).astype(np.uint16)
    truth = None if sample.truth is None else sample.truth[sample.index]
    return Segmented(
        sample=sample,
        picture=source.image(),
        labels=labels,
        scores=tuple(scores),
        overlap=None if truth is None else _mean_overlap(masks, truth, sample.clicks),
    )


def run_headless(
    segmenter: Segmenter,
    folder: Path,
    names: Sequence[str] = SAMPLES,
    *,
    say: Say | None = None,
) -> DemoReport:
    """Segment samples, and write ``demo.png`` and ``labels.tif`` into a folder.

    The first sample's labels go to ``labels.tif``, those of others to ``labels-NAME.tif``: uint16,
    of the sample's shape, for ImageJ. Files that are there are replaced.

    Parameters
    ----------
    segmenter : Segmenter
        The model.
    folder : Path
        Made if need be.
    names : sequence of str
        Of `SAMPLES`.
    say : callable, optional
        Told in a line what has been done.

    Returns
    -------
    DemoReport

    Raises
    ------
    UnknownSampleError
        If there is no such sample; nothing is written then.
    OSError
        If the folder cannot be written to.
    """
    from .picture import draw

    samples = [load_sample(name) for name in names]
    # Before the work: to learn only afterwards that the disk refuses would waste it.
    folder.mkdir(parents=True, exist_ok=True)
    annotator = Annotator(segmenter)
    segmented = []
    for sample in samples:
        result = segment(annotator, sample)
        segmented.append(result)
        if say is not None:
            say(describe(result))
    picture = folder / 'demo.png'
    draw(segmented).save(picture)
    paths = []
    for number, result in enumerate(segmented):
        name = 'labels.tif' if number == 0 else f'labels-{result.sample.name}.tif'
        write_labels(folder / name, result.volume, result.sample.voxel_size)
        paths.append(folder / name)
    return DemoReport(picture, tuple(paths), tuple(segmented))


def describe(result: Segmented) -> str:
    """Say in a line what was made of a sample."""
    plane = f', plane {result.sample.index[0]}' if result.sample.index else ''
    clicks = len(result.sample.clicks)
    line = (
        f'{result.sample.name}{plane}: {clicks} click{"s" * (clicks != 1)}, '
        f'{result.count} object{"s" * (result.count != 1)}, '
        f'mean score {np.mean(result.scores):.2f}'
    )
    if result.overlap is not None:
        line += f', mean IoU with the truth {result.overlap:.2f}'
    return line


def write_labels(
    path: Path, labels: NDArray[np.uint16], voxel_size: tuple[float, ...] | None
) -> None:
    """Write labels as a TIFF that ImageJ opens, with the voxel size in µm where known."""
    import tifffile

    metadata: dict[str, Any] = {'axes': 'ZYX'[-labels.ndim :]}
    resolution = None
    if voxel_size is not None:
        resolution = (1 / voxel_size[-1], 1 / voxel_size[-2])
        metadata['unit'] = 'um'
        if labels.ndim == 3:
            metadata['spacing'] = voxel_size[0]
    tifffile.imwrite(path, labels, imagej=True, resolution=resolution, metadata=metadata)


def _mean_overlap(
    masks: Sequence[NDArray[np.bool_]],
    truth: NDArray[np.int32],
    clicks: Sequence[tuple[float, float]],
) -> float:
    overlaps = []
    for mask, (row, column) in zip(masks, clicks, strict=True):
        meant = truth == truth[round(row), round(column)]
        overlaps.append(np.count_nonzero(mask & meant) / np.count_nonzero(mask | meant))
    return float(np.mean(overlaps))
