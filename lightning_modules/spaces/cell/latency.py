"""The summands of a cell network's latency: stem, edges, sums, reduction blocks and head."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from functools import partial

from optuna.distributions import BaseDistribution
from torch import nn

from lightning_modules._checks import check_positive
from lightning_modules.costs._joins import Add
from lightning_modules.costs.latency_terms import constant
from lightning_modules.costs.latency_terms import Factor
from lightning_modules.costs.latency_terms import Factors
from lightning_modules.costs.latency_terms import fixed
from lightning_modules.costs.latency_terms import head_term
from lightning_modules.costs.latency_terms import Operation
from lightning_modules.costs.latency_terms import operation
from lightning_modules.costs.latency_terms import shrink
from lightning_modules.costs.latency_terms import Term
from lightning_modules.spaces.cell.network import CellBackbone
from lightning_modules.spaces.cell.network import dead_edges
from lightning_modules.spaces.cell.network import edge_ends
from lightning_modules.spaces.cell.network import ReductionBlock
from lightning_modules.spaces.cell.operations import make_operation
from lightning_modules.spaces.cell.operations import OPERATIONS
from lightning_modules.tasks import Task
from optuna_nas.spaces import choices_of


Shape = tuple[int, int, int]
"""Channels, height and width."""


def latency_terms(
    distributions: Mapping[str, BaseDistribution],
    *,
    input_shape: Shape,
    task: Task,
    channels: int = 16,
    cells_per_stage: int = 5,
    stages: int = 3,
) -> list[Term]:
    """Return the summands; an edge that does not reach the output costs nothing.

    Args:
        distributions: Of a :class:`~optuna_nas.CellSpace`.
        input_shape: (channels, height, width) of an image.
        task: It brings the head.
        channels: Channels of the first stage; each later stage doubles them.
        cells_per_stage: Number of cells in each stage.
        stages: Number of stages.

    Raises:
        ValueError: If a number is less than 1 or an operation is unknown.
    """
    check_positive("cells_per_stage", cells_per_stage)
    names = {str(choice) for dist in distributions.values() for choice in choices_of(dist)}
    if not names <= set(OPERATIONS):
        raise ValueError(
            f"Expected operations of {list(OPERATIONS)} but got {sorted(names - set(OPERATIONS))}."
        )
    skeleton = CellBackbone(
        lambda _: nn.Identity(),
        input_shape=input_shape,
        channels=channels,
        cells_per_stage=1,
        stages=stages,
    )
    stem = operation(f"stem {channels}", lambda: skeleton.stem, *input_shape)
    terms = [fixed("stem", stem)]
    shape = (channels, *input_shape[1:])
    structure = _Structure(list(distributions))
    for stage in range(1, stages + 1):
        if stage > 1:
            reduction = operation("reduction", partial(_reduction, shape[0]), *shape)
            terms.append(fixed(f"reduction_{stage - 1}", reduction))
            shape = (2 * shape[0], *shrink(shape[1:], 2))
        terms += structure.terms(f"stage_{stage}", shape, cells_per_stage)
    pool = operation("norm pool", partial(_pool, skeleton), *shape)
    return [*terms, fixed("pool", pool), head_term(task, constant(skeleton.n_features))]


class _Structure:
    """Which edges of a cell are computed, and what else the cell computes for its sums.

    Args:
        edges: The names of all edges.
    """

    def __init__(self, edges: Sequence[str]) -> None:
        self._edges = edges
        self._present = {edge: Factor((edge,), _is_present) for edge in edges}
        self._last = max(edge_ends(edge)[1] for edge in edges)
        nodes = range(self._last + 1)
        self._reaching = [self._reaches(node) for node in nodes]
        self._counts = [Factor(self._into(node), _count) for node in nodes]

    def _into(self, node: int) -> list[Factor]:
        return [self._present[edge] for edge in self._edges if edge_ends(edge)[1] == node]

    def _reaches(self, node: int) -> Factor:
        """Return whether a node reaches the last one, on which only later edges decide."""
        later = [edge for edge in self._edges if edge_ends(edge)[0] >= node]
        return Factor([self._present[edge] for edge in later], partial(_reaches, node, later))

    def terms(self, position: str, shape: Shape, times: int) -> Iterator[Term]:
        """Yield the summands of the cells of a stage."""
        zero = _named("none", shape)
        add = operation("add", Add, *shape)
        for edge in self._edges:
            source, target = edge_ends(edge)
            live = self._reaching[target]
            factors: Factors = {"live": live, "choice": edge}
            yield Term(f"{position}_{edge}", factors, partial(_edge, shape), times)
            if source > 0:
                factors = {
                    "live": live,
                    "present": self._present[edge],
                    "count": self._counts[source],
                }
                yield Term(f"{position}_{edge}", factors, partial(_no_input, zero), times)
        for node in range(2, self._last + 1):
            factors = {"live": self._reaching[node], "count": self._counts[node]}
            for k in range(2, node + 1):
                yield Term(f"{position}_node_{node}", factors, partial(_kth, add, k), times)
        factors = {"count": self._counts[self._last]}
        yield Term(f"{position}_node_{self._last}", factors, partial(_nothing, zero), times)


def _is_present(choice: str) -> bool:
    return choice != "none"


def _count(*present: bool) -> int:
    return sum(present)


def _reaches(node: int, edges: Sequence[str], *present: bool) -> bool:
    if not edges:  # It is the last node.
        return True
    choices = ("skip_connect" if there else "none" for there in present)
    dead = dead_edges(dict(zip(edges, choices, strict=True)))
    return any(edge_ends(edge)[0] == node and edge not in dead for edge in edges)


def _named(choice: str, shape: Shape) -> Operation:
    return operation(choice, partial(make_operation, choice, shape[0], shape[0]), *shape)


def _edge(shape: Shape, *, live: bool, choice: str) -> Operation | None:
    """Return the operation of an edge that is computed."""
    return _named(choice, shape) if live and choice != "none" else None


def _no_input(zero: Operation, *, live: bool, present: bool, count: int) -> Operation | None:
    """Return the zeros that a live edge takes where nothing comes into its source."""
    return zero if live and present and not count else None


def _kth(add: Operation, k: int, *, live: bool, count: int) -> Operation | None:
    """Return the addition of the ``k``-th edge into a node."""
    return add if live and count >= k else None


def _nothing(zero: Operation, *, count: int) -> Operation | None:
    """Return the zeros of a cell of which no edge reaches the output."""
    return None if count else zero


def _reduction(channels: int) -> nn.Module:
    return ReductionBlock(channels, 2 * channels)


def _pool(skeleton: CellBackbone) -> nn.Module:
    return nn.Sequential(skeleton.norm, nn.ReLU(), skeleton.pool, nn.Flatten())
