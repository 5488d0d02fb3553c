"""Optuna's random search, decision by decision."""

from optuna.samplers import RandomSampler


SAMPLER = RandomSampler
