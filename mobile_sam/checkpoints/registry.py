"""The checkpoints this package knows by name, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

DEFAULT_NAME = 'mobile_sam'
BUNDLED_NAME = 'mobilesam-microscopy'
SAM_THRESHOLDS = 0.88, 0.95


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """What is known about one published checkpoint.

    Parameters
    ----------
    name : str
        The name users and code call it by.
    architecture : str
        Key of `mobile_sam.sam_model_registry`: ``'vit_t'``, ``'vit_b'``, ``'vit_l'``, ``'vit_h'``.
    filename : str
        Name of the file in a weights folder or in the cache; no folders in it.
    urls : tuple of str
        Where the very same bytes can be fetched, in the order to try.
    size : int or None
        Bytes, where known.
    known_hash : str
        ``'sha256:<hex>'`` or ``'xxh128:<hex>'``; empty for the bundled checkpoint, which comes
        with the package and from nowhere else.
    licence : str
        SPDX identifier, or where to read about it.
    source : str
        Page of whoever made it.
    purpose : str
        One sentence for a user who has to choose.
    thresholds : tuple of (float, float)
        Predicted IoU and stability from which on everything mode should keep a mask; by default
        those published with SAM. Models differ in how sure they say they are.
    """

    name: str
    architecture: str
    filename: str
    urls: tuple[str, ...]
    size: int | None
    known_hash: str
    licence: str
    source: str
    purpose: str
    thresholds: tuple[float, float] = SAM_THRESHOLDS

    def __post_init__(self) -> None:
        # Joined to a folder and written to later: it must not be able to leave that folder.
        if not self.filename or self.filename in {'.', '..'} or set(self.filename) & set('/\\:'):
            raise ValueError(f'expected a bare file name, found {self.filename!r}')


BUNDLED = CheckpointInfo(
    name=BUNDLED_NAME,
    architecture='vit_t',
    filename=f'{BUNDLED_NAME}.pt',
    urls=(),
    size=None,
    known_hash='',
    licence='Apache-2.0; of the data it learned from, see its model card',
    source='trained by this project, with mobile_sam.training; not the published MobileSAM',
    purpose='Cells and nuclei in microscopy images, without any download.',
    thresholds=(0.5, 0.5),
)

_MOBILE_SAM = 'ChaoningZhang/MobileSAM'
_MOBILE_SAM_FILE = 'f706ad9c4eb7f219c00d9050e46328518ffb65d2/weights/mobile_sam.pt'
_SAM_FILES = 'https://dl.fbaipublicfiles.com/segment_anything'
_SAM = 'https://github.com/facebookresearch/segment-anything'
_BIOIMAGE = 'https://uk1s3.embassy.ebi.ac.uk/public-datasets/bioimage.io'
_MICRO_SAM = 'https://github.com/computational-cell-analytics/micro-sam'

_KNOWN = (
    CheckpointInfo(
        name='mobile_sam',
        architecture='vit_t',
        filename='mobile_sam.pt',
        urls=(
            f'https://github.com/{_MOBILE_SAM}/raw/{_MOBILE_SAM_FILE}',
            f'https://raw.githubusercontent.com/{_MOBILE_SAM}/{_MOBILE_SAM_FILE}',
        ),
        size=40_728_226,
        known_hash='sha256:6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f',
        licence='Apache-2.0',
        source=f'https://github.com/{_MOBILE_SAM}',
        purpose='The published MobileSAM: any picture, fast on any computer.',
    ),
    CheckpointInfo(
        name='vit_t_lm',
        architecture='vit_t',
        filename='vit_t_lm.pt',
        urls=(f'{_BIOIMAGE}/faithful-chicken/1.1/files/vit_t.pt',),
        size=None,
        known_hash='xxh128:72ec5074774761a6e5c05a08942f981e',
        licence='CC-BY-4.0 (see source)',
        source=f'{_MICRO_SAM}; bioimage.io model faithful-chicken',
        purpose="micro-sam's MobileSAM, fine-tuned for cells and nuclei in light microscopy.",
    ),
    CheckpointInfo(
        name='vit_t_em_organelles',
        architecture='vit_t',
        filename='vit_t_em_organelles.pt',
        urls=(f'{_BIOIMAGE}/greedy-whale/1/files/vit_t.pt',),
        size=None,
        known_hash='xxh128:253474720c497cce605e57c9b1d18fd9',
        licence='CC-BY-4.0 (see source)',
        source=f'{_MICRO_SAM}; bioimage.io model greedy-whale',
        purpose="micro-sam's MobileSAM, fine-tuned for organelles in electron microscopy.",
    ),
    CheckpointInfo(
        name='vit_b',
        architecture='vit_b',
        filename='sam_vit_b_01ec64.pth',
        urls=(f'{_SAM_FILES}/sam_vit_b_01ec64.pth',),
        size=375_042_383,
        known_hash='sha256:ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912',
        licence='Apache-2.0',
        source=_SAM,
        purpose='The original Segment Anything, smallest encoder: slower, more exact.',
    ),
    CheckpointInfo(
        name='vit_l',
        architecture='vit_l',
        filename='sam_vit_l_0b3195.pth',
        urls=(f'{_SAM_FILES}/sam_vit_l_0b3195.pth',),
        size=1_249_524_607,
        known_hash='xxh128:a82beb3c660661e3dd38d999cc860e9a',
        licence='Apache-2.0',
        source=_SAM,
        purpose='The original Segment Anything, large encoder: wants a GPU.',
    ),
    CheckpointInfo(
        name='vit_h',
        architecture='vit_h',
        filename='sam_vit_h_4b8939.pth',
        urls=(f'{_SAM_FILES}/sam_vit_h_4b8939.pth',),
        size=2_564_550_879,
        known_hash='xxh128:97698fac30bd929c2e6d8d8cc15933c2',
        licence='Apache-2.0',
        source=_SAM,
        purpose='The original Segment Anything, largest encoder: wants a GPU.',
    ),
)

REGISTRY: Mapping[str, CheckpointInfo] = MappingProxyType({info.name: info for info in _KNOWN})
"""Every checkpoint that can be fetched by name, in the order to offer them."""


def suiting_thresholds(name: str) -> tuple[float, float]:
    """Return the thresholds of everything mode that suit a checkpoint, SAM's for unknown ones."""
    info = BUNDLED if name == BUNDLED_NAME else REGISTRY.get(name)
    return SAM_THRESHOLDS if info is None else info.thresholds
