"""Scores of paths of a trained supernet, and the prior that they make."""

from __future__ import annotations

from collections.abc import Callable
import json
import math
from pathlib import Path

import numpy as np
from rich.progress import track

from lightning_modules.supernet.relaxations import fair_architectures
from optuna_nas import Architecture
from optuna_nas import Evaluation
from optuna_nas.search_space import SearchSpace
from optuna_nas.supernet import Prior
from optuna_nas.supernet import prior_from_scores


class PathScores:
    """What the paths of a supernet are worth: ``val_accuracy`` and ``val_loss`` of each.

    Args:
        space: The search space.
        path: A file to which each score is appended, and which is read first; by default the
            scores are kept in memory alone.
    """

    def __init__(self, space: SearchSpace, path: Path | None = None) -> None:
        self.space = space
        self._path = path
        self._scores: dict[Architecture, dict[str, float]] = {}
        self._separator = ""
        if path is not None and path.is_file():
            text = path.read_text(encoding="utf-8")
            if text and not text.endswith("\n"):  # So that what follows has a line of its own.
                self._separator = "\n"
            for line in text.splitlines():
                try:
                    entry = json.loads(line)
                except json.JSONDecodeError:  # The last line of a killed process.
                    continue
                self._scores[space.from_string(entry.pop("architecture"))] = entry

    def __len__(self) -> int:
        return len(self._scores)

    @property
    def architectures(self) -> list[Architecture]:
        """The architectures in the order in which they were scored."""
        return list(self._scores)

    def __getitem__(self, architecture: Architecture) -> dict[str, float]:
        """Return ``val_accuracy`` in [0, 1] and ``val_loss`` of a path."""
        return dict(self._scores[architecture])

    def fill(
        self,
        evaluate: Callable[[Architecture], Evaluation],
        n: int,
        *,
        seed: int = 0,
        progress: bool = False,
    ) -> None:
        """Score paths until there are at least ``n`` different ones.

        They are drawn in groups in which each choice of a decision appears equally often
        (:func:`~lightning_modules.supernet.relaxations.fair_architectures`); a space with fewer
        architectures is scored as far as 50 groups in a row bring something new.

        Args:
            evaluate: Scores a path, e.g. a :class:`SupernetEvaluator`.
            n: Number of paths.
            seed: Seed of the draws.
            progress: Whether to show a progress bar.
        """
        rng = np.random.default_rng((seed, 0xFA12))
        wanted: dict[Architecture, None] = {}
        idle = 0
        while len(wanted) < n and idle < 50:
            before = len(wanted)
            wanted |= dict.fromkeys(fair_architectures(self.space, rng))
            idle = idle + 1 if len(wanted) == before else 0
        missing = [architecture for architecture in wanted if architecture not in self._scores]
        for architecture in track(missing, "scoring paths", disable=not progress):
            self._record(architecture, dict(evaluate(architecture).metrics))

    def prior(self) -> Prior:
        """Return the prior of the main effects on the rank of the validation loss.

        A path whose loss is no number is as bad as the worst.

        Raises:
            ValueError: If fewer than 2 paths have been scored.
        """
        losses = [scores["val_loss"] for scores in self._scores.values()]
        worths = [-math.inf if math.isnan(loss) else -loss for loss in losses]
        return prior_from_scores(self.space, self.architectures, worths)

    def _record(self, architecture: Architecture, scores: dict[str, float]) -> None:
        self._scores[architecture] = scores
        if self._path is not None:
            entry = {"architecture": self.space.to_string(architecture), **scores}
            with self._path.open("a", encoding="utf-8") as file:
                file.write(self._separator + json.dumps(entry) + "\n")
            self._separator = ""
