"""The command line: it parses, calls, and turns errors into a sentence and an exit code.

Exit codes: 0 done, 1 it could not be done and the message says what to do, 2 wrong usage. Every
module of `napari_mobilesam.commands` is one command.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from napari_mobilesam.commands import commands

app = typer.Typer(
    name='napari-mobilesam',
    help='Segment microscopy images with MobileSAM.',
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(f'napari-mobilesam {version("napari-mobilesam")}')
        except PackageNotFoundError:
            typer.echo('napari-mobilesam (not installed, run from its source)')
        raise typer.Exit


@app.callback()
def main(
    show_version: Annotated[
        bool,
        typer.Option('--version', callback=_show_version, is_eager=True, help='Show the version.'),
    ] = False,
) -> None:
    """Segment microscopy images with MobileSAM."""


for name, command in commands().items():
    app.command(name)(command)
