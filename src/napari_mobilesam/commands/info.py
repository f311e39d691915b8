"""``napari-mobilesam info``: what a bug report needs."""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer

PACKAGES = (
    'napari-mobilesam',
    'napari',
    'torch',
    'torchvision',
    'numpy',
    'scipy',
    'scikit-image',
    'zarr',
    'tifffile',
    'roifile',
    'pandas',
    'npe2',
    'magicgui',
    'superqt',
    'qtpy',
    'PyQt6',
    'PySide6',
    'pyarrow',
    'onnxruntime',
    'openvino',
)


def command(
    as_json: Annotated[bool, typer.Option('--json', help='Print JSON on stdout.')] = False,
) -> None:
    """Print versions, devices, checkpoints and folders, to be pasted into a bug report."""
    found = collect()
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    for section, entries in found.items():
        typer.echo(f'{section}:')
        for key, value in entries.items():
            typer.echo(f'  {key}: {value}')


def collect() -> dict[str, dict[str, Any]]:
    """Return all of it, by section."""
    return {
        'system': {
            'platform': platform.platform(),
            'python': sys.version.split()[0],
            'processors': os.cpu_count(),
            'display': os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY') or 'none',
        },
        'packages': {name: _version(name) for name in PACKAGES},
        'torch': _torch(),
        'checkpoints': _checkpoints(),
        'folders': _folders(),
        'environment': {
            name: value for name, value in sorted(os.environ.items()) if _is_ours(name)
        },
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return 'not installed'


def _torch() -> dict[str, Any]:
    try:
        import torch
    except Exception as error:  # a broken installation is what the report is about
        return {'error': str(error)}
    found: dict[str, Any] = {
        'threads': torch.get_num_threads(),
        'cuda': torch.version.cuda or 'none',
        'mps': torch.backends.mps.is_available(),
    }
    for number in range(torch.cuda.device_count()):
        found[f'gpu {number}'] = torch.cuda.get_device_name(number)
    return found


def _checkpoints() -> dict[str, str]:
    from mobile_sam.checkpoints import BUNDLED, REGISTRY, bundled_path, locate

    found = {BUNDLED.name: str(bundled_path() or 'missing')}
    return found | {name: str(locate(name) or 'not here') for name in REGISTRY}


def _folders() -> dict[str, str]:
    from platformdirs import user_data_path

    from mobile_sam.checkpoints import cache_folder

    data = user_data_path('napari-mobilesam', appauthor=False)
    return {'checkpoints': str(cache_folder()), 'journals': str(data / 'journals')}


def _is_ours(name: str) -> bool:
    return name.startswith(('NAPARI_', 'OMP_NUM', 'MKL_NUM', 'QT_', 'CUDA_VISIBLE'))
