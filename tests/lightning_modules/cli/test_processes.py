"""Searches that are killed, interrupted, or share a study with others."""

from __future__ import annotations

from collections.abc import Callable
import multiprocessing
from pathlib import Path
import signal
import subprocess
import sys
import time

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
import pytest

from lightning_modules import load_checkpoint
from lightning_modules.cli import main
from tests.lightning_modules.cli.cli_process import CommandProcess
from tests.lightning_modules.cli.test_search import FAST
from tests.lightning_modules.cli.test_search import load
from tests.lightning_modules.cli.test_search import runs_of
from tests.lightning_modules.cli.test_search import tracking  # noqa: F401


pytestmark = pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(), reason="needs POSIX signals"
)


@pytest.fixture
def start(tracking: str, tmp_path: Path) -> Callable[..., CommandProcess]:  # noqa: F811
    """Start a search with the given name in the test's folder."""

    def start_search(name: str, *more: str) -> CommandProcess:
        options = [*FAST, "--epochs", "3", "--study-name", name, "--tracking-uri", tracking]
        return CommandProcess(tmp_path, *options, *more)

    return start_search


def stop_in_trial(process: CommandProcess, study: optuna.Study, number: int, *signals: int) -> int:
    """Send signals while trial ``number`` is trained, and return the exit status."""
    process.wait_until(lambda output: f"\ntrial {number - 1}: " in output)
    while "architecture" not in study.trials[-1].user_attrs or study.trials[-1].number < number:
        time.sleep(0.01)
    for each in signals:
        process.send(each)
        time.sleep(0.02)  # Cleaning up takes longer than all of them.
    return process.join()


def open_study(name: str, storage: str) -> optuna.Study:
    """Make the study's tables before the search does, so that a test can look at it."""
    if storage.endswith(".log"):
        return optuna.create_study(
            study_name=name,
            storage=JournalStorage(JournalFileBackend(storage)),
            direction="maximize",
        )
    return optuna.create_study(study_name=name, storage=storage, direction="maximize")


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["sqlite:///{}/optuna.db", "{}/journal.log"])
def test_killed_search_goes_on(
    start: Callable[..., CommandProcess],
    tracking: str,  # noqa: F811
    tmp_path: Path,
    storage: str,
) -> None:
    storage = storage.format(tmp_path)
    name = f"killed-{storage[:6]}".replace("/", "-")
    search = ["--n-trials", "8", "--storage", storage]
    study = open_study(name, storage)
    assert stop_in_trial(start(name, *search), study, 5, signal.SIGKILL) == -signal.SIGKILL
    before = study.trials
    assert [trial.state.is_finished() for trial in before] == [True] * 5 + [False]

    process = start(name, *search)
    assert process.join() == 0, process.output
    assert "trial 5 was broken off when its process ended; it is repeated\n" in process.output
    trials = study.trials
    assert len(trials) == 8
    assert trials[:5] == before[:5]
    assert trials[5].state == TrialState.FAIL
    assert trials[5].user_attrs["fail_reason"] == "the process that ran the trial was killed"
    assert all(trial.state.is_finished() for trial in trials)
    assert trials[6].params == before[5].params
    runs = runs_of(tracking, name)
    assert len(runs) == 10
    assert runs.pop("trial-0005") == "FAILED"
    assert "RUNNING" not in runs.values()
    assert (runs[name], runs["final"]) == ("FINISHED", "FINISHED")


