"""Optuna's tree-structured Parzen estimator."""

from optuna.samplers import TPESampler


SAMPLER = TPESampler
