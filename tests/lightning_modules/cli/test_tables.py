"""What is printed of trials and fronts."""

from __future__ import annotations

import optuna
from optuna.trial import TrialState
import pytest
from rich.console import Console

from lightning_modules.cli._tables import describe_trial
from lightning_modules.cli._tables import print_front
import lightning_modules.tasks  # noqa: F401  Its metrics are in the table.
from optuna_nas.studies import best_trials


def test_trial_in_one_line() -> None:
    trial = optuna.create_trial(values=[0.9123, 1234567.0])
    trial.user_attrs["architecture"] = "C-O"
    line = describe_trial(trial, ["val_accuracy", "params"])
    assert line == "trial -1: validation accuracy 91.23%, parameters 1,234,567  C-O"
    trial = optuna.create_trial(state=TrialState.FAIL, user_attrs={"fail_reason": "E: [red]"})
    assert describe_trial(trial, ["macs"]) == "trial -1: failed: E: [red]  "
    assert "pruned" in describe_trial(optuna.create_trial(state=TrialState.PRUNED), ["macs"])


def test_front_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    study = optuna.create_study(study_name="one", directions=["maximize", "minimize"])
    attributes = {"architecture": "C-O", "metrics": {"params": 1234.0, "val_rank": 2.0}}
    study.add_trial(optuna.create_trial(values=[0.5, 2.0], user_attrs=attributes))
    print_front(Console(width=120), study, best_trials(study), ["val_accuracy", "latency_ms"])
    out = capsys.readouterr().out
    for part in ("Pareto front of one (1 complete)", "50.00%", "2.000", "1,234", "C-O"):
        assert part in out
    assert "val_rank" not in out
    empty = optuna.create_study(study_name="two")
    print_front(Console(), empty, [], ["params"])
    assert "No trial of two is complete and feasible (no trials)." in capsys.readouterr().out
