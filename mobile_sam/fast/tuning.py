"""Which backend encodes quickest on this machine: measured once, kept in a file, looked up after.

Measuring takes half a minute and imports torch's exporter, which a process with a window must not
(see `backends`). So it is a step of its own, ``napari-mobilesam tune``; what it found is used by
every process that loads the same weights with the same libraries and number of threads.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from .backends import BACKENDS, Backend, Encode, installed

# Another library has to win by this much to be worth its start-up.
_WORTH_IT = 1.1
# Of the features, relative to those of torch: more is no rounding.
_TOLERANCE = 1e-4


class Tuning:
    """What is known of the backends for one encoder, in a folder.

    Parameters
    ----------
    digest : str
        Of the weights, in hexadecimal digits.
    folder : Path
        Where the encoder and the choice are kept.
    backends : sequence of Backend
        To choose from.
    kind : str
        Of the encoder's form, if it is another than that of float32; one word.

    Raises
    ------
    ValueError
        If the digest is too short or has other characters.
    """

    def __init__(
        self,
        digest: str,
        folder: Path,
        backends: tuple[Backend, ...] = BACKENDS,
        kind: str = '',
    ) -> None:
        if len(digest) < 32 or not set(digest) <= set('0123456789abcdef'):
            raise ValueError(f'expected a digest of 32 hexadecimal digits or more; got {digest!r}')
        self._kind = kind
        self._graph = folder / f'{"-".join(filter(None, ("encoder", digest[:32], kind)))}.onnx'
        self._record = self._graph.with_suffix('.json')
        self._backends = {
            backend.name: backend for backend in backends if installed(backend) is not None
        }

    def measure(
        self,
        fast: Encode,
        side: int,
        write: Callable[[Path], object],
        objection: Callable[[Encode], str],
        repeats: int = 3,
    ) -> dict[str, float | str]:
        """Measure all backends that are installed, and keep which is best.

        Parameters
        ----------
        fast : callable
            torch's own fast form, which the others have to beat.
        side : int
            Of its pictures.
        write : callable
            Writes the encoder's graph to a path.
        objection : callable
            Says what is wrong with an encoder, in a few words: it is not used then. Asked about
            those that are quicker than torch.
        repeats : int
            Pictures to encode; the quickest counts.

        Returns
        -------
        dict
            Seconds by name, ``'torch'`` among them; a sentence instead where a backend failed.
        """
        picture = _noise(side)
        with torch.inference_mode():
            own = _quickest(fast, picture, repeats)
        found: dict[str, float | str] = {'torch': own}
        if self._backends:
            with _written(self._graph) as path:
                write(path)
        for name, backend in self._backends.items():
            try:
                encode = backend.load(self._graph, torch.get_num_threads())
                with torch.inference_mode():
                    seconds = _quickest(encode, picture, repeats)
                    quicker = seconds * _WORTH_IT < own
                    found[name] = (quicker and objection(encode)) or seconds
            except Exception as error:  # whatever another library may raise: it is not used then
                found[name] = f'failed: {error}'
        times = {name: each for name, each in found.items() if isinstance(each, float)}
        best = min(times, key=lambda name: times[name] * (1 if name == 'torch' else _WORTH_IT))
        record = {'best': best, 'found': found, **self._circumstances()}
        if best != 'torch':
            record['sha256'] = _sha256(self._graph)
        with _written(self._record) as path:
            path.write_text(json.dumps(record, indent=1), encoding='utf-8')
        if best == 'torch':
            self._graph.unlink(missing_ok=True)
        return found

    @property
    def choice(self) -> str:
        """Name to show of the best backend; empty where it is torch, or was not measured so.

        Read from the record alone, which is quick; `best` may still find that it cannot be loaded.
        """
        name, _ = self._chosen()
        return ', '.join(filter(None, (name, self._kind))) if name else ''

    def best(self) -> tuple[Encode, str] | None:
        """Return the best backend and its name; None where it is torch, or was not measured so."""
        name, digest = self._chosen()
        try:
            if not name or digest != _sha256(self._graph):
                return None
            return self._backends[name].load(self._graph, torch.get_num_threads()), self.choice
        except Exception:  # an incomplete installation, say: torch is always there
            return None

    def _chosen(self) -> tuple[str, object]:
        """Name of the backend and digest of its graph, if the record holds for here and now."""
        try:
            record = json.loads(self._record.read_text(encoding='utf-8'))
        except (OSError, ValueError):
            return '', None
        if not isinstance(record, dict) or record.get('best') not in self._backends:
            return '', None
        if any(record.get(name) != value for name, value in self._circumstances().items()):
            return '', None
        return str(record['best']), record.get('sha256')

    def forget(self) -> None:
        """Remove what was measured."""
        self._graph.unlink(missing_ok=True)
        self._record.unlink(missing_ok=True)

    def _circumstances(self) -> dict[str, Any]:
        """What the choice holds for."""
        versions = {name: installed(backend) for name, backend in self._backends.items()}
        return {'threads': torch.get_num_threads(), 'torch': torch.__version__, 'with': versions}


def other_features(fast: Encode, side: int) -> Callable[[Encode], str]:
    """Return an objection to encoders whose features differ from those of a fast form."""
    picture = _noise(side)

    def objection(encode: Encode) -> str:
        expected = fast(picture)
        error = float((encode(picture) - expected).norm() / expected.norm())
        return f'differs by {error:.1e}' if error > _TOLERANCE else ''

    return objection


def _noise(side: int) -> Tensor:
    return torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))


def _quickest(encode: Callable[[Tensor], Tensor], picture: Tensor, repeats: int) -> float:
    times = []
    for _ in range(repeats + 1):  # the first one warms up
        start = perf_counter()
        encode(picture)
        times.append(perf_counter() - start)
    return min(times[1:])


def _sha256(path: Path) -> str:
    with path.open('rb') as stream:
        return hashlib.file_digest(stream, 'sha256').hexdigest()


@contextmanager
def _written(target: Path) -> Iterator[Path]:
    """Give a path to write to, which becomes the target if all went well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=target.parent, suffix='.part', delete=False) as stream:
        part = Path(stream.name)
    try:
        yield part
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
