"""The decisions of a search space, their conditions, and the architectures that keep them."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import BaseTrial

from optuna_nas.spaces._architecture import Architecture
from optuna_nas.spaces._architecture import Choice
from optuna_nas.spaces._choices import choice_at
from optuna_nas.spaces._choices import default_choice
from optuna_nas.spaces._choices import describe
from optuna_nas.spaces._choices import index_of
from optuna_nas.spaces._choices import suggest


class DecisionSpace(abc.ABC):
    """Ordered decisions: what is asked of a trial, and what is a member."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The name of the space, which its architectures carry."""

    @property
    @abc.abstractmethod
    def distributions(self) -> Mapping[str, BaseDistribution]:
        """All decisions in order, conditional ones included."""

    def is_active(self, name: str, params: Mapping[str, Choice]) -> bool:
        """Tell whether decision ``name`` has to be made.

        Args:
            name: One of :attr:`distributions`.
            params: The choices of the active decisions that come before ``name``.

        Returns:
            :obj:`True` if the decision is active. It depends on ``params`` alone.
        """
        return True

    def suggest(self, trial: BaseTrial) -> Architecture:
        """Ask a trial for an architecture with plain ``trial.suggest_*`` calls.

        Raises:
            ValueError: If a value that was enqueued for the trial is not one of the choices.
        """
        params: dict[str, Choice] = {}
        for name, distribution in self.distributions.items():
            if self.is_active(name, params):
                params[name] = self._choice(name, suggest(trial, name, distribution))
        return Architecture(self.name, params)

    def architecture(self, params: Mapping[str, Any]) -> Architecture:
        """Make an architecture from parameters, e.g. ``study.best_trial.params``.

        Names that are no decisions (training hyperparameters) and inactive decisions are left out.

        Args:
            params: At least a choice for every active decision.

        Raises:
            ValueError: If an active decision is missing or its value is not one of its choices.
        """
        active: dict[str, Choice] = {}
        for name in self.distributions:
            if not self.is_active(name, active):
                continue
            if name not in params:
                raise ValueError(
                    f"Expected argument `params` to hold the decision `{name}` of search space "
                    f"`{self.name}` but got {list(params)}."
                )
            active[name] = self._choice(name, params[name])
        return Architecture(self.name, active)

    def _choice(self, name: str, value: Any) -> Choice:
        """Return the choice that equals ``value``, e.g. 0.3 for 0.1 + 0.2, or raise."""
        distribution = self.distributions[name]
        index = index_of(distribution, value)
        if index is None:
            raise ValueError(
                f"Expected the decision `{name}` of search space `{self.name}` to be one of "
                f"{describe(distribution)} but got {value!r}."
            )
        return choice_at(distribution, index)

    def contains(self, architecture: Architecture) -> bool:
        """Tell whether ``architecture`` is a member: all active decisions and no others."""
        try:
            self.require_member(architecture)
        except ValueError:
            return False
        return True

    def require_member(self, architecture: Architecture) -> Architecture:
        """Return ``architecture`` with its decisions in the order of the space.

        Raises:
            ValueError: If it is no member; the sentence says why.
        """
        if getattr(architecture, "space", None) != self.name:  # A plain dict has no space.
            raise ValueError(
                f"Expected argument `architecture` to be an architecture of search space "
                f"`{self.name}` but got {architecture!r}."
            )
        member = self.architecture(architecture)
        extra = [name for name in architecture if name not in member]
        if extra:
            raise ValueError(
                f"Expected argument `architecture` to hold active decisions of search space "
                f"`{self.name}` only but got {extra} beside them."
            )
        return member

    def complete(self, params: Mapping[str, Choice]) -> Architecture:
        """Make an architecture from some decisions: a missing active one takes its default.

        Raises:
            ValueError: If a given value is not one of the choices of its decision.
        """
        active: dict[str, Choice] = {}
        for name, distribution in self.distributions.items():
            if not self.is_active(name, active):
                continue
            if name in params:
                active[name] = self._choice(name, params[name])
            else:
                active[name] = default_choice(distribution)
        return Architecture(self.name, active)

    def _filled(self, params: Mapping[str, Choice]) -> Architecture:
        """Do what :meth:`complete` does for values that are known to be choices."""
        active: dict[str, Choice] = {}
        for name, distribution in self.distributions.items():
            if self.is_active(name, active):
                active[name] = params[name] if name in params else default_choice(distribution)
        return Architecture(self.name, active)
