"""The supernet stage as the command line runs it: alone, or before the trials of a search."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from contextlib import ExitStack
from dataclasses import dataclass
import functools
from pathlib import Path
import re
from typing import Any
import warnings

import numpy as np
from scipy.stats import entropy
import torch

from lightning_modules import LatencyTable
from lightning_modules.cli._errors import as_command_error
from lightning_modules.cli._errors import CommandError
from lightning_modules.cli._errors import flag_of
from lightning_modules.cli._finish import Training
from lightning_modules.cli._stage_options import NONE
from lightning_modules.cli._stage_options import StageOptions
from lightning_modules.data import ImageDataModule
from lightning_modules.supernet import PRIOR_FILE
from lightning_modules.supernet import SUPERNET_FILE
from lightning_modules.supernet import SupernetResult
from lightning_modules.supernet import SUPERNETS
from lightning_modules.supernet import SupernetStage
from lightning_modules.supernet.relaxations import FBNet
from lightning_modules.supernet.relaxations import LatencyFactor
from optuna_nas._file_lock import locked
from optuna_nas.prior import Prior
from optuna_nas.spaces import Architecture
from optuna_nas.spaces import SearchSpace


_OPTIONS = {
    "relaxation": "supernet",
    "epochs": "supernet_epochs",
    "training": "learning_rate",
    "relaxation_arguments": "latency_table",
    "proxy": "supernet_proxy",
}
_UNIFORM = 0.99
_GUESSING = 0.95  # Of the cross entropy of a uniform guess.
_LOOKS_COLLAPSED = "The supernet stage looks collapsed"


def make_stage(
    choice: StageOptions,
    options: Training,
    module: ImageDataModule,
    *,
    table: LatencyTable | None = None,
    training: Mapping[str, Any] | None = None,
    **more: Any,
) -> SupernetStage:
    """Return the stage.

    Args:
        choice: The options of the stage, not those without one.
        options: The options that all trainings share.
        module: The data.
        table: Latencies that the loss of FBNet counts.
        training: Arguments of the module, as the relaxation wants them by default.
        more: More arguments of :class:`~lightning_modules.supernet.SupernetStage`.

    Raises:
        CommandError: If there is no such supernet for the space, or an option is wrong.
    """
    named = options.named
    if named.space.name not in SUPERNETS:
        raise CommandError(
            f"Expected option --supernet with a space of {', '.join(SUPERNETS)} but got "
            f"--space {named.name}."
        )
    kind = choice.relaxation
    costs = (LatencyFactor(table),) if table is not None and issubclass(kind, FBNet) else ()
    arguments: dict[str, Any] = {"costs": costs} if costs else {}
    try:
        stage = SupernetStage(
            space=named.space,
            datamodule=module,
            relaxation=choice.supernet,
            relaxation_arguments=arguments,
            max_epochs=choice.epochs,
            network=dict(named.network),
            training=training,
            origin={"data": options.data, **options.data_arguments},
            n_paths=choice.supernet_paths,
            proxy=choice.proxy,
            seed=options.seed,
            accelerator=options.accelerator,
            devices=options.devices,
            strategy=options.strategy,
            precision=options.precision,
            **more,
        )
    except ValueError as error:
        raise as_command_error(error) from error
    _check_stage(stage, named.name)
    return stage


def _check_stage(stage: SupernetStage, space: str) -> None:
    """Raise a CommandError for what would stop the stage; nothing is written before."""
    try:
        with torch.random.fork_rng(devices=[]):
            built = stage.build()
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise CommandError(
            f"Expected option --supernet {stage.relaxation} to suit --space {space} but it "
            f"does not: {reason}"
        ) from error
    try:
        stage.make_module(*built)
        stage.split_data()  # Another --batch-size may be needed.
    except ValueError as error:
        raise as_command_error(error) from error


def check_folder(stage: SupernetStage) -> None:
    """Check that what the folder of a stage holds was made in the same way.

    Raises:
        CommandError: If it was not.
    """
    try:
        stage.check_folder()
    except ValueError as error:
        raise _in_options(error) from error


def run_stage(stage: SupernetStage) -> SupernetResult:
    """Run a stage in its folder and print what it found.

    Raises:
        CommandError: If the folder holds another stage, or the training fails.
    """
    check_folder(stage)
    folder = Path(str(stage.folder))
    epochs = f"{stage.epochs} epoch{'s' if stage.epochs > 1 else ''}"
    if stage.begun and (folder / SUPERNET_FILE).is_file():
        print(f"Reading the supernet in {folder} ...", flush=True)
    else:
        start = "Going on with" if stage.begun else "Training"
        print(f"{start} a supernet by {stage.relaxation} for {epochs} in {folder} ...", flush=True)
    try:
        with warnings.catch_warnings():  # It is told below, also where nothing is trained.
            warnings.filterwarnings("ignore", message=_LOOKS_COLLAPSED)
            result = stage.run()
    except BrokenPipeError:
        raise
    except (ValueError, RuntimeError, OSError) as error:
        raise as_command_error(error) from error
    if result.collapsed is not None:
        warnings.warn(
            f"{_LOOKS_COLLAPSED}: {result.collapsed}; another --supernet or fewer "
            "--supernet-epochs may help.",
            stacklevel=2,
        )
    else:
        poor = None
        if uncertainty(result.prior) > _UNIFORM:
            poor = "The prior of the supernet stage is close to uniform"
        elif guesses(result):
            poor = "The supernet has hardly learned: half of its paths do little but guess"
        if poor is not None:
            more = "more --supernet-epochs or a smaller --batch-size may help."
            warnings.warn(f"{poor}; {more}", stacklevel=2)
    return result


def _in_options(error: Exception) -> CommandError:
    """Return an error of a stage that names settings of its folder as one about options."""
    message = re.sub(
        r"with its `(\w+)`",
        lambda match: f"with its {flag_of(_OPTIONS.get(match[1], match[1]))}",
        str(as_command_error(error)),
    )
    return CommandError(message)


def uncertainty(prior: Prior) -> float:
    """Return the mean entropy of a prior's decisions relative to uniform ones, in [0, 1]."""
    shares = [
        float(entropy(prior[name]) / np.log(len(prior[name])))
        for name in prior.space.distributions
        if len(prior[name]) > 1
    ]
    return float(np.mean(shares)) if shares else 0.0


