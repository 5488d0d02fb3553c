"""The autoregressive policy: an LSTM cell that walks through the decisions of an architecture."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
import math

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding
from torch.nn.functional import pad

from optuna_nas.prior import Prior
from optuna_nas.samplers.policy._decisions import Decision
from optuna_nas.samplers.policy._heads import categorical
from optuna_nas.samplers.policy._heads import flat_gaussian
from optuna_nas.samplers.policy._heads import squashed_gaussian
from optuna_nas.samplers.policy._lstm import lstm
from optuna_nas.samplers.policy._state import DTYPE
from optuna_nas.samplers.policy._state import extended
from optuna_nas.samplers.policy._state import generator
from optuna_nas.samplers.policy._state import State
from optuna_nas.samplers.policy._state import uniform


Walked = Sequence[tuple[Decision, float]]
"""The decisions of one architecture in order, each with its position."""


@dataclass(frozen=True)
class Batch:
    """The decisions of ``n`` trials, padded to ``t`` steps; all of shape ``(t, n)``.

    Args:
        decision: Index of the decision in the state.
        choice: Index of the choice; 0 where the decision is continuous.
        number: The number in (0, 1); 0.5 where the decision is finite.
        continuous: 1 where the decision is continuous, else 0.
        mask: 1 where there is a decision, 0 where a trial has fewer than ``t``.
    """

    decision: Tensor
    choice: Tensor
    number: Tensor
    continuous: Tensor
    mask: Tensor


def encode(state: State, walks: Sequence[Walked]) -> Batch:
    """Bring the decisions of trials into one batch; all must be known to ``state``."""
    index = {decision.key: i for i, decision in enumerate(state.decisions)}
    shape = (max(map(len, walks)), len(walks))
    decision, choice = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    number, continuous, mask = np.full(shape, 0.5), np.zeros(shape), np.zeros(shape)
    for n, walk in enumerate(walks):
        for t, (made, position) in enumerate(walk):
            decision[t, n] = index[made.key]
            mask[t, n] = 1
            if made.n_choices:
                choice[t, n] = int(position)
            else:
                number[t, n] = position
                continuous[t, n] = 1
    return Batch(*map(torch.from_numpy, (decision, choice, number, continuous, mask)))


@dataclass(frozen=True)
class Output:
    """What the policy says about a batch; all of shape ``(t, n)`` and 0 where there is no step.

    Args:
        log_probs: Logarithm of the probability (density in (0, 1) if continuous) of what was
            chosen, given the choices before.
        entropies: Entropy of each step's distribution, in nats. For a continuous decision that of
            the Gaussian before the sigmoid.
        values: The value head's expectation of the reward before each step.
    """

    log_probs: Tensor
    entropies: Tensor
    values: Tensor


@dataclass(frozen=True)
class LstmPolicy:
    """An LSTM cell with an embedding of each choice, and a head for each decision.

    At each step the cell is fed the embedding of the choice before and of the decision that comes
    next (Zoph & Le, Neural Architecture Search with Reinforcement Learning, ICLR 2017,
    section 3.1). A decision that is not active has no step. Finite decisions have a softmax over
    their choices, continuous ones a Gaussian whose sigmoid is the number in (0, 1). A value head
    stands on the same trunk.

    Args:
        size: Number of LSTM units and length of the embeddings.
        seed: Seed of the first weights.
        prior: If given, the first policy is close to it.
    """

    size: int
    seed: int
    prior: Prior | None = field(default=None, repr=False)

    def initial(self) -> State:
        """Return the state before anything was learned, without decisions."""
        size, rng, bound = self.size, generator(self.seed, ""), self.size**-0.5
        tensors = {
            "input": uniform(rng, bound, 4 * size, size),
            "hidden": uniform(rng, bound, 4 * size, size),
            "bias": uniform(rng, bound, 4 * size),
            "value": torch.zeros(size, dtype=DTYPE, device="cpu"),
            "value_bias": torch.zeros(1, dtype=DTYPE, device="cpu"),
            "decision": torch.zeros(0, size, dtype=DTYPE, device="cpu"),
            "choice": torch.zeros(0, size, dtype=DTYPE, device="cpu"),
            "head": torch.zeros(0, size, dtype=DTYPE, device="cpu"),
            "head_bias": torch.zeros(0, dtype=DTYPE, device="cpu"),
        }
        return State((), tensors)

    def extended(self, state: State, decisions: Iterable[Decision]) -> State:
        """Return a state that knows further decisions, with their first weights."""
        return extended(state, decisions, self.rows)

    def rows(self, decision: Decision) -> dict[str, Tensor]:
        """Return the first weights of a decision; they depend on nothing but its name and kind."""
        rng, n = generator(self.seed, decision.key), decision.n_choices or 2
        if decision.n_choices:
            bias = np.log(decision.initial_probabilities(self.prior))
        else:
            bias = flat_gaussian()
        return {
            "decision": uniform(rng, 1.0, 1, self.size),
            "choice": uniform(rng, 1.0, n, self.size),
            "head": uniform(rng, 0.1 * self.size**-0.5, n, self.size),
            "head_bias": torch.from_numpy(bias.astype(np.float32)).to(DTYPE),
        }

    def __call__(self, state: State, tensors: Mapping[str, Tensor], batch: Batch) -> Output:
        """Say how probable the choices of a batch are.

        Args:
            state: Its decisions are the rows of ``tensors``.
            tensors: The weights; they may require gradients.
            batch: What was chosen.
        """
        rows = first_rows(state.decisions)
        first = torch.from_numpy(rows)[batch.decision]
        chosen = embedding(first + batch.choice, tensors["choice"])
        if batch.continuous.any():
            slope = embedding(first + batch.continuous.long(), tensors["choice"])
            chosen = chosen + (batch.continuous * (2 * batch.number - 1))[..., None] * slope
        decisions = embedding(batch.decision, tensors["decision"])
        inputs = decisions + pad(chosen[:-1], (0, 0, 0, 0, 1, 0))
        hidden = lstm(inputs @ tensors["input"].T + tensors["bias"], tensors["hidden"])
        width = max((decision.n_choices or 2) for decision in state.decisions)
        sizes = torch.tensor([d.n_choices or 2 for d in state.decisions], device="cpu")
        columns = torch.arange(width, device="cpu")
        scores = hidden @ tensors["head"].T + tensors["head_bias"]
        raw = scores.gather(2, (first[..., None] + columns).clamp(max=scores.shape[2] - 1))
        raw = raw.masked_fill(columns >= sizes[batch.decision][..., None], -math.inf)
        log_probs, entropies = categorical(raw, batch.choice)
        if batch.continuous.any():
            densities, spreads = squashed_gaussian(raw[..., :2], batch.number)
            is_continuous = batch.continuous.bool()
            log_probs = torch.where(is_continuous, densities, log_probs)
            entropies = torch.where(is_continuous, spreads, entropies)
        values = hidden @ tensors["value"] + tensors["value_bias"]
        return Output(log_probs * batch.mask, entropies * batch.mask, values * batch.mask)


def first_rows(decisions: Sequence[Decision]) -> np.ndarray:
    """Return for each decision the first of its rows, shape ``(n_decisions,)``."""
    sizes = np.array([decision.n_choices or 2 for decision in decisions], dtype=np.int64)
    return sizes.cumsum() - sizes
