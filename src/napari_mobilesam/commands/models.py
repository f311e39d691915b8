"""``napari-mobilesam models``: which checkpoints there are, and which of them are here."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer


def command(
    as_json: Annotated[bool, typer.Option('--json', help='Print JSON on stdout.')] = False,
) -> None:
    """List the checkpoints that can be named with --weights. Nothing is downloaded."""
    from mobile_sam.checkpoints import BUNDLED, REGISTRY, bundled_path, locate

    rows: list[dict[str, Any]] = []
    for info in (BUNDLED, *REGISTRY.values()):
        here = bundled_path() if info is BUNDLED else locate(info.name)
        rows.append(
            {
                'name': info.name,
                'purpose': info.purpose,
                'licence': info.licence,
                'size': info.size if here is None else here.stat().st_size,
                'path': None if here is None else str(here),
            }
        )
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    width = max(len(row['name'] or '') for row in rows)
    for row in rows:
        size = '' if row['size'] is None else f', {row["size"] / 1e6:,.0f} MB'
        where = row['path'] or f'not here; downloaded when it is named{size}'
        typer.echo(f'{row["name"]:<{width}}  {row["purpose"]} ({row["licence"]})')
        typer.echo(f'{"":<{width}}  {where}')
