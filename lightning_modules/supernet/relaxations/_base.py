"""What all ways of training a supernet have in common."""

from __future__ import annotations

import abc
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any
from typing import ClassVar
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.registries import RELAXATIONS
from lightning_modules.supernet._gates import Gate
from lightning_modules.supernet._gates import Gates
from lightning_modules.supernet._supernet import Supernet
from optuna_nas import Architecture


class Samples(NamedTuple):
    """The inputs and the targets of a batch."""

    inputs: Any
    """What the network takes, e.g. a tensor (batch, channels, height, width)."""
    targets: Any
    """What the task's loss takes, e.g. a tensor (batch,)."""


Backward = Callable[[Tensor], None]
"""Adds the gradients of a loss to the parameters; Lightning's ``manual_backward``."""


class Step(NamedTuple):
    """One step of a training of ``n`` steps."""

    number: int
    """Counted from 0."""
    progress: float
    """The part of the training that is done, in [0, 1]."""
    learning_rate: float
    """That of the weights in this step."""


class Relaxation(nn.Module, abc.ABC):
    """One way to train a supernet: how a step chooses among the decisions, and what is learned.

    A relaxation holds the architecture parameters, if it learns any by gradient. It draws random
    numbers that depend on its seed and the number of the step alone, so that a resumed training
    continues as if it had never stopped.

    Args:
        supernet: The supernet that is to be trained; it is not kept.
        seed: Seed of the random choices.
    """

    learns: ClassVar[bool] = True
    """Whether there are architecture steps, on data of their own."""
    supernet_arguments: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Arguments of :func:`build_supernet` that it wants, where nothing else is asked for."""
    epochs: ClassVar[int] = 5
    """Epochs of a stage that asks for no number, for about 50,000 samples."""
    module_arguments: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Arguments of :class:`SupernetModule` that it wants, where nothing else is asked for."""
    takes_costs: ClassVar[bool] = False
    """Whether a search with a latency table hands the latencies in as a cost."""
    decays: ClassVar[bool] = True
    """Whether the architecture parameters are subject to weight decay."""

    def __init__(self, supernet: Supernet, *, seed: int = 0) -> None:
        super().__init__()
        self.seed = seed

    @property
    def name(self) -> str:
        """The name of its class, as messages have it."""
        return RELAXATIONS.name_of(type(self)) or type(self).__name__

    @abc.abstractmethod
    def weight_step(
        self, supernet: Supernet, batch: Samples, step: Step, backward: Backward
    ) -> Tensor:
        """Add gradients to the supernet's weights.

        Returns:
            The loss, a scalar without gradient.
        """

    def architecture_step(
        self,
        supernet: Supernet,
        batch: Samples,
        train_batch: Samples,
        step: Step,
        backward: Backward,
    ) -> Tensor:
        """Add gradients to the architecture parameters; only called if :attr:`learns`.

        Args:
            supernet: The supernet. Gradients of its weights that are left behind are dropped.
            batch: A batch of the data for the architecture.
            train_batch: The batch of the weight step that follows.
            step: The step.
            backward: Adds the gradients of a loss.

        Returns:
            The loss, a scalar without gradient.
        """
        raise NotImplementedError

    def probabilities(self) -> dict[str, Tensor]:
        """Return for each gate the probabilities of its choices as learned so far."""
        return {}

    def validation_gates(self, supernet: Supernet, step: Step) -> Gates:
        """Return the gates of a validation pass: the path of the architecture learned so far."""
        return supernet.path(supernet.derive(self.probabilities()))

    def rng(self, step: Step, purpose: int) -> np.random.Generator:
        """Return the generator of a step; ``purpose`` tells draws of one step apart."""
        return np.random.default_rng((self.seed, step.number, purpose))


