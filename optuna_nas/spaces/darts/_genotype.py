"""Genotypes of normal and reduction cells: from decisions to edges, and the published text."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
import re
from typing import Any


CELLS = ("normal", "reduce")
"""The two cells of a network, in the order in which they are written."""

Edge = tuple[str, int]
"""An operation and the number of the node that it is applied to."""

_EDGE = re.compile(r"""\(['"]([A-Za-z0-9_.-]+)['"],([0-9]{1,3})\)""")
_LIST = r"""(\[(?:\(['"][A-Za-z0-9_.-]+['"],[0-9]{1,3}\),?)*\])"""
_CONCAT = r"(range\([0-9]{1,3},[0-9]{1,3}\)|\[(?:[0-9]{1,3},?)*\])"
_GENOTYPE = re.compile(
    rf"Genotype\(normal={_LIST},normal_concat={_CONCAT},"
    rf"reduce={_LIST},reduce_concat={_CONCAT},?\)"
)
_EXAMPLE = "Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=range(2, 6), ...)"


@dataclass(frozen=True)
class DartsCellGenotype:
    """The structure of one cell: nodes 0 and 1 are its inputs, the others sums of two edges.

    Args:
        nodes: For the nodes 2, 3, ... the two edges, each an operation and an earlier node.
        concat: The nodes whose maps are joined to the output, in ascending order.
    """

    nodes: tuple[tuple[Edge, Edge], ...]
    concat: tuple[int, ...]


def darts_cells(architecture: Mapping[str, Any]) -> dict[str, DartsCellGenotype]:
    """Split the decisions of a :class:`~optuna_nas.DartsSpace` member into its two cells.

    Returns:
        The genotypes of ``"normal"`` and ``"reduce"``.

    Raises:
        KeyError: If a decision is missing.
    """
    cells: dict[str, DartsCellGenotype] = {}
    for cell in CELLS:
        nodes: list[tuple[Edge, Edge]] = []
        while f"{cell}_{len(nodes) + 2}_inputs" in architecture or not nodes:
            prefix = f"{cell}_{len(nodes) + 2}"
            first, second = map(int, str(architecture[f"{prefix}_inputs"]).split("-"))
            ops = str(architecture[f"{prefix}_op_1"]), str(architecture[f"{prefix}_op_2"])
            nodes.append(((ops[0], first), (ops[1], second)))
        concat = concatenated(nodes, str(architecture["concat"]))
        cells[cell] = DartsCellGenotype(tuple(nodes), concat)
    return cells


def concatenated(nodes: Sequence[tuple[Edge, Edge]], rule: str) -> tuple[int, ...]:
    """Return the nodes that make the output: ``"all"``, or the ``"loose"`` ones nobody uses."""
    used = {source for node in nodes for _, source in node} if rule == "loose" else set()
    return tuple(i for i in range(2, len(nodes) + 2) if i not in used)


def write_genotype(cells: Mapping[str, DartsCellGenotype]) -> str:
    """Write the published form without blanks, which is a Python expression."""
    parts: list[str] = []
    for name, cell in cells.items():
        edges = ",".join(f"('{op}',{source})" for node in cell.nodes for op, source in node)
        low, high = cell.concat[0], cell.concat[-1] + 1
        joined = f"[{','.join(map(str, cell.concat))}]"
        if cell.concat == tuple(range(low, high)):
            joined = f"range({low},{high})"
        parts.append(f"{name}=[{edges}],{name}_concat={joined}")
    return f"Genotype({','.join(parts)})"


def read_genotype(text: str, n_nodes: int) -> dict[str, DartsCellGenotype]:
    """Read the published form; blanks, line breaks and commas behind the last item are allowed.

    The text is matched, never evaluated.

    Raises:
        ValueError: If it has another form or another number of nodes.
    """
    match = _GENOTYPE.fullmatch("".join(text.split()))
    if match is None:
        raise ValueError(
            f"Expected argument `text` to be a genotype like {_EXAMPLE} but got {text!r}."
        )
    cells: dict[str, DartsCellGenotype] = {}
    for i, name in enumerate(CELLS):
        edges = [(op, int(source)) for op, source in _EDGE.findall(match[2 * i + 1])]
        if len(edges) != 2 * n_nodes:
            raise ValueError(
                f"Expected the cell `{name}` of argument `text` to have {n_nodes} nodes of two "
                f"edges each but got {len(edges)} edges."
            )
        nodes = tuple(zip(edges[::2], edges[1::2], strict=True))
        cells[name] = DartsCellGenotype(nodes, _read_concat(match[2 * i + 2]))
    return cells


def _read_concat(text: str) -> tuple[int, ...]:
    numbers = [int(number) for number in re.findall("[0-9]+", text)]
    if text.startswith("range"):
        numbers = list(range(*numbers))
    return tuple(sorted(numbers))
