"""Cost metrics by name, of networks and of architectures."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field

import torch
from torch import nn

from lightning_modules.backbone import Build
from lightning_modules.costs.energy import energy_counter
from lightning_modules.costs.energy import measure_energy_mj
from lightning_modules.costs.measure import count_macs
from lightning_modules.costs.measure import count_params
from lightning_modules.costs.measure import measure_latency_ms
from lightning_modules.costs.measure import measure_throughput
from lightning_modules.costs.memory import estimate_training_memory_mb
from lightning_modules.costs.memory import measure_peak_memory_mb
from lightning_modules.inputs import Sample
from lightning_modules.training.random_state import RANDOM_STATE
from optuna_nas import Architecture
from optuna_nas.metrics import METRICS
from optuna_nas.metrics import Source


_MAX_KNOWN = 10_000


def cost_names(*sources: Source) -> list[str]:
    """Return the names of the metrics that need no training.

    Args:
        sources: ``"counted"``, without allocating the network, or ``"measured"``; both by default.
    """
    return [metric.name for metric in METRICS.of(*(sources or ("counted", "measured")))]


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
        self, names: Iterable[str], network: nn.Module, sample: Sample
    ) -> dict[str, float]:
        """Return the metrics with the given names; the network is moved to the device if needed.

        Args:
            names: Cost metrics; see :func:`cost_names`.
            network: Takes ``batch_size`` samples.
            sample: Shape of one sample, e.g. (channels, height, width), or inputs of one.
        """
        return {name: self._measure(name, network, sample) for name in names}

    def _measure(self, name: str, network: nn.Module, sample: Sample) -> float:
        metric = METRICS.get(name)
        if metric.measure is not None:
            if metric.source == "measured":
                network.to(self.device)
            return float(metric.measure(network))
        if name == "params":
            return count_params(network)
        if name == "macs":
            return count_macs(network, sample)
        if name == "training_memory_mb":
            return estimate_training_memory_mb(
                network, sample, batch_size=self.training_batch_size
            )
        network.to(self.device)
        if name == "throughput":
            return measure_throughput(
                network, sample, batch_size=self.throughput_batch_size, threads=self.threads
            )
        if name == "latency_ms":
            return measure_latency_ms(
                network, sample, batch_size=self.batch_size, threads=self.threads
            )
        if name == "peak_memory_mb":
            return measure_peak_memory_mb(network, sample, batch_size=self.batch_size)
        if name == "energy_mj":
            return measure_energy_mj(network, sample, batch_size=self.batch_size)
        raise ValueError(
            f"Expected the metric {name} to have a function `measure`, as it is not one of this "
            "package, but got none."
        )

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

    build: Build
    meter: CostMeter
    seed: int = 0
    _known: OrderedDict[Architecture, dict[str, float]] = field(default_factory=OrderedDict)

    def value(self, name: str, architecture: Architecture, sample: Sample) -> float:
        """Return a metric of an architecture, and keep it.

        Args:
            name: A cost metric; see :func:`cost_names`.
            architecture: What ``build`` can build.
            sample: Shape of one sample, or inputs of one.
        """
        known = self._known.setdefault(architecture, {})
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)
        if name not in known:
            known |= self.meter.measure([name], self._network(name, architecture), sample)
        return known[name]

    def take(self, architecture: Architecture) -> dict[str, float]:
        """Return what is known about an architecture, and forget what was measured."""
        known = dict(self._known.get(architecture, {}))
        if known:
            counted = {
                name: value for name, value in known.items() if name in cost_names("counted")
            }
            self._known[architecture] = counted
        return known

    def _network(self, name: str, architecture: Architecture) -> nn.Module:
        device = self.meter.device
        if name in cost_names("counted"):
            # Nothing is allocated, and no random number drawn, unless it computes something.
            with suppress(NotImplementedError, RuntimeError), torch.device("meta"):
                return self.build(architecture)
        with RANDOM_STATE.kept(device):
            return RANDOM_STATE.build(self.build, architecture, self.seed, device)
