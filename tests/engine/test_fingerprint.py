from __future__ import annotations

import numpy as np

from napari_mobilesam.engine import fingerprint


def test_T7_the_key_is_pixels_shape_and_model() -> None:
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    key = fingerprint(image, 'model')
    assert key == fingerprint(image.copy(), 'model')
    assert key == fingerprint(np.asfortranarray(image), 'model')

    other = image.copy()
    other[3, 3, 2] ^= 1
    others = {
        fingerprint(other, 'model'),
        fingerprint(image.reshape(2, 8, 3), 'model'),
        fingerprint(image, 'another'),
        fingerprint(image.swapaxes(0, 1), 'model'),
    }
    assert len(others) == 4
    assert key not in others
