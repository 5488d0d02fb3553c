"""Deep deterministic policy gradient as an Optuna sampler."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from optuna_nas.constraints import Constraint
from optuna_nas.prior import Prior
from optuna_nas.samplers.core import History
from optuna_nas.samplers.core import Params
from optuna_nas.samplers.core import TrialDomain
from optuna_nas.samplers.policy import Agent
from optuna_nas.samplers.policy import Block
from optuna_nas.samplers.policy import check_ranges
from optuna_nas.samplers.policy import ControllerSampler
from optuna_nas.samplers.policy import ControllerSettings
from optuna_nas.samplers.policy import Decision
from optuna_nas.samplers.policy import DTYPE
from optuna_nas.samplers.policy import encode
from optuna_nas.samplers.policy import Episode
from optuna_nas.samplers.policy import losses
from optuna_nas.samplers.policy import PolicyState
from optuna_nas.samplers.policy._actor import actor
from optuna_nas.samplers.policy._actor import ActorWalk
from optuna_nas.samplers.policy._actor import critic
from optuna_nas.samplers.policy._actor import decision_rows
from optuna_nas.samplers.policy._actor import first_weights
from optuna_nas.samplers.policy._actor import Transitions
from optuna_nas.samplers.policy._actor import transitions_of
from optuna_nas.samplers.policy._adam import minimize
from optuna_nas.samplers.policy._state import extended
from optuna_nas.samplers.policy._state import part
from optuna_nas.samplers.policy._state import prefixed
from optuna_nas.samplers.policy._state import rounded
from optuna_nas.spaces import SearchSpace


_ACTOR, _CRITIC, _TARGET, _MOMENTS = "actor/", "critic/", "target/", "moments/"


@dataclass(frozen=True)
class DDPGAgent(Agent):
    """Deep deterministic policy gradient over decisions as actions in [0, 1].

    Args:
        hidden_size: Units of each of the two hidden layers.
        seed: Seed of the first weights and of the minibatches.

    The others are those of :class:`DDPGSampler`.

    Raises:
        ValueError: If an argument is out of its range.
    """

    hidden_size: int
    seed: int
    actor_learning_rate: float
    critic_learning_rate: float
    n_steps: int
    batch_size: int
    buffer_size: int
    tau: float
    noise: float
    noise_decay: float
    baseline_decay: float

    def __post_init__(self) -> None:
        check_ranges(
            hidden_size=(self.hidden_size, "at least 1"),
            actor_learning_rate=(self.actor_learning_rate, "above 0"),
            critic_learning_rate=(self.critic_learning_rate, "above 0"),
            n_steps=(self.n_steps, "at least 1"),
            batch_size=(self.batch_size, "at least 1"),
            buffer_size=(self.buffer_size, "at least 1"),
            tau=(self.tau, "in (0, 1]"),
            noise=(self.noise, "above 0"),
            noise_decay=(self.noise_decay, "in (0, 1]"),
            baseline_decay=(self.baseline_decay, "in [0, 1)"),
        )

    def initial(self) -> PolicyState:
        """Return the first weights; the targets are equal to them."""
        weights = first_weights(self.hidden_size, self.seed)
        return PolicyState((), {**weights, **prefixed(weights, _TARGET)})

    def restarted(self, state: PolicyState) -> PolicyState:
        """Return the weights without moments and baseline; the noise does not start anew."""
        weights = {k: v for k, v in state.tensors.items() if not k.startswith(_MOMENTS)}
        return PolicyState(state.decisions, weights, None, state.n_updates)

    def walk(self, state: PolicyState, n: int) -> ActorWalk:
        """Start to walk through ``n`` architectures, each with somewhat more noise."""
        noise = self.noise * self.noise_decay**state.n_updates
        noises = np.minimum(noise * (1 + np.arange(n) / 4), max(self.noise, noise))
        return ActorWalk(state, self.hidden_size, self.seed, noises)

    def update(self, state: PolicyState, blocks: Sequence[Block]) -> PolicyState:
        """Take the gradient steps of the last block."""
        new = blocks[-1].episodes
        if not new:
            return state
        state = extended(state, (d for episode in new for d, _ in episode.walked), self._rows)
        mean = sum(episode.reward for episode in new) / len(new)
        average = losses.moving_average(state.baseline, mean, self.baseline_decay)
        rng = np.random.default_rng([self.seed, state.n_updates])
        transitions = self._transitions(state, blocks, average, rng)
        tensors = dict(state.tensors)
        for _ in range(self.n_steps):
            rows = rng.integers(len(transitions.actions), size=self.batch_size)
            tensors = self._step(tensors, transitions.take(torch.from_numpy(rows)))
        return PolicyState(state.decisions, rounded(tensors), average, state.n_updates + 1)

    def _rows(self, decision: Decision) -> dict[str, Tensor]:
        rows = decision_rows(decision, self.hidden_size, self.seed)
        return {**rows, **prefixed(rows, _TARGET)}

    def _transitions(
        self,
        state: PolicyState,
        blocks: Sequence[Block],
        baseline: float,
        rng: np.random.Generator,
    ) -> Transitions:
        """Return the transitions of the block and of as many trials before it as are drawn."""
        new, before = blocks[-1].episodes, _last(blocks[:-1], self.buffer_size)
        if before:
            new += tuple(before[i] for i in rng.integers(len(before), size=self.batch_size))
        batch = encode(state.decisions, [episode.walked for episode in new])
        rewards = torch.tensor([r.reward for r in new], dtype=DTYPE, device="cpu") - baseline
        return transitions_of(state, batch, rewards)

    def _step(self, tensors: Mapping[str, Tensor], batch: Transitions) -> dict[str, Tensor]:
        """Return all tensors after one step of critic, actor and targets."""
        targets = part(tensors, _TARGET)
        with torch.no_grad():
            next_actions = actor(part(targets, _ACTOR), batch.next_states)
            next_q = critic(part(targets, _CRITIC), batch.next_states, next_actions)
            target = losses.q_target(batch.rewards, batch.is_last, next_q)
        online_critic, critic_moments = minimize(
            lambda weights: losses.critic_loss(
                critic(weights, batch.states, batch.actions), target
            ),
            part(tensors, _CRITIC),
            part(tensors, _MOMENTS + _CRITIC),
            learning_rate=self.critic_learning_rate,
        )
        online_actor, actor_moments = minimize(
            lambda weights: losses.deterministic_policy_loss(
                critic(online_critic, batch.states, actor(weights, batch.states))
            ),
            part(tensors, _ACTOR),
            part(tensors, _MOMENTS + _ACTOR),
            learning_rate=self.actor_learning_rate,
        )
        online = {**prefixed(online_actor, _ACTOR), **prefixed(online_critic, _CRITIC)}
        moved = {k: losses.soft_update(targets[k], v, self.tau) for k, v in online.items()}
        return {
            **online,
            **prefixed(moved, _TARGET),
            **prefixed(actor_moments, _MOMENTS + _ACTOR),
            **prefixed(critic_moments, _MOMENTS + _CRITIC),
        }


def _last(blocks: Sequence[Block], n: int) -> list[Episode]:
    """Return the last ``n`` episodes of some blocks, the newest first."""
    episodes: list[Episode] = []
    for block in reversed(blocks):
        if len(episodes) >= n:
            break
        episodes += reversed(block.episodes)
    return episodes[:n]


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
        settings: How the study is followed, and the reward.
        seed: Seed of the random numbers.
        space: Search space; see :class:`ArchitectureSampler`.
        prior: Probabilities from which the first block is drawn.
        constraints: Constraints that proposals keep if they can be checked without training.

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
        settings: ControllerSettings | None = None,
        seed: int | None = None,
        space: SearchSpace | None = None,
        prior: Prior | None = None,
        constraints: Sequence[Constraint] = (),
    ) -> None:
        settings = settings or ControllerSettings()
        agent = DDPGAgent(
            hidden_size=hidden_size,
            seed=settings.policy_seed,
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
            agent, settings=settings, seed=seed, space=space, prior=prior, constraints=constraints
        )

    def propose(self, history: History, domain: TrialDomain, rng: np.random.Generator) -> Params:
        """Draw at random before anything was learned, then let the actor decide."""
        if not self._states[history].decisions:
            return domain.sample(rng)
        return super().propose(history, domain, rng)


SAMPLER = DDPGSampler
