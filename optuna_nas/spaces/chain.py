"""A chain of convolution, pooling and fully connected layers of variable depth."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import re
from types import MappingProxyType
from typing import Any
from typing import TYPE_CHECKING

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution

from optuna_nas.spaces._architecture import Architecture
from optuna_nas.spaces._architecture import Choice
from optuna_nas.spaces._choices import check_countable
from optuna_nas.spaces._choices import default_choice
from optuna_nas.spaces._encoding import path_graph
from optuna_nas.spaces._encoding import read_path_graph
from optuna_nas.spaces._space import SearchSpace


if TYPE_CHECKING:
    import networkx as nx


_TOKENS = {
    "conv": re.compile(r"C(?P<filters>[0-9]{1,9})?(?:k(?P<kernel_size>[0-9]{1,9}))?"),
    "pool": re.compile(r"S(?P<pooling>max|avg)?(?P<pool_size>[0-9]{1,9})?"),
    "dense": re.compile(r"O(?P<units>[0-9]{1,9})?"),
}
_PARTS = {"conv": ("filters", "kernel_size"), "pool": ("pooling", "pool_size")}


class ChainSpace(SearchSpace):
    """Convolution and pooling layers, then fully connected layers, both of variable number.

    The decisions are ``depth`` (number of convolution and pooling layers), for each layer
    ``layer_i_type`` (``conv`` or ``pool``) and, by type, ``layer_i_filters`` and
    ``layer_i_kernel_size`` or ``layer_i_pooling`` and ``layer_i_pool_size``, then
    ``dense_depth`` and ``dense_i_units``. The classifier behind the last layer is not part of the
    architecture.

    The string encoding joins layers with ``-``: ``C32k3`` is a convolution with 32 filters and
    kernel size 3, ``Smax2`` a maximum pooling of size 2 (``Savg2``: average), ``O128`` a fully
    connected layer of 128 units. A number that is left out takes the middle choice of the space
    (the lower of two), so ``C-C-S-O`` is an architecture, too.

    Args:
        max_depth: Largest number of convolution and pooling layers; the smallest is 1.
        filters: Candidate numbers of filters of a convolution.
        kernel_sizes: Candidate kernel sizes of a convolution; odd, so that the padding is even.
        poolings: Candidate poolings, of ``"max"`` and ``"avg"``.
        pool_sizes: Candidate sizes (and strides) of a pooling.
        max_dense_depth: Largest number of fully connected layers; the smallest is 0.
        units: Candidate numbers of units of a fully connected layer.

    Raises:
        ValueError: If a number is out of range or a list of candidates is empty.

    Example:

        >>> space = ChainSpace()
        >>> architecture = space.from_string("C-C32k5-S-O")
        >>> space.to_string(architecture)
        'C16k3-C32k5-Smax2-O64'
        >>> architecture["layer_2_filters"]
        32
    """

    def __init__(
        self,
        *,
        max_depth: int = 6,
        filters: Sequence[int] = (8, 16, 32, 64),
        kernel_sizes: Sequence[int] = (3, 5),
        poolings: Sequence[str] = ("max", "avg"),
        pool_sizes: Sequence[int] = (2,),
        max_dense_depth: int = 2,
        units: Sequence[int] = (32, 64, 128),
    ) -> None:
        _check_candidates("filters", filters)
        _check_candidates("kernel_sizes", kernel_sizes, odd=True)
        _check_candidates("pool_sizes", pool_sizes)
        _check_candidates("units", units)
        if max_depth < 1:
            raise ValueError(
                f"Expected argument `max_depth` to be at least 1 but got {max_depth}."
            )
        if max_dense_depth < 0:
            raise ValueError(
                f"Expected argument `max_dense_depth` to be at least 0 but got {max_dense_depth}."
            )
        if tuple(poolings) not in (("max",), ("avg",), ("max", "avg"), ("avg", "max")):
            raise ValueError(
                'Expected argument `poolings` to be "max" or "avg" or both, each once, '
                f"but got {list(poolings)}."
            )
        self.max_depth = max_depth
        self.max_dense_depth = max_dense_depth
        self._layer: dict[str, BaseDistribution] = {
            "type": CategoricalDistribution(("conv", "pool")),
            "filters": CategoricalDistribution(tuple(filters)),
            "kernel_size": CategoricalDistribution(tuple(kernel_sizes)),
            "pooling": CategoricalDistribution(tuple(poolings)),
            "pool_size": CategoricalDistribution(tuple(pool_sizes)),
        }
        self._units = CategoricalDistribution(tuple(units))
        self._distributions = self._all_decisions()
        check_countable(self._distributions)

    def _all_decisions(self) -> dict[str, BaseDistribution]:
        decisions: dict[str, BaseDistribution] = {"depth": IntDistribution(1, self.max_depth)}
        for i in range(1, self.max_depth + 1):
            decisions |= {f"layer_{i}_{part}": dist for part, dist in self._layer.items()}
        decisions["dense_depth"] = IntDistribution(0, self.max_dense_depth)
        for i in range(1, self.max_dense_depth + 1):
            decisions[f"dense_{i}_units"] = self._units
        return decisions

    @property
    def name(self) -> str:
        return "chain"

    @property
    def distributions(self) -> Mapping[str, BaseDistribution]:
        return MappingProxyType(self._distributions)

    def is_active(self, name: str, params: Mapping[str, Choice]) -> bool:
        if name in ("depth", "dense_depth"):
            return True
        kind, number, part = name.split("_", 2)
        if kind == "dense":
            return int(params["dense_depth"]) >= int(number)
        if part == "type":
            return int(params["depth"]) >= int(number)
        return part in _PARTS.get(str(params.get(f"layer_{number}_type")), ())

    def to_string(self, architecture: Architecture) -> str:
        """Return the explicit form, e.g. ``C32k3-C64k5-Smax2-O128``."""
        layers = self.layers(self.require_member(architecture))
        return "-".join(_write_layer(layer) for layer in layers)

    def layers(self, architecture: Architecture) -> list[dict[str, Any]]:
        """Return the layers in order, without the prefix of their decisions.

        Returns:
            One dict a layer: ``type`` is ``conv`` with ``filters`` and ``kernel_size``, ``pool``
            with ``pooling`` and ``pool_size``, or ``dense`` with ``units``.
        """
        return chain_layers(architecture)

    def from_string(self, text: str) -> Architecture:
        """Read the shorthand, from the bare ``C-C-S-O`` to the explicit ``C32k3-Smax2-O128``.

        Raises:
            ValueError: If a layer is malformed, a fully connected layer comes before another
                kind, there are too many layers, or a number is not a choice of the space.
        """
        layers = [self._read_layer(token, text) for token in text.strip().split("-")]
        return self._from_layers(layers, f"argument `text` ({text!r})")

    def _read_layer(self, token: str, text: str) -> dict[str, Any]:
        for layer_type, pattern in _TOKENS.items():
            match = pattern.fullmatch(token.strip())
            if match is None:
                continue
            layer: dict[str, Any] = {"type": layer_type}
            for part, value in match.groupdict().items():
                dist = self._units if part == "units" else self._layer[part]
                if value is None:
                    layer[part] = default_choice(dist)
                else:
                    layer[part] = int(value) if value.isdigit() else value
            return layer
        raise ValueError(
            "Expected argument `text` to be layers like `C32k3` (convolution), `Smax2` (pooling) "
            f"or `O128` (fully connected) joined by `-` but got {token!r} in {text!r}."
        )

    def _from_layers(self, layers: Sequence[Mapping[str, Any]], what: str) -> Architecture:
        kinds = ["dense" if layer.get("type") == "dense" else "layer" for layer in layers]
        n_dense = kinds.count("dense")
        depth = len(layers) - n_dense
        if kinds != ["layer"] * depth + ["dense"] * n_dense:
            raise ValueError(f"Expected fully connected layers (O) to come last in {what}.")
        if not 1 <= depth <= self.max_depth or n_dense > self.max_dense_depth:
            raise ValueError(
                f"Expected 1 to {self.max_depth} convolution and pooling layers and at most "
                f"{self.max_dense_depth} fully connected layers in {what} but got {depth} and "
                f"{n_dense}."
            )
        params: dict[str, Any] = {"depth": depth, "dense_depth": n_dense}
        for i, layer in enumerate(layers[:depth], start=1):
            params |= {f"layer_{i}_{part}": value for part, value in layer.items()}
        for i, layer in enumerate(layers[depth:], start=1):
            params[f"dense_{i}_units"] = layer.get("units")
        return self.architecture(params)

    def to_graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return the chain of layers; nodes have ``operation`` and the choices as attributes."""
        layers = self.layers(self.require_member(architecture))
        return path_graph(
            self.name, [{"operation": _write_layer(layer), **layer} for layer in layers]
        )

    def from_graph(self, graph: nx.DiGraph[Any]) -> Architecture:
        """Read the graph encoding."""
        layers = [
            {part: value for part, value in node.items() if part != "operation"}
            for node in read_path_graph(graph)
        ]
        return self._from_layers(layers, "argument `graph`")


