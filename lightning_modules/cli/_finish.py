"""The finished network: trained on all but the test data, tested once, and saved."""

from __future__ import annotations

from dataclasses import dataclass
import os
from pathlib import Path
import re
from typing import Any

import torch

from lightning_modules import CheckpointError
from lightning_modules import describe_build
from lightning_modules import FinishedModel
from lightning_modules import load_checkpoint
from lightning_modules import train_final
from lightning_modules.cli._data import open_data
from lightning_modules.cli._errors import as_command_error
from lightning_modules.cli._errors import CommandError
from lightning_modules.cli._spaces import NamedSpace
from lightning_modules.cli._tables import number
from optuna_nas.spaces import Architecture


@dataclass(frozen=True)
class Training:
    """The options that ``search`` and ``train`` share; see ``lightning_modules.cli._options``."""

    named: NamedSpace
    data: str
    batch_size: int
    learning_rate: float | None
    crop_padding: int
    horizontal_flip: bool
    image_size: int | None
    accelerator: str
    devices: int | str
    precision: str
    seed: int

    @property
    def data_arguments(self) -> dict[str, Any]:
        """Arguments of the data module."""
        arguments = {
            "batch_size": self.batch_size,
            "crop_padding": self.crop_padding,
            "horizontal_flip": self.horizontal_flip,
            "seed": self.seed,
        }
        if self.image_size is not None:
            arguments["image_size"] = self.image_size
        return arguments

    @property
    def trainer_arguments(self) -> dict[str, Any]:
        """Arguments that the evaluator and the final training have in common."""
        return {
            "learning_rate": self.learning_rate,
            "accelerator": self.accelerator,
            "devices": self.devices,
            "strategy": self.strategy,
            "precision": self.precision,
            "seed": self.seed,
        }

    @property
    def strategy(self) -> str:
        """How several devices share a trial.

        Lightning's own choice would start this whole command again for each further device.

        Raises:
            CommandError: If there are fewer devices, or it is no number or list of them.
        """
        devices = str(self.devices)
        if not re.fullmatch(r"auto|-?\d+|\d+,|\d+(,\d+)+", devices):
            raise CommandError(
                "Expected option --devices to be a number, a list such as 0,1 or auto "
                f"but got {devices!r}."
            )
        available = torch.cuda.device_count() or os.cpu_count() or 1
        if devices in ("auto", "-1"):
            count = torch.cuda.device_count() or 1
        elif "," in devices:
            count = len(devices.rstrip(",").split(","))
        else:
            count = int(devices)
        if not 1 <= count <= available:
            raise CommandError(
                f"Expected option --devices to be 1 to {available} but got {self.devices}."
            )
        return "auto" if count == 1 else "ddp_spawn"


def check_output(folder: Path, option: str = "--output") -> None:
    """Raise a CommandError if ``folder`` cannot be made or written in; make nothing."""
    path = folder.absolute()
    existing = next(parent for parent in (path, *path.parents) if os.path.lexists(parent))
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise CommandError(
            f"Expected option {option} to be a folder to write in but got {str(folder)!r}, and "
            f"{existing} is no such folder."
        )


def finish(
    architecture: Architecture, options: Training, *, epochs: int, folder: Path, progress: bool
) -> tuple[float, Path]:
    """Train, test and save an architecture, unless exactly this was done before.

    Returns:
        The test accuracy, in [0, 1], and the path of the checkpoint.

    Raises:
        CommandError: If an option is wrong, the training fails or the file cannot be written.
    """
    path = folder / "best.ckpt"
    text = options.named.space.to_string(architecture)
    module = open_data(options.data, train_on_validation=True, **options.data_arguments)
    build = options.named.builder(module.input_shape, module.num_classes)
    info = {
        **describe_build(build),
        "space": options.named.name,
        "training": {"data": options.data, "epochs": epochs, **options.data_arguments}
        | {
            k: v
            for k, v in options.trainer_arguments.items()
            if k not in ("accelerator", "devices")
        },
    }
    model = _finished_before(path, architecture, info, options)
    if model is None:
        duration = f"{epochs} epoch{'s' if epochs > 1 else ''}"
        print(f"Training {text} on training and validation data for {duration} ...", flush=True)
        try:
            model = train_final(
                build,
                architecture,
                module,
                path,
                max_epochs=epochs,
                progress=progress,
                network_info=info,
                **options.trainer_arguments,
            )
        except (ValueError, RuntimeError, OSError) as error:
            raise as_command_error(error) from error
    path.with_suffix(".json").write_text(architecture.to_json() + "\n")
    print(f"architecture: {text}")
    print(f"test accuracy: {number('test_accuracy', model.test_accuracy)}")
    print(f"network: {path}")
    return model.test_accuracy, path


def _finished_before(
    path: Path, architecture: Architecture, info: dict[str, Any], options: Training
) -> FinishedModel | None:
    build = getattr(options.named.space, "build", None)
    try:
        model = load_checkpoint(path, build=build)
    except CheckpointError:
        return None
    same = model.architecture == architecture and dict(model.network_info) == info
    return model if same else None
