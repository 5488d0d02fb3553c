"""Backbones, and networks of a backbone and a head."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch import Tensor

from lightning_modules import Backbone
from lightning_modules import FeatureMap
from lightning_modules import FeatureVector
from lightning_modules import Network
from lightning_modules.backbone import check_input_shape


class Pyramid(Backbone):
    """Two maps, and their means as features."""

    n_features = 3
    maps = (FeatureMap(1, 1), FeatureMap(2, 2))

    def feature_maps(self, x: Tensor) -> list[Tensor]:
        half = nn.functional.avg_pool2d(x, 2)
        return [x, torch.cat([half, -half], dim=1)]

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([found.mean((2, 3)) for found in self.feature_maps(x)], dim=1)


def test_a_head_reads_the_features() -> None:
    network = Network(Pyramid(), nn.Linear(3, 5))
    assert network(torch.ones(2, 1, 4, 4)).shape == (2, 5)
    assert Network(Pyramid(), nn.Identity())(torch.ones(1, 1, 4, 4)).tolist() == [[1, 1, -1]]


def test_a_head_reads_the_maps() -> None:
    class Sizes(nn.Module):
        def forward(self, maps: list[Tensor]) -> Any:
            return [tuple(found.shape) for found in maps]

    network = Network(Pyramid(), Sizes(), reads_maps=True)
    assert network(torch.ones(2, 1, 4, 4)) == [(2, 1, 4, 4), (2, 2, 2, 2)]


def test_features_without_a_backbone() -> None:
    stand_in = FeatureVector(7)
    features = torch.randn(2, 7)
    assert stand_in.n_features == 7
    assert stand_in(features) is features
    assert stand_in.maps == ()
    with pytest.raises(NotImplementedError, match="FeatureVector has no feature maps"):
        stand_in.feature_maps(features)


def test_input_shapes() -> None:
    check_input_shape((1, 1, 1))
    for shape in [(1, 2), (1, 2, 3, 4), (0, 8, 8), (3, -1, 8)]:
        with pytest.raises(ValueError, match=r"`input_shape` to be \(channels, .* but got \("):
            check_input_shape(shape)  # type: ignore[arg-type]
