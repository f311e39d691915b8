"""What can go wrong with a checkpoint, one class per thing a caller may want to tell apart."""

from __future__ import annotations


class CheckpointError(Exception):
    """Base of every error about finding, downloading, reading or writing a checkpoint.

    The message says what was expected, what was found and what to do about it, and can be
    shown to a user as it is.
    """


class CheckpointNotFoundError(CheckpointError, FileNotFoundError):
    """There is no such file, no such name, or the name's file is not on this computer."""


class DamagedCheckpointError(CheckpointError):
    """The file is no checkpoint, is cut short, or its bytes or numbers are broken."""


class IncompatibleCheckpointError(CheckpointError):
    """The file holds tensors, but not those of the model: missing, surplus or misshaped ones."""


class UnsafeCheckpointError(CheckpointError):
    """Reading the file would mean running code that it carries; nothing of it was run."""


class DownloadError(CheckpointError):
    """A download did not give the file; nothing was left behind."""


class OfflineError(DownloadError):
    """A download was needed, and offline mode forbids it."""


class DownloadRefusedError(DownloadError):
    """The server answered, but with an HTTP error such as 404."""


class DownloadInterruptedError(DownloadError):
    """No connection, a connection cut half way, or a server silent for too long."""


class DownloadMismatchError(DownloadError):
    """The server sent something of another size or hash than the file asked for."""


class DownloadCancelled(CheckpointError):
    """The caller stopped a download.

    Not a `DownloadError`: nothing failed, so nobody should look for a substitute.
    """
