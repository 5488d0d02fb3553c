"""The canonical key of a cell genotype: equal for cells that compute the same function."""

from __future__ import annotations

from itertools import permutations

from optuna_nas.spaces.darts._genotype import DartsCellGenotype
from optuna_nas.spaces.darts._genotype import Edge


_ZERO = -1  # The node that holds nothing.
_OF_ZERO_IS_ZERO = ("skip_connect", "avg_pool", "max_pool")


def canonical_cell(cell: DartsCellGenotype, *, reduction: bool) -> str:
    """Return the normal form of a cell; see :meth:`~optuna_nas.DartsSpace.canonical_key`."""
    sums, alias = _simplified(cell, reduction=reduction)
    outputs = [alias.get(node, node) for node in cell.concat]
    live = _live(sums, outputs)
    forms: list[str] = []
    for order in permutations(range(2, len(live) + 2)):
        names = {0: "0", 1: "1", _ZERO: "none"}
        names |= {node: str(name) for node, name in zip(live, order, strict=True)}
        nodes = sorted(
            f"{names[node]}="
            + "+".join(sorted(f"{op}({names[source]})" for op, source in sums[node]))
            for node in live
        )
        forms.append(";".join([*nodes, ",".join(sorted(names[node] for node in outputs))]))
    return min(forms)


def _simplified(
    cell: DartsCellGenotype, *, reduction: bool
) -> tuple[dict[int, list[Edge]], dict[int, int]]:
    """Return the summands of each node without nothing, and nodes that are another node."""
    sums: dict[int, list[Edge]] = {}
    alias: dict[int, int] = {}
    for node, edges in enumerate(cell.nodes, start=2):
        terms: list[Edge] = []
        for op, source in edges:
            source = alias.get(source, source)
            zero = op == "none" or (source == _ZERO and op.startswith(_OF_ZERO_IS_ZERO))
            if not zero:
                terms.append((op, source))
        sums[node] = terms
        if not terms:
            alias[node] = _ZERO
        elif len(terms) == 1 and _is_identity(terms[0], reduction=reduction):
            alias[node] = terms[0][1]
    return sums, alias


def _is_identity(edge: Edge, *, reduction: bool) -> bool:
    op, source = edge
    return op == "skip_connect" and not (reduction and source < 2)


def _live(sums: dict[int, list[Edge]], outputs: list[int]) -> list[int]:
    """Return the nodes on which the outputs depend, ascending."""
    live = {node for node in outputs if node >= 2}
    for node in sorted(sums, reverse=True):
        if node in live:
            live |= {source for _, source in sums[node] if source >= 2}
    return sorted(live)
