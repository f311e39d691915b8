"""A web server on loopback with all the manners of real ones, and weights to serve and to break."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mobile_sam.checkpoints import CheckpointInfo, search

PAYLOAD = bytes(range(256)) * 800  # 204,800 bytes: a dozen chunks


class Server:
    """What a test sees of the server: addresses, the payload, and who asked for what."""

    def __init__(self) -> None:
        self.payload = PAYLOAD
        self.requests: list[str] = []
        self.release = threading.Event()  # ends the answers that hang
        self.both_are_here = threading.Barrier(2, timeout=60)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append(self.path)
                # A proxy is asked for whole addresses; it answers as the host would have.
                route = self.path.rpartition('/')[2]
                # The client may leave at any time; some tests want it to.
                with suppress(BrokenPipeError, ConnectionResetError, ConnectionAbortedError):
                    getattr(self, f'answer_{route}', self.answer_missing)()

            def start(self, length: int | None, kind: str = 'application/octet-stream') -> None:
                self.send_response(200)
                self.send_header('Content-Type', kind)
                if length is not None:
                    self.send_header('Content-Length', str(length))
                self.end_headers()

            def answer_good(self) -> None:
                self.start(len(PAYLOAD))
                self.wfile.write(PAYLOAD)

            def answer_unannounced(self) -> None:
                self.start(None)
                self.wfile.write(PAYLOAD)

            def answer_slow(self) -> None:
                self.start(len(PAYLOAD))
                for start in range(0, len(PAYLOAD), 4096):
                    self.wfile.write(PAYLOAD[start : start + 4096])
                    time.sleep(0.005)

            def answer_stalled(self) -> None:
                self.start(len(PAYLOAD))
                self.wfile.write(PAYLOAD[: len(PAYLOAD) // 2])
                self.wfile.flush()
                outer.release.wait(30)

            def answer_together(self) -> None:
                self.start(len(PAYLOAD))
                self.wfile.write(PAYLOAD[: len(PAYLOAD) // 2])
                outer.both_are_here.wait()
                self.wfile.write(PAYLOAD[len(PAYLOAD) // 2 :])

            def answer_silent(self) -> None:
                outer.release.wait(30)

            def answer_cut(self) -> None:
                self.start(len(PAYLOAD))
                self.wfile.write(PAYLOAD[: len(PAYLOAD) // 2])

            def answer_cutunannounced(self) -> None:
                self.start(None)
                self.wfile.write(PAYLOAD[: len(PAYLOAD) // 2])

            def answer_wrong(self) -> None:
                self.start(len(PAYLOAD))
                self.wfile.write(PAYLOAD[:-1] + b'?')

            def answer_short(self) -> None:
                self.start(1000)
                self.wfile.write(PAYLOAD[:1000])

            def answer_endless(self) -> None:
                self.start(None)
                for _ in range(1000):  # 200 MB, lest a broken test should fill a disk
                    self.wfile.write(PAYLOAD)

            def answer_login(self) -> None:
                page = b'<html>Welcome to our network, please log in</html>'
                self.start(len(page), 'text/html')
                self.wfile.write(page)

            def answer_redirect(self) -> None:
                self.send_response(302)
                self.send_header('Location', '/good')
                self.send_header('Content-Length', '0')
                self.end_headers()

            def answer_missing(self) -> None:
                self.send_error(404)

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def address(self) -> str:
        return f'http://127.0.0.1:{self._server.server_address[1]}'

    def url(self, route: str) -> str:
        return f'{self.address}/{route}'

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Run a server, and let downloads happen: loopback is the only place they can reach."""
    monkeypatch.delenv('NAPARI_MOBILESAM_OFFLINE', raising=False)
    for name in ('HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY'):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    server = Server()
    yield server
    server.close()


@pytest.fixture
def published(server: Server) -> Callable[..., CheckpointInfo]:
    """Make the registry's entry of a file that the server gives in the manners named."""

    def make(*routes: str, **changes: Any) -> CheckpointInfo:
        values: dict[str, Any] = {
            'name': 'mobile_sam',
            'architecture': 'vit_t',
            'filename': 'mobile_sam.pt',
            'urls': tuple(r if '://' in r else server.url(r) for r in routes),
            'size': len(PAYLOAD),
            'known_hash': f'sha256:{hashlib.sha256(PAYLOAD).hexdigest()}',
            'licence': 'Apache-2.0',
            'source': 'here',
            'purpose': 'tests',
        }
        return CheckpointInfo(**(values | changes))

    return make


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a checkout and a user cache of the test's own: root/weights and root/cache."""
    root = tmp_path / 'house'
    (root / 'mobile_sam').mkdir(parents=True)
    (root / 'weights').mkdir()
    (root / 'pyproject.toml').touch()
    monkeypatch.setattr(search, '_package', lambda: root / 'mobile_sam')
    monkeypatch.setattr(search, 'cache_folder', lambda: root / 'cache')
    return root


@pytest.fixture(scope='session')
def vit_t() -> dict[str, Any]:
    """Give the state dict of a MobileSAM with random weights. Copy before changing it."""
    import torch

    from mobile_sam import sam_model_registry

    torch.manual_seed(0)
    return dict(sam_model_registry['vit_t']().state_dict())
