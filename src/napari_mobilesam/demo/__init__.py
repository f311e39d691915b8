"""The demo: a first look at the annotator, in a window or, without a display, in two files."""

from __future__ import annotations

from .display import has_display, has_qt
from .headless import DemoReport, run_headless
from .samples import SAMPLES, Sample, UnknownSampleError, load_sample

__all__ = [
    'SAMPLES',
    'DemoReport',
    'Sample',
    'UnknownSampleError',
    'has_display',
    'has_qt',
    'load_sample',
    'run_headless',
]