def guesses(result: SupernetResult) -> bool:
    """Return whether the median loss of the scored paths is near that of a uniform guess."""
    if result.scores is None:
        return False
    losses = [result.scores[path]["val_loss"] for path in result.scores.architectures]
    return bool(np.median(losses) > _GUESSING * np.log(result.supernet.arguments["num_classes"]))


def describe_stage(stage: SupernetStage, options: Training) -> dict[str, Any]:
    """Return the settings of a stage for MLflow and the study."""
    scored = {"supernet_paths": stage.n_paths, "supernet_proxy": stage.proxy or NONE}
    return {
        "supernet": stage.relaxation,
        "supernet_epochs": stage.epochs,
        **(scored if stage.scores_paths else {}),
        "data": options.data,
        "space": options.named.name,
        "network": dict(options.named.network),
        "batch_size": options.batch_size,
        "precision": options.precision,
        "seed": options.seed,
        **(stage.training or {}),
    }


def print_found(space: SearchSpace, architecture: Architecture, folder: Path) -> None:
    """Print what a stage found, and where the prior is."""
    print(f"supernet found: {space.to_string(architecture)}")
    if (folder / PRIOR_FILE).is_file():
        print(f"prior: {folder / PRIOR_FILE}", flush=True)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one process at a time train a supernet in a folder.

    Raises:
        CommandError: If nothing can be written there.
    """
    waiting = f"Another process trains a supernet in {folder}; waiting for it ..."
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            told = functools.partial(print, waiting, flush=True)
            stack.enter_context(locked(folder / ".lock", waits=told))
        except OSError as error:
            raise as_command_error(error) from error
        yield


@dataclass(frozen=True)
class EpochPrinter:
    """Hands the values of an epoch on and prints them in a line.

    Args:
        epochs: Epochs of the stage.
        show: Whether to print.
        then: Told of each epoch first.
    """

    epochs: int
    show: bool
    then: Callable[[int, Mapping[str, float]], None]

    def __call__(self, epoch: int, values: Mapping[str, float]) -> None:
        """Report an epoch, counted from 0, of the first of several processes."""
        if torch.distributed.is_initialized() and torch.distributed.get_rank() > 0:
            return
        self.then(epoch, values)
        if self.show:
            parts = [f"loss {values['supernet_loss']:.4f}"]
            if "supernet_val_accuracy" in values:
                parts.append(f"validation accuracy {values['supernet_val_accuracy']:.2%}")
            print(f"supernet epoch {epoch + 1}/{self.epochs}: {', '.join(parts)}", flush=True)
