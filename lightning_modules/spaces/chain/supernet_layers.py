"""Layers of a chain whose width and kernel are parts of the largest ones."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.supernet._gates import Gate
from lightning_modules.supernet._gates import GateBoard
from optuna_nas.spaces import Choice


Choices = Mapping[str, tuple[Choice, ...]]
"""By the name of a decision, its choices."""


class SlicedNorm(nn.BatchNorm2d):
    """Batch normalisation that uses its first channels, as many as the input has."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, n, height, width) to the same shape."""
        n, momentum = x.shape[1], self.momentum
        mean, variance, count = self.running_mean, self.running_var, self.num_batches_tracked
        assert mean is not None
        assert variance is not None
        assert count is not None
        tracks = not self.training or self.track_running_stats
        if self.training and tracks:
            count.add_(1)
            if momentum is None:
                momentum = 1.0 / float(count)
        return F.batch_norm(
            x,
            mean[:n] if tracks else None,
            variance[:n] if tracks else None,
            self.weight[:n] if self.affine else None,
            self.bias[:n] if self.affine else None,
            self.training,
            momentum or 0.0,
            self.eps,
        )


class Gated(nn.Module):
    """A module that looks at the gates of decisions.

    Args:
        prefix: What the names of its decisions begin with.
        choices: The choices of all decisions.
        board: Where the gates are.
    """

    def __init__(self, prefix: str, choices: Choices, board: GateBoard) -> None:
        super().__init__()
        self._prefix = prefix
        self._choices = {n: c for n, c in choices.items() if n.startswith(prefix)}
        self._board = board

    def gate(self, name: str) -> Gate:
        """Return the gate of a decision."""
        return self._board.gates[self._prefix + name]

    def values(self, name: str) -> list[Any]:
        """Return the active choices of a decision."""
        choices = self._choices[self._prefix + name]
        return [choices[i] for i in self.gate(name).active]

    def value(self, name: str) -> Any:
        """Return the active choice of a decision that has one."""
        (value,) = self.values(name)
        return value

    def largest(self, name: str) -> int:
        """Return the largest choice of a decision."""
        return max(int(value) for value in self._choices[self._prefix + name])

    def factor(self, *names: str) -> Tensor | float:
        """Return the product of the weights of decisions with one active choice."""
        total: Tensor | float = 1.0
        for name in names:
            gate = self.gate(name)
            if gate.weights is not None and len(gate.active) == 1:
                total = total * gate.weights[0]
        return total

    def masked(self, name: str, x: Tensor) -> Tensor:
        """Weigh channels (axis 1) by the weights of all active widths that have them."""
        gate = self.gate(name)
        if gate.weights is None or len(gate.active) == 1:
            return x
        widths = torch.tensor(self.values(name), device=x.device)
        holds = torch.arange(x.shape[1], device=x.device) < widths[:, None]
        mask = gate.weights.to(x.dtype) @ holds.to(x.dtype)
        return x * mask.reshape(1, -1, *[1] * (x.ndim - 2))


