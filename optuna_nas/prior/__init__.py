"""What the supernet stage leaves, and how a study starts from it."""

import importlib
from typing import Any
from typing import TYPE_CHECKING

from optuna_nas.prior._prior import Prior


if TYPE_CHECKING:
    from optuna_nas.prior._elite import prior_from_elite
    from optuna_nas.prior._main_effects import prior_from_scores
    from optuna_nas.prior._record import store_prior
    from optuna_nas.prior._record import stored_prior
    from optuna_nas.prior._warm_start import warm_start


__all__ = [
    "Prior",
    "prior_from_elite",
    "prior_from_scores",
    "store_prior",
    "stored_prior",
    "warm_start",
]

_LATER = {
    "prior_from_elite": "optuna_nas.prior._elite",
    "prior_from_scores": "optuna_nas.prior._main_effects",  # Needs scipy.
    "store_prior": "optuna_nas.prior._record",
    "stored_prior": "optuna_nas.prior._record",
    "warm_start": "optuna_nas.prior._warm_start",  # Needs the samplers, which need this.
}


def __getattr__(name: str) -> Any:
    """Load what is heavy, or needs what needs this package, on first use."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LATER[name]), name)
