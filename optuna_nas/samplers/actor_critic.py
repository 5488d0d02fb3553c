"""Advantage actor-critic as an Optuna sampler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
class ActorCriticAgent(PolicyGradientAgent):
    """An actor and a critic on one trunk, with an advantage for each decision.

    Args:
        lambda_: Parameter of the generalised advantage estimate, in [0, 1].
        value_weight: Weight of the critic's loss, at least 0.
    """

    lambda_: float
    value_weight: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(
            lambda_=(self.lambda_, "in [0, 1]"), value_weight=(self.value_weight, "at least 0")
        )

    def loss(self, output: PolicyOutput, lesson: Lesson) -> Tensor:
        """Return the sum of the actor's and the critic's loss."""
        advantages = losses.generalized_advantages(
            output.values.detach(), lesson.rewards, lesson.mask, self.lambda_
        )
        actor = losses.policy_gradient_loss(output.log_probs, advantages)
        critic = losses.value_loss(output.values, lesson.rewards, lesson.mask)
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
        lambda_: float = 0.95,
        value_weight: float = 0.5,
        entropy_weight: float = 0.03,
        hidden_size: int = 32,
        settings: ControllerSettings | None = None,
        seed: int | None = None,
        space: SearchSpace | None = None,
        prior: Prior | None = None,
        constraints: Sequence[Constraint] = (),
    ) -> None:
        settings = settings or ControllerSettings()
        policy = LstmPolicy(hidden_size, settings.policy_seed, prior)
        agent = ActorCriticAgent(
            policy, learning_rate, 1, entropy_weight, 0.0, lambda_, value_weight
        )
        super().__init__(
            agent, settings=settings, seed=seed, space=space, prior=prior, constraints=constraints
        )


SAMPLER = ActorCriticSampler
