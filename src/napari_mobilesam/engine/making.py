"""Makings: what decides the pixels of a mask beside its prompts, so that it can be made again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .frame import Frame
from .tidy import TidyOptions, tidy_patch

if TYPE_CHECKING:
    from .annotator import Prediction
    from .patch import Patch
    from .plane import PlaneSource


@dataclass(frozen=True, slots=True)
class Making:
    """How a mask was made from prompts.

    Parameters
    ----------
    candidate : int, optional
        Which of the masks on offer; None for the best.
    prompted_only : bool
        Whether only those connected parts were kept that the prompts speak of.
    frame : Frame, optional
        The region of the plane that was embedded; None for the whole plane.
    tidy : TidyOptions
        What was done to the mask then.
    spacing : tuple of (float, float), optional
        Sizes of a pixel along rows and columns, where the picture was stretched to square ones.
    plain : bool
        Whether the picture was made of the image's own pixels at full resolution: one blended of
        several layers, or read from a coarser level, cannot be made again from the image alone.
    """

    candidate: int | None = None
    prompted_only: bool = True
    frame: Frame | None = None
    tidy: TidyOptions = TidyOptions()  # noqa: RUF009 - frozen, so sharing is safe
    spacing: tuple[float, float] | None = None
    plain: bool = True

    @classmethod
    def of(
        cls,
        source: PlaneSource,
        prediction: Prediction,
        candidate: int | None = None,
        prompted_only: bool = True,
        tidy: TidyOptions = TidyOptions(),  # noqa: B008 - frozen
    ) -> Making:
        """Return how a candidate of a prediction was made a mask; reads nothing."""
        whole = prediction.frame == Frame.whole(prediction.shape)
        spacing = source.spacing
        return cls(
            prediction.candidates.best if candidate is None else candidate,
            prompted_only,
            None if whole else prediction.frame,
            tidy,
            None if spacing is None or spacing[0] == spacing[1] else spacing,
            not (source.channels or source.coarser),
        )

    def patch(self, prediction: Prediction, candidate: int | None = None) -> Patch:
        """Make the mask: `candidate` instead of the recorded one, if given."""
        from .patch import Patch

        index = self.candidate if candidate is None else candidate
        made = prediction.patch(index, prompted_only=self.prompted_only)
        tidied = tidy_patch(made.rows, made.columns, made.mask, made.shape, self.tidy)
        return Patch(*tidied, made.shape)
