"""Masks from prompts on one image at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .fast.encoder import FastTinyViT, foldable
from .utils.transforms import ResizeLongestSide

if TYPE_CHECKING:
    from .modeling import Sam, TinyViT

FORMATS = ('RGB', 'BGR')
LABELS = (-1, 0, 1)


class SamPredictor:
    """Encode an image once, then ask for masks at as many prompts as wanted.

    The names, arguments and results are those of the predictors of ``segment_anything`` and
    ``mobile_sam``. All numbers go to the model as float32 or int64, on any device.

    Parameters
    ----------
    sam_model : Sam
        The model, of any architecture, in evaluation mode.

    Attributes
    ----------
    model : Sam
        The model.
    transform : ResizeLongestSide
        From the image's frame to the model's.
    features : Tensor or None
        Embedding of the image, shape (1, 256, h, w).
    original_size, input_size : tuple of int or None
        Height and width of the image as given, and after resizing but before padding.
    is_image_set : bool
        Whether the three above are valid.
    """

    def __init__(self, sam_model: Sam) -> None:
        self.model = sam_model
        self.transform = ResizeLongestSide(sam_model.image_encoder.img_size)
        self.reset_image()

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.device

    def reset_image(self) -> None:
        """Forget the image."""
        self.is_image_set = False
        self.features: Tensor | None = None
        self.original_size: tuple[int, int] | None = None
        self.input_size: tuple[int, int] | None = None

    def set_image(self, image: npt.NDArray[np.uint8], image_format: str = 'RGB') -> None:
        """Encode an image.

        Parameters
        ----------
        image : ndarray of uint8, shape (H, W, 3)
            The picture, 0…255.
        image_format : {'RGB', 'BGR'}
            Order of its channels.

        Raises
        ------
        ValueError
            If the image has another shape or type, or the format is unknown.
        """
        if image_format not in FORMATS:
            raise ValueError(
                f'Expected image_format to be one of {FORMATS}, found {image_format!r}. '
                'Name the order of the channels of your array.'
            )
        picture = np.asarray(image)
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
            raise ValueError(
                f'Expected a uint8 image of shape (H, W, 3), found {picture.dtype} of shape '
                f'{picture.shape}. Map the intensities to 0…255, and stack grey three times.'
            )
        if image_format != self.model.image_format:
            picture = picture[..., ::-1]
        resized = self.transform.apply_image(picture)
        channels_first = np.ascontiguousarray(resized.transpose(2, 0, 1))[None]
        self.set_torch_image(torch.from_numpy(channels_first), picture.shape[:2])

    @torch.no_grad()
    def set_torch_image(
        self, transformed_image: Tensor, original_image_size: tuple[int, ...]
    ) -> None:
        """Encode an image that is resized already.

        Parameters
        ----------
        transformed_image : Tensor, shape (1, 3, h, w)
            The picture in the model's channel order, 0…255, as from `ResizeLongestSide`: its
            longest side is the side that the encoder expects.
        original_image_size : tuple of int
            Height and width before resizing: the size of the masks to come.

        Raises
        ------
        ValueError
            If the tensor has another shape.
        """
        side = self.model.image_encoder.img_size
        shape = tuple(transformed_image.shape)
        if len(shape) != 4 or shape[:2] != (1, 3) or max(shape[2:]) != side:
            raise ValueError(
                f'Expected an image of shape (1, 3, h, w) whose longest side is {side}, found '
                f'{shape}. Resize it with "transform.apply_image_torch", or call "set_image".'
            )
        self.reset_image()
        image = self.model.preprocess(self._to_model(transformed_image, torch.float32))
        self.features = self._encoded(image)
        self.original_size = (int(original_image_size[0]), int(original_image_size[1]))
        self.input_size = (shape[2], shape[3])
        self.is_image_set = True

    def _encoded(self, image: Tensor) -> Tensor:
        encoder = self.model.image_encoder
        if not foldable(encoder) or torch.is_autocast_enabled('cpu'):
            features: Tensor = encoder(image)
            return features
        # Made anew for each picture, as the weights may have changed since the last; and the
        # features may be learnt from, which those of inference mode cannot.
        return FastTinyViT(cast('TinyViT', encoder))(image).clone()

    def get_image_embedding(self) -> Tensor:
        """Return the embedding of the image, shape (1, 256, h, w).

        Raises
        ------
        RuntimeError
            If no image is set.
        """
        return self._state()[0]

    def predict(
        self,
        point_coords: npt.ArrayLike | None = None,
        point_labels: npt.ArrayLike | None = None,
        box: npt.ArrayLike | None = None,
        mask_input: npt.ArrayLike | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Predict masks of one object.

        Parameters
        ----------
        point_coords : array_like, shape (N, 2), optional
            Points (x, y) in pixels of the image.
        point_labels : array_like, shape (N,), optional
            1 for inside, 0 for outside, −1 for a point to ignore.
        box : array_like, shape (4,) or (1, 4), optional
            Box (x0, y0, x1, y1) in pixels of the image.
        mask_input : array_like, shape (1, 256, 256), optional
            Logits in the model's frame, such as the third result of an earlier call.
        multimask_output : bool
            Three masks for an ambiguous prompt (a single click), or one.
        return_logits : bool
            Return float logits instead of bool masks.

        Returns
        -------
        masks : ndarray of bool (or float32), shape (C, H, W)
            Masks of the image's size; C is 3 or 1.
        iou_predictions : ndarray of float32, shape (C,)
            The model's own guess of each mask's quality.
        low_res_masks : ndarray of float32, shape (C, 256, 256)
            Logits in the model's frame, fit for ``mask_input``.

        Raises
        ------
        RuntimeError
            If no image is set.
        ValueError
            If a prompt has a wrong shape, label or a number that is not finite.
        """
        _, _, size = self._state()
        coords = labels = boxes = masks = None
        if point_coords is not None or point_labels is not None:
            points, signs = _checked_points(point_coords, point_labels)
            coords = torch.from_numpy(self.transform.apply_coords(points, size))[None]
            labels = torch.from_numpy(signs)[None]
        if box is not None:
            boxes = torch.from_numpy(self.transform.apply_boxes(_checked_box(box), size))
        if mask_input is not None:
            masks = torch.from_numpy(np.array(mask_input, dtype=np.float32))[None]
        result = self.predict_torch(coords, labels, boxes, masks, multimask_output, return_logits)
        found, quality, low_res = (tensor[0].detach().cpu() for tensor in result)
        return found.numpy(), quality.float().numpy(), low_res.float().numpy()

    @torch.no_grad()
    def predict_torch(
        self,
        point_coords: Tensor | None,
        point_labels: Tensor | None,
        boxes: Tensor | None = None,
        mask_input: Tensor | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Predict masks of B objects of the image at once.

        Parameters
        ----------
        point_coords : Tensor or None, shape (B, N, 2)
            Points (x, y) in the model's frame: see `ResizeLongestSide.apply_coords_torch`.
        point_labels : Tensor or None, shape (B, N)
            1 for inside, 0 for outside, −1 for a point to ignore.
        boxes : Tensor, shape (B, 4), optional
            Boxes (x0, y0, x1, y1) in the model's frame.
        mask_input : Tensor, shape (B, 1, 256, 256) or (1, 1, 256, 256), optional
            Logits in the model's frame.
        multimask_output, return_logits : bool
            As for `predict`.

        Returns
        -------
        masks : Tensor of bool (or float), shape (B, C, H, W)
            Masks of the image's size.
        iou_predictions : Tensor of float, shape (B, C)
            The model's own guess of each mask's quality.
        low_res_masks : Tensor of float, shape (B, C, 256, 256)
            Logits in the model's frame.

        Raises
        ------
        RuntimeError
            If no image is set.
        ValueError
            If shapes do not fit together.
        """
        low_res, quality = self.predict_low_res(
            point_coords, point_labels, boxes, mask_input, multimask_output
        )
        masks = self.upscale(low_res)
        if not return_logits:
            masks = masks > self.model.mask_threshold
        return masks, quality, low_res

    @torch.no_grad()
    def predict_low_res(
        self,
        point_coords: Tensor | None,
        point_labels: Tensor | None,
        boxes: Tensor | None = None,
        mask_input: Tensor | None = None,
        multimask_output: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Do the first half of `predict_torch`, short of the masks in full size.

        Parameters
        ----------
        point_coords, point_labels, boxes, mask_input, multimask_output
            As for `predict_torch`.

        Returns
        -------
        low_res_masks : Tensor of float, shape (B, C, 256, 256)
            Logits in the model's frame, for `upscale`.
        iou_predictions : Tensor of float, shape (B, C)
            The model's own guess of each mask's quality.
        """
        features, _, _ = self._state()
        mask_side = tuple(self.model.prompt_encoder.mask_input_size)
        batch = _checked_batch(point_coords, point_labels, boxes, mask_input, mask_side)
        points = None
        if point_coords is not None and point_labels is not None:
            points = (
                self._to_model(point_coords, torch.float32),
                self._to_model(point_labels, torch.int64),
            )
        if boxes is not None:
            boxes = self._to_model(boxes, torch.float32).reshape(-1, 4)
        if mask_input is not None:
            mask_input = self._to_model(mask_input, torch.float32).expand(batch, -1, -1, -1)
        sparse, dense = self.model.prompt_encoder(points=points, boxes=boxes, masks=mask_input)
        low_res, quality = self.model.mask_decoder(
            image_embeddings=features,
            image_pe=self.model.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask_output,
        )
        return low_res, quality

    @torch.no_grad()
    def upscale(self, low_res_masks: Tensor) -> Tensor:
        """Bring logits, shape (B, C, 256, 256), to the size of the image, shape (B, C, H, W)."""
        _, input_size, original_size = self._state()
        return self.model.postprocess_masks(low_res_masks, input_size, original_size)

    def _state(self) -> tuple[Tensor, tuple[int, int], tuple[int, int]]:
        if self.features is None or self.input_size is None or self.original_size is None:
            raise RuntimeError(
                'Expected an image, found none set. Call "set_image" before asking for masks or '
                'the embedding.'
            )
        return self.features, self.input_size, self.original_size

    def _to_model(self, values: Tensor, dtype: torch.dtype) -> Tensor:
        # Cast on the tensor's own device first: some GPUs (MPS) cannot even hold float64.
        return values.to(dtype).to(self.device)


def _checked_points(
    coords: npt.ArrayLike | None, labels: npt.ArrayLike | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    if coords is None or labels is None:
        missing = 'point_coords' if coords is None else 'point_labels'
        raise ValueError(
            f'Expected points and their labels together, found no {missing}. '
            'Pass one label (1 inside, 0 outside) per point.'
        )
    points, signs = np.asarray(coords, dtype=np.float64), np.asarray(labels)
    if points.ndim != 2 or points.shape[1] != 2 or signs.shape != points.shape[:1]:
        raise ValueError(
            f'Expected point_coords of shape (N, 2) and point_labels of shape (N,), found '
            f'{points.shape} and {signs.shape}. Pass one (x, y) and one label per point.'
        )
    if not np.isfinite(points).all():
        raise ValueError(
            f'Expected finite point coordinates, found {points.tolist()}. Leave out such points.'
        )
    if not np.isin(signs, LABELS).all():
        raise ValueError(
            f'Expected point labels 1 (inside), 0 (outside) or -1 (ignored), found '
            f'{signs.tolist()}. Pass a box through the argument "box".'
        )
    return points, signs.astype(np.int64)


def _checked_box(box: npt.ArrayLike) -> npt.NDArray[np.float64]:
    corners = np.asarray(box, dtype=np.float64)
    if corners.shape not in ((4,), (1, 4)):
        raise ValueError(
            f'Expected one box (x0, y0, x1, y1) of shape (4,) or (1, 4), found {corners.shape}. '
            'For several objects at once, call "predict_torch".'
        )
    if not np.isfinite(corners).all():
        raise ValueError(f'Expected a finite box, found {corners.tolist()}. Leave it out.')
    return corners


def _checked_batch(
    coords: Tensor | None,
    labels: Tensor | None,
    boxes: Tensor | None,
    masks: Tensor | None,
    mask_side: tuple[int, ...],
) -> int:
    """Number of objects that the prompts ask for, all of their shapes being as they should."""
    batches: set[int] = set()
    if coords is not None or labels is not None:
        if coords is None or labels is None or coords.shape[:-1] != labels.shape:
            found = [None if t is None else tuple(t.shape) for t in (coords, labels)]
            raise ValueError(
                'Expected point_coords of shape (B, N, 2) with point_labels of shape (B, N), '
                f'found {found[0]} and {found[1]}. Pass one label per point.'
            )
        if coords.ndim != 3 or coords.shape[2] != 2:
            raise ValueError(
                f'Expected point_coords of shape (B, N, 2), found {tuple(coords.shape)}. '
                'Add a batch axis in front: points[None], labels[None].'
            )
        batches.add(coords.shape[0])
    if boxes is not None:
        if boxes.shape[-1:] != (4,) or boxes.numel() != 4 * boxes.shape[0]:
            raise ValueError(
                f'Expected boxes of shape (B, 4), found {tuple(boxes.shape)}. '
                'Pass one (x0, y0, x1, y1) per object.'
            )
        batches.add(boxes.shape[0])
    if len(batches) > 1:
        raise ValueError(
            f'Expected as many boxes as sets of points, found batches of {sorted(batches)}. '
            'Pass the prompts of one object in the same row of both.'
        )
    batch = max(batches, default=1 if masks is None else len(masks))
    if masks is not None:
        if masks.ndim != 4 or tuple(masks.shape[1:]) != (1, *mask_side):
            raise ValueError(
                f'Expected mask_input of shape (B, 1, {mask_side[0]}, {mask_side[1]}), found '
                f'{tuple(masks.shape)}. Pass the low-resolution logits of an earlier prediction.'
            )
        if len(masks) not in (1, batch):
            raise ValueError(
                f'Expected one mask_input, or one for each of {batch} objects, found {len(masks)}. '
                'Leave out the surplus, or repeat the prompts.'
            )
    return batch
