"""The base of the data modules: images in fixed splits, normalised by the training split."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import threading
from typing import Any

from lightning_utilities.core.apply_func import apply_to_collection
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lightning_modules.data._augmentation import draw_crop_and_flip
from lightning_modules.data._loader import make_loader
from lightning_modules.data._loader import silence
from lightning_modules.data._loader import SplitDataset
from lightning_modules.data._loader import TrainingBatch
from lightning_modules.data._new_images import make_transform
from lightning_modules.data._prepared import normalised
from lightning_modules.data._prepared import prepare
from lightning_modules.data._prepared import PreparedData
from lightning_modules.data._split import check_split
from lightning_modules.data._split import SearchData
from lightning_modules.data._split import Split


_LOCK = threading.RLock()  # Of the module, as a data module has to pickle.


class ImageDataModule(pl.LightningDataModule, abc.ABC):
    """Images with fixed training, validation and test splits.

    A subclass gives :meth:`read_search_data` and :meth:`read_test_data`. The images are normalised
    per channel by mean and standard deviation of the whole training split, whatever
    ``train_fraction`` and ``train_on_validation`` are, so that both are fixed for a data set.
    Order and augmentation of the training batches depend on ``seed`` alone, with workers or not.

    The splits do not depend on ``seed``. The data is read on first use, the test split not before
    ``setup("test")``. All trials may share one data module: each :meth:`train_dataloader` starts
    from ``seed`` again. Trials in parallel threads should each take a ``copy.copy`` of it after
    ``setup("fit")``, which shares the tensors, or else their augmentation depends on the timing of
    the threads.

    Args:
        batch_size: Number of images in a training batch. A last batch of one image is dropped.
        eval_batch_size: Number of images in a validation or test batch.
        seed: Seed of the order of the training images and of their augmentation, at least 0. The
            global generators are neither used nor changed.
        train_fraction: Fraction of the training split to train on, in (0, 1]; a fixed choice that
            keeps the proportions of the classes.
        train_on_validation: Whether to train on the training and the validation split together,
            for a finished architecture. Then there is no validation data loader, and nothing can
            monitor a validation metric.
        crop_padding: Training images are shifted at random by up to so many pixels in both
            directions, the border filled with the mean; 0 for no shift.
        horizontal_flip: Whether training images are mirrored left to right at random.
        num_workers: Processes that read batches. :obj:`None` is none for a split in memory; for
            pictures in files it depends on the machine, see
            :func:`~lightning_modules.data._workers.default_workers`.

    Raises:
        ValueError: If an argument is out of its range.
        DataError: On first use, if the data is missing, damaged or not of the expected form.
    """

    def __init__(
        self,
        *,
        batch_size: int = 96,
        eval_batch_size: int = 500,
        seed: int = 0,
        train_fraction: float = 1.0,
        train_on_validation: bool = False,
        crop_padding: int = 0,
        horizontal_flip: bool = False,
        num_workers: int | None = None,
    ) -> None:
        super().__init__()
        _check_at_least("batch_size", batch_size, 1)
        _check_at_least("eval_batch_size", eval_batch_size, 1)
        _check_at_least("seed", seed, 0)
        _check_at_least("crop_padding", crop_padding, 0)
        _check_at_least("num_workers", num_workers or 0, 0)
        if not 0 < train_fraction <= 1:
            raise ValueError(
                f"Expected argument `train_fraction` to be in (0, 1] but got {train_fraction}."
            )
        # Collects the arguments of subclasses, too. Not for loggers: Lightning refuses to log a
        # name, like `seed`, that data module and module both have with different values.
        self.save_hyperparameters(logger=False)
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.seed = seed
        self.train_fraction = train_fraction
        self.train_on_validation = train_on_validation
        self.crop_padding = crop_padding
        self.horizontal_flip = horizontal_flip
        self.num_workers = num_workers
        self._prepared: PreparedData | None = None
        self._test: Split | None = None
        self._augmentation_generator: torch.Generator | None = None

    @property
    def task(self) -> str:
        """Name of the task that the targets are for; of values a subclass says "regression"."""
        return "classification"

    @abc.abstractmethod
    def read_search_data(self) -> SearchData:
        """Read the training and validation split, not normalised; called once."""

    @abc.abstractmethod
    def read_test_data(self) -> Split:
        """Read the test split, not normalised; called once, for stage ``"test"``."""

    # What builders and prediction need to know.

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of an image: channels, height, width."""
        channels, height, width = self._search_data().search.train.inputs.shape[1:]
        return channels, height, width

    @property
    def class_names(self) -> list[str]:
        """Names of the classes in the order of the labels; none if the targets are values."""
        return list(self._search_data().search.class_names)

    @property
    def n_targets(self) -> int:
        """Number of values to predict for each image, 0 if the targets are classes."""
        targets = self._search_data().search.train.targets
        if not targets.is_floating_point():
            return 0
        return int(targets.shape[1]) if targets.ndim > 1 else 1

    @property
    def target_mean(self) -> list[float]:
        """Mean of each value to predict over the training split; none for classes."""
        return self._target_moments()[0]

    @property
    def target_std(self) -> list[float]:
        """Standard deviation of each value to predict; 1 for a constant one."""
        return self._target_moments()[1]

    @property
    def mean(self) -> list[float]:
        """Mean of each channel over the training split."""
        values: list[float] = self._search_data().normaliser.mean.tolist()
        return values

    @property
    def std(self) -> list[float]:
        """Standard deviation of each channel over the training split; 1 for a constant one."""
        values: list[float] = self._search_data().normaliser.std.tolist()
        return values

    @property
    def preprocessing(self) -> dict[str, Any]:
        """How a new image gets the form of the training images, in plain JSON types.

        :func:`~lightning_modules.data.load_images` and
        :func:`~lightning_modules.data.make_transform` take it.
        """
        return {
            "kind": "images",
            "input_shape": list(self.input_shape),
            "mean": self.mean,
            "std": self.std,
            "resize": getattr(self, "resize", "pad"),
        }

    @classmethod
    def load_new(
        cls, files: Sequence[str], preprocessing: Mapping[str, Any]
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield each file with its images; see :func:`~lightning_modules.data.load_images`."""
        transform = make_transform(preprocessing)
        for file in files:
            yield file, transform(file)

    @staticmethod
    def check_preprocessing(preprocessing: Mapping[str, Any]) -> None:
        """Raise a ValueError unless this is what :attr:`preprocessing` can be."""
        make_transform(preprocessing)

    @property
    def notice(self) -> str | None:
        """A line on what was decided about the data without being asked, if anything was."""
        return None

    def describe(self) -> dict[str, Any]:
        """Return the facts about the data in plain JSON types, without reading the test split."""
        search = self._search_data().search
        # As they are now, for `train_on_validation` may have been set since. Lightning's command
        # line adds names of its own, with an underscore.
        arguments = {
            name: getattr(self, name, value)
            for name, value in self.hparams.items()
            if not name.startswith("_")
        }
        return {
            "data_module": type(self).__name__,
            "arguments": arguments,
            "input_shape": list(self.input_shape),
            "class_names": self.class_names,
            "mean": self.mean,
            "std": self.std,
            "n_train": len(search.train),
            "n_validation": len(search.validation),
        }

    # What the trainer calls.

    def setup(self, stage: str) -> None:
        """Read what ``stage`` needs: ``"fit"``, ``"validate"``, ``"test"`` or ``"predict"``."""
        self._search_data()
        if stage == "test":
            self._test_data()

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """Return shuffled :class:`TrainingBatch` of inputs and targets."""
        search = self._search_data().search
        split = search.train
        if self.train_on_validation:
            split = split.followed_by(search.validation)
        self._augmentation_generator = torch.Generator().manual_seed(self.seed)
        return self._loader(split, self.batch_size, training=True)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]] | list[Any]:
        """Return validation batches in fixed order; no loader (``[]``) if they are trained on."""
        if self.train_on_validation:
            silence(UserWarning, "Total length of `list` across ranks is zero")
            return []
        return self._loader(self._search_data().search.validation, self.eval_batch_size)

    def test_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """Return test batches in fixed order.

        Raises:
            RuntimeError: Before ``setup("test")``, so that nothing but a test reads the split.
        """
        if self._test is None:
            raise RuntimeError('Expected a call of `setup("test")` before `test_dataloader()`.')
        return self._loader(self._test, self.eval_batch_size)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Augment every :class:`TrainingBatch` in ``batch``; others stay as they are.

        Nothing is augmented in a trainer's validation, test or prediction.
        """
        if not self.crop_padding and not self.horizontal_flip:
            return batch
        if self.trainer is not None and self.trainer.evaluating:
            return batch
        # A combined loader gives batches in a mapping or a sequence.
        return apply_to_collection(batch, TrainingBatch, self._augmented)

    def _augmented(self, batch: TrainingBatch) -> TrainingBatch:
        generator = self._augmentation_generator
        if generator is None:
            generator = torch.Generator().manual_seed(self.seed)
            self._augmentation_generator = generator
        transform = draw_crop_and_flip(
            batch.inputs.shape,
            padding=self.crop_padding,
            horizontal_flip=self.horizontal_flip,
            generator=generator,
        )
        return TrainingBatch(transform(batch.inputs), batch.targets)

    def _loader(
        self, split: Split, batch_size: int, *, training: bool = False
    ) -> DataLoader[tuple[Tensor, Tensor]]:
        dataset = SplitDataset(split, self._search_data().normaliser, training=training)
        return make_loader(
            dataset,
            batch_size,
            seed=self.seed if training else None,
            num_workers=self.num_workers,
            pin_memory=self._is_on_cuda(),
        )

    def _is_on_cuda(self) -> bool:
        if self.trainer is None:
            return torch.cuda.is_available()
        return self.trainer.strategy.root_device.type == "cuda"

    # Reading.

    def _target_moments(self) -> tuple[list[float], list[float]]:
        targets = self._search_data().search.train.targets
        if not targets.is_floating_point():
            return [], []
        std, mean = torch.std_mean(targets.double().reshape(len(targets), -1), dim=0, correction=0)
        return mean.tolist(), torch.where(std > 0, std, 1.0).tolist()

    def _search_data(self) -> PreparedData:
        with _LOCK:
            if self._prepared is None:
                self._prepared = prepare(self.read_search_data(), self.train_fraction)
            return self._prepared

    def _test_data(self) -> None:
        with _LOCK:
            if self._test is None:
                prepared = self._search_data()
                test = self.read_test_data()
                check_split(test, "test", prepared.search)
                self._test = normalised(test, prepared.normaliser)


def _check_at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"Expected argument `{name}` to be at least {least} but got {value}.")
