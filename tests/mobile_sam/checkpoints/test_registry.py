from __future__ import annotations

import dataclasses
import re
import subprocess
import sys

import pytest

from mobile_sam.checkpoints import BUNDLED, BUNDLED_NAME, DEFAULT_NAME, REGISTRY


def test_every_entry_can_be_checked_and_credited() -> None:
    assert {'mobile_sam', 'vit_b', 'vit_l', 'vit_h', 'vit_t_lm', 'vit_t_em_organelles'} == {
        *REGISTRY
    }
    for name, info in REGISTRY.items():
        assert info.name == name
        assert info.architecture in {'vit_t', 'vit_b', 'vit_l', 'vit_h'}
        assert re.fullmatch(r'sha256:[0-9a-f]{64}|xxh128:[0-9a-f]{32}', info.known_hash)
        assert info.urls
        assert all(url.startswith('https://') for url in info.urls)
        assert info.licence
        assert info.source
        assert info.purpose.endswith('.')


def test_filenames_do_not_collide() -> None:
    names = [info.filename for info in (*REGISTRY.values(), BUNDLED)]
    assert len(names) == len(set(names))


def test_bundled_is_named_as_what_it_is() -> None:
    assert BUNDLED_NAME not in REGISTRY
    assert BUNDLED.filename == 'mobilesam-microscopy.pt'
    assert BUNDLED.urls == ()
    assert REGISTRY[DEFAULT_NAME].size == 40_728_226


@pytest.mark.parametrize('filename', ['../x.pt', '/etc/x', 'a\\b', 'C:x.pt', '..', ''])
def test_filename_cannot_leave_its_folder(filename: str) -> None:
    with pytest.raises(ValueError, match='bare file name'):
        dataclasses.replace(REGISTRY['vit_b'], filename=filename)


def test_registry_is_read_only() -> None:
    with pytest.raises(TypeError):
        REGISTRY['mine'] = BUNDLED  # type: ignore[index]


def test_import_is_light() -> None:
    code = (
        'import sys, mobile_sam.checkpoints as c; c.REGISTRY; c.bundled_path();'
        "print(*{'torch', 'pooch', 'requests', 'numpy', 'platformdirs', 'xxhash'} & {*sys.modules})"
    )
    result = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True, timeout=120
    )
    assert result.stdout.strip() == ''
