"""The command line as a person uses it: search, resume, train, show, predict."""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path
import re
from typing import Any

from mlflow import MlflowClient
import numpy as np
import optuna
from optuna.storages import RDBStorage
from PIL import Image
import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.exc import OperationalError

from lightning_modules import load_checkpoint
from lightning_modules.cli import main
from optuna_nas.spaces import DARTS_V2
from optuna_nas.studies import storages as _studies


SMALL = ["--epochs", "1", "--network.channels", "2", "--network.stages", "1"]
SMALL_MOBILE = (
    "mobilenet_v3|stem16s2|16s1(k3e2_relu)|32s2(k3e2se0.25_hswish)|64s2(k5e2_hswish)|head128"
)
FAST = ["search", "--data", "digits", *SMALL, "--final-epochs", "1"]


@pytest.fixture(scope="session")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One MLflow database for all tests: making one takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.fixture
def run(
    tracking: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., str]:
    """Run a command in an empty folder and return what it prints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run_command(*arguments: str, status: int = 0) -> str:
        tracked = ["--tracking-uri", tracking] if arguments[0] == "search" else []
        found = main([*arguments, *tracked])
        out, err = capsys.readouterr()
        assert found == status, err
        return out

    return run_command


def load(name: str, storage: str = "sqlite:///optuna.db") -> optuna.Study:
    return optuna.load_study(study_name=name, storage=storage)


def runs_of(tracking: str, name: str) -> dict[str, str]:
    """Return the status of each run of a study by the run's name."""
    client = MlflowClient(tracking)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    names = [str(run.info.run_name) for run in runs if run.info.run_name != "final"]
    assert len(set(names)) == len(names)  # No trial, and no study, has two.
    return {str(run.info.run_name): str(run.info.status) for run in runs}


@pytest.mark.slow
def test_search_with_three_objectives(run: Callable[..., str], tracking: str) -> None:
    objectives = ["val_accuracy", "latency_ms", "params"]
    out = run(*FAST, "--n-trials", "3", "--study-name", "three", "--objectives", *objectives)
    assert "Pareto front of three (3 complete)" in out
    assert re.search(
        r"test accuracy: \d+\.\d\d%\ntest loss: .*\nnetwork: runs/three/best.ckpt", out
    )
    study = load("three")
    assert study.metric_names == objectives
    assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE", "MINIMIZE"]
    model = load_checkpoint("runs/three/best.ckpt")
    assert json.loads(Path("runs/three/best.json").read_text())["params"] == dict(
        model.architecture
    )
    assert Path("runs/three/best.ckpt.sha256").is_file()
    best = max(study.best_trials, key=lambda trial: trial.values[0])
    assert {k: best.params[k] for k in model.architecture} == dict(model.architecture)
    statuses = runs_of(tracking, "three")
    assert set(statuses.values()) == {"FINISHED"}
    assert {"three", "final", "trial-0000", "trial-0001", "trial-0002"} <= set(statuses)
    client = MlflowClient(tracking)
    experiment = client.get_experiment_by_name("three")
    assert experiment is not None
    parents = client.search_runs([experiment.experiment_id], "attributes.run_name = 'three'")
    assert parents[0].data.metrics["test_accuracy"] == pytest.approx(
        model.test_metrics["test_accuracy"]
    )


