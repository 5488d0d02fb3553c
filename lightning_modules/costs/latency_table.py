"""Latency by adding up: a table of what each candidate operation takes at each position."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
import json
import math
from pathlib import Path
from types import MappingProxyType
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import distribution_to_json
from optuna.distributions import json_to_distribution
import torch
from torch import Tensor

from lightning_modules._files import write_json
from lightning_modules.costs._latency_file import Place
from lightning_modules.costs._latency_file import read_entries
from lightning_modules.costs._latency_file import read_json
from lightning_modules.costs._terms_by_space import Domain
from lightning_modules.costs._terms_by_space import Factor
from lightning_modules.costs._terms_by_space import LATENCY_TERMS
from lightning_modules.costs._terms_by_space import Operation
from lightning_modules.costs._terms_by_space import Term
from lightning_modules.costs.measure import Latency
from optuna_nas.spaces import Architecture
from optuna_nas.spaces import SearchSpace


_VERSION = 1
_TOLERANCE = 1e-4
"""How far a sum of probabilities may be from 1; more in types that are not that exact."""


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
        network: The arguments of the space's builder, ``input_shape`` and ``num_classes`` at
            least.
        settings: What the operations were measured on and with; written to the file.
        entries: What has been measured.

    Raises:
        ValueError: If there are no summands for ``space`` in
            :data:`~lightning_modules.costs._terms_by_space.LATENCY_TERMS`, or ``network`` does not fit.
    """

    def __init__(
        self,
        space: str,
        distributions: Mapping[str, BaseDistribution],
        network: Mapping[str, Any],
        settings: Mapping[str, Any],
        entries: Mapping[Place, Latency] | None = None,
    ) -> None:
        if space not in LATENCY_TERMS:
            raise ValueError(
                f"Expected argument `space` to be a search space of {sorted(LATENCY_TERMS)} "
                f"but got {space!r}."
            )
        self.space = space
        self.distributions = MappingProxyType(dict(distributions))
        self.network = MappingProxyType(
            {**network, "input_shape": tuple(network.get("input_shape", ()))}
        )
        self.settings = MappingProxyType(dict(settings))
        self._entries: dict[Place, Latency] = dict(entries or {})
        try:
            self._terms = LATENCY_TERMS[space](self.distributions, **self.network)
        except (TypeError, KeyError) as error:
            raise ValueError(
                f"Expected the arguments of a network of space `{space}` but got "
                f"{dict(self.network)} ({error})."
            ) from error
        self._domain = Domain(self.distributions)
        self._found: dict[tuple[Term, tuple[Any, ...]], float] = {}

    def __reduce__(self) -> tuple[type[LatencyTable], tuple[Any, ...]]:
        fields = (self.space, dict(self.distributions), dict(self.network), dict(self.settings))
        return type(self), (*fields, self._entries)

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
            for values in self._domain.outcomes(term):
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
        given = self._with_uniform(probabilities)
        known: dict[Factor, Tensor] = {}
        total = next(iter(given.values())).new_zeros(())
        for term, costs in zip(self._terms, self._costs, strict=True):
            expected = costs.to(total)
            for factor in reversed(term.factors.values()):
                expected = expected @ self._domain.probabilities(factor, given, known)
            total = total + expected
        return total

    @cached_property
    def _costs(self) -> list[Tensor]:
        """Per term the latency for all values of its factors, one axis a factor."""
        costs: list[Tensor] = []
        for term in self._terms:
            shape = [len(self._domain.values(factor)) for factor in term.factors.values()]
            found = [self._cost_ms(term, values) for values in self._domain.outcomes(term)]
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

    def _with_uniform(self, probabilities: Mapping[str, Tensor]) -> dict[str, Tensor]:
        unknown = [name for name in probabilities if name not in self.distributions]
        if unknown:
            raise ValueError(
                f"Expected argument `probabilities` to name decisions of search space "
                f"`{self.space}` but got {unknown}."
            )
        like = next(iter(probabilities.values()), torch.zeros(0))
        given: dict[str, Tensor] = {}
        for name in self.distributions:
            n = len(self._domain.values(name))
            given[name] = probabilities.get(name, like.new_full((n,), 1 / n))
            if given[name].shape != (n,) or not given[name].is_floating_point():
                raise ValueError(
                    f"Expected the probabilities of decision `{name}` to be floating point of "
                    f"shape ({n},) but got {given[name].dtype} of {tuple(given[name].shape)}."
                )
            _require_distribution(name, given[name].detach())
        return given

    def require_fit(self, space: SearchSpace, **network: Any) -> None:
        """Raise a ValueError unless the table is of these networks.

        Args:
            space: Search space that the architectures are of.
            network: All arguments of its builder, ``input_shape`` and ``num_classes`` included.
        """
        if self.space != space.name:
            raise ValueError(
                f"Expected argument `latency_table` to be of search space `{space.name}` but got "
                f"one of `{self.space}`."
            )
        pairs: list[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = [
            ("a space with decision", space.distributions, self.distributions),
            ("networks with", network, self.network),
        ]
        for kind, wanted, own in pairs:
            for name in (*wanted, *(name for name in own if name not in wanted)):
                if wanted.get(name) != own.get(name):
                    raise ValueError(
                        f"Expected argument `latency_table` to be of {kind} `{name}` "
                        f"{wanted.get(name)} but got one of {own.get(name)}."
                    )

    # The file.

    def save(self, path: str | Path) -> None:
        """Write the table as JSON, under a temporary name that is renamed."""
        latencies: dict[str, dict[str, dict[str, float]]] = {}
        for position, name in self.operations:
            if (position, name) in self._entries:
                entry = self._entries[position, name]._asdict()
                latencies.setdefault(position, {})[name] = entry
        document = {
            "latency_table": _VERSION,
            "space": self.space,
            "settings": dict(self.settings),
            "network": dict(self.network),
            "decisions": {
                name: json.loads(distribution_to_json(dist))
                for name, dist in self.distributions.items()
            },
            "latencies": latencies,
        }
        write_json(Path(path), document)

    @classmethod
    def load(cls, path: str | Path) -> LatencyTable:
        """Read what :meth:`save` wrote.

        Raises:
            ValueError: If the file cannot be read or is no latency table.
        """
        document = read_json(path)
        if not isinstance(document, dict) or document.get("latency_table") != _VERSION:
            raise ValueError(
                f"Expected {path} to be a latency table of version {_VERSION} but got another "
                "kind of file."
            )
        try:
            return cls(
                document["space"],
                {
                    name: json_to_distribution(json.dumps(dist))
                    for name, dist in document["decisions"].items()
                },
                document["network"],
                document["settings"],
                dict(read_entries(document["latencies"])),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(
                f"Expected {path} to be a latency table but it is damaged "
                f"({type(error).__name__}: {reason})."
            ) from error


def _require_distribution(name: str, probabilities: Tensor) -> None:
    tolerance = max(_TOLERANCE, torch.finfo(probabilities.dtype).eps)
    lowest, total = float(probabilities.min()), float(probabilities.double().sum())
    if not (lowest >= 0 and abs(total - 1) <= tolerance):  # So that NaN does not pass.
        raise ValueError(
            f"Expected the probabilities of decision `{name}` to be at least 0 and of sum 1 but "
            f"got a lowest one of {lowest:g} and a sum of {total:g}."
        )
