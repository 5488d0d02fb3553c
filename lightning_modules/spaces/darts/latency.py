"""The summands of a DARTS network's latency: preprocessing, edges, sums and joins of each cell."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from functools import partial
from typing import Any

from optuna.distributions import BaseDistribution
from torch import nn

from lightning_modules._checks import check_positive
from lightning_modules.backbone import check_input_shape
from lightning_modules.costs._joins import Add
from lightning_modules.costs._joins import Concat
from lightning_modules.costs._joins import pool_and_flatten
from lightning_modules.costs.latency_terms import constant
from lightning_modules.costs.latency_terms import Factor
from lightning_modules.costs.latency_terms import Factors
from lightning_modules.costs.latency_terms import fixed
from lightning_modules.costs.latency_terms import head_term
from lightning_modules.costs.latency_terms import Operation
from lightning_modules.costs.latency_terms import operation
from lightning_modules.costs.latency_terms import shrink
from lightning_modules.costs.latency_terms import Size
from lightning_modules.costs.latency_terms import Term
from lightning_modules.spaces.cell.operations import FactorizedReduce
from lightning_modules.spaces.cell.operations import ReLUConvBN
from lightning_modules.spaces.darts.operations import CELL_OPERATIONS
from lightning_modules.tasks import Task
from optuna_nas.spaces import choices_of


_NO_CELL = constant(0)
"""Before the first cells there is the stem, which is three times as wide as a node."""


def latency_terms(
    distributions: Mapping[str, BaseDistribution],
    *,
    input_shape: tuple[int, int, int],
    task: Task,
    channels: int = 16,
    cells: int = 8,
) -> list[Term]:
    """Return the summands.

    Args:
        distributions: Of a :class:`~optuna_nas.DartsSpace`.
        input_shape: (channels, height, width) of an image.
        task: It brings the head.
        channels: Channels of a node in the first cells.
        cells: Number of cells.

    Raises:
        ValueError: If a number is less than 1 or an operation is unknown.
    """
    check_input_shape(input_shape)
    check_positive("channels", channels)
    check_positive("cells", cells)
    kinds = {kind: _Kind(distributions, kind) for kind in ("normal", "reduce")}
    size = input_shape[1:]
    stem = operation(
        f"stem {3 * channels}", partial(_make_stem, input_shape[0], channels), *input_shape
    )
    terms = [fixed("stem", stem)]
    older = newer = _Maps(_NO_CELL, 3 * channels, size)
    after_reduction = False
    for number in range(cells):
        reduction = number in (cells // 3, 2 * cells // 3)
        channels *= 2 if reduction else 1
        kind = kinds["reduce" if reduction else "normal"]
        place = f"cell_{number + 1}"
        terms += [
            _preprocessing(f"{place}_preprocess_0", older, channels, after_reduction),
            _preprocessing(f"{place}_preprocess_1", newer, channels, False),
        ]
        terms += kind.terms(place, channels, newer.size)
        size = shrink(newer.size, 2) if reduction else newer.size
        older, newer = newer, _Maps(kind.joined, channels, size)
        after_reduction = reduction
    pool = Term("pool", {"joined": newer.joined}, partial(_pool, newer))
    return [*terms, pool, head_term(task, Factor((newer.joined,), newer.width))]


class _Maps:
    """What a cell hands on: so many joined maps of so many channels, and their size.

    Args:
        joined: The number of joined maps; 0 for the stem's.
        channels: Channels of each.
        size: Their height and width.
    """

    def __init__(self, joined: Factor, channels: int, size: Size) -> None:
        self.joined = joined
        self.channels = channels
        self.size = size

    def width(self, joined: int) -> int:
        """Return the channels for a number of joined maps."""
        return max(1, joined) * self.channels


class _Kind:
    """The normal or the reduction cell: its edges and how many nodes it joins.

    Args:
        distributions: The decisions.
        kind: ``normal`` or ``reduce``.
    """

    def __init__(self, distributions: Mapping[str, BaseDistribution], kind: str) -> None:
        self._reduction = kind == "reduce"
        self._prefixes: list[str] = []
        while f"{kind}_{len(self._prefixes) + 2}_inputs" in distributions:
            self._prefixes.append(f"{kind}_{len(self._prefixes) + 2}")
        for prefix in self._prefixes:
            _check_operations(distributions, prefix)
        inputs = [f"{prefix}_inputs" for prefix in self._prefixes]
        loose = choices_of(distributions["concat"]) == ("loose",)
        # Joining all nodes does not depend on their inputs.
        self.joined = Factor(inputs, _loose) if loose else constant(len(inputs))

    def terms(self, position: str, channels: int, size: Size) -> Iterator[Term]:
        """Yield the summands of one cell with the size of its preprocessed inputs."""
        after = shrink(size, 2) if self._reduction else size
        add = operation("add", Add, channels, *after)
        for prefix in self._prefixes:
            place = f"{position}_node_{prefix.split('_')[1]}"
            for i in (0, 1):
                # Only a reduction cell's edge depends on where it comes from.
                factors: Factors = {"choice": f"{prefix}_op_{i + 1}"}
                if self._reduction:
                    factors["from_input"] = Factor((f"{prefix}_inputs",), partial(_is_input, i))
                make = partial(_edge, channels, size, after)
                yield Term(f"{place}_op_{i + 1}", factors, make)
            yield fixed(place, add)
        factors = {"joined": self.joined}
        yield Term(f"{position}_concat", factors, partial(_concat, channels, after))


def _check_operations(distributions: Mapping[str, BaseDistribution], prefix: str) -> None:
    for i in (1, 2):
        unknown = set(choices_of(distributions[f"{prefix}_op_{i}"])) - set(CELL_OPERATIONS)
        if unknown:
            raise ValueError(
                f"Expected operations of {list(CELL_OPERATIONS)} but got {sorted(unknown)}."
            )


def _preprocessing(position: str, maps: _Maps, channels: int, reduces: bool) -> Term:
    """Return what brings an input to the cell's channels and, if it ``reduces``, half the size."""
    make = partial(_preprocess, maps, channels, reduces)
    return Term(position, {"joined": maps.joined}, make)


