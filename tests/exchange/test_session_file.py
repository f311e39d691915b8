"""Session files: saved whole, found again, and never believed unchecked."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from annotating import IMAGE, Annotating, state

from napari_mobilesam.exchange import ExchangeError, PixelsDifferError
from napari_mobilesam.exchange.identity import identify
from napari_mobilesam.exchange.session_file import (
    find_image,
    load_session,
    save_session,
    schema,
)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / 'data' / 'image.tif'
    path.parent.mkdir()
    tifffile.imwrite(path, IMAGE, photometric='minisblack')
    return path


@pytest.fixture
def made() -> Annotating:
    made = Annotating(3)
    while made.number < 40:
        made.act()
    return made


def saved(path: Path, image: Path, made: Annotating, **options: Any) -> Path:
    identity = identify(IMAGE, 'zyx', (2, 0.5, 0.5), 'micrometer', path=image, name='image')
    return save_session(path, identity, made.labels, made.session, **options)


@pytest.mark.parametrize('ending', ['.ome.zarr', '.tif'])
def test_all_comes_back(tmp_path: Path, image: Path, made: Annotating, ending: Any) -> None:
    path = saved(tmp_path / 'cells', image, made, labels_format=ending)
    assert path.name == 'cells.mobilesam.json'
    found = load_session(path)
    assert np.array_equal(found.labels, made.labels)
    assert found.labels.dtype == np.int32
    assert state(found.session) == state(made.session)
    assert find_image(found).shape == made.labels.shape
    while (step := found.session.history.last) is not None:
        step.revert(found.labels)
        found.session.step_back(step)
    assert not found.labels.any()


def test_saving_again_replaces_labels_in_one_stroke(
    tmp_path: Path, image: Path, made: Annotating, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / 'cells', image, made)
    before = made.labels.copy()
    while np.array_equal(made.labels, before):
        made.act()
    with monkeypatch.context() as context:

        def full(*_args: Any, **_options: Any) -> None:
            raise ExchangeError('disk full')

        context.setattr('napari_mobilesam.exchange.session_file.write_json', full)
        with pytest.raises(ExchangeError, match='disk full'):
            saved(tmp_path / 'cells', image, made)
    assert np.array_equal(load_session(path).labels, before)
    saved(tmp_path / 'cells', image, made)
    assert np.array_equal(load_session(path).labels, made.labels)
    (tmp_path / 'cells.labels-mine.tif').touch()
    saved(tmp_path / 'cells', image, made)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert len([name for name in names if name.endswith('.zarr')]) <= 2
    assert 'cells.labels-mine.tif' in names


def test_the_image_is_found_again(tmp_path: Path, image: Path, made: Annotating) -> None:
    path = saved(tmp_path / 'cells', image, made)
    assert find_image(load_session(path)).path == path.parent / 'data' / 'image.tif'
    # all moved together: the relative path still holds
    moved = tmp_path / 'moved'
    moved.mkdir()
    for thing in list(tmp_path.iterdir()):
        if thing != moved:
            shutil.move(thing, moved)
    found = load_session(moved / 'cells.mobilesam.json')
    assert find_image(found).path == moved / 'data' / 'image.tif'
    # renamed, among others: its pixels tell
    (moved / 'data' / 'image.tif').rename(moved / 'renamed.tif')
    tifffile.imwrite(moved / 'a.tif', IMAGE + 1, photometric='minisblack')
    tifffile.imwrite(moved / 'b.tif', IMAGE[0])
    (moved / 'c.tif').write_text('no image')
    assert find_image(found).path == moved / 'renamed.tif'
    assert find_image(found, moved).path == moved / 'renamed.tif'
    (moved / 'renamed.tif').unlink()
    with pytest.raises(ExchangeError, match='name it'):
        find_image(found)


def test_other_pixels_are_asked_about(tmp_path: Path, image: Path, made: Annotating) -> None:
    found = load_session(saved(tmp_path / 'cells', image, made))
    tifffile.imwrite(image, IMAGE + 1, photometric='minisblack')
    for where in (None, image, image.parent):
        with pytest.raises(PixelsDifferError, match='other pixels') as caught:
            find_image(found, where)
        assert caught.value.recorded == found.identity.fingerprint != caught.value.found
    tifffile.imwrite(image, IMAGE[:2], photometric='minisblack')
    with pytest.raises(ExchangeError, match=r'shape \(2, 64, 96\)'):
        find_image(found, image)


def test_the_schema_is_one_and_is_kept_to(tmp_path: Path, image: Path, made: Annotating) -> None:
    jsonschema = pytest.importorskip('jsonschema')
    jsonschema.Draft202012Validator.check_schema(schema())
    content = json.loads(saved(tmp_path / 'cells', image, made).read_text())
    jsonschema.validate(content, schema())

    def described(value: Any, spec: Any, where: str) -> list[str]:
        """Return what a file has and the schema does not speak of."""
        spec = schema()['$defs'][spec['$ref'].split('/')[-1]] if '$ref' in spec else spec
        if isinstance(value, list):
            return [n for v in value for n in described(v, spec.get('items', {}), where)]
        if not isinstance(value, dict) or 'properties' not in spec:
            return []
        found = [f'{where}/{key}' for key in value if key not in spec['properties']]
        for key in value:
            found += described(value[key], spec['properties'].get(key, {}), f'{where}/{key}')
        return found

    assert described(content, schema(), '') == []


def change(content: Any, where: str, value: Any) -> Any:
    content = copy.deepcopy(content)
    *parents, last = [int(p) if p.isdigit() else p for p in where.split('/')]
    inner = content
    for key in parents:
        inner = inner[key]
    inner[last] = value
    return content


HOSTILE: list[tuple[str, Any]] = [
    ('format', 'another'),
    ('version', 2),
    ('version', None),
    ('image', None),
    ('image/shape', [10**9, 10**9, 10**9]),
    ('image/shape', [3, 64]),
    ('image/shape', [3, 64, 97]),
    ('image/scale', [1]),
    ('image/scale', [0, 1, 1]),
    ('image/axes', 'xyz'),
    ('image/axes', 'yx'),
    ('image/fingerprint', 5),
    ('labels', []),
    ('labels/path', '../outside.tif'),
    ('labels/path', '/etc/passwd'),
    ('labels/path', '/dev/zero'),
    ('labels/path', 'a/../../outside.tif'),
    ('labels/path', 'nowhere.tif'),
    ('labels/path', 'link.tif'),
    ('labels/path', 'C:\\Windows\\system.tif'),
    ('labels/path', 'nul\0.tif'),
    ('labels/path', 'x' * 5000 + '.tif'),
    ('labels/path', ''),
    ('labels/path', 'cells.mobilesam.json'),
    ('labels/dtype', 'object'),
    ('labels/dtype', 'float32'),
    ('labels/dtype', 'uint8'),
    ('maximum', -1),
    ('maximum', 'many'),
    ('classes', [{'id': 0, 'name': 'x', 'colour': '#000000'}]),
    ('classes', [{'id': 1, 'name': 'x', 'colour': 'red'}]),
    ('classes', [{'id': i, 'name': 'x', 'colour': '#000000'} for i in (1, 2)]),
    ('objects', {}),
    ('objects/0/label', 0),
    ('objects/0/label', 2**31),
    ('objects/0/bounds', [[0]]),
    ('objects/0/prompted', [{}]),
    ('objects/0/prompted/0/plane/index', [-1]),
    ('objects/0/prompted/0/plane/displayed', [1, 1]),
    ('objects/0/prompted/0/prompts/points', [[1]]),
    ('objects/0/prompted/0/prompts/points', [[1, 2], [3, 4]]),
    ('objects/0/prompted/0/prompts/mask', {'shape': [1, 1], 'logits': 'abc'}),
    ('objects/0/mapping', {'mode': 'evil'}),
    ('objects/0/mapping', {'__class__': 'os.system'}),
    ('steps', None),
    ('steps/0/edits/0/mask', 'ooooo'),
    ('steps/0/edits/0/shape', [10**6, 10**6, 10**6]),
    ('steps/0/edits/0/start', [1]),
    ('steps/0/edits/0/after', [1, 2, 3]),
    ('steps/0/edits/0/after', [-5]),
    ('steps/0/changes/0/label', 'x'),
    ('steps/0/maximum', [1]),
]


@pytest.mark.parametrize(
    ('where', 'value'), HOSTILE, ids=lambda v: v if isinstance(v, str) and len(v) < 60 else ''
)
def test_hostile_sessions_are_refused(
    tmp_path: Path, image: Path, made: Annotating, where: str, value: Any
) -> None:
    folder = tmp_path / 'sessions'
    folder.mkdir()
    tifffile.imwrite(
        tmp_path / 'outside.tif', made.labels.astype(np.uint16), photometric='minisblack'
    )
    (folder / 'link.tif').symlink_to(tmp_path / 'outside.tif')
    made.labels[0, 0, 0] = 300
    path = saved(folder / 'cells', image, made)
    path.write_text(json.dumps(change(json.loads(path.read_text()), where, value)))
    with pytest.raises(ExchangeError) as caught:
        load_session(path)
    assert len(str(caught.value)) < 700
