"""Scores of paths of a trained supernet, the paths to score, and the prior that they make."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
import json
import math
from pathlib import Path

import numpy as np
from rich.progress import track
from scipy.stats import rankdata

from lightning_modules.supernet.relaxations.fairnas import fair_architectures
from lightning_modules.supernet.settings import check_proxy_weight
from optuna_nas import Architecture
from optuna_nas import Evaluation
from optuna_nas.prior import Prior
from optuna_nas.prior import prior_from_elite
from optuna_nas.prior import prior_from_scores
from optuna_nas.spaces import SearchSpace


_ROUNDS, _SHARE = 2, 0.2  # The last paths are drawn from what the others say, in such parts.
_TRIES = 50


class PathScores:
    """What the paths of a supernet are worth: the metrics of each, ``val_loss`` among them.

    With a proxy, their worth is a mean of ranks, that of the loss with the supernet's weights and
    that of the proxy (as votes of proxies: Abdelfattah et al., ICLR 2021, section 3.2). A supernet
    of small data and few epochs ranks poor choices last, but prefers shallow paths among good
    ones, and a proxy of the untrained network errs in other places.

    Args:
        space: The search space.
        path: A file to which each score is appended, and which is read first; by default the
            scores are kept in memory alone.
        proxy: Name of one more metric of each path, higher is better; by default the loss alone
            counts.
        proxy_weight: Its part in the mean, in (0, 1]; of no use without ``proxy``.

    Raises:
        ValueError: If ``proxy_weight`` is out of its range.
    """

    def __init__(
        self,
        space: SearchSpace,
        path: Path | None = None,
        *,
        proxy: str | None = None,
        proxy_weight: float = 0.75,
    ) -> None:
        check_proxy_weight(proxy_weight)
        self.space = space
        self.proxy = proxy
        self.proxy_weight = proxy_weight
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
        """Return ``val_loss``, the task's first metric and, if there is one, the proxy."""
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
        architectures is scored as far as 50 groups in a row bring something new. With a proxy the
        last 40% are drawn from the prior of those before, in two rounds, so that the final prior
        knows the surroundings of the best (as in the algorithm of :func:`prior_from_elite`). The
        same paths are drawn whether some of them have been scored before or not.

        Args:
            evaluate: Scores a path, e.g. a :class:`SupernetEvaluator`, and by the proxy.
            n: Number of paths.
            seed: Seed of the draws.
            progress: Whether to show a progress bar.
        """
        part = int(_SHARE * n) if self.proxy is not None else 0
        wanted = self._fair(n - _ROUNDS * part, np.random.default_rng((seed, 0xFA12)))
        self._score(evaluate, wanted, progress)
        for round_ in range(_ROUNDS if part else 0):
            prior = self._prior(list(wanted), refined=round_ > 0)
            rng = np.random.default_rng((seed, 0xE117, round_))
            target = n - (_ROUNDS - 1 - round_) * part
            for _ in range(_TRIES * part):
                if len(wanted) >= target:
                    break
                wanted[prior.sample(rng)] = None
            self._score(evaluate, wanted, progress)

    def prior(self) -> Prior:
        """Return the prior of the main effects on the rank of the validation loss.

        With a proxy it is that of the 20 best paths, or of a fifth of them where that is less, by
        the mean of ranks. A path whose loss is no number is as bad as the worst.

        Raises:
            ValueError: If fewer than 2 paths have been scored.
        """
        return self._prior(self.architectures, refined=self.proxy is not None)

    def _fair(self, n: int, rng: np.random.Generator) -> dict[Architecture, None]:
        wanted: dict[Architecture, None] = {}
        idle = 0
        while len(wanted) < n and idle < _TRIES:
            before = len(wanted)
            wanted |= dict.fromkeys(fair_architectures(self.space, rng))
            idle = idle + 1 if len(wanted) == before else 0
        return wanted

    def _score(
        self,
        evaluate: Callable[[Architecture], Evaluation],
        wanted: Iterable[Architecture],
        progress: bool,
    ) -> None:
        missing = [architecture for architecture in wanted if architecture not in self._scores]
        for architecture in track(missing, "scoring paths", disable=not progress):
            self._record(architecture, dict(evaluate(architecture).metrics))

    def _prior(self, architectures: Sequence[Architecture], *, refined: bool) -> Prior:
        scores = [self._scores[architecture] for architecture in architectures]
        worth = rankdata([_worst_if_nan(-score["val_loss"]) for score in scores])
        if self.proxy is not None:
            proxies = rankdata([_worst_if_nan(score[self.proxy]) for score in scores])
            worth = (1 - self.proxy_weight) * worth + self.proxy_weight * proxies
        if refined and len(scores) > 1:
            n_elite = max(1, min(20, len(scores) // 5))
            return prior_from_elite(self.space, architectures, worth.tolist(), n_elite=n_elite)
        return prior_from_scores(self.space, architectures, worth.tolist())

    def _record(self, architecture: Architecture, scores: dict[str, float]) -> None:
        self._scores[architecture] = scores
        if self._path is not None:
            entry = {"architecture": self.space.to_string(architecture), **scores}
            with self._path.open("a", encoding="utf-8") as file:
                file.write(self._separator + json.dumps(entry) + "\n")
            self._separator = ""


def _worst_if_nan(worth: float) -> float:
    return -math.inf if math.isnan(worth) else worth
