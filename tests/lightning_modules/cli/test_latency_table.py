"""``optuna-nas search --latency-table``: predicted latencies, and tables that do not fit."""

from __future__ import annotations

import json
from pathlib import Path
import re

from mlflow import MlflowClient
import numpy as np
import optuna
import pytest

from lightning_modules import Latency
from lightning_modules import LatencyTable
from lightning_modules.cli import main
from lightning_modules.costs import latency_profile
from optuna_nas import CellSpace


NETWORK = ["--network.channels", "2", "--network.stages", "1"]
TABLE = ["--latency-table", "latency.json"]
SEARCH = ["search", "--data", "digits", "--epochs", "1", "--final-epochs", "1"]


@pytest.fixture(autouse=True)
def _table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with a table whose latencies no machine would measure."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(latency_profile, "time_forward", lambda *_, **__: Latency(1000.0, 0.0))
    assert main(["profile", "--data", "digits", *NETWORK]) == 0


@pytest.mark.slow
def test_latency_is_predicted(capsys: pytest.CaptureFixture[str]) -> None:
    table, space = LatencyTable.load("latency.json"), CellSpace()
    assert (
        table.predict_ms(space.complete(dict.fromkeys(space.distributions, "nor_conv_1x1"))) > 9500
    )
    search = [*SEARCH, *NETWORK, "--objectives", "params", "latency_ms", "--study-name", "table"]
    search += ["--constraint", "latency_ms<=9500"]
    assert main([*search, *TABLE, "--n-trials", "4"]) == 0
    study = optuna.load_study(study_name="table", storage="sqlite:///optuna.db")
    for trial in study.trials:
        predicted = table.predict_ms(space.architecture(trial.params))
        assert trial.values[1] == trial.user_attrs["metrics"]["latency_ms"] == predicted
        assert predicted <= 9500  # It is known before the network is built.
        assert trial.constraints["latency_ms<=9500"] == pytest.approx(predicted / 9500 - 1)

    source = study.user_attrs["search"]["latency_table"]
    assert re.match(r"latency.json, profiled on .+ with 1 threads and batch size 1, 20", source)
    client = MlflowClient("sqlite:///mlflow.db")
    experiment = client.get_experiment_by_name("table")
    assert experiment is not None
    (parent,) = client.search_runs([experiment.experiment_id], "attributes.run_name = 'table'")
    assert parent.data.params["latency_table"] == source

    capsys.readouterr()
    assert main([*search, "--n-trials", "5"]) == 2
    assert "Expected latency_table 'latency.json, profiled on" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(("relaxation", "counts"), [("fbnet", True), ("gdas", False)])
def test_latency_counts_in_the_loss_of_fbnet(relaxation: str, counts: bool) -> None:
    search = [*SEARCH, *NETWORK, *TABLE, "--objectives", "val_accuracy", "latency_ms"]
    search += ["--supernet", relaxation, "--supernet-epochs", "1", "--n-trials", "1"]
    assert main([*search, "--study-name", "factor"]) == 0
    settings = json.loads(Path("runs/factor/supernet/settings.json").read_text())
    assert list(settings["relaxation_arguments"]) == (["costs"] if counts else [])
    factors = settings["relaxation_arguments"].get("costs", [])
    assert len(factors) == counts
    assert all(factor.startswith("LatencyFactor(alpha=0.2, beta=0.6, ") for factor in factors)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--space", "mobile"], "of search space `mobile` but got one of `cell`"),
        (["--network.channels", "4"], "of networks with `channels` 4 but got one of 2"),
        (["--network.stages", "2"], "of networks with `stages` 2 but got one of 1"),
        (["--data", "fashion.npz"], r"`input_shape` \(1, 9, 9\) but got one of \(1, 8, 8\)"),
        (
            ["--space", "own.py:space"],
            r"of a space with decision `edge_0_1` .*\('none', .* but got one of",
        ),
        (["--latency-table", "part.json"], "a complete table but 1 entries of part.json have"),
        (["--latency-table", "other.json"], "other.json to be a latency table of version 2 but"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_tables_that_do_not_fit(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    np.savez("fashion.npz", X=rng.random((60, 9, 9)), y=np.arange(60) % 10)
    document = json.loads(Path("latency.json").read_text())
    Path("other.json").write_text(json.dumps({**document, "latency_table": 99}))
    document["latencies"]["stem"] = {}
    Path("part.json").write_text(json.dumps(document))
    Path("own.py").write_text(
        "from optuna_nas import CellSpace\n"
        "space = CellSpace(operations=('none', 'nor_conv_3x3'))\n"
    )
    capsys.readouterr()
    network = [] if "--space" in arguments else NETWORK
    assert main([*SEARCH, *network, "--objectives", "latency_ms", *TABLE, *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("optuna-nas: error: Expected ")
    assert re.search(sentence, line), line
    assert not list(Path().glob("*.db"))