def test_trial_that_nobody_would_run_is_not_repeated(
    tracking: str,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    search = ["search", "--data", "nasbench201:cifar10", "--study-name", "full"]
    search += ["--tracking-uri", tracking, "--n-trials"]
    assert main([*search, "2"]) == 0
    study = load("full")
    for operations in (["none"] * 6, ["none"] * 5 + ["skip_connect"]):
        names = list(study.trials[0].params)
        study.enqueue_trial(dict(zip(names, operations, strict=True)))
        trial = study.ask()
        for decision, distribution in study.trials[0].distributions.items():
            trial._suggest(decision, distribution)
        dead = {**study.trials[0].user_attrs["worker"], "start": "0"}
        trial.set_user_attr("worker", dead)
    capsys.readouterr()
    assert main([*search, "5"]) == 0
    out = capsys.readouterr().out
    assert "trial 2 was broken off when its process ended; it is repeated" in out
    assert "trial 3 was broken off when its process ended; it counts as failed" in out
    states = [trial.state.name for trial in load("full").trials]
    assert states == ["COMPLETE", "COMPLETE", "FAIL", "FAIL", "COMPLETE"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "signals",
    [[signal.SIGINT], [signal.SIGTERM], [signal.SIGINT] * 3],
    ids=["SIGINT", "SIGTERM", "impatient"],
)
def test_interrupted_search_ends_cleanly(
    start: Callable[..., CommandProcess],
    tracking: str,  # noqa: F811
    tmp_path: Path,
    signals: list[int],
) -> None:
    name = "-".join(map(str, map(int, signals)))
    study = open_study(name, f"sqlite:///{tmp_path}/optuna.db")
    process = start(name, "--n-trials", "50")
    assert stop_in_trial(process, study, 2, *signals) == 130, process.output
    assert process.output.endswith(f"To go on: the same search with option --study-name {name}\n")
    assert "Traceback" not in process.output
    trials = study.trials
    assert [t.state.name for t in trials] == ["COMPLETE"] * 2 + ["FAIL"]
    assert trials[-1].user_attrs["fail_reason"] == "interrupted by the user"
    assert runs_of(tracking, name) == {
        name: "FINISHED",
        "trial-0000": "FINISHED",
        "trial-0001": "FINISHED",
        "trial-0002": "KILLED",
    }
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_interrupted_final_training(
    start: Callable[..., CommandProcess],
    tracking: str,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search = ["--n-trials", "1"]
    process = start("final", *search, "--final-epochs", "900")
    process.wait_until(lambda output: "\nTraining " in output)
    time.sleep(0.3)
    process.send(signal.SIGINT)
    assert process.join() == 130, process.output
    assert "Traceback" not in process.output
    assert "--study-name final" in process.output
    assert not list((tmp_path / "runs").glob("**/*.ckpt"))
    assert not list((tmp_path / "runs").glob("**/.*"))
    assert runs_of(tracking, "final") == {"final": "FINISHED", "trial-0000": "FINISHED"}

    monkeypatch.chdir(tmp_path)
    options = [*FAST, "--epochs", "3", "--study-name", "final", "--tracking-uri", tracking]
    assert main([*options, *search]) == 0
    assert load_checkpoint("runs/final/best.ckpt").test_metrics["test_accuracy"] > 0
    assert [trial.state for trial in load("final").trials] == [TrialState.COMPLETE]


@pytest.mark.slow
def test_interrupted_train(tmp_path: Path) -> None:
    process = CommandProcess(tmp_path, "train", "C-O", "--epochs", "900", "--output", "out")
    process.wait_until(lambda output: output.startswith("Training "))
    time.sleep(0.3)
    process.send(signal.SIGTERM)
    assert process.join() == 130
    assert process.output.splitlines()[1:] == ["optuna-nas: interrupted"]
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_two_processes_share_a_study(
    start: Callable[..., CommandProcess],
    tracking: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    processes = [start("both", "--n-trials", "6") for _ in range(2)]
    for process in processes:
        assert process.join() == 0, process.output
    trials = load("both", f"sqlite:///{tmp_path}/optuna.db").trials
    assert len(trials) in (6, 7)  # Both may have started the last one.
    assert [t.user_attrs.get("fail_reason") for t in trials] == [None] * len(trials)
    assert len({trial.user_attrs["worker"]["pid"] for trial in trials}) == 2
    runs = runs_of(tracking, "both")
    ended = {TrialState.COMPLETE: "FINISHED", TrialState.PRUNED: "KILLED"}
    expected = {f"trial-{trial.number:04}": ended[trial.state] for trial in trials}
    assert runs == {"both": "FINISHED", "final": "FINISHED", **expected}


def test_reader_that_goes_away(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/optuna.db"
    study = optuna.create_study(storage=storage, directions=["minimize", "minimize"])
    study.optimize(lambda trial: (trial.number, -trial.number), n_trials=40)
    show = "import sys; from lightning_modules.cli import main; sys.exit(main())"
    command = [sys.executable, "-u", "-c", show, "show", "--storage", storage]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode in (0, 141)
