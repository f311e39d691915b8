"""A small folder of discs to train on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def discs(seed: int, shape: tuple[int, int] = (64, 80)) -> tuple[np.ndarray, np.ndarray]:
    """Draw four bright discs on a dark ground."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint16)
    rows, cols = np.indices(shape)
    for label, (row, col) in enumerate([(16, 18), (16, 56), (46, 22), (46, 58)], 1):
        row, col = row + rng.integers(-3, 4), col + rng.integers(-3, 4)
        labels[(rows - row) ** 2 + (cols - col) ** 2 < rng.integers(6, 11) ** 2] = label
    image = 30 + 150 * (labels > 0) + rng.normal(0, 8, shape)
    return np.clip(image, 0, 255).astype(np.uint8), labels


@pytest.fixture(scope='session')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a manifest: eight images of two modalities in six groups."""
    made = tmp_path_factory.mktemp('discs')
    items = []
    for i in range(8):
        image, labels = discs(i)
        Image.fromarray(image).save(made / f'{i}_image.png')
        Image.fromarray(labels).save(made / f'{i}_label.png')
        items.append(
            {
                'id': str(i),
                'modality': 'fluorescence' if i < 6 else 'em',
                'stratum': 'fluorescence/a' if i < 6 else 'em/a',
                'group': f'group{i // 2}' if i < 6 else f'group{i}',
                'axes': 'YX',
                'shape': list(image.shape),
                'image': f'{i}_image.png',
                'label': f'{i}_label.png',
            }
        )
    (made / 'manifest.json').write_text(json.dumps({'items': items}), encoding='utf-8')
    return made
