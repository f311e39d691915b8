"""Objects: what is recorded of each committed candidate."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .intensity import IntensityMapping
from .making import Making
from .plane import PlaneKey
from .prompts import Prompts
from .regions import Region


@dataclass(frozen=True, slots=True)
class PromptedPlane:
    """The prompts of an object on one plane.

    Parameters
    ----------
    plane : PlaneKey
        The plane of the image.
    prompts : Prompts
        In its (row, column) pixels.
    making : Making, optional
        What else decided about the mask; None where that is not known, or no model made it.
    """

    plane: PlaneKey
    prompts: Prompts
    making: Making | None = None


@dataclass(frozen=True, slots=True)
class SegmentedObject:
    """A committed candidate, or an object that was painted by hand.

    Parameters
    ----------
    label : int
        Its id in the labels; 0 for one that has none yet.
    prompted : tuple of PromptedPlane
        What it was made from, in the order in which the planes were prompted; empty for an object
        that was painted by hand.
    score : float, optional
        The decoder's estimate of the mask's quality; None where no model made it.
    area : int
        Its pixels, on all planes.
    bounds : tuple of (int, int)
        Start and stop on each axis of the labels array: no pixel of it is outside. Empty as long
        as it was not written.
    class_id : int
        Number of its class; 0 for none.
    unclear, reviewed : bool
        What the user noted about it.
    model_digest : str
        The model that made it; empty where none did.
    mapping : IntensityMapping, optional
        What the model saw.
    """

    label: int = 0
    prompted: tuple[PromptedPlane, ...] = ()
    score: float | None = None
    area: int = 0
    bounds: Region = ()
    class_id: int = 0
    unclear: bool = False
    reviewed: bool = False
    model_digest: str = ''
    mapping: IntensityMapping | None = None

    def __post_init__(self) -> None:
        if self.score is not None and self.score != self.score:
            object.__setattr__(self, 'score', None)  # NaN would make a record unequal to itself

    @property
    def plane(self) -> PlaneKey | None:
        """The plane that was prompted first; None for an object painted by hand."""
        return self.prompted[0].plane if self.prompted else None

    @property
    def prompts(self) -> Prompts:
        """The prompts on that plane; none for an object painted by hand."""
        return self.prompted[0].prompts if self.prompted else Prompts()

    def of_image(self, source: str) -> SegmentedObject:
        """Return the record with its planes in an image of another name (`PlaneKey.source`)."""
        if all(part.plane.source == source for part in self.prompted):
            return self
        prompted = tuple(
            replace(part, plane=replace(part.plane, source=source)) for part in self.prompted
        )
        return replace(self, prompted=prompted)
