"""The commands that turn images and sessions into files: segment, export, replay; models, info."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from fakes import FakeSegmenter
from pictures import CENTRES, plane, stack
from typer.testing import CliRunner, Result

from napari_mobilesam import Session, cli
from napari_mobilesam.commands import replay as replay_command
from napari_mobilesam.commands import segment as segment_command
from napari_mobilesam.exchange import export, load


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, [str(a) for a in arguments])


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the commands segment without a model."""
    monkeypatch.setattr(segment_command, 'load_segmenter', lambda *_: FakeSegmenter())
    monkeypatch.setattr(replay_command, 'load_segmenter', lambda *_: FakeSegmenter())


@pytest.fixture
def image(tmp_path: Path) -> Path:
    tifffile.imwrite(tmp_path / 'stack.tif', stack(), photometric='minisblack')
    return tmp_path / 'stack.tif'


def annotated(image: Path) -> Session:
    session = Session.open(image, segmenter=FakeSegmenter())
    for z, (row, column) in enumerate(CENTRES):
        session.segment(points=[(z, row + 2 * z, column)], class_name=('disc', '')[z % 2])
    return session


def prompts(path: Path) -> Path:
    rows = [f'{z},{r + 2 * z},{c},1,disc' for z, (r, c) in enumerate(CENTRES)]
    path.write_text('\n'.join(['z,y,x,positive,class', *rows]) + '\n')
    return path


@pytest.mark.usefixtures('fake')
def test_prompts_become_objects(tmp_path: Path, image: Path) -> None:
    result = run(
        'segment',
        image,
        '--prompts',
        prompts(tmp_path / 'p.csv'),
        '-o',
        tmp_path / 'o.tif',
        '--json',
    )
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    (entry,) = summary['images']
    assert entry['objects'] == 3
    assert entry['written'] == [str(tmp_path / 'o.tif')]
    found = load(tmp_path / 'o.tif')
    assert np.array_equal(found.labels, annotated(image).labels)
    assert found.info(3).class_name == 'disc'
    again = run('segment', image, '--prompts', tmp_path / 'p.csv', '-o', tmp_path / 'o.tif')
    assert again.exit_code == 1
    assert 'there already' in again.stderr


@pytest.mark.usefixtures('fake')
@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('p.csv', 'y,x\n1,2\n', 'z must be among them'),
        ('p.csv', 'z,y,x\n0,nan,1\n', 'finite'),
        ('p.csv', 'z,y,x\n0,a,1\n', 'no prompts'),
        ('p.csv', 'z,y,x\n99,1,1\n', 'plane'),
        ('p.csv', 'z,y,x\n0,900,900\n', 'image'),
        ('p.csv', 'z,y,x\n', 'no prompts'),
        ('p.csv', 'z,y,x\n1,2\n', 'columns'),
        ('p.csv', 'z,y,x,object\n1,2,3,a\n2,2,3,a\n', 'one plane'),
        ('p.csv', 'z,y,x,positive\n1,2,3,perhaps\n', 'positive'),
        ('p.csv', '', 'empty'),
        ('p.xls', 'x', 'prompts are read from'),
        ('p.geojson', '{}', 'GeoJSON'),
        ('p.zip', 'x', 'zip of ROIs'),
    ],
)
def test_wrong_prompts_are_told(
    tmp_path: Path, image: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content)
    result = run('segment', image, '--prompts', tmp_path / name, '-o', tmp_path / 'o.tif')
    assert result.exit_code == 1
    assert message in ' '.join(result.stderr.split())
    assert 'Traceback' not in result.output
    assert not (tmp_path / 'o.tif').exists()


@pytest.mark.usefixtures('fake')
def test_outlines_of_other_programs_are_prompts(tmp_path: Path, image: Path) -> None:
    session = annotated(image)
    for ending in ('geojson', 'zip'):
        (path,) = session.export(tmp_path / f'p.{ending}')
        target = tmp_path / f'{ending}.ome.zarr'
        result = run('segment', image, '--prompts', path, '-o', target)
        assert result.exit_code == 0, result.output
        again = load(target).labels
        assert np.count_nonzero((again > 0) & (session.labels > 0)) > 0.9 * np.count_nonzero(again)


