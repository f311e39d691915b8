from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from mobile_sam.build_sam import build_sam_vit_t
from mobile_sam.training.config import TrainConfig
from mobile_sam.training.data import Reader, read_items
from mobile_sam.training.frames import FrameSource


def test_frames_are_embedded_once(folder: Path, tmp_path: Path):
    torch.manual_seed(0)
    config = TrainConfig(
        data=folder,
        out=tmp_path,
        steps=1,
        phase='frames',
        batch=1,
        prompts=3,
        cached_frames=1,
        views=(1.0,),
    )
    source = FrameSource(build_sam_vit_t(), read_items(folder), Reader(), config)
    batch = source(0)
    assert batch.images.shape == (1, 256, 64, 64)
    assert batch.targets.shape == (3, 256, 256)
    assert torch.equal(source(1).images, batch.images)
    assert not torch.equal(source(1).coords, batch.coords)


def test_a_share_of_the_frames_is_put_together_of_pieces(folder: Path, tmp_path: Path):
    items, reader = read_items(folder), Reader()

    def objects(small: float) -> int:
        config = TrainConfig(
            data=folder, out=tmp_path, steps=1, phase='frames', batch=1, prompts=1,
            cached_frames=1, views=(1.0,), small=small,
        )  # fmt: skip
        source = FrameSource(build_sam_vit_t(), items, reader, config)
        return len(np.unique(source(0).labels))

    assert objects(1.0) > 2 * objects(0.0)
