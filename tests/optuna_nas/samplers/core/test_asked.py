"""When a set of names is where an objective ends."""

from __future__ import annotations

import itertools

from optuna_nas.samplers.core._asked import Endings
from optuna_nas.samplers.core._asked import Key


def test_an_ending_is_refuted_in_any_order() -> None:
    short: Key = (None, frozenset({("a", 1)}))
    other: Key = (None, frozenset({("a", 2)}))
    long: Key = (None, frozenset({("a", 1), ("b", 3)}))
    proposal: Key = (None, frozenset({("a", 0), ("b", 0)}))
    for order in itertools.permutations([(short, True), (other, True), (long, False)]):
        endings = Endings()
        for key, sampled in order:
            endings.add(key, sampled=sampled)
        assert list(endings.parts(proposal)) == []
    endings = Endings()
    for key in (other, long):
        endings.add(key, sampled=True)
    assert list(endings.parts(proposal)) == [(None, frozenset({("a", 0)}))]
