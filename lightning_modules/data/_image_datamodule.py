"""Images: normalised by the training split, augmented in training batches, and read anew."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from lightning_utilities.core.apply_func import apply_to_collection
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lightning_modules._checks import check_at_least
from lightning_modules.data._augmentation import draw_crop_and_flip
from lightning_modules.data._datamodule import SplitDataModule
from lightning_modules.data._loader import TrainingBatch
from lightning_modules.data._new_images import make_transform
from lightning_modules.registries import TASKS


class ImageDataModule(SplitDataModule):
    """Images with fixed training, validation and test splits.

    A subclass gives :meth:`read_search_data` and :meth:`read_test_data`. The images are normalised
    per channel by mean and standard deviation of the whole training split, whatever
    ``train_fraction`` and ``train_on_validation`` are, so that both are fixed for a data set.

    Args:
        crop_padding: Training images are shifted at random by up to so many pixels in both
            directions, the border filled with the mean; 0 for no shift.
        horizontal_flip: Whether training images are mirrored left to right at random.
        **kwargs: The arguments of :class:`~lightning_modules.data._datamodule.SplitDataModule`:
            ``batch_size``, ``eval_batch_size``, ``seed``, ``train_fraction``,
            ``train_on_validation`` and ``num_workers``.

    Raises:
        ValueError: If an argument is out of its range.
        DataError: On first use, if the data is missing, damaged or not of the expected form.
    """

    def __init__(
        self, *, crop_padding: int = 0, horizontal_flip: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_at_least("crop_padding", crop_padding, 0)
        self.crop_padding = crop_padding
        self.horizontal_flip = horizontal_flip
        self._augmentation_generator: torch.Generator | None = None

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of an image: channels, height, width."""
        channels, height, width = self._search_data().search.train.inputs.shape[1:]
        return channels, height, width

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

    def describe(self) -> dict[str, Any]:
        """Return the facts about the data in plain JSON types, without reading the test split."""
        images = {"input_shape": list(self.input_shape), "mean": self.mean, "std": self.std}
        return super().describe() | images

    # New images, for a prediction.

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

    # Augmentation.

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """Return shuffled :class:`~lightning_modules.data.TrainingBatch` of images and targets."""
        self._augmentation_generator = torch.Generator().manual_seed(self.seed)
        return super().train_dataloader()

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Augment every training batch in ``batch`` as its task does; others stay as they are.

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
        return TrainingBatch(*TASKS.get(self.task).augment(*batch, transform))
