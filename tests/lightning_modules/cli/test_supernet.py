"""The supernet stage on the command line: before a search, alone, broken off, and shared."""

from __future__ import annotations

from collections.abc import Callable
import json
import multiprocessing
from pathlib import Path
import re
import signal
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
import numpy as np
import optuna
import pytest
import torch

from lightning_modules.cli import main
from lightning_modules.cli._parser import make_parser
from lightning_modules.data import make_datamodule
from lightning_modules.registries import RELAXATIONS
from lightning_modules.supernet import DEFAULT_RELAXATION
from lightning_modules.supernet import load_supernet
from lightning_modules.supernet import SupernetEvaluator
from lightning_modules.supernet import SupernetStage
from lightning_modules.training import evaluator as evaluator_module
from optuna_nas import CellSpace
from optuna_nas import DartsSpace
from optuna_nas.prior import Prior
from optuna_nas.prior import stored_prior
from tests.lightning_modules.cli.cli_process import CommandProcess
from tests.lightning_modules.cli.test_search import load
from tests.lightning_modules.cli.test_search import run  # noqa: F401
from tests.lightning_modules.cli.test_search import runs_of
from tests.lightning_modules.cli.test_search import tracking  # noqa: F401


SPACE = CellSpace()
SIZES = ["--network.channels", "4", "--network.stages", "1"]
STAGE = [*SIZES, "--supernet-paths", "12"]
SEARCH = ["search", *STAGE, "--epochs", "1", "--final-epochs", "1"]
needs_signals = pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(), reason="needs POSIX signals"
)


def supernet_run(tracking: str, experiment: str) -> Run:  # noqa: F811
    client = MlflowClient(tracking)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    runs = client.search_runs([found.experiment_id], "attributes.run_name = 'supernet'")
    (only,) = runs
    return only


def steps(tracking: str, run_id: str) -> list[int]:  # noqa: F811
    history = MlflowClient(tracking).get_metric_history(run_id, "supernet_loss")
    return sorted(metric.step for metric in history)


@pytest.mark.parametrize("command", ["search", "supernet"])
def test_the_help_names_all_relaxations(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    out = "".join(capsys.readouterr().out.split())  # Names are broken at their hyphens.
    assert f"Oneof{','.join(RELAXATIONS)}." in out
    assert {"fairnas", "gdas", "ofa"} < set(RELAXATIONS)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["search"], "none"),
        (["search", "--supernet"], DEFAULT_RELAXATION),
        (["search", "--supernet", "--n-trials", "3"], DEFAULT_RELAXATION),
        (["search", "--supernet", "gdas"], "gdas"),
        (["supernet"], DEFAULT_RELAXATION),
    ],
)
def test_supernet_without_a_value_is_the_default(arguments: list[str], expected: str) -> None:
    assert make_parser().parse_args(arguments)[arguments[0]].supernet == expected


