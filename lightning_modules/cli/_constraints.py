"""Bounds on metrics as a user writes them, e.g. ``params<=100000``."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Container
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
import re

import numpy as np

from lightning_modules.cli._errors import CommandError
from lightning_modules.cli._tables import number
from optuna_nas.constraints import Constraint
from optuna_nas.constraints import nearest_values
from optuna_nas.spaces import Architecture
from optuna_nas.spaces import SearchSpace


_FORM = re.compile(r"(?P<metric>\w+)\s*(?P<bound><=|>=)\s*(?P<value>\S+)")


def parse_constraints(texts: Sequence[str], known: Sequence[str]) -> list[Constraint]:
    """Return the constraints, without functions.

    Args:
        texts: What the user gave.
        known: Names that a metric can have.

    Raises:
        CommandError: If one is malformed, or given twice.
    """
    constraints = [_parse(text, known) for text in texts]
    names = [str(constraint) for constraint in constraints]
    if len(set(names)) != len(names):
        raise CommandError(
            f"Expected option --constraint to be different bounds but got {' '.join(names)}."
        )
    return constraints


def checked_without_training(
    constraints: Sequence[Constraint],
    metrics: Container[str],
    value_of: Callable[[str, Architecture], float],
) -> list[Constraint]:
    """Return the constraints, with functions for those on metrics that need no training.

    Args:
        constraints: Without functions.
        metrics: Names of the metrics that need no training.
        value_of: Returns such a metric of an architecture.
    """
    return [
        replace(bound, function=partial(value_of, bound.metric))
        if bound.metric in metrics
        else bound
        for bound in constraints
    ]


def require_kept(space: SearchSpace, constraints: Sequence[Constraint], seed: int) -> None:
    """Look for an architecture that keeps all constraints, before there is a study.

    Args:
        space: The search space.
        constraints: Constraints that are counted or looked up at once.
        seed: Seed of the search.

    Raises:
        CommandError: If none is found.
    """
    if not constraints:
        return
    kept, nearest = nearest_values(space, constraints, np.random.default_rng(seed))
    if kept:
        return
    seen = [
        f"the {'smallest' if bound.upper is not None else 'largest'} {bound.metric} is "
        f"{number(bound.metric, nearest[str(bound)])}"
        for bound in constraints
    ]
    raise CommandError(
        f"Expected option --constraint to be kept by an architecture of {space.name} but got "
        f"{' '.join(map(str, constraints))}, for which none was found; of those that were tried, "
        f"{' and '.join(seen)}."
    )


def _parse(text: str, known: Sequence[str]) -> Constraint:
    form = _FORM.fullmatch(text.strip())
    try:
        if form is None or form["metric"] not in known:
            raise ValueError
        value = float(form["value"])
        if form["bound"] == "<=":
            return Constraint(form["metric"], upper=value)
        return Constraint(form["metric"], lower=value)
    except ValueError:
        raise CommandError(
            f"Expected option --constraint to be METRIC<=NUMBER or METRIC>=NUMBER with a metric "
            f"of {', '.join(known)} but got {text!r}."
        ) from None
