"""Lightning's command line: ``python -m lightning_modules fit|validate|test|predict``.

For example::

    python -m lightning_modules fit --model.architecture "C-C-S-O" --data DigitsDataModule \\
        --trainer.max_epochs 2
"""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.cli import LightningArgumentParser
from pytorch_lightning.cli import LightningCLI
from pytorch_lightning.cli import SaveConfigCallback
from pytorch_lightning.utilities.model_helpers import is_overridden

from lightning_modules import data as _  # noqa: F401  So that short names are found.
from lightning_modules.tasks import make_task
from lightning_modules.tasks import task_to_dict
from lightning_modules.training import ArchitectureModule


class _SaveConfig(SaveConfigCallback):
    """Saves the configuration beside the logs, if there is a folder of logs."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Save it, unless there is no logger, or one without a folder (MLflow with a database)."""
        if trainer.logger is None or trainer.log_dir is None:
            self.save_to_log_dir = False
        super().setup(trainer, pl_module, stage)


class _CLI(LightningCLI):
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.link_arguments("data", "model.input_shape", describe_shape, apply_on="instantiate")
        parser.link_arguments("data", "model.task", describe_task, apply_on="instantiate")

    def instantiate_classes(self) -> None:
        """Make all objects; what a user can get wrong ends in one sentence and status 2."""
        try:
            super().instantiate_classes()
        except ValueError as error:
            found: BaseException = error
            if isinstance(error.__cause__, ValueError) and "compute_fn of link" in str(error):
                found = error.__cause__  # Without the words of the parser around it.
            self.parser.error(" ".join(str(found).split()))

    def before_predict(self) -> None:
        """Refuse data without images to predict."""
        if not is_overridden("predict_dataloader", self.datamodule):
            self.parser.error(
                "Expected option --data to be a data module with the method `predict_dataloader` "
                f"but got {type(self.datamodule).__name__}."
            )


def describe_shape(data: pl.LightningDataModule) -> list[int]:
    """Return the shape of a sample of a data module, which is set up if it has none yet.

    Raises:
        ValueError: If it has none.
    """
    if getattr(data, "input_shape", None) is None:
        _set_up(data)
    shape = getattr(data, "input_shape", None)
    if shape is None:
        raise ValueError(
            "Expected option --data to be a data module with the attribute `input_shape` but got "
            f"{type(data).__name__}."
        )
    return list(map(int, shape))


def describe_task(data: pl.LightningDataModule) -> dict[str, Any]:
    """Return the task of a data module in plain types; it is set up if it does not tell yet.

    Raises:
        ValueError: If it does not tell.
    """
    try:
        return task_to_dict(make_task(None, data))
    except ValueError:
        _set_up(data)
    return task_to_dict(make_task(None, data))


def _set_up(data: pl.LightningDataModule) -> None:
    data.prepare_data()
    data.setup("fit")


def main(args: list[str] | None = None) -> None:
    """Run a subcommand.

    Args:
        args: Words of the command line; those of the process by default.
    """
    _CLI(
        ArchitectureModule,
        pl.LightningDataModule,
        subclass_mode_data=True,
        save_config_callback=_SaveConfig,
        trainer_defaults={"max_epochs": 10},
        args=args,
    )


if __name__ == "__main__":
    main()
