"""Advantage actor-critic as an Optuna sampler."""

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
class ActorCriticAgent(PolicyAgent):
    """An actor and a critic on one trunk, with an advantage for each decision.

    Args:
        lambda_: Parameter of the generalised advantage estimate.
        value_weight: Weight of the critic's loss.
    """

    lambda_: float
    value_weight: float

    def loss(self, output: Output, lesson: Lesson) -> Tensor:
        """Return the sum of the actor's and the critic's loss."""
        advantages = _losses.generalized_advantages(
            output.values.detach(), lesson.rewards, lesson.mask, self.lambda_
        )
        actor = _losses.policy_gradient_loss(output.log_probs, advantages)
        critic = _losses.value_loss(output.values, lesson.rewards, lesson.mask)
        return actor + self.value_weight * critic


class ActorCriticSampler(ControllerSampler):
    """Sampler with a recurrent policy and a value head on the same trunk.

    An LSTM cell makes one decision after the other. Its value head says before each decision
    which reward to expect after the decisions so far. So each decision is judged by what it
    changed and not by the reward of the whole (Mnih et al., Asynchronous Methods for Deep
    Reinforcement Learning, ICML 2016; Schulman et al., High-dimensional continuous control using
    generalized advantage estimation, ICLR 2016). It takes one gradient step for each block.

    Example:

        >>> import optuna
        >>> from optuna_nas import CellSpace
        >>> from optuna_nas.samplers import ActorCriticSampler
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> space = CellSpace()
        >>> def objective(trial):
        ...     architecture = space.suggest(trial)
        ...     return sum(choice == "nor_conv_3x3" for choice in architecture.values())
        >>> sampler = ActorCriticSampler(space=space, seed=0)
        >>> study = optuna.create_study(direction="maximize", sampler=sampler)
        >>> study.optimize(objective, n_trials=100)
        >>> study.best_value >= 5
        True

    Args:
        learning_rate: Step size of Adam, above 0.
        lambda_: In [0, 1]; 1 compares the reward with what was expected before the decision, 0
            only what was expected before and after it.
        value_weight: Weight of the critic's loss, at least 0.
        entropy_weight: Weight of the entropy bonus, in reward per nat; at least 0.
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
        lambda_: float = 0.95,
        value_weight: float = 0.5,
        entropy_weight: float = 0.03,
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
            hidden_size=(hidden_size, "at least 1", hidden_size >= 1),
            policy_seed=(policy_seed, "at least 0", policy_seed >= 0),
            lambda_=(lambda_, "in [0, 1]", 0 <= lambda_ <= 1),
            value_weight=(value_weight, "at least 0", value_weight >= 0),
        )
        policy = LstmPolicy(hidden_size, policy_seed, prior)
        super().__init__(
            ActorCriticAgent(policy, learning_rate, 1, entropy_weight, 0.0, lambda_, value_weight),
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


SAMPLER = ActorCriticSampler
