"""The signs that a supernet stage has collapsed to operations without weights."""

from __future__ import annotations

from collections.abc import Mapping

from lightning_modules.spaces.darts.operations import CELL_OPERATIONS
from lightning_modules.supernet._supernet import Supernet
from optuna_nas import Architecture
from optuna_nas.spaces import Choice
from optuna_nas.spaces import choices_of
from optuna_nas.spaces import SearchSpace


NONE = "none"
SKIP = "skip_connect"


def is_collapsed(supernet: Supernet, architecture: Architecture) -> str | None:
    """Tell in words why an architecture looks like the result of a collapse.

    More than half of its operations are skip connections, or no operation that the output depends
    on has weights. Differentiable search tends to both as the operations with weights learn more
    slowly than those without (Liang et al., DARTS+, 2019, arXiv:1909.06035, section 3; Zela et
    al., ICLR 2020, section 3).

    Args:
        supernet: A supernet of the architecture's space.
        architecture: A member of the space.

    Returns:
        The beginning of a sentence, or :obj:`None` if it does not look so, or if the space does
        not choose among operations of cells.
    """
    operations = [
        operation
        for of_cell in cell_operations(supernet.space, architecture).values()
        for operation in of_cell
    ]
    if not operations:
        return None
    n_skips = operations.count(SKIP)
    if 2 * n_skips > len(operations):
        return f"{n_skips} of {len(operations)} operations are `{SKIP}`"
    computed = [
        supernet.choices[name][index]
        for name, gate in supernet.path(architecture).items()
        for index in gate.active
    ]
    if not any(_has_weights(choice) for choice in computed):
        return "no operation on the way to the output has weights"
    return None


def cell_operations(
    space: SearchSpace, architecture: Mapping[str, Choice]
) -> dict[str, list[str]]:
    """Return the operations of each cell of an architecture.

    The decisions of a cell begin with the same word, as in ``normal_2_op_1``. Other decisions than
    those among :data:`~lightning_modules.CELL_OPERATIONS` are left out.

    Example:

        >>> from optuna_nas import CellSpace
        >>> space = CellSpace(n_nodes=3)
        >>> cell_operations(space, space.from_string("|none~0|+|none~0|skip_connect~1|"))
        {'edge': ['none', 'none', 'skip_connect']}
    """
    cells: dict[str, list[str]] = {}
    for name, choice in architecture.items():
        if not CELL_OPERATIONS.keys().isdisjoint(choices_of(space.distributions[name])):
            cells.setdefault(name.partition("_")[0], []).append(str(choice))
    return cells


def _has_weights(choice: Choice) -> bool:
    return choice in CELL_OPERATIONS and choice not in (NONE, SKIP) and "pool" not in str(choice)
