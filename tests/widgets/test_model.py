"""Choosing, loading and downloading models, without a window; the server is on this machine."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeSegmenter
from pictures import CENTRES
from prompting import notifications

from mobile_sam import checkpoints
from mobile_sam.checkpoints import CheckpointInfo, registry
from napari_mobilesam.engine import Annotator
from napari_mobilesam.widgets import model_loading
from napari_mobilesam.widgets.bridge import WorkerBridge
from napari_mobilesam.widgets.model import ModelKeeper
from napari_mobilesam.widgets.model_loading import LoadedSegmenter, survey, usable_device
from napari_mobilesam.widgets.options import Options

NO_DISK = Options(disk_gib=0)


class Server:
    """Serves one file, as fast or as slowly as the test wants."""

    def __init__(self, payload: bytes) -> None:
        self.pause = 0.0
        self.spoilt = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header('Content-Length', str(len(payload)))
                self.end_headers()
                content = payload[:-1] + b'?' if outer.spoilt else payload
                with suppress(BrokenPipeError, ConnectionResetError):
                    for start in range(0, len(content), 2**18):
                        self.wfile.write(content[start : start + 2**18])
                        time.sleep(outer.pause)

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.address = f'http://127.0.0.1:{self._server.server_address[1]}/model.pt'

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """Publish the bundled checkpoint under the official one's name, on this machine."""
    payload = checkpoints.bundled_path().read_bytes()
    server = Server(payload)
    info = replace(
        registry.REGISTRY['mobile_sam'],
        urls=(server.address,),
        size=len(payload),
        known_hash=f'sha256:{hashlib.sha256(payload).hexdigest()}',
    )
    known = {**registry.REGISTRY, 'mobile_sam': info}
    for module in (registry, checkpoints, checkpoints.search):
        monkeypatch.setattr(module, 'REGISTRY', known)
    monkeypatch.setenv('NAPARI_MOBILESAM_OFFLINE', '0')
    yield server
    server.close()


@pytest.fixture
def keep(qtbot: Any) -> Iterator[Callable[..., ModelKeeper]]:
    made: list[tuple[WorkerBridge, ModelKeeper]] = []

    def make(options: Options = NO_DISK, factory: Any = None) -> ModelKeeper:
        bridge = WorkerBridge()
        keeper = ModelKeeper(bridge, options, factory)
        made.append((bridge, keeper))
        return keeper

    yield make
    for bridge, keeper in made:
        keeper.close()
        bridge.close()


def until(qtbot: Any, condition: Callable[[], object]) -> None:
    qtbot.waitUntil(lambda: bool(condition()), timeout=60_000)


def test_a_download_is_checked_and_then_used(
    qtbot: Any, keep: Callable[..., ModelKeeper], served: Server
) -> None:
    keeper = keep()
    keeper.load()
    until(qtbot, lambda: keeper.loaded is not None)
    assert keeper.loaded.title == 'mobilesam-microscopy'
    assert keeper.loaded.official_offered
    first = keeper.annotator
    told: list[tuple[int, int]] = []
    ended: list[str] = []
    entries: list[Any] = []
    keeper.download_progressed.connect(lambda *bytes_: told.append(bytes_))
    keeper.download_ended.connect(ended.append)
    keeper.surveyed.connect(entries.append)
    keeper.download()
    assert keeper.annotator is first, 'which goes on answering'
    until(qtbot, lambda: keeper.loaded.title == 'mobile_sam')
    assert ended == ['']
    assert told[-1][0] == told[-1][1] == checkpoints.REGISTRY['mobile_sam'].size
    assert not keeper.loaded.official_offered
    assert keeper.annotator is not first
    until(qtbot, lambda: entries)
    assert {entry.name: entry.ready for entry in entries[-1]}['mobile_sam']


def test_a_spoilt_download_is_told_and_changes_nothing(
    qtbot: Any, keep: Callable[..., ModelKeeper], served: Server
) -> None:
    served.spoilt = True
    keeper = keep(factory=FakeSegmenter)
    keeper.load()
    until(qtbot, lambda: keeper.annotator is not None)
    before = keeper.annotator
    with qtbot.waitSignal(keeper.download_ended, timeout=60_000) as sent:
        keeper.download('mobile_sam')
    assert 'sha256' in sent.args[0]
    assert keeper.annotator is before
    assert checkpoints.locate('mobile_sam') is None


def test_a_download_can_be_given_up(
    qtbot: Any, keep: Callable[..., ModelKeeper], served: Server
) -> None:
    served.pause = 0.05
    keeper = keep(factory=FakeSegmenter)
    with qtbot.waitSignal(keeper.download_progressed, timeout=60_000):
        keeper.download('mobile_sam')
    keeper.download('mobile_sam')  # one at a time
    with qtbot.waitSignal(keeper.download_ended, timeout=60_000) as sent:
        keeper.cancel_download()
    assert sent.args == ['']
    assert checkpoints.locate('mobile_sam') is None


