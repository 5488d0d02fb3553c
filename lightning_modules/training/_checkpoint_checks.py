"""What a checkpoint says of its network is checked before anything is computed with it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import math
from typing import Any

import torch
from torch import nn
from torch import Tensor


def check_description(description: Mapping[str, Any]) -> None:
    """Raise a ValueError if a number or name of a description has a wrong type, size or range.

    Args:
        description: The keys ``input_shape``, ``class_names``, ``num_classes``, ``mean``, ``std``
            and ``test_accuracy`` as :class:`~lightning_modules.FinishedModel` describes them.
    """
    shape, names = description["input_shape"], description["class_names"]
    is_shape = isinstance(shape, list) and len(shape) == 3
    if not is_shape or not all(type(size) is int and size >= 1 for size in shape):
        raise ValueError(f"Expected `input_shape` to be 3 sizes of at least 1 but got {shape!r}.")
    if not isinstance(names, list) or not names or not all(type(n) is str for n in names):
        raise ValueError(f"Expected `class_names` to be a list of texts but got {names!r}.")
    if description["num_classes"] != len(names):
        raise ValueError(
            f"Expected `class_names` to be {description['num_classes']!r} names but got "
            f"{len(names)}."
        )
    for key, above in (("mean", -math.inf), ("std", 0.0)):
        values = description[key]
        fits = isinstance(values, list) and len(values) == shape[0]
        if not fits or not all(_is_number(value) and value > above for value in values):
            raise ValueError(
                f"Expected `{key}` to be a finite number{' above 0' if key == 'std' else ''} for "
                f"each of the {shape[0]} channels but got {values!r}."
            )
    accuracy = description["test_accuracy"]
    if not _is_number(accuracy) or not 0 <= accuracy <= 1:
        raise ValueError(f"Expected `test_accuracy` to be in [0, 1] but got {accuracy!r}.")


def check_weights(
    make: Callable[[], nn.Module],
    weights: Mapping[str, Tensor],
    *,
    input_shape: tuple[int, int, int],
    num_classes: int,
) -> None:
    """Compare weights with a network that takes no memory, as it is made on the meta device.

    Args:
        make: Makes the network.
        weights: Its weights by name.
        input_shape: (channels, height, width) of an image.
        num_classes: Number of logits.

    Raises:
        ValueError: If the network has other weights, or other logits.
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
    with torch.inference_mode():
        logits = network(torch.empty((1, *input_shape), device="meta"))
    if logits.shape != (1, num_classes):
        raise ValueError(
            f"Expected the network to have logits of shape {(1, num_classes)} for an image but "
            f"got {tuple(logits.shape)}."
        )


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
