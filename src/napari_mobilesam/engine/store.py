"""The store of embeddings: in memory with a budget, and behind that on disk."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from .disk import DiskStore
from .embedding import Embedding

_MIB = 2**20


class EmbeddingStore:
    """Keeps the embeddings that were used last, up to a number of MiB; safe to use from any thread.

    The keys are fingerprints of pixels and model, so an entry never becomes wrong, only unneeded.

    Parameters
    ----------
    budget_mib : float
        How much memory the features may take. One embedding of SAM takes 2 MiB. An embedding that
        is larger than the budget is not kept in memory.
    disk : DiskStore, optional
        Where embeddings are kept beyond the process, and looked for when they are not in memory.

    Raises
    ------
    ValueError
        If the budget is negative.
    """

    def __init__(self, budget_mib: float = 512.0, disk: DiskStore | None = None) -> None:
        if not budget_mib >= 0:
            raise ValueError(f'the budget is 0 MiB or more; got {budget_mib}')
        self._budget = int(budget_mib * _MIB)
        self._entries: OrderedDict[str, Embedding] = OrderedDict()
        self._nbytes = 0
        self._disk = disk
        self._lock = Lock()

    def get(self, key: str, *, ahead: bool = False) -> Embedding | None:
        """Return the embedding of that fingerprint, or None; it counts as used.

        Takes milliseconds where it has to be read from disk: not for the GUI thread.

        Parameters
        ----------
        key : str
            The fingerprint.
        ahead : bool
            As of `put`.
        """
        with self._lock:
            embedding = self._entries.get(key)
            if embedding is not None:
                if not ahead:
                    self._entries.move_to_end(key)
                return embedding
        if self._disk is None:
            return None
        embedding = self._disk.read(key)
        if embedding is not None:
            self._remember(embedding, ahead)
        return embedding

    def put(self, embedding: Embedding, *, ahead: bool = False) -> None:
        """Keep an embedding under its key and drop those unused for longest, as the budget asks.

        Parameters
        ----------
        embedding : Embedding
            What to keep.
        ahead : bool
            It was made before anybody asked for it: in memory it must not push out what was used,
            or what was made ahead for nearer planes.
        """
        self._remember(embedding, ahead)
        if self._disk is not None:
            self._disk.write(embedding)

    def _remember(self, embedding: Embedding, ahead: bool) -> None:
        with self._lock:
            if ahead and (
                embedding.key in self._entries or self._nbytes + embedding.nbytes > self._budget
            ):
                return
            previous = self._entries.pop(embedding.key, None)
            if previous is not None:
                self._nbytes -= previous.nbytes
            if embedding.nbytes > self._budget:
                return
            self._entries[embedding.key] = embedding
            if ahead:
                self._entries.move_to_end(embedding.key, last=False)
            self._nbytes += embedding.nbytes
            self._shrink()

    def _shrink(self) -> None:
        while self._nbytes > self._budget:
            _, dropped = self._entries.popitem(last=False)
            self._nbytes -= dropped.nbytes

    def clear(self) -> None:
        """Forget everything that is in memory; the disk keeps what it has."""
        with self._lock:
            self._entries.clear()
            self._nbytes = 0

    @property
    def disk(self) -> DiskStore | None:
        """Where embeddings are kept beyond the process."""
        return self._disk

    @property
    def budget_mib(self) -> float:
        """The budget in MiB; a smaller one drops what was unused for longest at once."""
        return self._budget / _MIB

    @budget_mib.setter
    def budget_mib(self, budget_mib: float) -> None:
        if not budget_mib >= 0:
            raise ValueError(f'the budget is 0 MiB or more; got {budget_mib}')
        with self._lock:
            self._budget = int(budget_mib * _MIB)
            self._shrink()

    @property
    def nbytes(self) -> int:
        """Bytes in use; never more than the budget."""
        with self._lock:
            return self._nbytes

    @property
    def full(self) -> bool:
        """Whether one more embedding would push another one out, with no disk to keep it."""
        if self._disk is not None:
            return False
        with self._lock:
            largest = max((one.nbytes for one in self._entries.values()), default=0)
            return self._nbytes + largest > self._budget

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)

    def __contains__(self, key: object) -> bool:
        with self._lock:
            return key in self._entries
