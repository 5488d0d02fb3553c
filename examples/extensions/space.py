"""A search space of your own with its networks: one file, one ``Kit``.

Use it with ``--space examples/extensions/space.py:KIT``. A package makes it ``--space pyramid``
for everybody by an entry point of the group ``optuna_nas.spaces``. The backbone has no head: the
task brings it, so the same space classifies, predicts numbers, and whatever tasks come.
"""

from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution
import torch
from torch import nn

from lightning_modules import Backbone
from lightning_modules import FeatureMap
from lightning_modules import Kit
from optuna_nas import CustomSpace


class Pyramid(Backbone):
    """Convolutions of stride 2, each twice as wide as the one before."""

    def __init__(self, channels_in, width, depth, kernel):
        super().__init__()
        sizes = [channels_in, *(width * 2**i for i in range(depth))]
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(a, b, kernel, stride=2, padding=kernel // 2, bias=False),
                nn.BatchNorm2d(b),
                nn.ReLU(),
            )
            for a, b in zip(sizes, sizes[1:], strict=False)
        )
        self.n_features = sizes[-1]
        self.maps = tuple(FeatureMap(n, 2 ** (i + 1)) for i, n in enumerate(sizes[1:]))

    def feature_maps(self, x):
        """Return the map behind each convolution."""
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def forward(self, x):
        """Map images (batch, channels, height, width) to features (batch, n_features)."""
        return torch.amax(self.feature_maps(x)[-1], dim=(2, 3))


def make_space():
    """Return the search space: 3 widths, 3 depths, 2 kernels."""
    return CustomSpace(
        {
            "width": IntDistribution(4, 12, step=4),
            "depth": IntDistribution(1, 3),
            "kernel": CategoricalDistribution([3, 5]),
        },
        name="pyramid",
    )


def build(architecture, *, input_shape, stem=1):
    """Return the backbone of an architecture for images of a shape."""
    width = stem * architecture["width"]
    return Pyramid(input_shape[0], width, architecture["depth"], architecture["kernel"])


KIT = Kit(make_space, build, small={"stem": 1})
