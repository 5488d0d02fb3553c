"""The global random state: seeded for what is built, and left as it was found."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
import threading
import traceback
from typing import TypeVar

import torch
from torch import nn

from lightning_modules.backbone import Build
from lightning_modules.training.device import empty_accelerator
from optuna_nas import Architecture


_T = TypeVar("_T")


class RandomState:
    """Seeds PyTorch's global generators for networks, and puts their state back at the end.

    Threads share the generators: what they build is made one at a time, each from its seed, and
    the state is put back when the last of them is done.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._found: list[torch.Tensor] = []

    @contextmanager
    def kept(self, device: torch.device) -> Iterator[None]:
        """Put the state of the CPU's generator and, if ``device`` is one, the GPUs' back."""
        on_gpu = device.type == "cuda"
        with self._lock:
            if self._users == 0:
                self._found = [torch.get_rng_state()]
            if on_gpu and len(self._found) == 1:  # Perhaps not yet the first user's concern.
                self._found += torch.cuda.get_rng_state_all()
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    torch.set_rng_state(self._found[0])
                    for index, state in enumerate(self._found[1:]):
                        torch.cuda.set_rng_state(state, index)

    def build(
        self,
        build: Build,
        architecture: Architecture,
        seed: int,
        device: torch.device,
    ) -> nn.Module:
        """Make a network whose weights depend on ``seed`` alone, inside of :meth:`kept`."""
        return self.seeded(lambda: build(architecture), seed, device)

    def seeded(self, make: Callable[[], _T], seed: int, device: torch.device) -> _T:
        """Make what depends on ``seed`` alone, inside of :meth:`kept`."""
        with self._lock:
            torch.default_generator.manual_seed(seed)
            if device.type == "cuda":
                torch.cuda.manual_seed_all(seed)
            return make()


RANDOM_STATE = RandomState()
"""The process's own random state."""


@contextmanager
def evaluation(device: torch.device) -> Iterator[None]:
    """Leave the global random state and the memory of a device as an evaluation found them."""
    try:
        with RANDOM_STATE.kept(device):
            yield
    except torch.OutOfMemoryError as error:
        traceback.clear_frames(error.__traceback__)  # They hold the tensors.
        raise
    finally:
        empty_accelerator(device)
