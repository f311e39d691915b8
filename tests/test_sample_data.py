"""Sample data: layers that napari takes, without a download."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
from npe2 import PluginManifest

from napari_mobilesam import sample_data

SIMULATED = [sample_data.nuclei_stack, sample_data.cells_2d]
ALL = [*SIMULATED, sample_data.cell, sample_data.coins]


@pytest.mark.parametrize('function', ALL)
def test_layers_can_be_made(function) -> None:
    layers = pytest.importorskip('napari.layers')
    made = [layers.Layer.create(*layer) for layer in function()]
    assert isinstance(made[0], layers.Image)
    assert made[0].visible
    assert made[0].data.ndim >= 2
    assert made[0].data.std() > 0


@pytest.mark.parametrize('function', SIMULATED)
def test_truth_lies_on_the_image_and_is_hidden(function) -> None:
    (image, image_keywords, image_type), (labels, keywords, labels_type) = function()
    assert (image_type, labels_type) == ('image', 'labels')
    assert image.shape == labels.shape
    assert labels.max() >= 20
    assert keywords['visible'] is False
    for name in ('scale', 'units', 'axis_labels'):
        assert keywords[name] == image_keywords[name]
        assert len(keywords[name]) == image.ndim
    assert image_keywords['units'][0] == 'micrometer'


def test_nuclei_are_a_scaled_stack() -> None:
    (image, keywords, _), (labels, _, _) = sample_data.nuclei_stack()
    assert image.ndim == 3
    assert image.dtype == np.uint16
    z, y, x = keywords['scale']
    assert (y, z) == (x, pytest.approx(3 * x, rel=1e-3))
    # The nuclei are objects of the volume: most of them show on several planes.
    planes = [len(np.unique(np.nonzero(labels == label)[0])) for label in range(1, 11)]
    assert np.median(planes) > 2
    assert image[labels > 0].mean() > 1.5 * image[labels == 0].mean()


def test_simulated_samples_are_the_same_each_time() -> None:
    for function in SIMULATED:
        for first, again in zip(function(), function(), strict=True):
            np.testing.assert_array_equal(first[0], again[0])


def test_pictures_are_those_of_scikit_image() -> None:
    assert sample_data.cell()[0][0].shape == (660, 550)
    assert sample_data.coins()[0][0].shape == (303, 384)


def test_manifest_offers_them() -> None:
    manifest = PluginManifest.from_distribution('napari-mobilesam')
    commands = {command.id: command.python_name for command in manifest.contributions.commands}
    offered = {
        commands[sample.command].partition(':')[2]
        for sample in manifest.contributions.sample_data or []
    }
    assert offered == {function.__name__ for function in ALL}
    assert import_module('napari_mobilesam.sample_data') is sample_data
