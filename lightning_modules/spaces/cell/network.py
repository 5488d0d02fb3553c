"""The cell, and the backbone of repeated cells."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
import re

import torch
from torch import nn
from torch import Tensor

from lightning_modules._checks import check_positive
from lightning_modules.backbone import Backbone
from lightning_modules.backbone import check_input_shape
from lightning_modules.backbone import FeatureMap
from lightning_modules.spaces.cell.operations import make_operation
from lightning_modules.spaces.cell.operations import ReLUConvBN
from optuna_nas import Architecture


_EDGE = re.compile(r"edge_(\d+)_(\d+)")


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

    def forward(self, x: Tensor) -> Tensor:
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

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels_in, h, w) to (batch, channels_out, ceil(h/2), ceil(w/2))."""
        total: Tensor = self.conv_b(self.conv_a(x)) + self.downsample(x)
        return total


class CellBackbone(Backbone):
    """The skeleton of NAS-Bench-201 (Dong & Yang, ICLR 2020, section 2.1) around any cells.

    A 3x3 convolution with batch normalisation, stages of cells with a
    :class:`ReductionBlock` between them that doubles the channels, then batch normalisation, ReLU
    and global average pooling. The modules of ``cells`` are numbered through, reduction blocks
    included. The feature maps are the last of each stage.

    Args:
        make_cell: Called with the number of channels, once for each cell in order; the cell keeps
            the shape of its input.
        input_shape: (channels, height, width) of an image.
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
        channels: int = 16,
        cells_per_stage: int = 5,
        stages: int = 3,
    ) -> None:
        super().__init__()
        check_input_shape(input_shape)
        check_positive("channels", channels)
        check_positive("cells_per_stage", cells_per_stage)
        check_positive("stages", stages)
        self.maps = tuple(FeatureMap(channels * 2**stage, 2**stage) for stage in range(stages))
        self.n_features = self.maps[-1].channels
        self.stem = nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(input_shape[0], channels, 3, padding=1, bias=False),
                norm=nn.BatchNorm2d(channels),
            )
        )
        cells: list[nn.Module] = []
        for stage, (width, _) in enumerate(self.maps):
            if stage > 0:
                cells.append(ReductionBlock(width // 2, width))
            cells += [make_cell(width) for _ in range(cells_per_stage)]
        self.cells = nn.Sequential(*cells)
        self.norm = nn.BatchNorm2d(self.n_features)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.cells(self.stem(x))))
        features: Tensor = self.pool(x).flatten(1)
        return features

    def feature_maps(self, x: Tensor) -> list[Tensor]:
        x, maps = self.stem(x), []
        for cell in self.cells:
            if isinstance(cell, ReductionBlock):
                maps.append(x)
            x = cell(x)
        return [*maps, torch.relu(self.norm(x))]


def build_cell_backbone(
    architecture: Architecture,
    *,
    input_shape: tuple[int, int, int],
    channels: int = 16,
    cells_per_stage: int = 5,
    stages: int = 3,
) -> CellBackbone:
    """Build the :class:`CellBackbone` of a :class:`~optuna_nas.CellSpace` member.

    With the defaults, 3x32x32 images and a linear layer for 10 classes, the number of parameters
    is the published one for every cell, e.g. 1,531,546 for 3x3 convolutions on all edges. An edge
    without a path to the output counts, as published, but is not computed.

    Args:
        architecture: An operation for each decision ``edge_i_j``.
        input_shape: (channels, height, width) of an image; each at least 1.
        channels: Channels of the first stage; each later stage doubles them.
        cells_per_stage: Number of cells in each stage.
        stages: Number of stages.

    Returns:
        The backbone with PyTorch's default initialisation. Parameters have stable names such as
        ``cells.0.edges.edge_0_1.conv.weight``.

    Raises:
        ValueError: If ``architecture`` is not a cell, an operation is unknown, or a number is less
            than 1.

    Example:

        >>> from optuna_nas import CellSpace
        >>> cell = CellSpace().from_string(
        ...     "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"
        ... )
        >>> backbone = build_cell_backbone(cell, input_shape=(3, 32, 32))
        >>> len(backbone.cells), backbone.n_features
        (17, 64)
    """
    operations = {
        name: str(choice) for name, choice in architecture.items() if _EDGE.fullmatch(name)
    }
    if not operations:
        raise ValueError(
            "Expected argument `architecture` to be a cell with decisions like `edge_0_1` "
            f"but got {architecture!r}."
        )
    dead = dead_edges(operations)

    def make_cell(channels: int) -> Cell:
        edges = {
            name: make_operation(operation, channels, channels)
            for name, operation in operations.items()
            if operation != "none"
        }
        return Cell(edges, dead=dead)

    return CellBackbone(
        make_cell,
        input_shape=input_shape,
        channels=channels,
        cells_per_stage=cells_per_stage,
        stages=stages,
    )


def dead_edges(operations: Mapping[str, str]) -> set[str]:
    """Return the edges that do not reach the last node, those with ``none`` included.

    Args:
        operations: The operation of each edge by its name ``edge_i_j``.
    """
    last = max(edge_ends(name)[1] for name in operations)
    reaching = {last}
    for name in sorted(operations, key=edge_ends, reverse=True):
        source, target = edge_ends(name)
        if target in reaching and operations[name] != "none":
            reaching.add(source)
    return {
        name
        for name, operation in operations.items()
        if operation == "none" or edge_ends(name)[1] not in reaching
    }


def edge_ends(edge: str) -> tuple[int, int]:
    """Return (source, target) of ``edge_i_j``."""
    _, source, target = edge.split("_")
    return int(source), int(target)


def _by_target(edge: str) -> tuple[int, int]:
    source, target = edge_ends(edge)
    return target, source
