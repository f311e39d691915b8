"""Session files: ``NAME.mobilesam.json``, with the labels beside it.

The file holds which image it is about, the objects, their classes, and the steps that made them;
``session.schema.json`` says how. Pixels are in ``NAME.labels-XXXXXXXX.ome.zarr`` (or ``.tif``),
called after their content: the session file changes in one stroke from the old labels to the new.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_mobilesam.engine import Session
from napari_mobilesam.engine.history import Step

from . import codec
from .errors import ExchangeError, PixelsDifferError
from .files import child, load_json, write_json
from .formats import export, load
from .identity import ImageIdentity, image_fingerprint
from .images import SUFFIXES, Picture, open_image
from .segmentation import Segmentation

SUFFIX = '.mobilesam.json'
FORMAT = 'napari-mobilesam session'
VERSION = 1
_LABELS = {'.ome.zarr': 'ome-zarr', '.tif': 'tiff'}


@dataclass(slots=True, eq=False)
class SavedSession:
    """What a session file holds.

    Attributes
    ----------
    path : Path
        The file.
    identity : ImageIdentity
        The image.
    labels : ndarray of int
        The pixels.
    session : Session
        Objects, classes and history.
    relative : str
        Where the image was, seen from the file.
    """

    path: Path
    identity: ImageIdentity
    labels: NDArray[Any]
    session: Session
    relative: str = ''

    def session_of_image(self, source: str) -> Session:
        """Return the session with its planes in an image called `source` (`PlaneKey.source`)."""
        session = Session(self.session.maximum)
        session.classes = self.session.classes
        for step in self.session.history.done:
            session.history.push(step.of_image(source))
        session.learn(record.of_image(source) for record in self.session)
        return session


def save_session(
    path: str | Path,
    identity: ImageIdentity,
    labels: NDArray[Any],
    session: Session,
    *,
    labels_format: Literal['.ome.zarr', '.tif'] = '.ome.zarr',
    overwrite: bool = True,
) -> Path:
    """Save a session; the former one of this name is replaced in one stroke.

    Parameters
    ----------
    path : path-like
        Gets the ending ``.mobilesam.json`` where it has not.
    identity : ImageIdentity
        The image.
    labels : ndarray of int
        Must not change meanwhile.
    session : Session
        Objects, classes and history.
    labels_format : {'.ome.zarr', '.tif'}
        Of the labels' file.
    overwrite : bool
        Whether a session of this name may be replaced.

    Returns
    -------
    Path
        The session file.

    Raises
    ------
    ExchangeError
        If it could not be written; a former one is unharmed.
    """
    path = Path(path)
    if not path.name.endswith(SUFFIX):
        path = path.with_name(path.name + SUFFIX)
    stem = path.name.removesuffix(SUFFIX)
    former = _former_labels(path)
    segmentation = Segmentation(
        labels, identity.axes, identity.scale, identity.unit, name=identity.name
    )
    digest = blake2b(np.ascontiguousarray(labels).data, digest_size=4).hexdigest()
    beside = path.with_name(f'{stem}.labels-{digest}{labels_format}')
    if former != beside or not beside.exists():
        export(segmentation, beside, _LABELS[labels_format], overwrite=True)
    image = identity.to_json()
    if identity.path:
        with suppress(ValueError):  # another drive has no relative path
            image['relative'] = Path(os.path.relpath(identity.path, path.parent)).as_posix()
    content = {
        'format': FORMAT,
        'version': VERSION,
        'saved_by': _version(),
        'image': image,
        'labels': {'path': beside.name, 'dtype': np.dtype(labels.dtype).name},
        'maximum': session.maximum,
        'classes': codec.classes_to_json(session.classes),
        'objects': [codec.object_to_json(record) for record in session],
        'steps': [codec.step_to_json(step) for step in session.history.done if _counts(step)],
    }
    write_json(path, content, overwrite)
    if former is not None and former != beside:
        _remove(former)
    return path


def load_session(path: str | Path) -> SavedSession:
    """Read a session file and the labels beside it. The image is not looked at; see `find_image`.

    Raises
    ------
    ExchangeError
        If it is none, damaged, or of a later version.
    """
    path = Path(path)
    content = _content(path)
    identity = ImageIdentity.from_json(content['image'])
    beside = child(path.parent, content['labels']['path'])
    if not beside.name.endswith(tuple(_LABELS)):
        raise ExchangeError(f'"{path}" names labels of no known format: "{beside.name[:80]}"')
    labels = load(beside, shape=identity.shape, axes=identity.axes).labels
    dtype = np.dtype(content['labels']['dtype'])
    if int(labels.max()) > np.iinfo(dtype).max:
        raise ExchangeError(f'"{beside}" has ids that do not fit into {dtype}')
    session = Session(content['maximum'])
    session.classes = codec.read_classes(content['classes'])
    objects = codec.read_all(codec.read_object, content['objects'])
    for step in codec.read_all(codec.read_step, content['steps']):
        session.history.push(step)
    session.learn(objects)
    return SavedSession(
        path, identity, labels.astype(dtype), session, str(content['image'].get('relative', ''))
    )


def find_image(saved: SavedSession, image: str | Path | None = None) -> Picture:
    """Find the image of a session: where it was, or by its pixels among files near by.

    Parameters
    ----------
    saved : SavedSession
        The session.
    image : path-like, optional
        Where to look instead: the image, or a folder that it is in.

    Raises
    ------
    PixelsDifferError
        If a file was named, or is where the image was, and has other pixels: ask the user.
    ExchangeError
        If there is none.
    """
    identity, folder = saved.identity, saved.path.parent
    if image is not None and not _is_folder(Path(image)):
        return matching(Path(image), identity)
    if image is not None:
        folder = Path(image)
    differing: PixelsDifferError | None = None
    for candidate in _candidates(saved, folder, anywhere=image is None):
        try:
            return matching(candidate, identity)
        except PixelsDifferError as error:
            # one of the same name is worth a question, others in the folder are just others
            if differing is None and candidate.name == Path(identity.path).name:
                differing = error
        except ExchangeError:
            continue
    if differing is not None:
        raise differing
    raise ExchangeError(
        f'the image "{identity.name}" ({" x ".join(map(str, identity.shape))}, {identity.dtype}) '
        f'is neither at "{identity.path}" nor in "{folder}"; name it'
    )


def matching(path: Path, identity: ImageIdentity) -> Picture:
    """Open an image and make sure that it is the one of a session.

    Raises
    ------
    PixelsDifferError
        If it has other pixels.
    ExchangeError
        If it cannot be read, or has another shape.
    """
    picture = open_image(path)
    if picture.shape != identity.shape or picture.rgb != identity.rgb:
        raise ExchangeError(
            f'"{path}" has the shape {picture.shape}, the session is about {identity.shape}: '
            'choose the image that it belongs to'
        )
    found = image_fingerprint(picture.pixels)
    if found != identity.fingerprint:
        raise PixelsDifferError(str(path), identity.fingerprint, found)
    return picture


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema of session files."""
    text = files(__package__).joinpath('session.schema.json').read_text(encoding='utf-8')
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _content(path: Path) -> dict[str, Any]:
    import jsonschema

    content: Any = load_json(path)
    if not isinstance(content, dict) or content.get('format') != FORMAT:
        raise ExchangeError(f'"{path}" is no session file')
    if content.get('version') != VERSION:
        raise ExchangeError(
            f'"{path}" is a session of version {content.get("version")!r:.20}, and this program '
            f'reads {VERSION}; a newer one may do'
        )
    error = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator(schema()).iter_errors(content)
    )
    if error is not None:
        where = '/'.join(str(part) for part in error.absolute_path) or 'the whole'
        raise ExchangeError(f'"{path}" is damaged at {where[:120]}: {error.message:.200}')
    return content


