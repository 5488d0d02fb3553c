"""All that belongs to the space of normal and reduction cells."""

from lightning_modules.spaces._kit import Kit
from lightning_modules.spaces.darts.latency import latency_terms
from lightning_modules.spaces.darts.network import build_darts_backbone
from lightning_modules.spaces.darts.supernet import DartsSupernet
from optuna_nas.spaces import DartsSpace


KIT = Kit(
    DartsSpace,
    build_darts_backbone,
    small={"channels": 4, "cells": 3},
    latency_terms=latency_terms,
    supernet=DartsSupernet,
    marks="Genotype(",
)
