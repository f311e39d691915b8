"""What the worker does for one click, and what comes back: plain values, no napari, no Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING

from napari_mobilesam.engine import (
    Annotator,
    CancelToken,
    Making,
    Patch,
    PlaneSource,
    Prediction,
    Prompts,
    TidyOptions,
    tidy_patch,
)
from napari_mobilesam.engine.drawing import Drawing, draw_hover, draw_patch, grid_within

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from napari_mobilesam.engine.prompts import Point


NOT_TIDIED = TidyOptions()
# Rows and columns in which the size of a mask is estimated, at most.
_ESTIMATE = 256


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A candidate, ready to be drawn and committed.

    Attributes
    ----------
    source
        The plane it belongs to.
    prediction
        The answer that it is part of.
    choice
        Which of the candidates.
    patch
        The mask, in the part of the plane that holds it.
    drawing
        Its contour and tint.
    sizes
        Pixels of all candidates, by their index; estimates but for the chosen one.
    decode_ms
        What the decoder took.
    encode_ms
        What the encoder took, if the plane had not been embedded yet.
    prompted_only, tidy
        What was made of the decoder's masks.
    """

    source: PlaneSource
    prediction: Prediction
    choice: int
    patch: Patch
    drawing: Drawing
    sizes: tuple[int, ...]
    decode_ms: float
    encode_ms: float | None = None
    prompted_only: bool = True
    tidy: TidyOptions = NOT_TIDIED

    @property
    def making(self) -> Making:
        """How the mask was made, for whoever wants to make it again."""
        return Making.of(self.source, self.prediction, self.choice, self.prompted_only, self.tidy)

    @property
    def score(self) -> float:
        """The decoder's estimate of this mask's quality."""
        return self.prediction.candidates.score(self.choice)

    @property
    def rank(self) -> int:
        """Place of this candidate among all, from the best, counted from 0."""
        return self.prediction.candidates.order.index(self.choice)

    @property
    def n_pixels(self) -> int:
        """Size of the mask."""
        return self.patch.n_pixels

    def mask(self) -> NDArray[np.bool_]:
        """Return the mask of the whole plane, bool (H, W)."""
        return self.patch.full()


@dataclass(frozen=True, slots=True, eq=False)
class Hovered:
    """What a click would give, ready to be drawn.

    Attributes
    ----------
    source
        The plane it belongs to.
    drawing
        Its contour and tint.
    scores
        Of all masks that there are, from the best.
    rank
        Which of them this is.
    """

    source: PlaneSource
    drawing: Drawing
    scores: tuple[float, ...]
    rank: int

    @property
    def n_pixels(self) -> int:
        """Size of the mask, estimated."""
        return self.drawing.n_pixels


def show(
    source: PlaneSource,
    prediction: Prediction,
    choice: int,
    decode_ms: float,
    prompted_only: bool,
    options: TidyOptions = NOT_TIDIED,
) -> Shown:
    """Make the mask and the drawing of one candidate, tidied as it will be committed."""
    made = prediction.patch(choice, prompted_only=prompted_only)
    tidied = tidy_patch(made.rows, made.columns, made.mask, made.shape, options)
    patch = Patch(*tidied, made.shape)
    # Nobody waits for masks that are not shown: their sizes are estimated.
    sizes = tuple(
        patch.n_pixels if index == choice else _estimate(prediction, index, prompted_only)
        for index in range(len(prediction.candidates))
    )
    return Shown(
        source,
        prediction,
        choice,
        patch,
        draw_patch(patch),
        sizes,
        decode_ms,
        prompted_only=prompted_only,
        tidy=options,
    )


def _estimate(prediction: Prediction, index: int, prompted_only: bool) -> int:
    grid = grid_within(prediction.frame.shape, _ESTIMATE)
    patch = prediction.coarse_patch(grid, index, prompted_only=prompted_only)
    area = prediction.frame.height * prediction.frame.width
    return round(patch.n_pixels * area / (grid[0] * grid[1]))


def predict(
    annotator: Annotator,
    source: PlaneSource,
    prompts: Prompts,
    cancel: CancelToken,
    on_stage: Callable[[str], None],
    prompted_only: bool,
    options: TidyOptions = NOT_TIDIED,
    rank: int = 0,
) -> Shown:
    """Predict, and make a candidate ready to be shown: by its rank, or else the last there is."""
    prompts.clipped(source.shape)  # beside the image: say so before anything is encoded
    asked = source.covering(prompts)  # the whole plane, where prompts lie beside the frame
    known = annotator.is_embedded(asked)
    encode_ms = None if known else embed(annotator, asked, cancel, on_stage)
    started = perf_counter()
    prediction = annotator.predict(source, prompts, cancel, on_stage)
    decode_ms = 1000 * (perf_counter() - started)
    order = prediction.candidates.order
    choice = order[min(rank, len(order) - 1)]
    shown = show(source, prediction, choice, decode_ms, prompted_only, options)
    cancel.check()
    return replace(shown, encode_ms=encode_ms)


def hover(
    annotator: Annotator, source: PlaneSource, point: Point, rank: int, prompted_only: bool
) -> Hovered | None:
    """Draw what a click would give; None where that would have to wait for an encoder."""
    prediction = annotator.hover(source, point, rank)
    if prediction is None:
        return None
    found = prediction.candidates
    number = 1 + len(found.others)
    scores = list(found.others)
    scores.insert(rank % number, found.score())
    drawing = draw_hover(prediction, prompted_only)
    return Hovered(source, drawing, tuple(scores), rank % number)


def embed(
    annotator: Annotator,
    source: PlaneSource,
    cancel: CancelToken,
    on_stage: Callable[[str], None],
) -> float | None:
    """Embed a plane; return what the encoder took in ms, None where it was in memory."""
    started: float | None = None

    def stage(name: str) -> None:
        nonlocal started
        if name == 'encoding':
            started = perf_counter()
        on_stage(name)

    annotator.embed(source, cancel, stage)
    return None if started is None else 1000 * (perf_counter() - started)
