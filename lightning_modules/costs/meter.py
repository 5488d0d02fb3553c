"""Cost metrics by name, of networks and of architectures."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field

import torch
from torch import nn

from lightning_modules.costs.energy import energy_counter
from lightning_modules.costs.energy import measure_energy_mj
from lightning_modules.costs.measure import count_macs
from lightning_modules.costs.measure import count_params
from lightning_modules.costs.measure import measure_latency_ms
from lightning_modules.costs.measure import measure_throughput
from lightning_modules.costs.memory import estimate_training_memory_mb
from lightning_modules.costs.memory import measure_peak_memory_mb
from lightning_modules.training import trainer as _training
from optuna_nas import Architecture


COUNTED_METRICS = ("params", "macs", "training_memory_mb")
"""Cost metrics that are counted without allocating the network."""
COST_METRICS = (*COUNTED_METRICS, "latency_ms", "throughput", "peak_memory_mb", "energy_mj")
"""Metrics that need no training; see :mod:`lightning_modules.costs.measure`."""

_MAX_KNOWN = 10_000


@dataclass(frozen=True)
class CostMeter:
    """Measures cost metrics of networks under fixed conditions.

    Args:
        device: Where latency, throughput, memory and energy are measured.
        batch_size: Samples for ``latency_ms``, ``peak_memory_mb`` and ``energy_mj``.
        throughput_batch_size: Samples for ``throughput``.
        training_batch_size: Samples for ``training_memory_mb``.
        threads: CPU threads of ``latency_ms`` and ``throughput``.
    """

    device: torch.device
    batch_size: int = 1
    throughput_batch_size: int = 64
    training_batch_size: int = 1
    threads: int = 1

    def measure(
        self, names: Iterable[str], network: nn.Module, input_shape: tuple[int, ...]
    ) -> dict[str, float]:
        """Return the metrics with the given names; the network is moved to the device if needed.

        Args:
            names: Names of :data:`COST_METRICS`.
            network: Takes (batch_size, *input_shape).
            input_shape: Shape of one sample, e.g. (channels, height, width).
        """
        return {name: self._measure(name, network, input_shape) for name in names}

    def _measure(self, name: str, network: nn.Module, input_shape: tuple[int, ...]) -> float:
        if name == "params":
            return count_params(network)
        if name == "macs":
            return count_macs(network, input_shape)
        if name == "training_memory_mb":
            return estimate_training_memory_mb(
                network, input_shape, batch_size=self.training_batch_size
            )
        network.to(self.device)
        if name == "throughput":
            return measure_throughput(
                network, input_shape, batch_size=self.throughput_batch_size, threads=self.threads
            )
        if name == "latency_ms":
            return measure_latency_ms(
                network, input_shape, batch_size=self.batch_size, threads=self.threads
            )
        measures: dict[str, Callable[..., float]] = {
            "peak_memory_mb": measure_peak_memory_mb,
            "energy_mj": measure_energy_mj,
        }
        return measures[name](network, input_shape, batch_size=self.batch_size)

    def check(self, names: Iterable[str]) -> None:
        """Raise a ValueError if one of the metrics cannot be measured on the device."""
        if "energy_mj" in names:
            energy_counter(self.device)


@dataclass(frozen=True)
class ArchitectureCosts:
    """Cost metrics of architectures, by the name of the metric.

    What is counted is counted once. What is measured is kept until it is taken for the evaluation
    of the architecture, so that an evaluation has the very values that its constraints had.

    Args:
        build: Makes the network of an architecture.
        meter: Measures it.
        seed: Seed of its weights.
    """

    build: Callable[[Architecture], nn.Module]
    meter: CostMeter
    seed: int = 0
    _known: OrderedDict[Architecture, dict[str, float]] = field(default_factory=OrderedDict)

    def value(
        self, name: str, architecture: Architecture, input_shape: tuple[int, int, int]
    ) -> float:
        """Return a metric of an architecture, and keep it.

        Args:
            name: A name of :data:`COST_METRICS`.
            architecture: What ``build`` can build.
            input_shape: (channels, height, width) of an image.
        """
        known = self._known.setdefault(architecture, {})
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)
        if name not in known:
            known |= self.meter.measure([name], self._network(name, architecture), input_shape)
        return known[name]

    def take(self, architecture: Architecture) -> dict[str, float]:
        """Return what is known about an architecture, and forget what was measured."""
        known = dict(self._known.get(architecture, {}))
        if known:
            counted = {name: value for name, value in known.items() if name in COUNTED_METRICS}
            self._known[architecture] = counted
        return known

    def _network(self, name: str, architecture: Architecture) -> nn.Module:
        device = self.meter.device
        if name in COUNTED_METRICS:
            # Nothing is allocated, and no random number drawn, unless it computes something.
            with suppress(NotImplementedError, RuntimeError), torch.device("meta"):
                return self.build(architecture)
        with _training.RANDOM_STATE.kept(device):
            return _training.RANDOM_STATE.build(self.build, architecture, self.seed, device)
