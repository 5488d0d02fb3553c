"""The LSTM policy taking one decision after the other, to propose."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from optuna_nas.samplers.policy._decisions import Decision
from optuna_nas.samplers.policy._heads import draw_choices
from optuna_nas.samplers.policy._heads import draw_numbers
from optuna_nas.samplers.policy._heads import log_softmax
from optuna_nas.samplers.policy._heads import squashed_gaussian
from optuna_nas.samplers.policy._lstm import cell
from optuna_nas.samplers.policy._lstm import split
from optuna_nas.samplers.policy._policy import first_rows
from optuna_nas.samplers.policy._policy import LstmPolicy
from optuna_nas.samplers.policy._state import State


class LstmWalk:
    """The policy walking through ``n`` architectures at once, one decision at a time.

    Args:
        policy: The policy.
        state: Its weights; decisions that it does not know get their first weights.
        n: Number of architectures.
    """

    def __init__(self, policy: LstmPolicy, state: State, n: int) -> None:
        self._policy = policy
        self._weights = {name: tensor.numpy() for name, tensor in state.tensors.items()}
        rows = first_rows(state.decisions).tolist()
        self._index = {d.key: (i, rows[i]) for i, d in enumerate(state.decisions)}
        self._hidden = np.zeros((n, policy.size))
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
        """Make one decision.

        Args:
            decision: The decision.
            rng: Random generator.
            members: Indices of the architectures for which the decision is active.
            given: If given, the position is not drawn.
            allowed: If given, booleans of shape ``(n_choices,)``: what may be drawn.

        Returns:
            The positions and their log-probabilities, each of shape ``(len(members),)``; the
            probabilities are the policy's, also where ``allowed`` excludes something.
        """
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
