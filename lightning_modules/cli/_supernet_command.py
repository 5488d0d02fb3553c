"""``optuna-nas supernet``: the stage alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning_modules.cli._data import open_data
from lightning_modules.cli._errors import as_command_error
from lightning_modules.cli._finish import check_output
from lightning_modules.cli._finish import Training
from lightning_modules.cli._spaces import named_space
from lightning_modules.cli._stage_options import StageOptions
from lightning_modules.cli._supernet import alone
from lightning_modules.cli._supernet import check_folder
from lightning_modules.cli._supernet import describe_stage
from lightning_modules.cli._supernet import EpochPrinter
from lightning_modules.cli._supernet import make_stage
from lightning_modules.cli._supernet import print_found
from lightning_modules.cli._supernet import run_stage
from optuna_nas.studies.interrupts import Interrupts
from optuna_nas.studies.interrupts import is_interrupt
from optuna_nas.studies.runner import show_progress
from optuna_nas.tracking import SupernetTracker


def supernet(
    *,
    data: str,
    space: str,
    supernet: str,
    supernet_epochs: int | None,
    supernet_paths: int,
    supernet_proxy: str,
    tracking_uri: str,
    output: str,
    network: dict[str, int] | None,
    **training: Any,
) -> int:
    """Train a supernet; see :func:`lightning_modules.cli._options.supernet_options`."""
    choice = StageOptions(supernet, supernet_epochs, supernet_paths, supernet_proxy)
    choice.check()
    folder = Path(output)
    check_output(folder)
    options = Training(named=named_space(space, network), data=data, **training)
    module = open_data(data, **options.data_arguments)
    options.named.builder(module.input_shape, module.num_classes)  # Is the network possible?
    rate = {} if options.learning_rate is None else {"learning_rate": options.learning_rate}
    progress = show_progress()
    stage = make_stage(choice, options, module, folder=folder, training=rate, progress=progress)
    check_folder(stage)
    try:
        tracker = SupernetTracker(
            tracking_uri=tracking_uri,
            name=f"{supernet}-{options.named.space.name}",
            folder=folder,
            params=describe_stage(stage, options),
        )
    except ValueError as error:
        raise as_command_error(error) from error
    stage.report = EpochPrinter(stage.epochs, not progress, tracker.on_epoch)
    with Interrupts():
        try:
            with alone(folder):
                result = run_stage(stage)
                tracker.log_supernet(result.prior, result.architecture, result.path)
        except (KeyboardInterrupt, Exception) as error:
            if not is_interrupt(error):
                tracker.fail()
                raise
            print("Interrupted; what is finished is kept. To go on: the same command")
            return 130
        finally:
            tracker.close()
    print_found(options.named.space, result.architecture, folder)
    print(f"supernet: {result.path}")
    return 0
