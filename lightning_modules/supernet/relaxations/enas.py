"""Paths that a recurrent controller samples, and learns to sample by their scores (ENAS)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch import Tensor

from lightning_modules.supernet._evaluate import path_output
from lightning_modules.supernet._gates import Gates
from lightning_modules.supernet._supernet import Supernet
from lightning_modules.supernet.relaxations._base import Backward
from lightning_modules.supernet.relaxations._base import PathRelaxation
from lightning_modules.supernet.relaxations._base import Samples
from lightning_modules.supernet.relaxations._base import Step
from optuna_nas import Architecture
from optuna_nas.samplers.core import TrialDomain
from optuna_nas.samplers.policy import Decision
from optuna_nas.samplers.policy import DTYPE
from optuna_nas.samplers.policy import encode
from optuna_nas.samplers.policy import losses
from optuna_nas.samplers.policy import LstmPolicy
from optuna_nas.samplers.policy import LstmWalk
from optuna_nas.samplers.policy import PolicyOutput
from optuna_nas.samplers.policy import PolicyState
from optuna_nas.samplers.policy import walk_through
from optuna_nas.spaces import choices_of


_SAMPLED = 0xE7A5
_FROZEN = ("value", "value_bias")


class Enas(PathRelaxation):
    """One path a step, sampled by the policy of :class:`~optuna_nas.samplers.ReinforceSampler`.

    Pham et al., ICML 2018, section 2.2: the weights are trained on a path that the policy samples
    (one a step), and the policy by REINFORCE on the score of sampled paths on the architecture's
    batch, the task's first metric, with a moving average of it as baseline and a bonus for
    entropy. The paths see the statistics of that batch, as those of the supernet are a mixture of
    all paths.

    Args:
        supernet: The supernet that is to be trained.
        n_paths: Paths of an architecture step, at least 1.
        entropy_weight: Weight of the entropy bonus, in units of the score per nat; at least 0.
        baseline_decay: Decay of the moving average from step to step, in [0, 1).
        hidden_size: Units of the policy's LSTM cell.
        seed: Seed of the policy's first weights and of the paths.

    Raises:
        ValueError: If an argument is out of its range.
    """

    epochs = 6
    learns = True
    decays = False

    def __init__(
        self,
        supernet: Supernet,
        *,
        n_paths: int = 4,
        entropy_weight: float = 0.01,
        baseline_decay: float = 0.9,
        hidden_size: int = 32,
        seed: int = 0,
    ) -> None:
        super().__init__(supernet, seed=seed)
        _check(n_paths, entropy_weight, baseline_decay, hidden_size)
        self.n_paths = n_paths
        self.entropy_weight = entropy_weight
        self.baseline_decay = baseline_decay
        self._space = space = supernet.space
        self._domain = TrialDomain(space.distributions, space, None)
        self._choices = supernet.choices
        decisions = {name: tuple(choices_of(d)) for name, d in space.distributions.items()}
        # A bound method is not registered as a part of this module, as the supernet would be.
        self._path = None if decisions == self._choices else supernet.path
        self._policy = LstmPolicy(hidden_size, seed)
        state = self._policy.extended(
            self._policy.initial(), (Decision(n, d) for n, d in space.distributions.items())
        )
        self._decisions = state.decisions
        self.weights = nn.ParameterDict(
            {
                name: nn.Parameter(tensor.float(), requires_grad=name not in _FROZEN)
                for name, tensor in state.tensors.items()
            }
        )
        self.baseline: Tensor
        self.register_buffer("baseline", torch.tensor(float("nan")))

    def sample(self, n: int, rng: np.random.Generator) -> list[tuple[Architecture, float]]:
        """Let the policy sample architectures.

        Returns:
            ``n`` architectures with the logarithms of their probabilities.
        """
        state = self._state()
        drawn = walk_through(LstmWalk(self._policy, state, n), n, self._domain, rng)
        return [(self._space.architecture(p), sum(logs.values())) for p, logs in drawn]

    def architectures(self, supernet: Supernet, step: Step) -> list[Architecture]:
        """Return one architecture."""
        return [self.sample(1, self.rng(step, 0))[0][0]]

    def architecture_step(
        self,
        supernet: Supernet,
        batch: Samples,
        train_batch: Samples,
        step: Step,
        backward: Backward,
    ) -> Tensor:
        """Add the gradients of REINFORCE to the policy.

        Returns:
            Minus the mean score of the sampled paths.
        """
        sampled = [a for a, _ in self.sample(self.n_paths, self.rng(step, 1))]
        scores = {a: path_score(supernet, a, batch) for a in dict.fromkeys(sampled)}
        rewards = torch.tensor([scores[a] for a in sampled], dtype=DTYPE)
        mean = float(rewards.mean())
        average = None if self.baseline.isnan() else float(self.baseline)
        output = self._output(sampled)
        baseline = mean if average is None else average
        loss = losses.reinforce_loss(output.log_probs, rewards, baseline)
        loss = loss + self.entropy_weight * losses.entropy_loss(output.entropies)
        backward(loss.float().to(self.baseline.device))
        self.baseline.fill_(losses.moving_average(average, mean, self.baseline_decay))
        return torch.tensor(-mean, device=self.baseline.device)

    def probabilities(self) -> dict[str, Tensor]:
        """Return how often a hundred sampled paths take each choice of each gate.

        A decision counts where it is active. A gate that no path takes counts as ``none`` if there
        is that choice; one that has never been decided is uniform.
        """
        counts = {name: np.zeros(len(choices)) for name, choices in self._choices.items()}
        for architecture, _ in self._hundred():
            for name, taken in self._taken(architecture).items():
                counts[name][list(taken)] += 1
        found: dict[str, Tensor] = {}
        for name, values in counts.items():
            total = values.sum()
            shares = values / total if total else np.full(len(values), 1 / len(values))
            found[name] = torch.from_numpy(shares).float()
        return found

    def validation_gates(self, supernet: Supernet, step: Step) -> Gates:
        """Return the most probable one of a hundred sampled paths."""
        return supernet.path(max(self._hundred(), key=lambda sampled: sampled[1])[0])

    def _hundred(self) -> list[tuple[Architecture, float]]:
        return self.sample(100, np.random.default_rng((self.seed, _SAMPLED)))

    def _taken(self, architecture: Architecture) -> dict[str, tuple[int, ...]]:
        """Return the indices of the choices that an architecture takes, by gate."""
        if self._path is None:
            return {name: (self._choices[name].index(c),) for name, c in architecture.items()}
        taken: dict[str, tuple[int, ...]] = {}
        for name, gate in self._path(architecture).items():
            none = [i for i, choice in enumerate(self._choices[name]) if choice == "none"]
            taken[name] = gate.active or tuple(none)
        return taken

    def _output(self, architectures: Sequence[Architecture]) -> PolicyOutput:
        """Return what the policy says about architectures, with gradients to its weights."""
        decisions = {decision.name: decision for decision in self._decisions}
        walks = [
            [(decisions[name], decisions[name].position(c)) for name, c in a.items()]
            for a in architectures
        ]
        state = self._state()
        tensors = {name: w.to("cpu", DTYPE) for name, w in self.weights.items()}
        return self._policy(state, tensors, encode(state.decisions, walks))

    def _state(self) -> PolicyState:
        """Return the weights as the policy wants them, without gradients."""
        weights = {name: w.detach().to("cpu", DTYPE) for name, w in self.weights.items()}
        return PolicyState(self._decisions, weights)


@torch.no_grad()
def path_score(supernet: Supernet, architecture: Architecture, batch: Samples) -> float:
    """Return the task's score of a path on a batch, with the statistics of that batch."""
    output = path_output(supernet, batch.inputs, supernet.path(architecture))
    return float(supernet.task.score(output, batch.targets))


def _check(n_paths: int, entropy_weight: float, decay: float, hidden_size: int) -> None:
    """Raise a ValueError if an argument is out of its range."""
    for name, value in [("n_paths", n_paths), ("hidden_size", hidden_size)]:
        if value < 1:
            raise ValueError(f"Expected argument `{name}` to be at least 1 but got {value}.")
    if not entropy_weight >= 0:
        raise ValueError(
            f"Expected argument `entropy_weight` to be at least 0 but got {entropy_weight}."
        )
    if not 0 <= decay < 1:
        raise ValueError(f"Expected argument `baseline_decay` to be in [0, 1) but got {decay}.")


RELAXATION = Enas
