"""Bounds on metrics as a user writes them, e.g. ``params<=100000``."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Container
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
import re

from optuna_nas.cli._errors import CommandError
from optuna_nas.constraints import Constraint
from optuna_nas.search_space import Architecture


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
