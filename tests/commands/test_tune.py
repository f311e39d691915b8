"""Choosing a library, and 8-bit integers, from the command line; the libraries are stand-ins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from torch import Tensor
from typer.testing import CliRunner, Result

from mobile_sam.checkpoints import BUNDLED_NAME, LoadedModel, bundled_path, load_model
from mobile_sam.fast.quantised import prepared
from mobile_sam.fast.tuning import Tuning
from mobile_sam.training.data import Sample
from mobile_sam.training.evaluation import encoders
from mobile_sam.training.evaluation.encoders import pictures_of_each_kind
from napari_mobilesam import cli
from napari_mobilesam.engine import SamSegmenter

pytestmark = pytest.mark.skipif(bundled_path() is None, reason='needs the bundled checkpoint')

DIGEST = 'ab' * 32


class Library:
    """Encodes at once: what the model's encoder gave for the same pictures, or something else."""

    name, package = 'Library', 'torch'

    def __init__(self, change: float) -> None:
        self.change = change
        self.known: list[tuple[Tensor, Tensor]] = []

    def load(self, graph: Path, threads: int) -> Callable[[Tensor], Tensor]:
        assert graph.read_bytes() in (b'exact', b'rounded')
        return self._encode

    def _encode(self, x: Tensor) -> Tensor:
        features = next((f for p, f in self.known if torch.equal(p, x)), None)
        if features is None:
            return torch.zeros(len(x), 256, 64, 64)
        return features + self.change * features.std() * torch.randn(
            features.shape, generator=torch.Generator().manual_seed(0)
        )


@pytest.fixture(scope='module')
def loaded() -> LoadedModel:
    return replace(load_model(BUNDLED_NAME), digest=DIGEST)


@pytest.fixture(scope='module')
def answers(loaded: LoadedModel) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """The pictures that are looked at, and their features."""
    side = loaded.model.image_encoder.img_size
    noise = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    pictures = [noise, *(prepared(loaded.model, sample.image) for sample in few(2))]
    with torch.inference_mode():
        yield [(picture, loaded.model.image_encoder(picture)) for picture in pictures]


def few(seed: int) -> Iterator[Sample]:
    yield from list(pictures_of_each_kind(seed, sides=(96,)))[:1]


@pytest.fixture
def library(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    loaded: LoadedModel,
    answers: list[tuple[Tensor, Tensor]],
) -> Library:
    library = Library(0)
    library.known = answers

    def tuning_of(digest: str, precision: str = 'float32') -> Tuning:
        kind = '' if precision == 'float32' else precision
        return Tuning(digest, tmp_path / 'tuning', (library,), kind)

    def write(_encoder: object, _side: int, path: Path) -> Path:
        path.write_bytes(b'exact')
        return path

    def quantise(graph: Path, pictures: Iterator[Tensor], path: Path) -> None:
        assert graph.read_bytes() == b'exact'
        assert len(list(pictures)) == 1
        path.write_bytes(b'rounded')

    monkeypatch.setattr('napari_mobilesam.engine.encoding.tuning_of', tuning_of)
    monkeypatch.setattr('mobile_sam.checkpoints.load_model', lambda _: loaded)
    monkeypatch.setattr('mobile_sam.utils.onnx.export_prepared_encoder', write)
    monkeypatch.setattr('mobile_sam.fast.quantised.quantise', quantise)
    monkeypatch.setattr(encoders, 'pictures_of_each_kind', few)
    return library


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def test_the_quickest_is_used_from_then_on(library: Library, loaded: LoadedModel) -> None:
    result = run('tune')
    assert result.exit_code == 0, result.output
    assert 'Used from now on: Library' in result.stdout
    segmenter = SamSegmenter(loaded, 'cpu')
    assert segmenter.precisions == ('float32',)
    segmenter.encode(np.zeros((40, 40, 3), np.uint8))
    assert segmenter.backend == 'Library'


def test_integers_are_offered_and_never_used_unasked(library: Library, loaded: LoadedModel) -> None:
    library.change = 1e-3
    result = run('tune', '--int8')
    assert result.exit_code == 0, result.output
    assert 'simulated objects, float32 and int8' in result.stdout
    assert 'Offered from now on as the precision int8: Library, int8' in result.stdout
    exact, rounded = (SamSegmenter(loaded, 'cpu', precision=p) for p in ('float32', 'int8'))
    assert exact.precisions == rounded.precisions == ('float32', 'int8')
    assert (exact.precision, rounded.precision) == ('float32', 'int8')
    picture = np.zeros((40, 40, 3), np.uint8)
    assert exact.encode(picture).key != rounded.encode(picture).key
    assert (exact.backend, rounded.backend) == ('torch, strips', 'Library, int8')
    assert run('tune', '--forget').exit_code == 0
    assert SamSegmenter(loaded, 'cpu', precision='int8').precision == 'float32'


def test_integers_that_lose_masks_are_not_offered(library: Library, loaded: LoadedModel) -> None:
    library.known = []  # features of nothing
    result = run('tune', '--int8')
    assert result.exit_code == 0, result.output
    assert 'masks lose 0.' in result.stdout
    assert 'int8 is not offered' in result.stdout
    assert SamSegmenter(loaded, 'cpu').precisions == ('float32',)


def test_a_precision_that_is_not_there_is_refused(library: Library, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / 'image.tif', np.zeros((5, 40, 50), np.uint8))
    result = run('embed', tmp_path / 'image.tif', '--precision', 'int8', '--folder', tmp_path)
    assert result.exit_code != 0
    assert 'expected a precision of float32' in result.output
    assert 'tune --int8' in result.output
