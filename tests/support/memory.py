"""How much memory a process keeps, in a way that does not depend on luck."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import combinations
from pathlib import Path
from statistics import median

STATUS = Path('/proc/self/status')


def readable() -> bool:
    """Tell whether this system says it: Linux does."""
    return STATUS.exists() and 'RssAnon:' in STATUS.read_text()


@contextmanager
def only_new_ones() -> Iterator[None]:
    """Let the garbage collector leave alone what is there already.

    napari runs it whenever a layer goes, and each time over all of napari, Qt and torch: it takes
    most of the time of a test that opens and closes a lot.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def held_mib() -> float:
    """Read the resident memory that belongs to this process alone, in MiB, after a clean-up.

    Pages of files (libraries above all) are left out: the kernel drops those that nobody looked at
    for a while, and reads them again, as it likes.
    """
    gc.collect()
    with suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL('libc.so.6').malloc_trim(0)
    fields = dict(line.split(':', 1) for line in STATUS.read_text().splitlines())
    return sum(int(fields[name].split()[0]) for name in ('RssAnon', 'RssShmem')) / 1024


def growth(readings: Sequence[float]) -> float:
    """Say how much readings, taken one round after another, rose from the first to the last.

    The median of the slopes between all pairs (Theil and Sen) times the number of rounds: all of
    what each round leaves behind counts, and what comes and goes does not.
    """
    slopes = [
        (late - early) / (j - i) for (i, early), (j, late) in combinations(enumerate(readings), 2)
    ]
    return median(slopes) * (len(readings) - 1)
