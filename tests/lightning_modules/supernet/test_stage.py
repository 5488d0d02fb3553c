"""The supernet stage: what it leaves, its folder, and that it can be killed at any time."""

from __future__ import annotations

from collections.abc import Mapping
import copy
from dataclasses import fields
from functools import partial
import json
import math
from pathlib import Path
from typing import Any
import warnings

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader
from torch.utils.data import random_split
from torch.utils.data import TensorDataset

from lightning_modules import build_cell_backbone
from lightning_modules.data import DigitsDataModule
from lightning_modules.proxies import ProxyEvaluator
from lightning_modules.supernet import load_supernet
from lightning_modules.supernet import PRIOR_FILE
from lightning_modules.supernet import stage_settings
from lightning_modules.supernet import StageSettings
from lightning_modules.supernet import SUPERNET_FILE
from lightning_modules.supernet import SupernetResult
from lightning_modules.supernet import SupernetStage
from lightning_modules.supernet.relaxations import CostFactor
from lightning_modules.tasks import Classification
from optuna_nas import CellSpace
from optuna_nas import MobileSpace
from optuna_nas import SearchSpace
from optuna_nas.prior import Prior
from optuna_nas.spaces import MobileStage


SPACE = CellSpace(n_nodes=3)
ORIGIN = {"data": "a"}
NETWORK = {"channels": 4, "cells_per_stage": 1, "stages": 1}


def stage(folder: Path | None = None, **arguments: Any) -> SupernetStage:
    own = {f.name: arguments.pop(f.name) for f in fields(StageSettings) if f.name in arguments}
    return SupernetStage(
        **{
            "space": SPACE,
            "datamodule": DigitsDataModule(batch_size=256),
            "settings": StageSettings(**{"relaxation": "spos", "epochs": 2, "paths": 5, **own}),
            "network": NETWORK,
            "folder": folder,
            "accelerator": "cpu",
            **arguments,
        }
    )


def assert_same(first: SupernetResult, second: SupernetResult) -> None:
    assert first.architecture == second.architecture
    assert first.prior.to_json() == second.prior.to_json()
    assert (first.scores is None) == (second.scores is None)
    if first.scores is not None and second.scores is not None:
        assert set(first.scores.architectures) == set(second.scores.architectures)
        for architecture in first.scores.architectures:
            assert first.scores[architecture] == second.scores[architecture]
    one, other = first.supernet.state_dict(), second.supernet.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


class Reports:
    """Keeps what is reported, and dies in an epoch."""

    def __init__(self, kill: int | None = None) -> None:
        self.kill = kill
        self.epochs: list[int] = []
        self.values: list[Mapping[str, float]] = []

    def __call__(self, epoch: int, values: Mapping[str, float]) -> None:
        self.epochs.append(epoch)
        self.values.append(dict(values))
        if epoch == self.kill:
            raise InterruptedError


@pytest.mark.parametrize("relaxation", ["spos", "gdas"])
def test_what_it_leaves(relaxation: str, tmp_path: Path) -> None:
    reports = Reports()
    result = stage(tmp_path / "new" / "stage", relaxation=relaxation, report=reports).run()
    assert reports.epochs == [0, 1]
    assert reports.values[1]["supernet_loss"] < reports.values[0]["supernet_loss"]
    assert SPACE.contains(result.architecture)
    assert result.path == tmp_path / "new" / "stage" / SUPERNET_FILE
    loaded = load_supernet(result.path, SPACE).state_dict()
    for name, tensor in result.supernet.state_dict().items():
        assert torch.equal(loaded[name], tensor)
    text = (result.path.parent / PRIOR_FILE).read_text()
    prior = Prior.from_json(SPACE, text)
    for name in SPACE.distributions:
        assert prior[name] == pytest.approx(result.prior[name], rel=1e-12)
    if relaxation == "spos":
        assert result.scores is not None
        assert len(result.scores) == 5
        assert result.architecture == result.prior.most_likely()
    else:
        assert result.scores is None
    left = {path.name for path in result.path.parent.iterdir()}
    paths = {"paths.jsonl"} if relaxation == "spos" else set()
    expected = {"last.ckpt", "settings.json", PRIOR_FILE, SUPERNET_FILE, SUPERNET_FILE + ".sha256"}
    assert left == expected | paths


