"""Random crop and flip: right, reproducible, and on training batches alone."""

from __future__ import annotations

import torch
from torch import nn
from torch import Tensor

from lightning_modules.data import DigitsDataModule
from lightning_modules.data import TrainingBatch
from lightning_modules.data._augmentation import draw_crop_and_flip


class TestAugmentation:
    def test_every_image_is_a_shift_or_a_mirrored_shift(self) -> None:
        images = torch.rand(64, 2, 5, 4, generator=torch.Generator().manual_seed(0)) + 1
        generator = torch.Generator().manual_seed(1)
        out = draw_crop_and_flip(
            images.shape, padding=1, horizontal_flip=True, generator=generator
        )(images)
        assert out.shape == images.shape
        padded = nn.functional.pad(images, (1, 1, 1, 1))
        seen = set()
        for i in range(64):
            candidates = {
                (top, left, flip): crop.flip(2) if flip else crop
                for top in range(3)
                for left in range(3)
                for flip in (False, True)
                for crop in [padded[i, :, top : top + 5, left : left + 4]]
            }
            matches = [key for key, crop in candidates.items() if torch.equal(crop, out[i])]
            assert len(matches) == 1
            seen.add(matches[0])
        assert len(seen) > 12  # Of 18.

    def test_flip_and_crop_alone(self) -> None:
        images = torch.rand(32, 1, 3, 3, generator=torch.Generator().manual_seed(0))
        generator = torch.Generator().manual_seed(1)
        out = draw_crop_and_flip(
            images.shape, padding=0, horizontal_flip=True, generator=generator
        )(images)
        flipped = (out == images.flip(3)).all(dim=(1, 2, 3))
        assert torch.equal(out[~flipped], images[~flipped])
        assert 5 < flipped.sum() < 27
        out = draw_crop_and_flip(
            images.shape, padding=2, horizontal_flip=False, generator=generator
        )(images)
        assert (out == 0).any()

    def test_one_draw_moves_images_and_masks_alike(self) -> None:
        images = torch.rand(16, 3, 6, 5, generator=torch.Generator().manual_seed(0))
        generator = torch.Generator().manual_seed(1)
        move = draw_crop_and_flip(
            images.shape, padding=2, horizontal_flip=True, generator=generator
        )
        moved = move(images)
        assert not torch.equal(moved, images)
        assert torch.equal(move(images), moved)
        masks = (images[:, 0] * 100).long()
        assert torch.equal(move(masks), (moved[:, 0] * 100).long())

    def test_only_training_batches_change(self) -> None:
        data = DigitsDataModule(crop_padding=2, horizontal_flip=True, batch_size=20)
        batch = next(iter(data.train_dataloader()))
        out = data.on_after_batch_transfer(batch, 0)
        assert isinstance(out, TrainingBatch)
        assert out.inputs.shape == batch[0].shape
        assert not torch.equal(out.inputs, batch[0])
        assert torch.equal(out.targets, batch[1])

        data.setup("test")
        for loader in (data.val_dataloader(), data.test_dataloader()):
            batch = next(iter(loader))
            assert data.on_after_batch_transfer(batch, 0) is not None
            assert torch.equal(data.on_after_batch_transfer(batch, 0)[0], batch[0])

    def test_batches_of_a_combined_loader(self) -> None:
        data = DigitsDataModule(crop_padding=2, batch_size=20)
        training, validation = (
            next(iter(data.train_dataloader())),
            next(iter(data.val_dataloader())),
        )
        out = data.on_after_batch_transfer({"weights": training, "choices": validation}, 0)
        assert not torch.equal(out["weights"][0], training[0])
        assert torch.equal(out["choices"][0], validation[0])

    def test_same_seed_same_augmentation(self) -> None:
        def augmented(seed: int) -> Tensor:
            data = DigitsDataModule(crop_padding=2, horizontal_flip=True, seed=seed)
            data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
            images = DigitsDataModule().read_search_data().train
            data.train_dataloader()  # Starts again, as the next trial does.
            batch = TrainingBatch(images.inputs, images.targets)
            out: Tensor = data.on_after_batch_transfer(batch, 0).inputs
            return out

        assert torch.equal(augmented(1), augmented(1))
        assert not torch.equal(augmented(1), augmented(2))

    def test_off_by_default(self) -> None:
        data = DigitsDataModule()
        batch = next(iter(data.train_dataloader()))
        assert data.on_after_batch_transfer(batch, 0) is batch
