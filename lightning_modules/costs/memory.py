"""Memory of a network: measured for inference, and estimated for training without allocating it.

All values are MB, that is, 10^6 bytes.
"""

from __future__ import annotations

from collections.abc import Callable
import os

import torch
from torch import nn
from torch.profiler import profile
from torch.profiler import ProfilerActivity

from lightning_modules.costs.measure import call_with
from lightning_modules.costs.measure import evaluation_mode
from lightning_modules.costs.measure import modes_kept
from lightning_modules.costs.measure import on_meta
from lightning_modules.inputs import device_of
from lightning_modules.inputs import make_inputs
from lightning_modules.inputs import Sample


_MB = 1e6
_COPIES = 4  # Weights, gradients, and the two moments of Adam.


def measure_peak_memory_mb(network: nn.Module, sample: Sample, *, batch_size: int = 1) -> float:
    """Measure the peak memory of a forward pass in evaluation mode, without gradients.

    It is that of the weights and buffers, the input, and the largest sum of the activations and
    scratch memory that live at the same time: on a GPU as CUDA's allocator counts them, else as
    PyTorch's profiler does.

    Args:
        network: Takes ``batch_size`` samples; it stays on its device.
        sample: Shape of one sample, e.g. (channels, height, width), or inputs of one.
        batch_size: Samples of the forward pass.

    Returns:
        MB, that is, 10^6 bytes.

    Raises:
        ValueError: If ``batch_size`` is less than 1.

    Example:

        >>> network = nn.Sequential(nn.Linear(1000, 500, bias=False), nn.ReLU())
        >>> measure_peak_memory_mb(network, (1000,), batch_size=100)  # 2.0 + 0.4 + 2 * 0.2
        2.8
    """
    inputs, device = make_inputs(network, sample, batch_size), device_of(network)
    with evaluation_mode(network), torch.inference_mode():
        inputs.call(network)  # What is allocated once.
        activations = measure_peak_allocation_mb(lambda: inputs.call(network), device)
    resident = [*network.parameters(), *network.buffers(), *inputs.tensors]
    return sum(tensor.nbytes for tensor in resident) / _MB + activations


def measure_peak_allocation_mb(run: Callable[[], object], device: torch.device) -> float:
    """Measure the most memory that a function allocates at once, beside what there is before.

    Args:
        run: The function; its first call may allocate what later ones do not.
        device: Where it allocates: on a GPU as CUDA's allocator counts it, else as PyTorch's
            profiler does.

    Returns:
        MB, that is, 10^6 bytes.
    """
    return (_cuda_peak(run, device) if device.type == "cuda" else _cpu_peak(run)) / _MB


def _cuda_peak(run: Callable[[], object], device: torch.device) -> int:
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    run()
    return int(torch.cuda.max_memory_allocated(device)) - before


def _cpu_peak(run: Callable[[], object]) -> int:
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # Else the profiler writes lines of its own.
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    current = peak = 0
    for event in profiler.profiler.kineto_results.events():  # In the order of time.
        if event.name() == "[memory]":
            current += event.nbytes()
            peak = max(peak, current)
    return peak


def estimate_training_memory_mb(
    network: nn.Module, sample: Sample, *, batch_size: int = 1
) -> float:
    """Estimate the memory of a training step with Adam, without allocating it.

    It is that of weights, gradients and Adam's two moments, and of all that the forward pass
    keeps for the backward pass. The shapes run through the network on the meta device, so the
    network may be there and larger than the machine. Scratch memory, the allocator's waste and
    what PyTorch itself takes are not in it.

    Args:
        network: Takes ``batch_size`` samples; its control flow must not depend on values.
        sample: Shape of one sample, e.g. (channels, height, width), or inputs of one.
        batch_size: Samples of a training batch.

    Returns:
        MB, that is, 10^6 bytes.

    Raises:
        ValueError: If ``batch_size`` is less than 1.

    Example:

        >>> estimate_training_memory_mb(nn.Linear(100, 1000, bias=False), (100,), batch_size=50)
        1.62
    """
    tensors, inputs = on_meta(network, sample, batch_size)
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage
        return tensor

    own = {tensor.untyped_storage()._cdata for tensor in tensors.values()}
    with (
        modes_kept(network),
        torch.enable_grad(),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
    ):
        network.train()
        output = call_with(network, tensors, inputs)
    del output
    activations = sum(storage.nbytes() for key, storage in kept.items() if key not in own)
    trained = sum(p.nbytes for p in network.parameters() if p.requires_grad)
    others = sum(t.nbytes for t in [*network.parameters(), *network.buffers()]) - trained
    return (_COPIES * trained + others + activations) / _MB


def device_memory_mb(device: torch.device) -> float:
    """Return the whole memory of a device in MB, of 10^6 bytes; of the machine for a CPU."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[1]) / _MB
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _MB
