"""Exact counting and indexing of the architectures of a space with conditional decisions."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution

from optuna_nas.search_space._architecture import Choice
from optuna_nas.search_space._choices import choice_at
from optuna_nas.search_space._choices import n_choices


_MISSING = object()


class _ReadRecorder(Mapping[str, Choice]):
    """A view of ``params`` that remembers which names a condition looked at."""

    def __init__(self, params: Mapping[str, Choice], names: tuple[str, ...]) -> None:
        self._params = params
        self._names = names
        self.reads: set[str] = set()

    def __getitem__(self, name: str) -> Choice:
        self.reads.add(name)
        return self._params[name]

    def __iter__(self) -> Iterator[str]:
        self.reads.update(self._names)
        return iter(self._params)

    def __len__(self) -> int:
        self.reads.update(self._names)
        return len(self._params)


class ArchitectureIndex:
    """Numbers the architectures of a space from 0 to ``size - 1`` without enumerating them.

    The decisions are walked in order. The number of ways to complete a prefix depends only on the
    values that later conditions look at, so it is stored under exactly those values: the work
    grows with the number of distinct answers of the conditions, not with the number of
    architectures. The conditions must be pure functions of the mapping that they are given.

    Args:
        distributions: The decisions in order; each distribution is countable.
        is_active: ``is_active(name, params)``, where ``params`` holds the active earlier decisions.
    """

    def __init__(
        self,
        distributions: Mapping[str, BaseDistribution],
        is_active: Callable[[str, Mapping[str, Choice]], bool],
    ) -> None:
        self._names = tuple(distributions)
        self._distributions = dict(distributions)
        self._is_active = is_active
        # Per position: names looked at -> their values -> number of completions.
        self._memo: list[dict[tuple[str, ...], dict[tuple[Any, ...], int]]] = [
            {} for _ in self._names
        ]

    @property
    def size(self) -> int:
        """The exact number of architectures."""
        return self._count(0, {})[0]

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

    def _count(self, position: int, params: dict[str, Choice]) -> tuple[int, frozenset[str]]:
        """Return the number of completions of ``params`` and the earlier names it depends on."""
        if position == len(self._names):
            return 1, frozenset()
        for known_reads, counts in self._memo[position].items():
            known = counts.get(tuple(params.get(name, _MISSING) for name in known_reads))
            if known is not None:
                return known, frozenset(known_reads)
        count, reads = self._count_uncached(position, params)
        ordered = tuple(sorted(reads))
        values = tuple(params.get(name, _MISSING) for name in ordered)
        self._memo[position].setdefault(ordered, {})[values] = count
        return count, reads

    def _count_uncached(
        self, position: int, params: dict[str, Choice]
    ) -> tuple[int, frozenset[str]]:
        name = self._names[position]
        recorder = _ReadRecorder(params, self._names[:position])
        if not self._is_active(name, recorder):
            count, later_reads = self._count(position + 1, params)
            return count, later_reads | recorder.reads
        distribution = self._distributions[name]
        total = 0
        reads: set[str] = set(recorder.reads)
        for choice_index in range(n_choices(distribution)):
            extended = {**params, name: choice_at(distribution, choice_index)}
            count, later_reads = self._count(position + 1, extended)
            reads |= later_reads - {name}
            if name not in later_reads:
                return total + (n_choices(distribution) - choice_index) * count, frozenset(reads)
            total += count
        return total, frozenset(reads)
