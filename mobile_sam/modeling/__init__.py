"""The parts of the model: image encoders, prompt encoder, mask decoder and their assembly."""

from .image_encoder import ImageEncoderViT
from .mask_decoder import MaskDecoder
from .prompt_encoder import PromptEncoder
from .sam import Sam
from .tiny_vit_sam import TinyViT
from .transformer import TwoWayTransformer

__all__ = [
    'ImageEncoderViT',
    'MaskDecoder',
    'PromptEncoder',
    'Sam',
    'TinyViT',
    'TwoWayTransformer',
]