class ChainLayer(Gated):
    """A convolution with its normalisation and ReLU, or a pooling.

    Args:
        number: Its place in the chain, from 1.
        choices: The choices of all decisions.
        board: Where the gates are.
        channels_in: Largest number of channels of the input.
        affine: Whether the normalisation has learned weights.
    """

    def __init__(
        self, number: int, choices: Choices, board: GateBoard, channels_in: int, affine: bool
    ) -> None:
        super().__init__(f"layer_{number}_", choices, board)
        if "conv" in choices[f"layer_{number}_type"]:
            width = self.largest("filters")
            self.conv = nn.Conv2d(channels_in, width, self.largest("kernel_size"), bias=False)
            self.norm = SlicedNorm(width, affine=affine)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | float]:
        """Return the output, and the product of the weights of single choices."""
        if self.value("type") == "conv":
            y = torch.relu(self.norm(self._convolve(x)))
            return self.masked("filters", y), self.factor("type", "filters", "kernel_size")
        return self._pool(x), self.factor("type", "pooling", "pool_size")

    def kernel(self, filters: int, channels_in: int, size: int) -> Tensor:
        """Return the first channels and the centre of the largest kernel."""
        margin = (self.conv.kernel_size[0] - size) // 2
        centre = slice(margin, margin + size)
        return self.conv.weight[:filters, :channels_in, centre, centre]

    def _convolve(self, x: Tensor) -> Tensor:
        """Convolve with the weighted sum of the active kernels, which is that of their outputs."""
        gate, sizes = self.gate("kernel_size"), self.values("kernel_size")
        width, channels, largest = max(self.values("filters")), x.shape[1], max(sizes)
        kernel = self.kernel(width, channels, largest)
        if gate.weights is not None and len(sizes) > 1:
            kernel = torch.zeros_like(kernel)
            for weight, size in zip(gate.weights, sizes, strict=True):
                part = self.kernel(width, channels, size)
                kernel = kernel + weight * F.pad(part, [(largest - size) // 2] * 4)
        return F.conv2d(x, kernel, padding=largest // 2)

    def _pool(self, x: Tensor) -> Tensor:
        size, gate, total = self.value("pool_size"), self.gate("pooling"), None
        for k, pooling in enumerate(self.values("pooling")):
            pool = F.max_pool2d if pooling == "max" else F.avg_pool2d
            term: Tensor = pool(x, size, ceil_mode=True)
            if gate.weights is not None and len(gate.active) > 1:
                term = term * gate.weights[k]
            total = term if total is None else total + term
        assert total is not None
        return total


class ChainDense(Gated):
    """The fully connected layers, and the feature vector: first a pooled map, then units.

    A path fills one of the two with the first of its channels or units; all else is zero.

    Args:
        choices: The choices of all decisions.
        board: Where the gates are.
        channels: Largest number of channels of the map.
        sizes: The (height, width) that the map can have.
    """

    def __init__(
        self,
        choices: Choices,
        board: GateBoard,
        channels: int,
        sizes: Sequence[tuple[int, int]],
    ) -> None:
        super().__init__("dense_", choices, board)
        depth = self.largest("depth")
        units = [self.largest(f"{i}_units") for i in range(1, depth + 1)]
        self._n_pooled = channels if 0 in choices["dense_depth"] else 0
        self.n_features = self._n_pooled + max(units, default=0)
        self.first = nn.ModuleDict(
            {f"{h}x{w}": nn.Linear(channels * h * w, units[0]) for h, w in sizes if depth}
        )
        self.later = nn.ModuleDict(
            {f"dense_{i + 1}": nn.Linear(units[i - 1], units[i]) for i in range(1, depth)}
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, n, height, width) to features (batch, n_features)."""
        gate, depths = self.gate("depth"), self.values("depth")
        y, total, factor = x, None, self.factor("depth")
        for depth in range(max(depths) + 1):
            if depth:
                width = max(self.values(f"{depth}_units"))
                y = torch.relu(F.linear(y.flatten(1), *self.weights(depth, width, y.shape[1:])))
                y = self.masked(f"{depth}_units", y)
                factor = factor * self.factor(f"{depth}_units")
            if depth in depths:
                vector = y if depth else F.adaptive_avg_pool2d(y, 1).flatten(1)
                columns = self.columns(depth, vector.shape[1])
                end = self.n_features - columns.stop
                features = F.pad(vector, (columns.start, end)) * factor
                if gate.weights is not None and len(depths) > 1:
                    features = features * gate.weights[depths.index(depth)]
                total = features if total is None else total + features
        assert total is not None
        return total

    def weights(self, number: int, units: int, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return weight and bias of a fully connected layer for an input of a shape.

        Args:
            number: Counted from 1.
            units: Number of units.
            shape: (channels, height, width) for the first layer, (units,) for the others.
        """
        if number > 1:
            layer: Any = self.later[f"dense_{number}"]
            return layer.weight[:units, : shape[0]], layer.bias[:units]
        _, height, width = shape
        layer = self.first[f"{height}x{width}"]
        weight = layer.weight.unflatten(1, (-1, height, width))
        return weight[:units, : shape[0]].flatten(1), layer.bias[:units]

    def columns(self, depth: int, width: int) -> slice:
        """Return where the features stand behind so many layers, of which the last is so wide."""
        start = self._n_pooled if depth else 0
        return slice(start, start + width)