@pytest.mark.slow
def test_search_starts_from_the_supernet(
    run: Callable[..., str],  # noqa: F811
    tracking: str,  # noqa: F811
) -> None:
    search = [*SEARCH, "--supernet", "spos", "--supernet-epochs", "2", "--study-name", "spos"]
    out = run(*search, "--n-trials", "2")
    assert "Training a supernet by spos for 2 epochs in runs/spos/supernet ...\n" in out
    assert out.count("supernet epoch ") == 2
    study = load("spos")
    found = stored_prior(study, SPACE)
    assert found is not None
    prior, architecture = found
    assert f"supernet found: {SPACE.to_string(architecture)}\n" in out
    assert "prior: runs/spos/supernet/prior.json\n" in out
    text = Path("runs/spos/supernet/prior.json").read_text()
    assert Prior.from_json(SPACE, text).to_json() == prior.to_json()
    assert study.user_attrs["supernet_prior"]["settings"]["supernet_epochs"] == 2
    assert study.user_attrs["search"]["supernet"] == "spos"
    assert study.user_attrs["search"]["supernet_proxy"] == "synflow"
    assert prior.most_likely() == architecture
    assert study.trials[0].params == dict(architecture)
    enqueued = ["fixed_params" in trial.system_attrs for trial in study.trials]
    assert enqueued == [True, False]

    assert runs_of(tracking, "spos")["supernet"] == "FINISHED"
    stage = supernet_run(tracking, "spos")
    client = MlflowClient(tracking)
    parent = client.get_run(study.user_attrs["mlflow_parent_run_id"])
    assert stage.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert parent.data.params["supernet"] == "spos"
    assert "inherit_weights" not in parent.data.params
    files = {file.path for file in client.list_artifacts(stage.info.run_id)}
    assert {"prior.json", "prior.png", "architecture.png", "supernet.pt"} <= files
    assert "supernet_prior.png" in {f.path for f in client.list_artifacts(parent.info.run_id)}
    assert steps(tracking, stage.info.run_id) == [0, 1]

    written = Path("runs/spos/supernet/supernet.pt").stat().st_mtime_ns
    out = run(*search, "--n-trials", "3")
    assert "supernet epoch" not in out
    assert "The supernet has been trained before." in out
    assert Path("runs/spos/supernet/supernet.pt").stat().st_mtime_ns == written
    trials = load("spos").trials
    assert ["fixed_params" in trial.system_attrs for trial in trials] == [True, False, False]
    assert supernet_run(tracking, "spos").info.run_id == stage.info.run_id
    run(*search, "--n-trials", "3", "--supernet-epochs", "3", status=2)
    run(*SEARCH, "--study-name", "spos", status=2)


@pytest.mark.slow
def test_trials_inherit_weights(
    run: Callable[..., str],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first_weights: dict[str, torch.Tensor] = {}
    inherit = evaluator_module.inherit

    def spy(network: torch.nn.Module, supernet: Any, architecture: Any) -> None:
        inherit(network, supernet, architecture)
        text = SPACE.to_string(architecture)
        first_weights[text] = next(network.parameters()).detach().clone()

    monkeypatch.setattr(evaluator_module, "inherit", spy)
    search = [*SEARCH, "--supernet", "gdas", "--supernet-epochs", "1", "--sampler", "tpe"]
    run(*search, "--inherit-weights", "--n-trials", "5", "--study-name", "inherit")
    trials = load("inherit").trials
    assert set(first_weights) == {trial.user_attrs["architecture"] for trial in trials}
    supernet = load_supernet("runs/inherit/supernet/supernet.pt", SPACE)
    stem = next(supernet.network.parameters())
    assert all(torch.equal(weights, stem) for weights in first_weights.values())
    enqueued = [trial.system_attrs.get("fixed_params") for trial in trials]
    assert [params is not None for params in enqueued] == [True, True, False, False, False]
    found = stored_prior(load("inherit"), SPACE)
    assert found is not None
    assert enqueued[0] == dict(found[0].most_likely())
    # Without its file the stage is run again, as the trials need it.
    Path("runs/inherit/supernet/supernet.pt").unlink()
    out = run(*search, "--inherit-weights", "--n-trials", "6", "--study-name", "inherit")
    assert "Going on with a supernet by gdas" in out
    assert "fixed_params" not in load("inherit").trials[5].system_attrs


@pytest.mark.slow
def test_trials_are_scored_with_the_supernet(run: Callable[..., str]) -> None:  # noqa: F811
    search = [*SEARCH, "--supernet", "fairnas", "--supernet-epochs", "2"]
    run(
        *[*search, "--evaluate", "supernet", "--n-trials", "3", "--study-name", "scored"],
        *["--objectives", "val_accuracy", "params", "--constraint", "params<=100000"],
    )
    trials = load("scored").trials
    supernet = load_supernet("runs/scored/supernet/supernet.pt", SPACE)
    module = make_datamodule("digits", batch_size=96, seed=0)
    module.setup("fit")
    evaluate = SupernetEvaluator.from_data(supernet, module, metrics=("val_accuracy", "params"))
    for trial in trials:
        expected = evaluate(SPACE.architecture(trial.params)).metrics
        assert trial.values == [pytest.approx(expected["val_accuracy"]), expected["params"]]
        assert not trial.user_attrs.get("curves")  # Nothing was trained.


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["genetic", "random"])
def test_first_trial_is_what_the_stage_found(
    run: Callable[..., str],  # noqa: F811
    sampler: str,
) -> None:
    search = ["search", "--space", "darts", "--network.channels", "4", "--network.cells", "1"]
    search += ["--supernet", "gdas", "--supernet-epochs", "1", "--evaluate", "supernet"]
    search += ["--epochs", "1", "--final-epochs", "1", "--n-trials", "4", "--sampler", sampler]
    run(*search, "--study-name", sampler)
    study, space = load(sampler), DartsSpace()
    found = stored_prior(study, space)
    assert found is not None
    prior, architecture = found
    assert architecture != prior.most_likely()  # Liu et al. keep two edges of each node.
    enqueued = [trial.params for trial in study.trials if "fixed_params" in trial.system_attrs]
    expected = [architecture] if sampler == "genetic" else [architecture, prior.most_likely()]
    assert enqueued == [dict(each) for each in expected]


