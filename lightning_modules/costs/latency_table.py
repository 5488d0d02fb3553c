"""Latency by adding up: a table of what each candidate operation takes at each position."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from functools import partial
import math
from pathlib import Path
from types import MappingProxyType
from typing import Any

from optuna.distributions import BaseDistribution
import torch
from torch import Tensor

from lightning_modules.backbone import FeatureVector
from lightning_modules.costs._latency_file import Contents
from lightning_modules.costs._latency_file import contents_of
from lightning_modules.costs._latency_file import Place
from lightning_modules.costs._latency_file import read_document
from lightning_modules.costs._latency_file import write_contents
from lightning_modules.costs.latency_terms import Factor
from lightning_modules.costs.latency_terms import FactorValues
from lightning_modules.costs.latency_terms import Operation
from lightning_modules.costs.latency_terms import Term
from lightning_modules.costs.measure import Latency
from lightning_modules.registries import SPACES
from lightning_modules.registries import TASKS
from lightning_modules.spaces import as_kit
from lightning_modules.spaces import Kit
from lightning_modules.tasks import Task
from lightning_modules.tasks import task_from_dict
from lightning_modules.tasks import task_to_dict
from optuna_nas.spaces import Architecture
from optuna_nas.spaces import SearchSpace


class LatencyTable:
    """The latency of every operation at every position of a space's networks, on one device.

    The latency of a network is taken to be the sum over its operations, as in FBNet (Wu et al.,
    CVPR 2019, section 3.3, equation 6). It is linear in the choice of each operation, so with
    probabilities of the choices its expectation is exact and has a gradient (equation 7, and
    Cai et al., ICLR 2019 (ProxylessNAS), section 3.3).

    :func:`profile_latency` measures a table. :meth:`predict_ms` is a function of an architecture
    like any other, for a constraint or an objective that needs no network::

        Constraint("latency_ms", upper=2.5, function=table.predict_ms)

    Args:
        space: Name of the search space.
        distributions: Its decisions.
        network: ``input_shape``, ``task`` (a task, or its description in plain types, see
            :func:`~lightning_modules.tasks.task_to_dict`), and sizes of the space's backbone.
        settings: What the operations were measured on and with; written to the file.
        entries: What has been measured.
        kit: The kit of the space; by default the one with its name.

    Raises:
        ValueError: If there is no kit, the kit has no latency terms, or ``network`` does not fit.
    """

    def __init__(
        self,
        space: str,
        distributions: Mapping[str, BaseDistribution],
        network: Mapping[str, Any],
        settings: Mapping[str, Any],
        entries: Mapping[Place, Latency] | None = None,
        *,
        kit: Kit | None = None,
    ) -> None:
        if kit is None and space not in SPACES:  # A file should not choose the code it runs.
            raise ValueError(
                f"Expected argument `space` to be a search space of {list(SPACES)} "
                f"but got {space!r}."
            )
        self._kit = as_kit(space) if kit is None else kit
        if self._kit.latency_terms is None:
            raise ValueError(
                f"Expected argument `space` to have a kit with latency terms but got {space!r}."
            )
        self.space = space
        self.distributions = MappingProxyType(dict(distributions))
        self.settings = MappingProxyType(dict(settings))
        self._entries: dict[Place, Latency] = dict(entries or {})
        try:
            task, shape = network["task"], tuple(network["input_shape"])
            self.task = task if isinstance(task, Task) else task_from_dict(task)
            sizes = {**network, "input_shape": shape, "task": self.task}
            self._terms = self._kit.latency_terms(self.distributions, **sizes)
        except (TypeError, KeyError) as error:
            raise ValueError(
                f"Expected the arguments of a network of space `{space}` but got "
                f"{dict(network)} ({error})."
            ) from error
        self.network = MappingProxyType({**sizes, "task": task_to_dict(self.task)})
        self._outcomes = FactorValues(self.distributions)
        self._found: dict[tuple[Term, tuple[Any, ...]], float] = {}

    def __reduce__(self) -> Any:
        known = self.space in SPACES and as_kit(self.space).latency_terms
        kit = None if known is self._kit.latency_terms else self._kit
        network = {**self.network, "task": self.task}
        fields = (self.space, dict(self.distributions), network, dict(self.settings))
        return partial(type(self), kit=kit), (*fields, self._entries)

    # What there is to measure, and what has been.

    @property
    def entries(self) -> Mapping[Place, Latency]:
        """What has been measured."""
        return MappingProxyType(self._entries)

    def record(self, name: str, latency: Latency) -> None:
        """Enter the latency of an operation at all positions where it is a candidate."""
        self._entries.update(dict.fromkeys(self._places[name], latency))
        self._found.clear()
        self.__dict__.pop("_costs", None)

    @cached_property
    def operations(self) -> Mapping[Place, Operation]:
        """All candidate operations at all positions, measured or not."""
        found: dict[Place, Operation] = {}
        for term in self._terms:
            for values in self._outcomes.of(term):
                operation = term.operation_of(values)
                if operation is not None:
                    found.setdefault((term.position, operation.name), operation)
        return MappingProxyType(found)

    @cached_property
    def _places(self) -> Mapping[str, list[Place]]:
        places: dict[str, list[Place]] = {}
        for place in self.operations:
            places.setdefault(place[1], []).append(place)
        return places

    def missing(self) -> list[Place]:
        """Return what has not been measured; a complete table has none."""
        return [place for place in self.operations if place not in self._entries]

    # Latency.

    def predict_ms(self, architecture: Architecture) -> float:
        """Return the sum over the operations of a network in ms.

        Raises:
            ValueError: If the architecture is of another space or has an operation that the table
                does not hold.
        """
        if architecture.space != self.space:
            raise ValueError(
                f"Expected argument `architecture` to be of the table's search space "
                f"`{self.space}` but got one of `{architecture.space}`."
            )
        try:
            return math.fsum(
                self._cost_ms(term, term.values(architecture)) for term in self._terms
            )
        except (AssertionError, KeyError, TypeError) as error:
            raise ValueError(
                f"Expected argument `architecture` to have the decisions of the table's search "
                f"space but got {architecture!r}."
            ) from error

    def expected_ms(self, probabilities: Mapping[str, Tensor]) -> Tensor:
        """Return the expected latency if each active decision is drawn independently, in ms.

        With one-hot probabilities it is :meth:`predict_ms`. Gradients flow to the probabilities.

        Args:
            probabilities: For each decision its choices' probabilities in the order of the
                distribution, of shape (number of choices,), floating point, of sum 1. Decisions
                without an entry are uniform.

        Returns:
            A scalar of the probabilities' type and device.

        Raises:
            ValueError: If a name is no decision, a shape is wrong, a probability is negative or
                their sum is not 1 (within 1e-4), or an operation has not been measured.
        """
        given = self._outcomes.with_uniform(probabilities)
        known: dict[Factor, Tensor] = {}
        total = next(iter(given.values())).new_zeros(())
        for term, costs in zip(self._terms, self._costs, strict=True):
            expected = costs.to(total)
            for factor in reversed(term.factors.values()):
                expected = expected @ self._outcomes.probabilities(factor, given, known)
            total = total + expected
        return total

    @cached_property
    def _costs(self) -> list[Tensor]:
        """Per term the latency for all values of its factors, one axis a factor."""
        costs: list[Tensor] = []
        for term in self._terms:
            shape = [len(self._outcomes.values(factor)) for factor in term.factors.values()]
            found = [self._cost_ms(term, values) for values in self._outcomes.of(term)]
            costs.append(torch.tensor(found, dtype=torch.float64).reshape(shape))
        return costs

    def _cost_ms(self, term: Term, values: tuple[Any, ...]) -> float:
        found = self._found.get((term, values))
        if found is not None:
            return found
        operation = term.operation_of(values)
        cost = 0.0
        if operation is not None:
            entry = self._entries.get((term.position, operation.name))
            if entry is None:
                raise ValueError(
                    f"Expected the latency table to hold `{operation.name}` at `{term.position}` "
                    "but it has not been measured."
                )
            cost = term.times * entry.median_ms
        self._found[term, values] = cost
        return cost

    def require_fit(self, space: SearchSpace, *, task: Task, **network: Any) -> None:
        """Raise a ValueError unless the table is of these networks.

        Args:
            space: Search space that the architectures are of.
            task: The task, whose head has to cost as much as that of the table's own task.
            network: ``input_shape`` and all sizes of the backbone.
        """
        if self.space != space.name:
            raise ValueError(
                f"Expected argument `latency_table` to be of search space `{space.name}` but got "
                f"one of `{self.space}`."
            )
        pairs: list[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = [
            ("a space with decision", space.distributions, self.distributions),
            ("networks with", with_head(network, task), self.sizes),
        ]
        for kind, wanted, own in pairs:
            for name in (*wanted, *(name for name in own if name not in wanted)):
                if wanted.get(name) != own.get(name):
                    raise ValueError(
                        f"Expected argument `latency_table` to be of {kind} `{name}` "
                        f"{wanted.get(name)} but got one of {own.get(name)}."
                    )

    @property
    def sizes(self) -> Mapping[str, Any]:
        """What the costs of its networks depend on: sizes, and the head."""
        return with_head(self.network, self.task)

    # The file.

    def save(self, path: str | Path) -> None:
        """Write the table as JSON, under a temporary name that is renamed."""
        entries = {
            place: self._entries[place] for place in self.operations if place in self._entries
        }
        write_contents(
            Path(path),
            Contents(self.space, self.distributions, self.network, self.settings, entries),
        )

    @classmethod
    def load(
        cls, path: str | Path, *, kit: Kit | None = None, task: type[Task] | None = None
    ) -> LatencyTable:
        """Read what :meth:`save` wrote.

        Args:
            path: The file.
            kit: The kit of the space; by default the one with its name.
            task: The class of the task, where it has no name.

        Raises:
            ValueError: If the file cannot be read or is no latency table.
        """
        document = read_document(path)
        try:
            contents = contents_of(document)
            if task is not None and contents.network["task"]["name"] not in TASKS:
                given = task_from_dict(contents.network["task"], task)
                contents = contents._replace(network={**contents.network, "task": given})
            if kit is not None and kit.make_space().name != contents.space:
                kit = None  # The table is of another space, as `require_fit` tells.
            return cls(*contents, kit=kit)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(
                f"Expected {path} to be a latency table but it is damaged "
                f"({type(error).__name__}: {reason})."
            ) from error


def with_head(network: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """Return sizes of networks with a text of the task's head, equal for heads of equal cost."""
    sizes = {name: value for name, value in network.items() if name != "task"}
    return {**sizes, "head": str(task.head(FeatureVector(1)))}
