"""Undo and redo over one image: prompts, pixels and records go back and forth together.

The session's history keeps the order of everything that was done, napari's Labels layer the pixels
once more: its own undo is used for them, so that both stay in step. Whoever undoes in the layer,
with our keys or napari's, ends up in `reconcile`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_mobilesam.engine import Step, plan_painted

if TYPE_CHECKING:
    from napari_mobilesam.engine import LabelEdit, PlaneKey

    from .labels_target import LabelsTarget
    from .prompt_layers import PromptLayers
    from .prompt_state import PromptState


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Prompts in a step, and the image they belong to: labels can serve several."""

    image_id: str
    state: PromptState


class Undo:
    """What was done to the prompts and labels of one image, and how to take it back.

    Parameters
    ----------
    prompts
        The layers that the user points in.
    target
        The labels that objects go to.
    on_prompts
        Called after prompts were put back.
    on_labels
        Called after objects went out of the labels or came back.
    later
        Called with nothing when `follow` is to be called, as soon as napari has drawn.
    """

    def __init__(
        self,
        prompts: PromptLayers,
        target: LabelsTarget,
        on_prompts: Callable[[], object],
        on_labels: Callable[[], object],
        later: Callable[[], object],
    ) -> None:
        self._prompts = prompts
        self._target = target
        self._on_prompts = on_prompts
        self._on_labels = on_labels
        self._later = later
        self._state: PromptState = prompts.state()
        self._moved: list[tuple[Step, bool]] = []
        self._forward = False  # while a redo that we asked for is under way

    @property
    def recorded(self) -> tuple[int, int]:
        """How many points and boxes there were when the prompts were last taken down."""
        return len(self._state.points), len(self._state.shapes)

    # -- doing

    def record(self) -> None:
        """Take down how the prompts changed, if they did."""
        before, after = self._state, self._prompts.state()
        if not after.same(before):
            self._state = after
            self._target.session.push(
                Step('prompt', prompts_before=self._kept(before), prompts_after=self._kept(after))
            )

    def perform(self, step: Step, clear: PlaneKey | None = None) -> None:
        """Write a planned step and record it; prompts of the plane `clear` go away with it.

        Prompts that changed since `record` become part of the step.

        Raises
        ------
        NotAnnotatable
            As `LabelsTarget.write`; nothing was done then.
        """
        self._target.write(step)
        if clear is not None:
            before = self._state
            self._prompts.clear(clear)
            self._state = self._prompts.state()
            step = replace(
                step, prompts_before=self._kept(before), prompts_after=self._kept(self._state)
            )
        self._target.session.push(step)

    def painted(self, edits: tuple[LabelEdit, ...]) -> None:
        """Record a stroke of the user's own, which napari has written."""
        book = self._target.book
        book.session.push(plan_painted(book.session, edits, complete=book.complete))

    # -- going back and forth

    def undo(self) -> None:
        """Take back the last step, whatever it was."""
        session = self._target.session
        step = session.history.last
        if step is None or step.edits:
            # Without a step: strokes of the user's own, from before this widget was there.
            self._target.undo(step)
            if step is None:
                session.lose_track()
        else:
            session.step_back(step)
            self._moved.append((step, False))
        self.follow()

    def redo(self) -> None:
        """Do again what was taken back last."""
        session = self._target.session
        step = session.history.next
        if step is None and session.history.next_written is not None:
            return  # the layer could redo what was undone before something else was done
        if step is None or step.edits:
            self._forward = True
            self._target.redo(step)
            self._forward = False
        else:
            session.step_forward(step)
            self._moved.append((step, True))
        self.follow()

    def reconcile(self) -> None:
        """Bring the records in step with the labels after an undo or redo by whomever.

        napari tells that its labels were drawn anew, not what was undone: the last step is looked
        for in the pixels. Costs one pixel or two where nothing happened.

        Where undoing one step and redoing another give the same pixels, undone is what it is
        taken for, unless we asked for the other: the records are the same then, and the next undo
        or redo shows which it was.
        """
        layer = self._target.layer
        if layer is None:
            return
        session = self._target.session
        last, following = session.history.last_written, session.history.next_written
        undone = last is not None and last.is_reverted(layer.data)
        redone = following is not None and following.is_applied(layer.data)
        if last is not None and undone and not (redone and self._forward):
            session.step_back(last)
            self._moved.append((last, False))
        elif following is not None and redone:
            session.step_forward(following)
            self._moved.append((following, True))
        if self._moved:
            self._later()

    def follow(self) -> None:
        """Put the prompts of steps back that were undone or redone."""
        self._target.redraw()
        moved, self._moved = self._moved, []
        for step, forward in moved:
            now, then = step.prompts_before, step.prompts_after
            if not forward:
                now, then = then, now
            if not isinstance(then, Kept) or then.image_id != self._image_id:
                continue
            # Prompts placed since then stay; without any, those of the object come back.
            if not step.edits or self._state.same(now.state):
                self._restore(then.state)
        if moved:
            self._on_labels()

    # -- inner

    @property
    def _image_id(self) -> str:
        return str(self._target.image.unique_id)

    def _kept(self, state: PromptState) -> Kept:
        return Kept(self._image_id, state)

    def _restore(self, state: PromptState) -> None:
        self._prompts.restore(state)
        self._state = self._prompts.state()
        self._on_prompts()
