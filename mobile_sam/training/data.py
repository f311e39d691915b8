"""Items of a training folder, their pixels, and the split that never divides a group."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

SUFFIXES = ('.png', '.tif', '.tiff', '.jpg', '.jpeg', '.bmp')

MODALITY_POWER, STRATUM_POWER = 0.5, 0.2
"""How often a modality, and a stratum in it, is drawn: its number of images to these powers."""


class TrainingDataError(Exception):
    """The training folder cannot be used as it is."""


@dataclass(frozen=True, slots=True)
class Item:
    """One labelled plane: a 2D image, or one plane of a stack.

    `plane` is ``(axis, index)`` for a plane of a ZYX stack and None for a 2D image.
    """

    name: str
    modality: str
    stratum: str
    group: str
    image: Path
    label: Path
    plane: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """Pixels of an item.

    Attributes
    ----------
    image : ndarray, uint8, (H, W, 3)
    labels : ndarray, int32, (H, W)
        Instance numbers, 0 for background.
    grey : bool
        Whether the three channels are copies of one.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.int32]
    grey: bool


def read_items(folder: Path) -> list[Item]:
    """List the planes of a folder.

    Parameters
    ----------
    folder : Path
        Holds ``manifest.json`` (a list ``items`` with ``image``, ``label``, ``modality`` and
        ``group``); or pairs of files called ``NAME_image.*`` and ``NAME_label.*``, or folders
        ``images`` and ``labels`` (or ``masks``) whose files have equal stems, both also further
        down. Each of such pairs is its own group. Its modality is the name of the folder that
        it, or its ``images``, is in.

    Raises
    ------
    TrainingDataError
        If there is nothing to train on, the manifest is not as it should be, or a file that it
        names or the other half of a pair is missing.
    """
    manifest = folder / 'manifest.json'
    if manifest.is_file():
        items = _from_manifest(manifest)
    else:
        items = _from_pairs(folder) or _from_folders(folder)
    if not items:
        raise TrainingDataError(
            f'{folder} has no manifest.json, no pairs NAME_image.png / NAME_label.png and no '
            'folders images and labels (or masks) with files of equal names; give a folder with '
            'one of the three.'
        )
    return items


def _from_manifest(manifest: Path) -> list[Item]:
    try:
        entries = json.loads(manifest.read_text(encoding='utf-8'))['items']
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingDataError(
            f'{manifest} should be a JSON object with a list "items"; found {error!r}.'
        ) from error
    items: list[Item] = []
    for number, entry in enumerate(entries):
        missing = [k for k in ('id', 'image', 'label', 'modality', 'group') if k not in entry]
        if missing:
            raise TrainingDataError(f'{manifest}: item {number} has no {", ".join(missing)}.')
        image, label = (manifest.parent / entry[key] for key in ('image', 'label'))
        for path in (image, label):
            if not path.is_file():
                raise TrainingDataError(f'{manifest} names {path}, which does not exist.')
        modality = str(entry['modality'])
        stratum = str(entry.get('stratum', modality))
        if entry.get('axes') == 'ZYX':
            # A volume is the 2D modality of its last name part: stack of confocal → confocal.
            modality = stratum.rsplit('_', 1)[-1] if modality == 'stack' else modality
            planes: Sequence[tuple[int, int] | None] = [(0, z) for z in range(entry['shape'][0])]
        else:
            planes = [None]
        for plane in planes:
            name = entry['id'] if plane is None else f'{entry["id"]}/{plane[1]}'
            items.append(Item(name, modality, stratum, str(entry['group']), image, label, plane))
    return items


def _from_pairs(folder: Path) -> list[Item]:
    items: list[Item] = []
    for image in sorted(folder.rglob('*_image.*')):
        if image.suffix.lower() not in SUFFIXES:
            continue
        stem = image.stem.removesuffix('_image')
        labels = [p for s in SUFFIXES if (p := image.with_name(f'{stem}_label{s}')).is_file()]
        if not labels:
            raise TrainingDataError(f'{image} has no label file {stem}_label.* beside it.')
        items.append(_pair(folder, image.with_name(stem), image, labels[0]))
    return items


def _from_folders(folder: Path) -> list[Item]:
    items: list[Item] = []
    for images in sorted(p for p in folder.rglob('images') if p.is_dir()):
        labels = next((p for n in ('labels', 'masks') if (p := images.with_name(n)).is_dir()), None)
        if labels is None:
            continue
        known = {p.stem: p for p in sorted(labels.iterdir()) if p.suffix.lower() in SUFFIXES}
        for image in sorted(images.iterdir()):
            if image.suffix.lower() not in SUFFIXES:
                continue
            if image.stem not in known:
                raise TrainingDataError(
                    f'{image} has no label file of the same name, {labels / image.stem}.*'
                )
            items.append(_pair(folder, images.with_name(image.stem), image, known[image.stem]))
    return items


