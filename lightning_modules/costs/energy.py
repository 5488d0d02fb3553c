"""Energy of a forward pass on NVIDIA GPUs, by NVML."""

from __future__ import annotations

from collections.abc import Callable
import time

import torch
from torch import nn

from lightning_modules.costs.measure import evaluation_mode
from lightning_modules.inputs import device_of
from lightning_modules.inputs import make_inputs
from lightning_modules.inputs import Sample


_N_WARM_UP = 3


def measure_energy_mj(
    network: nn.Module,
    sample: Sample,
    *,
    batch_size: int = 1,
    min_run_time: float = 1.0,
) -> float:
    """Measure the energy of a forward pass in evaluation mode on an NVIDIA GPU, in mJ.

    NVML's counter of the whole GPU is read before and after repeated passes, so what the GPU
    takes when idle, and whatever else runs on it, is part of the result. The counter moves in
    steps of some 20 to 100 ms: a short ``min_run_time`` makes it coarse. GPUs since Volta have it.

    Args:
        network: Takes ``batch_size`` samples; on a GPU.
        sample: Shape of one sample, e.g. (channels, height, width), or inputs of one.
        batch_size: Samples of the forward pass.
        min_run_time: Seconds to measure for.

    Returns:
        mJ for a forward pass of the whole batch.

    Raises:
        ValueError: If an argument is out of range, the network is not on an NVIDIA GPU, the
            package nvidia-ml-py is missing, or the GPU has no such counter.
    """
    if min_run_time <= 0:
        raise ValueError(f"Expected argument `min_run_time` to be above 0 but got {min_run_time}.")
    inputs, device = make_inputs(network, sample, batch_size), device_of(network)
    read = energy_counter(device)
    with evaluation_mode(network), torch.inference_mode():
        for _ in range(_N_WARM_UP):
            inputs.call(network)
        torch.cuda.synchronize(device)
        started, before, n_passes = time.perf_counter(), read(), 0
        while time.perf_counter() - started < min_run_time:
            inputs.call(network)
            torch.cuda.synchronize(device)
            n_passes += 1
        return (read() - before) / n_passes


def energy_counter(device: torch.device) -> Callable[[], float]:
    """Return what reads the energy in mJ that a GPU has taken since its driver was loaded.

    Raises:
        ValueError: If the device has no such counter, or cannot be asked for it.
    """
    if device.type != "cuda" or torch.version.cuda is None:
        raise ValueError(
            "Expected a network on an NVIDIA GPU for the metric `energy_mj` but got one on "
            f"{device.type}."
        )
    try:
        import pynvml  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise ValueError(
            "The metric `energy_mj` needs the package nvidia-ml-py: install it with "
            "`pip install nvidia-ml-py`."
        ) from error
    try:
        pynvml.nvmlInit()
        uuid = str(torch.cuda.get_device_properties(device).uuid)
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError as error:
        raise ValueError(
            f"The GPU's energy for the metric `energy_mj` cannot be read: {error}."
        ) from error
    return lambda: float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle))
