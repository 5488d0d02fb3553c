"""What the supernet stage left, on the study."""

from __future__ import annotations

from collections.abc import Mapping
import json
from typing import Any

import optuna

from optuna_nas.prior._prior import Prior
from optuna_nas.spaces import Architecture
from optuna_nas.spaces import SearchSpace


PRIOR = "supernet_prior"
"""Study user attribute: the prior, the architecture found, and the settings of the stage."""


def store_prior(
    study: optuna.Study,
    prior: Prior,
    architecture: Architecture,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Write a prior to the study, as its user attribute ``supernet_prior``.

    Args:
        study: The study.
        prior: Probabilities of the choices.
        architecture: The architecture that was found.
        settings: Of the stage, of plain types.

    Example:

        >>> from optuna_nas import CellSpace
        >>> study, space = optuna.create_study(), CellSpace()
        >>> prior = Prior(space, {"edge_0_1": [0, 0, 0, 1, 0]})
        >>> store_prior(study, prior, prior.most_likely())
        >>> found = stored_prior(study, space)
        >>> found[0]["edge_0_1"].tolist()
        [0.0, 0.0, 0.0, 1.0, 0.0]
    """
    record = {
        "prior": json.loads(prior.to_json()),
        "architecture": prior.space.to_string(architecture),
        "settings": dict(settings or {}),
    }
    study.set_user_attr(PRIOR, record)


def stored_prior(study: optuna.Study, space: SearchSpace) -> tuple[Prior, Architecture] | None:
    """Return the prior and the architecture that :func:`store_prior` wrote, if it did.

    Args:
        study: The study.
        space: Its search space.

    Raises:
        ValueError: If they are of another space.
    """
    record = study.user_attrs.get(PRIOR)
    if record is None:
        return None
    prior = Prior.from_json(space, json.dumps(record["prior"]))
    return prior, space.from_string(record["architecture"])
