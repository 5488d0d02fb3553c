"""``optuna-nas supernet``: the stage before a search, alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

from lightning_modules.search.settings import DataSettings
from lightning_modules.search.settings import DEFAULT_TRACKING_URI
from lightning_modules.search.settings import Named
from lightning_modules.search.settings import SupernetSettings
from lightning_modules.search.settings import TrainingSettings
from lightning_modules.supernet.settings import DEFAULT_RELAXATION


@dataclass(kw_only=True)
class Options(DataSettings, TrainingSettings, SupernetSettings):
    """Train a supernet, the stage before a search, alone.

    Args:
        space: A search space that has a supernet.
        supernet: The method by which it is trained.
        tracking_uri: MLflow tracking URI.
        output: Folder for the supernet and its prior; what is unfinished there is continued.
        threads: CPU threads of this process.
    """

    space: Named = "cell"
    supernet: str = field(default=DEFAULT_RELAXATION, metadata={"bare": DEFAULT_RELAXATION})
    tracking_uri: str = DEFAULT_TRACKING_URI
    output: str = "runs/supernet"
    threads: int = 1


def run(options: Options, data_settings: Mapping[str, Any]) -> int:
    """Train a supernet, and track it."""
    from lightning_modules.cli._commands import use_threads
    from lightning_modules.cli._reporter import Printer
    from lightning_modules.search import _stage
    from lightning_modules.search._final import check_folder
    from lightning_modules.search._learning import Learning
    from lightning_modules.search.training import training_arguments
    from optuna_nas.studies.interrupts import Interrupts
    from optuna_nas.studies.interrupts import is_interrupt
    from optuna_nas.studies.run import show_progress
    from optuna_nas.tracking import SupernetTracker

    use_threads(options.threads)
    folder, reporter, progress = Path(options.output), Printer(), show_progress()
    check_folder(folder, "output")
    learning = Learning(options, options.space, data_settings)
    learning.set_up()
    rate = {} if options.learning_rate is None else {"learning_rate": options.learning_rate}
    stage = _stage.make_stage(
        options.supernet,
        options,
        learning,
        training_arguments(options, options.seed),
        training=rate,
        folder=folder,
        progress=progress,
    )
    tracker = SupernetTracker(
        tracking_uri=options.tracking_uri,
        name=f"{options.supernet}-{learning.space.name}",
        folder=folder,
        params=_stage.describe_stage(stage, learning),
    )
    stage.report = _stage.EpochTeller(
        stage.settings.n_epochs, None if progress else reporter, tracker.on_epoch
    )
    with Interrupts():
        try:
            with _stage.alone(folder, reporter):
                result = _stage.run_stage(stage, reporter)
                tracker.log_supernet(result.prior, result.architecture, result.path)
        except (KeyboardInterrupt, Exception) as error:
            if not is_interrupt(error):
                tracker.fail()
                raise
            print("Interrupted; what is finished is kept. To go on: the same command")
            return 130
        finally:
            tracker.close()
    _stage.say_found(stage, result.architecture, reporter)
    print(f"supernet: {result.path}")
    return 0
