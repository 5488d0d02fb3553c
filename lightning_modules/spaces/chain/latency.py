"""The summands of a chain's latency: its layers in order, and the head."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
import math
from typing import NamedTuple

from optuna.distributions import BaseDistribution
from torch import nn

from lightning_modules.backbone import check_input_shape
from lightning_modules.costs._joins import pool_and_flatten
from lightning_modules.costs.latency_terms import Factor
from lightning_modules.costs.latency_terms import Factors
from lightning_modules.costs.latency_terms import head_term
from lightning_modules.costs.latency_terms import Operation
from lightning_modules.costs.latency_terms import operation
from lightning_modules.costs.latency_terms import Term
from lightning_modules.spaces.chain.network import ChainBackbone
from lightning_modules.tasks import Task


_PARTS = ("type", "filters", "kernel_size", "pooling", "pool_size")


class _Reached(NamedTuple):
    """What a chain has come to behind some of its layers.

    Args:
        depth: Number of layers of the chain, so that this many change the state.
        shape: (channels, height, width) of the map, or (features,).
    """

    depth: int
    shape: tuple[int, ...]


def latency_terms(
    distributions: Mapping[str, BaseDistribution],
    *,
    input_shape: tuple[int, int, int],
    task: Task,
) -> list[Term]:
    """Return the summands.

    Args:
        distributions: Of a :class:`~optuna_nas.ChainSpace`.
        input_shape: (channels, height, width) of an image.
        task: It brings the head.

    Raises:
        ValueError: If a number is less than 1.
    """
    check_input_shape(input_shape)
    terms: list[Term] = []
    state = Factor(("depth",), partial(_Reached, shape=input_shape))
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
    return [*terms, head_term(task, Factor((state,), _n_features))]


def _layer(number: int, *, state: _Reached, type: str, **sizes: str | int) -> Operation | None:
    if number > state.depth:
        return None
    parts = ("filters", "kernel_size") if type == "conv" else ("pooling", "pool_size")
    layer = {"type": type, **{part: sizes[part] for part in parts}}
    kind = " ".join(map(str, layer.values()))
    return operation(kind, partial(_make_layer, layer, state.shape), *state.shape)


def _make_layer(layer: Mapping[str, str | int], shape: tuple[int, ...]) -> nn.Module:
    channels, height, width = shape
    return ChainBackbone([layer], input_shape=(channels, height, width)).features[0]


def _behind_layer(
    number: int, state: _Reached, type: str | None, filters: int | None, pool_size: int | None
) -> _Reached:
    if number > state.depth:
        return state
    channels, *size = state.shape
    if type == "conv":
        assert filters is not None
        return _Reached(state.depth, (filters, *size))
    assert pool_size is not None
    return _Reached(state.depth, (channels, *(-(-n // pool_size) for n in size)))


def _before_dense(state: _Reached, dense_depth: int) -> _Reached:
    return _Reached(dense_depth, state.shape)


def _flatten(*, state: _Reached) -> Operation:
    """Return the average over the map if no fully connected layer comes, else its flattening."""
    if state.depth:
        return operation("flatten", nn.Flatten, *state.shape)
    return operation("pool flatten", pool_and_flatten, *state.shape)


def _flattened(state: _Reached) -> _Reached:
    n_features = math.prod(state.shape) if state.depth else state.shape[0]
    return _Reached(state.depth, (n_features,))


def _dense(number: int, *, state: _Reached, units: int) -> Operation | None:
    if number > state.depth:
        return None
    (n_features,) = state.shape
    return operation(f"dense {units}", partial(_make_dense, n_features, units), n_features)


def _make_dense(n_features: int, units: int) -> nn.Module:
    return nn.Sequential(nn.Linear(n_features, units), nn.ReLU(inplace=True))


def _behind_dense(number: int, state: _Reached, units: int | None) -> _Reached:
    if number > state.depth:
        return state
    assert units is not None
    return _Reached(state.depth, (units,))


def _n_features(state: _Reached) -> int:
    (n_features,) = state.shape
    return n_features
