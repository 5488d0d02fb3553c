"""The backbone of normal and reduction cells with two inputs, and its builder."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

import torch
from torch import nn
from torch import Tensor

from lightning_modules._checks import check_positive
from lightning_modules.backbone import Backbone
from lightning_modules.backbone import check_input_shape
from lightning_modules.backbone import FeatureMap
from lightning_modules.spaces.cell.operations import FactorizedReduce
from lightning_modules.spaces.cell.operations import ReLUConvBN
from lightning_modules.spaces.darts.operations import CELL_OPERATIONS
from optuna_nas import Architecture
from optuna_nas.spaces import darts_cells
from optuna_nas.spaces import DartsCellGenotype


MakeEdges = Callable[[int, bool], Mapping[str, nn.Module]]
"""From (channels, whether it is a reduction cell) to the modules of a cell's edges by name."""


class DartsCell(nn.Module):
    """A cell of two inputs: nodes are sums of their edges, the output joins some of the nodes.

    Args:
        preprocess_0: Brings the older input to the cell's channels, height and width.
        preprocess_1: The same for the newer input.
        edges: The module of each edge by its name ``edge_i_j``, from node ``i`` to node ``j``; a
            second edge between the same nodes is ``edge_i_j_b``. Nodes 0 and 1 are the inputs.
            A supernet hands in mixed operations on all edges instead.
        concat: Nodes whose maps are joined along the channels.
    """

    def __init__(
        self,
        preprocess_0: nn.Module,
        preprocess_1: nn.Module,
        edges: Mapping[str, nn.Module],
        concat: Sequence[int],
    ) -> None:
        super().__init__()
        self.preprocess_0 = preprocess_0
        self.preprocess_1 = preprocess_1
        self.edges = nn.ModuleDict(edges)
        ends = [(name, *_edge_ends(name)) for name in edges]
        self._order = sorted(ends, key=lambda edge: (edge[2], edge[1], edge[0]))
        self._concat = tuple(concat)

    def forward(self, older: Tensor, newer: Tensor) -> Tensor:
        """Map the outputs of the two cells before to (batch, len(concat) * channels, h, w)."""
        nodes = {0: self.preprocess_0(older), 1: self.preprocess_1(newer)}
        for name, source, target in self._order:
            term = self.edges[name](nodes[source])
            nodes[target] = nodes[target] + term if target in nodes else term
        return torch.cat([nodes[node] for node in self._concat], dim=1)


