"""Modules, data and inputs of the user's own in the evaluator and the final training."""

from __future__ import annotations

from functools import partial
import math
from pathlib import Path
import re
from typing import Any

import optuna
from optuna.distributions import IntDistribution
import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch import Tensor
from torch.utils.data import DataLoader

from lightning_modules import load_checkpoint
from lightning_modules import Regression
from lightning_modules import TaskModule
from lightning_modules import train_final
from lightning_modules import TrainingEvaluator
from lightning_modules.training.checkpoint import CheckpointError
from lightning_modules.training.learner import Learner
from optuna_nas import ArchitectureObjective
from optuna_nas import Constraint
from optuna_nas import CustomSpace


N, SIZE = 40, 6


class Net(nn.Module):
    """Takes one tensor, a tuple or a dict of tensors."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(SIZE, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, inputs: Any) -> Tensor:
        if isinstance(inputs, dict):
            inputs = inputs["x"] + inputs["offset"][:, None]
        if isinstance(inputs, tuple | list):
            inputs = inputs[0] + inputs[1][:, None]
        result: Tensor = self.layers(inputs.float())
        return result


def build(architecture: Any) -> Net:
    return Net(architecture["width"])


SPACE = CustomSpace({"width": IntDistribution(2, 6, step=2)}, build=build, name="mlp")
MEMBER = SPACE.architecture({"width": 4})


class Data(pl.LightningDataModule):
    """Samples of one of the forms of input."""

    def __init__(self, form: str = "tensor") -> None:
        super().__init__()
        self.form = form

    def setup(self, stage: str) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(N, SIZE, generator=generator)
        self.y = self.x.sum(dim=1)

    def _loader(self) -> DataLoader[Any]:
        samples: list[Any] = []
        for x, y in zip(self.x, self.y, strict=True):
            offset = torch.zeros(())
            if self.form == "dict":
                samples.append(({"x": x, "offset": offset}, y))
            elif self.form == "tuple":
                samples.append(((x, offset), y))
            elif self.form == "int":
                samples.append(((x * 3).long(), y))
            else:
                samples.append((x, y))
        return DataLoader(samples, batch_size=10)

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader()

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader()

    def test_dataloader(self) -> DataLoader[Any]:
        return self._loader()


class Module(pl.LightningModule):
    """Logs ``val_rank``, of which nobody else has heard."""

    def __init__(self, network: nn.Module, rate: float = 0.05) -> None:
        super().__init__()
        self.network = network
        self.rate = rate
        self.seen: list[float] = []

    def forward(self, inputs: Any) -> Any:
        return self.network(inputs)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return nn.functional.mse_loss(self(batch[0]).squeeze(1), batch[1])

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        loss = nn.functional.mse_loss(self(batch[0]).squeeze(1), batch[1])
        self.log_dict({"val_rank": -loss, "val_mse": loss})

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.log("test_mse", nn.functional.mse_loss(self(batch[0]).squeeze(1), batch[1]))

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=self.rate)


def evaluator(module: Any = Module, form: str = "tensor", **settings: Any) -> TrainingEvaluator:
    arguments: dict[str, Any] = {"metrics": ["val_rank", "val_mse"], "accelerator": "cpu"}
    return TrainingEvaluator(build, Data(form), module=module, **{**arguments, **settings})


@pytest.mark.parametrize("form", ["tensor", "tuple", "dict", "int"])
def test_any_logged_value_is_a_metric_for_any_form_of_input(form: str) -> None:
    costs = ["params", "macs", "latency_ms", "peak_memory_mb", "training_memory_mb"]
    evaluate = evaluator(form=form, metrics=["val_rank", "val_mse", *costs], max_epochs=2)
    measured = evaluate(MEMBER).metrics
    assert measured["val_rank"] == pytest.approx(-measured["val_mse"])
    assert measured["params"] == 4 * (SIZE + 1) + 5
    assert measured["macs"] == 4 * SIZE + 4
    assert all(math.isfinite(measured[name]) and measured[name] > 0 for name in costs)
    assert evaluate.cost("params", MEMBER) == measured["params"]
    assert evaluate.memory_constraint().violation(1.0) < 0


def test_it_is_seeded_and_leaves_the_random_state() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second = evaluator()(MEMBER).metrics, evaluator()(MEMBER).metrics
    assert torch.equal(torch.rand(3), expected)
    assert first == second
    assert evaluator(seed=1)(MEMBER).metrics != first


def test_all_that_is_logged_is_reported_each_epoch() -> None:
    told: list[tuple[int, dict[str, float]]] = []
    evaluator(metrics=["val_mse"], max_epochs=2)(
        MEMBER, report=lambda epoch, values: told.append((epoch, dict(values)))
    )
    assert [epoch for epoch, _ in told] == [0, 1]
    assert {"val_rank", "val_mse"} <= set(told[0][1])


def test_what_is_logged_when_an_epoch_ends_is_a_metric() -> None:
    class Late(Module):
        def on_train_epoch_end(self) -> None:
            self.log("train_f1", float(self.current_epoch))

    told: list[float] = []
    found = evaluator(Late, metrics=["train_f1"], max_epochs=3)(
        MEMBER, report=lambda _, values: told.append(values["train_f1"])
    )
    assert told == [0, 1, 2]
    assert found.metrics == {"train_f1": 2}


def test_early_stopping_keeps_the_best_epoch_of_what_it_monitors() -> None:
    class Worse(Module):
        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.log_dict({"val_rank": 1.0 / (1 + self.current_epoch), "val_mse": 2.0})

    patient: dict[str, Any] = {"early_stopping_patience": 2, "max_epochs": 9}
    best = evaluator(Worse, monitor="val_rank:maximize", **patient)(MEMBER).metrics
    assert best["val_rank"] == 1.0
    last = evaluator(Worse, monitor="val_rank:minimize", **patient)(MEMBER).metrics
    assert last["val_rank"] == pytest.approx(1 / 9)


def test_a_pruner_sees_the_objective() -> None:
    class Stop(optuna.pruners.BasePruner):
        def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
            return trial.last_step == 0

    study = optuna.create_study(direction="maximize", pruner=Stop())
    objective = ArchitectureObjective(SPACE, evaluator(max_epochs=5), objectives=["val_rank"])
    study.optimize(objective, n_trials=2)
    assert [t.state.name for t in study.trials] == ["PRUNED"] * 2
    assert list(study.trials[0].intermediate_values) == [0]


def test_a_logged_value_can_be_a_constraint() -> None:
    bound = Constraint("val_mse", upper=0.0)
    objective = ArchitectureObjective(
        SPACE, evaluator(), objectives=["val_rank"], constraints=[bound]
    )
    study = optuna.create_study(direction="maximize")
    study.optimize(objective, n_trials=1)
    assert study.trials[0].constraints["val_mse<=0"] > 0


def test_divergence_is_told() -> None:
    with pytest.raises(RuntimeError, match="The training diverged: the loss of epoch 0 is"):
        evaluator(partial(Module, rate=1e30), max_epochs=3)(MEMBER)


def test_running_out_of_memory_fails_the_trial_alone() -> None:
    class Hungry(Module):
        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            raise torch.OutOfMemoryError("as a GPU says")

    study = optuna.create_study(direction="maximize")
    objective = ArchitectureObjective(SPACE, evaluator(Hungry), objectives=["val_rank"])
    study.optimize(objective, n_trials=2, catch=(Exception,))
    assert [t.state.name for t in study.trials] == ["FAIL"] * 2
    assert "OutOfMemoryError: as a GPU says" in study.trials[0].user_attrs["fail_reason"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"metrics": ["val_f2"]}, r"names that the module logs each .*'val_mse'.* 'val_f2'"),
        ({"metrics": None}, "`metrics` to be names of .* and of values that the module logs"),
        ({"metrics": []}, "`metrics` to be names of"),
        ({"learning_rate": 0.1}, "no argument `learning_rate` beside `module`"),
        ({"optimizer": "sgd"}, "no argument `optimizer` beside `module`"),
        ({"module": lambda network: network}, "`module` to make a LightningModule .* got Net"),
        ({"monitor": "val_rank", "early_stopping_patience": 1}, "`monitor` to say the direction"),
    ],
)
def test_what_is_wrong_is_told(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        evaluator(**settings)(MEMBER)


def test_data_without_validation_is_told() -> None:
    class TrainOnly(pl.LightningDataModule):
        def train_dataloader(self) -> DataLoader[Any]:
            return DataLoader([(torch.zeros(SIZE), torch.zeros(()))] * 4, batch_size=2)

    evaluate = TrainingEvaluator(
        build, TrainOnly(), module=Module, metrics=["val_mse"], accelerator="cpu"
    )
    with pytest.raises(ValueError, match="`datamodule` to have validation data for val_mse"):
        evaluate(MEMBER)


# The finished model.


@pytest.mark.parametrize("form", ["tensor", "tuple", "dict"])
def test_a_finished_module_is_tested_saved_and_predicts(form: str, tmp_path: Path) -> None:
    path = tmp_path / "best.ckpt"
    model = train_final(build, MEMBER, Data(form), path, module=Module, max_epochs=2)
    assert set(model.test_metrics) == {"test_mse"}
    loaded = load_checkpoint(path, build=build, module=Module)
    assert loaded.test_metrics == model.test_metrics
    x, offset = torch.randn(7, SIZE), torch.zeros(7)
    inputs: Any = {"tensor": x, "tuple": (x, offset), "dict": {"x": x, "offset": offset}}[form]
    torch.testing.assert_close(loaded.predict(inputs), model.predict(inputs))
    torch.testing.assert_close(loaded.predict(inputs, batch_size=2), model.predict(inputs))


class Extended(TaskModule):
    """A module of one's own that begins with the one of a task."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network, Regression())
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, inputs: Any) -> Any:
        return super().forward(inputs) * self.scale


