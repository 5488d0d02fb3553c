"""Proximal policy optimisation as an Optuna sampler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optuna_nas.constraints import Constraint
from optuna_nas.prior import Prior
from optuna_nas.samplers.policy import check_ranges
from optuna_nas.samplers.policy import ControllerSampler
from optuna_nas.samplers.policy import ControllerSettings
from optuna_nas.samplers.policy import Lesson
from optuna_nas.samplers.policy import losses
from optuna_nas.samplers.policy import LstmPolicy
from optuna_nas.samplers.policy import PolicyGradientAgent
from optuna_nas.samplers.policy import PolicyOutput
from optuna_nas.spaces import SearchSpace


@dataclass(frozen=True)
class PPOAgent(PolicyGradientAgent):
    """The clipped surrogate of PPO with a moving-average baseline.

    Args:
        clip: How far an importance weight may leave 1, in (0, 1).
    """

    clip: float
    uses_log_probs: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(clip=(self.clip, "in (0, 1)"))

    def loss(self, output: PolicyOutput, lesson: Lesson) -> Tensor:
        """Return the clipped surrogate loss."""
        advantages = lesson.mask * (lesson.rewards - lesson.baseline)
        known, now = lesson.behaviour_log_probs, output.log_probs
        behaviour = torch.where(known.isnan(), now.detach(), known)
        return losses.clipped_surrogate_loss(now, behaviour, advantages, self.clip)


class PPOSampler(ControllerSampler):
    """Sampler with a recurrent policy that is trained by proximal policy optimisation.

    An LSTM cell makes one decision after the other. It takes several gradient steps on each block
    of trials, on the clipped surrogate of Schulman et al., Proximal Policy Optimization
    Algorithms, 2017. The importance weight of a decision is its probability now over that under
    the policy which proposed the trial, stored with the trial; in a parallel study that may have
    been an older policy. Decisions without such a record, e.g. of added trials, have the
    weight 1 in every step. What keeps duplicates away (drawing again, changing a decision) is
    left out of the probabilities.

    Example:

        >>> import optuna
        >>> from optuna_nas import CellSpace
        >>> from optuna_nas.samplers import PPOSampler
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> space = CellSpace()
        >>> def objective(trial):
        ...     architecture = space.suggest(trial)
        ...     return sum(choice == "nor_conv_3x3" for choice in architecture.values())
        >>> sampler = PPOSampler(space=space, seed=0)
        >>> study = optuna.create_study(direction="maximize", sampler=sampler)
        >>> study.optimize(objective, n_trials=100)
        >>> study.best_value >= 5
        True

    Args:
        learning_rate: Step size of Adam, above 0.
        n_epochs: Gradient steps for each block, at least 1.
        clip: How far an importance weight may leave 1, in (0, 1).
        entropy_weight: Weight of the entropy bonus, in reward per nat; at least 0.
        baseline_decay: Decay of the moving average of the rewards from block to block, in [0, 1).
        hidden_size: Units of the LSTM cell.
        settings: How the study is followed, and the reward.
        seed: Seed of the random numbers.
        space: Search space; see :class:`ArchitectureSampler`.
        prior: Probabilities from which the first policy starts.
        constraints: Constraints that proposals keep if they can be checked without training.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        *,
        learning_rate: float = 0.03,
        n_epochs: int = 4,
        clip: float = 0.3,
        entropy_weight: float = 0.03,
        baseline_decay: float = 0.7,
        hidden_size: int = 32,
        settings: ControllerSettings | None = None,
        seed: int | None = None,
        space: SearchSpace | None = None,
        prior: Prior | None = None,
        constraints: Sequence[Constraint] = (),
    ) -> None:
        settings = settings or ControllerSettings()
        policy = LstmPolicy(hidden_size, settings.policy_seed, prior)
        agent = PPOAgent(policy, learning_rate, n_epochs, entropy_weight, baseline_decay, clip)
        super().__init__(
            agent, settings=settings, seed=seed, space=space, prior=prior, constraints=constraints
        )


SAMPLER = PPOSampler