@pytest.mark.slow
def test_stage_alone(
    run: Callable[..., str],  # noqa: F811
    tracking: str,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    stage = ["supernet", *STAGE, "--supernet-epochs", "1", "--tracking-uri", tracking]
    stage += ["--supernet", "darts", "--output", "out"]
    out = run(*stage)
    assert out.startswith("Training a supernet by darts for 1 epoch in out ...\n")
    assert out.endswith("prior: out/prior.json\nsupernet: out/supernet.pt\n")
    load_supernet("out/supernet.pt", SPACE)
    again = run(*stage)
    assert "supernet epoch" not in again
    assert again.splitlines()[1:] == out.splitlines()[2:]
    client = MlflowClient(tracking)
    experiment = client.get_experiment_by_name("supernet")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (only,) = [r for r in runs if r.data.tags["supernet.folder"] == str(Path("out").resolve())]
    assert only.info.run_name == "darts-cell"
    assert only.info.status == "FINISHED"
    assert "mlflow.parentRunId" not in only.data.tags
    assert {"architecture_entropy", "skip_count", "supernet_val_accuracy"} <= set(
        only.data.metrics
    )
    rng = np.random.default_rng(0)
    np.savez("data.npz", X=rng.random((400, 8, 8)), y=np.repeat(["a", "b"], 200))
    for option, value, found in [
        ("--supernet", "gdas", "'darts' but got 'gdas'"),
        ("--supernet-epochs", "2", "1 but got 2"),
        ("--data", "data.npz", "'digits' but got 'data.npz'"),
        ("--learning-rate", "0.1", "{} but got {'learning_rate': 0.1}"),
    ]:
        assert main([*stage, option, value]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line == (
            "optuna-nas: error: Expected the stage in out to be continued with its "
            f"option {option} {found}; give another folder."
        )


@pytest.mark.slow
def test_search_starts_from_what_a_stage_alone_left(
    run: Callable[..., str],  # noqa: F811
    tracking: str,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    chosen = ["--supernet", "spos", "--supernet-epochs", "1"]
    alone = ["supernet", *STAGE, *chosen, "--output", "stage", "--tracking-uri", tracking]
    run(*alone, "--learning-rate", "0.02")
    kept = {path.name: path.read_bytes() for path in Path("stage").glob("[!.]*")}
    search = [*SEARCH, *chosen, "--study-name", "later", "--supernet-folder", "stage"]
    # The learning rate is that of trials, not of the stage.
    out = run(*search, "--n-trials", "2", "--inherit-weights", "--learning-rate", "0.05")
    assert "Reading the supernet in stage ...\n" in out
    assert "supernet epoch" not in out
    assert {path.name: path.read_bytes() for path in Path("stage").glob("[!.]*")} == kept
    assert not Path("runs/later/supernet").exists()
    found = stored_prior(load("later"), SPACE)
    assert found is not None
    written = Prior.from_json(SPACE, kept["prior.json"].decode())
    assert found[0].to_json() == written.to_json()
    stage = supernet_run(tracking, "later")
    assert stage.info.status == "FINISHED"
    files = {file.path for file in MlflowClient(tracking).list_artifacts(stage.info.run_id)}
    assert {"prior.json", "prior.png", "supernet.pt"} <= files
    folder = str(Path("stage").resolve())
    other = [*search, "--study-name", "other"]
    for wrong, told in [
        (
            search[:-2],
            f"Expected supernet_folder {folder!r}, with which the study 'later' was made",
        ),
        ([*other, "--supernet-epochs", "2"], "with its option --supernet-epochs 1 but got 2"),
        (
            [*other, "--supernet-proxy", "none"],
            "with its option --supernet-proxy 'synflow' but got None",
        ),
    ]:
        assert main([*wrong, "--inherit-weights", "--tracking-uri", tracking]) == 2
        assert told in capsys.readouterr().err.splitlines()[-1]
    assert optuna.get_all_study_names("sqlite:///optuna.db") == ["later"]


def test_data_that_is_too_small_leaves_nothing_behind(
    tracking: str,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("data.npz", X=np.random.default_rng(0).random((60, 8, 8)), y=["a", "b"] * 30)
    stage = ["supernet", "--data", "data.npz", "--supernet", "gdas", "--output", "out"]
    assert main([*stage, "--batch-size", "96", "--tracking-uri", tracking]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(
        r"Expected option --batch-size to be at most \d+, the training samples in", line
    )
    assert not Path("out").exists()


def test_collapse_is_told(
    tracking: str,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for module in ("_stage", "_guards"):  # What is told in the training is not told again.
        name = f"lightning_modules.supernet.{module}.is_collapsed"
        monkeypatch.setattr(name, lambda *_: "all skips")
    stage = ["supernet", *STAGE, "--supernet-epochs", "1", "--tracking-uri", tracking]
    assert main([*stage, "--supernet", "gdas"]) == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if "collapsed" in line]
    assert warnings == [
        "optuna-nas: warning: The supernet stage looks collapsed: all skips; another option "
        "--supernet or a smaller option --supernet-epochs may help."
    ]


@pytest.mark.parametrize(
    ("supernet", "told"),
    [
        ("gdas", "The prior of the supernet stage is close to uniform"),
        ("fairnas", "half of its paths do little but guess"),
    ],
)
def test_a_stage_that_is_too_short_is_told(
    tracking: str,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    supernet: str,
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    stage = ["supernet", *STAGE, "--supernet", supernet, "--tracking-uri", tracking]
    assert main([*stage, "--supernet-epochs", "1"]) == 0
    warned = [line for line in capsys.readouterr().err.splitlines() if "supernet" in line]
    assert len(warned) == 1
    assert told in warned[0]
    assert warned[0].endswith(
        "; a larger option --supernet-epochs or a smaller option --batch-size may help."
    )
    if supernet == "fairnas":
        longer = ["--supernet-epochs", "12", "--batch-size", "24", "--output", "longer"]
        assert main([*stage, *longer]) == 0
        assert "supernet" not in capsys.readouterr().err


@pytest.mark.slow
@needs_signals
def test_killed_stage_goes_on(
    run: Callable[..., str],  # noqa: F811
    tracking: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    stage = [*SEARCH, "--supernet", "gdas", "--supernet-epochs", "4", "--n-trials", "1"]
    command = [*stage, "--study-name", "killed-stage", "--tracking-uri", tracking]
    process = CommandProcess(tmp_path, *command)
    process.wait_until(lambda output: "supernet epoch 2/4" in output)
    process.send(signal.SIGKILL)
    assert process.join() == -signal.SIGKILL
    assert "supernet epoch 4/4" not in process.output
    run_id = supernet_run(tracking, "killed-stage").info.run_id

    process = CommandProcess(tmp_path, *command)
    assert process.join() == 0, process.output
    assert "Going on with a supernet by gdas for 4 epochs" in process.output
    assert "supernet epoch 1/4" not in process.output
    assert "supernet epoch 4/4" in process.output
    stage_run = supernet_run(tracking, "killed-stage")
    assert stage_run.info.run_id == run_id
    assert stage_run.info.status == "FINISHED"
    assert steps(tracking, run_id) == [0, 1, 2, 3]
    run(*stage, "--study-name", "whole-stage")
    whole = json.loads(Path("runs/whole-stage/supernet/prior.json").read_text())
    resumed = json.loads(Path("runs/killed-stage/supernet/prior.json").read_text())
    for name, probabilities in whole["probabilities"].items():
        assert resumed["probabilities"][name] == pytest.approx(probabilities, abs=1e-6)


@pytest.mark.parametrize("command", ["search", "supernet"])
def test_diverged_stage_is_a_failed_run(
    tracking: str,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    monkeypatch.chdir(tmp_path)

    def diverge(stage: SupernetStage) -> None:
        assert stage.report is not None
        stage.report(0, {"supernet_loss": 1.0})
        raise RuntimeError("The training of the supernet diverged.")

    monkeypatch.setattr(SupernetStage, "run", diverge)
    name = "diverged-stage" if command == "search" else "supernet"
    more = ["--study-name", name] if command == "search" else ["--output", "out"]
    arguments = [command, *STAGE, "--supernet", "spos", "--supernet-epochs", "2", *more]
    assert main([*arguments, "--tracking-uri", tracking]) == 2
    line = capsys.readouterr().err.splitlines()[-1]  # MLflow may tell of its database before.
    assert line == "optuna-nas: error: The training of the supernet diverged."
    client = MlflowClient(tracking)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    if command == "supernet":
        folder = str(tmp_path / "out")
        runs = [r for r in runs if r.data.tags["supernet.folder"] == folder]
    (failed,) = [r for r in runs if r.info.run_name != name]
    assert failed.info.status == "FAILED"


@pytest.mark.slow
@needs_signals
@pytest.mark.parametrize("command", ["search", "supernet"])
def test_interrupted_stage_ends_cleanly(
    tracking: str,  # noqa: F811
    tmp_path: Path,
    command: str,
) -> None:
    more = ["--study-name", "stopped-stage"] if command == "search" else ["--output", "out"]
    stage = [command, *STAGE, "--supernet", "spos", "--supernet-epochs", "900", *more]
    process = CommandProcess(tmp_path, *stage, "--tracking-uri", tracking)
    process.wait_until(lambda output: "supernet epoch 2/900" in output)
    process.send(signal.SIGINT)
    assert process.join() == 130, process.output
    assert "Traceback" not in process.output
    assert "To go on: the same" in process.output.splitlines()[-1]
    client = MlflowClient(tracking)
    experiment = client.get_experiment_by_name(
        "stopped-stage" if command == "search" else "supernet"
    )
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    if command == "search":
        assert {r.info.run_name: r.info.status for r in runs} == {
            "stopped-stage": "FINISHED",
            "supernet": "KILLED",
        }
    else:
        folder = str(tmp_path / "out")
        (only,) = [r for r in runs if r.data.tags["supernet.folder"] == folder]
        assert only.info.status == "KILLED"


@pytest.mark.slow
@needs_signals
def test_two_processes_train_one_supernet(
    tracking: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    stage = [*SEARCH, "--supernet", "spos", "--supernet-epochs", "20", "--n-trials", "2"]
    command = [*stage, "--study-name", "shared", "--tracking-uri", tracking]
    processes = [CommandProcess(tmp_path, *command) for _ in range(2)]
    for process in processes:
        assert process.join() == 0, process.output
    outputs = [process.output for process in processes]
    assert sorted(output.count("supernet epoch ") for output in outputs) == [0, 20]
    (waited,) = [output for output in outputs if "supernet epoch " not in output]
    assert "Another process trains a supernet in runs/shared/supernet; waiting" in waited
    trials = load("shared", f"sqlite:///{tmp_path}/optuna.db").trials
    assert sum("fixed_params" in trial.system_attrs for trial in trials) == 1
    stage_run = supernet_run(tracking, "shared")
    assert stage_run.info.status == "FINISHED"
    assert steps(tracking, stage_run.info.run_id) == list(range(20))
