"""The base of the data modules: fixed splits that are read once, and their loaders."""

from __future__ import annotations

import abc
import threading
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lightning_modules._checks import check_at_least
from lightning_modules.data._loader import make_loader
from lightning_modules.data._loader import silence
from lightning_modules.data._loader import SplitDataset
from lightning_modules.data._prepared import normalised
from lightning_modules.data._prepared import prepare
from lightning_modules.data._prepared import PreparedData
from lightning_modules.data._split import check_split
from lightning_modules.data._split import SearchData
from lightning_modules.data._split import Split


_LOCK = threading.RLock()  # Of the module, as a data module has to pickle.


class SplitDataModule(pl.LightningDataModule, abc.ABC):
    """Fixed training, validation and test splits.

    A subclass gives :meth:`read_search_data` and :meth:`read_test_data`. The splits do not depend
    on ``seed``, and the order of the training batches depends on it alone, with workers or not.

    The data is read on first use, the test split not before ``setup("test")``. All trials may
    share one data module: each :meth:`train_dataloader` starts from ``seed`` again. Trials in
    parallel threads should each take a ``copy.copy`` of it after ``setup("fit")``, which shares
    the tensors, or else their augmentation depends on the timing of the threads.

    Args:
        batch_size: Samples of a training batch. A last batch of one sample is dropped.
        eval_batch_size: Samples of a validation or test batch.
        seed: Seed of the order of the training samples and of their augmentation, at least 0. The
            global generators are neither used nor changed.
        train_fraction: Fraction of the training split to train on, in (0, 1]; a fixed choice that
            keeps the proportions of the classes.
        train_on_validation: Whether to train on the training and the validation split together,
            for a finished architecture. Then there is no validation data loader, and nothing can
            monitor a validation metric.
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
        num_workers: int | None = None,
    ) -> None:
        super().__init__()
        check_at_least("batch_size", batch_size, 1)
        check_at_least("eval_batch_size", eval_batch_size, 1)
        check_at_least("seed", seed, 0)
        check_at_least("num_workers", num_workers or 0, 0)
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
        self.num_workers = num_workers
        self._prepared: PreparedData | None = None
        self._test: Split | None = None

    @property
    def task(self) -> str:
        """Name of the task that the targets are for."""
        return "classification"

    @abc.abstractmethod
    def read_search_data(self) -> SearchData:
        """Read the training and validation split, not normalised; called once."""

    @abc.abstractmethod
    def read_test_data(self) -> Split:
        """Read the test split, not normalised; called once, for stage ``"test"``."""

    # What tasks need to know.

    @property
    def class_names(self) -> list[str]:
        """Names of the classes in the order of the labels; none if the targets are values."""
        return list(self._search_data().search.class_names)

    @property
    def n_targets(self) -> int:
        """Number of values to predict for each sample, 0 if the targets are classes."""
        return len(self._search_data().target_mean)

    @property
    def target_mean(self) -> list[float]:
        """Mean of each value to predict over the whole training split; none for classes."""
        return list(self._search_data().target_mean)

    @property
    def target_std(self) -> list[float]:
        """Standard deviation of each value to predict; 1 for a constant one."""
        return list(self._search_data().target_std)

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
            "class_names": self.class_names,
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
        """Return shuffled :class:`~lightning_modules.data.TrainingBatch` of inputs and targets."""
        search = self._search_data().search
        split = search.train
        if self.train_on_validation:
            split = split.followed_by(search.validation)
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