def test_a_model_stays_until_there_is_another(
    qtbot: Any, keep: Callable[..., ModelKeeper], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(checkpoint: str, device: str, _: object, precision: str) -> LoadedSegmenter:
        if checkpoint == 'broken.pt':
            raise checkpoints.DamagedCheckpointError('it is cut short')
        return LoadedSegmenter(FakeSegmenter(f'{checkpoint} {device} {precision}'), checkpoint)

    monkeypatch.setattr('napari_mobilesam.widgets.model.load_checkpoint', load)
    keeper = keep()
    keeper.load()
    until(qtbot, lambda: not keeper.loading)
    first = keeper.annotator
    assert first.segmenter.digest == 'mobile_sam auto float32'
    keeper.choose('broken.pt')
    assert keeper.annotator is first
    until(qtbot, lambda: not keeper.loading)
    assert keeper.error == 'it is cut short'
    assert keeper.annotator is first
    keeper.choose('vit_b')
    keeper.choose_device('cpu')
    until(qtbot, lambda: not keeper.loading)
    assert keeper.annotator.segmenter.digest == 'vit_b cpu float32'
    assert keeper.error == ''
    keeper.choose_precision('bfloat16')
    until(qtbot, lambda: not keeper.loading)
    assert keeper.annotator.segmenter.digest == 'vit_b cpu bfloat16'
    keeper.choose_precision('float32')
    until(qtbot, lambda: not keeper.loading)
    keeper.apply(replace(NO_DISK, checkpoint='vit_b', device='cpu', cache_mib=8))
    assert not keeper.loading
    assert keeper.store.budget_mib == 8


def test_running_out_of_memory_is_said(
    qtbot: Any, keep: Callable[..., ModelKeeper], monkeypatch: pytest.MonkeyPatch
) -> None:
    notices: list[Callable[[str], None]] = []

    def load(checkpoint: str, _: str, on_notice: Callable[[str], None], __: str) -> LoadedSegmenter:
        notices.append(on_notice)
        return LoadedSegmenter(FakeSegmenter(), checkpoint)

    monkeypatch.setattr('napari_mobilesam.widgets.model.load_checkpoint', load)
    keeper = keep()
    keeper.load()
    until(qtbot, lambda: not keeper.loading)
    with notifications() as told, qtbot.waitSignal(keeper.noticed) as sent:
        threading.Thread(target=notices[0], args=('going on with the CPU',)).start()
    assert sent.args == ['going on with the CPU'], 'for the status line'
    assert told == ['MobileSAM: going on with the CPU']


def test_a_device_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert usable_device('auto') == ('auto', '')
    assert usable_device('cpu') == ('cpu', '')
    device, said = usable_device('cuda:1')
    assert device == 'cpu'
    assert 'no cuda:1 device' in said
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert usable_device('cuda') == ('cuda', '')


def test_the_survey_reads_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Path, 'open', None)
    own = tmp_path / 'mine.pt'
    own.touch()
    entries = {entry.name: entry for entry in survey(str(own))}
    assert list(entries)[:2] == ['mobilesam-microscopy', 'mobile_sam']
    assert entries['mobilesam-microscopy'].ready
    assert not entries['vit_h'].ready
    assert entries['vit_h'].title == 'vit_h · downloads 2,565 MB'
    assert entries[str(own)].title == 'mine.pt · ready'


def test_locate_wants_the_right_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv('NAPARI_MOBILESAM_WEIGHTS', str(tmp_path))
    (tmp_path / 'mobile_sam.pt').write_bytes(b'half of it')
    (tmp_path / 'vit_t_lm.pt').write_bytes(b'of unknown size')
    assert checkpoints.locate('mobile_sam') is None
    assert checkpoints.locate('vit_t_lm') == tmp_path / 'vit_t_lm.pt'
    assert isinstance(checkpoints.REGISTRY['vit_b'], CheckpointInfo)
    assert model_loading.megabytes(20_543_210) == '20.5 MB'


def test_another_model_keeps_objects_and_prompts(bench: Callable[..., Any]) -> None:
    one = bench()
    one.click(0, *CENTRES[0])
    one.press('Enter')
    one.click(0, *CENTRES[1])
    asked = one.decoded
    other = FakeSegmenter('another digest')
    one.model._on_loaded(LoadedSegmenter(other, 'another'))
    one.quiet()
    assert isinstance(one.model.annotator, Annotator)
    assert (one.decoded, len(other.decoded)) == (asked, 1), 'asked again, of the new one'
    assert len(one.controller.objects) == 1
    one.press('Enter')
    digests = [record.model_digest for record in one.controller.objects]
    assert digests == ['fake', 'another digest']
