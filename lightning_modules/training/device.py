"""Devices of a training: which one, and its memory."""

from __future__ import annotations

import gc

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
        return torch.device("cuda", devices[0] if isinstance(devices, list) and devices else 0)
    return found


def empty_accelerator(device: torch.device) -> None:
    """Give unused memory of a GPU back; does nothing on the CPU."""
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
