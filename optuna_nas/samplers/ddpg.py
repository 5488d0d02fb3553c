"""Deep deterministic policy gradient as an Optuna sampler."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optuna_nas.constraints import Constraint
from optuna_nas.prior import Prior
from optuna_nas.samplers.core._domain import Domain
from optuna_nas.samplers.core._history import History
from optuna_nas.samplers.core._history import Params
from optuna_nas.samplers.policy._base import check_ranges
from optuna_nas.samplers.policy._base import ControllerSampler
from optuna_nas.samplers.policy._cache import ArtifactStore
from optuna_nas.samplers.policy._ddpg_agent import DDPGAgent
from optuna_nas.samplers.policy._rewards import Reward
from optuna_nas.spaces import SearchSpace


class DDPGSampler(ControllerSampler):
    """Sampler with an actor that answers each decision with a number in [0, 1].

    The actor walks through the decisions in order and sees which one it is and all choices before
    it; equal shares of [0, 1] stand for the choices. A critic learns what such a number is worth
    (Lillicrap et al., Continuous control with deep reinforcement learning, ICLR 2016), both with
    target networks, from minibatches of the study's trials. As in AMC (He et al., ECCV 2018,
    section 3.2) every decision gets the reward of the whole minus a moving average, and the
    actor's answers are blurred by truncated normal noise that decays. The first block is drawn at
    random.

    It suits decisions whose choices have an order, like widths and depths. For choices without
    one, prefer the other controllers.

    Example:

        >>> import optuna
        >>> from optuna_nas import CellSpace
        >>> from optuna_nas.samplers import DDPGSampler
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> space = CellSpace()
        >>> def objective(trial):
        ...     architecture = space.suggest(trial)
        ...     return sum(choice == "nor_conv_3x3" for choice in architecture.values())
        >>> sampler = DDPGSampler(space=space, seed=0)
        >>> study = optuna.create_study(direction="maximize", sampler=sampler)
        >>> study.optimize(objective, n_trials=100)
        >>> study.best_value >= 4
        True

    Args:
        actor_learning_rate: Step size of the actor's Adam, above 0.
        critic_learning_rate: Step size of the critic's Adam, above 0.
        n_steps: Gradient steps for each block, at least 1.
        batch_size: Decisions of a minibatch, and how many earlier trials they come from beside
            those of the block; at least 1.
        buffer_size: How many of the last trials are kept for that, at least 1.
        tau: How much of the networks goes into their targets at each step, in (0, 1].
        noise: First standard deviation of the noise, above 0.
        noise_decay: What the noise is multiplied with after each block, in (0, 1].
        baseline_decay: Decay of the moving average of the rewards from block to block, in [0, 1).
        hidden_size: Units of each hidden layer.
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
        prior: Probabilities from which the first block is drawn.
        constraints: What proposals keep.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        *,
        actor_learning_rate: float = 1e-3,
        critic_learning_rate: float = 1e-2,
        n_steps: int = 10,
        batch_size: int = 64,
        buffer_size: int = 500,
        tau: float = 0.05,
        noise: float = 0.5,
        noise_decay: float = 0.9,
        baseline_decay: float = 0.95,
        hidden_size: int = 64,
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
            actor_learning_rate=(actor_learning_rate, "above 0", actor_learning_rate > 0),
            critic_learning_rate=(critic_learning_rate, "above 0", critic_learning_rate > 0),
            n_steps=(n_steps, "at least 1", n_steps >= 1),
            batch_size=(batch_size, "at least 1", batch_size >= 1),
            buffer_size=(buffer_size, "at least 1", buffer_size >= 1),
            tau=(tau, "in (0, 1]", 0 < tau <= 1),
            noise=(noise, "above 0", noise > 0),
            noise_decay=(noise_decay, "in (0, 1]", 0 < noise_decay <= 1),
            baseline_decay=(baseline_decay, "in [0, 1)", 0 <= baseline_decay < 1),
            hidden_size=(hidden_size, "at least 1", hidden_size >= 1),
            policy_seed=(policy_seed, "at least 0", policy_seed >= 0),
        )
        agent = DDPGAgent(
            size=hidden_size,
            seed=policy_seed,
            actor_learning_rate=actor_learning_rate,
            critic_learning_rate=critic_learning_rate,
            n_steps=n_steps,
            batch_size=batch_size,
            buffer_size=buffer_size,
            tau=tau,
            noise=noise,
            noise_decay=noise_decay,
            baseline_decay=baseline_decay,
        )
        super().__init__(
            agent,
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

    def propose(self, history: History, domain: Domain, rng: np.random.Generator) -> Params:
        """Draw at random before anything was learned, then let the actor decide."""
        if not self._states[history].decisions:
            return domain.sample(rng)
        return super().propose(history, domain, rng)


SAMPLER = DDPGSampler
