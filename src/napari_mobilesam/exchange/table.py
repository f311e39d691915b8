"""Tables of measurements, as CSV or Parquet."""

from __future__ import annotations

from pathlib import Path

from .errors import ExchangeError
from .files import replacing
from .measure import measure
from .segmentation import Segmentation


def write_csv(
    segmentation: Segmentation, path: Path, *, overwrite: bool = False, per_plane: bool = False
) -> tuple[Path, ...]:
    """Write the measurements of all objects as CSV in UTF-8, one row each (see `measure`)."""
    table = measure(segmentation, per_plane=per_plane)
    for name in ('class', 'flags'):
        table[name] = table[name].map(_inert)
    with replacing(path, overwrite) as part:
        table.to_csv(part, index=False, float_format='%.6g', lineterminator='\n')
    return (path,)


def write_parquet(
    segmentation: Segmentation, path: Path, *, overwrite: bool = False, per_plane: bool = False
) -> tuple[Path, ...]:
    """Write the measurements of all objects as Parquet.

    Raises
    ------
    ExchangeError
        If pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise ExchangeError(
            "Parquet needs pyarrow: pip install 'napari-mobilesam[parquet]', or export CSV"
        ) from None
    table = measure(segmentation, per_plane=per_plane)
    with replacing(path, overwrite) as part:
        table.to_parquet(part, engine='pyarrow', index=False)
    return (path,)


def _inert(text: str) -> str:
    """Keep spreadsheets from taking a text for a formula."""
    return f"'{text}" if text[:1] in ('=', '+', '-', '@', '\t', '\r') else text
