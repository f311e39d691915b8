"""Documents tell the truth: links lead somewhere, examples run, tables agree with the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*ROOT.glob('*.md'), *(ROOT / 'docs').rglob('*.md'), *(ROOT / 'weights').glob('*.md')]
GUIDE = ROOT / 'docs' / 'user-guide.md'


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r'\]\(([^)#]+)(?:#[^)]*)?\)', page.read_text(encoding='utf-8'))
    local = [target for target in targets if '://' not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_example_of_the_readme_runs() -> None:
    readme = (ROOT / 'README.md').read_text(encoding='utf-8')
    (example,) = re.findall(r'```python\n(.*?)```', readme, flags=re.DOTALL)
    result = subprocess.run(
        [sys.executable, '-W', 'error', '-c', example], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    pixels = re.fullmatch(r'(\d+) pixels\n', result.stdout)
    # The picture has 303 x 384 pixels, and the coin at (213, 193) about 1700.
    assert pixels is not None
    assert 1000 < int(pixels[1]) < 3000


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
