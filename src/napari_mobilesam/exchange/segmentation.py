"""Segmentations: labels with their calibration, and what is known of their objects."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from .errors import ExchangeError
from .patches import Patch, patches_of_plane

MAX_LABEL = 2**31 - 1
"""The largest id: what int32, napari's Labels and most other programs can hold."""

Colour = tuple[int, int, int]
_DEFAULT_AXES = {2: 'yx', 3: 'zyx', 4: 'tzyx', 5: 'tczyx'}


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What is known of an object beside its pixels.

    Parameters
    ----------
    label : int
        Its id, 1 or more.
    class_name : str
        Empty where it has no class.
    flags : tuple of str
        Marks such as ``'reviewed'``.
    score : float, optional
        The decoder's estimate of the mask's quality.
    n_prompts : int
        How many points and boxes it was made from; 0 where it was painted or imported.
    """

    label: int
    class_name: str = ''
    flags: tuple[str, ...] = ()
    score: float | None = None
    n_prompts: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.label <= MAX_LABEL:
            raise ExchangeError(f'ids of objects go from 1 to {MAX_LABEL}; got {self.label}')
        if self.score is not None and not isfinite(self.score):
            object.__setattr__(self, 'score', None)

    def to_json(self) -> dict[str, Any]:
        """Return what differs from the defaults, for files."""
        found: dict[str, Any] = {'label': self.label}
        if self.class_name:
            found['class'] = self.class_name
        if self.flags:
            found['flags'] = list(self.flags)
        if self.score is not None:
            found['score'] = round(self.score, 6)
        if self.n_prompts:
            found['prompts'] = self.n_prompts
        return found

    @classmethod
    def from_json(cls, found: Any) -> ObjectInfo:
        """Read what `to_json` gave.

        Raises
        ------
        ExchangeError
            If this is something else.
        """
        if not isinstance(found, dict):
            raise ExchangeError(f'an object is a JSON object; got {type(found).__name__}')
        label, score = found.get('label'), found.get('score')
        prompts, flags = found.get('prompts', 0), found.get('flags', [])
        if not is_integer(label) or not is_integer(prompts) or not isinstance(flags, list):
            raise ExchangeError('an object has an integer "label" and "prompts", and list "flags"')
        if score is not None and (isinstance(score, bool) or not isinstance(score, int | float)):
            raise ExchangeError(f'the score of an object is a number; got {score!r:.40}')
        return cls(
            label,
            str(found.get('class', '')),
            tuple(str(flag) for flag in flags),
            None if score is None else float(score),
            prompts,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """Labels of an image, ready to be exported, or imported from a file.

    Parameters
    ----------
    labels : array-like of int, shape (..., H, W)
        Ids, 0 being the background. Read to memory; kept in its own type where that is an
        integer one of up to 32 bits, int32 else.
    axes : str, optional
        One letter of ``tczyx`` per axis of the labels, in this order; the last two are ``yx``. By
        default those usual for the number of axes.
    scale : tuple of float, optional
        Size of a pixel along each axis, by default 1.
    unit : str
        Unit of the scale along z, y and x: ``'pixel'``, or a length such as ``'micrometer'``.
    objects : mapping of int to ObjectInfo
        What is known of objects, by id. Objects without an entry have their id only.
    colours : mapping of str to (r, g, b)
        Colours of classes, 0..255.
    name : str
        Name of the image, for formats that speak of it.
    image : array-like, optional
        The image, of the shape of the labels, or with a last axis of 3 or 4 colours more; for
        intensity statistics.
    notices : tuple of str
        What the user should know about how a file was read.
    watch : callable, optional
        Told, while it is written, how many planes are done, and how many there are. What it
        raises ends the writing; nothing is left of the file then.

    Raises
    ------
    ExchangeError
        If these are no labels, or the parameters do not fit together.
    """

    labels: NDArray[Any]
    axes: str = ''
    scale: tuple[float, ...] = ()
    unit: str = 'pixel'
    objects: Mapping[int, ObjectInfo] = field(default_factory=dict)
    colours: Mapping[str, Colour] = field(default_factory=dict)
    name: str = 'image'
    image: Any = None
    notices: tuple[str, ...] = ()
    watch: Callable[[int, int], object] | None = None

    def __post_init__(self) -> None:
        labels = checked_labels(self.labels)
        axes = (self.axes or _DEFAULT_AXES.get(labels.ndim, '')).lower()
        check_axes(axes, labels.ndim)
        scale = tuple(float(value) for value in (self.scale or (1.0,) * labels.ndim))
        if len(scale) != labels.ndim or not all(isfinite(s) and s > 0 for s in scale):
            raise ExchangeError(
                f'the scale is one positive number for each of {labels.ndim} axes; got {scale}'
            )
        if self.image is not None and tuple(self.image.shape[: labels.ndim]) != labels.shape:
            raise ExchangeError(
                f'the labels have the shape {labels.shape}, the image {tuple(self.image.shape)}: '
                'choose the image that they belong to'
            )
        object.__setattr__(self, 'labels', labels)
        object.__setattr__(self, 'axes', axes)
        object.__setattr__(self, 'scale', scale)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the labels."""
        return tuple(int(n) for n in self.labels.shape)

    @property
    def ids(self) -> list[int]:
        """All ids that have pixels, ascending."""
        return [int(label) for label in np.unique(self.labels) if label]

    def info(self, label: int) -> ObjectInfo:
        """Return what is known of an object: where it is nothing, its id."""
        return self.objects.get(label) or ObjectInfo(label)

    def planes(self, axes: int = 2) -> Iterator[tuple[int, ...]]:
        """Give the positions on all but the last axes, and tell `watch` how far it is."""
        outer = self.shape[: len(self.shape) - axes]
        total = int(np.prod(outer, dtype=np.int64))
        for done, index in enumerate(np.ndindex(outer)):
            if self.watch is not None:
                self.watch(done, total)
            yield index

    def patches(self) -> Iterator[Patch]:
        """Give all objects, plane by plane and by ascending id; see `planes`."""
        for index in self.planes():
            yield from patches_of_plane(self.labels[index], index)

    def position(self, index: tuple[int, ...]) -> dict[str, int]:
        """Return a plane's position on the leading axes, by axis letter."""
        return dict(zip(self.axes, index, strict=False))

    def colour(self, label: int) -> Colour:
        """Return the colour of an object: that of its class, else one of its own."""
        given = self.colours.get(self.info(label).class_name)
        return label_colour(label) if given is None else given

    def metadata(self) -> dict[str, Any]:
        """Return what is known of the objects that have pixels, for formats with room for it."""
        present = set(self.ids)
        known = [info.to_json() for label, info in sorted(self.objects.items()) if label in present]
        classes = {name: list(colour) for name, colour in self.colours.items()}
        return {'version': 1, 'objects': known, 'classes': classes}


