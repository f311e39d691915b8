"""Decoding of prompts with a model of the SAM family: tensors inside, arrays outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .candidates import ranking
from .embedding import Embedding
from .prompts import Point, Prompts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mobile_sam.fast.crew import Crew
    from mobile_sam.modeling import Sam

#: Logits (M, S, S) and scores (M,) of one object.
Decoded = tuple['NDArray[np.float32]', 'NDArray[np.float32]']

# Embeddings whose image side is kept: the plane at work, and the one looked at in between.
_SIDES = 2


class SamDecoding:
    """Decodes prompts with the weights that a model has now, on the device where it is.

    Parameters
    ----------
    model : Sam
        In evaluation mode.
    device : str
        Where it is.
    crew : Crew, optional
        Threads to share the work on a processor.
    """

    def __init__(self, model: Sam, device: str, crew: Crew | None = None) -> None:
        from mobile_sam.fast.forms import decoder_form
        from mobile_sam.fast.prompts import prompt_tokens

        self._model = model
        self._form = decoder_form(model, crew)
        self._tokens = prompt_tokens(model.prompt_encoder)
        self._device = device
        self._sides: list[tuple[Embedding, Any]] = []

    def decode(self, embedding: Embedding, objects: Sequence[Prompts]) -> list[Decoded]:
        """Decode a few objects of one picture, whatever prompts each of them has.

        Those with the same kinds of prompts share a pass. Three masks for an ambiguous prompt, else
        one; the answers are in the order of the objects.
        """
        return self._form.together(lambda: self._decode(embedding, objects))

    def _decode(self, embedding: Embedding, objects: Sequence[Prompts]) -> list[Decoded]:
        import torch

        from mobile_sam.fast.decoder import PROMPTS_AT_ONCE

        kinds: dict[tuple[int, bool, bool, bool], list[int]] = {}
        for index, prompts in enumerate(objects):
            # Filling up with dummy points would add tokens, and so change the answer.
            kind = (
                len(prompts.points),
                prompts.box is not None,
                prompts.mask is not None,
                prompts.ambiguous,
            )
            kinds.setdefault(kind, []).append(index)
        portions = [
            alike[first : first + PROMPTS_AT_ONCE]
            for alike in kinds.values()
            for first in range(0, len(alike), PROMPTS_AT_ONCE)
        ]

        def answers(some: list[int]) -> list[Decoded]:
            found = self._attend(embedding, side, [objects[index] for index in some])
            scores = found.scores.float().cpu().numpy()
            logits = (found.draw(row).float().cpu().numpy() for row in range(len(some)))
            return list(zip(logits, scores, strict=True))

        decoded: dict[int, Decoded] = {}
        with torch.inference_mode():
            side = self._side(embedding)
            for some, found in zip(portions, self._form.apart(answers, portions), strict=True):
                decoded.update(zip(some, found, strict=True))
        return [decoded[index] for index in range(len(objects))]

    def one(
        self, embedding: Embedding, prompts: Prompts, rank: int = 0
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], tuple[float, ...]]:
        """Decode one object and sketch only one mask, by its rank; with the others' scores."""
        return self._form.together(lambda: self._one(embedding, prompts, rank))

    def _one(
        self, embedding: Embedding, prompts: Prompts, rank: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], tuple[float, ...]]:
        import torch

        with torch.inference_mode():
            found = self._attend(embedding, self._side(embedding), [prompts], sketching=True)
            scores = found.scores[0].float().cpu().numpy()
            order = ranking(scores)
            chosen = order[rank % len(order)]
            logits = found.sketch(0, [chosen]).float().cpu().numpy()
        others = tuple(float(scores[index]) for index in order if index != chosen)
        return logits, scores[chosen : chosen + 1], others

    def propose(
        self, embedding: Embedding, points: Sequence[Point], min_score: float
    ) -> list[Decoded | None]:
        """Decode lone points, and draw only masks with a better score; None where there is none."""
        import torch

        from mobile_sam.fast.everything import propose

        xy = _placed(points, embedding)
        coords = torch.from_numpy(np.ascontiguousarray(xy, np.float32))
        masks: list[list[NDArray[np.float32]]] = [[] for _ in points]
        scores: list[list[float]] = [[] for _ in points]
        with torch.inference_mode():
            side = self._side(embedding)
            for some in propose(
                self._model, self._form, side, coords, min_score, len(points), exact=False
            ):
                for proposal in some:
                    masks[proposal.point].append(proposal.logits)
                    scores[proposal.point].append(proposal.score)
        return [
            (np.stack(logits), np.array(quality, np.float32)) if logits else None
            for logits, quality in zip(masks, scores, strict=True)
        ]

    def _attend(
        self, embedding: Embedding, side: Any, objects: list[Prompts], sketching: bool = False
    ) -> Any:
        """Let a few objects with prompts of the same kinds meet the picture."""
        sparse, dense = self._encode(embedding, objects)
        return self._form.attend(side, sparse, dense, objects[0].ambiguous, sketching)

    def _encode(self, embedding: Embedding, objects: list[Prompts]) -> tuple[Any, Any]:
        import torch

        points = signs = corners = None
        if objects[0].points:
            xy = _placed([prompts.points for prompts in objects], embedding)
            points = np.ascontiguousarray(xy, np.float32)
            signs = np.array([prompts.positive for prompts in objects], np.int64)
        if objects[0].box is not None:
            boxes = np.array([prompts.box for prompts in objects]).reshape(-1, 2, 2)
            corners = np.ascontiguousarray(_placed(boxes, embedding), np.float32)
        masks = [prompts.mask.logits for prompts in objects if prompts.mask is not None]
        if self._tokens is not None and not masks:
            return torch.from_numpy(self._tokens(points, signs, corners)).to(self._device), None

        def tensor(values: NDArray[Any] | None) -> torch.Tensor | None:
            return None if values is None else torch.from_numpy(values).to(self._device)

        sparse, dense = self._model.prompt_encoder(
            points=None if points is None else (tensor(points), tensor(signs)),
            boxes=tensor(None if corners is None else corners.reshape(-1, 4)),
            masks=tensor(np.stack(masks)[:, None].astype(np.float32)) if masks else None,
        )
        return sparse, dense if masks else None

    def _side(self, embedding: Embedding) -> Any:
        for place, (known, side) in enumerate(self._sides):
            if known is embedding:
                self._sides.insert(0, self._sides.pop(place))
                return side
        import torch

        features = torch.from_numpy(embedding.features.astype(np.float32)).to(self._device)
        side = self._form.image_side(features)
        self._sides = [(embedding, side), *self._sides[: _SIDES - 1]]
        return side


def _placed(positions: Any, embedding: Embedding) -> NDArray[np.float64]:
    """Turn (row, column) of the picture, (..., 2), into (x, y) of the frame."""
    from mobile_sam.utils.transforms import frame_coords

    xy = np.asarray(positions, np.float64)[..., ::-1]
    return frame_coords(xy, embedding.original_size, embedding.input_size)
