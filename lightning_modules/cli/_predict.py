"""``optuna-nas predict``: the classes of images by a saved network."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text
import torch

from lightning_modules import BUILDERS
from lightning_modules import CheckpointError
from lightning_modules import FinishedModel
from lightning_modules import load_checkpoint
from lightning_modules.cli._errors import CommandError
from lightning_modules.cli._spaces import named_space
from lightning_modules.data import load_images
from lightning_modules.training.checkpoint import DESCRIPTION


def predict(*, checkpoint: str, files: Sequence[str], space: str | None) -> int:
    """Print the most probable class of each image."""
    model = _load(checkpoint, space)
    table = Table("file", "class", "probability")
    for file in files:
        images = load_images(file, model.preprocessing)
        for i, probabilities in enumerate(model.predict(images)):
            name = f"{file}[{i}]" if len(images) > 1 else file
            best = int(probabilities.argmax())
            class_name = model.class_names[best]
            table.add_row(Text(name), Text(class_name), f"{float(probabilities[best]):.3f}")
    Console().print(table)
    return 0


def _load(checkpoint: str, space: str | None) -> FinishedModel:
    build = getattr(named_space(space).space, "build", None) if space is not None else None
    try:
        return load_checkpoint(checkpoint, build=build)
    except CheckpointError as error:
        own = _own_space(checkpoint) if build is None else None
        if own is None:
            raise CommandError(str(error)) from error
        # It is not imported unasked: a file should not choose the code that reads it.
        raise CommandError(
            f"Expected option --space to name the space of the network in {checkpoint}, which was "
            f"{own} at its training, but got {'none' if space is None else space}."
        ) from error


def _own_space(checkpoint: str) -> str | None:
    """Return the space of a checkpoint whose network no known builder makes."""
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
        info = content[DESCRIPTION]["network"]
        return str(info["space"]) if info.get("builder") not in BUILDERS else None
    except Exception:  # Not such a file, which is what the first error says.
        return None