def test_a_finished_module_that_extends_the_one_of_a_task(tmp_path: Path) -> None:
    path = tmp_path / "best.ckpt"
    model = train_final(build, MEMBER, Data(), path, module=Extended, max_epochs=2)
    assert isinstance(model.network, Extended)
    loaded = load_checkpoint(path, build=build, module=Extended)
    assert loaded.task is None
    assert isinstance(loaded.network, Extended)
    assert loaded.network.scale.item() != 1  # It was trained like the network.
    x = torch.randn(7, SIZE)
    torch.testing.assert_close(loaded.predict(x), model.predict(x))
    assert loaded.predict(x).shape == (7, 1)


def test_a_measurement_that_is_no_number_costs_nothing(tmp_path: Path) -> None:
    class Undefined(Module):
        def test_step(self, batch: Any, batch_idx: int) -> None:
            self.log_dict({"test_f1": math.nan, "test_ratio": math.inf, "test_mse": 1.0})

    path = tmp_path / "best.ckpt"
    train_final(build, MEMBER, Data(), path, module=Undefined, max_epochs=1)
    found = load_checkpoint(path, build=build, module=Undefined).test_metrics
    assert math.isnan(found["test_f1"])
    assert (found["test_ratio"], found["test_mse"]) == (math.inf, 1)


