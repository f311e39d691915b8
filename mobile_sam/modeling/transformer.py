"""The two-way transformer that lets prompt tokens and image features see each other.

References
----------
Kirillov et al. 2023, "Segment Anything", arXiv:2304.02643, appendix A.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .common import MLPBlock


class Attention(nn.Module):
    """Multi-head attention whose inner width may be smaller than the outer one.

    Parameters
    ----------
    embedding_dim
        Width C of queries, keys, values and output.
    num_heads
        Number of heads; divides ``embedding_dim // downsample_rate``.
    downsample_rate
        C divided by the width that is attended in.
    """

    def __init__(self, embedding_dim: int, num_heads: int, downsample_rate: int = 1) -> None:
        super().__init__()
        inner = embedding_dim // downsample_rate
        if inner % num_heads:
            raise ValueError(
                f'The inner width {inner} must be a multiple of num_heads, found {num_heads}.'
            )
        self.num_heads = num_heads
        self.q_proj = nn.Linear(embedding_dim, inner)
        self.k_proj = nn.Linear(embedding_dim, inner)
        self.v_proj = nn.Linear(embedding_dim, inner)
        self.out_proj = nn.Linear(inner, embedding_dim)

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.num_heads, -1).transpose(1, 2)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
        """Attend from `q` (B, Nq, C) to `k`, `v` (B, Nk, C); returns (B, Nq, C).

        `bias` (Nk,), if given, is added to the attention logits of each key.
        """
        out = F.scaled_dot_product_attention(
            self._heads(self.q_proj(q)),
            self._heads(self.k_proj(k)),
            self._heads(self.v_proj(v)),
            attn_mask=None if bias is None else bias.view(1, 1, 1, -1),
        )
        result: Tensor = self.out_proj(out.transpose(1, 2).flatten(2))
        return result


class TwoWayAttentionBlock(nn.Module):
    """Tokens attend to themselves, then to the image; an MLP; the image attends back.

    Parameters
    ----------
    embedding_dim, num_heads, mlp_dim, activation
        Width, heads, hidden width and activation of the MLP.
    attention_downsample_rate
        For the two attentions between tokens and image.
    skip_first_layer_pe
        Leave the positional part out of the self-attention, and its residual too: in the
        first block the queries *are* their own positional encoding.
    """

    def __init__(
        self,
        embedding_dim: int,
        num_heads: int,
        mlp_dim: int = 2048,
        activation: type[nn.Module] = nn.ReLU,
        attention_downsample_rate: int = 2,
        skip_first_layer_pe: bool = False,
    ) -> None:
        super().__init__()
        self.self_attn = Attention(embedding_dim, num_heads)
        self.norm1 = nn.LayerNorm(embedding_dim)
        self.cross_attn_token_to_image = Attention(
            embedding_dim, num_heads, attention_downsample_rate
        )
        self.norm2 = nn.LayerNorm(embedding_dim)
        self.mlp = MLPBlock(embedding_dim, mlp_dim, activation)
        self.norm3 = nn.LayerNorm(embedding_dim)
        self.norm4 = nn.LayerNorm(embedding_dim)
        self.cross_attn_image_to_token = Attention(
            embedding_dim, num_heads, attention_downsample_rate
        )
        self.skip_first_layer_pe = skip_first_layer_pe

    def forward(
        self,
        queries: Tensor,
        keys: Tensor,
        query_pe: Tensor,
        key_pe: Tensor,
        key_bias: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Update `queries` (B, Nq, C) and `keys` (B, Nk, C), with their encodings."""
        if self.skip_first_layer_pe:
            queries = self.self_attn(queries, queries, queries)
        else:
            placed = queries + query_pe
            queries = queries + self.self_attn(placed, placed, queries)
        queries = self.norm1(queries)

        placed_keys = keys + key_pe
        attended = self.cross_attn_token_to_image(queries + query_pe, placed_keys, keys, key_bias)
        queries = self.norm2(queries + attended)
        queries = self.norm3(queries + self.mlp(queries))

        attended = self.cross_attn_image_to_token(placed_keys, queries + query_pe, queries)
        return queries, self.norm4(keys + attended)


class TwoWayTransformer(nn.Module):
    """Blocks of two-way attention and a last look of the tokens at the image.

    Parameters
    ----------
    depth
        Number of blocks.
    embedding_dim, num_heads, mlp_dim, activation, attention_downsample_rate
        As in :class:`TwoWayAttentionBlock`.
    """

    def __init__(
        self,
        depth: int,
        embedding_dim: int,
        num_heads: int,
        mlp_dim: int,
        activation: type[nn.Module] = nn.ReLU,
        attention_downsample_rate: int = 2,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TwoWayAttentionBlock(
                embedding_dim,
                num_heads,
                mlp_dim,
                activation,
                attention_downsample_rate,
                skip_first_layer_pe=i == 0,
            )
            for i in range(depth)
        )
        self.final_attn_token_to_image = Attention(
            embedding_dim, num_heads, attention_downsample_rate
        )
        self.norm_final_attn = nn.LayerNorm(embedding_dim)

    def forward(
        self,
        image_embedding: Tensor,
        image_pe: Tensor,
        point_embedding: Tensor,
        key_bias: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Run the transformer.

        Parameters
        ----------
        image_embedding, image_pe
            (B, C, h, w): features and their positional encoding.
        point_embedding
            (B, N, C): the tokens.
        key_bias
            (h · w,), added to the attention logits of image features. Training shows the decoder
            a sample of the image, in which a feature stands for several: log of how many.

        Returns
        -------
        tuple of Tensor
            Tokens (B, N, C) and image features (B, h · w, C).
        """
        keys = image_embedding.flatten(2).transpose(1, 2)
        key_pe = image_pe.flatten(2).transpose(1, 2)
        queries = point_embedding
        for layer in self.layers:
            queries, keys = layer(queries, keys, point_embedding, key_pe, key_bias)
        attended = self.final_attn_token_to_image(
            queries + point_embedding, keys + key_pe, keys, key_bias
        )
        return self.norm_final_attn(queries + attended), keys
