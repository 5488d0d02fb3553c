"""Tracking of a study in MLflow."""

from optuna_nas.tracking._tracker import MLflowTracker


__all__ = ["MLflowTracker"]
