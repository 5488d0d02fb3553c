"""A callback that watches a supernet stage for collapse, and ends it in time."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import math
from typing import Any
import warnings

import pytorch_lightning as pl
from pytorch_lightning.utilities import move_data_to_device
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from lightning_modules.supernet._collapse import cell_operations
from lightning_modules.supernet._collapse import is_collapsed
from lightning_modules.supernet._collapse import NONE
from lightning_modules.supernet._collapse import SKIP
from lightning_modules.supernet._curvature import architecture_eigenvalue
from lightning_modules.supernet._module import SupernetModule
from lightning_modules.supernet.relaxations import LogitRelaxation
from lightning_modules.supernet.relaxations import Samples
from optuna_nas import Architecture


class CollapseGuard(pl.Callback):
    """Logs the signs of collapse of a :class:`SupernetModule`, and warns or stops.

    Each epoch it logs ``skip_count`` and ``none_count``, the numbers of skip connections and of
    ``none`` among the operations of the architecture that is best by now; where there are several
    kinds of cells also e.g. ``skip_count_normal``. Every few epochs it logs
    ``architecture_eigenvalue``, the largest eigenvalue of the Hessian of the loss by the
    architecture parameters, on a fixed batch of the data for the architecture
    (:func:`architecture_eigenvalue`). A relaxation without logits has none, and one that learns
    no probabilities has nothing that could collapse.

    The early stopping of Zela et al., ICLR 2020, section 5.1: once the mean of the last k
    eigenvalues is so much above that of the k before that their ratio is below 0.75, the
    architecture of k measurements ago is the better one. It is kept as
    :attr:`early_architecture`, once, with a warning. There is another at the end of a training
    whose architecture looks collapsed; see :func:`is_collapsed`.

    A checkpoint holds all of the state, the batch included.

    Args:
        every_n_epochs: Epochs from one measurement of the eigenvalue to the next, at least 1.
        window: The k of the paper, in measurements, at least 1.
        threshold: The ratio below which an early stop is due, in (0, 1).
        stop: Whether to end the training then, with the architecture parameters of the kept
            architecture. The weights stay what they are.
        max_samples: Largest number of samples of the fixed batch, at least 1.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        *,
        every_n_epochs: int = 1,
        window: int = 5,
        threshold: float = 0.75,
        stop: bool = False,
        max_samples: int = 64,
    ) -> None:
        for name, value in [
            ("every_n_epochs", every_n_epochs),
            ("window", window),
            ("max_samples", max_samples),
        ]:
            if value < 1:
                raise ValueError(f"Expected argument `{name}` to be at least 1 but got {value}.")
        if not 0 < threshold < 1:
            raise ValueError(f"Expected argument `threshold` to be in (0, 1) but got {threshold}.")
        self.every_n_epochs = every_n_epochs
        self.window = window
        self.threshold = threshold
        self.stop = stop
        self.max_samples = max_samples
        self.eigenvalues: list[float] = []
        """All eigenvalues measured so far."""
        self.early_architecture: Architecture | None = None
        """The architecture from before the eigenvalues rose, if they did."""
        self.early_epoch: int | None = None
        """The epoch of :attr:`early_architecture`, counted from 0."""
        self._batch: Samples | None = None
        self._recent: list[dict[str, Any]] = []

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Check the module.

        Raises:
            TypeError: If it is no :class:`SupernetModule`.
        """
        if not isinstance(pl_module, SupernetModule):
            raise TypeError(
                "Expected argument `pl_module` to be a SupernetModule "
                f"but got a {type(pl_module).__name__}."
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End a resumed training that was stopped before."""
        if self.stop and self.early_architecture is not None:
            trainer.should_stop = True

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Keep the first batch."""
        if self._batch is None and "architecture" in batch:
            first = tree_map(lambda t: t[: self.max_samples].cpu(), list(batch["architecture"]))
            self._batch = Samples(*trainer.strategy.broadcast(first))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log, and stop or warn."""
        assert isinstance(pl_module, SupernetModule)
        architecture = _best(pl_module)
        if architecture is None:
            return
        for name, count in operation_counts(pl_module, architecture).items():
            pl_module.log(name, float(count), sync_dist=True)
        value = self._measured(trainer, pl_module)
        if value is None:
            return
        pl_module.log("architecture_eigenvalue", value, sync_dist=True)
        self.eigenvalues.append(value)
        self._recent.append(
            {
                "epoch": trainer.current_epoch,
                "architecture": architecture.to_json(),
                "parameters": _copied(pl_module.relaxation.state_dict()),
            }
        )
        self._recent = self._recent[-self.window - 1 :]
        if self.early_architecture is None and has_risen(
            self.eigenvalues, self.window, self.threshold
        ):
            self._go_back(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Warn if the result looks collapsed."""
        assert isinstance(pl_module, SupernetModule)
        architecture = _best(pl_module)
        reason = None if architecture is None else is_collapsed(pl_module.supernet, architecture)
        if reason is not None and trainer.is_global_zero:
            warnings.warn(
                f"The supernet stage looks collapsed: {reason}; fewer epochs, a stronger weight "
                "decay or another relaxation may help.",
                stacklevel=2,
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the state, of plain types."""
        early = self.early_architecture
        return {
            "eigenvalues": list(self.eigenvalues),
            "early_architecture": None if early is None else early.to_json(),
            "early_epoch": self.early_epoch,
            "batch": None if self._batch is None else list(self._batch),
            "recent": list(self._recent),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        early, batch = state_dict["early_architecture"], state_dict["batch"]
        self.eigenvalues = list(state_dict["eigenvalues"])
        self.early_architecture = None if early is None else Architecture.from_json(early)
        self.early_epoch = state_dict["early_epoch"]
        self._batch = None if batch is None else Samples(*batch)
        self._recent = list(state_dict["recent"])

    def _measured(self, trainer: pl.Trainer, pl_module: SupernetModule) -> float | None:
        """Return the eigenvalue if it is time for it and there is one, the same on all devices."""
        relaxation, due = pl_module.relaxation, (trainer.current_epoch + 1) % self.every_n_epochs
        if due or self._batch is None or not isinstance(relaxation, LogitRelaxation):
            return None
        step = pl_module._step()
        if step.progress < pl_module.architecture_start:
            return None
        batch = move_data_to_device(self._batch, pl_module.device)
        value = architecture_eigenvalue(pl_module.supernet, relaxation, batch, step)
        mean = trainer.strategy.reduce(
            torch.tensor(value, device=pl_module.device), reduce_op="mean"
        )
        return float(mean)

    def _go_back(self, trainer: pl.Trainer, pl_module: SupernetModule) -> None:
        """Keep the architecture of ``window`` measurements ago, or return to it."""
        early = self._recent[0]
        self.early_architecture = Architecture.from_json(early["architecture"])
        self.early_epoch = int(early["epoch"])
        if self.stop:
            pl_module.relaxation.load_state_dict(early["parameters"])
            trainer.should_stop = True
        if trainer.is_global_zero:
            before, now = window_means(self.eigenvalues, self.window)
            done = "the training ends with" if self.stop else "`early_architecture` keeps"
            warnings.warn(
                f"The curvature of the architecture loss has risen from {before:.3g} to "
                f"{now:.3g}, a sign of collapse: {done} the architecture of epoch "
                f"{self.early_epoch}.",
                stacklevel=2,
            )


def has_risen(eigenvalues: Sequence[float], window: int, threshold: float) -> bool:
    """Tell whether an early stop is due (Zela et al., ICLR 2020, section 5.1).

    Args:
        eigenvalues: All measurements in order.
        window: The k of the paper.
        threshold: Due if mean(t - k) / mean(t) is below it; the means are of k measurements each.

    Returns:
        :obj:`False` with fewer than 2 k measurements, or if one of the last 2 k is not finite.
    """
    before, now = window_means(eigenvalues, window)
    return now > 0 and before / now < threshold


def window_means(eigenvalues: Sequence[float], window: int) -> tuple[float, float]:
    """Return the mean of the measurements before the last ``window``, and of these; or NaN."""
    if len(eigenvalues) < 2 * window:
        return math.nan, math.nan
    before, now = eigenvalues[-2 * window : -window], eigenvalues[-window:]
    return sum(before) / window, sum(now) / window


def operation_counts(pl_module: SupernetModule, architecture: Architecture) -> dict[str, int]:
    """Return ``skip_count`` and ``none_count``, and those of each kind of cell if several."""
    cells = cell_operations(pl_module.supernet.space, architecture)
    if not cells:
        return {}
    counts: dict[str, int] = {}
    for name, operation in [("skip_count", SKIP), ("none_count", NONE)]:
        counts[name] = sum(operations.count(operation) for operations in cells.values())
        if len(cells) > 1:
            for cell, operations in cells.items():
                counts[f"{name}_{cell}"] = operations.count(operation)
    return counts


def _best(pl_module: SupernetModule) -> Architecture | None:
    return pl_module.best_architecture() if pl_module.relaxation.probabilities() else None


def _copied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