@pytest.mark.parametrize(
    "sampler",
    [
        "genetic",
        "nsgaii",
        "local-search",
        "regularized-evolution",
        "random-architecture",
        "reinforce",
        "ppo",
        "actor-critic",
        "ddpg",
        "random",
        "tpe",
    ],
)
def test_every_sampler(run: Callable[..., str], sampler: str) -> None:
    name = f"table-{sampler}"
    arguments = ["search", "--data", "nasbench201:cifar10", "--sampler", sampler]
    run(
        *arguments,
        "--objectives",
        "val_accuracy",
        "params",
        "--n-trials",
        "4",
        "--study-name",
        name,
    )
    assert [t.state.name for t in load(name).trials] == ["COMPLETE"] * 4
    assert "Pareto front" in run("show", "--study-name", name)
    assert not Path("runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize("proxies", [["params"], ["synflow", "params"]])
def test_screened_search(run: Callable[..., str], proxies: list[str]) -> None:
    search = [*FAST, "--sampler", "tpe", "--objectives", "params", "--n-trials", "6"]
    run(*search, "--study-name", "plain")
    run(*search, "--screen", *proxies, "--pool", "6", "--study-name", "screened")
    plain, screened = (
        np.mean([trial.value for trial in load(name).trials]) for name in ("plain", "screened")
    )
    assert screened > 1.15 * plain  # More parameters are better for the proxies.


@pytest.mark.slow
@pytest.mark.parametrize("pruner", ["median", "successive-halving", "hyperband"])
def test_pruners_stop_poor_trials(run: Callable[..., str], pruner: str) -> None:
    search = [*FAST, "--epochs", "3", "--pruner", pruner]
    out = run(*search, "--n-trials", "10", "--study-name", pruner)
    trials = load(pruner).trials
    pruned = [trial for trial in trials if trial.state.name == "PRUNED"]
    assert pruned
    assert {len(trial.user_attrs["curves"]["val_accuracy"]) for trial in pruned} <= {1, 2, 3}
    assert out.count(": pruned  ") == len(pruned)
    complete = [trial for trial in trials if trial.state.name == "COMPLETE"]
    assert {len(trial.user_attrs["curves"]["val_accuracy"]) for trial in complete} == {3}


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["genetic", "random"])
def test_no_infeasible_architecture_is_trained(run: Callable[..., str], sampler: str) -> None:
    search = ["search", "--space", "mobile", "--epochs", "1", "--final-epochs", "1"]
    bounds = ["--constraint", "params<=200000", "latency_ms<=1000", "val_accuracy>=2"]
    out = run(
        *search,
        "--sampler",
        sampler,
        *bounds,
        "--n-trials",
        "3",
        "--study-name",
        sampler,
        status=1,
    )
    trials = load(sampler).trials
    trained = [trial for trial in trials if trial.state.name == "COMPLETE"]
    infeasible = [trial for trial in trials if trial.state.name == "PRUNED"]
    assert len(trained) + len(infeasible) == 3
    assert all(trial.user_attrs["metrics"]["params"] <= 200000 for trial in trained)
    assert all(trial.user_attrs["infeasible"].startswith("params<=") for trial in infeasible)
    assert out.count("infeasible, not trained: params<=200000 but got") == len(infeasible)
    assert (sampler == "genetic") == (not infeasible)  # Ours does not propose them.
    for trial in trained:
        assert trial.constraints["latency_ms<=1000"] < 0
        assert trial.constraints["val_accuracy>=2"] > 0
        assert any(name.startswith("training_memory_mb<=") for name in trial.constraints)
    assert "No trial of" in out  # No accuracy is 2.


def test_constraints_in_a_table(run: Callable[..., str]) -> None:
    search = ["search", "--data", "nasbench201:cifar10", "--n-trials", "30"]
    run(*search, "--constraint", "params<=300000", "val_accuracy>=0.8", "--study-name", "bound")
    study = load("bound")
    assert all(trial.user_attrs["metrics"]["params"] <= 300000 for trial in study.trials)
    assert any(trial.constraints["val_accuracy>=0.8"] > 0 for trial in study.trials)
    again = ["--constraint", "params<=300001", "--study-name", "bound"]
    with pytest.raises(AssertionError, match="Expected constraint .* but got"):
        run(*search, *again)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "network"), [(DARTS_V2, ["--network.channels", "2"]), (SMALL_MOBILE, [])]
)
def test_train_reads_every_space(run: Callable[..., str], text: str, network: list[str]) -> None:
    out = run("train", text, "--epochs", "1", *network)
    assert re.search(r"architecture: .*\ntest accuracy: ", out)
    assert load_checkpoint("runs/train/best.ckpt").architecture.space in ("darts", "mobile")


@pytest.mark.parametrize("sampler", ["genetic", "tpe"])
def test_chain_search_ends_at_the_timeout(run: Callable[..., str], sampler: str) -> None:
    name = f"chain-{sampler}"
    search = ["search", "--space", "chain", "--epochs", "1", "--final-epochs", "1"]
    out = run(
        *search, "--sampler", sampler, "--n-trials", "900", "--timeout", "1", "--study-name", name
    )
    assert 0 < len(load(name).trials) < 900
    assert re.search(r"architecture: [CSO].*\ntest accuracy: ", out)


