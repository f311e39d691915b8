"""Everything mode: masks of all that a grid of points, or given prompts, find on a plane."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mobile_sam.fast.boxes import non_maximum_suppression
from mobile_sam.fast.masks import upscaler
from mobile_sam.fast.stability import CroppedLogits, estimated_stability, stability

from .cancel import CancelToken
from .candidates import Candidates
from .embedding import Embedding
from .frame import Frame
from .prompts import Point, Prompts

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray

    from .segmenter import Segmenter

_THRESHOLD = 0.0
_OFFSET = 1.0  # how far the threshold is moved for the stability, in logits, as in SAM
# Coarse to fine: every fourth point of the grid along both axes, every second, all.
_STEPS = (4, 2, 1)
# Points between two reports, and two looks at the cancel token.
_AT_ONCE = 16
# A point is hidden by three good masks that lie so many logits deep over it: by one alone, the best
# of several similar masks is often not among those that were asked for. How good they have to be
# does not follow the thresholds down, as there is more to be found where these are low.
_HIDING, _DEPTH, _HIDING_QUALITY = 3, 4.0, 0.8
# A mask that covers more of the frame than this hides none: what it covers may be many.
_HIDING_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class EverythingOptions:
    """What everything mode looks for.

    Parameters
    ----------
    points_per_side : int
        Points of the grid along each side of the frame.
    min_score : float
        Predicted IoU that a mask must exceed; the defaults of this and the next are those published
        with SAM, see `suiting` for others.
    min_stability : float
        How little a mask must change when the threshold moves by a logit up and down: area above
        the upper over area above the lower one.
    max_overlap : float
        Of masks whose bounding boxes overlap by more (IoU), the best stays.
    min_area : int
        Pixels that a mask must have.
    skip_covered : bool
        Ask a coarse grid first and then finer ones, without the points deep inside of what several
        good masks cover already: sooner by what there are of these. False asks every point.
    keep_score, keep_stability : float, optional
        Keep masks from here on, so that the two thresholds can be lowered as far without decoding
        anew; by default they are the thresholds themselves, which is fastest.
    """

    points_per_side: int = 32
    min_score: float = 0.88
    min_stability: float = 0.95
    max_overlap: float = 0.7
    min_area: int = 0
    skip_covered: bool = True
    keep_score: float | None = None
    keep_stability: float | None = None

    def __post_init__(self) -> None:
        if self.points_per_side < 1:
            raise ValueError(
                f'expected at least one point per side for everything mode; got '
                f'{self.points_per_side}'
            )

    @classmethod
    def suiting(cls, segmenter: Segmenter, **changes: Any) -> Self:
        """Return options with the thresholds that suit a model, and other changes."""
        min_score, min_stability = segmenter.thresholds
        return cls(**{'min_score': min_score, 'min_stability': min_stability, **changes})

    @property
    def least_score(self) -> float:
        """Predicted IoU from which on masks are kept."""
        return self.min_score if self.keep_score is None else min(self.keep_score, self.min_score)

    @property
    def least_stability(self) -> float:
        """Stability from which on masks are kept."""
        if self.keep_stability is None:
            return self.min_stability
        return min(self.keep_stability, self.min_stability)


@dataclass(frozen=True, eq=False)
class Proposal:
    """A mask that everything mode proposes.

    Parameters
    ----------
    prompts : Prompts
        What it came from, in (row, column) pixels of the plane.
    score : float
        Predicted IoU.
    logits : CroppedLogits
        Enough of them for the mask and its stability.
    input_size : tuple of (int, int)
        As in `Embedding`.
    frame : Frame
        The region of the plane that was looked at.
    """

    prompts: Prompts
    score: float
    logits: CroppedLogits
    input_size: tuple[int, int]
    frame: Frame

    def patch(self) -> tuple[slice, slice, NDArray[np.bool_]]:
        """Make the mask at full size: rows and columns of the plane, and the mask there."""
        scale = upscaler(self.logits.side, self.input_size, self.frame.shape)
        rows, columns, mask = scale.above(self.logits.whole(), _THRESHOLD)
        return *self.frame.on_plane(rows, columns), mask

    @cached_property
    def box(self) -> tuple[int, int, int, int]:
        """First row and column, last row and column of the mask in the plane; zeros if empty."""
        return self._extent[0]

    @property
    def area(self) -> int:
        """Pixels of the mask."""
        return self._extent[1]

    @cached_property
    def stability(self) -> float:
        """How little the mask changes when the threshold moves, counted in full size."""
        scale = upscaler(self.logits.side, self.input_size, self.frame.shape)
        return stability(self.logits.whole(), scale, _THRESHOLD, _OFFSET)

    def stable(self, least: float) -> bool:
        """Whether the stability is at least this; counted in full size only where in doubt."""
        if 'stability' not in self.__dict__:
            estimate, doubt = self._estimate
            if abs(estimate - least) > doubt:
                return estimate > least
        return self.stability >= least

    @cached_property
    def _estimate(self) -> tuple[float, float]:
        height, width = (-(-size // 4) for size in self.input_size)
        return estimated_stability(self.logits.whole()[:height, :width], _THRESHOLD, _OFFSET)

    @cached_property
    def _extent(self) -> tuple[tuple[int, int, int, int], int]:
        rows, columns, mask = self.patch()
        if not mask.size:
            return (0, 0, 0, 0), 0
        box = (rows.start, columns.start, rows.stop - 1, columns.stop - 1)
        return box, int(np.count_nonzero(mask))


class Proposals:
    """The masks found so far; choosing among them by other thresholds needs no decoding."""

    def __init__(self) -> None:
        self._all: list[Proposal] = []

    def __len__(self) -> int:
        return len(self._all)

    def add(self, proposal: Proposal) -> None:
        """Add one."""
        self._all.append(proposal)

    def select(self, options: EverythingOptions) -> list[Proposal]:
        """Choose the good ones, of those that overlap the best.

        Parameters
        ----------
        options : EverythingOptions
            Its thresholds count, none below those from which on masks were kept.

        Returns
        -------
        list of Proposal
            The best first.
        """
        good = [
            proposal
            for proposal in self._all
            if proposal.score > options.min_score
            and proposal.stable(options.min_stability)
            and proposal.area >= max(1, options.min_area)
        ]
        boxes = np.array([proposal.box for proposal in good]).reshape(-1, 4)
        scores = np.array([proposal.score for proposal in good])
        kept = non_maximum_suppression(boxes, scores, options.max_overlap)
        return [good[index] for index in kept.tolist()]


@dataclass(frozen=True, slots=True, eq=False)
class Progress:
    """How far everything mode has come.

    Parameters
    ----------
    done, total : int
        Prompts treated or skipped, of all.
    proposals : Proposals
        What was found so far; the same object each time, which grows.
    """

    done: int
    total: int
    proposals: Proposals


def segment_everything(
    segmenter: Segmenter,
    embedding: Embedding,
    options: EverythingOptions | None = None,
    cancel: CancelToken | None = None,
    frame: Frame | None = None,
) -> Iterator[Progress]:
    """Find masks of everything on a frame, from a grid of points.

    Parameters
    ----------
    segmenter : Segmenter
        The model.
    embedding : Embedding
        Of the frame.
    options : EverythingOptions, optional
        By default those of SAM, coarse to fine.
    cancel : CancelToken, optional
        Polled every 16 points.
    frame : Frame, optional
        Where in the plane the embedding lies, and how large the masks are to be; by default the
        plane is the picture that was encoded.

    Yields
    ------
    Progress
        After every 16 points; the last one is complete.

    Raises
    ------
    Cancelled
        If the token was cancelled; what was found until then stays.
    """
    options = EverythingOptions.suiting(segmenter) if options is None else options
    frame = Frame.whole(embedding.original_size) if frame is None else frame
    found = Proposals()
    side = options.points_per_side
    covered: NDArray[np.uint8] | None = None
    done = 0
    for level in _levels(side, options.skip_covered):
        for start in range(0, len(level), _AT_ONCE):
            batch = level[start : start + _AT_ONCE]
            done += len(batch)
            points = [
                ((row + 0.5) / side, (column + 0.5) / side)
                for row, column in batch
                if not _is_covered(covered, embedding, (row + 0.5) / side, (column + 0.5) / side)
            ]
            height, width = embedding.original_size
            local = [(row * height, column * width) for row, column in points]
            answers = segmenter.propose(embedding, local, options.least_score, cancel)
            for point, candidates in zip(local, answers, strict=True):
                prompts = Prompts((_on_plane(point, embedding, frame),), (True,))
                for proposal, logits in _proposals(candidates, prompts, frame, options):
                    found.add(proposal)
                    if options.skip_covered and _hides(proposal, logits, embedding, options):
                        covered = np.zeros(logits.shape, np.uint8) if covered is None else covered
                        covered[(logits > _DEPTH) & (covered < _HIDING)] += 1
            yield Progress(done, side * side, found)


def segment_prompts(
    segmenter: Segmenter,
    embedding: Embedding,
    prompts: Sequence[Prompts],
    options: EverythingOptions | None = None,
    cancel: CancelToken | None = None,
    frame: Frame | None = None,
) -> Iterator[Progress]:
    """Find masks from given prompts, such as the boxes of a quick proposal.

    Parameters
    ----------
    segmenter, embedding, options, cancel, frame
        As of `segment_everything`; the grid of the options does not matter.
    prompts : sequence of Prompts
        In (row, column) pixels of the plane.

    Yields
    ------
    Progress
        After every 16 prompts; the last one is complete.
    """
    options = EverythingOptions.suiting(segmenter) if options is None else options
    frame = Frame.whole(embedding.original_size) if frame is None else frame
    found = Proposals()
    local = [frame.localised(wish, embedding.original_size) for wish in prompts]
    answers = segmenter.decode_many(embedding, local, cancel)
    for done, (wish, candidates) in enumerate(zip(prompts, answers, strict=True), start=1):
        for proposal, _ in _proposals(candidates, wish, frame, options):
            if proposal.score > options.least_score:
                found.add(proposal)
        if done % _AT_ONCE == 0 or done == len(local):
            yield Progress(done, len(local), found)


def _levels(side: int, coarse_to_fine: bool) -> Iterator[list[tuple[int, int]]]:
    """Cells of the grid, each in the coarsest level that it belongs to."""
    asked: set[tuple[int, int]] = set()
    for step in _STEPS if coarse_to_fine else (1,):
        places = range(step // 2 if step < 4 else 1, side, step)
        cells = [(row, column) for row in places for column in places]
        yield [cell for cell in cells if cell not in asked]
        asked.update(cells)


def _is_covered(
    covered: NDArray[np.uint8] | None, embedding: Embedding, row: float, column: float
) -> bool:
    """Whether a point, in parts of the picture's sides, lies on what was found often enough."""
    if covered is None:
        return False
    height, width = embedding.input_size
    return bool(covered[int(row * height / 4), int(column * width / 4)] >= _HIDING)


