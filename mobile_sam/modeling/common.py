"""Small layers and window bookkeeping that several parts of the model share."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of an image, for every pixel by itself.

    Parameters
    ----------
    num_channels
        Number of channels C.
    eps
        Added to the variance.
    """

    def __init__(self, num_channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `x` of shape (B, C, H, W)."""
        normed = F.layer_norm(
            x.permute(0, 2, 3, 1), (x.shape[1],), self.weight, self.bias, self.eps
        )
        return normed.permute(0, 3, 1, 2)


class MLPBlock(nn.Module):
    """Two linear layers with an activation between them: C → `mlp_dim` → C."""

    def __init__(self, embedding_dim: int, mlp_dim: int, act: type[nn.Module] = nn.GELU) -> None:
        super().__init__()
        self.lin1 = nn.Linear(embedding_dim, mlp_dim)
        self.lin2 = nn.Linear(mlp_dim, embedding_dim)
        self.act = act()

    def forward(self, x: Tensor) -> Tensor:
        """Map `x` of shape (..., C) to the same shape."""
        out: Tensor = self.lin2(self.act(self.lin1(x)))
        return out


class MLP(nn.Module):
    """A stack of linear layers with ReLU between them.

    Parameters
    ----------
    input_dim, hidden_dim, output_dim
        Width before, within and after the stack.
    num_layers
        Number of linear layers, at least 1.
    sigmoid_output
        Squash the output to (0, 1).
    """

    def __init__(
        self,
        input_dim: int,
        hidden_dim: int,
        output_dim: int,
        num_layers: int,
        sigmoid_output: bool = False,
    ) -> None:
        super().__init__()
        widths = [input_dim, *[hidden_dim] * (num_layers - 1), output_dim]
        self.layers = nn.ModuleList(nn.Linear(n_in, n_out) for n_in, n_out in pairwise(widths))
        self.sigmoid_output = sigmoid_output

    def forward(self, x: Tensor) -> Tensor:
        """Map `x` of shape (..., input_dim) to (..., output_dim)."""
        *hidden, last = self.layers
        for layer in hidden:
            x = F.relu(layer(x))
        x = last(x)
        return torch.sigmoid(x) if self.sigmoid_output else x


def split_windows(x: Tensor, size: int) -> Tensor:
    """Cut a map into square windows, filled up with zeros at the bottom and right.

    Parameters
    ----------
    x
        (B, H, W, C).
    size
        Side of a window.

    Returns
    -------
    Tensor
        (B · n_windows, size, size, C), windows in row-major order.
    """
    batch, height, width, channels = x.shape
    x = F.pad(x, (0, 0, 0, -width % size, 0, -height % size))
    rows, cols = x.shape[1] // size, x.shape[2] // size
    x = x.view(batch, rows, size, cols, size, channels).transpose(2, 3)
    return x.reshape(batch * rows * cols, size, size, channels)


def join_windows(windows: Tensor, size: int, shape: tuple[int, int]) -> Tensor:
    """Undo :func:`split_windows`; `shape` is (H, W) before the filling."""
    height, width = shape
    rows, cols = -(-height // size), -(-width // size)
    channels = windows.shape[-1]
    x = windows.view(-1, rows, cols, size, size, channels).transpose(2, 3)
    x = x.reshape(-1, rows * size, cols * size, channels)
    return x[:, :height, :width]


def image_neck(in_channels: int, out_channels: int) -> nn.Sequential:
    """Make the two convolutions that bring encoder features to the decoder's width."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False),
        LayerNorm2d(out_channels),
        nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False),
        LayerNorm2d(out_channels),
    )


class StochasticDepth(nn.Module):
    """Leave a residual branch out of some of the batch's items, while training.

    Written here rather than taken from torchvision, whose import brings triton and the LLVM in it:
    loaded into a process that draws with Mesa (napari with llvmpipe or an AMD card), that LLVM
    meets the one of Mesa, and the process dies.

    Parameters
    ----------
    probability : float
        Of leaving an item out, 0 <= probability < 1; what stays is scaled up accordingly.

    Raises
    ------
    ValueError
        If it is no such probability.

    References
    ----------
    Huang et al. 2016, "Deep Networks with Stochastic Depth", arXiv:1603.09382.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        if not 0 <= probability < 1:
            raise ValueError(f'expected a probability of at least 0 and below 1; got {probability}')
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, ...) to the same shape."""
        if not self.training or self.probability == 0:
            return x
        kept = 1 - self.probability
        mask = torch.empty((len(x), *(1,) * (x.ndim - 1)), dtype=x.dtype, device=x.device)
        return x * mask.bernoulli_(kept).div_(kept)
