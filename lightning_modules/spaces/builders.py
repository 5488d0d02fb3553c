"""From an architecture to its network: cells in their skeleton, and chains of layers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Mapping
import re
from typing import Any

from torch import nn

from lightning_modules.spaces.cell.cells import Cell
from lightning_modules.spaces.cell.cells import CellNetwork
from lightning_modules.spaces.cell.cells import check_sizes
from lightning_modules.spaces.cell.cells import edge_ends
from lightning_modules.spaces.cell.operations import make_operation
from lightning_modules.spaces.darts.network import build_darts_network
from lightning_modules.spaces.mobile.network import build_mobile_network
from optuna_nas import Architecture
from optuna_nas.spaces import chain_layers


_EDGE = re.compile(r"edge_(\d+)_(\d+)")


def build_cell_network(
    architecture: Architecture,
    *,
    input_shape: tuple[int, int, int],
    num_classes: int,
    channels: int = 16,
    cells_per_stage: int = 5,
    stages: int = 3,
) -> CellNetwork:
    """Build the network of a :class:`~optuna_nas.CellSpace` member; see :class:`CellNetwork`.

    With the defaults, 3x32x32 images and 10 classes, the number of parameters is the published
    one for every cell, e.g. 1,531,546 for 3x3 convolutions on all edges. An edge without a path
    to the output counts, as published, but is not computed.

    Args:
        architecture: An operation for each decision ``edge_i_j``.
        input_shape: (channels, height, width) of an image; each at least 1.
        num_classes: Number of logits.
        channels: Channels of the first stage; each later stage doubles them.
        cells_per_stage: Number of cells in each stage.
        stages: Number of stages.

    Returns:
        A network from (batch, channels, height, width) to logits (batch, num_classes), with
        PyTorch's default initialisation. Parameters have stable names such as
        ``cells.0.edges.edge_0_1.conv.weight``.

    Raises:
        ValueError: If ``architecture`` is not a cell, an operation is unknown, or a number is less
            than 1.

    Example:

        >>> from optuna_nas import CellSpace
        >>> cell = CellSpace().from_string(
        ...     "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"
        ... )
        >>> network = build_cell_network(cell, input_shape=(3, 32, 32), num_classes=10)
        >>> len(network.cells), network.classifier
        (17, Linear(in_features=64, out_features=10, bias=True))
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

    return CellNetwork(
        make_cell,
        input_shape=input_shape,
        num_classes=num_classes,
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


def build_chain_network(
    architecture: Architecture, *, input_shape: tuple[int, int, int], num_classes: int
) -> nn.Sequential:
    """Build the network of a :class:`~optuna_nas.ChainSpace` member.

    A convolution keeps height and width and is followed by batch normalisation and ReLU. A pooling
    divides them by its size, rounded up, so that any depth fits any image. The map is flattened if
    fully connected layers follow, each with ReLU; without any, it is averaged over height and
    width. A linear classifier comes last.

    Args:
        architecture: The decisions of a chain; see :func:`~optuna_nas.spaces.chain_layers`.
        input_shape: (channels, height, width) of an image; each at least 1.
        num_classes: Number of logits.

    Returns:
        A network from (batch, channels, height, width) to logits (batch, num_classes), with the
        children ``features``, ``dense`` and ``classifier``.

    Raises:
        ValueError: If ``architecture`` is not a chain or a number is less than 1.

    Example:

        >>> from optuna_nas import ChainSpace
        >>> chain = ChainSpace().from_string("C8k3-Smax2-O32")
        >>> network = build_chain_network(chain, input_shape=(1, 28, 28), num_classes=10)
        >>> network.dense.dense_1
        Linear(in_features=1568, out_features=32, bias=True)
    """
    check_sizes(input_shape, num_classes)
    try:
        layers = chain_layers(architecture)
    except KeyError as error:
        raise ValueError(
            "Expected argument `architecture` to be a chain with decisions like `layer_1_type` "
            f"but got {architecture!r}."
        ) from error
    channels, height, width = input_shape
    features: OrderedDict[str, nn.Module] = OrderedDict()
    units = [layer["units"] for layer in layers if layer["type"] == "dense"]
    for i, layer in enumerate((layer for layer in layers if layer["type"] != "dense"), start=1):
        if layer["type"] == "conv":
            features[f"layer_{i}"] = _conv(channels, layer["filters"], layer["kernel_size"])
            channels = layer["filters"]
        else:
            size = layer["pool_size"]
            features[f"layer_{i}"] = _pool(layer["pooling"], size)
            height, width = -(-height // size), -(-width // size)
    if not units:
        features["pool"] = nn.AdaptiveAvgPool2d(1)
        height = width = 1
    n_features = channels * height * width
    return nn.Sequential(
        OrderedDict(
            features=nn.Sequential(features),
            flatten=nn.Flatten(),
            dense=_dense([n_features, *units]),
            classifier=nn.Linear(units[-1] if units else n_features, num_classes),
        )
    )


def _conv(channels_in: int, channels_out: int, kernel_size: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(
                channels_in, channels_out, kernel_size, padding=kernel_size // 2, bias=False
            ),
            norm=nn.BatchNorm2d(channels_out),
            relu=nn.ReLU(inplace=True),
        )
    )


def _pool(pooling: str, size: int) -> nn.Module:
    if pooling == "max":
        return nn.MaxPool2d(size, ceil_mode=True)
    return nn.AvgPool2d(size, ceil_mode=True)


def _dense(units: list[int]) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (n_in, n_out) in enumerate(zip(units, units[1:], strict=False), start=1):
        layers[f"dense_{i}"] = nn.Linear(n_in, n_out)
        layers[f"relu_{i}"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)


BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "cell": build_cell_network,
    "chain": build_chain_network,
    "darts": build_darts_network,
    "mobile": build_mobile_network,
}
"""Builders by the name of the search space; a space of your own can be added."""


def build_network(architecture: Architecture, **arguments: Any) -> nn.Module:
    """Build a network with the builder that :data:`BUILDERS` has for the architecture's space.

    Args:
        architecture: An architecture of a known search space.
        arguments: Arguments of the builder, ``input_shape`` and ``num_classes`` at least.

    Raises:
        ValueError: If there is no builder for ``architecture.space``.
    """
    builder = BUILDERS.get(architecture.space)
    if builder is None:
        raise ValueError(
            f"Expected argument `architecture` to be of the search spaces {sorted(BUILDERS)} "
            f"but got one of {architecture.space!r}; add its builder to `BUILDERS`."
        )
    return builder(architecture, **arguments)
