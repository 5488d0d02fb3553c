"""Tracking of a study, and of the supernet stage before it, in MLflow."""

from optuna_nas.tracking._supernet_tracker import SupernetTracker
from optuna_nas.tracking._tracker import MLflowTracker


__all__ = ["MLflowTracker", "SupernetTracker"]
