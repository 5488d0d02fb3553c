"""Which parameters an objective asks for, and when it asks for no more: learned from trials."""

from __future__ import annotations

from collections.abc import Hashable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from optuna.trial import FrozenTrial
from optuna.trial import TrialState


CLAIM = "optuna_nas:claim"
"""Trial system attribute: what a trial is about to suggest; see :meth:`History.claim`.

It is there, if only as an empty text, for every trial that asked a sampler of this package.
"""

Key = tuple[Hashable, frozenset[tuple[str, Any]]]
"""Canonical key of an architecture, if there is a space, and the other parameters."""

_Names = frozenset[str]


@dataclass(frozen=True)
class OtherNames:
    """The parameters beside the decisions of a space.

    Args:
        decisions: Names of the decisions.
        seen: The other names of finished trials.
        asked: Those that a trial of our samplers asked for; :obj:`None` while none has finished.
    """

    decisions: frozenset[str]
    seen: frozenset[str] = frozenset()
    asked: frozenset[str] | None = None

    @cached_property
    def foreign(self) -> frozenset[str]:
        """The names that came with trials which were added, and that no objective asks for."""
        return self.seen - (self.seen if self.asked is None else self.asked)

    def after(self, trials: Sequence[FrozenTrial]) -> OtherNames:
        """Return the names after some more finished trials."""
        seen, asked = self.seen, self.asked
        for trial in trials:
            names = trial.params.keys() - self.decisions
            seen |= names
            if CLAIM in trial.system_attrs and trial.state != TrialState.FAIL:
                asked = (asked or frozenset()) | names
        return OtherNames(self.decisions, seen, asked)


class Endings:
    """The sets of names after which the objective was seen to ask for nothing more.

    A proposal holds every parameter of the study, an objective with conditions asks for some. So a
    trial with some of the names of a proposal can be a repetition of it, or a trial of something
    else: a baseline that was added by hand, or what the objective was before it was extended. A
    set of names is an ending if a trial that one of our samplers was asked for has it, and no
    trial went on from the values of another that stopped there.

    It depends on the trials alone, not on their order.
    """

    def __init__(self) -> None:
        self._keys: dict[_Names, set[Key]] = {}
        self._endings: set[_Names] = set()
        self._refuted: set[_Names] = set()
        # What the keys of longer sets of names are within a shorter one, by both.
        self._parts: dict[tuple[_Names, _Names], set[Key]] = {}

    def add(self, key: Key, *, sampled: bool) -> None:
        """Learn from a trial.

        Args:
            key: Its key.
            sampled: Whether one of our samplers was asked for its parameters, and it came to an
                end by itself.
        """
        names = frozenset(name for name, _ in key[1])
        is_new = names not in self._keys
        self._keys.setdefault(names, set()).add(key)
        if sampled and names not in self._refuted:
            self._endings.add(names)
        for other, keys in self._keys.items():
            if other < names and other not in self._refuted:
                part = _part(key, other)
                self._parts.setdefault((other, names), set()).add(part)
                self._refute(other, part in keys)
            elif other > names and names not in self._refuted:
                if is_new:
                    self._parts[names, other] = {_part(longer, names) for longer in keys}
                self._refute(names, key in self._parts[names, other])

    def _refute(self, names: _Names, went_on: bool) -> None:
        if went_on:
            self._refuted.add(names)
            self._endings.discard(names)

    def parts(self, key: Key) -> Iterator[Key]:
        """Yield what a trial that is a repetition of ``key`` may have asked for, if less."""
        names = {name for name, _ in key[1]}
        for ending in self._endings:
            if ending < names:
                yield _part(key, ending)


def _part(key: Key, names: _Names) -> Key:
    return key[0], frozenset(item for item in key[1] if item[0] in names)
