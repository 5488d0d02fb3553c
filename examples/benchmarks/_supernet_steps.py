"""Search steps of supernets, and training steps of the single networks that are their paths."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cache
from functools import partial
import time
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from lightning_modules.supernet import build_supernet
from lightning_modules.supernet import make_optimizers
from lightning_modules.supernet.relaxations import LogitRelaxation
from lightning_modules.supernet.relaxations import PathRelaxation
from lightning_modules.supernet.relaxations import RELAXATIONS
from lightning_modules.supernet.relaxations import Samples
from lightning_modules.supernet.relaxations import Step
from lightning_modules.tasks import Classification
from optuna_nas import Architecture
from optuna_nas import SearchSpace


N_CLASSES = 10
RATES = {"lr": 0.01, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}


class Machine:
    """Where and how precisely to compute.

    Args:
        device: The device.
        bf16: Whether under autocast to bfloat16.
    """

    def __init__(self, device: str, bf16: bool) -> None:
        self.device = torch.device(device)
        self.bf16 = bf16

    def seconds(self, run: Callable[[], object]) -> float:
        """Run a function and return how long it took."""
        self._wait()
        started = time.perf_counter()
        self.run(run)
        self._wait()
        return time.perf_counter() - started

    def run(self, run: Callable[[], object]) -> None:
        """Run a function in the precision."""
        with torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext():
            run()

    def batch(self, size: int, shape: Sequence[int], seed: int) -> Samples:
        """Return a batch of noise with random labels, in the memory format of the supernets."""
        generator = torch.Generator().manual_seed(seed)
        images = torch.randn(size, *shape, generator=generator)
        labels = torch.randint(N_CLASSES, (size,), generator=generator).to(self.device)
        return Samples(images.to(self.device, memory_format=torch.channels_last), labels)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


class Search:
    """A supernet and what one step of its search does, as in ``SupernetModule``.

    Args:
        space: The search space.
        relaxation: Name of the relaxation.
        arguments: Of the relaxation.
        batches: A batch for the architecture and one for the weights.
        sizes: Arguments of the supernet.
    """

    def __init__(
        self,
        space: SearchSpace,
        relaxation: str,
        arguments: Mapping[str, Any],
        batches: tuple[Samples, Samples],
        **sizes: Any,
    ) -> None:
        kind = RELAXATIONS.get(relaxation)
        images = batches[0].inputs
        torch.manual_seed(0)
        supernet = build_supernet(
            space,
            Classification(N_CLASSES),
            input_shape=tuple(images.shape[1:]),
            **{**kind.supernet_arguments, **sizes},
        )
        self.supernet = supernet.to(images.device, memory_format=torch.channels_last)
        self.relaxation = kind(self.supernet, **arguments).to(images.device)
        self.optimizers = make_optimizers(
            self.supernet, self.relaxation, learning_rate=RATES["lr"]
        )
        self.batches = batches

    def architecture_step(self, number: int) -> None:
        """Make the step of the architecture parameters."""
        self.optimizers[1].zero_grad()
        self.relaxation.architecture_step(
            self.supernet, *self.batches, _step(number), torch.Tensor.backward
        )
        self.optimizers[1].step()

    def weight_step(self, number: int) -> None:
        """Make the step of the weights."""
        self.optimizers[0].zero_grad()
        self.relaxation.weight_step(
            self.supernet, self.batches[1], _step(number), torch.Tensor.backward
        )
        torch.nn.utils.clip_grad_norm_(self.supernet.parameters(), 5.0)
        self.optimizers[0].step()

    def step(self, number: int) -> None:
        """Make both."""
        if self.relaxation.learns:
            self.architecture_step(number)
        self.weight_step(number)

    def paths(self, number: int) -> list[Architecture]:
        """Return the architectures that a weight step trains, none if it mixes choices."""
        if isinstance(self.relaxation, PathRelaxation):
            return self.relaxation.architectures(self.supernet, _step(number))
        assert isinstance(self.relaxation, LogitRelaxation)
        gates = self.relaxation.gates(self.supernet, _step(number), 0)
        if any(len(gate.active) > 1 for gate in gates.values()):
            return []
        choices = self.supernet.choices
        path = {name: choices[name][gate.active[0]] for name, gate in gates.items()}
        return [self.supernet.space.architecture(path)]

    def resident_mb(self) -> float:
        """Return the memory of all that stays between two steps, the gradients left out."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        modules = [self.supernet, self.relaxation]
        return _resident_mb(modules, self.optimizers, self.batches)


class Singles:
    """Single networks, each built once and trained with the optimizer of the supernets.

    Args:
        batch: What they are trained on.
    """

    def __init__(self, batch: Samples) -> None:
        self.batch = batch
        self._made = cache(self._make)

    def step(self, search: Search, path: Architecture) -> Callable[[], None]:
        """Return what trains the network of a path once."""
        return partial(self._step, *self._made(search.supernet.build, path))

    def resident_mb(self, search: Search, path: Architecture) -> float:
        """Return the memory of all that stays between two steps, the gradients left out."""
        network, optimizer = self._made(search.supernet.build, path)
        optimizer.zero_grad()
        return _resident_mb([network], [optimizer], [self.batch])

    def _step(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        F.cross_entropy(network(self.batch.inputs), self.batch.targets).backward()
        optimizer.step()

    def _make(
        self, build: Callable[[Architecture], nn.Module], path: Architecture
    ) -> tuple[nn.Module, torch.optim.Optimizer]:
        network = build(path).to(self.batch.inputs.device, memory_format=torch.channels_last)
        return network, torch.optim.SGD(network.parameters(), **RATES)


def _step(number: int) -> Step:
    return Step(number, 0.5, RATES["lr"])


def _resident_mb(
    modules: Sequence[nn.Module],
    optimizers: Sequence[torch.optim.Optimizer],
    batches: Sequence[Samples],
) -> float:
    tensors = [tensor for batch in batches for tensor in batch]
    for module in modules:
        tensors += [*module.parameters(), *module.buffers()]
    for optimizer in optimizers:
        for state in optimizer.state.values():
            tensors += [value for value in state.values() if isinstance(value, torch.Tensor)]
    return sum(tensor.nbytes for tensor in tensors) / 1e6