def _preprocess(maps: _Maps, channels: int, reduces: bool, *, joined: int) -> Operation:
    width = maps.width(joined)
    if reduces:
        make: Any = partial(FactorizedReduce, width, channels)
        return operation(f"factorized_reduce {width}-{channels}", make, width, *maps.size)
    make = partial(ReLUConvBN, width, channels, 1)
    return operation(f"relu_conv_bn {width}-{channels}", make, width, *maps.size)


def _edge(
    channels: int, before: Size, after: Size, *, choice: str, from_input: bool = False
) -> Operation:
    """Return an operation; in a reduction cell it has stride 2 on an input of the cell."""
    stride = 2 if from_input else 1
    make = partial(CELL_OPERATIONS[choice], channels, channels, stride)
    return operation(f"{choice} s{stride}", make, channels, *(before if from_input else after))


def _is_input(place: int, inputs: str) -> bool:
    return int(inputs.split("-")[place]) < 2


def _loose(*inputs: str) -> int:
    used = {int(source) for pair in inputs for source in pair.split("-")}
    return sum(node not in used for node in range(2, len(inputs) + 2))


def _concat(channels: int, size: Size, *, joined: int) -> Operation:
    return operation(f"concat {joined}", partial(Concat, joined), channels, *size)


def _pool(maps: _Maps, *, joined: int) -> Operation:
    return operation("pool", pool_and_flatten, maps.width(joined), *maps.size)


def _make_stem(channels_in: int, channels: int) -> nn.Module:
    conv = nn.Conv2d(channels_in, 3 * channels, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(3 * channels))
