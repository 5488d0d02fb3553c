"""A mobile space with every kind of decision, and supernets with single networks to compare."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch import Tensor

from lightning_modules import build_mobile_backbone
from lightning_modules import Classification
from lightning_modules.spaces.mobile import MobileSupernet
from lightning_modules.supernet import build_supernet
from lightning_modules.supernet import inherit_weights
from optuna_nas import Architecture
from optuna_nas import MobileSpace
from optuna_nas import SearchSpace
from optuna_nas.prior import Prior
from optuna_nas.spaces import MobileStage


TASK = Classification(3)
SIZES: dict[str, Any] = {"input_shape": (2, 9, 10)}
PARTS: dict[str, Any] = {
    "kernels": (3, 7, 1),
    "expansions": (1, 2.3, 2),
    "se_ratios": (0.5, 0, 0.25),
    "activations": ("relu", "hswish", "swish", "relu6"),
}
EVERYTHING = MobileSpace(
    [
        MobileStage(depths=(1, 2), widths=(12, 8), strides=(1, 2), skip=True, **PARTS),
        MobileStage(depths=(1, 3), widths=(8, 12, 16), strides=(1, 2), **PARTS),
    ],
    styles=("fbnet", "mobilenet_v3", "efficientnet"),
    stem_widths=(8, 12),
    stem_strides=(2, 1),
    head_widths=(20, 10),
    resolutions=(8, 11),
    width_coefficients=(1.0, 1.5, 0.7),
    depth_coefficients=(1.0, 1.6, 0.5),
)


def make(space: SearchSpace, **arguments: Any) -> MobileSupernet:
    """Return a supernet in which weights, normalisation and statistics are all of their own."""
    torch.manual_seed(0)
    supernet = build_supernet(space, TASK, **{**SIZES, **arguments}).double()
    assert isinstance(supernet, MobileSupernet)
    with torch.no_grad():
        for tensor in supernet.state_dict().values():
            if tensor.is_floating_point() and tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5)
    return supernet


def sample(space: SearchSpace, rng: np.random.Generator) -> Architecture:
    """Draw each decision uniformly; of all architectures, nearly all have the largest depths."""
    return Prior(space, {}).sample(rng)


def images(n: int = 3) -> Tensor:
    return torch.randn(n, *SIZES["input_shape"], dtype=torch.float64)


def build(architecture: Architecture) -> nn.Module:
    return TASK.network(build_mobile_backbone(architecture, **SIZES))


def single(supernet: MobileSupernet, architecture: Architecture) -> nn.Module:
    network = build(architecture).double()
    inherit_weights(network, supernet, architecture)
    return network.train(supernet.training)
