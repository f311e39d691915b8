"""Other libraries that may evaluate the encoder on a processor: which are there, what they need.

Each reads the encoder from an ONNX file. None is needed: they come with extras of the package, and
are used only where `tuning` found one of them to be the quickest. torch.compile is not among them:
it needs a compiler, and imports triton, whose LLVM crashes a process that draws with Mesa's.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

#: Encodes images like the model's ``image_encoder``: (B, 3, H, W) → (B, C, H / 16, W / 16).
Encode = Callable[[Tensor], Tensor]


class Backend(Protocol):
    """A library that evaluates an encoder.

    Attributes
    ----------
    name
        To be shown.
    package
        The distribution that brings it.
    """

    name: str
    package: str

    def load(self, graph: Path, threads: int) -> Encode:
        """Read an encoder, to be evaluated in float32 with so many threads.

        Parameters
        ----------
        graph
            File as written by `mobile_sam.utils.onnx.export_prepared_encoder`.
        threads
            Of the processor.
        """


class OnnxRuntime:
    """ONNX Runtime, MIT licence; extra ``onnx``."""

    name = 'ONNX Runtime'
    package = 'onnxruntime'

    def load(self, graph: Path, threads: int) -> Encode:
        """Read an encoder; see `Backend`."""
        onnxruntime = silent_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Spinning threads would take the processor from the window and from torch.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        session = onnxruntime.InferenceSession(
            str(graph), options, providers=['CPUExecutionProvider']
        )
        return _one_by_one(lambda pixels: session.run(None, {'pixels': pixels})[0])


class OpenVino:
    """OpenVINO, Apache licence; extra ``openvino``.

    Only its runtime is called: its converter would report its use.
    """

    name = 'OpenVINO'
    package = 'openvino'

    def load(self, graph: Path, threads: int) -> Encode:
        """Read an encoder; see `Backend`."""
        import openvino

        compiled = openvino.Core().compile_model(
            str(graph),
            'CPU',
            {
                'INFERENCE_NUM_THREADS': str(threads),
                'INFERENCE_PRECISION_HINT': 'f32',
                'PERFORMANCE_HINT': 'LATENCY',
            },
        )
        # A copy, as the answer lies in memory that serves the next picture again.
        return _one_by_one(lambda pixels: compiled({'pixels': pixels})[0].copy())


BACKENDS: tuple[Backend, ...] = (OpenVino(), OnnxRuntime())


def silent_onnxruntime() -> Any:
    """Import ONNX Runtime, without the report of its use that it makes from version 1.29 on.

    It looks at the variable when it is first imported in a process; ``0`` set by the user stays.
    """
    os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')
    return importlib.import_module('onnxruntime')


def installed(backend: Backend) -> str | None:
    """Return the version of a backend, or None where it is not installed."""
    try:
        return version(backend.package)
    except PackageNotFoundError:
        return None


def _one_by_one(evaluate: Callable[[Any], Any]) -> Encode:
    def encode(x: Tensor) -> Tensor:
        return torch.stack([torch.from_numpy(evaluate(one[None].numpy())[0]) for one in x.float()])

    return encode
