"""Images: normalised by the training split, augmented as their task does, and described."""

from __future__ import annotations

from collections.abc import Callable
import copy
import json
from pathlib import Path
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_modules.data import draw_batches
from lightning_modules.data import ImageDataModule
from lightning_modules.data import NpzDataModule
from lightning_modules.data import SearchData
from lightning_modules.data import Split
from lightning_modules.data import TrainingBatch
from lightning_modules.registries import TASKS
from lightning_modules.tasks import Classification


class ColorDataModule(ImageDataModule):
    """Three channels of different scale; each image holds its own number in the last one."""

    n_train = 41

    def _make(self, start: int, n: int, shift: float) -> Split:
        generator = torch.Generator().manual_seed(start)
        images = torch.rand(n, 3, 6, 5, generator=generator) + shift
        images[:, 1] = 0.1  # A constant channel.
        images[:, 2] = torch.arange(start, start + n)[:, None, None]
        return Split(images, torch.arange(n) % 2)

    def read_search_data(self) -> SearchData:
        return SearchData(self._make(0, self.n_train, 0), self._make(100, 10, 5), ["even", "odd"])

    def read_test_data(self) -> Split:
        return self._make(200, 6, 9)


def _all(loader: Any) -> tuple[Tensor, Tensor]:
    images, labels = zip(*loader, strict=True)
    return torch.cat(images), torch.cat(labels)


class TestNormalisation:
    def test_training_split_alone_gives_the_statistics(self) -> None:
        data = ColorDataModule()
        images, _ = _all(ColorDataModule(batch_size=41).train_dataloader())
        raw = data.read_search_data().train.inputs.double()
        assert data.mean == pytest.approx(raw.mean(dim=(0, 2, 3)).tolist(), rel=1e-5)
        assert data.std[0] == pytest.approx(raw[:, 0].std(correction=0).item(), rel=1e-5)
        assert data.std[1] == 1  # Not the rounding error of a constant channel.
        assert images.mean(dim=(0, 2, 3)).abs().max() < 1e-5
        assert images.std(dim=(0, 2, 3), correction=0).tolist() == pytest.approx([1, 0, 1])

    def test_validation_and_test_are_shifted_by_the_training_mean(self) -> None:
        data = ColorDataModule()
        data.setup("test")
        validation, _ = _all(data.val_dataloader())
        test, _ = _all(data.test_dataloader())
        assert (validation[:, 0] * data.std[0] + data.mean[0]).mean().item() > 5
        assert (test[:, 0] * data.std[0] + data.mean[0]).mean().item() > 9

    def test_fraction_and_validation_leave_the_statistics_alone(self) -> None:
        data = ColorDataModule(train_fraction=0.3, train_on_validation=True)
        assert data.mean == ColorDataModule().mean
        assert data.std == ColorDataModule().std


class Masked(Classification):
    """A task whose targets belong to the pixels."""

    @staticmethod
    def augment(
        inputs: Any, target: Any, transform: Callable[[Tensor], Tensor]
    ) -> tuple[Any, Any]:
        return transform(inputs), transform(target)


class MaskedDataModule(ColorDataModule):
    """Its task is another one than that of images with a class."""

    @property
    def task(self) -> str:
        return "masked"


