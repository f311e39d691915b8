"""What goes wrong between files and labels, said in sentences."""

from __future__ import annotations


class ExchangeError(ValueError):
    """A file cannot be read or written; the message says what was expected, found, and to do."""


class PixelsDifferError(ExchangeError):
    """An image has other pixels than the one that a session was made on.

    Parameters
    ----------
    path : str
        The image that was looked at.
    recorded, found : str
        Fingerprints of the recorded pixels and of those found.
    """

    def __init__(self, path: str, recorded: str, found: str) -> None:
        self.path, self.recorded, self.found = path, recorded, found
        super().__init__(
            f'"{path}" has other pixels than the image that was annotated (fingerprint '
            f'{found[:12]}, expected {recorded[:12]}): choose the original image, or say that the '
            'objects are to be put on this one nevertheless'
        )
