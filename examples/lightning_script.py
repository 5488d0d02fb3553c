"""An ordinary Lightning training script that trains one architecture.

No study and no search: ``build_cell_backbone`` makes the backbone of a cell, the task adds the
head and brings loss and metrics, ``TaskModule`` is the ``LightningModule`` that trains both.
``FashionMNISTDataModule()`` fits in the place of ``DigitsDataModule()``.
"""

import pytorch_lightning as pl
import torch

from lightning_modules import build_cell_backbone
from lightning_modules import Classification
from lightning_modules import TaskModule
from lightning_modules.data import DigitsDataModule
from optuna_nas import CellSpace


CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"


def main():
    """Train, and test once."""
    torch.set_num_threads(1)
    pl.seed_everything(0)
    data = DigitsDataModule(crop_padding=1)
    backbone = build_cell_backbone(
        CellSpace().from_string(CELL), input_shape=data.input_shape, channels=8, cells_per_stage=1
    )
    module = TaskModule(backbone, Classification(10), optimizer="sgd", schedule="cosine")
    trainer = pl.Trainer(
        max_epochs=10,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, datamodule=data)
    print(f"validation accuracy: {trainer.callback_metrics['val_accuracy']:.3f}")
    [result] = trainer.test(module, datamodule=data, verbose=False)
    print(f"test accuracy: {result['test_accuracy']:.3f}")


if __name__ == "__main__":
    main()
