"""Cost metrics of a network: parameters, multiply-accumulates, latency and throughput.

None needs training. Every function takes the network and, where an input is run through it, one
sample: its shape, or :class:`~lightning_modules.inputs.Inputs` of any kind. The network's device
and training flags are left as found.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from typing import Any
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.attention import sdpa_kernel
from torch.nn.attention import SDPBackend
from torch.utils.benchmark import Timer
from torch.utils.flop_counter import FlopCounterMode

from lightning_modules._checks import check_positive
from lightning_modules.inputs import device_of
from lightning_modules.inputs import Inputs
from lightning_modules.inputs import make_inputs
from lightning_modules.inputs import Sample


def count_params(network: nn.Module) -> int:
    """Return the number of parameters, frozen ones included and shared ones counted once.

    Example:

        >>> count_params(nn.Conv2d(3, 8, kernel_size=3))
        224
    """
    return sum(parameter.numel() for parameter in network.parameters())


def count_macs(network: nn.Module, sample: Sample) -> int:
    """Return the multiply-accumulate operations of one sample's forward pass.

    Convolutions and matrix products count, attention included. Additions (so biases, too),
    activations, pooling and batch normalisation do not. Nothing is computed: the shapes run
    through the network on the meta device, which also works for a network that is there.

    Args:
        network: Takes a batch of one sample; its control flow must not depend on values.
        sample: Shape of one sample, e.g. (channels, height, width), or inputs of one.

    Example:

        >>> count_macs(nn.Conv2d(3, 8, kernel_size=3, padding=1), (3, 32, 32))
        221184
    """
    tensors, inputs = on_meta(network, sample)
    counter = FlopCounterMode(display=False)
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # It hides attention from the counter.
    try:
        with evaluation_mode(network), torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
            call_with(network, tensors, inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
    return int(counter.get_total_flops()) // 2


class Latency(NamedTuple):
    """How long something takes, and how much that varied while it was measured.

    Args:
        median_ms: Median in ms.
        iqr_ms: Inter-quartile range in ms.
    """

    median_ms: float
    iqr_ms: float


def time_forward(
    network: nn.Module,
    sample: Sample,
    *,
    batch_size: int = 1,
    threads: int | None = None,
    min_run_time: float = 0.05,
) -> Latency:
    """Measure one forward pass in evaluation mode, on the device where the network is.

    A GPU is waited for. Whatever else runs on the machine disturbs the measurement, so compare
    values of one machine that were measured alike.

    Args:
        network: Takes ``batch_size`` samples.
        sample: Shape of one sample, e.g. (channels, height, width), or inputs of one.
        batch_size: Samples of the forward pass.
        threads: Number of CPU threads; :obj:`None` is PyTorch's current number.
        min_run_time: Seconds to measure for after the warm-up, which takes about as long.

    Returns:
        Median and inter-quartile range of a forward pass in ms.

    Raises:
        ValueError: If an argument is out of range.
    """
    check_timing(batch_size, threads, min_run_time)
    inputs = make_inputs(network, sample, batch_size)
    timer = Timer(
        "network(*args, **kwargs)",
        globals={"network": network, "args": inputs.args, "kwargs": dict(inputs.kwargs)},
        num_threads=torch.get_num_threads() if threads is None else threads,
    )
    with _current(device_of(network)), evaluation_mode(network), torch.inference_mode():
        measurement = timer.blocked_autorange(min_run_time=min_run_time)
    return Latency(float(measurement.median) * 1e3, float(measurement.iqr) * 1e3)


def check_timing(batch_size: int, threads: int | None, min_run_time: float) -> None:
    """Raise a ValueError unless these arguments of :func:`time_forward` are in range."""
    check_positive("batch_size", batch_size)
    if threads is not None:
        check_positive("threads", threads)
    if min_run_time <= 0:
        raise ValueError(f"Expected argument `min_run_time` to be above 0 but got {min_run_time}.")


def measure_latency_ms(
    network: nn.Module,
    sample: Sample,
    *,
    batch_size: int = 1,
    threads: int | None = None,
    min_run_time: float = 0.05,
) -> float:
    """Measure the median time of one forward pass in evaluation mode in ms.

    See :func:`time_forward` for the arguments, how it is measured, and the spread as well.
    """
    return time_forward(
        network,
        sample,
        batch_size=batch_size,
        threads=threads,
        min_run_time=min_run_time,
    ).median_ms


def measure_throughput(
    network: nn.Module,
    sample: Sample,
    *,
    batch_size: int = 64,
    threads: int | None = None,
    min_run_time: float = 0.05,
) -> float:
    """Measure the samples/s of forward passes with ``batch_size`` samples.

    See :func:`time_forward` for the arguments and how it is measured.

    Returns:
        The median number of samples per second.
    """
    latency_ms = measure_latency_ms(
        network,
        sample,
        batch_size=batch_size,
        threads=threads,
        min_run_time=min_run_time,
    )
    return batch_size / latency_ms * 1e3


@contextmanager
def modes_kept(network: nn.Module) -> Iterator[None]:
    """Switch the modules of a network back to training or evaluation, as they were."""
    training = {module: module.training for module in network.modules()}
    try:
        yield
    finally:
        for module, flag in training.items():
            module.training = flag


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Switch a network to evaluation, and its modules back to what they were."""
    with modes_kept(network):
        network.eval()
        yield


def on_meta(
    network: nn.Module, sample: Sample, batch_size: int = 1
) -> tuple[dict[str, torch.Tensor], Inputs]:
    """Return parameters and buffers by name, and a batch, that have shapes and no values."""
    tensors = {
        name: torch.empty_like(tensor, device="meta").requires_grad_(tensor.requires_grad)
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]
    }
    return tensors, make_inputs(network, sample, batch_size, device=torch.device("meta"))


def call_with(network: nn.Module, tensors: Mapping[str, torch.Tensor], inputs: Inputs) -> Any:
    """Return what a network makes of inputs with other parameters and buffers."""
    return torch.func.functional_call(network, dict(tensors), inputs.args, dict(inputs.kwargs))


@contextmanager
def _current(device: torch.device) -> Iterator[None]:
    """Make a GPU the current one, which is the one that the timer waits for."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            yield
    else:
        yield
