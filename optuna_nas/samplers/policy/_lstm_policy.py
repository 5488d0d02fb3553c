"""The autoregressive policy: an LSTM cell that walks through the decisions of architectures."""

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
from optuna_nas.samplers.policy._decisions import EncodedWalks
from optuna_nas.samplers.policy._heads import categorical
from optuna_nas.samplers.policy._heads import draw_choices
from optuna_nas.samplers.policy._heads import draw_numbers
from optuna_nas.samplers.policy._heads import flat_gaussian
from optuna_nas.samplers.policy._heads import log_softmax
from optuna_nas.samplers.policy._heads import squashed_gaussian
from optuna_nas.samplers.policy._lstm import cell
from optuna_nas.samplers.policy._lstm import lstm
from optuna_nas.samplers.policy._lstm import split
from optuna_nas.samplers.policy._settings import check_ranges
from optuna_nas.samplers.policy._state import DTYPE
from optuna_nas.samplers.policy._state import extended
from optuna_nas.samplers.policy._state import generator
from optuna_nas.samplers.policy._state import PolicyState
from optuna_nas.samplers.policy._state import uniform


@dataclass(frozen=True)
class PolicyOutput:
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
        hidden_size: Number of LSTM units and length of the embeddings, at least 1.
        seed: Seed of the first weights.
        prior: If given, the first policy is close to it.

    Raises:
        ValueError: If ``hidden_size`` is out of its range.
    """

    hidden_size: int
    seed: int
    prior: Prior | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_ranges(hidden_size=(self.hidden_size, "at least 1"))

    def initial(self) -> PolicyState:
        """Return the state before anything was learned, without decisions."""
        size, rng = self.hidden_size, generator(self.seed, "")
        bound = size**-0.5
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
        return PolicyState((), tensors)

    def extended(self, state: PolicyState, decisions: Iterable[Decision]) -> PolicyState:
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
            "decision": uniform(rng, 1.0, 1, self.hidden_size),
            "choice": uniform(rng, 1.0, n, self.hidden_size),
            "head": uniform(rng, 0.1 * self.hidden_size**-0.5, n, self.hidden_size),
            "head_bias": torch.from_numpy(bias.astype(np.float32)).to(DTYPE),
        }

    def __call__(
        self, state: PolicyState, tensors: Mapping[str, Tensor], batch: EncodedWalks
    ) -> PolicyOutput:
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
        return PolicyOutput(log_probs * batch.mask, entropies * batch.mask, values * batch.mask)


class LstmWalk:
    """The policy walking through ``n`` architectures at once, one decision at a time.

    Args:
        policy: The policy.
        state: Its weights; decisions that it does not know get their first weights.
        n: Number of architectures.
    """

    def __init__(self, policy: LstmPolicy, state: PolicyState, n: int) -> None:
        self._policy = policy
        self._weights = {name: tensor.numpy() for name, tensor in state.tensors.items()}
        rows = first_rows(state.decisions).tolist()
        self._index = {d.key: (i, rows[i]) for i, d in enumerate(state.decisions)}
        self._hidden = np.zeros((n, policy.hidden_size))
        self._cell = np.zeros_like(self._hidden)
        self._chosen = np.zeros_like(self._hidden)

    def step(
        self,
        decision: Decision,
        rng: np.random.Generator,
        *,
        members: np.ndarray | slice = slice(None),
        given: float | None = None,
        allowed: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Make one decision; see :meth:`Steps.step`."""
        rows = self._rows(decision)
        outputs = self._advance(rows["decision"], members) @ rows["head"].T + rows["head_bias"]
        n = len(outputs)
        if decision.n_choices:
            scores = log_softmax(outputs)
            if given is None:
                choices = draw_choices(scores, rng, allowed)
            else:
                choices = np.full(n, int(given))
            self._chosen[members] = rows["choice"][choices]
            return choices.astype(float), scores[np.arange(n), choices]
        parameters = torch.from_numpy(outputs)
        numbers = draw_numbers(parameters, rng) if given is None else np.full(n, given)
        constant, slope = rows["choice"]
        self._chosen[members] = constant + (2 * numbers - 1)[:, None] * slope
        return numbers, squashed_gaussian(parameters, torch.from_numpy(numbers))[0].numpy()

    def _advance(self, decision: np.ndarray, members: np.ndarray | slice) -> np.ndarray:
        """Return the cell's output after the choice before and for the next decision."""
        inputs, hidden = decision + self._chosen[members], self._hidden[members]
        gates = inputs @ self._weights["input"].T + hidden @ self._weights["hidden"].T
        activated, self._cell[members], tanh = cell(
            gates + self._weights["bias"], self._cell[members]
        )
        output: np.ndarray = split(activated)[2] * tanh
        self._hidden[members] = output
        return output

    def _rows(self, decision: Decision) -> Mapping[str, np.ndarray]:
        if decision.key not in self._index:
            return {name: row.numpy() for name, row in self._policy.rows(decision).items()}
        i, first = self._index[decision.key]
        rows = slice(first, first + (decision.n_choices or 2))
        parts = {name: self._weights[name][rows] for name in ("choice", "head", "head_bias")}
        return {"decision": self._weights["decision"][i : i + 1], **parts}


def first_rows(decisions: Sequence[Decision]) -> np.ndarray:
    """Return for each decision the first of its rows, shape ``(n_decisions,)``."""
    sizes = np.array([decision.n_choices or 2 for decision in decisions], dtype=np.int64)
    return sizes.cumsum() - sizes
