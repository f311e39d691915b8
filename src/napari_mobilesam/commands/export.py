"""``napari-mobilesam export``: from one format to another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._common import Overwrite, fail

FORMATS_HELP = (
    'How it ends decides: .tif (ImageJ), .ome.tif, .ome.zarr, .png, .coco.json, .geojson (QuPath), '
    '.zip (ImageJ ROIs), .shapes.csv (napari Shapes), .csv or .parquet (measurements).'
)


def command(
    source: Annotated[
        Path,
        typer.Argument(
            metavar='LABELS|SESSION',
            help='Labels, COCO, GeoJSON, ImageJ ROIs, or a session (NAME.mobilesam.json).',
        ),
    ],
    output: Annotated[Path, typer.Option('--output', '-o', metavar='PATH', help=FORMATS_HELP)],
    image: Annotated[
        Path | None,
        typer.Option(
            metavar='PATH',
            help='Image that they belong to: gives outlines their size, tables their intensities, '
            'and all of it the calibration.',
        ),
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option('--format', metavar='NAME', help='Where the ending does not tell.'),
    ] = None,
    polygons: Annotated[
        bool, typer.Option('--polygons', help='COCO: polygons instead of masks.')
    ] = False,
    per_plane: Annotated[
        bool,
        typer.Option('--per-plane', help='Tables: a row for each plane of an object.'),
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Convert labels, outlines or a session to another format, or measure them."""
    from dataclasses import replace

    from napari_mobilesam.exchange import ExchangeError, export, load
    from napari_mobilesam.exchange.images import from_array, open_image
    from napari_mobilesam.exchange.session_file import SUFFIX, find_image, load_session
    from napari_mobilesam.exchange.views import segmentation_of

    options = {'polygons': True} if polygons else {}
    options |= {'per_plane': True} if per_plane else {}
    try:
        if source.name.endswith(SUFFIX):
            saved = load_session(source)
            identity = saved.identity
            try:
                picture = find_image(saved, image)
            except ExchangeError as error:
                if image is not None:
                    fail(str(error))
                typer.echo(f'Note: without intensities, since {error}', err=True)
                picture = from_array(saved.labels, identity.axes, identity.scale, identity.unit)
            found = segmentation_of(picture, saved.labels, saved.session)
            if picture.path is None:
                found = replace(found, image=None, name=identity.name)
        elif image is not None:
            picture = open_image(image)
            found = load(source, shape=picture.shape, axes=picture.axes)
            found = replace(
                found,
                axes=picture.axes,
                scale=picture.scale,
                unit=picture.unit,
                image=picture.pixels,
                name=picture.name,
            )
        else:
            found = load(source)
        for notice in found.notices:
            typer.echo(f'Note: {notice}', err=True)
        for path in export(found, output, format_name, overwrite=overwrite, **options):
            typer.echo(str(path))
    except ExchangeError as error:
        fail(str(error))
