"""Optuna's NSGA-II, with a population for the budgets of architecture search."""

from functools import partial

from optuna.samplers import NSGAIISampler


SAMPLER = partial(NSGAIISampler, population_size=20)
