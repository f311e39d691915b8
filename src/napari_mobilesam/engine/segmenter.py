"""What the engine needs of a model: two stateless calls, encode a picture and decode prompts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from .cancel import CancelToken
from .candidates import Candidates
from .embedding import Embedding
from .prompts import Point, Prompts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@runtime_checkable
class Segmenter(Protocol):
    """What the engine needs of a model. Implementations keep no current picture."""

    @property
    def digest(self) -> str:
        """Identifies the weights."""

    @property
    def encoding_digest(self) -> str:
        """Identifies the weights and how they are evaluated; part of every embedding's key."""

    @property
    def thresholds(self) -> tuple[float, float]:
        """Predicted IoU and stability from which on everything mode should keep its masks."""

    @property
    def at_once(self) -> int:
        """How many pictures are encoded fastest together."""

    def encode(self, image: NDArray[np.uint8], *, key: str | None = None) -> Embedding:
        """Encode a mapped picture, uint8 (H, W, 3).

        `key` is its fingerprint where the caller knows it; otherwise it is computed.
        """

    def encode_many(
        self, images: Iterable[NDArray[np.uint8]], *, keys: Iterable[str] | None = None
    ) -> Iterator[Embedding]:
        """Encode pictures, in their order."""

    def decode(self, embedding: Embedding, prompts: Prompts) -> Candidates:
        """Offer masks for prompts in (row, column) pixels of the encoded picture."""

    def hover(self, embedding: Embedding, point: Point, rank: int = 0) -> Candidates:
        """Offer one mask for a positive point, by its rank, as fast as the mouse moves."""

    def decode_many(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompts],
        cancel: CancelToken | None = None,
    ) -> Iterator[Candidates]:
        """Offer masks for many objects of one picture, one after the other, in their order."""

    def propose(
        self,
        embedding: Embedding,
        points: Sequence[Point],
        min_score: float,
        cancel: CancelToken | None = None,
    ) -> Iterator[Candidates | None]:
        """Offer, for each of many positive points, the masks whose score exceeds a minimum."""