@pytest.mark.usefixtures('fake')
def test_folders_are_gone_through(
    tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def everything(self: Session, **_options: Any) -> list[int]:
        seen.append(self.picture.name)
        return self.segment_each([(0, *CENTRES[0]), (0, *CENTRES[1])])

    monkeypatch.setattr(Session, 'segment_everything', everything)
    folder = tmp_path / 'in'
    folder.mkdir()
    image.rename(folder / 'b.tif')
    tifffile.imwrite(folder / 'a.tif', stack(2), photometric='minisblack')
    (folder / 'c.tif').write_text('damaged')
    (folder / 'notes.txt').write_text('no image')
    out = tmp_path / 'out'
    result = run('segment', folder, '-o', out, '--format', 'geojson')
    assert result.exit_code == 1  # one of them is damaged, and the others are done
    assert 'c.tif' in result.stderr
    assert sorted(p.name for p in out.iterdir()) == ['a_labels.geojson', 'b_labels.geojson']
    assert seen == ['a', 'b']
    (folder / 'c.tif').unlink()
    again = run('segment', folder, '-o', out, '--format', 'geojson', '--skip-done', '--json')
    assert again.exit_code == 0
    assert json.loads(again.stdout)['skipped'] == 2
    assert seen == ['a', 'b']


@pytest.mark.parametrize('arguments', [('segment',), ('segment', 'a.tif'), ('export', 'a.tif')])
def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_formats_are_converted(tmp_path: Path, image: Path) -> None:
    before = annotated(image).segmentation
    export(before, tmp_path / 'a.ome.zarr')
    for name in ('b.coco.json', 'c.zip', 'd.tif'):
        result = run('export', tmp_path / 'a.ome.zarr', '-o', tmp_path / name)
        assert result.exit_code == 0, result.output
        assert result.stdout == f'{tmp_path / name}\n'
    needs = run('export', tmp_path / 'c.zip', '-o', tmp_path / 'e.tif')
    assert needs.exit_code == 1
    assert 'does not tell the size' in needs.stderr
    done = run('export', tmp_path / 'c.zip', '-o', tmp_path / 'e.csv', '--image', image)
    assert done.exit_code == 0, done.output
    assert 'intensity_mean' in (tmp_path / 'e.csv').read_text()
    wrong = run('export', tmp_path / 'a.ome.zarr', '-o', tmp_path / 'f.tif', '--polygons')
    assert wrong.exit_code == 1
    assert 'no option polygons' in wrong.stderr


@pytest.mark.usefixtures('fake')
def test_sessions_are_replayed_and_exported(tmp_path: Path, image: Path) -> None:
    session = annotated(image)
    path = session.save(tmp_path / 'a')
    result = run('replay', path, '-o', tmp_path / 'again.tif')
    assert result.exit_code == 0, result.output
    assert '3 objects, mean IoU 1.000' in result.stdout
    assert result.stdout.endswith('the labels are identical.\n')
    assert np.array_equal(load(tmp_path / 'again.tif').labels, session.labels)
    shown = json.loads(run('replay', path, '--json').stdout)
    assert shown['identical'] is True
    assert [entry['class'] for entry in shown['objects']] == ['disc', '', 'disc']
    assert run('export', path, '-o', tmp_path / 'a.csv').exit_code == 0
    assert 'intensity_mean' in (tmp_path / 'a.csv').read_text()
    image.unlink()
    lost = run('replay', path)
    assert lost.exit_code == 1
    assert 'name it' in lost.stderr
    without = run('export', path, '-o', tmp_path / 'b.csv')
    assert without.exit_code == 0
    assert 'without intensities' in without.stderr
    assert 'intensity_mean' not in (tmp_path / 'b.csv').read_text()


def test_a_replay_takes_the_checkpoint_that_made_the_objects(
    tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('NAPARI_MOBILESAM_WEIGHTS', str(tmp_path))
    (tmp_path / 'vit_t_lm.pt').write_bytes(b'weights')
    maker = FakeSegmenter(hashlib.sha256(b'weights').hexdigest())
    session = Session.open(image, segmenter=maker)
    session.segment(points=[(0, *CENTRES[0])])
    path = session.save(tmp_path / 'a')
    asked: list[str | None] = []

    def load_segmenter(weights: str | None) -> FakeSegmenter:
        asked.append(weights)
        return maker

    monkeypatch.setattr(replay_command, 'load_segmenter', load_segmenter)
    assert run('replay', path).exit_code == 0
    assert run('replay', path, '--weights', 'mine.pt').exit_code == 0
    (tmp_path / 'vit_t_lm.pt').unlink()
    assert 'none of those on this computer' in run('replay', path).stderr.replace('\n', ' ')
    assert asked == ['vit_t_lm', 'mine.pt', None]


def test_models_are_listed() -> None:
    from mobile_sam.checkpoints import BUNDLED_NAME, REGISTRY

    shown = run('models').stdout
    rows = {row['name']: row for row in json.loads(run('models', '--json').stdout)}
    assert set(rows) == {BUNDLED_NAME, *REGISTRY}
    for name in rows:
        assert name in shown
    assert Path(rows[BUNDLED_NAME]['path']).is_file()
    assert rows['vit_b']['path'] is None
    assert 'downloaded when it is named, 375 MB' in shown


def test_info_says_what_a_report_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('SECRET_TOKEN', 'hush')
    found = json.loads(run('info', '--json').stdout)
    assert found['packages']['napari-mobilesam'] != 'not installed'
    assert found['torch']['threads'] >= 1
    assert found['environment']['NAPARI_MOBILESAM_OFFLINE'] == '1'
    shown = run('info').stdout
    assert 'python' in shown
    assert 'hush' not in shown


def test_the_bundled_model_does_the_same_in_a_script_and_a_shell(tmp_path: Path) -> None:
    """Segment a stack for real, in a process where Qt cannot be imported."""
    pixels = (np.stack([plane(), plane(4)]) * 100).astype(np.uint16)
    tifffile.imwrite(tmp_path / 'i.tif', pixels, photometric='minisblack')
    (tmp_path / 'p.csv').write_text('z,y,x\n' + f'0,{CENTRES[0][0]},{CENTRES[0][1]}\n1,84,60\n')
    code = """
import sys
for name in ('napari', 'qtpy', 'PyQt5', 'PyQt6', 'PySide2', 'PySide6', 'magicgui', 'superqt'):
    sys.modules[name] = None
from napari_mobilesam.cli import app
app()
"""
    result = subprocess.run(
        [sys.executable, '-c', code, 'segment', 'i.tif', '--prompts', 'p.csv', '-o', 'o.tif'],
        cwd=tmp_path,
        env={**os.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == 'i.tif: 2 objects → o.tif\n'
    session = Session.open(tmp_path / 'i.tif', device='cpu')
    session.segment(points=[(0, *CENTRES[0])])
    session.segment(points=[(1, 84, 60)])
    labels = load(tmp_path / 'o.tif').labels
    assert np.array_equal(labels, session.labels)
    assert labels[0][CENTRES[0]] == 1