def _hides(
    proposal: Proposal,
    logits: NDArray[np.float32],
    embedding: Embedding,
    options: EverythingOptions,
) -> bool:
    """Whether a mask counts where points are hidden: it is good, and not of many objects."""
    height, width = (size / 4 for size in embedding.input_size)
    few = int(np.count_nonzero(logits > 0)) < _HIDING_SHARE * height * width
    return (
        few
        and proposal.score > max(options.min_score, _HIDING_QUALITY)
        and proposal.stable(max(options.min_stability, _HIDING_QUALITY))
    )


def _proposals(
    candidates: Candidates | None, prompts: Prompts, frame: Frame, options: EverythingOptions
) -> Iterator[tuple[Proposal, NDArray[np.float32]]]:
    if candidates is None:
        return
    for logits, score in zip(candidates.logits, candidates.scores.tolist(), strict=True):
        kept = CroppedLogits.of(logits, _THRESHOLD - _OFFSET)
        proposal = Proposal(prompts, score, kept, candidates.input_size, frame)
        if proposal.stable(options.least_stability):
            yield proposal, logits


def _on_plane(point: Point, embedding: Embedding, frame: Frame) -> Point:
    """Turn (row, column) of the picture that was encoded into those of the plane."""
    (height, width), (rows, columns) = embedding.original_size, frame.shape
    return (
        (point[0] + 0.5) * rows / height - 0.5 + frame.row,
        (point[1] + 0.5) * columns / width - 0.5 + frame.column,
    )
