"""A user's own space, from a dict of Optuna distributions."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import math
from types import MappingProxyType
from typing import Any

from optuna.distributions import BaseDistribution

from optuna_nas.spaces._architecture import Architecture
from optuna_nas.spaces._architecture import Choice
from optuna_nas.spaces._choices import check_countable
from optuna_nas.spaces._choices import n_choices
from optuna_nas.spaces._space import SearchSpace


class CustomSpace(SearchSpace):
    """A search space from a dict of Optuna distributions.

    Example:

        >>> from optuna.distributions import CategoricalDistribution, IntDistribution
        >>> space = CustomSpace(
        ...     {
        ...         "depth": IntDistribution(1, 2),
        ...         "kernel_1": CategoricalDistribution([3, 5]),
        ...         "kernel_2": CategoricalDistribution([3, 5]),
        ...     },
        ...     active_if={"kernel_2": lambda params: params["depth"] >= 2},
        ... )
        >>> space.size  # Two of depth 1, four of depth 2.
        6
        >>> space.to_string(space.architecture({"depth": 1, "kernel_1": 5}))
        'depth=1,kernel_1=5'

    Args:
        distributions: The decisions in order. Choices are strings, ints, floats or bools that name
            things; floats need a step.
        active_if: For conditional decisions, a pure function of the active earlier decisions that
            tells whether the decision is made. Decisions without an entry are always active. A
            condition that looks up an inactive decision (``params["name"]``) makes its own
            decision inactive, too; ``params.get("name")`` tells the two cases apart.
        build: Optional function from an :class:`~optuna_nas.Architecture` to a network, any
            ``torch.nn.Module``. It is kept as :attr:`build` for evaluators and the command line.
        name: The name that architectures carry.

    Raises:
        ValueError: If a distribution is not countable, two choices of a decision are equal or
            have the same string form, or ``active_if`` names an unknown decision.
    """

    def __init__(
        self,
        distributions: Mapping[str, BaseDistribution],
        *,
        active_if: Mapping[str, Callable[[Mapping[str, Any]], bool]] | None = None,
        build: Callable[[Architecture], Any] | None = None,
        name: str = "custom",
    ) -> None:
        check_countable(distributions)
        self._distributions = dict(distributions)
        self._active_if = dict(active_if or {})
        self._name = name
        self.build = build
        unknown = sorted(set(self._active_if) - set(self._distributions))
        if unknown:
            raise ValueError(
                f"Expected argument `active_if` to name decisions among "
                f"{list(self._distributions)} but got {unknown}."
            )
        for decision, distribution in self._distributions.items():
            _check_choices(decision, distribution)

    @property
    def name(self) -> str:
        return self._name

    @property
    def distributions(self) -> Mapping[str, BaseDistribution]:
        return MappingProxyType(self._distributions)

    def is_active(self, name: str, params: Mapping[str, Choice]) -> bool:
        condition = self._active_if.get(name)
        if condition is None:
            return True
        try:
            return bool(condition(params))
        except KeyError as error:
            names = list(self._distributions)
            earlier = names[: names.index(name)]
            missing = error.args[0] if error.args else None
            if missing in earlier and missing not in params:
                return False
            raise ValueError(
                f"Expected the condition of decision `{name}` to look at the decisions before it, "
                f"{earlier}, but got {missing!r}."
            ) from error


def _check_choices(decision: str, distribution: BaseDistribution) -> None:
    choices = getattr(distribution, "choices", None)
    if choices is None:
        return
    wrong = [
        choice
        for choice in choices
        if not isinstance(choice, str | int | float)
        or (isinstance(choice, float) and not math.isfinite(choice))
    ]
    if wrong:
        raise ValueError(
            f"Expected the choices of decision `{decision}` to be str, int, finite float or "
            f"bool but got {wrong[0]!r}."
        )
    n = n_choices(distribution)
    if len(set(choices)) != n or len({str(choice) for choice in choices}) != n:
        raise ValueError(
            f"Expected the choices of decision `{decision}` to differ in value and string form "
            f"but got {list(choices)}."
        )
