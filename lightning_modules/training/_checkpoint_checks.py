"""What a checkpoint says of its network is checked before anything is computed with it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch import Tensor

from lightning_modules.data import check_preprocessing


PARTS = ("architecture", "network", "task", "module", "preprocessing", "test_metrics")
"""Keys of a description."""


def check_description(description: Mapping[str, Any]) -> None:
    """Raise a ValueError if a part of a description is missing, or of a wrong type or range.

    Args:
        description: The keys :data:`PARTS`; most are parts of a
            :class:`~lightning_modules.FinishedModel`.
    """
    if not set(PARTS) <= set(description):
        missing = [name for name in PARTS if name not in description]
        raise ValueError(f"Expected a description with {', '.join(PARTS)} but got no {missing}.")
    network = description["network"]
    if not isinstance(network, dict):
        raise ValueError(f"Expected `network` to be a dict but got {network!r}.")
    task, preprocessing = description["task"], description["preprocessing"]
    if task is not None and not (isinstance(task, dict) and {"name", "arguments"} <= set(task)):
        raise ValueError(f"Expected `task` to have a name and arguments but got {task!r}.")
    if preprocessing is not None:
        if not isinstance(preprocessing, dict):
            raise ValueError(f"Expected `preprocessing` to be a dict but got {preprocessing!r}.")
        check_preprocessing(preprocessing)
    metrics = description["test_metrics"]
    # Infinity and NaN may have been measured.
    if not isinstance(metrics, dict) or not {type(v) for v in metrics.values()} <= {int, float}:
        raise ValueError(f"Expected `test_metrics` to be numbers by name but got {metrics!r}.")


def check_weights(
    make: Callable[[], nn.Module],
    weights: Mapping[str, Tensor],
    *,
    input_shape: Sequence[int] | None,
    output_shape: tuple[int, ...] | None,
) -> None:
    """Compare weights with a network that takes no memory, as it is made on the meta device.

    Args:
        make: Makes the network.
        weights: Its weights by name.
        input_shape: Shape of one sample, None if unknown.
        output_shape: Shape of the output for one sample, None if unknown.

    Raises:
        ValueError: If the network has other weights, or another output.
        RuntimeError: If the network cannot be made or run without values.
    """
    with torch.device("meta"):
        network = make().eval()
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    for name in (*expected, *found):
        if expected.get(name) != found.get(name):
            raise ValueError(
                f"Expected the weight `{name}` to have the shape {expected.get(name)} but got "
                f"{found.get(name)}."
            )
    if input_shape is None or output_shape is None:
        return
    with torch.inference_mode():
        output = network(torch.empty((1, *input_shape), device="meta"))
    if output.shape != (1, *output_shape):
        raise ValueError(
            f"Expected the network to have an output of shape {(1, *output_shape)} for a sample "
            f"but got {tuple(output.shape)}."
        )
