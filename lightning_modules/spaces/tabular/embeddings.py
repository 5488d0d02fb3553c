"""Numbers and categories of a table as vectors."""

from __future__ import annotations

from collections.abc import Sequence
import math

import torch
from torch import nn
from torch import Tensor


N_FREQUENCIES = 32
"""Sines, and as many cosines, for each number of :class:`PeriodicEmbedding`."""


class _PerColumn(nn.Module):
    """A linear layer of its own for each column.

    Args:
        n_columns: Number of columns.
        size_in: Numbers of each that go in.
        size_out: Numbers of each that come out.
    """

    def __init__(self, n_columns: int, size_in: int, size_out: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(size_in)
        self.weight = nn.Parameter(torch.empty(n_columns, size_in, size_out))
        self.bias = nn.Parameter(torch.empty(n_columns, size_out))
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, n_columns, size_in) to (batch, n_columns, size_out)."""
        return torch.einsum("bci,cio->bco", x, self.weight) + self.bias


class LinearEmbedding(nn.Module):
    """A number times a vector plus a vector, then ReLU (Gorishniy et al., NeurIPS 2022, "LR").

    Args:
        n_columns: Number of columns.
        size: Length of a vector.
        activated: Whether ReLU follows; a transformer's tokens go without.
    """

    def __init__(self, n_columns: int, size: int, *, activated: bool = True) -> None:
        super().__init__()
        self.linear = _PerColumn(n_columns, 1, size)
        self.activated = activated

    def forward(self, x: Tensor) -> Tensor:
        """Map numbers (batch, n_columns) to (batch, n_columns, size)."""
        y: Tensor = self.linear(x.unsqueeze(-1))
        return torch.relu(y) if self.activated else y


class PeriodicEmbedding(nn.Module):
    """Sines and cosines of learned frequencies, a linear layer, ReLU.

    Gorishniy et al., NeurIPS 2022, section 3.3, equation 2 ("PLR"): of a number x they are those
    of 2 pi c x, with c drawn from a normal distribution at first.

    Args:
        n_columns: Number of columns.
        size: Length of a vector.
        scale: Standard deviation of the first frequencies.
    """

    def __init__(self, n_columns: int, size: int, scale: float) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(scale * torch.randn(n_columns, N_FREQUENCIES))
        self.linear = _PerColumn(n_columns, 2 * N_FREQUENCIES, size)

    def forward(self, x: Tensor) -> Tensor:
        """Map numbers (batch, n_columns) to (batch, n_columns, size)."""
        angles = 2 * math.pi * self.frequencies * x.unsqueeze(-1)
        waves = torch.cat([angles.cos(), angles.sin()], dim=-1)
        return torch.relu(self.linear(waves))


class PiecewiseEmbedding(nn.Module):
    """How far a number has come through each of its bins, a linear layer, ReLU.

    Gorishniy et al., NeurIPS 2022, section 3.2, equation 1 ("Q-LR"): with the edges b, entry t is
    (x - b[t-1]) / (b[t] - b[t-1]), cut off at 0 but in the first bin, and at 1 but in the last.

    Args:
        bins: For each column the edges of its bins in rising order, at least 2 different ones.
        size: Length of a vector.
    """

    edges: Tensor
    widths: Tensor
    lowest: Tensor
    highest: Tensor

    def __init__(self, bins: Sequence[Sequence[float]], size: int) -> None:
        super().__init__()
        n_bins = max(len(edges) for edges in bins) - 1
        left, width = torch.zeros(len(bins), n_bins), torch.full((len(bins), n_bins), torch.inf)
        low, high = torch.zeros(len(bins), n_bins), torch.zeros(len(bins), n_bins)
        for column, edges in enumerate(bins):
            own = torch.tensor(list(edges))
            n = len(own) - 1
            left[column, :n], width[column, :n] = own[:-1], own.diff()
            high[column, :n] = 1.0
            low[column, 0], high[column, n - 1] = -torch.inf, torch.inf
        self.register_buffer("edges", left)
        self.register_buffer("widths", width)
        self.register_buffer("lowest", low)
        self.register_buffer("highest", high)
        self.linear = _PerColumn(len(bins), n_bins, size)

    def forward(self, x: Tensor) -> Tensor:
        """Map numbers (batch, n_columns) to (batch, n_columns, size)."""
        parts = (x.unsqueeze(-1) - self.edges) / self.widths
        return torch.relu(self.linear(torch.clamp(parts, self.lowest, self.highest)))


class CategoryEmbedding(nn.Module):
    """A learned vector for each category; an unseen or missing one is category 0.

    Args:
        categories: Number of categories of each column, the unseen one included.
        size: Length of a vector.
    """

    offsets: Tensor
    last: Tensor

    def __init__(self, categories: Sequence[int], size: int) -> None:
        super().__init__()
        counts = torch.tensor(list(categories))
        self.register_buffer("offsets", counts.cumsum(0) - counts, persistent=False)
        self.register_buffer("last", counts - 1, persistent=False)
        self.vectors = nn.Embedding(sum(categories), size)
        nn.init.uniform_(self.vectors.weight, -1 / math.sqrt(size), 1 / math.sqrt(size))

    def forward(self, codes: Tensor) -> Tensor:
        """Map codes, whole numbers of any type (batch, n_columns), to (batch, n_columns, size)."""
        known = torch.minimum(codes.long().clamp(min=0), self.last)
        vectors: Tensor = self.vectors(known + self.offsets)
        return vectors
