"""The cell and the network of repeated cells around it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping

import torch
from torch import nn

from lightning_modules.spaces.cell.operations import ReLUConvBN


class Cell(nn.Module):
    """A directed acyclic graph: every node but the first is the sum of its incoming edges.

    Args:
        edges: The module of each edge by its name ``edge_i_j``, from node ``i`` to node ``j``.
            A missing edge contributes nothing, a node without edges is zero, and the highest
            node named is the output. All modules keep the shape (batch, channels, height, width).
        dead: Names of edges from which no path leads to the last node. They keep their place in
            the state, but are never computed and need no gradient.
    """

    def __init__(self, edges: Mapping[str, nn.Module], *, dead: Collection[str] = ()) -> None:
        super().__init__()
        self.edges = nn.ModuleDict(edges)
        for name in dead:
            if name in self.edges:
                self.edges[name].requires_grad_(False)
        self._sorted = [(name, *edge_ends(name)) for name in sorted(edges, key=_by_target)]
        self._dead = frozenset(dead)

    def dead_edges(self) -> Collection[str]:
        """Return the edges that need not be computed."""
        return self._dead

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channels, height, width) to the same shape."""
        dead = self.dead_edges()
        live = [edge for edge in self._sorted if edge[0] not in dead]
        if not live:
            return x * 0.0
        nodes = {0: x}
        for name, source, target in live:
            term = self.edges[name](nodes[source] if source in nodes else x * 0.0)
            nodes[target] = nodes[target] + term if target in nodes else term
        return nodes[target]


class ReductionBlock(nn.Module):
    """The residual block between stages: half the height and width (rounded up).

    Two 3x3 convolutions, the first of stride 2, beside an average pooling and a 1x1 convolution
    (Dong & Yang, ICLR 2020, section 2.1).

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv_a = ReLUConvBN(channels_in, channels_out, 3, stride=2)
        self.conv_b = ReLUConvBN(channels_out, channels_out, 3)
        self.downsample = nn.Sequential(
            OrderedDict(
                pool=nn.AvgPool2d(2, stride=2, ceil_mode=True),
                conv=nn.Conv2d(channels_in, channels_out, 1, bias=False),
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channels_in, h, w) to (batch, channels_out, ceil(h/2), ceil(w/2))."""
        total: torch.Tensor = self.conv_b(self.conv_a(x)) + self.downsample(x)
        return total


class CellNetwork(nn.Module):
    """The skeleton of NAS-Bench-201 (Dong & Yang, ICLR 2020, section 2.1) around any cells.

    A 3x3 convolution with batch normalisation, stages of cells with a
    :class:`ReductionBlock` between them that doubles the channels, then batch normalisation, ReLU,
    global average pooling and a linear classifier. The modules of ``cells`` are numbered through,
    reduction blocks included.

    Args:
        make_cell: Called with the number of channels, once for each cell in order; the cell keeps
            the shape of its input.
        input_shape: (channels, height, width) of an image.
        num_classes: Number of logits.
        channels: Channels of the first stage.
        cells_per_stage: Number of cells in each stage.
        stages: Number of stages.

    Raises:
        ValueError: If a number is less than 1.
    """

    def __init__(
        self,
        make_cell: Callable[[int], nn.Module],
        *,
        input_shape: tuple[int, int, int],
        num_classes: int,
        channels: int = 16,
        cells_per_stage: int = 5,
        stages: int = 3,
    ) -> None:
        super().__init__()
        check_sizes(input_shape, num_classes)
        for name, value in [
            ("channels", channels),
            ("cells_per_stage", cells_per_stage),
            ("stages", stages),
        ]:
            check_positive(name, value)
        self.stem = nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(input_shape[0], channels, 3, padding=1, bias=False),
                norm=nn.BatchNorm2d(channels),
            )
        )
        cells: list[nn.Module] = []
        for stage in range(stages):
            if stage > 0:
                cells.append(ReductionBlock(channels, 2 * channels))
                channels *= 2
            cells += [make_cell(channels) for _ in range(cells_per_stage)]
        self.cells = nn.Sequential(*cells)
        self.norm = nn.BatchNorm2d(channels)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (batch, channels, height, width) to logits (batch, num_classes)."""
        x = torch.relu(self.norm(self.cells(self.stem(x))))
        logits: torch.Tensor = self.classifier(self.pool(x).flatten(1))
        return logits


def edge_ends(edge: str) -> tuple[int, int]:
    """Return (source, target) of ``edge_i_j``."""
    _, source, target = edge.split("_")
    return int(source), int(target)


def _by_target(edge: str) -> tuple[int, int]:
    source, target = edge_ends(edge)
    return target, source


def check_sizes(input_shape: tuple[int, int, int], num_classes: int) -> None:
    """Raise a ValueError unless there are three sizes and a class, each at least 1."""
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise ValueError(
            "Expected argument `input_shape` to be (channels, height, width), each at least 1, "
            f"but got {input_shape}."
        )
    check_positive("num_classes", num_classes)


def check_positive(name: str, value: int) -> None:
    """Raise a ValueError unless ``value`` is at least 1."""
    if value < 1:
        raise ValueError(f"Expected argument `{name}` to be at least 1 but got {value}.")
