"""What the supernet stage leaves, and how a study starts from it."""

import importlib
from typing import Any
from typing import TYPE_CHECKING

from optuna_nas.supernet._prior import Prior


if TYPE_CHECKING:
    from optuna_nas.supernet._warm_start import warm_start


__all__ = ["Prior", "warm_start"]


def __getattr__(name: str) -> Any:
    """Load what needs the samplers, which need this package, on first use."""
    if name != "warm_start":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module("optuna_nas.supernet._warm_start").warm_start
