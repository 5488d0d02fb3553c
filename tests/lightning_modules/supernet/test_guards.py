from collections.abc import Iterator
import copy
import math
from pathlib import Path
from typing import Any
import warnings

import pytest
import pytorch_lightning as pl
from pytorch_lightning.demos.boring_classes import BoringModel
from pytorch_lightning.loggers import CSVLogger
import torch

from lightning_modules.data import DigitsDataModule
from lightning_modules.spaces.cell import CellSupernet
from lightning_modules.spaces.darts import DartsSupernet
from lightning_modules.supernet import _guards
from lightning_modules.supernet import CollapseGuard
from lightning_modules.supernet import Supernet
from lightning_modules.supernet import SupernetDataModule
from lightning_modules.supernet import SupernetModule
from lightning_modules.supernet._guards import has_risen
from lightning_modules.supernet._guards import operation_counts
from lightning_modules.supernet.relaxations import Darts
from lightning_modules.supernet.relaxations import Enas
from lightning_modules.supernet.relaxations import Gdas
from lightning_modules.supernet.relaxations import Relaxation
from lightning_modules.supernet.relaxations import SinglePath
from lightning_modules.tasks import Classification
from optuna_nas import CellSpace
from optuna_nas import DartsSpace


SIZES = {"input_shape": (1, 8, 8), "channels": 4}


def make_module(kind: type[Relaxation] = Darts, **arguments: Any) -> SupernetModule:
    torch.manual_seed(0)
    supernet = CellSupernet(
        CellSpace(n_nodes=3), Classification(10), **SIZES, cells_per_stage=1, stages=1
    )
    return SupernetModule(supernet, kind(supernet), architecture_learning_rate=0.05, **arguments)


def fit(
    module: SupernetModule, *callbacks: pl.Callback, path: Path, max_epochs: int, **arguments: Any
) -> pl.Trainer:
    resume = arguments.pop("ckpt_path", None)
    trainer = pl.Trainer(
        **{
            "accelerator": "cpu",
            "max_epochs": max_epochs,
            "limit_train_batches": 2,
            "limit_val_batches": 1,
            "num_sanity_val_steps": 0,
            "logger": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "enable_checkpointing": False,
            "default_root_dir": path,
            "callbacks": list(callbacks),
            **arguments,
        }
    )
    data = SupernetDataModule(DigitsDataModule(batch_size=32))
    trainer.fit(module, datamodule=data, ckpt_path=resume)
    return trainer


class Trace(pl.Callback):
    """Keeps the architecture parameters of each epoch."""

    def __init__(self) -> None:
        self.logits: list[dict[str, torch.Tensor]] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.logits.append(copy.deepcopy(pl_module.relaxation.state_dict()))


