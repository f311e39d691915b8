"""A store of embeddings in memory, with a budget."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from .embedding import Embedding

_MIB = 2**20


class EmbeddingStore:
    """Keeps the embeddings that were used last, up to a number of MiB; safe to use from any thread.

    The keys are fingerprints of pixels and model, so an entry never becomes wrong, only unneeded.

    Parameters
    ----------
    budget_mib : float
        How much memory the features may take. One embedding of SAM takes 2 MiB. An embedding that
        is larger than the budget is not kept.

    Raises
    ------
    ValueError
        If the budget is negative.
    """

    def __init__(self, budget_mib: float = 512.0) -> None:
        if not budget_mib >= 0:
            raise ValueError(f'the budget is 0 MiB or more; got {budget_mib}')
        self._budget = int(budget_mib * _MIB)
        self._entries: OrderedDict[str, Embedding] = OrderedDict()
        self._nbytes = 0
        self._lock = Lock()

    def get(self, key: str) -> Embedding | None:
        """Return the embedding of that fingerprint, or None; it counts as used."""
        with self._lock:
            embedding = self._entries.get(key)
            if embedding is not None:
                self._entries.move_to_end(key)
            return embedding

    def put(self, embedding: Embedding) -> None:
        """Keep an embedding under its key and drop those unused for longest, as the budget asks."""
        with self._lock:
            previous = self._entries.pop(embedding.key, None)
            if previous is not None:
                self._nbytes -= previous.nbytes
            if embedding.nbytes > self._budget:
                return
            self._entries[embedding.key] = embedding
            self._nbytes += embedding.nbytes
            while self._nbytes > self._budget:
                _, dropped = self._entries.popitem(last=False)
                self._nbytes -= dropped.nbytes

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._nbytes = 0

    @property
    def budget_mib(self) -> float:
        """The budget in MiB."""
        return self._budget / _MIB

    @property
    def nbytes(self) -> int:
        """Bytes in use; never more than the budget."""
        with self._lock:
            return self._nbytes

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)

    def __contains__(self, key: object) -> bool:
        with self._lock:
            return key in self._entries