def test_without_a_folder_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = stage().run()
    assert result.path is None
    assert not list(tmp_path.iterdir())


def test_the_seed_decides() -> None:
    torch.manual_seed(0)
    first = stage(seed=1).run()
    before = torch.get_rng_state()
    second = stage(seed=1).run()
    assert torch.equal(torch.get_rng_state(), before)
    assert_same(first, second)
    other = stage(seed=2).run().supernet.state_dict()
    assert any(not torch.equal(t, other[n]) for n, t in first.supernet.state_dict().items())


def test_a_second_run_trains_and_scores_nothing(tmp_path: Path) -> None:
    first = stage(tmp_path).run()
    scores = (tmp_path / "paths.jsonl").read_text()
    reports = Reports()
    second = stage(tmp_path, report=reports).run()
    assert reports.epochs == []
    assert (tmp_path / "paths.jsonl").read_text() == scores
    assert_same(first, second)


class Users(pl.LightningDataModule):
    """A data module as people write them: shuffled, split and augmented by global generators."""

    input_shape = (1, 8, 8)
    num_classes = 10

    def setup(self, stage: str) -> None:
        data = DigitsDataModule()
        data.setup("fit")
        whole: Any = data.train_dataloader().dataset
        parts = TensorDataset(whole.inputs, whole.targets)
        self.parts = random_split(parts, [0.8, 0.2], torch.Generator().manual_seed(0))

    def train_dataloader(self) -> Any:
        return DataLoader(self.parts[0], batch_size=128, shuffle=True)

    def val_dataloader(self) -> Any:
        return DataLoader(self.parts[1], batch_size=128)


@pytest.mark.parametrize("data", ["digits", "users"])
@pytest.mark.parametrize("relaxation", ["spos", "gdas"])
def test_a_killed_stage_goes_on(relaxation: str, data: str, tmp_path: Path) -> None:
    def make(folder: str, **more: Any) -> SupernetStage:
        own = DigitsDataModule(batch_size=256, crop_padding=1) if data == "digits" else Users()
        arguments = {"datamodule": own, "relaxation": relaxation, "epochs": 3, **more}
        return stage(tmp_path / folder, **arguments)

    whole = make("whole").run()
    with pytest.raises(InterruptedError):
        make("killed", report=Reports(kill=2)).run()
    torch.rand(5)  # Another process has another state.
    reports = Reports()
    resumed = make("killed", report=reports).run()
    assert reports.epochs == [2]
    assert_same(whole, resumed)


def test_a_stage_killed_between_paths_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = stage(tmp_path / "whole").run()
    stage(tmp_path / "killed").run()
    file = tmp_path / "killed" / "paths.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:2]) + lines[2][:20])
    assert_same(whole, stage(tmp_path / "killed").run())
    assert sorted(file.read_text().splitlines()[3:]) == sorted(map(str.strip, lines[2:]))


def test_a_process_killed_while_it_saves_loses_one_epoch_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = stage(tmp_path / "whole").run()
    save = pl.Trainer.save_checkpoint

    def half(trainer: pl.Trainer, path: Path, *args: Any, **kwargs: Any) -> None:
        save(trainer, path, *args, **kwargs)
        if trainer.current_epoch == 1:
            Path(path).write_bytes(Path(path).read_bytes()[:1000])
            raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr(pl.Trainer, "save_checkpoint", half)
        with pytest.raises(InterruptedError):
            stage(tmp_path / "killed").run()
    reports = Reports()
    assert_same(whole, stage(tmp_path / "killed", report=reports).run())
    assert reports.epochs == [1]


