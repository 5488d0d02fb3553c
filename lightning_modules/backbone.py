"""The backbone, which the architecture decides, and the network: a backbone with a task's head."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import NamedTuple

from torch import nn
from torch import Tensor

from optuna_nas import Architecture


Build = Callable[[Architecture], nn.Module]
"""Makes the network of an architecture: a :class:`Backbone`, to which the task adds a head, or a
network that maps inputs to outputs by itself."""


class FeatureMap(NamedTuple):
    """A map that a backbone makes on its way.

    Args:
        channels: Its channels.
        stride: How many input pixels lie between two of its own, about the square root of the
            number of input pixels for each of its own.
    """

    channels: int
    stride: int


class Backbone(nn.Module, abc.ABC):
    """The part of a network that the architecture decides.

    A head reads either the features, one vector for each sample, or the feature maps.
    """

    n_features: int
    """Length of the feature vector."""
    maps: tuple[FeatureMap, ...] = ()
    """The feature maps, from fine to coarse; none for inputs that are no images."""

    @abc.abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (batch, ...) to features (batch, n_features)."""

    def feature_maps(self, x: Tensor) -> list[Tensor]:
        """Map images (batch, channels, height, width) to the maps of :attr:`maps`.

        Returns:
            For each a tensor of shape (batch, map channels, map height, map width).

        Raises:
            NotImplementedError: If the backbone has no maps.
        """
        raise NotImplementedError(f"{type(self).__name__} has no feature maps.")


class FeatureVector(Backbone):
    """Stands for a backbone where a task's head is made or measured alone: features in and out.

    Args:
        n_features: Length of the feature vector.
    """

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.n_features = n_features

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (batch, n_features) as they are."""
        return x


class Network(nn.Module):
    """A backbone and the head of a task.

    Args:
        backbone: The backbone.
        head: Maps the features (batch, n_features), or the list of feature maps, to the output.
        reads_maps: Whether the head reads the feature maps.
    """

    def __init__(self, backbone: Backbone, head: nn.Module, *, reads_maps: bool = False) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.reads_maps = reads_maps

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (batch, ...) to the output that the task's loss takes."""
        features = self.backbone.feature_maps(x) if self.reads_maps else self.backbone(x)
        output: Tensor = self.head(features)
        return output


def check_input_shape(input_shape: tuple[int, int, int]) -> None:
    """Raise a ValueError unless there are three sizes, each at least 1."""
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise ValueError(
            "Expected argument `input_shape` to be (channels, height, width), each at least 1, "
            f"but got {input_shape}."
        )
