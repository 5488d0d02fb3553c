"""The kit of chains of layers."""

from lightning_modules.spaces.chain.kit import KIT
from lightning_modules.spaces.chain.network import build_chain_backbone
from lightning_modules.spaces.chain.network import ChainBackbone
from lightning_modules.spaces.chain.supernet import ChainSupernet


__all__ = ["ChainBackbone", "ChainSupernet", "KIT", "build_chain_backbone"]
