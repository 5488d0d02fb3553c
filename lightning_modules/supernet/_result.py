"""What a supernet stage leaves, and what is poor about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import entropy

from lightning_modules.supernet._paths import PathScores
from lightning_modules.supernet._supernet import Supernet
from optuna_nas import Architecture
from optuna_nas.prior import Prior


_UNIFORM = 0.99  # Of the entropy of uniform probabilities.
_GUESSING = 0.95  # Of the loss of a network that has learned nothing but the mean.


@dataclass(frozen=True, eq=False)
class SupernetResult:
    """What a supernet stage leaves.

    Args:
        architecture: The architecture that was found, of the prior's most likely choices or by
            the published rule of the relaxation.
        prior: Probabilities of the choices.
        supernet: The trained supernet.
        path: Its file, if the stage had a folder.
        scores: The paths that were scored; none if the relaxation learns probabilities.
        collapsed: What looks collapsed about the architecture, in words.
    """

    architecture: Architecture
    prior: Prior
    supernet: Supernet
    path: Path | None
    scores: PathScores | None
    collapsed: str | None

    @property
    def problem(self) -> str | None:
        """What is poor about the result, the beginning of a sentence; None if nothing is."""
        if self.collapsed is not None:
            return f"The supernet stage looks collapsed: {self.collapsed}"
        if uncertainty(self.prior) > _UNIFORM:
            return "The prior of the supernet stage is close to uniform"
        if self.guesses:
            return "The supernet has hardly learned: half of its paths do little but guess"
        return None

    @property
    def guesses(self) -> bool:
        """Whether the median loss of the scored paths is hardly better than a guess."""
        guess = self.supernet.task.guess_loss
        if self.scores is None or guess is None:
            return False
        losses = [self.scores[path]["val_loss"] for path in self.scores.architectures]
        return bool(np.median(losses) > _GUESSING * guess)


def uncertainty(prior: Prior) -> float:
    """Return the mean entropy of a prior's decisions relative to uniform ones, in [0, 1]."""
    shares = [
        float(entropy(prior[name]) / np.log(len(prior[name])))
        for name in prior.space.distributions
        if len(prior[name]) > 1
    ]
    return float(np.mean(shares)) if shares else 0.0
