"""Everything that a controller has learned, as one value."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
import zlib

import numpy as np
import torch
from torch import Tensor

from optuna_nas.samplers.policy._decisions import Decision


DTYPE = torch.float64
"""Controllers compute in float64; see :func:`rounded`."""

Rows = Callable[[Decision], Mapping[str, Tensor]]
"""For a decision the initial rows, by name of the tensor to which they belong."""


@dataclass(frozen=True)
class PolicyState:
    """What a controller has learned from a number of blocks of trials; nothing changes it.

    Args:
        decisions: The decisions that the controller knows, in the order of their rows.
        tensors: Weights and moments by name, float64 on the CPU.
        baseline: Moving average of the rewards, :obj:`None` before the first block.
        n_updates: Number of blocks that were learned.
    """

    decisions: tuple[Decision, ...] = ()
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    baseline: float | None = None
    n_updates: int = 0

    def __contains__(self, decision: Decision) -> bool:
        return any(decision.key == known.key for known in self.decisions)


def extended(state: PolicyState, decisions: Iterable[Decision], rows: Rows) -> PolicyState:
    """Return a state that knows further decisions: their rows are appended to its tensors.

    The rows depend on the decision alone, so the order in which decisions appear in a study does
    not matter for their first weights.
    """
    known = {decision.key for decision in state.decisions}
    new = {decision.key: decision for decision in decisions if decision.key not in known}
    if not new:
        return state
    tensors = dict(state.tensors)
    for decision in new.values():
        for name, addition in rows(decision).items():
            tensors[name] = torch.cat([tensors[name], addition]) if name in tensors else addition
    return PolicyState((*state.decisions, *new.values()), tensors, state.baseline, state.n_updates)


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with ``prefix``, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def prefixed(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors with ``prefix`` before their names."""
    return {prefix + k: v for k, v in tensors.items()}


def rounded(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors whose float64 entries are float32 numbers.

    Sums in another order (more threads, another processor) differ in the last bits of float64.
    Rounding after each block removes such differences before they can grow.
    """
    return {name: tensor.detach().float().to(DTYPE) for name, tensor in tensors.items()}


def generator(seed: int, name: str) -> np.random.Generator:
    """Return the generator of the first weights of something with a name."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def uniform(rng: np.random.Generator, bound: float, *shape: int) -> Tensor:
    """Draw weights from [-bound, bound] as float32 numbers in float64."""
    drawn = rng.uniform(-bound, bound, shape).astype(np.float32)
    return torch.from_numpy(drawn.astype(np.float64))
