"""Asking the worker about one plane, and taking only answers that are still wanted."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Signal

from napari_mobilesam.engine import Cancelled, PlaneSource, PromptOutsidePlaneError, Prompts

from .predicting import NOT_TIDIED, Shown, embed, predict, show

if TYPE_CHECKING:
    from napari_mobilesam.engine import TidyOptions

    from .bridge import WorkerBridge
    from .model import ModelKeeper


class Inference(QObject):
    """The plane on display, the prompts asked about, and the candidate that came back.

    The latest wish wins, and is never lost: prompts placed while there is no model yet, or
    while the plane is still being encoded, are answered when that is done.

    Signals
    -------
    candidate_changed (Shown or None)
        There is another candidate, or none.
    failed
        The prompts asked about got no answer.
    status_changed (str, str)
        One line for the user, and its kind.
    timing_changed (object, object)
        Encode and decode time in ms; None leaves the last one.
    encoding_changed (bool)
        The encoder began or ended.
    embedded
        The plane on display has its embedding.
    """

    candidate_changed = Signal(object)
    failed = Signal()
    status_changed = Signal(str, str)
    timing_changed = Signal(object, object)
    encoding_changed = Signal(bool)
    embedded = Signal()

    def __init__(
        self, bridge: WorkerBridge, model: ModelKeeper, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._model = model
        self._source: PlaneSource | None = None
        self._asked: Prompts | None = None
        self._waiting = False
        self._shown: Shown | None = None
        self._prompted_only = True
        self._tidy = NOT_TIDIED

    @property
    def source(self) -> PlaneSource | None:
        """The plane on display."""
        return self._source

    @property
    def candidate(self) -> Shown | None:
        """The candidate for the prompts of that plane."""
        return self._shown

    @property
    def prompted(self) -> bool:
        """Whether there are prompts on that plane."""
        return self._asked is not None

    @property
    def waiting(self) -> bool:
        """Whether an answer is on its way."""
        return self._waiting

    def enter(self, source: PlaneSource) -> None:
        """Go to a plane: embed it in the background."""
        self.leave()
        self._source = source
        self._embed()

    def leave(self) -> None:
        """Leave the plane; nothing of it arrives any more."""
        self._bridge.cancel('predict')
        self._bridge.cancel('embed')
        self._source = None
        self.encoding_changed.emit(False)
        self.drop()

    def resume(self) -> None:
        """Begin again with the model that there is now."""
        self._asked = None
        self._embed()

    def ask(self, prompts: Prompts, rank: int = 0) -> None:
        """Ask for the mask of prompts, unless that was asked already; without any, show nothing.

        Where they are ambiguous, `rank` says which candidate to show first.
        """
        source, annotator = self._source, self._model.annotator
        if source is None or prompts == self._asked:
            return
        if not prompts:
            self._bridge.cancel('predict')
            if self._asked is not None:
                self.drop()
                self.say_ready()
            return
        self._asked = prompts
        self._waiting = True
        if annotator is None:
            self.say_model()
            return
        only, tidy = self._prompted_only, self._tidy
        rank = rank if prompts.ambiguous else 0
        self._bridge.submit(
            'predict',
            lambda cancel: predict(
                annotator, source, prompts, cancel, self._report_stage, only, tidy, rank
            ),
            partial(self._on_shown, source, prompts),
            partial(self._on_error, source),
        )

    def choose(self, index: int) -> None:
        """Show one of the candidates for the same prompts."""
        shown = self._shown
        if shown is not None and not self._waiting and index != shown.choice:
            self._show_again(shown, index)

    def cycle(self, by: int) -> None:
        """Show the next candidate for the same prompts, or the one before."""
        shown = self._shown
        if shown is None or self._waiting or len(shown.prediction.candidates) < 2:
            return
        order = shown.prediction.candidates.order
        self._show_again(shown, order[(shown.rank + by) % len(order)])

    @property
    def prompted_only(self) -> bool:
        """Whether only those parts of a mask are kept that the prompts speak of."""
        return self._prompted_only

    @prompted_only.setter
    def prompted_only(self, value: bool) -> None:
        self._prompted_only = value
        self._make_anew()

    @property
    def tidy(self) -> TidyOptions:
        """What is done to a mask before it is shown and committed."""
        return self._tidy

    @tidy.setter
    def tidy(self, options: TidyOptions) -> None:
        self._tidy = options
        self._make_anew()

    def _make_anew(self) -> None:
        if self._waiting and self._asked is not None:
            asked, self._asked = self._asked, None
            self.ask(asked)
        elif self._shown is not None:
            self._show_again(self._shown, self._shown.choice)

    def _show_again(self, shown: Shown, choice: int) -> None:
        prompted_only, tidy = self._prompted_only, self._tidy
        self._bridge.submit(
            'predict',
            lambda _cancel: show(
                shown.source, shown.prediction, choice, shown.decode_ms, prompted_only, tidy
            ),
            partial(self._on_shown, shown.source, shown.prediction.prompts),
            partial(self._on_error, shown.source),
        )

    def drop(self) -> None:
        """Show no candidate."""
        self._asked = None
        self._waiting = False
        if self._shown is not None:
            self._shown = None
            self.candidate_changed.emit(None)

    # -- words

    def say_ready(self) -> None:
        """Say what to do next."""
        self.status_changed.emit('Click an object, or draw a box round it.', 'ready')

    def say_model(self) -> None:
        """Say what is wrong with the model, if anything is."""
        if self._model.annotator is not None:
            return
        if self._model.loading:
            self.status_changed.emit('Loading the model…', 'busy')
        elif self._model.error:
            self.status_changed.emit('There is no model: see below.', 'warning')

    # -- the worker's answers, in the GUI thread

    def _embed(self) -> None:
        source, annotator = self._source, self._model.annotator
        if source is None:
            return
        if annotator is None:
            self.say_model()
            return
        self.status_changed.emit('Looking at this plane…', 'busy')
        self._bridge.submit(
            'embed',
            lambda cancel: embed(annotator, source, cancel, self._report_stage),
            partial(self._on_embedded, source),
            partial(self._on_error, source),
        )

    def _report_stage(self, stage: str) -> None:
        # Called on the worker.
        self._bridge.report(self._on_stage, stage)

    def _on_stage(self, stage: str) -> None:
        self.encoding_changed.emit(stage == 'encoding' and self._source is not None)

    def _on_embedded(self, source: PlaneSource, encode_ms: float | None) -> None:
        if source is not self._source:
            return
        self.encoding_changed.emit(False)
        self.timing_changed.emit(encode_ms, None)
        if self._shown is None and not self._waiting:
            self.say_ready()
        self.embedded.emit()

    def _on_shown(self, source: PlaneSource, prompts: Prompts, shown: Shown) -> None:
        # The user may have gone on since the worker answered: another plane, other prompts.
        if source is not self._source or prompts != self._asked:
            return
        self._waiting = False
        self._shown = shown
        self.encoding_changed.emit(False)
        self.timing_changed.emit(shown.encode_ms, shown.decode_ms)
        self.status_changed.emit('Enter puts it into the labels.', 'ready')
        self.candidate_changed.emit(shown)

    def _on_error(self, source: PlaneSource, error: BaseException) -> None:
        if source is not self._source or isinstance(error, Cancelled):
            return
        self.encoding_changed.emit(False)
        asked = self._asked
        self.drop()
        # Kept, so that the very same prompts are not asked about again and again.
        self._asked = asked
        if isinstance(error, PromptOutsidePlaneError):
            self.status_changed.emit('That is beside the image: click on it.', 'warning')
        else:
            self.status_changed.emit(f'That failed: {error}', 'warning')
            show_error(f'MobileSAM: {type(error).__name__}: {error}')
        self.failed.emit()
