"""Do the fast forms change the masks? Mean IoU with the bundled checkpoint, both ways.

    python benchmarks/accuracy.py ../shared/data --images 10

For images kept for validation, up to twenty objects each: a point in the middle of the object, and
its box. Prints the mean IoU with encoder and decoder as their modules compute them, and with the
fast forms of both, and by how much the masks of the two agree with each other; for a point also
that of a hover, whose mask is drawn along its contour only. ``--precision int8`` takes the encoder
that ``napari-mobilesam tune --int8`` made.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mobile_sam.checkpoints import BUNDLED_NAME, load_model
from mobile_sam.fast.forms import PlainDecoder
from mobile_sam.training.data import Reader, read_items, split_items
from napari_mobilesam.engine import Prompts, SamSegmenter


def prompts_of(mask: NDArray[np.bool_]) -> dict[str, Prompts]:
    """Give a point well inside of an object, and its box."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(depth.argmax(), mask.shape)
    rows, columns = np.nonzero(mask)
    box = (rows.min(), columns.min(), rows.max(), columns.max())
    return {
        'point': Prompts(((float(row), float(column)),), (True,)),
        'box': Prompts(box=tuple(map(float, box))),
    }


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    union = (a | b).sum()
    return float((a & b).sum() / union) if union else 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('data', type=Path)
    parser.add_argument('--images', type=int, default=10)
    parser.add_argument('--precision', default='float32')
    arguments = parser.parse_args()
    _, held_out = split_items(read_items(arguments.data))
    chosen = np.random.default_rng(0).permutation(len(held_out))[: arguments.images]
    model = load_model(BUNDLED_NAME)
    fast = SamSegmenter(model, 'cpu', precision=arguments.precision)
    if fast.precision != arguments.precision:
        parser.error(f'there is no {arguments.precision} here, only {", ".join(fast.precisions)}')
    plain = SamSegmenter(model, 'cpu')
    plain._encoder()._encode = model.model.image_encoder
    plain._decoder()._form = PlainDecoder(model.model)
    read = Reader()
    found: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for index in chosen.tolist():
        sample = read(held_out[index])
        both = [(segmenter, segmenter.encode(sample.image)) for segmenter in (plain, fast)]
        labels = [label for label in np.unique(sample.labels) if label][:20]
        for label in labels:
            truth = sample.labels == label
            for kind, prompts in prompts_of(truth).items():
                one, other = (form.decode(e, prompts).mask() for form, e in both)
                found[kind].append((iou(one, truth), iou(other, truth), iou(one, other)))
                if kind == 'point':
                    hovered = fast.hover(both[1][1], prompts.points[0]).mask()
                    found['hover'].append((iou(one, truth), iou(hovered, truth), iou(one, hovered)))
    for kind, values in found.items():
        modules, quick, agreement = np.mean(values, axis=0)
        print(
            f'{kind}: {len(values)} objects, mean IoU {modules:.4f} with the modules, {quick:.4f} '
            f'fast, agreement {agreement:.5f}'
        )


if __name__ == '__main__':
    main()