def _pair(folder: Path, place: Path, image: Path, label: Path) -> Item:
    modality = place.parent.name if place.parent != folder else 'images'
    name = place.relative_to(folder).as_posix()
    return Item(name, modality, modality, name, image, label)


def split_items(items: Iterable[Item]) -> tuple[list[Item], list[Item]]:
    """Divide items into training and validation, never dividing a group.

    Within each stratum the groups are sorted by the SHA-1 of their name and every fifth, starting
    with the first, is kept for validation. A stratum of a single group is trained on whole.
    """
    items = list(items)
    strata: dict[str, set[str]] = defaultdict(set)
    for item in items:
        strata[item.stratum].add(item.group)
    held: set[str] = set()
    for groups in strata.values():
        if len(groups) > 1:
            ordered = sorted(groups, key=lambda group: hashlib.sha1(group.encode()).hexdigest())
            held.update(ordered[::5])
    return [i for i in items if i.group not in held], [i for i in items if i.group in held]


def modality_weights(items: Sequence[Item]) -> NDArray[np.float64]:
    """Probability of each item: balanced over modalities, then over strata in each.

    The former by the square root of their number of images. The latter are nearly equal, as they
    are where a model is judged: what is rare among the images is what it has to learn most.

    Planes of stacks count as a tenth of an image each, since neighbours look alike.
    """
    worth = np.array([0.1 if item.plane is not None else 1.0 for item in items])
    modality: dict[str, float] = defaultdict(float)
    stratum: dict[tuple[str, str], float] = defaultdict(float)
    for item, value in zip(items, worth, strict=True):
        modality[item.modality] += value
        stratum[item.modality, item.stratum] += value
    roots: dict[str, float] = defaultdict(float)
    for (name, _), value in stratum.items():
        roots[name] += value**STRATUM_POWER
    weights = np.array(
        [
            modality[i.modality] ** MODALITY_POWER
            * stratum[i.modality, i.stratum] ** (STRATUM_POWER - 1)
            / roots[i.modality]
            * value
            for i, value in zip(items, worth, strict=True)
        ]
    )
    normalised: NDArray[np.float64] = weights / weights.sum()
    return normalised


class Reader:
    """Reads samples and keeps them, as the files are small and read thousands of times."""

    def __init__(self) -> None:
        self._stacks: dict[Path, NDArray[Any]] = {}
        self._samples: dict[Item, Sample] = {}

    def __call__(self, item: Item) -> Sample:
        """Return the pixels of an item."""
        if item not in self._samples:
            self._samples[item] = self._read(item)
        return self._samples[item]

    def _read(self, item: Item) -> Sample:
        image, labels = self._plane(item.image, item), self._plane(item.label, item)
        if image.shape[:2] != labels.shape:
            raise TrainingDataError(
                f'{item.image} is {image.shape[:2]} but {item.label} is {labels.shape}; '
                'image and label need the same rows and columns.'
            )
        grey = image.ndim == 2
        rgb = np.repeat(to_uint8(image)[..., None], 3, axis=2) if grey else image[..., :3]
        if rgb.dtype != np.uint8:
            raise TrainingDataError(f'{item.image}: colour images must be uint8, not {rgb.dtype}.')
        return Sample(np.ascontiguousarray(rgb), labels.astype(np.int32), grey)

    def _plane(self, path: Path, item: Item) -> NDArray[Any]:
        if item.plane is None:
            return read_array(path)
        if path not in self._stacks:
            self._stacks[path] = read_array(path)
        axis, index = item.plane
        return np.take(self._stacks[path], index, axis=axis)


def read_array(path: Path) -> NDArray[Any]:
    """Read a PNG, TIFF, JPEG or BMP file as it is."""
    if path.suffix.lower() in ('.tif', '.tiff'):
        import tifffile

        return np.asarray(tifffile.imread(path))
    from PIL import Image

    with Image.open(path) as opened:
        return np.asarray(opened.convert('RGB') if opened.mode in ('P', 'RGBA') else opened)


def to_uint8(plane: NDArray[Any], low: float = 0.1, high: float = 99.9) -> NDArray[np.uint8]:
    """Map a grey plane to 8 bit by percentiles, as the plugin does before it embeds a plane."""
    bottom, top = np.percentile(plane, (low, high))
    if top <= bottom:
        top = bottom + 1.0
    scaled = (plane.astype(np.float32) - np.float32(bottom)) * np.float32(255.0 / (top - bottom))
    result: NDArray[np.uint8] = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return result
