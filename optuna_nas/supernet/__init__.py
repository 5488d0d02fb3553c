"""What a gradient supernet leaves for a study."""

from optuna_nas.supernet._prior import Prior


__all__ = ["Prior"]
