"""Documents tell the truth: links lead somewhere, examples run, tables agree with the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*ROOT.glob('*.md'), *(ROOT / 'docs').rglob('*.md'), *(ROOT / 'weights').glob('*.md')]
GUIDE = ROOT / 'docs' / 'user-guide.md'


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r'\]\(([^)#]+)(?:#[^)]*)?\)', page.read_text(encoding='utf-8'))
    local = [target for target in targets if '://' not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


def examples(language: str) -> list[str]:
    readme = (ROOT / 'README.md').read_text(encoding='utf-8')
    return re.findall(rf'```{language}\n(.*?)```', readme, flags=re.DOTALL)


def test_examples_of_the_readme_run(tmp_path: Path) -> None:
    session, predictor = examples('python')
    pixels = np.zeros((13, 200, 300), np.uint8)
    pixels[12, 125:155, 210:240] = 200
    tifffile.imwrite(tmp_path / 'stack.tif', pixels, photometric='minisblack')
    shell = next(text for text in examples('sh') if 'segment' in text)
    (tmp_path / 'points.csv').write_text('z,y,x\n12,140,225\n')
    script = f"""
{session}
assert 400 < (session.labels[12, 125:155, 210:240] == 1).sum() <= 900
{predictor}
"""
    command = [sys.executable, '-W', 'error', '-c', script]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    counted = re.fullmatch(r'(\d+) pixels\n', result.stdout)
    # The picture has 303 x 384 pixels, and the coin at (213, 193) about 1700.
    assert counted is not None
    assert 1000 < int(counted[1]) < 3000
    for line in shell.splitlines():
        words = line.replace('labels.ome.zarr', 'again.ome.zarr').split()
        assert words[0] == 'napari-mobilesam'
        command = [sys.executable, '-m', 'napari_mobilesam', *words[1:]]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / 'cells.geojson').stat().st_size > 100


def test_ci_runs_the_test_command_of_the_readme() -> None:
    readme = (ROOT / 'README.md').read_text(encoding='utf-8')
    commands = re.findall(r'```sh\n(python3 scripts/bootstrap.py \w+)\n```', readme)
    assert [command.split()[-1] for command in commands] == ['demo', 'test']
    assert f'exec {commands[1]}\n' in (ROOT / '.ci' / 'run').read_text(encoding='utf-8')


def test_guide_lists_every_checkpoint() -> None:
    from mobile_sam.checkpoints import BUNDLED, REGISTRY

    guide = GUIDE.read_text(encoding='utf-8')
    for info in (BUNDLED, *REGISTRY.values()):
        assert f'| `{info.name}` | {info.purpose} | {info.licence} |\n' in guide


def test_guide_lists_every_shortcut() -> None:
    from napari_mobilesam.widgets.shortcuts import SHORTCUTS

    guide = GUIDE.read_text(encoding='utf-8')
    for shortcut in SHORTCUTS:
        assert f'| {shortcut.shown} | {shortcut.title} |\n' in guide


def test_commands_of_the_training_page_exist() -> None:
    """Each option that the page names is one of the command that it names."""
    import typer

    from napari_mobilesam.cli import app

    page = (ROOT / 'docs' / 'training.md').read_text(encoding='utf-8')
    blocks = ''.join(re.findall(r'```sh\n(.*?)```', page, flags=re.DOTALL)).replace('\\\n', '')
    group = typer.main.get_command(app)
    known = {
        name: {text for option in command.params for text in (*option.opts, *option.secondary_opts)}
        for name, command in group.commands.items()  # type: ignore[attr-defined]
    }
    lines = re.findall(r'^(?:napari-mobilesam|torchrun .* napari_mobilesam) (.*)$', blocks, re.M)
    assert len(lines) >= 8
    for name, *words in (line.split() for line in lines):
        assert {word for word in words if word.startswith('--')} <= known[name], name


def test_guide_lists_every_format() -> None:
    from napari_mobilesam.exchange import FORMATS

    guide = GUIDE.read_text(encoding='utf-8')
    for form in FORMATS:
        assert not form.suffixes or any(f'`{suffix}`' in guide for suffix in form.suffixes)
