"""How good a model is at inference conditions: whole images, native resolution, per modality."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from .crops import frame_scale
from .data import Reader
from .model_step import answer
from .prompts import CORNER_0, CORNER_1, NONE, POSITIVE, SMALLEST, correction_click

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mobile_sam.modeling import Sam

    from .data import Item, Sample


@dataclass(frozen=True, slots=True)
class Scores:
    """Results of one modality, or their plain mean over modalities.

    Attributes
    ----------
    images, objects : int
    click, box : float
        Mean IoU after one click (answer with the best predicted IoU) and after an exact box.
    oracle : float
        Mean IoU of the best of the three answers to a click.
    corrected : tuple of float
        Mean IoU after 1, 2, … correction clicks that follow the first click.
    calibration : float
        Mean absolute difference of predicted and true IoU after one click.
    """

    images: int
    objects: int
    click: float
    oracle: float
    box: float
    corrected: tuple[float, ...]
    calibration: float


@dataclass(frozen=True, slots=True)
class Report:
    """Scores per modality and their macro mean, and seconds."""

    modalities: dict[str, Scores]
    macro: Scores
    seconds_per_image: float
    seconds_per_click: float


class Evaluator:
    """Evaluates models on a fixed choice of planes and objects.

    Parameters
    ----------
    items : iterable of Item
        Held-out planes.
    images : int, optional
        At most so many planes per modality, chosen by the hash of their names.
    objects : int, optional
        At most so many objects per plane, chosen evenly in order of area.
    corrections : int
        Correction clicks after the first click.
    chunk : int
        Prompts decoded together.
    """

    def __init__(
        self,
        items: Iterable[Item],
        *,
        images: int | None = None,
        objects: int | None = None,
        corrections: int = 2,
        chunk: int = 8,
        reader: Reader | None = None,
    ) -> None:
        self.items = choose_items(items, images)
        self.objects, self.corrections, self.chunk = objects, corrections, chunk
        self.reader = reader or Reader()

    def __call__(self, model: Sam) -> Report:
        """Evaluate a model, which must be in eval mode."""
        if model.training:
            raise ValueError('The model must be in eval mode; call model.eval() first.')
        rows: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
        encoding = clicking = 0.0
        clicks = 0
        with torch.inference_mode():
            for item in self.items:
                sample = self.reader(item)
                chosen = choose_objects(sample, self.objects)
                if not chosen:
                    continue
                start = time.perf_counter()
                answers = Answers(model, sample)
                encoding += time.perf_counter() - start
                start = time.perf_counter()
                for first in range(0, len(chosen), self.chunk):
                    masks = sample.labels[None] == np.array(
                        chosen[first : first + self.chunk]
                    ).reshape(-1, 1, 1)
                    rows[item.modality].append(answers.score(masks, self.corrections))
                clicking += time.perf_counter() - start
                clicks += len(chosen) * (2 + self.corrections)
        counts: dict[str, int] = defaultdict(int)
        for item in self.items:
            counts[item.modality] += 1
        modalities = {
            name: _scores(np.concatenate(values), counts[name])
            for name, values in sorted(rows.items())
        }
        return Report(
            modalities,
            _macro(list(modalities.values())),
            encoding / max(1, len(self.items)),
            clicking / max(1, clicks),
        )


def choose_items(items: Iterable[Item], images: int | None) -> list[Item]:
    """Choose planes per modality by the hash of their names, strata taking turns."""
    strata: dict[str, dict[str, list[Item]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        strata[item.modality][item.stratum].append(item)
    chosen: list[Item] = []
    for _, groups in sorted(strata.items()):
        ranked: list[tuple[int, str, Item]] = []
        for name, members in groups.items():
            members.sort(key=lambda i: hashlib.sha1(i.name.encode()).hexdigest())
            ranked.extend((turn, name, item) for turn, item in enumerate(members))
        ranked.sort(key=lambda entry: entry[:2])
        chosen.extend(item for _, _, item in ranked[:images])
    return chosen


def choose_objects(sample: Sample, objects: int | None) -> list[int]:
    """Choose objects of at least 8 model pixels, evenly over the order of their areas."""
    areas = np.bincount(sample.labels.ravel())
    areas[0] = 0
    least = np.pi / 4 * (SMALLEST / frame_scale(sample.labels.shape)) ** 2
    order = [int(i) for i in np.argsort(areas, kind='stable') if areas[i] >= max(1.0, least)]
    if objects is None or len(order) <= objects:
        return order
    return [order[int(i)] for i in np.linspace(0, len(order) - 1, objects)]


class Answers:
    """A model's answers on one image."""

    def __init__(self, model: Sam, sample: Sample) -> None:
        from PIL import Image

        self.model = model
        height, width = sample.labels.shape
        self.original = (height, width)
        scale = frame_scale(self.original)
        self.input = (int(height * scale + 0.5), int(width * scale + 0.5))
        resized = Image.fromarray(sample.image).resize(self.input[::-1], Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(resized)).permute(2, 0, 1)[None].float()
        prepared = model.preprocess(pixels.to(model.device))
        self.features = model.image_encoder(prepared)
        self.positions = model.prompt_encoder.get_dense_pe()

    def predict(
        self,
        coords: NDArray[np.float32],
        labels: NDArray[np.int64],
        previous: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Answer N prompts of (x, y) image pixels: low-resolution logits and scores, four each."""
        height, width = self.original
        factor = np.array([self.input[1] / width, self.input[0] / height], np.float32)
        device = self.features.device
        return answer(
            self.model,
            self.features,
            self.positions,
            torch.from_numpy(coords * factor).to(device),
            torch.from_numpy(labels).to(device),
            previous,
        )

    def native(self, low: torch.Tensor) -> NDArray[np.bool_]:
        """Bring (N, 256, 256) logits to the image's pixels and threshold them."""
        masks = self.model.postprocess_masks(low[:, None], self.input, self.original)
        thresholded: NDArray[np.bool_] = (masks[:, 0] > self.model.mask_threshold).cpu().numpy()
        return thresholded

    def score(self, wanted: NDArray[np.bool_], corrections: int) -> NDArray[np.float64]:
        """IoU of N objects: (N, 4 + corrections).

        Columns: click, best of three answers, box, calibration error, then corrections.
        """
        count = len(wanted)
        columns = np.zeros((count, 4 + corrections))
        columns[:, 2] = self._box(wanted)
        clicks = [correction_click(np.zeros_like(w), w) for w in wanted]
        coords = np.array([[(c, r), (0, 0)] for r, c, _ in clicks], np.float32)
        labels = np.tile(np.array([POSITIVE, NONE]), (count, 1))
        low, scores = self.predict(coords, labels, None)
        every = np.stack([iou(self.native(low[:, i]), wanted) for i in (1, 2, 3)], 1)
        best = scores[:, 1:].argmax(1)
        index = np.arange(count)
        columns[:, 0] = every[index, best.cpu().numpy()]
        columns[:, 1] = every.max(1)
        predicted = scores[:, 1:].max(1).values.float().cpu().numpy()
        columns[:, 3] = np.abs(predicted - columns[:, 0])
        chosen = low[torch.arange(count), best + 1]
        for turn in range(corrections):
            found = self.native(chosen)
            clicks = [correction_click(f, w) for f, w in zip(found, wanted, strict=True)]
            new = np.array([[(c, r)] for r, c, _ in clicks], np.float32)
            coords = np.concatenate([new, coords], 1)
            labels = np.concatenate([np.array([[c[2]] for c in clicks]), labels], 1)
            low, _ = self.predict(coords, labels, chosen[:, None])
            chosen = low[:, 0]
            columns[:, 4 + turn] = iou(self.native(chosen), wanted)
        return columns

    def _box(self, wanted: NDArray[np.bool_]) -> NDArray[np.float64]:
        coords = np.zeros((len(wanted), 2, 2), np.float32)
        for box, mask in zip(coords, wanted, strict=True):
            rows, cols = np.nonzero(mask)
            # Corners on pixel edges; the encoder's half pixel is taken off at image scale.
            box[0] = cols.min(), rows.min()
            box[1] = cols.max() + 1, rows.max() + 1
        labels = np.tile(np.array([CORNER_0, CORNER_1]), (len(wanted), 1))
        low, _ = self.predict(coords, labels, None)
        return iou(self.native(low[:, 0]), wanted)


def iou(found: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Intersection over union of masks (N, H, W) with their targets."""
    overlap = (found & wanted).sum((1, 2))
    union = (found | wanted).sum((1, 2))
    ratio: NDArray[np.float64] = overlap / np.maximum(union, 1)
    return ratio


def _scores(rows: NDArray[np.float64], images: int) -> Scores:
    means = [float(v) for v in rows.mean(0)]
    return Scores(images, len(rows), means[0], means[1], means[2], tuple(means[4:]), means[3])


def _macro(parts: Sequence[Scores]) -> Scores:
    if not parts:
        raise ValueError('There is no object to evaluate on; check the labels and the split.')

    def mean(name: str) -> float:
        return float(np.mean([getattr(part, name) for part in parts]))

    return Scores(
        sum(p.images for p in parts),
        sum(p.objects for p in parts),
        mean('click'),
        mean('oracle'),
        mean('box'),
        tuple(float(v) for v in np.mean([p.corrected for p in parts], axis=0)),
        mean('calibration'),
    )


def table(report: Report) -> str:
    """Format a report as a Markdown table."""
    extra = len(report.macro.corrected)
    heads = ['modality', 'images', 'objects', '1 click', 'best of 3', 'box']
    heads += [f'+{i + 1} click' for i in range(extra)] + ['calibration']
    lines = ['| ' + ' | '.join(heads) + ' |', '|---' * len(heads) + '|']
    for name, part in [*report.modalities.items(), ('macro', report.macro)]:
        numbers = [part.click, part.oracle, part.box, *part.corrected, part.calibration]
        cells = [name, str(part.images), str(part.objects), *(f'{v:.3f}' for v in numbers)]
        lines.append('| ' + ' | '.join(cells) + ' |')
    lines.append('')
    lines.append(
        f'{report.seconds_per_image:.2f} s per image, {report.seconds_per_click:.3f} s per click'
    )
    return '\n'.join(lines)


def write_report(report: Report, path: Path) -> None:
    """Write a report as JSON."""
    path.write_text(json.dumps(dataclasses.asdict(report), indent=2), encoding='utf-8')