class DartsBackbone(Backbone):
    """The CIFAR network of DARTS (Liu et al., ICLR 2019, section 3.2) around any cells.

    A 3x3 convolution to ``3 * channels`` with batch normalisation, ``cells`` cells, of which those
    at one and two thirds of the depth halve height and width (rounded up) and double the channels,
    and global average pooling. There is no auxiliary head and no drop path. The feature maps are
    the last of each size.

    Args:
        make_edges: Called once for each cell in order.
        concat: The joined nodes of the ``"normal"`` and of the ``"reduce"`` cell.
        input_shape: (channels, height, width) of an image.
        channels: Channels of a node in the first cells.
        cells: Number of cells.

    Raises:
        ValueError: If a number is less than 1.
    """

    def __init__(
        self,
        make_edges: MakeEdges,
        concat: Mapping[str, Sequence[int]],
        *,
        input_shape: tuple[int, int, int],
        channels: int = 16,
        cells: int = 8,
    ) -> None:
        super().__init__()
        check_input_shape(input_shape)
        check_positive("channels", channels)
        check_positive("cells", cells)
        older = newer = 3 * channels
        self.stem = nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(input_shape[0], newer, 3, padding=1, bias=False),
                norm=nn.BatchNorm2d(newer),
            )
        )
        self.cells = nn.ModuleList()
        self._reductions = (cells // 3, 2 * cells // 3)
        stride, widths = 1, {1: newer}
        after_reduction = False
        for i in range(cells):
            reduction = i in self._reductions
            stride *= 2 if reduction else 1
            channels *= 2 if reduction else 1
            cell = DartsCell(
                FactorizedReduce(older, channels)
                if after_reduction
                else ReLUConvBN(older, channels, 1),
                ReLUConvBN(newer, channels, 1),
                make_edges(channels, reduction),
                concat["reduce" if reduction else "normal"],
            )
            self.cells.append(cell)
            joined = concat["reduce" if reduction else "normal"]
            older, newer = newer, len(joined) * channels
            after_reduction = reduction
            widths[stride] = newer
        self.maps = tuple(FeatureMap(width, stride) for stride, width in widths.items())
        self.n_features = newer
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        older = newer = self.stem(x)
        for cell in self.cells:
            older, newer = newer, cell(older, newer)
        features: Tensor = self.pool(newer).flatten(1)
        return features

    def feature_maps(self, x: Tensor) -> list[Tensor]:
        older = newer = self.stem(x)
        maps = []
        for i, cell in enumerate(self.cells):
            if i in self._reductions:
                maps.append(newer)
            older, newer = newer, cell(older, newer)
        return [*maps, newer]


def build_darts_backbone(
    architecture: Architecture,
    *,
    input_shape: tuple[int, int, int],
    channels: int = 16,
    cells: int = 8,
) -> DartsBackbone:
    """Build the :class:`DartsBackbone` of a :class:`~optuna_nas.DartsSpace` member.

    With 36 channels and 20 cells on 3x32x32 images it is the network of the papers' CIFAR-10
    results.

    Args:
        architecture: The decisions of both cells.
        input_shape: (channels, height, width) of an image; each at least 1.
        channels: Channels of a node in the first cells.
        cells: Number of cells.

    Returns:
        The backbone with PyTorch's default initialisation. Parameters have stable names such as
        ``cells.0.edges.edge_0_2.units.unit_1.depthwise.weight``.

    Raises:
        ValueError: If ``architecture`` has no such cells, an operation is unknown, or a number is
            less than 1.

    Example:

        >>> from optuna_nas import DartsSpace
        >>> from optuna_nas.spaces import DARTS_V2
        >>> architecture = DartsSpace().from_string(DARTS_V2)
        >>> backbone = build_darts_backbone(architecture, input_shape=(1, 28, 28))
        >>> list(backbone.cells[0].edges)[:3], backbone.n_features
        (['edge_0_2', 'edge_1_2', 'edge_0_3'], 256)
    """
    try:
        genotypes = darts_cells(architecture)
    except KeyError as error:
        raise ValueError(
            "Expected argument `architecture` to have decisions like `normal_2_inputs` "
            f"but got {architecture!r}."
        ) from error

    def make_edges(channels: int, reduction: bool) -> dict[str, nn.Module]:
        genotype = genotypes["reduce" if reduction else "normal"]
        return {
            name: _make_operation(operation, channels, 2 if reduction and source < 2 else 1)
            for name, operation, source in _named_edges(genotype)
        }

    return DartsBackbone(
        make_edges,
        {name: genotype.concat for name, genotype in genotypes.items()},
        input_shape=input_shape,
        channels=channels,
        cells=cells,
    )


def _named_edges(genotype: DartsCellGenotype) -> Iterator[tuple[str, str, int]]:
    """Yield (name, operation, source) of each edge."""
    for node, edges in enumerate(genotype.nodes, start=2):
        (first_operation, first), (second_operation, second) = edges
        yield f"edge_{first}_{node}", first_operation, first
        twin = "_b" if first == second else ""
        yield f"edge_{second}_{node}{twin}", second_operation, second


def _make_operation(name: str, channels: int, stride: int) -> nn.Module:
    factory = CELL_OPERATIONS.get(name)
    if factory is None:
        raise ValueError(
            f"Expected argument `architecture` to have operations of {list(CELL_OPERATIONS)} "
            f"but got {name!r}."
        )
    return factory(channels, channels, stride)


def _edge_ends(edge: str) -> tuple[int, int]:
    """Return (source, target) of ``edge_i_j`` or ``edge_i_j_b``."""
    source, target = edge.split("_")[1:3]
    return int(source), int(target)
