"""The kit of stages of inverted bottlenecks."""

from lightning_modules.spaces.mobile.kit import KIT
from lightning_modules.spaces.mobile.network import build_mobile_backbone
from lightning_modules.spaces.mobile.network import InvertedBottleneck
from lightning_modules.spaces.mobile.network import MobileBackbone
from lightning_modules.spaces.mobile.supernet import MobileSupernet


__all__ = [
    "InvertedBottleneck",
    "KIT",
    "MobileBackbone",
    "MobileSupernet",
    "build_mobile_backbone",
]
