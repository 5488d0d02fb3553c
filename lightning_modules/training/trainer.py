"""Running a Lightning trainer inside a larger program: quiet, seeded, and with honest signals."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
import logging
import re
import signal
import threading
from typing import Any
from typing import TypeVar
import warnings

import pytorch_lightning as pl


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


def release(trainer: pl.Trainer, module: pl.LightningModule) -> None:
    """Take weights and optimizer out of the reference cycles between trainer and module.

    Their memory is free at once, without a full garbage collection, which takes as long as a short
    trial (a quarter of a second in a process that has PyTorch and MLflow loaded).
    """
    trainer.strategy.optimizers = []
    trainer.strategy.lr_scheduler_configs = []
    for parts in (module._modules, module._parameters, module._buffers):
        parts.clear()


def scalar_metrics(trainer: pl.Trainer) -> Mapping[str, float]:
    """Return what was logged in the last epoch, as plain numbers."""
    return {name: float(value) for name, value in trainer.callback_metrics.items()}
