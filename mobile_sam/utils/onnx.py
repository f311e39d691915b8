"""Export of the model to ONNX: ``python -m mobile_sam.utils.onnx``.

The encoder and the decoder become two files, so that an image is encoded once and then prompted
many times. The exporter is the one built on ``torch.export``; it needs the packages ``onnx`` and
``onnxscript``.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from .masks import calculate_stability_score

if TYPE_CHECKING:
    from mobile_sam.modeling import Sam

OPSET = 18


class SamOnnxModel(nn.Module):
    """The prompt encoder and mask decoder in one, with tensors only as arguments.

    Prompts come as points alone: the corners of a box are points with the labels 2 and 3, and a
    call without a box appends one point (0, 0) with the label −1.

    Parameters
    ----------
    model : Sam
        The model; its parts are shared, not copied.
    return_single_mask : bool
        Return the best mask only: of the three masks for ambiguous prompts after a single point,
        else the mask for unambiguous ones.
    use_stability_score : bool
        Score the masks by their stability instead of by the model's own guess.
    return_extra_metrics : bool
        Return stability scores and areas as well.
    """

    def __init__(
        self,
        model: Sam,
        return_single_mask: bool,
        use_stability_score: bool = False,
        return_extra_metrics: bool = False,
    ) -> None:
        super().__init__()
        self.mask_decoder = model.mask_decoder
        self.prompt_encoder = model.prompt_encoder
        self.mask_threshold = model.mask_threshold
        self.img_size = model.image_encoder.img_size
        self.return_single_mask = return_single_mask
        self.use_stability_score = use_stability_score
        self.stability_score_offset = 1.0
        self.return_extra_metrics = return_extra_metrics

    @staticmethod
    def resize_longest_image_size(input_image_size: Tensor, longest_side: int) -> Tensor:
        """Size after `ResizeLongestSide`, from and to a tensor (height, width)."""
        size = input_image_size.to(torch.float32)
        return torch.floor(size * (longest_side / size.max()) + 0.5).to(torch.int64)

    @torch.no_grad()
    def forward(
        self,
        image_embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
        orig_im_size: Tensor,
    ) -> tuple[Tensor, ...]:
        """Predict masks of one object.

        Parameters
        ----------
        image_embeddings : Tensor of float32, shape (1, 256, 64, 64)
            What the image encoder returned.
        point_coords : Tensor of float32, shape (1, N, 2)
            Points (x, y) in the model's frame, that is, after `ResizeLongestSide`.
        point_labels : Tensor of float32, shape (1, N)
            1 inside, 0 outside, 2 and 3 first and second corner of a box, −1 nothing.
        mask_input : Tensor of float32, shape (1, 1, 256, 256)
            Logits of an earlier prediction, or anything.
        has_mask_input : Tensor of float32, shape (1,)
            1 to use ``mask_input``, 0 to ignore it.
        orig_im_size : Tensor of float32, shape (2,)
            Height and width of the image before resizing.

        Returns
        -------
        masks : Tensor of float32, shape (1, C, H, W)
            Logits in the image's frame; C is 1 for ``return_single_mask``, else 4.
        iou_predictions : Tensor of float32, shape (1, C)
            The scores of the masks.
        stability_scores, areas : Tensor, shape (1, C)
            Only with ``return_extra_metrics``.
        low_res_masks : Tensor of float32, shape (1, C, 256, 256)
            Logits in the model's frame, fit for ``mask_input``.
        """
        low_res, scores = self.mask_decoder.predict_masks(
            image_embeddings=image_embeddings,
            image_pe=self.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=self.prompt_encoder.embed_labelled(point_coords, point_labels),
            dense_prompt_embeddings=self._embed_mask(mask_input, has_mask_input),
        )
        if self.use_stability_score:
            scores = self._stability(low_res)
        if self.return_single_mask:
            low_res, scores = self.select_masks(low_res, scores, point_coords.shape[1])
        masks = self.mask_postprocessing(low_res, orig_im_size)
        if not self.return_extra_metrics:
            return masks, scores, low_res
        areas = (masks > self.mask_threshold).sum(dim=(-2, -1))
        return masks, scores, self._stability(masks), areas, low_res

    def select_masks(
        self, masks: Tensor, iou_preds: Tensor, num_points: int
    ) -> tuple[Tensor, Tensor]:
        """Pick the best of the masks (B, 4, h, w) by their scores (B, 4): (B, 1, h, w), (B, 1).

        Mask 0 is meant for unambiguous prompts. A single click is two points (the second one being
        the label −1 in a box's place), and then mask 0 is out of the race; else it wins it.
        """
        bonus = torch.zeros(iou_preds.shape[-1], device=iou_preds.device)
        bonus[0] = 1000.0
        ranked = iou_preds + (num_points - 2.5) * bonus
        best = ranked.argmax(dim=1, keepdim=True)
        chosen = torch.take_along_dim(masks, best[:, :, None, None], dim=1)
        return chosen, torch.take_along_dim(iou_preds, best, dim=1)

    def mask_postprocessing(self, masks: Tensor, orig_im_size: Tensor) -> Tensor:
        """Bring logits (B, C, 256, 256) to the image's size, as `Sam.postprocess_masks` does.

        Resizing to the padded frame, cropping the padding off and resizing to the image are linear
        and act on rows and columns apart, so each axis is one small matrix. That keeps the sizes,
        which depend on data, out of every operator but two ranges, and saves the 1024² step.
        """
        kept = self.resize_longest_image_size(orig_im_size, self.img_size)
        size = orig_im_size.to(torch.int64)
        rows = self._resampling(masks.shape[-2], kept[0], size[0])
        columns = self._resampling(masks.shape[-1], kept[1], size[1])
        return rows @ masks @ columns.T

    def _resampling(self, n_in: int, n_kept: Tensor, n_out: Tensor) -> Tensor:
        """Build the matrix (n_out, n_in) from the low resolution to the image along one axis."""
        device = n_out.device
        count = n_out.item()
        torch._check(count >= 1)
        upscale = _triangles(
            torch.arange(self.img_size, device=device), n_in / self.img_size, n_in - 1, n_in
        )
        steps = torch.arange(count, device=device)
        return _triangles(steps, n_kept / n_out, n_kept - 1, self.img_size) @ upscale

    def _stability(self, masks: Tensor) -> Tensor:
        return calculate_stability_score(masks, self.mask_threshold, self.stability_score_offset)

    def _embed_mask(self, mask_input: Tensor, has_mask_input: Tensor) -> Tensor:
        given = self.prompt_encoder.embed_mask(mask_input)
        nothing = self.prompt_encoder.no_mask_embed.weight[:, :, None, None]
        return torch.where(has_mask_input.reshape(-1, 1, 1, 1) > 0, given, nothing)


class EncoderOnnxModel(nn.Module):
    """The image encoder with its preprocessing, for export.

    Parameters
    ----------
    model : Sam
        The model; its parts are shared, not copied.
    """

    def __init__(self, model: Sam) -> None:
        super().__init__()
        self.model = model

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """Encode an image.

        Parameters
        ----------
        image : Tensor of float32, shape (1, 3, h, w)
            RGB, 0…255, resized by `ResizeLongestSide`, not padded.

        Returns
        -------
        Tensor of float32, shape (1, 256, 64, 64)
            The embedding.
        """
        embedding: Tensor = self.model.image_encoder(self.model.preprocess(image))
        return embedding


def export_decoder(
    model: Sam,
    path: str | PathLike[str],
    *,
    return_single_mask: bool = False,
    use_stability_score: bool = False,
    return_extra_metrics: bool = False,
    opset: int = OPSET,
) -> Path:
    """Write the prompt encoder and mask decoder to an ONNX file.

    Parameters
    ----------
    model : Sam
        The model.
    path : path-like
        The file to write, weights included.
    return_single_mask, use_stability_score, return_extra_metrics : bool
        As for `SamOnnxModel`, whose arguments and results name the graph's inputs and outputs.
    opset : int
        Version of the ONNX operators.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    RuntimeError
        If the exporter's packages are missing.
    """
    decoder = SamOnnxModel(model, return_single_mask, use_stability_score, return_extra_metrics)
    encoder = model.prompt_encoder
    n_points = 5
    inputs = {
        'image_embeddings': torch.randn(1, encoder.embed_dim, *encoder.image_embedding_size),
        'point_coords': torch.rand(1, n_points, 2) * decoder.img_size,
        'point_labels': torch.randint(0, 4, (1, n_points)).float(),
        'mask_input': torch.randn(1, 1, *encoder.mask_input_size),
        'has_mask_input': torch.ones(1),
        'orig_im_size': torch.tensor([1500.0, 2250.0]),
    }
    points = torch.export.Dim('num_points', min=2, max=4096)
    shapes: dict[str, Any] = dict.fromkeys(inputs)
    shapes |= {'point_coords': {1: points}, 'point_labels': {1: points}}
    extras = ['stability_scores', 'areas'] if return_extra_metrics else []
    outputs = ['masks', 'iou_predictions', *extras, 'low_res_masks']
    return _export(decoder, inputs, outputs, shapes, path, opset)


def export_encoder(model: Sam, path: str | PathLike[str], *, opset: int = OPSET) -> Path:
    """Write the image encoder with its preprocessing to an ONNX file.

    The graph's input is ``image``, shape (1, 3, h, w), its output ``image_embeddings``: see
    `EncoderOnnxModel`.

    Parameters
    ----------
    model : Sam
        The model.
    path : path-like
        The file to write, weights included.
    opset : int
        Version of the ONNX operators.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    RuntimeError
        If the exporter's packages are missing.
    """
    side = model.image_encoder.img_size
    inputs = {'image': torch.rand(1, 3, side * 3 // 4, side // 2) * 255}
    dims = {i: torch.export.Dim(name, min=2, max=side) for i, name in ((2, 'height'), (3, 'width'))}
    return _export(
        EncoderOnnxModel(model), inputs, ['image_embeddings'], {'image': dims}, path, opset
    )


def export_prepared_encoder(
    encoder: nn.Module, side: int, path: str | PathLike[str], *, opset: int = OPSET
) -> Path:
    """Write an image encoder as it is, for pictures that are normalised and padded already.

    The graph's input is ``pixels``, shape (1, 3, side, side), its output ``image_embeddings``. Both
    have one shape only, which lets a runtime plan its memory.

    Parameters
    ----------
    encoder : Module
        Such as `Sam.image_encoder`.
    side : int
        Of its pictures.
    path : path-like
        The file to write, weights included.
    opset : int
        Version of the ONNX operators.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    RuntimeError
        If the exporter's packages are missing.
    """
    inputs = {'pixels': torch.randn(1, 3, side, side)}
    return _export(encoder, inputs, ['image_embeddings'], {'pixels': None}, path, opset)


def _triangles(steps: Tensor, scale: float | Tensor, last: int | Tensor, n_in: int) -> Tensor:
    """Weights (n_out, n_in) of linear interpolation between pixel centres, held at the edges."""
    position = ((steps + 0.5) * scale - 0.5).clamp(min=0.0)
    position = torch.minimum(position, torch.as_tensor(last, device=steps.device))
    samples = torch.arange(n_in, device=steps.device)
    return F.relu(1 - (position[:, None] - samples).abs())


def _export(
    module: nn.Module,
    inputs: dict[str, Tensor],
    outputs: Sequence[str],
    dynamic_shapes: dict[str, Any],
    path: str | PathLike[str],
    opset: int,
) -> Path:
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise RuntimeError(
            'Expected the packages "onnx" and "onnxscript" for the export, found none. '
            'Install them: pip install onnx onnxscript'
        ) from error
    target = Path(path)
    device = next(module.parameters()).device
    # Fused attention returns its result in another memory order than the plain operators that it is
    # exported as, and views traced on the one do not exist on the other.
    with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
        # The exporter warns of its own internals and of those of copyreg and onnxscript.
        warnings.simplefilter('ignore')
        torch.onnx.export(
            module.eval(),
            tuple(tensor.to(device) for tensor in inputs.values()),
            str(target),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=tuple(dynamic_shapes.values()),
            opset_version=opset,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    return target


def main(arguments: Sequence[str] | None = None) -> int:
    """Export from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m mobile_sam.utils.onnx', description='Export a model to ONNX.'
    )
    parser.add_argument('--checkpoint', required=True, help='file with the weights')
    parser.add_argument('--model-type', default='vit_t', help='vit_t, vit_b, vit_l or vit_h')
    parser.add_argument('--decoder', help='file to write the prompt encoder and mask decoder to')
    parser.add_argument('--encoder', help='file to write the image encoder to')
    parser.add_argument('--opset', type=int, default=OPSET, help='version of the ONNX operators')
    parser.add_argument('--return-single-mask', action='store_true', help='only the best mask')
    parser.add_argument('--use-stability-score', action='store_true', help='score by stability')
    parser.add_argument('--return-extra-metrics', action='store_true', help='stability and areas')
    options = parser.parse_args(arguments)
    if not (options.decoder or options.encoder):
        parser.error('expected --decoder or --encoder (or both) with a file to write')

    from mobile_sam.build_sam import sam_model_registry

    if options.model_type not in sam_model_registry:
        parser.error(
            f'expected --model-type to be one of {", ".join(sam_model_registry)}, '
            f'found {options.model_type}'
        )
    model = sam_model_registry[options.model_type](checkpoint=options.checkpoint)
    if options.decoder:
        export_decoder(
            model,
            options.decoder,
            return_single_mask=options.return_single_mask,
            use_stability_score=options.use_stability_score,
            return_extra_metrics=options.return_extra_metrics,
            opset=options.opset,
        )
    if options.encoder:
        export_encoder(model, options.encoder, opset=options.opset)
    return 0


if __name__ == '__main__':
    sys.exit(main())
