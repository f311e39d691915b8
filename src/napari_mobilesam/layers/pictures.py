"""What the model is to see of the viewer: one layer, what is visible, or layers as R, G and B."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_mobilesam import engine
from napari_mobilesam.engine import (
    Channel,
    Frame,
    IntensityMapping,
    PlaneKey,
    PlaneSource,
    StackSample,
)

from .planes import NotAnnotatable, image_shape, mapping_as_displayed, plane_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import Dims
    from napari.layers import Image
    from numpy.typing import NDArray

Content = Literal['layer', 'visible', 'rgb']

# A sample needs no finer level than this, in pixels along the longer side.
_SAMPLE_SIDE = 512
_CHANNEL_LABELS = {'c', 'ch', 'channel', 'channels', 'colour', 'color'}
# More entries than this help nobody in a list to choose from.
_CHANNELS_LISTED = 12


@dataclass(frozen=True, slots=True)
class ImageChannel:
    """An image layer, or one position on an axis of it.

    Attributes
    ----------
    layer
        The layer, held by reference.
    axis
        The channel axis, counted from the first of the layer; None for the layer as it is.
    index
        The position on it.
    """

    layer: Image
    axis: int | None = None
    index: int = 0

    @property
    def title(self) -> str:
        """Name to show."""
        name = str(self.layer.name)
        return name if self.axis is None else f'{name} · channel {self.index + 1}'


@dataclass(frozen=True, slots=True)
class PictureChoice:
    """How the picture that the model sees is made.

    Attributes
    ----------
    mapping
        Of intensities; None for as displayed.
    content
        `'layer'`: the annotated image alone, in grey or its own colours. `'visible'`: all visible
        images as they are displayed, with colormaps, opacity and blending. `'rgb'`: up to three
        images or channels as red, green and blue.
    rgb
        The channels for red, green and blue; None for none.
    """

    mapping: IntensityMapping | None = IntensityMapping()  # noqa: RUF009 - frozen
    content: Content = 'layer'
    rgb: tuple[ImageChannel | None, ImageChannel | None, ImageChannel | None] = (None, None, None)


def with_intensity(choice: PictureChoice, mode: str) -> PictureChoice:
    """Return a choice with another mode of intensities; percentiles stay where they were."""
    if mode == 'displayed':
        return replace(choice, mapping=None)
    mapping = IntensityMapping() if choice.mapping is None else choice.mapping
    return replace(choice, mapping=replace(mapping, mode=mode))  # type: ignore[arg-type]


class Samples:
    """The stack samples that were taken, so that each image is sampled once."""

    def __init__(self) -> None:
        self._taken: list[tuple[Any, tuple[Any, ...], StackSample]] = []

    def of(self, array: Any, key: PlaneKey, channel_axis: int | None) -> StackSample:
        """Return the sample of an image; nothing is read here."""
        at = None if channel_axis is None else key.index[key.indexed.index(channel_axis)]
        place = (tuple(sorted(key.displayed)), channel_axis, at)
        for known, where, sample in self._taken:
            if known is array and where == place:
                return sample
        sample = StackSample(array, key, channel_axis)
        self._taken.append((array, place, sample))
        return sample

    def forget(self) -> None:
        """Sample anew: pixels changed."""
        self._taken.clear()


def channels_of(images: Sequence[Image]) -> list[ImageChannel]:
    """List what can be red, green or blue: each layer, and the channels of labelled channel axes.

    An axis is one of channels if its label says so, never because of its length.
    """
    found = []
    for image in images:
        labels = [str(label).strip().lower() for label in image.axis_labels]
        axes = [axis for axis, label in enumerate(labels) if label in _CHANNEL_LABELS]
        if not axes or image.rgb:
            found.append(ImageChannel(image))
            continue
        count = image_shape(image)[axes[0]]
        found += [ImageChannel(image, axes[0], i) for i in range(min(count, _CHANNELS_LISTED))]
    return found


def picture_source(
    image: Image,
    dims: Dims,
    choice: PictureChoice,
    images: Sequence[Image] = (),
    samples: Samples | None = None,
) -> PlaneSource:
    """Return what the worker needs to read and map the plane on display: no pixel is read here.

    Parameters
    ----------
    image
        The annotated image: plane and coordinates are its own.
    dims
        The viewer's.
    choice
        How the picture is made.
    images
        All image layers of the viewer, the lowest first; looked at for `'visible'` only.
    samples
        Where samples of stacks are kept; by default a new place.

    Raises
    ------
    NotAnnotatable
        As `plane_key`.
    """
    samples = Samples() if samples is None else samples
    key = plane_key(image, dims)
    own = _source(ImageChannel(image), key, choice.mapping, samples)
    channels: list[Channel] = []
    if choice.content == 'visible':
        for layer in images:
            if layer.visible and layer.opacity > 0:
                channels += _channel(
                    ImageChannel(layer),
                    image,
                    key,
                    dims,
                    None,
                    samples,
                    colours=None if layer.rgb else layer.colormap.map(np.linspace(0, 1, 256)),
                    opacity=float(layer.opacity),
                    blending=str(layer.blending),
                )
    elif choice.content == 'rgb':
        for part, colour in zip(choice.rgb, np.eye(3), strict=True):
            if part is not None and not part.layer.rgb:
                ramp = np.outer(np.linspace(0, 1, 256), colour)
                channels += _channel(part, image, key, dims, choice.mapping, samples, colours=ramp)
    return replace(own, channels=tuple(channels)) if channels else own


def visible_frame(viewer: Any, image: Image, key: PlaneKey) -> Frame:
    """Return the part of a plane that the canvas shows.

    Raises
    ------
    NotAnnotatable
        If it shows nothing of it.
    """
    camera, dims = viewer.scene.camera, viewer.dims
    half = np.asarray(viewer.canvas.size, dtype=float) / 2 / camera.zoom
    centre = np.asarray(camera.center, dtype=float)[-2:]
    places = []
    for signs in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        world = np.asarray(dims.point, dtype=float)
        world[list(dims.displayed)] = centre + half * signs
        data = np.asarray(image.world_to_data(world[-image.ndim :]), dtype=float)
        places.append(data[list(key.displayed)])
    (row0, column0), (row1, column1) = np.min(places, axis=0), np.max(places, axis=0)
    shape = image_shape(image)
    try:
        return Frame.around(
            row0, column0, row1, column1, (shape[key.displayed[0]], shape[key.displayed[1]])
        )
    except ValueError:
        raise NotAnnotatable(
            f'The canvas shows nothing of "{image.name}": move the view back to it.'
        ) from None


def _source(
    part: ImageChannel, key: PlaneKey, mapping: IntensityMapping | None, samples: Samples
) -> PlaneSource:
    layer = part.layer
    levels = tuple(layer.data) if layer.multiscale else (layer.data,)
    if part.axis is not None and part.axis in key.indexed:
        index = list(key.index)
        index[key.indexed.index(part.axis)] = part.index
        key = replace(key, index=tuple(index))
    if mapping is None:
        mapping = mapping_as_displayed(layer)
    sample = None
    if mapping.mode == 'stack':
        sides = [max(int(level.shape[axis]) for axis in key.displayed) for level in levels]
        coarsest = max([i for i, side in enumerate(sides) if side >= _SAMPLE_SIDE], default=0)
        axis = part.axis if part.axis in key.indexed else None
        sample = samples.of(levels[coarsest], key, axis)
    return PlaneSource(
        key=key,
        array=levels[0],
        mapping=mapping,
        rgb=bool(layer.rgb),
        coarser=levels[1:],
        sample=sample,
        spacing=_spacing(layer, key),
    )


def _spacing(layer: Image, key: PlaneKey) -> tuple[float, float] | None:
    """Return the sizes of a pixel on display; None where the layer says nothing useful."""
    rows, columns = (abs(float(layer.scale[axis])) for axis in key.displayed)
    return (rows, columns) if 0 < rows < np.inf and 0 < columns < np.inf else None


def _channel(
    part: ImageChannel,
    image: Image,
    key: PlaneKey,
    dims: Dims,
    mapping: IntensityMapping | None,
    samples: Samples,
    **keywords: Any,
) -> list[Channel]:
    """Return the channel of a layer, or nothing where it has no plane here."""
    layer = part.layer
    try:
        own = key if layer is image else plane_key(layer, dims)
    except NotAnnotatable:
        return []
    matrix = None if layer is image else _plane_to_plane(image, key, layer, own, dims)
    return [Channel(_source(part, own, mapping, samples), matrix=matrix, **keywords)]


def _plane_to_plane(
    image: Image, key: PlaneKey, other: Image, own: PlaneKey, dims: Dims
) -> NDArray[np.float64]:
    """Return the matrix from (row, column, 1) of the image's plane to the other's (row, column)."""
    shape = image_shape(image)
    # far apart, for exactness
    height, width = (max(1, shape[axis] - 1) for axis in key.displayed)

    def locate(row: float, column: float) -> NDArray[np.float64]:
        world = np.asarray(dims.point, dtype=float)
        world[-image.ndim :] = image.data_to_world(engine.embed_points((row, column), key)[0])
        data = np.asarray(other.world_to_data(world[-other.ndim :]), dtype=float)
        return data[list(own.displayed)]

    origin = locate(0, 0)
    down = (locate(height, 0) - origin) / height
    across = (locate(0, width) - origin) / width
    return np.column_stack([down, across, origin])