def chain_layers(architecture: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Split the decisions of a chain into its layers; see :meth:`ChainSpace.layers`."""
    layers: list[dict[str, Any]] = []
    for i in range(1, architecture["depth"] + 1):
        layer_type = architecture[f"layer_{i}_type"]
        parts = {part: architecture[f"layer_{i}_{part}"] for part in _PARTS[layer_type]}
        layers.append({"type": layer_type, **parts})
    for i in range(1, architecture["dense_depth"] + 1):
        layers.append({"type": "dense", "units": architecture[f"dense_{i}_units"]})
    return layers


def _write_layer(layer: Mapping[str, Any]) -> str:
    if layer["type"] == "conv":
        return f"C{layer['filters']}k{layer['kernel_size']}"
    if layer["type"] == "pool":
        return f"S{layer['pooling']}{layer['pool_size']}"
    return f"O{layer['units']}"


def _check_candidates(name: str, candidates: Sequence[int], *, odd: bool = False) -> None:
    valid = all(
        type(value) is int and value > 0 and (value % 2 == 1 or not odd) for value in candidates
    )
    if not candidates or not valid or len(set(candidates)) != len(candidates):
        kind = "odd positive" if odd else "positive"
        raise ValueError(
            f"Expected argument `{name}` to be different {kind} integers "
            f"but got {list(candidates)}."
        )