def test_search_in_which_all_trials_fail(run: Callable[..., str], tracking: str) -> None:
    Path("wrong.py").write_text(
        "from optuna.distributions import IntDistribution\n"
        "from torch import nn\n"
        "from optuna_nas import CustomSpace\n"
        "def build(a):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(7, a['width']))\n"
        "space = CustomSpace({'width': IntDistribution(2, 9)}, build=build)\n"
    )
    search = ["search", "--space", "wrong.py:space", "--epochs", "1", "--study-name", "failing"]
    out = run(*search, "--n-trials", "2", status=1)
    assert out.count("failed: RuntimeError: mat1 and mat2 shapes cannot be multiplied") == 2
    assert [t.state.name for t in load("failing").trials] == ["FAIL", "FAIL"]
    assert not Path("runs").exists()
    statuses = runs_of(tracking, "failing")
    assert [statuses[f"trial-000{i}"] for i in range(2)] == ["FAILED", "FAILED"]
    run("show", "--study-name", "failing", status=1)


def test_train_explicit_strings(run: Callable[..., str]) -> None:
    out = run("train", "C8k3-Smax2-O32", "--epochs", "1", "--output", "chain")
    assert "architecture: C8k3-Smax2-O32\n" in out
    cell = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|"
    out = run("train", cell, "--output", "cell", *SMALL)
    assert f"architecture: {cell}\n" in out
    assert Path("cell/best.ckpt.sha256").is_file()