def read_metadata(found: Any) -> tuple[dict[int, ObjectInfo], dict[str, Colour]]:
    """Read what `Segmentation.metadata` gave; nothing where there is none.

    Raises
    ------
    ExchangeError
        If it is damaged.
    """
    if not isinstance(found, dict) or not isinstance(found.get('objects', []), list):
        return {}, {}
    infos = [ObjectInfo.from_json(entry) for entry in found.get('objects', [])]
    classes = found.get('classes', {})
    colours = classes.items() if isinstance(classes, dict) else ()
    return (
        {info.label: info for info in infos},
        {str(name): colour for name, value in colours if (colour := read_colour(value))},
    )


def read_colour(value: Any) -> Colour | None:
    """Return an (r, g, b) of 0..255, or None where this is none."""
    if not isinstance(value, list | tuple) or len(value) not in (3, 4):
        return None
    if not all(is_integer(part) and 0 <= part <= 255 for part in value):
        return None
    return value[0], value[1], value[2]


def label_colour(label: int) -> Colour:
    """Return a bright colour that differs from those of the neighbouring ids."""
    hue = (label * 0.61803398875) % 1  # steps of the golden angle
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def is_integer(value: Any) -> TypeGuard[int]:
    """Whether a value from a JSON file is an integer; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_axes(axes: str, ndim: int) -> None:
    """Make sure that letters name axes in the usual order.

    Raises
    ------
    ExchangeError
        If they do not.
    """
    if len(axes) != ndim or axes != ''.join(a for a in 'tczyx' if a in axes) or axes[-2:] != 'yx':
        raise ExchangeError(
            f'axes are named by letters of "tczyx" in this order, one per axis, with "yx" last; '
            f'got "{axes}" for {ndim} axes'
        )


def named_axes(names: Iterable[object], ndim: int) -> str:
    """Return names of axes as letters of ``tczyx`` where they are such, in this order; else ''."""
    letters = ''.join(str(name).strip().lower()[:1] for name in names)
    known = letters == ''.join(a for a in 'tczyx' if a in letters) and letters.endswith('yx')
    return letters if known and len(letters) == ndim else ''


def checked_labels(labels: Any) -> NDArray[Any]:
    """Return labels as an integer array whose ids are in range.

    Raises
    ------
    ExchangeError
        If the values are no integers, or negative or too large.
    """
    array = np.asarray(labels)
    if array.dtype.kind == 'b':
        array = array.astype(np.uint8)
    if array.dtype.kind not in 'iu':
        raise ExchangeError(
            f'labels are integers; got values of type {array.dtype}. If they are whole numbers all '
            'the same, convert them to int32 first'
        )
    if array.ndim < 2 or 0 in array.shape:
        raise ExchangeError(f'labels have at least two axes, and pixels; got {array.shape}')
    if array.dtype.kind == 'i' and int(array.min()) < 0:
        raise ExchangeError(f'ids are not negative; found {int(array.min())}')
    if array.dtype.itemsize >= 4:
        largest = int(array.max())
        if largest > MAX_LABEL:
            raise ExchangeError(
                f'ids end at {MAX_LABEL} (2^31 - 1); found {largest}. Renumber the objects first, '
                'for example with skimage.segmentation.relabel_sequential'
            )
        if array.dtype != np.int32:
            array = array.astype(np.int32)
    return array.astype(array.dtype.newbyteorder('='), copy=False)
