"""All that belongs to the space of chains."""

from lightning_modules.spaces._kit import Kit
from lightning_modules.spaces.chain.latency import latency_terms
from lightning_modules.spaces.chain.network import build_chain_backbone
from lightning_modules.spaces.chain.supernet import ChainSupernet
from optuna_nas.spaces import ChainSpace


KIT = Kit(ChainSpace, build_chain_backbone, latency_terms=latency_terms, supernet=ChainSupernet)
