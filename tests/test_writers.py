"""napari's writers: what File > Save makes of a Labels layer."""

from __future__ import annotations

from pathlib import Path

import napari.layers
import numpy as np
import pandas as pd
import pytest
from npe2 import PluginManifest
from segmentations import many

from napari_mobilesam.exchange import load
from napari_mobilesam.writers import write_labels

ENDINGS = ['geojson', 'zip', 'json', 'zarr', 'csv', 'parquet', 'tif', 'tiff']


def layer() -> napari.layers.Labels:
    return napari.layers.Labels(
        many((3, 60, 60)),
        name='Zellen',
        scale=(2, 0.5, 0.5),
        units=('um', 'um', 'um'),
        axis_labels=('z', 'y', 'x'),
        features=pd.DataFrame(
            {'index': [0, 1, 2], 'class': ['', 'nucleus', None], 'score': [np.nan, 0.5, np.nan]}
        ),
    )


def test_the_manifest_offers_every_ending() -> None:
    manifest = PluginManifest.from_distribution('napari-mobilesam')
    offered = [e for w in manifest.contributions.writers or () for e in w.filename_extensions]
    assert sorted(offered) == sorted(f'.{ending}' for ending in ENDINGS)


@pytest.mark.parametrize('ending', ENDINGS)
def test_layers_are_written(tmp_path: Path, ending: str) -> None:
    data, meta, _kind = layer().as_layer_data_tuple()
    path = tmp_path / f'a.{ending}'
    assert write_labels(str(path), data, meta) == [str(path)]
    assert write_labels(str(path), data, meta) == [str(path)]  # napari asked before
    if ending in ('csv', 'parquet'):
        return
    found = load(path, shape=data.shape)
    assert np.array_equal(found.labels, data)
    if ending in ('zarr', 'tif', 'tiff'):
        assert (found.scale, found.unit) == ((2, 0.5, 0.5), 'micrometer')
    assert found.info(1).class_name == 'nucleus'
    assert found.info(1).score == 0.5
    assert found.info(2).class_name == ''
