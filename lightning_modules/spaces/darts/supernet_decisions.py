"""From probabilities of the edges of DARTS cells to those of the decisions, and to decisions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
import re

from optuna.distributions import BaseDistribution
import torch
from torch import Tensor

from optuna_nas.spaces import Choice
from optuna_nas.spaces import choices_of


NONE = "none"
_INPUTS = re.compile(r"((?:normal|reduce)_\d+)_inputs")
_TINY = 1e-30


@dataclass(frozen=True)
class NodeDecisions:
    """The decisions of one node, and the gates of the edges that can enter it.

    Args:
        prefix: Of the decisions, e.g. ``normal_3``.
        inputs: The choices of ``inputs``, e.g. ``"0-2"``.
        operations: The choices of ``op_1`` and of ``op_2``.
    """

    prefix: str
    inputs: tuple[str, ...]
    operations: tuple[tuple[str, ...], tuple[str, ...]]

    @cached_property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The gates of both edges for each choice of the inputs."""
        return tuple(edge_pair(self.prefix, inputs) for inputs in self.inputs)

    @cached_property
    def edges(self) -> dict[str, tuple[str, ...]]:
        """The gates of all edges, and their choices.

        An edge that is not in all pairs has the choice ``none`` also where the decisions lack it.
        """
        found: dict[str, dict[str, None]] = {}
        for pair in self.pairs:
            for edge, operations in zip(pair, self.operations, strict=True):
                found.setdefault(edge, {}).update(dict.fromkeys(operations))
        for edge in self.optional:
            if NONE not in found[edge]:
                found[edge] = {NONE: None, **found[edge]}
        return {edge: tuple(found[edge]) for edge in sorted(found)}

    @cached_property
    def optional(self) -> frozenset[str]:
        """The edges that are not in all pairs."""
        counts = Counter(edge for pair in self.pairs for edge in pair)
        return frozenset(edge for edge, count in counts.items() if count < len(self.pairs))

    def chosen(self, architecture: Mapping[str, Choice]) -> dict[str, str]:
        """Return the operation of each of the two edges of an architecture."""
        pair = edge_pair(self.prefix, str(architecture[f"{self.prefix}_inputs"]))
        return {edge: str(architecture[f"{self.prefix}_op_{k}"]) for k, edge in enumerate(pair, 1)}

    def probabilities(self, gates: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the probabilities of the decisions; see :class:`DartsSupernet`."""
        values = self._values(gates, 0), self._values(gates, 1)
        pairs = _normalised(_strengths(values))
        found = {f"{self.prefix}_inputs": pairs}
        for k in (0, 1):
            found[f"{self.prefix}_op_{k + 1}"] = pairs @ _normalised(values[k])
        return found

    def derive(self, gates: Mapping[str, Tensor]) -> dict[str, Choice]:
        """Return the decisions for the two strongest edges and their strongest operations."""
        values = self._values(gates, 0), self._values(gates, 1)
        pair = int(_strengths(values).argmax())
        found: dict[str, Choice] = {f"{self.prefix}_inputs": self.inputs[pair]}
        for k in (0, 1):
            best = int(values[k][pair].argmax())
            found[f"{self.prefix}_op_{k + 1}"] = self.operations[k][best]
        return found

    def _values(self, gates: Mapping[str, Tensor], k: int) -> Tensor:
        """Return the probabilities of the choices of an operation on the edge of each pair.

        That of ``none`` is 0 unless it is the only choice.

        Returns:
            Shape (number of pairs, number of choices).
        """
        operations = self.operations[k]
        rows = []
        for pair in self.pairs:
            index = [self.edges[pair[k]].index(operation) for operation in operations]
            rows.append(gates[pair[k]][index])
        values = torch.stack(rows)
        if operations == (NONE,):
            return values
        counts = [float(operation != NONE) for operation in operations]
        return values * values.new_tensor(counts)


def node_decisions(distributions: Mapping[str, BaseDistribution]) -> list[NodeDecisions]:
    """Return the nodes of both cells of a :class:`~optuna_nas.DartsSpace` or its sub-space."""
    nodes: list[NodeDecisions] = []
    for name in distributions:
        match = _INPUTS.fullmatch(name)
        if match is not None:
            inputs, first, second = (
                tuple(map(str, choices_of(distributions[f"{match[1]}_{part}"])))
                for part in ("inputs", "op_1", "op_2")
            )
            nodes.append(NodeDecisions(match[1], inputs, (first, second)))
    return nodes


def edge_pair(prefix: str, inputs: str) -> tuple[str, str]:
    """Return the gates of two edges, e.g. of ``normal_3`` and ``"0-2"``."""
    kind, node = prefix.split("_")
    first, second = inputs.split("-")
    twin = "_b" if first == second else ""
    return f"{kind}_edge_{first}_{node}", f"{kind}_edge_{second}_{node}{twin}"


def _strengths(values: tuple[Tensor, Tensor]) -> Tensor:
    """Return the product of the strengths of both edges, for each pair."""
    return values[0].amax(dim=1) * values[1].amax(dim=1)


def _normalised(values: Tensor) -> Tensor:
    """Scale the last axis to the sum 1; where all is zero, it becomes uniform."""
    values = values + _TINY
    return values / values.sum(dim=-1, keepdim=True)
