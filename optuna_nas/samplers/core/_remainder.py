"""What is left of a small space: the last resort of a sampler, and whether it is empty."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import math

import numpy as np
from optuna.distributions import BaseDistribution

from optuna_nas.samplers.core._domain import TrialDomain
from optuna_nas.samplers.core._history import History
from optuna_nas.samplers.core._history import Params


_MAX_SCAN = 20_000
"""Proposals that are looked at when almost every one is taken."""


@dataclass(frozen=True)
class _Proof:
    """The circumstances under which everything was found to be taken."""

    distributions: dict[str, BaseDistribution]
    n_failed: int
    pending: frozenset[int]


class Remainder:
    """What no trial of a study has taken.

    When everything was found to be taken, that is remembered. It holds for good if all of it is
    finished, else until a trial fails or all trials that were unfinished then are finished.
    """

    def __init__(self) -> None:
        self._proof: _Proof | None = None

    def is_empty(self, history: History, domain: TrialDomain) -> bool:
        """Tell whether a scan has found everything to be taken, and still holds."""
        proof = self._proof
        if proof is None or domain.fixed or domain.distributions != proof.distributions:
            return False
        if not proof.pending:
            return True
        return proof.n_failed == history.n_failed and not proof.pending.isdisjoint(history.pending)

    def search(
        self, history: History, domain: TrialDomain, rng: np.random.Generator
    ) -> Params | None:
        """Walk through the space in a random cyclic order until something is not taken.

        It looks at no more than 20,000 proposals, so it is exhaustive for smaller spaces. Without
        a space it looks at those alone: an objective with conditions may have no others.

        Returns:
            What it has found; :obj:`None` if that is nothing.
        """
        if domain.fixed or (not domain.has_space and domain.size > _MAX_SCAN):
            return None
        for candidate in _proposals(domain, rng):
            if not history.is_taken(candidate):
                return candidate
        if domain.is_countable and domain.size <= _MAX_SCAN:
            self._proof = _Proof(domain.distributions, history.n_failed, history.pending)
        return None


def _proposals(domain: TrialDomain, rng: np.random.Generator) -> Iterator[Params]:
    size = domain.size
    index = int(rng.integers(min(size, 2**62)))
    stride = _coprime_stride(size, rng)
    for _ in range(min(size, _MAX_SCAN)):
        yield domain.complete(domain.params_at(index % size), rng)
        index += stride


def _coprime_stride(size: int, rng: np.random.Generator) -> int:
    while True:
        stride = 1 + int(rng.integers(min(size, 2**62)))
        if math.gcd(stride, size) == 1:
            return stride