@pytest.fixture
def rising(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Eigenvalues that are measured one after the other, instead of real ones."""
    values = [1.0, 1.0, 1.0, 1.2, 1.3, 1.5, 9.0, 9.0, 9.0, 9.0, 9.0]
    measured: Iterator[float] = iter(values)
    monkeypatch.setattr(_guards, "architecture_eigenvalue", lambda *args: next(measured))
    return values


@pytest.mark.parametrize(
    ("values", "due"),
    [
        ([], False),
        ([1.0, 1.0, 2.0], False),  # Too few.
        ([1.0, 1.0, 2.0, 2.0], True),
        ([9.0, 1.0, 1.0, 2.0, 2.0], True),  # What came earlier does not count.
        ([1.0, 2.0, 1.5, 2.49], False),  # 3 / 3.99 is above 0.75.
        ([1.0, 2.0, 1.5, 2.51], True),  # 3 / 4.01 is below.
        ([2.0, 2.0, 1.0, 1.0], False),
        ([0.0, 0.0, 0.0, 0.0], False),
        ([0.0, 0.0, 0.0, 0.1], True),
        ([1.0, math.nan, 2.0, 2.0], False),
        ([1.0, 1.0, 2.0, math.nan], False),
    ],
)
def test_has_risen(values: list[float], due: bool) -> None:
    assert has_risen(values, 2, 0.75) is due


def test_has_risen_at_the_published_settings() -> None:
    values = [1.0, 1.1, 0.9, 1.0, 1.0, 1.0, 1.2, 1.4, 1.5, 1.5, 1.6, 1.7]
    means = [sum(values[t - 4 : t + 1]) / 5 for t in range(4, len(values))]
    expected = [i >= 5 and means[i - 5] / means[i] < 0.75 for i in range(len(means))]
    assert [has_risen(values[: t + 1], 5, 0.75) for t in range(4, len(values))] == expected
    assert expected == [False] * 6 + [True] * 2


def test_counts_of_one_kind_of_cells() -> None:
    module = make_module()
    cell = module.supernet.space.from_string("|none~0|+|skip_connect~0|skip_connect~1|")
    assert operation_counts(module, cell) == {"skip_count": 2, "none_count": 1}


def test_counts_of_two_kinds_of_cells() -> None:
    space = DartsSpace(n_nodes=2)
    supernet = DartsSupernet(space, Classification(10), **SIZES)
    architecture = space.complete(
        {
            "normal_2_op_1": "skip_connect",
            "normal_2_op_2": "skip_connect",
            "normal_3_op_1": "sep_conv_3x3",
            "normal_3_op_2": "none",
            "reduce_2_op_1": "skip_connect",
            "reduce_2_op_2": "max_pool_3x3",
            "reduce_3_op_1": "none",
            "reduce_3_op_2": "none",
        }
    )
    assert operation_counts(SupernetModule(supernet, Darts(supernet)), architecture) == {
        "skip_count": 3,
        "skip_count_normal": 2,
        "skip_count_reduce": 1,
        "none_count": 3,
        "none_count_normal": 1,
        "none_count_reduce": 2,
    }


@pytest.mark.parametrize("kind", [Darts, Gdas])
def test_curves_reach_the_logger(kind: type[Relaxation], tmp_path: Path) -> None:
    module, guard = make_module(kind), CollapseGuard(every_n_epochs=2)
    logger = CSVLogger(tmp_path)
    fit(module, guard, path=tmp_path, max_epochs=4, logger=logger, log_every_n_steps=1)
    lines = (Path(logger.log_dir) / "metrics.csv").read_text().splitlines()
    names = lines[0].split(",")
    columns = {name: [line.split(",")[i] for line in lines[1:]] for i, name in enumerate(names)}
    curve = [float(value) for value in columns["architecture_eigenvalue"] if value]
    assert curve == pytest.approx(guard.eigenvalues, rel=1e-5)
    assert len(curve) == 2
    assert len([value for value in columns["skip_count"] if value]) == 4
    operations = list(module.best_architecture().values())
    assert float(columns["skip_count"][-1]) == operations.count("skip_connect")
    assert float(columns["none_count"][-1]) == operations.count("none")


def test_guard_does_not_disturb_the_training(tmp_path: Path) -> None:
    watched, alone = make_module(), make_module()
    fit(watched, CollapseGuard(), path=tmp_path, max_epochs=2)
    fit(alone, path=tmp_path, max_epochs=2)
    for name, tensor in alone.state_dict().items():
        assert torch.equal(watched.state_dict()[name], tensor), name


@pytest.mark.parametrize("kind", [SinglePath, Enas])
def test_relaxations_without_logits_have_no_eigenvalue(
    kind: type[Relaxation], tmp_path: Path
) -> None:
    guard = CollapseGuard()
    trainer = fit(make_module(kind), guard, path=tmp_path, max_epochs=1)
    assert guard.eigenvalues == []
    assert "architecture_eigenvalue" not in trainer.callback_metrics
    assert ("skip_count" in trainer.callback_metrics) is (kind is Enas)


def test_no_eigenvalue_before_the_architecture_learns(tmp_path: Path) -> None:
    guard = CollapseGuard()
    fit(make_module(architecture_start=0.5), guard, path=tmp_path, max_epochs=4)
    assert len(guard.eigenvalues) == 3  # After 2, 3 and 4 of 4 epochs.


@pytest.mark.usefixtures("rising")
def test_risen_eigenvalues_keep_the_early_architecture(tmp_path: Path) -> None:
    """With k = 2 the mean is 1.4 after epoch 5, and 5.25 after epoch 6: 1.25 before."""
    module, guard, trace = make_module(), CollapseGuard(window=2), Trace()
    with pytest.warns(
        UserWarning, match=r"from 1\.25 to 5\.25.*keeps the architecture of epoch 4"
    ):
        trainer = fit(module, guard, trace, path=tmp_path, max_epochs=8)
    assert trainer.current_epoch == 8
    assert guard.early_epoch == 4
    twin = make_module()
    twin.relaxation.load_state_dict(trace.logits[4])
    assert guard.early_architecture == twin.best_architecture()


@pytest.mark.usefixtures("rising")
def test_risen_eigenvalues_stop_the_training(tmp_path: Path) -> None:
    module, guard, trace = make_module(), CollapseGuard(window=2, stop=True), Trace()
    with pytest.warns(UserWarning, match="the training ends with the architecture of epoch 4"):
        trainer = fit(module, guard, trace, path=tmp_path, max_epochs=10)
    assert trainer.current_epoch == 7
    for name, tensor in module.relaxation.state_dict().items():
        assert torch.equal(tensor, trace.logits[4][name])
    assert not torch.equal(trace.logits[4]["logits.edge_0_1"], trace.logits[5]["logits.edge_0_1"])
    assert guard.early_architecture == module.best_architecture()

    trainer.save_checkpoint(tmp_path / "stopped.ckpt")
    again, guard = make_module(), CollapseGuard(window=2, stop=True)
    trainer = fit(again, guard, path=tmp_path, max_epochs=10, ckpt_path=tmp_path / "stopped.ckpt")
    assert guard.early_epoch == 4
    for name, tensor in module.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_resumed_guard_goes_on(tmp_path: Path) -> None:
    class Stop(pl.Callback):
        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            if trainer.current_epoch == 2:
                trainer.should_stop = True

    whole = CollapseGuard(window=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit(make_module(), whole, path=tmp_path, max_epochs=6)
        first = CollapseGuard(window=1)
        trainer = fit(make_module(), first, Stop(), path=tmp_path, max_epochs=6)
        trainer.save_checkpoint(tmp_path / "half.ckpt")
        resumed = CollapseGuard(window=1)
        fit(make_module(), resumed, path=tmp_path, max_epochs=6, ckpt_path=tmp_path / "half.ckpt")
    assert first.eigenvalues == whole.eigenvalues[:3]
    assert resumed.eigenvalues == whole.eigenvalues
    assert len(set(whole.eigenvalues)) == 6
    state, expected = resumed.state_dict(), whole.state_dict()
    assert state["early_epoch"] == expected["early_epoch"]
    assert state["early_architecture"] == expected["early_architecture"]
    assert [entry["epoch"] for entry in state["recent"]] == [4, 5]
    for part, other in zip(state["batch"], expected["batch"], strict=True):
        assert torch.equal(part, other)


def test_checkpoint_is_of_plain_types(tmp_path: Path) -> None:
    guard = CollapseGuard(max_samples=5)
    trainer = fit(make_module(), guard, path=tmp_path, max_epochs=1)
    trainer.save_checkpoint(tmp_path / "stage.ckpt")
    state = torch.load(tmp_path / "stage.ckpt", weights_only=True)["callbacks"]["CollapseGuard"]
    assert state["eigenvalues"] == guard.eigenvalues
    assert [len(part) for part in state["batch"]] == [5, 5]


def lean_to(supernet: Supernet, relaxation: Darts, operation: str) -> None:
    with torch.no_grad():
        for name, logits in relaxation.logits.items():
            logits[supernet.choices[name].index(operation)] += 20


def test_warning_at_the_end(tmp_path: Path) -> None:
    module = make_module()
    lean_to(module.supernet, module.relaxation, "skip_connect")
    expected = "looks collapsed: 3 of 3 operations are `skip_connect`; fewer epochs"
    with pytest.warns(UserWarning, match=expected):
        fit(module, CollapseGuard(), path=tmp_path, max_epochs=1)


def test_no_warning_without_a_collapse(tmp_path: Path) -> None:
    module = make_module()
    lean_to(module.supernet, module.relaxation, "nor_conv_3x3")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(module, CollapseGuard(), path=tmp_path, max_epochs=1)
    assert not [w for w in caught if "collapse" in str(w.message)]


def test_other_modules_are_refused() -> None:
    trainer = pl.Trainer(logger=False, accelerator="cpu")
    with pytest.raises(TypeError, match="to be a SupernetModule but got a BoringModel"):
        CollapseGuard().setup(trainer, BoringModel(), "fit")


@pytest.mark.parametrize(
    ("argument", "value", "expected"),
    [
        ("every_n_epochs", 0, "at least 1"),
        ("window", 0, "at least 1"),
        ("max_samples", 0, "at least 1"),
        ("threshold", 0.0, r"in \(0, 1\)"),
        ("threshold", 1.0, r"in \(0, 1\)"),
    ],
)
def test_arguments_out_of_range(argument: str, value: float, expected: str) -> None:
    with pytest.raises(ValueError, match=f"Expected argument `{argument}` to be {expected}"):
        CollapseGuard(**{argument: value})
