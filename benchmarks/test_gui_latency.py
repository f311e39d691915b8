"""From the click to the mask on the canvas, in units of what the decoder takes alone; commits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from window import close, open_annotator, run_for, stand_in, wait

SIDE = 1024


@pytest.fixture(scope='module')
def window() -> Iterator[tuple[Any, Any]]:
    image = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE), np.uint8)
    viewer, widget = open_annotator(image)
    yield viewer, widget
    close(viewer, widget)


def test_a_click_shows_soon_after_the_decoder(note: Any, window: tuple[Any, Any]) -> None:
    _, widget = window
    controller = widget.controller
    segmenter = widget.model.annotator.segmenter
    decode, taken = segmenter.decode, []

    def timed(*arguments: Any) -> Any:
        started = time.perf_counter()
        try:
            return decode(*arguments)
        finally:
            taken.append(time.perf_counter() - started)

    segmenter.decode = timed
    ratios = []
    for row, column in np.random.default_rng(1).uniform(50, SIDE - 50, (15, 2)):
        controller.clear()
        run_for(0.05)
        taken.clear()
        started = time.perf_counter()
        controller.add_point((row, column))
        wait(lambda: controller.candidate is not None)
        ratios.append((time.perf_counter() - started) / taken[-1])
    del segmenter.decode
    controller.clear()
    note('click to mask, in decodes', ratios, 'decodes', floor=3, aim=2)


def test_a_commit_costs_the_same_on_any_stack(note: Any) -> None:
    plane = np.zeros((2048, 2048), np.uint8)
    plane[500:900, 700:1200] = 200
    windows = {}
    for count in (1, 200):
        # zeros take memory as they are written: 200 planes would be 0.8 GB otherwise
        stack = np.zeros((count, *plane.shape), np.uint8)
        stack[0] = plane
        windows[count] = open_annotator(stack, stand_in, show=False)

    def commit(count: int) -> None:
        _, widget = windows[count]
        widget.controller.commit()

    def prepare(count: int) -> None:
        _, widget = windows[count]
        controller = widget.controller
        controller.undo()
        controller.clear()
        controller.add_point((0, 600.0, 800.0))
        wait(lambda: controller.candidate is not None)
        run_for(0.05)

    for count in windows:
        prepare(count)
    times: dict[int, list[float]] = {1: [], 200: []}
    for _ in range(12):
        for count in windows:
            prepare(count)
            started = time.perf_counter()
            commit(count)
            times[count].append(time.perf_counter() - started)
    for viewer, widget in windows.values():
        close(viewer, widget)
    ratios = [many / one for many, one in zip(times[200], times[1], strict=True)]
    note('a commit into 200 planes, in commits into one', ratios[2:], 'commits', floor=1.3, aim=1.1)
