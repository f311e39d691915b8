"""Image series: a folder or list of images as one job, with results beside them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .errors import ExchangeError
from .images import images_in, stem_of
from .session_file import SUFFIX

LABELS_SUFFIX = '_labels.tif'


class ImageSeries:
    """Images in their order, where one is, and what is done.

    Results lie beside the images: ``NAME.mobilesam.json``, the session to go on with, as soon as
    there is something to keep; ``NAME_labels.tif``, the labels, when the image is done.

    Parameters
    ----------
    paths : iterable of Path
        The images.

    Raises
    ------
    ExchangeError
        If there are none.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self.paths = tuple(dict.fromkeys(Path(path) for path in paths))
        if not self.paths:
            raise ExchangeError('a series has at least one image; found none')
        self.position = 0

    @classmethod
    def of(cls, *places: str | Path) -> ImageSeries:
        """Return the series of images, and of those in folders; results in them are left out.

        Raises
        ------
        ExchangeError
            If there are none, or a folder cannot be read.
        """
        found: list[Path] = []
        for place in map(Path, places):
            try:
                inside = list(images_in(place))
            except OSError as error:
                raise ExchangeError(f'"{place}" cannot be read: {error.strerror}') from None
            found += [path for path in inside if not is_result(path)]
        return cls(found)

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def current(self) -> Path:
        """The image at hand."""
        return self.paths[self.position]

    def session_path(self, path: Path | None = None) -> Path:
        """Return where the session of an image is kept, by default of the one at hand."""
        path = self.current if path is None else path
        return path.with_name(f'{self._name(path)}{SUFFIX}')

    def labels_path(self, path: Path | None = None) -> Path:
        """Return where the labels of an image go when it is done."""
        path = self.current if path is None else path
        return path.with_name(f'{self._name(path)}{LABELS_SUFFIX}')

    def is_done(self, path: Path) -> bool:
        """Whether the labels of an image are there."""
        return self.labels_path(path).exists()

    @property
    def done(self) -> int:
        """How many images are done; looks at the disk."""
        return sum(self.is_done(path) for path in self.paths)

    def after(self, step: int = 1, *, skip_done: bool = False) -> int | None:
        """Return the position of the next image (-1: the one before); None at the end.

        With `skip_done` those that are done are passed over.
        """
        position = self.position + step
        while 0 <= position < len(self.paths):
            if not (skip_done and self.is_done(self.paths[position])):
                return position
            position += step
        return None

    def _name(self, path: Path) -> str:
        """Return the name without its ending; with it where two images differ in nothing else."""
        stem = stem_of(path)
        twins = sum(other.parent == path.parent and stem_of(other) == stem for other in self.paths)
        return stem if twins < 2 else path.name


def is_result(path: Path) -> bool:
    """Whether a file is labels that were written beside an image, or a session's."""
    name = path.name.lower()
    return name.endswith(LABELS_SUFFIX) or '.labels-' in name