def test_a_task_beside_a_module_is_not_ignored(tmp_path: Path) -> None:
    sentence = "`module` or argument `task` but got both: Module and regression"
    with pytest.raises(ValueError, match=sentence):
        evaluator(task="regression")
    with pytest.raises(ValueError, match=sentence):
        train_final(build, MEMBER, Data(), tmp_path / "m.ckpt", module=Module, task="regression")


def test_code_of_the_users_own_is_not_imported_unasked(tmp_path: Path) -> None:
    path = tmp_path / "best.ckpt"
    train_final(build, MEMBER, Data(), path, module=Module, max_epochs=1)
    with pytest.raises(CheckpointError, match="`build`, as the network in .* space of its own"):
        load_checkpoint(path)
    with pytest.raises(CheckpointError, match="`module`, as the network in .* trained by") as told:
        load_checkpoint(path, build=build)
    assert re.search(r":Module\)", str(told.value))


def test_a_learner_makes_networks_and_modules() -> None:
    module = Learner(build, Module)(MEMBER)
    assert isinstance(module, Module)
    assert Learner(build, Module).lightning(module, MEMBER) is module
    learner = Learner(build, None, Regression(), learning_rate=0.3, schedule=None)
    network = learner(MEMBER)
    made = learner.lightning(network, MEMBER)
    assert isinstance(made, TaskModule)
    assert made.network is network
    assert (made.learning_rate, made.schedule) == (0.3, "one_cycle")
    with pytest.raises(ValueError, match="`optimizer` to be one of .* but got 'adam'"):
        Learner(build, optimizer="adam")
