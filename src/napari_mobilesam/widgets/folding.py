"""Which sections of the dock are folded, remembered from one day to the next."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from .section import Section
from .user_file import UserFile


class Folding:
    """Fold sections as they were left.

    Parameters
    ----------
    sections
        The sections of the dock, with different titles.
    folded
        Titles of those that are folded as long as the user has not said otherwise.
    file
        Where it is remembered; by default with the user's configuration.
    """

    def __init__(
        self,
        sections: Sequence[Section],
        folded: Sequence[str] = (),
        file: UserFile | None = None,
    ) -> None:
        self._file = UserFile('sections.json') if file is None else file
        known = self._file.read()
        for section in sections:
            remembered = known.get(section.title)
            section.fold(remembered if isinstance(remembered, bool) else section.title in folded)
            section.folded.connect(partial(self._remember, section.title))

    def _remember(self, title: str, folded: bool) -> None:
        # Read again: another window may have folded others meanwhile.
        self._file.write({**self._file.read(), title: folded})
