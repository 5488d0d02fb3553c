"""MLP, ResNet and FT-Transformer for tables (Gorishniy et al., NeurIPS 2021)."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

import torch
from torch import nn
from torch import Tensor

from lightning_modules._checks import check_positive
from lightning_modules.backbone import Backbone
from lightning_modules.spaces.tabular.embeddings import CategoryEmbedding
from lightning_modules.spaces.tabular.embeddings import LinearEmbedding
from lightning_modules.spaces.tabular.embeddings import PeriodicEmbedding
from lightning_modules.spaces.tabular.embeddings import PiecewiseEmbedding
from optuna_nas import Architecture


_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}
_CATEGORY_SIZE = 8
"""Length of a category's vector in MLP and ResNet."""
_HEADS = 8
_FFN_FACTOR = 4 / 3
"""Hidden units of a transformer's feed-forward part for each unit of a token (section 3.3)."""


class TableBackbone(Backbone):
    """Takes rows of a table: numbers, then codes of categories.

    Args:
        columns: Turns rows into what ``body`` takes.
        body: Maps it to features (batch, n_features).
        n_features: Length of the feature vector.
    """

    def __init__(self, columns: nn.Module, body: nn.Module, n_features: int) -> None:
        super().__init__()
        self.columns = columns
        self.body = body
        self.n_features = n_features

    def forward(self, x: Tensor) -> Tensor:
        """Map rows (batch, n_numbers + n_categories) to features (batch, n_features)."""
        features: Tensor = self.body(self.columns(x))
        return features


class Columns(nn.Module):
    """The columns of a row as vectors.

    Args:
        n_numbers: Number of leading columns that are numbers.
        numbers: Their embedding, or None for the numbers as they are.
        categories: The embedding of the others, or None if there are none.
        flat: Whether the vectors are joined into one.
    """

    def __init__(
        self,
        n_numbers: int,
        numbers: nn.Module | None,
        categories: nn.Module | None,
        *,
        flat: bool,
    ) -> None:
        super().__init__()
        self.n_numbers = n_numbers
        self.numbers = numbers
        self.categories = categories
        self.flat = flat

    def forward(self, x: Tensor) -> Tensor:
        """Map rows (batch, columns) to (batch, columns, size), or if flat to (batch, size)."""
        parts: list[Tensor] = []
        if self.n_numbers:
            numbers = x[:, : self.n_numbers]
            parts.append(numbers if self.numbers is None else self.numbers(numbers))
        if self.categories is not None:
            parts.append(self.categories(x[:, self.n_numbers :]))
        if self.flat:
            return torch.cat([part.flatten(1) for part in parts], dim=1)
        return torch.cat(parts, dim=1)


class ResidualBlock(nn.Module):
    """Normalisation, a layer of twice the width, activation, a layer back, added to the input.

    Section 3.2, with a hidden factor of 2.

    Args:
        width: Units.
        normalisation: ``"none"``, ``"batch"`` or ``"layer"``.
        activation: ``"relu"``, ``"gelu"`` or ``"silu"``.
        dropout: Probability of dropping a hidden unit, in [0, 1).
    """

    def __init__(self, width: int, normalisation: str, activation: str, dropout: float) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            _norm(normalisation, width),
            nn.Linear(width, 2 * width),
            _ACTIVATIONS[activation](),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, width) to the same shape."""
        y: Tensor = self.branch(x)
        return x + y


class TransformerBlock(nn.Module):
    """Attention among the tokens of a row, then a gated feed-forward part, both pre-normalised.

    Section 3.3; the gate is ReGLU (Shazeer, 2020, arXiv:2002.05202).

    Args:
        size: Length of a token.
        dropout: Probability of dropping an attention weight or a hidden unit, in [0, 1).
        first: Whether it is the first block, which goes without the first normalisation.
    """

    def __init__(self, size: int, dropout: float, *, first: bool) -> None:
        super().__init__()
        hidden = int(size * _FFN_FACTOR)
        self.norm_1 = nn.Identity() if first else nn.LayerNorm(size)
        self.qkv = nn.Linear(size, 3 * size)
        self.out = nn.Linear(size, size)
        self.norm_2 = nn.LayerNorm(size)
        self.up = nn.Linear(size, 2 * hidden)
        self.drop = nn.Dropout(dropout)
        self.down = nn.Linear(hidden, size)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (batch, n, size) to the same shape."""
        batch, n, size = x.shape
        qkv = self.qkv(self.norm_1(x)).reshape(batch, n, 3, _HEADS, size // _HEADS)
        queries, keys, values = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = nn.functional.scaled_dot_product_attention(
            queries, keys, values, dropout_p=self.dropout if self.training else 0.0
        )
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, n, size))
        gate, value = self.up(self.norm_2(x)).chunk(2, dim=-1)
        y: Tensor = self.down(self.drop(torch.relu(gate) * value))
        return x + y


