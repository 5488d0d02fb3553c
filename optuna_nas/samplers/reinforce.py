"""REINFORCE as an Optuna sampler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from optuna_nas.constraints import Constraint
from optuna_nas.prior import Prior
from optuna_nas.samplers.policy import ControllerSampler
from optuna_nas.samplers.policy import ControllerSettings
from optuna_nas.samplers.policy import Lesson
from optuna_nas.samplers.policy import losses
from optuna_nas.samplers.policy import LstmPolicy
from optuna_nas.samplers.policy import PolicyGradientAgent
from optuna_nas.samplers.policy import PolicyOutput
from optuna_nas.spaces import SearchSpace


@dataclass(frozen=True)
class ReinforceAgent(PolicyGradientAgent):
    """REINFORCE with a moving-average baseline; one gradient step for each block."""

    def loss(self, output: PolicyOutput, lesson: Lesson) -> Tensor:
        """Return the REINFORCE loss."""
        return losses.reinforce_loss(output.log_probs, lesson.rewards, lesson.baseline)


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
        learning_rate: float = 0.05,
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
        agent = ReinforceAgent(policy, learning_rate, 1, entropy_weight, baseline_decay)
        super().__init__(
            agent, settings=settings, seed=seed, space=space, prior=prior, constraints=constraints
        )


SAMPLER = ReinforceSampler
