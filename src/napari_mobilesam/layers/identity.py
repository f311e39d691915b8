"""What an image layer is recognised by, whichever file or window it is in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_mobilesam.exchange.identity import ImageIdentity, identify
from napari_mobilesam.exchange.segmentation import named_axes

from .planes import image_shape, unwrap

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image

    from napari_mobilesam.exchange.images import Picture


def unit_of(layer: Any) -> str:
    """Return the unit of a layer's last axis."""
    units = [str(unit) for unit in layer.units or ()]
    return units[-1] if units else 'pixel'


def identifier(image: Image) -> Callable[[], ImageIdentity]:
    """Return what reads some of the pixels of an image to tell what it is: for a worker.

    The layer is looked at now. Calling what is returned may raise `ExchangeError`, for images of
    more than five axes.
    """
    pixels = image.data[0] if image.multiscale else image.data
    ndim = len(image_shape(image))
    axes = named_axes(image.axis_labels, ndim) or {2: 'yx', 3: 'zyx', 4: 'tzyx', 5: 'tczyx'}.get(
        ndim, ''
    )
    scale = tuple(abs(float(size)) or 1.0 for size in image.scale)
    path = image.source.path or ''
    unit, rgb, name = unit_of(image), bool(image.rgb), str(image.name)

    def read() -> ImageIdentity:
        from napari_mobilesam.exchange.segmentation import check_axes

        check_axes(axes, ndim)
        return identify(pixels, axes, scale, unit, rgb=rgb, path=path, name=name)

    return read


def middle_index(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the position on the leading axes that an image is opened at."""
    return tuple(side // 2 for side in shape[:-2])


def add_picture(viewer: Any, picture: Picture) -> Image:
    """Add an image that was read from a file, with its axes and calibration."""
    ndim = len(picture.shape)
    units = [picture.unit if axis in 'zyx' else 'pixel' for axis in picture.axes]
    keywords: dict[str, Any] = {
        'name': picture.name,
        'scale': picture.scale,
        'axis_labels': tuple(picture.axes),
        'rgb': picture.rgb,
    }
    try:
        layer = viewer.add_image(picture.pixels, units=units, **keywords)
    except ValueError:  # a unit that napari does not know
        layer = viewer.add_image(picture.pixels, **keywords)
    missing = viewer.dims.ndim - ndim
    for axis, place in enumerate(middle_index(picture.shape)):
        viewer.dims.set_current_step(axis + missing, place)
    added: Image = unwrap(layer)
    return added
