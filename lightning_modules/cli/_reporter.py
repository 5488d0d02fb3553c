"""What a command prints while it runs."""

from __future__ import annotations

from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial
from rich.console import Console
from tqdm import tqdm

from lightning_modules.cli._errors import in_options
from lightning_modules.cli._tables import describe_trial
from lightning_modules.cli._tables import print_front
from optuna_nas.studies.run import Reporter


class Printer(Reporter):
    """Prints sentences, a line for each trial, and the front as a table."""

    def say(self, text: str) -> None:
        """Print a sentence."""
        print(in_options(text), flush=True)

    def on_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Print a trial above a progress bar."""
        tqdm.write(describe_trial(trial, study.metric_names or []))

    def on_front(self, study: optuna.Study, front: Sequence[FrozenTrial]) -> None:
        """Print the best trials."""
        print_front(Console(), study, front, study.metric_names or [])