def test_damaged_checkpoint_is_refused(
    run: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    run("train", "C-S-O", "--epochs", "1", "--output", "out")
    np.save("zero.npy", np.zeros((8, 8)))
    run("predict", "out/best.ckpt", "zero.npy")
    content = bytearray(Path("out/best.ckpt").read_bytes())
    content[len(content) // 2] ^= 1
    Path("out/best.ckpt").write_bytes(content)
    assert main(["predict", "out/best.ckpt", "zero.npy"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "out/best.ckpt" in line


@pytest.mark.slow
def test_resume_counts_all_finished_trials(run: Callable[..., str]) -> None:
    search = [*FAST, "--study-name", "again", "--sampler", "nsgaii"]
    run(*search, "--n-trials", "2")
    first = load("again").trials
    written = Path("runs/again/best.ckpt").stat().st_mtime_ns
    description = Path("runs/again/best.json").read_text()
    Path("runs/again/best.json").unlink()  # As if killed before it was written.
    out = run(*search, "--n-trials", "2")
    assert "has 2 finished trials" in out
    assert "Training" not in out
    assert Path("runs/again/best.ckpt").stat().st_mtime_ns == written
    assert Path("runs/again/best.json").read_text() == description
    run(*search, "--n-trials", "4")
    trials = load("again").trials
    assert len(trials) == 4
    assert [t.datetime_start for t in trials[:2]] == [t.datetime_start for t in first]
    run(*search, "--n-trials", "5", "--objectives", "params", status=2)
    run(*search, "--n-trials", "5", "--space", "chain", status=2)
    assert len(load("again").trials) == 4


@pytest.mark.slow
def test_own_space_and_data(run: Callable[..., str]) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(["dark", "light"], 60)
    images = rng.uniform(0, 0.4, size=(120, 6, 6)) + (labels == "light")[:, None, None] * 0.6
    np.savez("data.npz", X=images, y=labels)
    Path("mine.py").write_text(
        "from optuna.distributions import IntDistribution\n"
        "from torch import nn\n"
        "from optuna_nas import CustomSpace\n"
        "def build(a):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(36, a['width']), nn.ReLU(),\n"
        "                         nn.Linear(a['width'], 2))\n"
        "space = CustomSpace({'width': IntDistribution(2, 9)}, build=build)\n"
    )
    own = ["--space", "mine.py:space"]
    run(
        "search",
        "--data",
        "data.npz",
        *own,
        "--n-trials",
        "3",
        "--epochs",
        "2",
        "--study-name",
        "own",
        "--storage",
        "journal.log",
        "--pick",
        "knee",
        "--objectives",
        "val_accuracy",
        "params",
    )
    np.save("new.npy", np.full((2, 6, 6), 0.8))
    out = run("predict", "runs/own/best.ckpt", "new.npy", *own)
    assert out.count("light") == 2
    run("predict", "runs/own/best.ckpt", "new.npy", status=2)  # Does not know the space.
    run("train", "width=5", "--data", "data.npz", *own, "--epochs", "1")
    assert "own" in run("show", "--storage", "journal.log")


@pytest.mark.slow
def test_own_space_of_a_module_and_folder_of_images(
    run: Callable[..., str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for name, low in [("dark", 0), ("light", 150)]:
        Path("photos", name).mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(low, low + 100, size=(9, 9, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(f"photos/{name}/{i}.png")
    Path("widths").mkdir()
    Path("widths/__init__.py").write_text(
        "from optuna.distributions import CategoricalDistribution\n"
        "from torch import nn\n"
        "from optuna_nas import CustomSpace\n"
        "def build(a):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(243, a['width']),\n"
        "                         nn.Linear(a['width'], 2))\n"
        "lines = CustomSpace({'width': CategoricalDistribution([2, 4])}, build=build)\n"
    )
    monkeypatch.syspath_prepend(str(Path().resolve()))
    own = ["--space", "widths:lines"]
    search = ["search", "--data", "photos", *own, "--epochs", "1", "--n-trials", "2"]
    out = run(*search, "--study-name", "photos", "--batch-size", "8")
    assert "Best trial of photos" in out
    predict = ["predict", "runs/photos/best.ckpt", "photos/light/0.png", "photos/dark/0.png"]
    out = run(*predict, *own)
    assert len(re.findall("photos/(light|dark)/0.png", out)) == 2
    assert main(predict) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "which was widths:lines at its training" in line


@pytest.mark.slow
def test_folder_of_pictures_of_many_sizes_with_a_broken_one(
    run: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    for label, colour in [("dark", 30), ("light", 220)]:
        Path("photos", label).mkdir(parents=True)
        for i in range(10):
            image = Image.new("RGB", (10 + i, 14), (colour, colour, colour - i))
            image.save(f"photos/{label}/{i}.png")
    whole = Path("photos/dark/3.png").read_bytes()
    Path("photos/dark/3.png").write_bytes(whole[:20])
    train = ["train", "C-S-O", "--data", "photos", "--epochs", "1", "--output", "out"]
    assert main(train) == 0
    assert re.search("warning: 1 of 20 pictures .*photos/dark/3.png", capsys.readouterr().err)
    model = load_checkpoint("out/best.ckpt")
    assert model.preprocessing is not None
    assert model.preprocessing["input_shape"] == [3, 16, 16]
    assert "photos/light/9.png" in run("predict", "out/best.ckpt", "photos/light/9.png")


def test_narrow_terminal_and_names_like_markup(
    run: Callable[..., str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    search = ["search", "--data", "nasbench201:cifar10", "--n-trials", "2", "--study-name"]
    out = run(*search, "[red]a")
    assert "Best trial of [red]a (2 complete)" in out
    architecture = load("[red]a").best_trial.user_attrs["architecture"]
    assert f"│ {architecture} │" in out
    monkeypatch.setenv("COLUMNS", "50")
    out = run("show")
    assert f"\ntrial {load('[red]a').best_trial.number}: {architecture}\n" in out


def test_tracking_that_fails_is_a_warning_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    search = ["search", "--data", "nasbench201:cifar10", "--n-trials", "2"]
    assert main([*search, "--tracking-uri", "nonsense://x"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("optuna-nas: warning: Tracking in MLflow at nonsense://x failed; ")


@pytest.mark.slow
def test_train_and_predict_an_image(run: Callable[..., str]) -> None:
    Path("options.yaml").write_text("data: digits\nepochs: 4\noutput: out\n")
    out = run("train", "C-S-O", "--config", "options.yaml")
    assert "architecture: C16k3-Smax2-O64" in out
    model = load_checkpoint("out/best.ckpt")
    assert model.test_metrics["test_accuracy"] > 0.7
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = (digits.images[0] / 16 * 255).astype(np.uint8)
    Image.fromarray(pixels).resize((32, 32)).save("zero.png")
    assert re.search(r"zero.png *│ 0 ", run("predict", "out/best.ckpt", "zero.png"))
    Path("zero.png").write_bytes(b"no image")
    run("predict", "out/best.ckpt", "zero.png", status=2)


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("CREATE", None, Exception("table studies already exists")),
        IntegrityError("INSERT", None, Exception("UNIQUE constraint failed")),
    ],
)
def test_storage_that_another_process_makes_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    errors = [error, error]

    def make(*arguments: Any, **options: Any) -> RDBStorage:
        if errors:
            raise errors.pop()
        return RDBStorage(*arguments, **options)

    monkeypatch.setattr(_studies, "RDBStorage", make)
    assert _studies.open_storage(f"sqlite:///{tmp_path}/x.db").get_all_studies() == []
    assert not errors
