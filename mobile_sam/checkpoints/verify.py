"""Whether a file is the one it should be."""

from __future__ import annotations

from pathlib import Path

from .errors import CheckpointError
from .registry import CheckpointInfo


def difference(path: Path, info: CheckpointInfo) -> str | None:
    """Say how a file differs from the checkpoint it should be, or None where it does not.

    Parameters
    ----------
    path : Path
        An existing file.
    info : CheckpointInfo
        What it should be; a size or hash that is not known is not compared.

    Returns
    -------
    str or None
        For example ``'expected 40728226 bytes, found 16384'``.

    Raises
    ------
    CheckpointError
        The hash is an xxh128 one and the xxhash package is missing.
    """
    import pooch

    algorithm, _, expected = info.known_hash.partition(':')
    try:
        size = path.stat().st_size
        if info.size is not None and size != info.size:
            return f'expected {info.size} bytes, found {size}'
        if not info.known_hash:
            return None
        found = pooch.file_hash(str(path), alg=algorithm)
    except OSError as error:
        return f'it cannot be read ({error})'
    except ValueError as error:
        raise CheckpointError(
            f'{info.name} is checked by {algorithm}, which this environment cannot compute. '
            'Install it with: pip install xxhash'
        ) from error
    if found.lower() != expected.lower():
        return f'expected {algorithm} {expected}, found {found}'
    return None
