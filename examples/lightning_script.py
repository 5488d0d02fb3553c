"""An ordinary Lightning training script that trains one architecture.

No study and no search: ``build_network`` makes the network of a cell, ``ImageClassifier`` is the
``LightningModule`` that trains any network, and the data module is one of this package.
``FashionMNISTDataModule()`` fits in the place of ``DigitsDataModule()``.
"""

import pytorch_lightning as pl
import torch

from lightning_modules import build_network
from lightning_modules import ImageClassifier
from lightning_modules.data import DigitsDataModule
from optuna_nas import CellSpace


CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"


def main():
    """Train, and test once."""
    torch.set_num_threads(1)
    pl.seed_everything(0)
    data = DigitsDataModule(crop_padding=1)
    network = build_network(
        CellSpace().from_string(CELL),
        input_shape=data.input_shape,
        num_classes=len(data.class_names),
        channels=8,
        cells_per_stage=1,
    )
    classifier = ImageClassifier(
        network, num_classes=len(data.class_names), optimizer="sgd", schedule="cosine"
    )
    trainer = pl.Trainer(
        max_epochs=10,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(classifier, datamodule=data)
    print(f"validation accuracy: {trainer.callback_metrics['val_accuracy']:.3f}")
    [result] = trainer.test(classifier, datamodule=data, verbose=False)
    print(f"test accuracy: {result['test_accuracy']:.3f}")


if __name__ == "__main__":
    main()
