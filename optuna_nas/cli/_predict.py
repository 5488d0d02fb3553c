"""``optuna-nas predict``: the classes of images by a saved network."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from lightning_modules import CheckpointError
from lightning_modules import load_checkpoint
from lightning_modules.datamodules import load_images
from optuna_nas.cli._errors import CommandError
from optuna_nas.cli._spaces import named_space


def predict(*, checkpoint: str, files: Sequence[str], space: str | None) -> int:
    """Print the most probable class of each image."""
    try:
        build = getattr(named_space(space).space, "build", None) if space is not None else None
        model = load_checkpoint(checkpoint, build=build)
    except CheckpointError as error:
        raise CommandError(str(error)) from error
    table = Table("file", "class", "probability")
    for file in files:
        images = load_images(file, model.input_shape, model.mean, model.std)
        for i, probabilities in enumerate(model.predict(images)):
            name = f"{file}[{i}]" if len(images) > 1 else file
            best = int(probabilities.argmax())
            table.add_row(name, model.class_names[best], f"{float(probabilities[best]):.3f}")
    Console().print(table)
    return 0