@pytest.mark.parametrize(
    ("argument", "value", "key"),
    [
        ("relaxation", "fairnas", "relaxation"),
        ("epochs", 3, "epochs"),
        ("seed", 1, "seed"),
        ("proxy", None, "proxy"),
        ("proxy", "naswot", "proxy"),
        ("network", {**NETWORK, "channels": 8}, "network"),
        ("training", {"learning_rate": 0.1}, "training"),
        ("datamodule", DigitsDataModule(batch_size=128), "batch_size"),
        ("datamodule", Users(), "datamodule"),
        ("origin", {"data": "b"}, "data"),
        ("origin", None, "data"),
        ("space", SPACE.freeze({"edge_0_1": "none"}), "distribution of edge_0_1"),
        ("space", CellSpace(n_nodes=2), "distribution of edge_0_2"),
        ("task", Classification(11), "task"),
    ],
)
def test_other_settings_are_refused(
    argument: str, value: Any, key: str, tmp_path: Path, trained: Path
) -> None:
    (tmp_path / "settings.json").write_text((trained / "settings.json").read_text())
    message = f"^Expected the stage in .* to be continued with its `{key}` .* give another folder"
    other = stage(tmp_path, **{"origin": ORIGIN, argument: value})
    for check in (other.check_folder, other.run):
        with pytest.raises(ValueError, match=message) as caught:
            check()
        assert "\n" not in str(caught.value)
    assert stage_settings(tmp_path) == stage_settings(trained)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished stage."""
    folder = tmp_path_factory.mktemp("stage")
    stage(folder, epochs=1, paths=2, origin=ORIGIN).run()
    settings = json.loads((folder / "settings.json").read_text())
    (folder / "settings.json").write_text(json.dumps({**settings, "epochs": 2}))
    return folder


def test_settings_that_json_writes_in_another_way(tmp_path: Path) -> None:
    def cost(probabilities: Any) -> torch.Tensor:
        return 2 + sum(p[0] for p in probabilities.values())

    arguments: dict[str, Any] = {
        "relaxation": "gdas",
        "epochs": 1,
        "relaxation_arguments": {"temperatures": (5.0, 1.0), "costs": (CostFactor(cost),)},
    }
    first = stage(tmp_path, **arguments).run()
    assert_same(first, stage(tmp_path, **arguments).run())
    arguments["relaxation_arguments"]["costs"] = (CostFactor(cost, alpha=0.1),)
    with pytest.raises(
        ValueError, match=r"`relaxation_arguments` .*alpha=0\.2.* got .*alpha=0\.1"
    ):
        stage(tmp_path, **arguments).run()


def test_a_user_without_news_sees_no_warnings(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for kill in (0, None, None):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                stage(tmp_path, report=Reports(kill)).run()
            except InterruptedError:
                assert kill == 0
        assert [str(w.message) for w in caught if "LeafSpec" not in str(w.message)] == []
    out, err = capfd.readouterr()
    assert out + err == ""


def test_a_diverged_training_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        RuntimeError, match=r"^The supernet's training diverged: .* epoch 0 is nan"
    ):
        stage(tmp_path, training={"learning_rate": 1e30, "gradient_clip": 0.0}).run()
    assert not (tmp_path / "last.ckpt").exists()


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("input_shape", "`datamodule` to have the attribute `input_shape`.*but got Silent"),
        ("num_classes", "`datamodule` to have classes .* `num_classes`, but got Silent"),
    ],
)
def test_data_that_does_not_say_what_it_is(missing: str, message: str) -> None:
    class Silent(Users):
        @property
        def nothing(self) -> None:
            raise AttributeError

    setattr(Silent, missing, Silent.nothing)
    with pytest.raises(ValueError, match=message):
        stage(datamodule=Silent()).run()


def test_a_data_module_that_is_set_up_stays_as_it_is() -> None:
    data = DigitsDataModule(batch_size=256)
    data.setup("fit")
    before = {k: copy.copy(v) for k, v in vars(data).items() if k != "_prepared"}
    stage(datamodule=data, epochs=1, paths=2).run()
    after = {k: v for k, v in vars(data).items() if k != "_prepared"}
    assert after == before
    assert data.trainer is None


class Shared(Users):
    """Splits anew each time it is set up; the validation images are told by their number."""

    def setup(self, stage: str) -> None:
        data = DigitsDataModule()
        data.setup("fit")
        whole: Any = data.train_dataloader().dataset
        numbers = torch.arange(len(whole), dtype=torch.float32)
        images = numbers[:, None, None, None].expand(-1, 1, 8, 8)
        self.parts = random_split(TensorDataset(images, whole.targets), [0.8, 0.2])


def test_paths_are_scored_on_images_that_were_not_trained_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: dict[str, set[float]] = {"train": set(), "val": set()}

    class Spy(Shared):
        def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
            if self.trainer is not None and self.trainer.training:
                seen["train"] |= set(batch[0][:, 0, 0, 0].tolist())
            return batch

        def val_dataloader(self) -> Any:
            indices = self.parts[1].indices
            seen["val"] |= set(map(float, indices))
            return super().val_dataloader()

    stage(datamodule=Spy(), epochs=1, paths=2).run()
    assert len(seen["train"]) > 600
    assert len(seen["val"]) == 215  # A fifth of 1079.
    assert not seen["train"] & seen["val"]


@pytest.mark.parametrize(
    ("strategy", "devices", "expected"),
    [
        ("auto", 1, "auto"),
        ("auto", [0], "auto"),
        ("auto", "auto", "auto"),
        ("auto", 2, "ddp_find_unused_parameters_true"),
        ("auto", [0, 1], "ddp_find_unused_parameters_true"),
        ("ddp", 2, "ddp_find_unused_parameters_true"),
        ("ddp_spawn", 2, "ddp_spawn_find_unused_parameters_true"),
        ("fsdp", 2, "fsdp"),
    ],
)
def test_processes_are_told_that_a_step_leaves_choices_out(
    strategy: str, devices: Any, expected: str
) -> None:
    assert stage(strategy=strategy, devices=devices)._strategy() == expected


@pytest.mark.slow
@pytest.mark.parametrize("relaxation", ["gdas", "fairnas"])
def test_two_processes(relaxation: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def report(epoch: int, values: Any) -> None:  # A local function does not pickle.
        raise AssertionError

    arguments = {"relaxation": relaxation, "epochs": 1, "strategy": "ddp_spawn", "devices": 2}
    result = stage(tmp_path, report=report, **arguments).run()
    assert SPACE.contains(result.architecture)
    state = torch.load(tmp_path / "last.ckpt", weights_only=False)["state_dict"]
    for name, tensor in result.supernet.state_dict().items():
        assert torch.equal(tensor, state[f"supernet.{name}"])
    assert state["n_steps"] == (1 if relaxation == "gdas" else 2)
    assert "sync_dist" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("epochs", 0),
        ("paths", 1),
        ("seed", -1),
        ("relaxation", "evolution"),
        ("proxy", "accuracy"),
        ("proxy_weight", 0.0),
        ("proxy_weight", 1.1),
    ],
)
def test_arguments_out_of_range(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^Expected argument `{argument}` .* but got "):
        stage(**{argument: value})


def test_paths_are_judged_by_a_proxy_as_well() -> None:
    space = CellSpace()
    arguments = {"space": space, "paths": 30, "epochs": 1}
    both = stage(**arguments).run()
    assert both.scores is not None
    assert len(both.scores) == 30
    build = partial(build_cell_backbone, input_shape=(1, 8, 8), **NETWORK)
    guess = ProxyEvaluator(build, DigitsDataModule(batch_size=256), accelerator="cpu")
    for architecture in both.scores.architectures[::10]:
        expected = guess(architecture).metrics["synflow"]
        assert both.scores[architecture]["synflow"] == pytest.approx(expected)
    assert list(both.architecture.values()).count("nor_conv_3x3") >= 4
    alone = stage(**arguments, proxy=None).run()
    assert alone.scores is not None
    first = alone.scores.architectures[0]
    assert set(alone.scores[first]) == {"val_accuracy", "val_loss"}
    assert alone.scores[first] == pytest.approx(
        {name: both.scores[first][name] for name in ("val_accuracy", "val_loss")}
    )
    assert alone.prior.to_json() != both.prior.to_json()


class Brightness(Users):
    """Numbers to predict: the mean and the spread of the pixels of an image."""

    task = "regression"
    n_targets = 2

    def setup(self, stage: str) -> None:
        data = DigitsDataModule()
        data.setup("fit")
        whole: Any = data.train_dataloader().dataset
        pixels = whole.inputs.float().flatten(1)
        targets = 100 * torch.stack([pixels.mean(dim=1), pixels.std(dim=1)], dim=1)
        self.target_mean = tuple(targets.mean(dim=0).tolist())
        self.target_std = tuple(targets.std(dim=0).tolist())
        parts = TensorDataset(whole.inputs, targets)
        self.parts = random_split(parts, [0.8, 0.2], torch.Generator().manual_seed(0))


MOBILE = MobileSpace([MobileStage(depths=(1, 2), widths=(4, 8))])


@pytest.mark.parametrize(
    ("space", "relaxation"),
    [(SPACE, "gdas"), (SPACE, "fairnas"), (SPACE, "enas"), (MOBILE, "ofa")],
)
def test_a_stage_for_real_valued_targets(
    space: SearchSpace, relaxation: str, tmp_path: Path
) -> None:
    reports = Reports()
    arguments: dict[str, Any] = {"network": NETWORK if space is SPACE else {}, "epochs": 2}
    result = stage(
        tmp_path,
        space=space,
        datamodule=Brightness(),
        relaxation=relaxation,
        report=reports,
        training={"learning_rate": 0.05},
        **arguments,
    ).run()
    assert space.contains(result.architecture)
    assert reports.values[1]["supernet_loss"] < reports.values[0]["supernet_loss"]
    assert {"supernet_val_rmse"} == {n for n in reports.values[0] if n.startswith("supernet_val")}
    assert all(math.isfinite(value) for value in reports.values[1].values())
    assert result.supernet.task.guess_loss == 1.0
    loaded = load_supernet(result.path, space)
    assert loaded.task == result.supernet.task
    if result.scores is not None:
        for path in result.scores.architectures:
            assert set(result.scores[path]) == {"val_rmse", "val_loss", "synflow"}
        assert result.architecture == result.prior.most_likely()
    settings = stage_settings(tmp_path)
    assert settings is not None
    assert settings["task"]["name"] == "regression"
    assert settings["task"]["arguments"]["mean"] == pytest.approx(loaded.task.mean)


def test_values_are_finite_and_named() -> None:
    reports = Reports()
    stage(relaxation="gdas", epochs=1, report=reports).run()
    assert all(math.isfinite(value) for value in reports.values[0].values())
    assert {"supernet_loss", "architecture_loss", "architecture_entropy", "skip_count"} <= set(
        reports.values[0]
    )


@pytest.mark.gpu
def test_a_stage_on_a_gpu(tmp_path: Path) -> None:
    for relaxation in ("fairnas", "gdas"):
        arguments = {"accelerator": "gpu", "precision": "bf16-mixed", "relaxation": relaxation}
        result = stage(tmp_path / relaxation, **arguments).run()
        assert next(result.supernet.parameters()).is_cuda
        assert SPACE.contains(result.architecture)
        assert not next(load_supernet(result.path, SPACE).parameters()).is_cuda