def _candidates(saved: SavedSession, folder: Path, *, anywhere: bool) -> list[Path]:
    """Return where to look: the likeliest first, each place once."""
    places = []
    if anywhere:
        if saved.relative:
            places.append(saved.path.parent / saved.relative)
        if saved.identity.path:
            places.append(Path(saved.identity.path))
    if saved.identity.path:
        places.append(folder / Path(saved.identity.path.replace('\\', '/')).name)
    with suppress(OSError):
        places += sorted(f for f in folder.iterdir() if f.name.lower().endswith(SUFFIXES))[:1000]
    found: dict[Path, Path] = {}
    for place in places:
        with suppress(OSError, RuntimeError):
            if place.exists():
                found.setdefault(place.resolve(), place)
    return list(found.values())


def _former_labels(path: Path) -> Path | None:
    """Return the labels of a session file that is there, if they are ours beyond doubt."""
    stem = path.name.removesuffix(SUFFIX)
    try:
        beside = child(path.parent, load_json(path)['labels']['path'])
    except (ExchangeError, KeyError, TypeError):
        return None
    ours = beside.parent == path.parent and beside.name.startswith(f'{stem}.labels-')
    return beside if ours and beside.name.endswith(tuple(_LABELS)) else None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not any((path / name).exists() for name in ('zarr.json', '.zattrs'))


def _counts(step: Step) -> bool:
    return bool(step.edits or step.changes)


def _version() -> str:
    try:
        return f'napari-mobilesam {version("napari-mobilesam")}'
    except PackageNotFoundError:
        return 'napari-mobilesam'
