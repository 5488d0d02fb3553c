"""Chains of layers: sizes by hand, names, and what cannot be built."""

from __future__ import annotations

import pytest

from lightning_modules import build_chain_backbone
from lightning_modules import Classification
from lightning_modules import count_params
from optuna_nas import CellSpace
from optuna_nas import ChainSpace


def test_parameters_of_chains_by_hand() -> None:
    def n_params(text: str) -> int:
        chain = ChainSpace().from_string(text)
        backbone = build_chain_backbone(chain, input_shape=(3, 9, 9))
        return count_params(Classification(7).network(backbone))

    conv = 5 * 5 * 3 * 16 + 2 * 16
    # Without dense layers: averaged over the map.
    assert n_params("C16k5") == conv + 16 * 7 + 7
    # With dense layers: flattened, 9 -> 5 (rounded up).
    dense = 16 * 5 * 5 * 32 + 32 + 32 * 64 + 64
    assert n_params("C16k5-Smax2-O32-O64") == conv + dense + 64 * 7 + 7


def test_names_of_weights_are_stable() -> None:
    chain = ChainSpace().from_string("C-S-C-O-O")
    network = Classification(3).network(build_chain_backbone(chain, input_shape=(1, 8, 8)))
    assert {
        "backbone.features.layer_1.conv.weight",
        "backbone.features.layer_3.norm.bias",
        "backbone.dense.dense_2.weight",
        "head.weight",
    } <= set(network.state_dict())


def test_feature_maps_are_the_last_of_each_size() -> None:
    chain = ChainSpace(max_depth=5, pool_sizes=(2, 3)).from_string("C8-C16-Smax2-Savg3-C32-O64")
    backbone = build_chain_backbone(chain, input_shape=(1, 9, 9))
    assert backbone.maps == ((16, 1), (16, 2), (32, 6))
    assert backbone.n_features == 64


def test_what_cannot_be_built() -> None:
    cell = CellSpace().complete({})
    with pytest.raises(ValueError, match="`architecture` to be a chain"):
        build_chain_backbone(cell, input_shape=(1, 8, 8))
    with pytest.raises(ValueError, match=r"`input_shape` .* but got \(1, 0, 8\)"):
        build_chain_backbone(ChainSpace().from_string("C"), input_shape=(1, 0, 8))
