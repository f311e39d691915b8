"""napari's writers of Labels layers: the same code path as buttons, command line and scripts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_mobilesam.exchange import ObjectInfo, Segmentation, export
from napari_mobilesam.exchange.segmentation import named_axes


def write_labels(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write a Labels layer; how the name ends decides on the format.

    Parameters
    ----------
    path : str
        Where. napari has asked already whether it may be replaced.
    data : array-like of int
        The labels; of a multiscale layer the finest level.
    meta : dict
        The layer's attributes, as napari gives them.

    Returns
    -------
    list of str
        What was written.

    Raises
    ------
    ExchangeError
        If it could not be.
    """
    if meta.get('multiscale'):
        data = data[0]
    written = export(segmentation_of_layer(data, meta), path, overwrite=True)
    return [str(name) for name in written]


def segmentation_of_layer(data: Any, meta: Mapping[str, Any]) -> Segmentation:
    """Return a layer's labels with its scale, units and what its features say of the objects."""
    ndim = len(data.shape)
    scale = tuple(abs(float(s)) or 1.0 for s in meta.get('scale', ())) or (1.0,) * ndim
    units = [str(unit) for unit in meta.get('units') or ()]
    return Segmentation(
        data,
        named_axes(meta.get('axis_labels') or (), ndim),
        scale,
        units[-1] if units else 'pixel',
        _objects(meta.get('features')),
        name=str(meta.get('name', 'image')),
    )


def _objects(features: Any) -> dict[int, ObjectInfo]:
    columns = [str(name) for name in getattr(features, 'columns', ())]
    if 'index' not in columns:
        return {}
    objects = {}
    for row in features.to_dict('records'):
        label, score = int(row['index']), row.get('score')
        if label > 0:
            known = score is not None and score == score
            name = row.get('class')
            objects[label] = ObjectInfo(
                label,
                name if isinstance(name, str) else '',
                score=float(score) if known else None,
            )
    return objects
