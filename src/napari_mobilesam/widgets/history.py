"""Commit, undo and redo over one image: prompts and labels go back and forth together.

napari's Labels layer keeps the pixels' history, a `Timeline` the order of everything that was done
here; whoever undoes a stroke of the labels, with our keys or napari's own, ends up in `reconcile`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .timeline import Step, Timeline

if TYPE_CHECKING:
    from napari_mobilesam.engine import OverlapRule

    from .labels_target import Commit, LabelsTarget
    from .predicting import Shown
    from .prompt_layers import PromptLayers, PromptState


class History:
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
    """

    def __init__(
        self,
        prompts: PromptLayers,
        target: LabelsTarget,
        on_prompts: Callable[[], object],
        on_labels: Callable[[], object],
    ) -> None:
        self._prompts = prompts
        self._target = target
        self._on_prompts = on_prompts
        self._on_labels = on_labels
        self._timeline = Timeline()
        self._state: PromptState = prompts.state()

    def clear(self) -> None:
        """Forget everything, where the labels are others now."""
        self._timeline.clear()

    def record(self) -> None:
        """Take down how the prompts changed, if they did."""
        state = self._prompts.state()
        if not state.same(self._state):
            self._timeline.push(Step(self._state, state))
            self._state = state

    def commit(self, shown: Shown, rule: OverlapRule) -> Commit | None:
        """Write a candidate into the labels, and remove its prompts: one step.

        Returns
        -------
        Commit or None
            None where every pixel belongs to other objects, and stays theirs.

        Raises
        ------
        NotAnnotatable, LabelOverflowError
            As `LabelsTarget.commit`; nothing was done then.
        """
        prediction = shown.prediction
        commit = self._target.commit(
            shown.mask(),
            prediction.key,
            prediction.prompts,
            shown.score,
            prediction.model_digest,
            rule,
        )
        if commit is not None:
            before = self._state
            self._prompts.clear(prediction.key)
            self._state = self._prompts.state()
            self._timeline.push(Step(before, self._state, commit))
        return commit

    def undo(self) -> None:
        """Take back the last step: a prompt, or an object together with its pixels."""
        step = self._timeline.last
        if step is None:
            # Strokes of the user's own, from before the first prompt.
            layer = self._target.layer
            if layer is not None:
                layer.undo()
            return
        if step.commit is None:
            self._timeline.step_back(step)
            self._restore(step.before)
            return
        elsewhere = step.commit.layer is not self._target.layer
        if elsewhere:
            self._timeline.drop(step)
            return
        step.commit.layer.undo()
        self.reconcile()

    def redo(self) -> None:
        """Do again what was taken back last."""
        step = self._timeline.next
        if step is None:
            layer = self._target.layer
            if layer is not None:
                layer.redo()
            return
        if step.commit is None:
            self._timeline.step_forward(step)
            self._restore(step.after)
            return
        here = step.commit.layer is self._target.layer
        if here:
            step.commit.layer.redo()
            self.reconcile()
        if not self._timeline.is_done(step):
            self._timeline.drop(step)  # napari has no such step any more

    def reconcile(self) -> None:
        """Follow an undo or redo of the labels, whoever did it; prompts come back too."""
        undone, redone = self._target.reconcile()
        for commit in undone:
            step = self._timeline.find(commit)
            if step is not None and self._timeline.is_done(step):
                # Prompts placed since then stay; without any, those of the object come back.
                back = self._state.same(step.after)
                self._timeline.step_back(step)
                if back:
                    self._restore(step.before)
        for commit in redone:
            step = self._timeline.find(commit)
            if step is not None and not self._timeline.is_done(step):
                again = self._state.same(step.before)
                self._timeline.step_forward(step)
                if again:
                    self._restore(step.after)
        if undone or redone:
            self._on_labels()

    def _restore(self, state: PromptState) -> None:
        self._prompts.restore(state)
        self._state = self._prompts.state()
        self._on_prompts()
