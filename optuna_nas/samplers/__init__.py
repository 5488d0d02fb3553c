"""Strategies of architecture search as Optuna samplers."""

from optuna_nas.samplers._base import ArchitectureSampler
from optuna_nas.samplers._genetic import GeneticSampler


__all__ = ["ArchitectureSampler", "GeneticSampler"]