class FTTransformer(nn.Module):
    """Blocks over the tokens of a row and one more, whose last state is the row's.

    Args:
        size: Length of a token.
        depth: Number of blocks.
        dropout: Of the blocks.
    """

    def __init__(self, size: int, depth: int, dropout: float) -> None:
        super().__init__()
        self.row = nn.Parameter(torch.empty(size))
        nn.init.uniform_(self.row, -(size**-0.5), size**-0.5)
        self.blocks = nn.Sequential(
            *(TransformerBlock(size, dropout, first=i == 0) for i in range(depth))
        )
        self.norm = nn.LayerNorm(size)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (batch, n, size) to (batch, size)."""
        row = self.row.expand(len(tokens), 1, -1)
        out: Tensor = self.blocks(torch.cat([row, tokens], dim=1))[:, 0]
        return torch.relu(self.norm(out))


def build_table_backbone(
    architecture: Architecture,
    *,
    input_shape: tuple[int, ...],
    categories: Sequence[int] = (),
    bins: Sequence[Sequence[float]] = (),
) -> TableBackbone:
    """Build the backbone of a :class:`~optuna_nas.spaces.TabularSpace` member.

    Args:
        architecture: The decisions.
        input_shape: (columns,) of a row.
        categories: For each of the last columns its number of categories, 0 for unseen ones
            included; the columns before are numbers.
        bins: For each number the edges of its bins, which a piecewise embedding needs.

    Returns:
        A backbone for float rows (batch, columns).

    Raises:
        ValueError: If there are more categories than columns, or bins are missing.

    Example:

        >>> from optuna_nas.spaces import TabularSpace
        >>> mlp = TabularSpace(families=["mlp"], embeddings=["none"]).complete({"width": 64})
        >>> build_table_backbone(mlp, input_shape=(5,), categories=[3]).n_features
        64
    """
    (n_columns,) = input_shape
    check_positive("input_shape", n_columns)
    n_numbers = n_columns - len(categories)
    if n_numbers < 0:
        raise ValueError(
            f"Expected argument `categories` to be at most {n_columns} columns but got "
            f"{len(categories)}."
        )
    dropout = float(architecture["dropout"])
    if architecture["family"] == "ft-transformer":
        size = int(architecture["token_size"])
        columns = Columns(
            n_numbers,
            _numbers(architecture, n_numbers, size, bins, tokens=True),
            CategoryEmbedding(categories, size) if categories else None,
            flat=False,
        )
        return TableBackbone(
            columns, FTTransformer(size, int(architecture["layers"]), dropout), size
        )
    size = int(architecture.get("embedding_size", 1))
    columns = Columns(
        n_numbers,
        _numbers(architecture, n_numbers, size, bins, tokens=False),
        CategoryEmbedding(categories, _CATEGORY_SIZE) if categories else None,
        flat=True,
    )
    n_in, width = n_numbers * size + len(categories) * _CATEGORY_SIZE, int(architecture["width"])
    make = _resnet if architecture["family"] == "resnet" else _mlp
    layers = make(
        n_in,
        width,
        int(architecture["depth"]),
        str(architecture["normalisation"]),
        str(architecture["activation"]),
        dropout,
    )
    return TableBackbone(columns, layers, width)


def optimiser_settings(architecture: Architecture) -> dict[str, float]:
    """Return the decisions of a member that are arguments of the training."""
    names = ("learning_rate", "weight_decay")
    return {name: float(architecture[name]) for name in names if name in architecture}


def _numbers(
    architecture: Architecture,
    n_numbers: int,
    size: int,
    bins: Sequence[Sequence[float]],
    *,
    tokens: bool,
) -> nn.Module | None:
    """Return the embedding of the numbers; tokens of a transformer always have one."""
    kind = architecture["embedding"]
    if not n_numbers or (kind == "none" and not tokens):
        return None
    if kind == "periodic":
        return PeriodicEmbedding(n_numbers, size, float(architecture["frequency_scale"]))
    if kind == "piecewise":
        if len(bins) != n_numbers:
            raise ValueError(
                f"Expected argument `bins` to be the edges of {n_numbers} columns but got those "
                f"of {len(bins)}."
            )
        return PiecewiseEmbedding(bins, size)
    return LinearEmbedding(n_numbers, size, activated=kind == "linear")


def _mlp(
    n_in: int, width: int, depth: int, normalisation: str, activation: str, dropout: float
) -> nn.Module:
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [
            nn.Linear(width if i else n_in, width),
            _norm(normalisation, width),
            _ACTIVATIONS[activation](),
            nn.Dropout(dropout),
        ]
    return nn.Sequential(*layers)


def _resnet(
    n_in: int, width: int, depth: int, normalisation: str, activation: str, dropout: float
) -> nn.Module:
    return nn.Sequential(
        nn.Linear(n_in, width),
        *(ResidualBlock(width, normalisation, activation, dropout) for _ in range(depth)),
        _norm(normalisation, width),
        _ACTIVATIONS[activation](),
    )


def _norm(name: str, width: int) -> nn.Module:
    if name == "batch":
        return nn.BatchNorm1d(width)
    return nn.LayerNorm(width) if name == "layer" else nn.Identity()
