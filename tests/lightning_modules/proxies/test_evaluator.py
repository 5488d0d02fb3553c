"""The proxy evaluator: what it scores, on which batch, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
import functools
import math
import pickle
from typing import Any

import optuna
import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.data import TensorDataset

from lightning_modules import build_chain_backbone
from lightning_modules import compute_proxies
from lightning_modules import ProxyEvaluator
from lightning_modules.data import DigitsDataModule
from lightning_modules.data import draw_batches
from lightning_modules.data import Split
from lightning_modules.proxies import naswot
from lightning_modules.registries import PROXIES
from lightning_modules.tasks import Classification
from lightning_modules.tasks import Regression
from optuna_nas import Architecture
from optuna_nas import ArchitectureObjective
from optuna_nas import ChainSpace
from optuna_nas.metrics import METRICS


SPACE = ChainSpace()
CHAIN = SPACE.from_string("C8k3-Smax2-O32")
BUILD = functools.partial(build_chain_backbone, input_shape=(1, 8, 8))
CLASSES = Classification(10)


class SearchOnlyDigits(DigitsDataModule):
    """Digits whose test split must not be read."""

    def read_test_data(self) -> Split:
        raise AssertionError("The search read the test split.")

    def val_dataloader(self) -> Any:
        raise AssertionError("The batch is one of validation.")


class PlainDataModule(pl.LightningDataModule):
    """An ordinary data module of a user, shuffled by the global generator."""

    num_classes = 10

    def __init__(self, n: int = 40) -> None:
        super().__init__()
        self.n = n

    def setup(self, stage: str) -> None:
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randn(self.n, 1, 8, 8, generator=generator)
        self.labels = torch.arange(self.n) % 10

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(self.images, self.labels), batch_size=8, shuffle=True)


@pytest.fixture(scope="module")
def digits() -> SearchOnlyDigits:
    return SearchOnlyDigits(batch_size=10)


def expected_scores(datamodule: DigitsDataModule, n: int, seed: int) -> Mapping[str, float]:
    images, labels = draw_batches(datamodule, "train", n, seed=seed, batch_size=n)[0]
    torch.manual_seed(seed)
    return compute_proxies(CLASSES.network(BUILD(CHAIN)), images, labels, CLASSES.loss)


@pytest.mark.parametrize(("batch_size", "seed"), [(10, 0), (25, 7)])
def test_scores_of_the_seed_and_a_stratified_batch(
    digits: SearchOnlyDigits, batch_size: int, seed: int
) -> None:
    metrics = ("snip", *PROXIES)
    evaluator = ProxyEvaluator(BUILD, digits, metrics=metrics, batch_size=batch_size, seed=seed)
    random_state = torch.get_rng_state()
    found = evaluator(CHAIN).metrics
    assert torch.equal(torch.get_rng_state(), random_state)
    assert found == expected_scores(digits, batch_size, seed)
    assert list(found) == list(dict.fromkeys(metrics))
    assert evaluator(CHAIN).metrics == found


def test_every_class_has_its_share_of_a_sorted_data_set() -> None:
    class Sorted(PlainDataModule):
        def setup(self, stage: str) -> None:
            super().setup(stage)
            self.labels = torch.arange(self.n) * 10 // self.n

    evaluator = ProxyEvaluator(BUILD, Sorted(), batch_size=20)
    _, images, labels = evaluator._task_and_batch()
    assert len(images) == 20
    assert labels.bincount().tolist() == [2] * 10


def test_the_hooks_of_the_data_module_see_the_batch() -> None:
    class Bytes(PlainDataModule):
        """Whole numbers until they are on the device, as some data modules have images."""

        def setup(self, stage: str) -> None:
            super().setup(stage)
            self.bytes = (128 + 30 * self.images).clamp(0, 255).to(torch.uint8)

        def train_dataloader(self) -> DataLoader[Any]:
            return DataLoader(TensorDataset(self.bytes, self.labels), batch_size=8)

        def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
            images, labels = batch
            return (images.float() - 128) / 30, labels

    class Floats(Bytes):
        def train_dataloader(self) -> DataLoader[Any]:
            images = (self.bytes.float() - 128) / 30
            return DataLoader(TensorDataset(images, self.labels), batch_size=8)

        def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
            return batch

    metrics = ["snip", "jacob-cov"]
    found = ProxyEvaluator(BUILD, Bytes(), metrics=metrics)(CHAIN)
    assert found == ProxyEvaluator(BUILD, Floats(), metrics=metrics)(CHAIN)


def test_batches_that_the_data_module_puts_together_are_joined() -> None:
    class Pairs(PlainDataModule):
        def train_dataloader(self) -> DataLoader[Any]:
            data = TensorDataset(self.images, self.labels)
            return DataLoader(data, batch_sampler=[[i, i + 1] for i in range(0, self.n, 2)])

    evaluator = ProxyEvaluator(BUILD, Pairs(), batch_size=7)
    _, images, labels = evaluator._task_and_batch()
    assert images.shape == (7, 1, 8, 8)
    assert labels.shape == (7,)


def test_the_task_gives_loss_and_head(digits: SearchOnlyDigits) -> None:
    class Numbers(PlainDataModule):
        def setup(self, stage: str) -> None:
            super().setup(stage)
            self.labels = torch.randn(self.n, 10, generator=torch.Generator().manual_seed(1))

    task = Regression(10)
    evaluator = ProxyEvaluator(BUILD, Numbers(), task=task, metrics=list(PROXIES), batch_size=8)
    found = evaluator(CHAIN).metrics
    assert all(math.isfinite(value) for value in found.values())
    _, inputs, targets = evaluator._task_and_batch()
    torch.manual_seed(0)
    assert found == compute_proxies(task.network(BUILD(CHAIN)), inputs, targets, task.loss)
    with pytest.raises(ValueError, match="to be one of .*regression.* but got 'cooking'"):
        ProxyEvaluator(BUILD, digits, task="cooking")(CHAIN)


def test_proxies_are_metrics_of_which_more_is_better(digits: SearchOnlyDigits) -> None:
    ProxyEvaluator(BUILD, digits, metrics=["naswot", "params"])
    naswot = METRICS.find("naswot")
    assert naswot is not None
    assert (naswot.direction, naswot.source) == ("maximize", "proxy")
    params = METRICS.find("params")
    assert params is not None
    assert (params.direction, params.source) == ("minimize", "counted")  # As before.


def test_the_seed_matters(digits: SearchOnlyDigits) -> None:
    scores = {
        ProxyEvaluator(BUILD, digits, seed=seed)(CHAIN).metrics["synflow"] for seed in range(3)
    }
    assert len(scores) == 3


def test_a_loader_that_shuffles_by_the_global_generator() -> None:
    torch.manual_seed(11)
    first = ProxyEvaluator(BUILD, PlainDataModule(), metrics=["snip"], batch_size=20)(CHAIN)
    torch.manual_seed(12)
    random_state = torch.get_rng_state()
    second = ProxyEvaluator(BUILD, PlainDataModule(), metrics=["snip"], batch_size=20)(CHAIN)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert first == second
    batches = []
    for seed in range(2):
        evaluator = ProxyEvaluator(BUILD, PlainDataModule(), batch_size=20, seed=seed)
        evaluator(CHAIN)
        batches.append(evaluator._task_and_batch()[1])
    assert not torch.equal(*batches)


def test_fewer_images_than_asked_for() -> None:
    datamodule = PlainDataModule(n=12)
    evaluator = ProxyEvaluator(BUILD, datamodule, metrics=["naswot"], batch_size=1000)
    datamodule.setup("fit")
    torch.manual_seed(0)
    expected = naswot(CLASSES.network(BUILD(CHAIN)), datamodule.images)
    assert evaluator(CHAIN).metrics["naswot"] == pytest.approx(expected)


def test_augmentation_of_a_running_training_goes_on() -> None:
    digits = SearchOnlyDigits(crop_padding=1)
    digits.train_dataloader()
    generator = digits._augmentation_generator
    assert generator is not None
    torch.randn(5, generator=generator)
    state = generator.get_state()
    ProxyEvaluator(BUILD, digits)(CHAIN)
    assert digits._augmentation_generator is generator
    assert torch.equal(generator.get_state(), state)


def test_score_is_a_function_that_pickles(digits: SearchOnlyDigits) -> None:
    evaluator = ProxyEvaluator(BUILD, digits, metrics=["naswot"], batch_size=16)
    score = evaluator.score("grad-norm")
    expected = expected_scores(digits, 16, 0)["grad-norm"]
    assert pickle.loads(pickle.dumps(score))(CHAIN) == expected
    assert score(CHAIN) == expected
    assert pickle.loads(pickle.dumps(score))(CHAIN) == expected


def test_proxies_are_objectives(digits: SearchOnlyDigits) -> None:
    metrics = ("naswot", "params")
    evaluator = ProxyEvaluator(BUILD, digits, metrics=metrics, batch_size=8)
    objective = ArchitectureObjective(SPACE, evaluator, objectives=metrics)
    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=optuna.samplers.RandomSampler(seed=0)
    )
    study.optimize(objective, n_trials=4)
    assert all(trial.state.name == "COMPLETE" for trial in study.trials)
    assert len({trial.values[0] for trial in study.trials}) == 4


def test_nothing_is_reported(digits: SearchOnlyDigits) -> None:
    def report(epoch: int, metrics: Mapping[str, float]) -> None:
        raise AssertionError("There is no epoch.")

    ProxyEvaluator(BUILD, digits)(CHAIN, report=report)


def test_errors_of_the_build_come_out(digits: SearchOnlyDigits) -> None:
    def broken(architecture: Architecture) -> nn.Module:
        torch.rand(1)
        raise KeyError("broken")

    random_state = torch.get_rng_state()
    with pytest.raises(KeyError, match="broken"):
        ProxyEvaluator(broken, digits)(CHAIN)
    assert torch.equal(torch.get_rng_state(), random_state)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("metrics", (), r"names of .*synflow, .* but got \(\)"),
        ("metrics", "synflow", "but got 'synflow'"),
        ("metrics", ("synflow", "val_accuracy"), "but got"),
        ("batch_size", 1, "at least 2 but got 1"),
        ("seed", -1, "at least 0 but got -1"),
        ("accelerator", "tpu", "auto or cpu, .* but got 'tpu'"),
    ],
)
def test_wrong_arguments(
    digits: SearchOnlyDigits, argument: str, value: Any, message: str
) -> None:
    if argument == "accelerator" and torch.accelerator.is_available():
        pytest.skip("a device is there")
    arguments: dict[str, Any] = {argument: value}
    with pytest.raises(ValueError, match=f"Expected argument `{argument}` to be .*{message}"):
        ProxyEvaluator(BUILD, digits, **arguments)


def test_wrong_metric_of_a_score(digits: SearchOnlyDigits) -> None:
    with pytest.raises(ValueError, match=r"`metric` to be .* but got 'val_loss'"):
        ProxyEvaluator(BUILD, digits).score("val_loss")


def test_no_training_data() -> None:
    class Empty(PlainDataModule):
        def train_dataloader(self) -> Any:
            return []

    with pytest.raises(ValueError, match="`datamodule` to have train data"):
        ProxyEvaluator(BUILD, Empty())(CHAIN)


def test_default_metric(digits: SearchOnlyDigits) -> None:
    metrics = ProxyEvaluator(BUILD, digits)(CHAIN).metrics
    assert list(metrics) == ["synflow"]
    assert math.isfinite(metrics["synflow"])


def test_rank_score_is_the_mean_share_of_the_reference() -> None:
    evaluator = ProxyEvaluator(BUILD, PlainDataModule())
    texts = ["C8k3-O32", "C16k3-O32", "C32k3-O32", "C64k3-O32"]
    reference = [SPACE.from_string(text) for text in texts]
    score = evaluator.rank_score(["params"], reference)
    assert [score(member) for member in reference] == [0.125, 0.375, 0.625, 0.875]
    assert score(SPACE.from_string("C8k3-Smax2-O32")) == 0.0
    assert score(SPACE.from_string("C64k5-O128")) == 1.0

    both = pickle.loads(pickle.dumps(evaluator.rank_score(["params", "macs"], reference)))
    pooled = SPACE.from_string("Smax2-C64k3-O32")  # More parameters than two, fewer MACs.
    macs = evaluator.rank_score(["macs"], reference)
    assert both(pooled) == (score(pooled) + macs(pooled)) / 2
    assert score(pooled) != macs(pooled)


def test_reference_is_scored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Architecture] = []

    def build(architecture: Architecture) -> nn.Module:
        built.append(architecture)
        return BUILD(architecture)

    score = ProxyEvaluator(build, PlainDataModule()).rank_score(["params"], [CHAIN] * 3)
    assert score(CHAIN) == score(CHAIN) == 0.5
    assert len(built) == 3 + 2


def test_wrong_arguments_of_rank_score() -> None:
    evaluator = ProxyEvaluator(BUILD, PlainDataModule())
    with pytest.raises(ValueError, match="`metrics` to be one of .* but got 'size'"):
        evaluator.rank_score(["size"], [CHAIN])
    with pytest.raises(ValueError, match="`reference` to be architectures but got none"):
        evaluator.rank_score(["params"], [])
