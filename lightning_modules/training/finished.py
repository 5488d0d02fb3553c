"""The finished model: a trained network with what is needed to use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from lightning_utilities.core.apply_func import apply_to_collection
import pytorch_lightning as pl
from pytorch_lightning.utilities.data import extract_batch_size
import torch
from torch import nn
from torch.utils._pytree import tree_map

from lightning_modules._checks import check_positive
from lightning_modules.inputs import device_of
from lightning_modules.tasks import Task
from optuna_nas import Architecture


@dataclass(frozen=True, eq=False)
class FinishedModel:
    """A trained network with what is needed to use and to rebuild it.

    Args:
        network: The network in evaluation mode, or the Lightning module of the user's own.
        architecture: The architecture.
        task: What it was trained for; None for a module of the user's own.
        preprocessing: How new data gets the form of the training data, see
            :func:`~lightning_modules.data.load_new`; None if the data does not say.
        test_metrics: What was measured on the test split, e.g. ``test_loss``.
        network_info: How to rebuild the network, in plain JSON types: for the spaces of
            :data:`~lightning_modules.registries.SPACES` the key ``"space"`` and the
            ``"arguments"`` of its kit's backbone.
    """

    network: nn.Module
    architecture: Architecture
    task: Task | None
    preprocessing: Mapping[str, Any] | None
    test_metrics: Mapping[str, float]
    network_info: Mapping[str, Any] = field(default_factory=dict)

    def predict(self, inputs: Any, *, batch_size: int = 256) -> Any:
        """Return the task's predictions, e.g. probabilities of shape (n, classes), on the CPU.

        A module of the user's own predicts by its ``predict_step``.

        Args:
            inputs: A tensor of n samples, or a tuple or dict of tensors, in the form of the
                training data, as :func:`~lightning_modules.data.load_new` makes them.
            batch_size: Samples of a forward pass.

        Raises:
            ValueError: If ``inputs`` has another shape than the training data, or ``batch_size``
                is less than 1.
        """
        check_positive("batch_size", batch_size)
        self._check_shape(inputs)
        device = device_of(self.network)
        length = extract_batch_size(inputs)
        parts: list[Any] = []
        with torch.inference_mode():
            for start in range(0, max(length, 1), batch_size):
                batch = apply_to_collection(
                    inputs,
                    torch.Tensor,
                    lambda tensor, start=start: tensor[start : start + batch_size].to(device),
                )
                predicted = self._predict(batch, start // batch_size)
                parts.append(apply_to_collection(predicted, torch.Tensor, torch.Tensor.cpu))
        return tree_map(lambda *tensors: torch.cat(tensors), parts[0], *parts[1:])

    def _predict(self, batch: Any, number: int) -> Any:
        if self.task is not None:
            return self.task.predict(self.network(batch))
        assert isinstance(self.network, pl.LightningModule)
        return self.network.predict_step(batch, number)

    def _check_shape(self, inputs: Any) -> None:
        shape = (self.preprocessing or {}).get("input_shape")
        if shape is None:
            return
        is_tensor = isinstance(inputs, torch.Tensor)
        if not is_tensor or tuple(inputs.shape[1:]) != tuple(shape):
            raise ValueError(
                f"Expected argument `inputs` to have shape (n, *{tuple(shape)}) but got "
                f"{tuple(inputs.shape) if is_tensor else type(inputs).__name__}."
            )
