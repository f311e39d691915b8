"""The project as a whole: what importing it does, what it depends on, what the wheel carries."""

from __future__ import annotations

import ast
import itertools
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text(encoding='utf-8'))
PROJECT = PYPROJECT['project']
SOURCES = sorted([*(ROOT / 'src').rglob('*.py'), *(ROOT / 'mobile_sam').rglob('*.py')])
OURS = ['mobile_sam', 'napari_mobilesam', 'napari_mobilesam.engine', 'napari_mobilesam.widgets']

# Everything of the process that an import could change and somebody else would notice.
STATE = """
import json, logging, os, socket, ssl, sys, warnings


def state():
    answer = {
        'environment': dict(os.environ),
        'path': list(sys.path),
        'folder': os.getcwd(),
        'handlers': [repr(handler) for handler in logging.root.handlers],
        'level': logging.root.level,
        'filters': repr(warnings.filters),
        'hooks': [repr(hook) for hook in (sys.excepthook, sys.displayhook, sys.settrace)],
        'network': [repr(socket.socket), repr(ssl._create_default_https_context)],
        'recursion': sys.getrecursionlimit(),
    }
    if 'torch' in sys.modules:
        import torch

        answer['torch'] = {
            'threads': torch.get_num_threads(),
            'interop': torch.get_num_interop_threads(),
            'grad': torch.is_grad_enabled(),
            'dtype': str(torch.get_default_dtype()),
            'deterministic': torch.are_deterministic_algorithms_enabled(),
            'autocast': [torch.is_autocast_enabled(d) for d in ('cpu', 'cuda')],
            'precision': torch.get_float32_matmul_precision(),
            'tf32': torch.backends.cudnn.allow_tf32,
            'benchmark': torch.backends.cudnn.benchmark,
            'seed': torch.initial_seed(),
            'load': repr(torch.load),
            'forward': repr(torch.nn.Module.__call__),
        }
    return answer


def changes(before, after):
    return sorted(key for key in before if before[key] != after[key])
"""


def isolated(code: str) -> str:
    """Run code in a Python of its own, and give what it printed."""
    result = subprocess.run(
        [sys.executable, '-c', STATE + code],
        cwd=ROOT,
        env={**os.environ, 'PYTHONWARNINGS': ''},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.parametrize('name', OURS)
def test_t20_import_brings_nothing_heavy(name: str) -> None:
    heavy = ('torch', 'torchvision', 'skimage', 'onnx', 'pooch', 'matplotlib')
    code = f"""
import {name}

print([n for n in {heavy!r} if n in sys.modules])
"""
    assert isolated(code) == '[]'


@pytest.mark.parametrize('name', ['mobile_sam', 'napari_mobilesam', 'napari_mobilesam.engine'])
def test_import_needs_no_gui(name: str) -> None:
    gui = ('napari', 'qtpy', 'psygnal', 'magicgui', 'PyQt6', 'PySide6')
    code = f"""
import {name}

print([n for n in {gui!r} if n in sys.modules])
"""
    assert isolated(code) == '[]'


def test_t20_import_changes_nothing_in_the_process() -> None:
    """Import every module of ours, with torch there before, so that its flags can be compared."""
    modules = [
        '.'.join(path.relative_to(base).with_suffix('').parts).removesuffix('.__init__')
        for base in (ROOT / 'src', ROOT)
        for path in SOURCES
        if path.is_relative_to(base / ('napari_mobilesam' if base.name == 'src' else 'mobile_sam'))
        and path.stem != '__main__'
    ]
    assert 'mobile_sam.build_sam' in modules
    code = f"""
import importlib

# What others do when they are imported is theirs.
import napari, npe2, qtpy, skimage, torch, torchvision, typer

import napari.layers, napari.viewer, scipy.ndimage, scipy.special, torchvision.transforms

before = state()
for name in {modules!r}:
    importlib.import_module(name)
print(changes(before, state()))
"""
    assert isolated(code) == '[]'


def test_a_side_effect_would_be_seen() -> None:
    code = """
import torch

before = state()
torch.backends.cudnn.benchmark = True
os.environ['NAPARI_MOBILESAM_PROBE'] = '1'
print(changes(before, state()))
"""
    assert isolated(code) == "['environment', 'torch']"


def test_import_rules_hold() -> None:
    pytest.importorskip('importlinter')
    result = subprocess.run(
        [sys.executable, '-c', 'from importlinter.cli import lint_imports_command as c; c()'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_trap_has_a_test_of_its_name() -> None:
    """T1 to T31."""
    names = {
        node.name.lower()
        for path in (ROOT / 'tests').rglob('test_*.py')
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8')))
        if isinstance(node, ast.FunctionDef)
    }
    held = {int(found[1]) for name in names if (found := re.match(r'test_t(\d+)_', name))}
    assert set(range(1, 32)) - held == set()


def test_t30_nothing_is_printed() -> None:
    found = [
        f'{path.relative_to(ROOT)}:{node.lineno}'
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8')))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ('print', 'pprint')
    ]
    assert found == []


def test_no_module_is_long() -> None:
    files = [*SOURCES, *(ROOT / 'tests').rglob('*.py'), *(ROOT / 'scripts').rglob('*.py')]
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding='utf-8').splitlines())
        for path in files
    }
    assert {name: length for name, length in lengths.items() if length > 600} == {}


