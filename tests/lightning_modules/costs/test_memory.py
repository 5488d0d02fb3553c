"""Memory of a network, against hand counts."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from lightning_modules import device_memory_mb
from lightning_modules import estimate_training_memory_mb
from lightning_modules import measure_peak_allocation_mb
from lightning_modules import measure_peak_memory_mb


class Branches(nn.Module):
    """Keeps the input until the end, so that three maps live at once."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(100, 100, bias=False)
        self.second = nn.Linear(100, 100, bias=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        kept = self.first(images)
        return kept + self.second(kept)


def test_peak_is_what_lives_at_the_same_time() -> None:
    maps = 4 * 50 * 100
    chain = nn.Sequential(*[nn.Linear(100, 100, bias=False) for _ in range(4)])
    weights, images = 4 * 4 * 100 * 100, maps
    expected = (weights + images + 2 * maps) / 1e6  # Each layer's input and output.
    assert measure_peak_memory_mb(chain, (100,), batch_size=50) == pytest.approx(expected)
    weights = 2 * 4 * 100 * 100
    expected = (weights + images + 3 * maps) / 1e6
    assert measure_peak_memory_mb(Branches(), (100,), batch_size=50) == pytest.approx(expected)


def test_peak_allocation_of_a_function_is_beside_what_there_is() -> None:
    kept = [torch.ones(7000)]

    def run() -> None:
        for _ in range(3):
            kept.append(torch.ones(1000))
            torch.ones(2000)  # Freed at once.

    peak = measure_peak_allocation_mb(run, torch.device("cpu"))
    assert peak == pytest.approx(4 * (3 * 1000 + 2000) / 1e6)


def test_nothing_is_printed() -> None:
    script = (
        "import torch; from lightning_modules import measure_peak_memory_mb as measure;"
        "print(measure(torch.nn.Linear(2, 2), (2,), batch_size=1) > 0)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "KINETO_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_inplace_operations_save_memory() -> None:
    def network(inplace: bool) -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(inplace=inplace))

    one_map = 4 * 4 * 8 * 8 / 1e6
    difference = measure_peak_memory_mb(network(False), (1, 8, 8)) - measure_peak_memory_mb(
        network(True), (1, 8, 8)
    )
    assert difference == pytest.approx(one_map)


def test_training_memory_by_hand() -> None:
    network = nn.Sequential(
        nn.Linear(20, 30),  # Keeps its input.
        nn.Tanh(),  # Keeps its output, which is the next layer's input.
        nn.Linear(30, 5, bias=False),
    )
    weights = 20 * 30 + 30 + 30 * 5
    activations = 16 * (20 + 30)
    expected = 4 * (4 * weights + activations) / 1e6
    assert estimate_training_memory_mb(network, (20,), batch_size=16) == pytest.approx(expected)
    network[0].requires_grad_(False)  # No gradient, no moments, and nobody needs the images.
    expected = 4 * (4 * 30 * 5 + (20 * 30 + 30) + 16 * 30) / 1e6
    assert estimate_training_memory_mb(network, (20,), batch_size=16) == pytest.approx(expected)


def test_what_autograd_keeps_in_a_real_step() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    )
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    images = torch.randn(4, 3, 16, 16)
    own = {t.untyped_storage().data_ptr() for t in [*network.parameters(), *network.buffers()]}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = network(images)
    activations = sum(t.untyped_storage().nbytes() for key, t in kept.items() if key not in own)
    del output
    weights = sum(p.nbytes for p in network.parameters())
    buffers = sum(b.nbytes for b in network.buffers())
    estimate = estimate_training_memory_mb(network, (3, 16, 16), batch_size=4)
    assert estimate == pytest.approx((4 * weights + buffers + activations) / 1e6, rel=0.02)


def test_what_no_machine_can_hold_is_estimated() -> None:
    with torch.device("meta"):
        network = nn.Linear(10**6, 10**6, bias=False)
    assert (
        estimate_training_memory_mb(network, (10**6,))
        > 1.6e7
        > device_memory_mb(torch.device("cpu"))
    )


def test_network_is_left_as_found() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5))
    network[1].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    generator = torch.get_rng_state()
    estimate_training_memory_mb(network, (1, 8, 8), batch_size=2)
    measure_peak_memory_mb(network, (1, 8, 8), batch_size=2)
    assert [module.training for module in network] == [True, False, True]
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
    assert all(p.grad is None for p in network.parameters())
    assert torch.equal(generator, torch.get_rng_state())


@pytest.mark.parametrize("measure", [estimate_training_memory_mb, measure_peak_memory_mb])
def test_batch_size_out_of_range(measure: object) -> None:
    with pytest.raises(ValueError, match="`batch_size` to be at least 1 but got 0"):
        measure(nn.Linear(2, 2), (2,), batch_size=0)  # type: ignore[operator]


def test_memory_of_this_machine() -> None:
    assert 1e2 < device_memory_mb(torch.device("cpu")) < 1e9


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_peak_on_a_gpu() -> None:
    network = nn.Sequential(*[nn.Linear(1024, 1024, bias=False) for _ in range(4)]).cuda()
    maps, weights = 4 * 512 * 1024, 4 * 4 * 1024 * 1024
    found = measure_peak_memory_mb(network, (1024,), batch_size=512)
    assert found == pytest.approx((weights + 3 * maps) / 1e6, rel=0.1)
