"""Parts that the encoders share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mobile_sam import sam_model_registry
from mobile_sam.checkpoints import save_checkpoint
from mobile_sam.modeling.common import StochasticDepth


def test_stochastic_depth_leaves_items_out_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    out = StochasticDepth(0.25)(torch.ones(4000, 3, 2))
    per_item = out.reshape(4000, -1)
    assert (per_item == per_item[:, :1]).all(), 'an item is left out as a whole'
    assert sorted(set(per_item[:, 0].tolist())) == pytest.approx([0, 4 / 3])
    assert out.mean() == pytest.approx(1, abs=0.05)


def test_stochastic_depth_does_nothing_when_not_training() -> None:
    x = torch.randn(5, 4)
    assert StochasticDepth(0.5).eval()(x) is x
    assert StochasticDepth(0.0)(x) is x


@pytest.mark.parametrize('probability', [-0.1, 1.0])
def test_stochastic_depth_refuses(probability: float) -> None:
    with pytest.raises(ValueError, match='probability'):
        StochasticDepth(probability)


def test_a_click_does_not_load_triton(tmp_path: Path) -> None:
    # Its LLVM crashes a process that draws with Mesa: napari without a graphics card, or on AMD.
    weights = save_checkpoint(sam_model_registry['vit_t'](), tmp_path / 'random.pt')
    code = (
        'import sys, numpy as np\n'
        'from mobile_sam.checkpoints import load_model\n'
        'from napari_mobilesam.engine import Prompts, SamSegmenter\n'
        f'segmenter = SamSegmenter(load_model({str(weights)!r}), "cpu")\n'
        'embedding = segmenter.encode(np.zeros((64, 64, 3), np.uint8))\n'
        'segmenter.decode(embedding, Prompts(((3, 3),), (True,))).mask()\n'
        'heavy = {"triton", "torchvision", "torch._dynamo"} & set(sys.modules)\n'
        'assert not heavy, heavy\n'
    )
    subprocess.run([sys.executable, '-W', 'error', '-c', code], check=True, timeout=200)
