"""Prompts: what the user points at, in pixels of one plane."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite

from .mask_prompt import MaskPrompt

Point = tuple[float, float]
Box = tuple[float, float, float, float]

#: Shapes that enclose the object, and strokes on it or beside it.
KINDS = ('rectangle', 'ellipse', 'polygon', 'path', 'line')


class PromptOutsidePlaneError(ValueError):
    """All prompts lie beside the plane that they are meant for."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A shape as it was drawn, from which points, a box or a mask were made.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    vertices : tuple of (row, column)
        As in `Prompts`; of a rectangle and the bounds of an ellipse the four corners in turn.
    positive : bool
        Of a stroke, whether it is on the object.

    Raises
    ------
    ValueError
        If the kind is another one, there are no vertices, or one is not finite.
    """

    kind: str
    vertices: tuple[Point, ...]
    positive: bool = True

    def __post_init__(self) -> None:
        vertices = tuple((float(row), float(column)) for row, column in self.vertices)
        if self.kind not in KINDS:
            raise ValueError(f'expected a shape drawn as one of {KINDS}; got {self.kind!r}')
        if not vertices or not all(isfinite(value) for vertex in vertices for value in vertex):
            raise ValueError('a shape has one or more finite vertices; got none or others')
        object.__setattr__(self, 'vertices', vertices)


@dataclass(frozen=True, slots=True)
class Prompts:
    """Points, at most one box and at most one mask that describe one object in a plane.

    All coordinates are (row, column), floating point, with pixel centres at integers: the plane
    covers ``-0.5 <= row <= H - 0.5``.

    Parameters
    ----------
    points : tuple of (row, column)
        The points, in the order in which they were placed.
    positive : tuple of bool
        For each point whether it is on the object (True) or beside it (False).
    box : tuple of (row0, column0, row1, column1), optional
        Opposite corners; stored sorted, so that the first is the upper left one.
    mask : MaskPrompt, optional
        Roughly where the object is.
    drawn : tuple of Drawn
        The shapes that all this was made from, so that they can be shown again; nothing to the
        model. The points of strokes are the last of `points`, in the order of the strokes.

    Raises
    ------
    ValueError
        If the numbers of points and polarities differ, or a coordinate is not finite.
    """

    points: tuple[Point, ...] = ()
    positive: tuple[bool, ...] = ()
    box: Box | None = None
    mask: MaskPrompt | None = None
    drawn: tuple[Drawn, ...] = ()

    def __post_init__(self) -> None:
        points = tuple((float(row), float(column)) for row, column in self.points)
        positive = tuple(bool(polarity) for polarity in self.positive)
        if len(points) != len(positive):
            raise ValueError(
                f'each point needs a polarity; got {len(points)} points, {len(positive)} polarities'
            )
        box = None
        if self.box is not None:
            row0, column0, row1, column1 = (float(value) for value in self.box)
            box = (row0, column0, row1, column1)
        if not all(isfinite(value) for point in (*points, box or ()) for value in point):
            raise ValueError(f'coordinates of prompts are finite; got points {points}, box {box}')
        if box is not None:
            box = (min(row0, row1), min(column0, column1), max(row0, row1), max(column0, column1))
        object.__setattr__(self, 'points', points)
        object.__setattr__(self, 'positive', positive)
        object.__setattr__(self, 'box', box)

    def __bool__(self) -> bool:
        return bool(self.points) or self.box is not None or self.mask is not None

    @property
    def ambiguous(self) -> bool:
        """Whether this is a single positive point: it may mean a part, an object or a group."""
        return self.positive == (True,) and self.box is None and self.mask is None

    def with_point(self, row: float, column: float, positive: bool = True) -> Prompts:
        """Return these prompts and one more point."""
        return replace(
            self, points=(*self.points, (row, column)), positive=(*self.positive, positive)
        )

    def with_box(self, box: Box | None) -> Prompts:
        """Return these prompts with another box, or with none."""
        return replace(self, box=box)

    def with_mask(self, mask: MaskPrompt | None) -> Prompts:
        """Return these prompts with another mask, or with none."""
        return replace(self, mask=mask)

    def clipped(self, shape: tuple[int, int]) -> Prompts:
        """Return what of these prompts lies on a plane.

        Points beside the plane are left out, those in the outer half of a border pixel move to its
        centre, a box is cut at the border.

        Parameters
        ----------
        shape : tuple of (int, int)
            Rows and columns of the plane.

        Raises
        ------
        PromptOutsidePlaneError
            If there were prompts and none is left.
        ValueError
            If the mask is of a plane of another shape.
        """
        height, width = shape
        if self.mask is not None and self.mask.shape != (height, width):
            raise ValueError(
                f'expected a mask prompt of the plane, {height} rows and {width} columns; got one '
                f'of a plane of {self.mask.shape[0]} and {self.mask.shape[1]}: make it anew'
            )
        kept = [
            ((min(max(row, 0.0), height - 1.0), min(max(column, 0.0), width - 1.0)), polarity)
            for (row, column), polarity in zip(self.points, self.positive, strict=True)
            if -0.5 <= row <= height - 0.5 and -0.5 <= column <= width - 0.5
        ]
        box = self.box
        if box is not None:
            row0, column0 = max(box[0], -0.5), max(box[1], -0.5)
            row1, column1 = min(box[2], height - 0.5), min(box[3], width - 0.5)
            box = (row0, column0, row1, column1) if row0 <= row1 and column0 <= column1 else None
        clipped = Prompts(
            tuple(p for p, _ in kept), tuple(sign for _, sign in kept), box, self.mask
        )
        if self and not clipped:
            raise PromptOutsidePlaneError(
                f'no prompt lies on the image, which has {height} rows and {width} columns: points '
                f'{list(self.points)}, box {self.box} as (row, column); place one on the image'
            )
        return clipped
