"""The search spaces that come with a name, and reading strings in whichever of them can."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from types import MappingProxyType

from optuna_nas.spaces._architecture import Architecture
from optuna_nas.spaces._space import SearchSpace
from optuna_nas.spaces.cell import CellSpace
from optuna_nas.spaces.chain import ChainSpace
from optuna_nas.spaces.darts import DartsSpace
from optuna_nas.spaces.mobile import MobileSpace


def _small_mobile() -> MobileSpace:
    return MobileSpace.small(input_size=64)


NAMED_SPACES: Mapping[str, Callable[[], SearchSpace]] = MappingProxyType(
    {
        "cell": CellSpace,
        "chain": ChainSpace,
        "darts": DartsSpace,
        "nasnet": DartsSpace.nasnet,
        "mobile": _small_mobile,
        "fbnet": MobileSpace.fbnet,
        "mobilenet_v3": MobileSpace.mobilenet_v3,
        "efficientnet": MobileSpace.efficientnet,
    }
)
"""What makes each space that has a name on the command line.

``mobile`` is the small space with a stem of stride 2, which trains on a CPU in minutes; the spaces
of the mobile papers have the names of these.
"""

_FORMS: tuple[tuple[str, Sequence[str]], ...] = (
    ("Genotype(", ("darts", "nasnet")),
    ("|stem", ("mobile", "fbnet", "mobilenet_v3", "efficientnet")),
    ("~", ("cell",)),
    ("", ("chain",)),
)
"""What stands in the strings of some spaces only, and their names."""


def read_named(text: str) -> tuple[str, SearchSpace, Architecture]:
    """Read a string encoding in the first space with a name that can.

    Returns:
        The name, the space and the architecture.

    Raises:
        ValueError: If it cannot be read; the sentence says why not in the likeliest space.

    Example:

        >>> name, space, architecture = read_named("C-S-O")
        >>> name, space.to_string(architecture)
        ('chain', 'C16k3-Smax2-O64')
    """
    names = next(names for form, names in _FORMS if form in text)
    problems = []
    for candidate in names:
        space = NAMED_SPACES[candidate]()
        try:
            return candidate, space, space.from_string(text)
        except ValueError as error:
            problems.append(f"As an architecture of the space {candidate}: {error}")
    raise ValueError(problems[0])
