"""A classifier from the string encoding of an architecture, for Lightning's command line."""

from __future__ import annotations

from lightning_modules.spaces.builders import build_network
from lightning_modules.tasks.classification import ImageClassifier
from optuna_nas import Architecture
from optuna_nas.spaces import read_named


class ArchitectureClassifier(ImageClassifier):
    """An :class:`ImageClassifier` whose network is built from a string.

    All arguments are plain hyperparameters, so ``load_from_checkpoint`` needs the path alone.

    Args:
        architecture: String encoding of a chain, e.g. ``C-C-S-O``, of a cell, e.g.
            ``|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|``, of a
            mobile network, e.g. :data:`~optuna_nas.spaces.MOBILENET_V3_LARGE`, or a
            genotype, e.g. :data:`~optuna_nas.spaces.DARTS_V2`.
        input_shape: (channels, height, width) of an image.
        num_classes: Number of classes.
        builder_arguments: More arguments of the builder; for a cell ``channels``,
            ``cells_per_stage`` and ``stages``, for a genotype ``channels`` and ``cells``.
        learning_rate: See :class:`ImageClassifier`, as for the next four.
        weight_decay: Weight decay.
        optimizer: ``adamw`` or ``sgd``.
        schedule: ``one_cycle``, ``cosine`` or ``constant``.
        label_smoothing: In [0, 1).

    Raises:
        ValueError: If an argument is malformed or out of its range.
    """

    def __init__(
        self,
        architecture: str,
        input_shape: tuple[int, int, int],
        num_classes: int,
        builder_arguments: dict[str, int] | None = None,
        learning_rate: float | None = None,
        weight_decay: float = 5e-4,
        optimizer: str = "adamw",
        schedule: str = "one_cycle",
        label_smoothing: float = 0.0,
    ) -> None:
        try:
            network = build_network(
                read_architecture(architecture),
                input_shape=input_shape,
                num_classes=num_classes,
                **(builder_arguments or {}),
            )
        except TypeError as error:
            raise ValueError(
                "Expected argument `builder_arguments` to fit the architecture's builder "
                f"but got {builder_arguments}: {error}"
            ) from error
        super().__init__(
            network,
            num_classes=num_classes,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            optimizer=optimizer,
            schedule=schedule,
            label_smoothing=label_smoothing,
        )


def read_architecture(text: str) -> Architecture:
    """Read a string encoding in the first named search space that can.

    Raises:
        ValueError: If none can; the sentence says why.

    Example:

        >>> read_architecture("C-S-O").space
        'chain'
    """
    try:
        return read_named(text)[2]
    except ValueError as error:
        raise ValueError(
            f"Expected argument `architecture` to be the string of an architecture but got "
            f"{text!r}. {error}"
        ) from error
