"""A Lightning module from the string encoding of an architecture, for Lightning's command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lightning_modules.spaces import as_kit
from lightning_modules.spaces import read_architecture
from lightning_modules.training.module import TaskModule


class ArchitectureModule(TaskModule):
    """A :class:`TaskModule` whose network is built from a string.

    All arguments are plain hyperparameters, so ``load_from_checkpoint`` needs the path alone.

    Args:
        architecture: String encoding of a chain, e.g. ``C-C-S-O``, of a cell, e.g.
            ``|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|``, of a
            mobile network, e.g. :data:`~optuna_nas.spaces.MOBILENET_V3_LARGE`, or a
            genotype, e.g. :data:`~optuna_nas.spaces.DARTS_V2`.
        input_shape: Shape of one sample, (channels, height, width) of an image.
        task: Description of the task; see :func:`~lightning_modules.tasks.task_to_dict`.
        sizes: Arguments of the space's backbone; for a cell ``channels``, ``cells_per_stage`` and
            ``stages``, for a genotype ``channels`` and ``cells``.
        learning_rate: See :class:`TaskModule`, as for the next three.
        weight_decay: Weight decay.
        optimizer: ``adamw`` or ``sgd``.
        schedule: ``one_cycle``, ``cosine`` or ``constant``.

    Raises:
        ValueError: If an argument is malformed or out of its range.
    """

    def __init__(
        self,
        architecture: str,
        input_shape: Sequence[int],
        task: dict[str, Any],
        sizes: dict[str, int] | None = None,
        learning_rate: float | None = None,
        weight_decay: float = 5e-4,
        optimizer: str = "adamw",
        schedule: str = "one_cycle",
    ) -> None:
        name, _, member = read_architecture(architecture)
        try:
            backbone = as_kit(name).builder(input_shape=tuple(input_shape), **(sizes or {}))(
                member
            )
        except TypeError as error:
            raise ValueError(
                f"Expected argument `sizes` to fit the networks of the space {name} but got "
                f"{sizes}: {error}"
            ) from error
        super().__init__(
            backbone,
            task,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            optimizer=optimizer,
            schedule=schedule,
        )