class TestAugmentation:
    def test_training_batches_alone(self) -> None:
        data = ColorDataModule(crop_padding=2, horizontal_flip=True, batch_size=41)
        [batch] = data.train_dataloader()
        augmented = data.on_after_batch_transfer(batch, 0)
        assert isinstance(augmented, TrainingBatch)
        assert not torch.equal(augmented.inputs, batch.inputs)
        assert torch.equal(augmented.targets, batch.targets)
        nested = data.on_after_batch_transfer({"a": batch, "b": 3}, 0)
        assert not torch.equal(nested["a"].inputs, augmented.inputs)
        assert nested["b"] == 3
        for inputs, targets in (tuple(batch), next(iter(data.val_dataloader()))):
            assert data.on_after_batch_transfer((inputs, targets), 0)[0] is inputs
            assert data.on_after_batch_transfer(inputs, 0) is inputs

    def test_is_the_same_for_a_seed(self) -> None:
        def first(seed: int, again: bool = False) -> Tensor:
            data = ColorDataModule(crop_padding=2, batch_size=41, seed=seed)
            if again:
                data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
            [batch] = data.train_dataloader()  # Each loader begins anew.
            images: Tensor = data.on_after_batch_transfer(batch, 0).inputs
            return images

        assert torch.equal(first(0), first(0, again=True))
        assert not torch.equal(first(0), first(1))

    def test_is_what_the_task_does(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(TASKS, "_added", {"masked": Masked})
        data = MaskedDataModule(crop_padding=2, horizontal_flip=True)
        images = torch.arange(4 * 3 * 6 * 5).reshape(4, 3, 6, 5).float() + 1
        batch = data.on_after_batch_transfer(TrainingBatch(images, images[:, 0]), 0)
        assert not torch.equal(batch.inputs, images)
        assert torch.equal(batch.inputs[:, 0], batch.targets)

    def test_not_in_what_is_drawn_for_a_score(self) -> None:
        data = ColorDataModule(crop_padding=2, horizontal_flip=True)
        data.setup("fit")
        [(images, _)] = draw_batches(data, "train", 41, seed=0)
        assert torch.equal(images, data._search_data().search.train.inputs)

    def test_out_of_range(self) -> None:
        with pytest.raises(ValueError, match="`crop_padding` to be at least 0 but got -1"):
            ColorDataModule(crop_padding=-1)


class ValuesDataModule(ColorDataModule):
    """Three values to predict, of which one is constant and one is far from zero."""

    def _make(self, start: int, n: int, shift: float) -> Split:
        made = super()._make(start, n, shift)
        numbers = torch.arange(start, start + n).float()
        return Split(made.inputs, torch.stack([numbers, 1e4 + numbers / 8, 0 * numbers + 0.1], 1))

    def read_search_data(self) -> SearchData:
        return SearchData(self._make(0, 41, 0), self._make(100, 10, 5))


class TestTargets:
    def test_values(self) -> None:
        data = ValuesDataModule()
        numbers = np.arange(41)
        assert data.n_targets == 3
        assert data.target_mean == pytest.approx([20, 10002.5, 0.1])
        assert data.target_std == pytest.approx([numbers.std(), numbers.std() / 8, 1])
        assert data.class_names == []

    def test_are_of_the_whole_training_split(self) -> None:
        data = ValuesDataModule(train_fraction=0.2, train_on_validation=True)
        assert data.target_mean == ValuesDataModule().target_mean
        assert data.target_std == ValuesDataModule().target_std
        assert data.describe()["n_train"] == 8

    def test_one_value(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data = ValuesDataModule()
        made = data.read_search_data()
        parts = (Split(s.inputs, s.targets[:, 0]) for s in (made.train, made.validation))
        search = SearchData(*parts)
        monkeypatch.setattr(data, "read_search_data", lambda: search)
        assert data.n_targets == 1
        assert data.target_mean == [20]

    def test_classes_have_none(self) -> None:
        data = ColorDataModule()
        assert (data.n_targets, data.target_mean, data.target_std) == (0, [], [])

    def test_task_of_a_file_is_read_once(self, tmp_path: Path) -> None:
        path = tmp_path / "values.npz"
        np.savez(path, X=np.zeros((9, 4, 4)), y=np.arange(9.0))
        data = NpzDataModule(path)
        assert data.task == "regression"
        path.unlink()  # Each augmented batch asks for it.
        assert data.task == copy.copy(data).task == pickle.loads(pickle.dumps(data)).task


class TestFacts:
    def test_preprocessing_and_description_are_json(self) -> None:
        data = ColorDataModule(crop_padding=1)
        for facts in (data.preprocessing, data.describe()):
            assert json.loads(json.dumps(facts)) == facts
            assert facts["input_shape"] == [3, 6, 5] == list(data.input_shape)
            assert (facts["mean"], facts["std"]) == (data.mean, data.std)
        assert data.describe()["class_names"] == ["even", "odd"]
        assert data.describe()["arguments"]["crop_padding"] == 1
        assert (data.preprocessing["kind"], data.preprocessing["resize"]) == ("images", "pad")
        assert data.notice is None
