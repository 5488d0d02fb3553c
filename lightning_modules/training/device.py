"""Devices of a training: which one, and its memory."""

from __future__ import annotations

import gc
import os
import re

import torch


def select_device(accelerator: str, devices: int | str | list[int]) -> torch.device:
    """Return the first device that a trainer with these arguments uses.

    Raises:
        ValueError: If ``accelerator`` names a kind of device that is not there.
    """
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if accelerator not in ("auto", "cpu") and found is None:
        raise ValueError(
            f"Expected argument `accelerator` to be auto or cpu, as there is no GPU, "
            f"but got {accelerator!r}."
        )
    if accelerator == "cpu" or found is None:
        return torch.device("cpu")
    if found.type == "cuda":
        numbers = _numbers(devices)
        return torch.device("cuda", numbers[0] if numbers else 0)
    return found


def empty_accelerator(device: torch.device) -> None:
    """Give unused memory of a GPU back; does nothing on the CPU."""
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()


def strategy_for(devices: int | str | list[int]) -> str:
    """Return the strategy by which several devices share a training inside a larger program.

    Lightning's own choice would start the whole program again for each further device.

    Args:
        devices: How many, a list of which, such as ``"0,1"`` or ``[0, 1]``, or ``"auto"``.

    Raises:
        ValueError: If there are no such devices, or it is no number or list of them.
    """
    if not isinstance(devices, list) and not re.fullmatch(
        r"auto|-?\d+|\d+,|\d+(,\d+)+", str(devices)
    ):
        raise ValueError(
            "Expected argument `devices` to be a number, a list such as 0,1 or auto "
            f"but got {devices!r}."
        )
    n_gpus = torch.cuda.device_count()
    available = n_gpus or os.cpu_count() or 1
    numbers = _numbers(devices)
    is_of_gpus = numbers is not None or str(devices) == "-1"
    if is_of_gpus and not torch.accelerator.is_available():
        raise ValueError(
            "Expected argument `devices` to be a number above 0 or auto, as there is no GPU, "
            f"but got {devices!r}."
        )
    if numbers is not None:
        if len(set(numbers)) < len(numbers) or (n_gpus and max(numbers, default=0) >= n_gpus):
            raise ValueError(
                f"Expected argument `devices` to be different numbers below {n_gpus or 1} "
                f"but got {devices!r}."
            )
        count = len(numbers)
    elif str(devices) in ("auto", "-1"):
        count = n_gpus or 1
    else:
        count = int(str(devices))
    if not 1 <= count <= available:
        raise ValueError(f"Expected argument `devices` to be 1 to {available} but got {devices}.")
    return "auto" if count == 1 else "ddp_spawn"


def _numbers(devices: int | str | list[int]) -> list[int] | None:
    """Return which devices are listed, None if they are not."""
    if isinstance(devices, str) and "," in devices:
        return [int(number) for number in devices.split(",") if number]
    return devices if isinstance(devices, list) else None
