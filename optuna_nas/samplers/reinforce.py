"""REINFORCE as an Optuna sampler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
class ReinforceAgent(PolicyAgent):
    """REINFORCE with a moving-average baseline; one gradient step for each block."""

    def loss(self, output: Output, lesson: Lesson) -> Tensor:
        """Return the REINFORCE loss."""
        return _losses.reinforce_loss(output.log_probs, lesson.rewards, lesson.baseline)


class ReinforceSampler(ControllerSampler):
    """Sampler with a recurrent policy that is trained by REINFORCE.

    An LSTM cell makes one decision after the other. After each block of trials it takes a
    gradient step that makes the better ones more likely, with a moving average of the rewards as
    baseline and a bonus for entropy (Zoph & Le, Neural Architecture Search with Reinforcement
    Learning, ICLR 2017). All trials count as if the present policy had made them, whoever did.

    Example:

        >>> import optuna
        >>> from optuna_nas import CellSpace
        >>> from optuna_nas.samplers import ReinforceSampler
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> space = CellSpace()
        >>> def objective(trial):
        ...     architecture = space.suggest(trial)
        ...     return sum(choice == "nor_conv_3x3" for choice in architecture.values())
        >>> sampler = ReinforceSampler(space=space, seed=0)
        >>> study = optuna.create_study(direction="maximize", sampler=sampler)
        >>> study.optimize(objective, n_trials=100)
        >>> study.best_value >= 5
        True

    Args:
        learning_rate: Step size of Adam, above 0.
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
        learning_rate: float = 0.05,
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
        )
        policy = LstmPolicy(hidden_size, policy_seed, prior)
        super().__init__(
            ReinforceAgent(policy, learning_rate, 1, entropy_weight, baseline_decay),
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


SAMPLER = ReinforceSampler
