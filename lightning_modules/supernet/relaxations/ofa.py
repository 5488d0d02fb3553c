"""Training of the largest network and of what is cut from it (Once-for-All, BigNAS)."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from lightning_modules.supernet._supernet import Supernet
from lightning_modules.supernet.relaxations._base import Backward
from lightning_modules.supernet.relaxations._base import PathRelaxation
from lightning_modules.supernet.relaxations._base import Samples
from lightning_modules.supernet.relaxations._base import Step
from optuna_nas import Architecture
from optuna_nas.spaces import Choice
from optuna_nas.spaces import choices_of
from optuna_nas.spaces import SearchSpace


Phases = Sequence[tuple[float, Sequence[str]]]
"""The part of the training after which decisions become elastic, and patterns of their names."""

_SKIP = "skip"


class ProgressiveShrinking(PathRelaxation):
    """The largest network, the smallest and random ones a step, the largest as their teacher.

    The sandwich rule with in-place distillation (Yu & Huang, ICCV 2019; Yu et al., BigNAS, ECCV
    2020, section 3): the largest network learns the targets and the others its predictions, e.g.
    its softmax, through which no gradient flows. The gradients of all are added up. The training
    shrinks progressively (Cai et al., Once-for-All, ICLR 2020, section 3.3): decisions are opened
    in phases, and until then take their largest choice. Once-for-All opens depth and width in
    two steps each, here they are opened at once.

    Decisions among numbers are ordered, and those with the choice ``skip``, which is the smallest;
    others, as the activation, are drawn uniformly from the beginning, also in the largest and the
    smallest network. Random networks are uniform over the open choices of each decision.

    Args:
        supernet: The supernet that is to be trained.
        n_random: Random networks a step, at least 0.
        phases: In order of time, from which progress in [0, 1] on decisions are open, by shell
            patterns; the first pattern that fits counts. Those that none fits are open from the
            beginning. By default only largest networks are trained at first, then also elastic
            kernels, then depths, then widths and all else.
        reversed_order: Patterns of decisions whose smallest number makes the largest network.
        seed: Seed of the random networks.

    Raises:
        ValueError: If no decision of the space is ordered, ``n_random`` is negative, or a phase
            begins outside [0, 1].
    """

    def __init__(
        self,
        supernet: Supernet,
        *,
        n_random: int = 2,
        phases: Phases = (
            (0.1, ("*kernel*",)),
            (0.25, ("*depth*", "*_type")),
            (0.4, ("*",)),
        ),
        reversed_order: Sequence[str] = ("*stride*", "*pool_size*"),
        seed: int = 0,
    ) -> None:
        super().__init__(supernet, seed=seed)
        if n_random < 0:
            raise ValueError(f"Expected argument `n_random` to be at least 0 but got {n_random}.")
        if not all(0 <= start <= 1 for start, _ in phases):
            raise ValueError(
                "Expected argument `phases` to begin in [0, 1] "
                f"but got {[start for start, _ in phases]}."
            )
        self.n_random = n_random
        self._ordered = ordered_choices(supernet.space, reversed_order)
        if not self._ordered:
            raise ValueError(
                "Expected argument `supernet` to be of a space with decisions among numbers, or "
                f"with the choice `skip`, but got one of `{supernet.space.name}` without any."
            )
        self._starts = {name: _start(name, phases) for name in self._ordered}

    def open_decisions(self, progress: float) -> frozenset[str]:
        """Return the ordered decisions that are elastic at a progress in [0, 1]."""
        return frozenset(name for name, start in self._starts.items() if start <= progress)

    def architectures(self, supernet: Supernet, step: Step) -> list[Architecture]:
        """Return the largest, the smallest and random architectures.

        Those that equal the largest are left out.
        """
        space, rng = supernet.space, self.rng(step, 0)
        shrunk = self.open_decisions(step.progress)
        largest = self._architecture(space, rng, shrunk, -1)
        others = [self._architecture(space, rng, shrunk, 0)]
        others += [self._architecture(space, rng, shrunk, None) for _ in range(self.n_random)]
        return [largest, *(other for other in others if other != largest)]

    def weight_step(
        self, supernet: Supernet, batch: Samples, step: Step, backward: Backward
    ) -> Tensor:
        """Add the gradients of the networks' losses, one network after the other.

        Returns:
            The loss of the largest network.
        """
        largest, *others = self.architectures(supernet, step)
        task = supernet.task
        output = supernet(batch.inputs, supernet.path(largest))
        loss = task.loss(output, batch.targets)
        backward(loss)
        # No gradient flows through the teacher.
        prediction = tree_map(torch.detach, task.predict(output))
        for other in others:
            backward(supernet.loss(batch.inputs, prediction, supernet.path(other)))
        return loss.detach()

    def _architecture(
        self,
        space: SearchSpace,
        rng: np.random.Generator,
        shrunk: frozenset[str],
        position: int | None,
    ) -> Architecture:
        """Draw an architecture.

        Args:
            space: The search space.
            rng: Draws what is not given.
            shrunk: The ordered decisions that need not take their largest choice.
            position: -1 for the largest and 0 for the smallest choice of these; :obj:`None` draws.
        """
        params: dict[str, Choice] = {}
        for name, distribution in space.distributions.items():
            groups = self._ordered.get(name)
            if groups is None:
                own = list(choices_of(distribution))
            elif name in shrunk and position is None:
                own = [choice for group in groups for choice in group]
            else:
                own = groups[position if name in shrunk and position is not None else -1]
            params[name] = own[int(rng.integers(len(own)))]
        return space.architecture(params)


def ordered_choices(
    space: SearchSpace, reversed_order: Sequence[str] = ()
) -> dict[str, list[list[Choice]]]:
    """Return the choices of the ordered decisions, from those of the smallest network on.

    Args:
        space: The search space.
        reversed_order: Patterns of decisions whose smallest number makes the largest network.

    Returns:
        For each decision groups of choices; the choices of a group are not ordered.

    Example:

        >>> from optuna_nas import MobileSpace
        >>> ordered = ordered_choices(MobileSpace.fbnet())
        >>> ordered["stage_2_block_2_expansion"], ordered["stage_2_block_2_type"]
        ([[1], [3], [6]], [['skip'], ['mbconv']])
    """
    found: dict[str, list[list[Choice]]] = {}
    for name, distribution in space.distributions.items():
        choices = list(choices_of(distribution))
        if not any(isinstance(choice, str | bool) for choice in choices):
            backwards = any(fnmatchcase(name, pattern) for pattern in reversed_order)
            found[name] = [[choice] for choice in sorted(choices, reverse=backwards)]
        elif _SKIP in choices:
            others = [choice for choice in choices if choice != _SKIP]
            found[name] = [[_SKIP], others] if others else [[_SKIP]]
    return found


def _start(name: str, phases: Phases) -> float:
    for start, patterns in phases:
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            return start
    return 0.0


RELAXATION = ProgressiveShrinking