class LogitRelaxation(Relaxation):
    """A relaxation with a logit for each choice of each gate (DARTS, section 2.2).

    The logits start at 1e-3 times standard normal numbers, as in the published code of DARTS. The
    supernet's operations are to have no learned scale, which could stand in for the weight of a
    choice (section A.1).

    Args:
        supernet: The supernet that is to be trained; it is not kept.
        costs: Each turns the choices' probabilities, by decision, into a factor of the
            architecture loss; see :class:`CostFactor`.
        seed: Seed of the first logits and of the random choices.
    """

    supernet_arguments = MappingProxyType({"affine": False})

    def __init__(
        self,
        supernet: Supernet,
        *,
        costs: tuple[Callable[[Mapping[str, Tensor]], Tensor], ...] = (),
        seed: int = 0,
    ) -> None:
        super().__init__(supernet, seed=seed)
        rng = np.random.default_rng((seed, 0x10617))
        self.logits = nn.ParameterDict(
            {
                name: nn.Parameter(
                    torch.from_numpy(1e-3 * rng.standard_normal(len(choices))).float()
                )
                for name, choices in supernet.choices.items()
            }
        )
        self.costs = costs

    @abc.abstractmethod
    def gates(self, supernet: Supernet, step: Step, purpose: int) -> Gates:
        """Return the gates of a forward pass, with gradients to the logits."""

    def probabilities(self) -> dict[str, Tensor]:
        """Return the softmax of the logits."""
        return {name: F.softmax(logits, dim=0) for name, logits in self.logits.items()}

    def weight_step(
        self, supernet: Supernet, batch: Samples, step: Step, backward: Backward
    ) -> Tensor:
        """Add the gradients of the loss to the weights."""
        gates = detached(self.gates(supernet, step, 0))
        loss = supernet.loss(*batch, gates)
        backward(loss)
        return loss.detach()

    def architecture_step(
        self,
        supernet: Supernet,
        batch: Samples,
        train_batch: Samples,
        step: Step,
        backward: Backward,
    ) -> Tensor:
        """Add the gradients of :meth:`architecture_loss`, the weights held still."""
        with held_still(supernet):
            loss = self.architecture_loss(supernet, batch, self.gates(supernet, step, 1))
            # A logit that the loss does not depend on has the gradient zero, not none.
            backward(loss + 0.0 * sum(p.sum() for p in self.parameters()))
        return loss.detach()

    def architecture_loss(self, supernet: Supernet, batch: Samples, gates: Gates) -> Tensor:
        """Return the loss, times the factor of each cost."""
        loss = supernet.loss(*batch, gates)
        if self.costs:
            weights = self.weights_for_costs(supernet, gates)
            probabilities = supernet.decision_probabilities(weights)
            for cost in self.costs:
                loss = loss * cost(probabilities)
        return loss

    def weights_for_costs(self, supernet: Supernet, gates: Gates) -> dict[str, Tensor]:
        """Return the probabilities of the gates' choices that the costs are taken at."""
        return self.probabilities()


class PathRelaxation(Relaxation):
    """A relaxation that trains paths of architectures and learns no logits by gradient."""

    learns = False

    @abc.abstractmethod
    def architectures(self, supernet: Supernet, step: Step) -> list[Architecture]:
        """Return the architectures whose paths are trained in a step."""

    def validation_gates(self, supernet: Supernet, step: Step) -> Gates:
        """Return the path of one architecture of the step."""
        return supernet.path(self.architectures(supernet, step)[0])

    def weight_step(
        self, supernet: Supernet, batch: Samples, step: Step, backward: Backward
    ) -> Tensor:
        """Add the gradients of the paths' losses, one path after the other."""
        losses = []
        for architecture in self.architectures(supernet, step):
            loss = supernet.loss(*batch, supernet.path(architecture))
            backward(loss)
            losses.append(loss.detach())
        return sum(losses[1:], start=losses[0]) / len(losses)


@contextmanager
def held_still(supernet: Supernet) -> Iterator[None]:
    """Let no gradients of a supernet's weights be computed, which saves time and memory."""
    trained = [p for p in supernet.parameters() if p.requires_grad]
    try:
        for parameter in trained:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_()


def hard_gates(soft: Mapping[str, Tensor]) -> dict[str, Gate]:
    """Return gates of the likeliest choice, of weight 1 with the gradient of its probability.

    Args:
        soft: For each gate probabilities of shape (number of choices,).
    """
    if not soft:
        return {}
    indices = torch.stack([values.argmax() for values in soft.values()]).tolist()  # One transfer.
    gates: dict[str, Gate] = {}
    for (name, values), i in zip(soft.items(), indices, strict=True):
        chosen = values[i : i + 1]
        gates[name] = Gate((i,), 1.0 + (chosen - chosen.detach()))  # So grouped, 1 exactly.
    return gates


def mixed_gates(supernet: Supernet, soft: Mapping[str, Tensor]) -> dict[str, Gate]:
    """Return gates of all choices with their probabilities, hard ones where they cannot mix.

    Args:
        supernet: Says which gates can mix.
        soft: For each gate probabilities of shape (number of choices,).
    """
    hard = hard_gates({k: v for k, v in soft.items() if k not in supernet.mixable})
    return {k: hard[k] if k in hard else Gate(tuple(range(len(v))), v) for k, v in soft.items()}


def detached(gates: Gates) -> Gates:
    """Return the gates without gradients; a single choice of weight 1 has no weight then."""
    return {
        name: gate._replace(
            weights=None
            if gate.weights is None or len(gate.active) == 1
            else gate.weights.detach(),
            scale=None if gate.scale is None else gate.scale.detach(),
        )
        for name, gate in gates.items()
    }


def full_weights(supernet: Supernet, gates: Gates) -> dict[str, Tensor]:
    """Return each gate's weights with zeros for the choices that are not active."""
    full: dict[str, Tensor] = {}
    for name, gate in gates.items():
        assert gate.weights is not None
        zeros = gate.weights.new_zeros(len(supernet.choices[name]))
        index = torch.tensor(gate.active, device=zeros.device)
        full[name] = zeros.index_put((index,), gate.weights)
    return full
