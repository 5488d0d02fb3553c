"""The summands of a chain's latency: its layers in order, and the classifier."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
import math
from typing import NamedTuple

from optuna.distributions import BaseDistribution
from torch import nn

from lightning_modules.costs.latency_terms import Factor
from lightning_modules.costs.latency_terms import Factors
from lightning_modules.costs.latency_terms import Operation
from lightning_modules.costs.latency_terms import operation
from lightning_modules.costs.latency_terms import Term
from lightning_modules.spaces.builders import build_chain_network
from lightning_modules.spaces.cell.cells import check_sizes
from optuna_nas import Architecture


_PARTS = ("type", "filters", "kernel_size", "pooling", "pool_size")


class _State(NamedTuple):
    """What a chain has come to behind some of its layers.

    Args:
        depth: Number of layers of the chain, so that this many change the state.
        shape: (channels, height, width) of the map, or (features,).
    """

    depth: int
    shape: tuple[int, ...]


def chain_terms(
    distributions: Mapping[str, BaseDistribution],
    *,
    input_shape: tuple[int, int, int],
    num_classes: int,
) -> list[Term]:
    """Return the summands.

    Args:
        distributions: Of a :class:`~optuna_nas.ChainSpace`.
        input_shape: (channels, height, width) of an image.
        num_classes: Number of logits.

    Raises:
        ValueError: If a number is less than 1.
    """
    check_sizes(input_shape, num_classes)
    terms: list[Term] = []
    state = Factor(("depth",), partial(_State, shape=input_shape))
    number = 1
    while f"layer_{number}_type" in distributions:
        layer = {part: f"layer_{number}_{part}" for part in _PARTS}
        factors: Factors = {"state": state, **layer}
        terms.append(Term(f"layer_{number}", factors, partial(_layer, number)))
        sizes = [layer[part] for part in ("type", "filters", "pool_size")]
        state = Factor((state, *sizes), partial(_behind_layer, number))
        number += 1
    state = Factor((state, "dense_depth"), _before_dense)
    terms.append(Term("flatten", {"state": state}, _flatten))
    state = Factor((state,), _flattened)
    number = 1
    while f"dense_{number}_units" in distributions:
        factors = {"state": state, "units": f"dense_{number}_units"}
        terms.append(Term(f"dense_{number}", factors, partial(_dense, number)))
        state = Factor((state, f"dense_{number}_units"), partial(_behind_dense, number))
        number += 1
    return [*terms, Term("classifier", {"state": state}, partial(_classifier, num_classes))]


def _layer(number: int, *, state: _State, type: str, **sizes: str | int) -> Operation | None:
    if number > state.depth:
        return None
    parts = ("filters", "kernel_size") if type == "conv" else ("pooling", "pool_size")
    params: dict[str, str | int] = {"depth": 1, "layer_1_type": type, "dense_depth": 0}
    params |= {f"layer_1_{part}": sizes[part] for part in parts}
    kind = " ".join([type, *(str(sizes[part]) for part in parts)])
    return operation(kind, partial(_make_layer, params, state.shape), *state.shape)


def _make_layer(params: Mapping[str, str | int], shape: tuple[int, ...]) -> nn.Module:
    channels, height, width = shape
    architecture = Architecture("chain", params)
    network = build_chain_network(
        architecture, input_shape=(channels, height, width), num_classes=1
    )
    layer: nn.Module = network.get_submodule("features.layer_1")
    return layer


def _behind_layer(
    number: int, state: _State, type: str | None, filters: int | None, pool_size: int | None
) -> _State:
    if number > state.depth:
        return state
    channels, *size = state.shape
    if type == "conv":
        assert filters is not None
        return _State(state.depth, (filters, *size))
    assert pool_size is not None
    return _State(state.depth, (channels, *(-(-n // pool_size) for n in size)))


def _before_dense(state: _State, dense_depth: int) -> _State:
    return _State(dense_depth, state.shape)


def _flatten(*, state: _State) -> Operation:
    """Return the average over the map if no fully connected layer comes, else its flattening."""
    if state.depth:
        return operation("flatten", nn.Flatten, *state.shape)
    return operation("pool flatten", _pool_and_flatten, *state.shape)


def _pool_and_flatten() -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _flattened(state: _State) -> _State:
    n_features = math.prod(state.shape) if state.depth else state.shape[0]
    return _State(state.depth, (n_features,))


def _dense(number: int, *, state: _State, units: int) -> Operation | None:
    if number > state.depth:
        return None
    (n_features,) = state.shape
    return operation(f"dense {units}", partial(_make_dense, n_features, units), n_features)


def _make_dense(n_features: int, units: int) -> nn.Module:
    return nn.Sequential(nn.Linear(n_features, units), nn.ReLU(inplace=True))


def _behind_dense(number: int, state: _State, units: int | None) -> _State:
    if number > state.depth:
        return state
    assert units is not None
    return _State(state.depth, (units,))


def _classifier(num_classes: int, *, state: _State) -> Operation:
    (n_features,) = state.shape
    make = partial(nn.Linear, n_features, num_classes)
    return operation(f"linear {num_classes}", make, n_features)
