"""The choice among libraries: measured, kept, followed, and given up when anything changed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from small_encoder import SIDE, Encoder
from torch import Tensor

from mobile_sam.fast import tuning as module
from mobile_sam.fast.backends import BACKENDS, Backend, installed
from mobile_sam.fast.tuning import Tuning, other_features
from mobile_sam.utils.onnx import export_prepared_encoder

DIGEST = '5e' * 32


class Fake:
    """A backend that answers with a function."""

    package = 'torch'

    def __init__(self, name: str, encode: Callable[[Tensor], Tensor]) -> None:
        self.name, self._encode = name, encode

    def load(self, graph: Path, threads: int) -> Callable[[Tensor], Tensor]:
        assert graph.read_bytes() == b'graph'
        assert threads == torch.get_num_threads()
        return self._encode


def slow(x: Tensor) -> Tensor:
    time.sleep(0.05)
    return 2 * x


def tuned(folder: Path, *backends: Backend, kind: str = '') -> Tuning:
    return Tuning(DIGEST, folder, backends, kind)


def measure(tuning: Tuning, fast: Callable[[Tensor], Tensor]) -> dict[str, float | str]:
    def write(path: Path) -> None:
        path.write_bytes(b'graph')

    return tuning.measure(fast, SIDE, write, other_features(fast, SIDE))


def test_the_quickest_is_kept_and_found_again(tmp_path: Path) -> None:
    def failing(_: Tensor) -> Tensor:
        raise RuntimeError('no such instruction')

    backends = (
        Fake('quick', lambda x: 2 * x),
        Fake('wrong', lambda x: 2.01 * x),
        Fake('broken', failing),
    )
    assert tuned(tmp_path, *backends).best() is None
    found = measure(tuned(tmp_path, *backends), slow)
    assert found['torch'] > found['quick']  # type: ignore[operator]
    assert 'differs' in str(found['wrong'])
    assert 'no such instruction' in str(found['broken'])
    best = tuned(tmp_path, *backends).best()
    assert best is not None
    assert best[1] == 'quick'
    torch.testing.assert_close(best[0](torch.ones(3)), 2 * torch.ones(3))
    assert sorted(path.suffix for path in tmp_path.iterdir()) == ['.json', '.onnx']
    tuned(tmp_path, *backends).forget()
    assert tuned(tmp_path, *backends).best() is None
    assert not list(tmp_path.iterdir())


def test_torch_stays_where_nothing_beats_it(tmp_path: Path) -> None:
    tuning = tuned(tmp_path, Fake('slow', slow))
    measure(tuning, lambda x: 2 * x)
    assert tuning.best() is None
    assert [path.suffix for path in tmp_path.iterdir()] == ['.json']


@pytest.mark.parametrize('change', ['threads', 'torch', 'library', 'graph', 'record', 'unknown'])
def test_a_choice_is_given_up_when_anything_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    quick = Fake('quick', lambda x: 2 * x)
    measure(tuned(tmp_path, quick), slow)
    assert tuned(tmp_path, quick).best() is not None
    (record,), (graph,) = tmp_path.glob('*.json'), tmp_path.glob('*.onnx')
    if change == 'graph':
        graph.write_bytes(b'something else')
    elif change == 'record':
        record.write_text('{"best": ')
    elif change == 'library':
        monkeypatch.setattr(module, 'installed', lambda _: '0.0')
    else:
        kept = json.loads(record.read_text())
        kept |= {'threads': {'threads': 99}, 'torch': {'torch': '1'}, 'unknown': {'best': 'x'}}[
            change
        ]
        record.write_text(json.dumps(kept))
    assert tuned(tmp_path, quick).best() is None


def test_a_kind_is_chosen_for_itself(tmp_path: Path) -> None:
    quick = Fake('quick', lambda x: 2 * x)
    measure(tuned(tmp_path, quick, kind='int8'), slow)
    assert tuned(tmp_path, quick).choice == ''
    assert tuned(tmp_path, quick).best() is None
    rounded = tuned(tmp_path, quick, kind='int8')
    assert rounded.choice == 'quick, int8'
    best = rounded.best()
    assert best is not None
    assert best[1] == 'quick, int8'
    tuned(tmp_path, quick).forget()
    assert rounded.choice
    rounded.forget()
    assert not list(tmp_path.iterdir())


def test_only_what_is_quicker_is_looked_at_for_objections(tmp_path: Path) -> None:
    asked = []

    def objection(encode: Callable[[Tensor], Tensor]) -> str:
        asked.append(float(encode(torch.ones(()))))
        return 'masks are lost' if asked[-1] == 3 else ''

    backends = (
        Fake('quick', lambda x: 2 * x),
        Fake('lossy', lambda x: 3 * x),
        Fake('slow', lambda x: slow(slow(x))),
    )
    tuning = tuned(tmp_path, *backends)
    found = tuning.measure(slow, SIDE, lambda path: path.write_bytes(b'graph'), objection)
    assert asked == [2, 3]
    assert found['lossy'] == 'masks are lost'
    assert float(found['slow']) > float(found['torch'])
    assert tuning.choice == 'quick'


@pytest.mark.parametrize('digest', ['', 'fake', '../' * 20, 'g' * 64])
def test_a_digest_is_no_path(tmp_path: Path, digest: str) -> None:
    with pytest.raises(ValueError, match='digest'):
        Tuning(digest, tmp_path)


@pytest.mark.parametrize('backend', BACKENDS, ids=lambda backend: backend.package)
def test_backends_give_the_same_features(tmp_path: Path, backend: Backend) -> None:
    pytest.importorskip('onnxscript')
    if installed(backend) is None:
        pytest.skip(f'{backend.package} is not installed: it comes with an extra')
    encoder = Encoder().eval()
    graph = export_prepared_encoder(encoder, SIDE, tmp_path / 'encoder.onnx')
    encode = backend.load(graph, 1)
    x = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        features = encode(x)
        torch.testing.assert_close(features, encoder(x), rtol=1e-4, atol=1e-5)
        encode(-x)  # its answer is no buffer of the next one's
        torch.testing.assert_close(features, encoder(x), rtol=1e-4, atol=1e-5)
