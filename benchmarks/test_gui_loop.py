"""The window stays alive: a timer of 5 ms comes in time while the model works.

99 of 100 ticks come less than 50 ms late during encodes, decodes, downloads and commits. How late a
tick is depends on whatever else the machine does: held to the limit on an idle one only. What the
GUI thread computes between two ticks always is.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from window import Loop, close, embedded, open_annotator, run_for, stand_in, wait

from mobile_sam import checkpoints
from mobile_sam.checkpoints import CheckpointInfo, registry
from napari_mobilesam.engine import IntensityMapping
from napari_mobilesam.layers import PictureChoice

ALLOWED_MS = 50
SIDE = 2048


@pytest.fixture(scope='module')
def window() -> Iterator[tuple[Any, Any]]:
    image = np.random.default_rng(0).integers(0, 255, (12, SIDE, SIDE), np.uint8)
    viewer, widget = open_annotator(image)
    yield viewer, widget
    close(viewer, widget)


def report(note: Any, what: str, loops: list[Loop], idle: Loop) -> None:
    note(
        f'{what}: the GUI thread computes, 99th percentile between ticks',
        [loop.percentile(loop.own) for loop in loops],
        'ms',
        floor=ALLOWED_MS,
        aim=16,
    )
    quiet = idle.percentile(idle.gaps)
    note(
        f'{what}: a tick is late, 99th percentile (idle {quiet:.0f} ms)',
        [loop.percentile(loop.gaps) for loop in loops],
        'ms',
        floor=ALLOWED_MS if os.getloadavg()[0] < (os.cpu_count() or 1) + 1 else None,
        aim=16,
    )


def idle_loop() -> Loop:
    idle = Loop()
    with idle.watched():
        run_for(2)
    return idle


def test_while_planes_are_encoded(note: Any, window: tuple[Any, Any]) -> None:
    _, widget = window
    idle, loops = idle_loop(), []
    for number in range(1, 5):
        # Other intensities, not another slice: drawing that would be napari's work.
        choice = PictureChoice(IntensityMapping(low=float(number)))
        loop = Loop()
        with loop.watched():
            widget.controller.set_choice(choice)
            wait(lambda: embedded(widget))
        loops.append(loop)
    report(note, 'encoding', loops, idle)


def test_while_clicks_are_answered(note: Any, window: tuple[Any, Any]) -> None:
    _, widget = window
    controller = widget.controller
    idle, loops = idle_loop(), []
    rng = np.random.default_rng(1)
    for _ in range(4):
        loop = Loop()
        with loop.watched():
            for row, column in rng.uniform(100, SIDE - 100, (5, 2)):
                controller.clear()
                controller.add_point((controller.source.key.index[0], row, column))
                wait(lambda: controller.candidate is not None)
        loops.append(loop)
    controller.clear()
    report(note, 'decoding', loops, idle)


def test_while_objects_are_committed(note: Any) -> None:
    plane = np.zeros((SIDE, SIDE), np.uint8)
    for row in range(4):
        for column in range(4):
            plane[row * 500 + 50 : row * 500 + 450, column * 500 + 50 : column * 500 + 450] = 200
    # masks of 160,000 pixels each: those of random weights are noise all over the plane
    viewer, widget = open_annotator(np.broadcast_to(plane, (20, SIDE, SIDE)), stand_in)
    controller = widget.controller
    idle, loops = idle_loop(), []
    for row in range(4):
        loop = Loop()
        for column in range(4):
            controller.add_point((0, row * 500 + 250.0, column * 500 + 250.0))
            wait(lambda: controller.candidate is not None)
            with loop.watched():
                controller.commit()
                run_for(0.1)
        loops.append(loop)
    assert len(controller.objects) == 16
    close(viewer, widget)
    report(note, 'committing', loops, idle)


def test_while_a_stack_is_embedded(note: Any, window: tuple[Any, Any]) -> None:
    _, widget = window
    stacks = widget.controller.stacks
    widget.stack.panel.fold(False)
    idle, loop, found = idle_loop(), Loop(), []
    stacks.ahead.stepped.connect(found.append)
    with loop.watched():
        widget.stack.panel.embed.click()
        wait(lambda: not stacks.ahead.running)
    assert len(found) == 12
    report(note, 'embedding a stack ahead', [loop], idle)


def test_while_objects_are_followed(note: Any) -> None:
    plane = np.zeros((SIDE, SIDE), np.uint8)
    for row in range(4):
        for column in range(4):
            plane[row * 500 + 50 : row * 500 + 250, column * 500 + 50 : column * 500 + 250] = 200
    viewer, widget = open_annotator(np.broadcast_to(plane, (12, SIDE, SIDE)), stand_in)
    controller, panel = widget.controller, widget.stack.panel
    panel.fold(False)
    for row in range(4):
        for column in range(4):
            controller.add_point((0, row * 500 + 150.0, column * 500 + 150.0))
            wait(lambda: controller.candidate is not None)
            controller.commit()
    panel.which.setCurrentIndex(panel.which.findData('slice'))
    idle, loop = idle_loop(), Loop()
    with loop.watched():
        panel.propagate.click()
        wait(lambda: not controller.stacks.following.running)
        run_for(0.1)
    assert {record.bounds[0] for record in controller.objects} == {(0, 12)}
    close(viewer, widget)
    report(note, 'following 16 objects through 12 planes, and writing them', [loop], idle)


def test_while_a_checkpoint_is_downloaded(
    note: Any, window: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    _, widget = window
    payload = np.random.default_rng(3).bytes(40_000_000)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header('Content-Length', str(len(payload)))
            self.end_headers()
            with suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(payload)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    info = CheckpointInfo(
        'served',
        'vit_t',
        'served.pt',
        (f'http://127.0.0.1:{server.server_address[1]}/served.pt',),
        len(payload),
        f'sha256:{"0" * 64}',  # wrong: all of it is fetched and hashed, and nothing is loaded
        '',
        '',
        '',
    )
    for module in (registry, checkpoints):
        monkeypatch.setattr(module, 'REGISTRY', {'served': info})
    monkeypatch.setattr(checkpoints.downloading, 'cache_folder', lambda: tmp_path)
    monkeypatch.setenv('NAPARI_MOBILESAM_OFFLINE', '0')
    ended: list[str] = []
    widget.model.download_ended.connect(ended.append)
    idle, loops = idle_loop(), []
    for number in range(3):
        loop = Loop()
        with loop.watched():
            widget.model.download('served')
            wait(lambda done=number: len(ended) > done)
        loops.append(loop)
    server.shutdown()
    server.server_close()
    assert all('sha256' in problem for problem in ended)
    report(note, 'downloading', loops, idle)
