"""Proximal policy optimisation as an Optuna sampler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optuna_nas.constraints import Constraint
from optuna_nas.prior import Prior
from optuna_nas.samplers.policy import _losses
from optuna_nas.samplers.policy._agents import Lesson
from optuna_nas.samplers.policy._agents import PolicyAgent
from optuna_nas.samplers.policy._base import check_ranges
from optuna_nas.samplers.policy._base import ControllerSampler
from optuna_nas.samplers.policy._cache import ArtifactStore
from optuna_nas.samplers.policy._policy import LstmPolicy
from optuna_nas.samplers.policy._policy import Output
from optuna_nas.samplers.policy._rewards import Reward
from optuna_nas.spaces import SearchSpace


@dataclass(frozen=True)
class PPOAgent(PolicyAgent):
    """The clipped surrogate of PPO with a moving-average baseline.

    Args:
        clip: How far an importance weight may leave 1.
    """

    clip: float
    uses_log_probs: ClassVar[bool] = True

    def loss(self, output: Output, lesson: Lesson) -> Tensor:
        """Return the clipped surrogate loss."""
        advantages = lesson.mask * (lesson.rewards - lesson.baseline)
        known, now = lesson.behaviour_log_probs, output.log_probs
        behaviour = torch.where(known.isnan(), now.detach(), known)
        return _losses.clipped_surrogate_loss(now, behaviour, advantages, self.clip)


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
        block_size: Trials of a block; see :class:`ControllerSampler` for this and what follows.
        patience: Later finished trials after which an unfinished trial is skipped for good.
        reward: From values to rewards; by default :class:`RankReward`, in [-1, 1].
        floor_reward: Reward of pruned and failed trials, and of the least infeasible ones; the
            others are below it by up to 1.
        learn_failures: Whether failed trials get the floor reward; else they are left out.
        n_candidates: Architectures that are made for a proposal, until one is new.
        policy_seed: Seed of the first weights; the same in every process.
        artifact_store: Optional cache of the weights.
        seed: Seed of the random numbers.
        space: Search space; see :class:`ArchitectureSampler`.
        prior: Probabilities from which the first policy starts.
        constraints: What proposals keep.

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
        block_size: int = 10,
        patience: int = 50,
        reward: Reward | None = None,
        floor_reward: float = -1.0,
        learn_failures: bool = True,
        n_candidates: int = 8,
        policy_seed: int = 0,
        artifact_store: ArtifactStore | None = None,
        seed: int | None = None,
        space: SearchSpace | None = None,
        prior: Prior | None = None,
        constraints: Sequence[Constraint] = (),
    ) -> None:
        check_ranges(
            learning_rate=(learning_rate, "above 0", learning_rate > 0),
            entropy_weight=(entropy_weight, "at least 0", entropy_weight >= 0),
            baseline_decay=(baseline_decay, "in [0, 1)", 0 <= baseline_decay < 1),
            hidden_size=(hidden_size, "at least 1", hidden_size >= 1),
            policy_seed=(policy_seed, "at least 0", policy_seed >= 0),
            n_epochs=(n_epochs, "at least 1", n_epochs >= 1),
            clip=(clip, "in (0, 1)", 0 < clip < 1),
        )
        policy = LstmPolicy(hidden_size, policy_seed, prior)
        super().__init__(
            PPOAgent(policy, learning_rate, n_epochs, entropy_weight, baseline_decay, clip),
            block_size=block_size,
            patience=patience,
            reward=reward,
            floor_reward=floor_reward,
            learn_failures=learn_failures,
            n_candidates=n_candidates,
            artifact_store=artifact_store,
            seed=seed,
            space=space,
            prior=prior,
            constraints=constraints,
        )


SAMPLER = PPOSampler