def test_version_is_said_once() -> None:
    assert metadata.version('napari-mobilesam') == PROJECT['version'], 'install it again'
    others = [
        path.relative_to(ROOT)
        for path in SOURCES
        if f"'{PROJECT['version']}'" in path.read_text(encoding='utf-8')
    ]
    assert others == []
    citation = (ROOT / 'CITATION.cff').read_text(encoding='utf-8')
    assert f'version: {PROJECT["version"]}\n' in citation


def test_base_dependencies_carry_no_qt_binding() -> None:
    base = ' '.join(PROJECT['dependencies']).lower()
    for binding in ('pyqt', 'pyside', 'napari['):
        assert binding not in base
    assert PROJECT['optional-dependencies']['all'] == ['napari[all]>=0.9']


def third_party(paths: Iterable[Path]) -> set[str]:
    """Collect the top-level names of the modules of others that these files import."""
    imported = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                imported.add(node.module.partition('.')[0])
    support = [ROOT / 'tests' / 'support', ROOT / 'benchmarks' / 'support']
    local = {path.stem for folder in support for path in folder.glob('*')}
    return imported - {*sys.stdlib_module_names, 'mobile_sam', 'napari_mobilesam', 'tests', *local}


def modules(requirements: Iterable[str]) -> set[str]:
    """Turn requirements into the names that are imported."""
    names = {'scikit-image': 'skimage', 'pillow': 'PIL', 'import-linter': 'importlinter'}
    plain = {re.split(r'[>=<\[ ]', requirement)[0] for requirement in requirements}
    return {names.get(name, name).replace('-', '_') for name in plain}


def test_every_import_is_a_dependency_and_the_other_way_round() -> None:
    base = modules(PROJECT['dependencies'])
    extras = modules(itertools.chain(*PROJECT['optional-dependencies'].values()))
    imported = third_party(SOURCES)
    assert imported - base - extras == set()
    # npe2 reads the manifest, and pooch hashes with xxhash: nothing of ours need import them.
    assert base - imported - {'npe2', 'xxhash'} == set()


def test_every_import_of_the_tests_is_installed_for_them() -> None:
    installed = modules(
        [
            *PROJECT['dependencies'],
            *itertools.chain(*PROJECT['optional-dependencies'].values()),
            *PYPROJECT['dependency-groups']['test'],
        ]
    )
    # What napari requires, and what its extras bring with certainty.
    through_napari = {'dask', 'numpy', 'pandas', 'psygnal', 'PyQt6', 'yaml'}
    through_torch = {'triton'}  # where there is one
    installed |= through_napari | through_torch
    assert third_party((ROOT / 'tests').rglob('*.py')) - installed == set()


@pytest.fixture(scope='module')
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with hatchling's own code, which needs no network."""
    builder = pytest.importorskip('hatchling.builders.wheel')
    folder = tmp_path_factory.mktemp('wheel')
    (built,) = builder.WheelBuilder(str(ROOT)).build(directory=str(folder), versions=['standard'])
    return Path(built)


def test_wheel_carries_all_and_only_what_is_needed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = next(name for name in names if name.endswith('.dist-info/METADATA'))
        text = archive.read(info).decode()
    packaged = {
        str(path.relative_to(ROOT / 'src').as_posix()) for path in (ROOT / 'src').rglob('*.py')
    }
    packaged |= {
        str(path.relative_to(ROOT).as_posix()) for path in (ROOT / 'mobile_sam').rglob('*.py')
    }
    assert packaged <= names
    assert 'napari_mobilesam/napari.yaml' in names
    assert 'napari_mobilesam/py.typed' in names
    assert 'mobile_sam/py.typed' in names
    weights = {f'mobile_sam/weights/{path.name}' for path in (ROOT / 'weights').glob('*')}
    assert any(name.endswith('.pt') for name in weights)
    assert weights <= names
    assert {name.partition('/')[0] for name in names} == {
        'mobile_sam',
        'napari_mobilesam',
        info.partition('/')[0],
    }
    assert not [name for name in names if '__pycache__' in name]
    assert 'Classifier: Framework :: napari\n' in text
    assert 'License-Expression: Apache-2.0\n' in text


def test_installed_wheel_works_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / 'site'
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    code = """
import importlib.metadata, sys

sys.path.insert(0, sys.argv[1])
import mobile_sam, napari_mobilesam
from mobile_sam import checkpoints
from npe2 import PluginManifest

manifest = PluginManifest.from_distribution('napari-mobilesam')
manifest.validate_imports()
for path in (mobile_sam.__file__, napari_mobilesam.__file__, str(checkpoints.bundled_path())):
    assert path.startswith(sys.argv[1]), path
print(manifest.name, len(manifest.contributions.widgets))
"""
    result = subprocess.run(
        [sys.executable, '-c', code, str(site)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[0] == 'napari-mobilesam'
