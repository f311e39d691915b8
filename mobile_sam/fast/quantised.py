"""An encoder whose products are those of 8-bit integers: sooner, and nearly the same features.

Weights are rounded channel by channel; what they are multiplied with is rounded to 256 steps
between the least and the largest value that some pictures gave rise to. Normalisations, activations
and sums stay in float32. ONNX Runtime writes such a graph, and others run it, too.

References
----------
Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", arXiv:1712.05877.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mobile_sam.modeling import Sam
from mobile_sam.utils.transforms import ResizeLongestSide

from .backends import silent_onnxruntime

# Products are nearly all of the work. Their results are not rounded, as sums and activations that
# follow take float32: rounding more costs time and agreement.
_OPERATORS = ['Conv', 'MatMul', 'Gemm']


def prepared(model: Sam, image: NDArray[np.uint8]) -> Tensor:
    """Make of a picture (H, W, 3) what the model's encoder takes: (1, 3, side, side), float32."""
    resized = ResizeLongestSide(model.image_encoder.img_size).apply_image(image)
    pixels = torch.from_numpy(np.ascontiguousarray(resized.transpose(2, 0, 1)))
    return model.preprocess(pixels[None].float())


def quantise(graph: Path, pictures: Iterable[Tensor], path: Path) -> None:
    """Write an encoder with products of 8-bit integers.

    Parameters
    ----------
    graph : Path
        File as written by `mobile_sam.utils.onnx.export_prepared_encoder`.
    pictures : iterable of Tensor
        As from `prepared`; they tell how large values become. Some of each kind to come.
    path : Path
        The file to write, weights included.

    Raises
    ------
    RuntimeError
        If ONNX Runtime is not installed.
    """
    try:
        silent_onnxruntime()
        from onnxruntime import quantization
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise RuntimeError(
            'Products of 8-bit integers need onnx and onnxruntime; install them with: '
            f"pip install 'napari-mobilesam[onnx]'. ({error})"
        ) from error
    with TemporaryDirectory() as folder:
        known = Path(folder) / 'encoder.onnx'
        # Shapes are in the graph already, and what other libraries fuse is their own affair.
        quant_pre_process(str(graph), str(known), skip_optimization=True, skip_symbolic_shape=True)
        quantization.quantize_static(
            str(known),
            str(path),
            _reader(quantization.CalibrationDataReader, pictures),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=_OPERATORS,
            extra_options={'OpTypesToExcludeOutputQuantization': _OPERATORS},
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )


def _reader(base: type[Any], pictures: Iterable[Tensor]) -> Any:
    class Reader(base):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left: Iterator[Tensor] = iter(pictures)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            picture = next(self._left, None)
            return None if picture is None else {'pixels': picture.numpy()}

    return Reader()
