"""Running a Lightning trainer inside a larger program: quiet, seeded, and with honest signals."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
import gc
import logging
import math
import re
import signal
import threading
import traceback
from typing import Any
from typing import TypeVar
import warnings

import pytorch_lightning as pl
import torch
from torch import nn

from optuna_nas import Architecture


_T = TypeVar("_T")

# Lightning 2.6 with torch 2.13 or newer; nothing that a user could change.
_PYTREE_WARNING = r"`isinstance\(treespec, LeafSpec\)` is deprecated"
_NOTICES = (
    "lightning_fabric.utilities.distributed",
    "pytorch_lightning.accelerators.cuda",
    "pytorch_lightning.utilities.rank_zero",
)


def make_trainer(**arguments: Any) -> pl.Trainer:
    """Make a trainer that writes nothing: no logger, checkpoint, bar, summary or sanity steps.

    Args:
        arguments: Arguments of :class:`pytorch_lightning.Trainer`, which come first.
    """
    silent: dict[str, Any] = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
    }
    return pl.Trainer(**(silent | arguments))


class DivergenceGuard(pl.Callback):
    """Ends a training whose loss is not finite, with the reason."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check the epoch's mean loss."""
        loss = float(trainer.callback_metrics["train_loss"])
        if not math.isfinite(loss):
            raise RuntimeError(
                f"The training diverged: the loss of epoch {trainer.current_epoch} is {loss}; "
                "a smaller learning rate may help."
            )


def run_trainer(run: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a method of a trainer so that an interrupt comes out as KeyboardInterrupt.

    Lightning turns it into SystemExit and leaves the process deaf to further interrupts.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if in_main_thread else None
    try:
        return run(*args, **kwargs)
    except SystemExit as error:
        interrupt = error.__context__
        if isinstance(interrupt, KeyboardInterrupt):
            raise interrupt from None
        raise
    finally:
        if handler is not None:
            signal.signal(signal.SIGINT, handler)


@contextmanager
def quiet() -> Iterator[None]:
    """Drop Lightning's notices of this thread, like the devices found, but not its warnings."""
    _silence_pytree_warning()
    thread = threading.get_ident()

    def keep(record: logging.LogRecord) -> bool:
        return record.thread != thread or record.levelno > logging.INFO

    loggers = [logging.getLogger(name) for name in _NOTICES]
    for logger in loggers:
        logger.addFilter(keep)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(keep)


def _silence_pytree_warning() -> None:
    # Added once and left: putting filters back would race between threads, and each change makes
    # Python forget which warnings it has shown.
    entry = ("ignore", re.compile(_PYTREE_WARNING, re.IGNORECASE), FutureWarning, None, 0)
    if entry not in warnings.filters:
        warnings.filterwarnings("ignore", message=_PYTREE_WARNING, category=FutureWarning)


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
                states = torch.cuda.get_rng_state_all() if on_gpu else []
                self._found = [torch.get_rng_state(), *states]
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
        build: Callable[[Architecture], nn.Module],
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
"""That of the process."""


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


def release(trainer: pl.Trainer, classifier: pl.LightningModule) -> None:
    """Take network and optimizer out of the reference cycles between trainer and classifier.

    Their memory is free at once, without a full garbage collection, which takes as long as a short
    trial (a quarter of a second in a process that has PyTorch and MLflow loaded).
    """
    trainer.strategy.optimizers = []
    trainer.strategy.lr_scheduler_configs = []
    del classifier.network


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


def empty_accelerator(device: torch.device) -> None:
    """Give unused memory of a GPU back; does nothing on the CPU."""
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()


def data_description(datamodule: pl.LightningDataModule) -> tuple[tuple[int, int, int], int]:
    """Return ``input_shape`` (channels, height, width) and ``num_classes`` of a data module.

    Raises:
        ValueError: If the data module has no such attributes.
    """
    try:
        channels, height, width = datamodule.input_shape  # type: ignore[attr-defined]
        num_classes = datamodule.num_classes  # type: ignore[attr-defined]
    except AttributeError as error:
        raise ValueError(
            "Expected argument `datamodule` to have the attributes `input_shape` and "
            f"`num_classes` but got {type(datamodule).__name__}."
        ) from error
    return (int(channels), int(height), int(width)), int(num_classes)


def scalar_metrics(trainer: pl.Trainer) -> Mapping[str, float]:
    """Return what was logged in the last epoch, as plain numbers."""
    return {name: float(value) for name, value in trainer.callback_metrics.items()}
