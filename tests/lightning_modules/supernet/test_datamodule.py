"""The training split in two: disjoint halves, an order of each epoch, hooks of the wrapped one."""

from __future__ import annotations

from collections.abc import Callable
import copy
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader
from torch.utils.data import IterableDataset
from torch.utils.data import Subset
from torch.utils.data import SubsetRandomSampler
from torch.utils.data import TensorDataset
from torch.utils.data import WeightedRandomSampler

from lightning_modules.data import DigitsDataModule
from lightning_modules.supernet import SupernetDataModule
from lightning_modules.training.trainer import make_trainer


N = 53


class Numbered(pl.LightningDataModule):
    """A user's data module: image i is filled with i, and the label is i."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.arguments = {"batch_size": 5, "shuffle": True, **arguments}
        self.calls: list[str] = []
        self.dataset: Any = None

    def prepare_data(self) -> None:
        self.calls.append("prepare_data")

    def setup(self, stage: str) -> None:
        self.calls.append("setup " + stage)
        images = torch.arange(float(N)).view(N, 1, 1, 1).expand(N, 1, 2, 2)
        self.dataset = TensorDataset(images, torch.arange(N))

    def teardown(self, stage: str) -> None:
        self.calls.append("teardown " + stage)

    def train_dataloader(self) -> Any:
        return DataLoader(self.dataset, **self.arguments)

    def val_dataloader(self) -> Any:
        return DataLoader(self.dataset, batch_size=7)

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        images, labels = batch
        return images + 1000, labels

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        assert self.trainer is not None
        images, labels = batch
        return images * (2 if self.trainer.training else 3), labels

    def state_dict(self) -> dict[str, Any]:
        return {"calls": list(self.calls)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.calls = state_dict["calls"]


def made(**arguments: Any) -> SupernetDataModule:
    own = {k: arguments.pop(k) for k in ("architecture_fraction", "seed") if k in arguments}
    data = SupernetDataModule(Numbered(**arguments), **own)
    data.prepare_data()
    data.setup("fit")
    return data


def epoch(data: SupernetDataModule, loader: Any = None) -> dict[str, list[int]]:
    """Return the labels of one epoch of each part in order."""
    found: dict[str, list[int]] = {}
    for batch, _, _ in data.train_dataloader() if loader is None else loader:
        for name, (images, labels) in batch.items():
            assert torch.equal(images[:, 0, 0, 0], labels.float())
            assert len(labels) == 5
            found.setdefault(name, []).extend(labels.tolist())
    return found


def parts(data: SupernetDataModule) -> dict[str, set[int]]:
    """Return the labels of the whole parts."""
    loaders = data.train_dataloader().iterables
    return {name: {int(y) for _, y in loader.dataset} for name, loader in loaders.items()}


@pytest.mark.parametrize(("fraction", "n"), [(0.5, 26), (0.25, 13), (0.4, 21), (0.0, 0)])
def test_parts_are_disjoint_and_cover_the_split(fraction: float, n: int) -> None:
    found = parts(made(architecture_fraction=fraction))
    architecture = found.get("architecture", set())
    assert len(architecture) == n
    assert ("architecture" in found) == (n > 0)
    assert not found["weights"] & architecture
    assert found["weights"] | architecture == set(range(N))


def test_parts_are_drawn_by_the_seed_alone() -> None:
    torch.manual_seed(0)
    first = parts(made(seed=1))
    torch.manual_seed(1)
    assert parts(made(seed=1, shuffle=False, batch_size=3)) == first
    assert parts(made(seed=2)) != first
    assert first["weights"] != set(range(26, N))


def test_an_epoch_has_each_image_of_a_part_at_most_once() -> None:
    data = made()
    found, whole = epoch(data), parts(data)
    for name in ("weights", "architecture"):
        assert len(found[name]) == 25  # Whole batches of the shorter part.
        assert len(set(found[name])) == 25
        assert set(found[name]) <= whole[name]


def test_the_order_is_new_in_each_epoch_and_depends_on_seed_and_epoch_alone() -> None:
    data = made(seed=3)
    loader = data.train_dataloader()
    torch.manual_seed(0)
    epochs = [epoch(data, loader) for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    torch.manual_seed(1)
    again = made(seed=3).train_dataloader()
    for part in again.iterables.values():
        part.sampler.set_epoch(2)
    assert epoch(data, again) == epochs[2]


def test_each_part_has_an_order_of_its_own() -> None:
    data = made()
    data.datamodule.dataset = Subset(data.datamodule.dataset, range(52))  # type: ignore[attr-defined]
    first, second = (list(part.sampler) for part in data.train_dataloader().iterables.values())
    assert sorted(first) == sorted(second) == list(range(26))
    assert first != second


def test_the_global_generator_is_left_alone() -> None:
    data = made()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    epoch(data)
    assert torch.equal(torch.get_rng_state(), before)


def test_it_wraps_a_copy_that_needs_no_trainer() -> None:
    own = Numbered()
    data = SupernetDataModule(own)
    data.prepare_data()
    data.setup("fit")
    assert own.dataset is None
    assert data.datamodule.trainer is None
    assert len(epoch(data)["weights"]) == 25
    assert [y.tolist() for _, y in data.val_dataloader()][1] == list(range(7, 14))


class Recorder(pl.LightningModule):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.automatic_optimization = False
        self.seen: list[tuple[int, str, list[float]]] = []

    def training_step(self, batch: Any, batch_idx: int) -> None:
        for name, (images, _) in batch.items():
            self.seen.append((self.current_epoch, name, images.flatten(1).mean(1).tolist()))

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.seen.append((self.current_epoch, "val", batch[0].flatten(1).mean(1).tolist()))

    def configure_optimizers(self) -> None:
        return None


def fit(data: pl.LightningDataModule, **arguments: Any) -> tuple[Recorder, pl.Trainer]:
    module, resume = Recorder(), arguments.pop("ckpt_path", None)
    trainer = make_trainer(accelerator="cpu", **arguments)
    trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=False)
    return module, trainer


def test_hooks_of_the_users_data_module_see_single_batches() -> None:
    own = Numbered()
    data = SupernetDataModule(own)
    module, trainer = fit(data, max_epochs=1)
    expected = epoch(made())
    for name in ("weights", "architecture"):
        values = [v for _, part, batch in module.seen if part == name for v in batch]
        assert values == [2 * (label + 1000) for label in expected[name]]
    values = [v for _, part, batch in module.seen if part == "val" for v in batch]
    assert values == [3.0 * (label + 1000) for label in range(N)]
    assert isinstance(data.datamodule, Numbered)
    assert data.datamodule.calls == ["prepare_data", "setup fit", "teardown fit"]
    assert own.trainer is None


def resumed(make: Callable[[], pl.LightningDataModule], path: Any) -> tuple[list[Any], list[Any]]:
    """Return what epoch 2 is made of without and with an interruption before it."""
    whole, _ = fit(SupernetDataModule(make()), max_epochs=3, limit_train_batches=2)
    _, trainer = fit(SupernetDataModule(make()), max_epochs=2, limit_train_batches=2)
    trainer.save_checkpoint(path)
    module, _ = fit(
        SupernetDataModule(make()), max_epochs=3, limit_train_batches=2, ckpt_path=str(path)
    )
    return [entry for entry in whole.seen if entry[0] == 2], module.seen


@pytest.mark.parametrize(
    "make",
    [
        Numbered,
        lambda: DigitsDataModule(batch_size=32),
        lambda: DigitsDataModule(batch_size=32, crop_padding=2, horizontal_flip=True),
    ],
    ids=["user", "digits", "augmented"],
)
def test_a_resumed_training_sees_the_same_images(make: Any, tmp_path: Any) -> None:
    expected, found = resumed(make, tmp_path / "last.ckpt")
    assert len(expected) > 4
    assert found == expected


def test_augmentation_state_is_restored_once() -> None:
    data = SupernetDataModule(DigitsDataModule(crop_padding=1))
    data.setup("fit")
    data.train_dataloader()
    start = data.state_dict()["augmentation"]
    other = torch.Generator().manual_seed(77).get_state()
    data.load_state_dict({**data.state_dict(), "augmentation": other})
    data.train_dataloader()
    assert torch.equal(data.state_dict()["augmentation"], other)
    data.train_dataloader()
    assert torch.equal(data.state_dict()["augmentation"], start)


def test_state_of_the_users_data_module_is_kept() -> None:
    data = made()
    state = copy.deepcopy(data.state_dict())
    assert state["datamodule"] == {"calls": ["prepare_data", "setup fit"]}
    data.load_state_dict({**state, "datamodule": {"calls": ["restored"]}})
    assert isinstance(data.datamodule, Numbered)
    assert data.datamodule.calls == ["restored"]


def test_settings_of_the_users_loader_are_kept() -> None:
    def collate(samples: list[Any]) -> Any:
        return torch.stack([x for x, _ in samples]), torch.tensor([int(y) for _, y in samples])

    loaders = made(collate_fn=collate, num_workers=1, prefetch_factor=3, timeout=9)
    for loader in loaders.train_dataloader().iterables.values():
        assert loader.collate_fn is collate
        assert (loader.num_workers, loader.prefetch_factor, loader.timeout) == (1, 3, 9)


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        yield from range(9)


SPLIT = TensorDataset(torch.zeros(30, 1, 2, 2), torch.zeros(30, dtype=torch.int64))
BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "a list": (lambda: [DataLoader(SPLIT)], "a list"),
    "a stream": (lambda: DataLoader(Stream()), "one of a data set without length"),
    "no batches": (lambda: DataLoader(SPLIT, batch_size=None), "one with batches of its own"),
    "own batches": (
        lambda: DataLoader(SPLIT, batch_sampler=[[0, 1], [2, 3]]),
        "one with batches of its own",
    ),
    # Its indices are the training split: others must not be trained on.
    "a part": (
        lambda: DataLoader(SPLIT, sampler=SubsetRandomSampler(range(20))),
        "one with a SubsetRandomSampler",
    ),
    "weights": (
        lambda: DataLoader(SPLIT, sampler=WeightedRandomSampler([1.0] * 30, 30)),
        "one with a WeightedRandomSampler",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_loaders_that_cannot_be_split(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, came = BAD[name]
    data = made()
    monkeypatch.setattr(data.datamodule, "train_dataloader", make)
    with pytest.raises(ValueError, match=rf"^Expected argument `datamodule` .* but got {came}\.$"):
        data.train_dataloader()


def test_a_subset_is_split() -> None:
    data = made()
    data.datamodule.dataset = Subset(data.datamodule.dataset, range(10, 30))  # type: ignore[attr-defined]
    found = parts(data)
    assert found["weights"] | found["architecture"] == set(range(10, 30))


@pytest.mark.parametrize(("fraction", "batch_size", "n"), [(0.5, 27, 26), (0.05, 5, 3)])
def test_parts_of_less_than_a_batch(fraction: float, batch_size: int, n: int) -> None:
    data = made(architecture_fraction=fraction, batch_size=batch_size)
    with pytest.raises(ValueError, match=f"at most {n}, the training .* but got {batch_size}"):
        data.train_dataloader()


@pytest.mark.parametrize(
    ("argument", "value"),
    [("architecture_fraction", 1.0), ("architecture_fraction", -0.1), ("seed", -1)],
)
def test_numbers_out_of_range(argument: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^Expected argument `{argument}` .* but got {value}\."):
        SupernetDataModule(Numbered(), **{argument: value})  # type: ignore[arg-type]
