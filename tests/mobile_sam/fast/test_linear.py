from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mobile_sam.fast import linear as module
from mobile_sam.fast.linear import linear, onednn_is_faster


@pytest.mark.parametrize('other', [True, False])
@pytest.mark.parametrize('gelu', [True, False])
def test_both_libraries_multiply(monkeypatch: pytest.MonkeyPatch, other: bool, gelu: bool) -> None:
    if other and not torch.backends.mkldnn.is_available():
        pytest.skip('this torch is built without oneDNN')
    monkeypatch.setattr(module, 'onednn_is_faster', lambda: other)
    source = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(size, 24, generator=source) for size in (50, 7))
    bias = torch.randn(7, generator=source)
    wide = torch.randn(24, 50, generator=source)
    with torch.inference_mode():
        for rows, matrix, offset in ((x, weight, bias), (x, weight, None), (wide.T, weight, bias)):
            expected = F.linear(
                rows.double(), matrix.double(), None if offset is None else offset.double()
            )
            expected = F.gelu(expected) if gelu else expected
            found = linear(rows, matrix, offset, gelu=gelu)
            torch.testing.assert_close(found, expected.float(), rtol=1e-5, atol=1e-5)


def test_the_choice_is_made_once() -> None:
    assert onednn_is_faster() is onednn_is_faster()


def test_a_torch_without_onednn_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, 'is_available', lambda: False)
    assert onednn_is_faster.__wrapped__() is False
