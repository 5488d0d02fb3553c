"""Exact counting and indexing of the architectures of a space with conditional decisions."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution

from optuna_nas.spaces._architecture import Choice
from optuna_nas.spaces._choices import choice_at
from optuna_nas.spaces._choices import n_choices


_MAX_STORED = 5_000_000
"""Values that may be stored while counting: some ten seconds and a few hundred MB."""

_Completions = tuple[int, frozenset[str]]
"""The number of ways to complete a prefix, and the earlier names that it depends on."""


class _ReadRecorder(Mapping[str, Choice]):
    """A view of ``params`` that remembers which names before ``position`` were looked at."""

    def __init__(
        self, params: Mapping[str, Choice], positions: Mapping[str, int], position: int
    ) -> None:
        self._params = params
        self._positions = positions
        self._position = position
        self.reads: set[str] = set()

    def __getitem__(self, name: str) -> Choice:
        if self._positions.get(name, self._position) < self._position:
            self.reads.add(name)
        return self._params[name]

    def __iter__(self) -> Iterator[str]:
        self._read_all()
        return iter(self._params)

    def __len__(self) -> int:
        self._read_all()
        return len(self._params)

    def _read_all(self) -> None:
        self.reads.update(list(self._positions)[: self._position])


class ArchitectureIndex:
    """Numbers the architectures of a space from 0 to ``size - 1`` without enumerating them.

    The decisions are walked in order. The number of ways to complete a prefix depends only on the
    values that later conditions look at, so it is stored under exactly those values: the work
    grows with the number of distinct answers of the conditions, not with the number of
    architectures. The conditions must be pure functions of the mapping that they are given.

    All counting is done at construction; afterwards the index only reads, so threads can share it.

    Args:
        distributions: The decisions in order; each distribution is countable.
        is_active: ``is_active(name, params)``; ``params`` holds the active earlier decisions.

    Raises:
        ValueError: If the conditions look at too many decisions to count in reasonable time.
    """

    def __init__(
        self,
        distributions: Mapping[str, BaseDistribution],
        is_active: Callable[[str, Mapping[str, Choice]], bool],
    ) -> None:
        self._names = tuple(distributions)
        self._positions = {name: position for position, name in enumerate(distributions)}
        self._distributions = dict(distributions)
        self._is_active = is_active
        # Per position: names looked at -> their values (None: inactive) -> number of completions.
        self._memo: list[dict[tuple[str, ...], dict[tuple[Any, ...], int]]] = [
            {} for _ in self._names
        ]
        self._n_stored = 0
        self.size = self._count(0, {})[0]
        """The exact number of architectures."""

    def params_at(self, index: int) -> dict[str, Choice]:
        """Return the active decisions of architecture ``index`` in [0, ``size``)."""
        params: dict[str, Choice] = {}
        for position, name in enumerate(self._names):
            if not self._is_active(name, params):
                continue
            distribution = self._distributions[name]
            for choice_index in range(n_choices(distribution)):
                params[name] = choice_at(distribution, choice_index)
                count, reads = self._count(position + 1, params)
                if name not in reads:  # Every choice has the same number of completions.
                    choice_index, index = divmod(index, count)
                    params[name] = choice_at(distribution, choice_index)
                    break
                if index < count:
                    break
                index -= count
        return params

    def _count(self, position: int, params: dict[str, Choice]) -> _Completions:
        """Count the completions of ``params``, whose decisions are those before ``position``."""
        found = self._find(position, params)
        # An own stack, because a space may have more decisions than Python allows nested calls.
        walks = [] if found else [self._walk(position, params)]
        while walks:
            try:
                position = next(walks[-1]) if found is None else walks[-1].send(found)
            except StopIteration as stop:
                found = stop.value
                walks.pop()
            else:
                found = self._find(position, params)
                if found is None:
                    walks.append(self._walk(position, params))
        assert found is not None
        return found

    def _find(self, position: int, params: Mapping[str, Choice]) -> _Completions | None:
        if position == len(self._names):
            return 1, frozenset()
        for reads, counts in self._memo[position].items():
            count = counts.get(tuple(params.get(name) for name in reads))
            if count is not None:
                return count, frozenset(reads)
        return None

    def _walk(
        self, position: int, params: dict[str, Choice]
    ) -> Generator[int, _Completions, _Completions]:
        """Yield the position after ``position`` for each of its choices, be sent their counts."""
        name = self._names[position]
        recorder = _ReadRecorder(params, self._positions, position)
        count = 0
        if not self._is_active(name, recorder):
            count, later_reads = yield position + 1
            reads = (later_reads - {name}) | recorder.reads
        else:
            reads = frozenset(recorder.reads)
            n = n_choices(self._distributions[name])
            for choice_index in range(n):
                params[name] = choice_at(self._distributions[name], choice_index)
                completions, later_reads = yield position + 1
                reads |= later_reads - {name}
                if name not in later_reads:  # Every choice has the same number of completions.
                    count = n * completions
                    break
                count += completions
            del params[name]
        self._store(position, params, count, reads)
        return count, reads

    def _store(
        self, position: int, params: Mapping[str, Choice], count: int, reads: frozenset[str]
    ) -> None:
        self._n_stored += len(reads) + 1
        if self._n_stored > _MAX_STORED:
            raise ValueError(
                "Expected the conditions of the search space to look at few decisions each, but "
                f"there are too many cases to count: `{self._names[position]}` and the decisions "
                f"after it look at {len(reads)} earlier ones."
            )
        ordered = tuple(sorted(reads))
        values = tuple(params.get(name) for name in ordered)
        self._memo[position].setdefault(ordered, {})[values] = count
