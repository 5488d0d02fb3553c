"""A LightningModule, data and networks of your own in an architecture search.

What is searched, what is optimised and what bounds it are yours: any value that the module logs.
The glue is the ten lines of ``main``; on the command line it is one::

    optuna-nas search --module examples/own_task.py:Module --data examples/own_task.py:Data \
        --space examples/own_task.py:space --objectives val_f1 params --constraint 'val_loss<=2'
"""

import itertools

import optuna
from optuna.distributions import IntDistribution
import pytorch_lightning as pl
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale
import torch
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.data import TensorDataset
from torchmetrics.classification import BinaryF1Score

from lightning_modules import TrainingEvaluator
from optuna_nas import ArchitectureObjective
from optuna_nas import CustomSpace
from optuna_nas import GeneticSampler


class Data(pl.LightningDataModule):
    """569 samples of 30 numbers; batches are dicts."""

    def setup(self, stage):
        """Split the data."""
        x, y = load_breast_cancer(return_X_y=True)
        data = [torch.tensor(scale(x)).float(), torch.tensor(y).float()]
        parts = train_test_split(*data, test_size=0.4, random_state=0)
        self.train, self.val = TensorDataset(*parts[::2]), TensorDataset(*parts[1::2])

    def train_dataloader(self):
        """Return training batches."""
        return DataLoader(self.train, 32, shuffle=True, collate_fn=as_dict)

    def val_dataloader(self):
        """Return validation batches."""
        return DataLoader(self.val, 128, collate_fn=as_dict)


def as_dict(samples):
    """Return a batch as a dict."""
    x, y = zip(*samples, strict=True)
    return {"numbers": torch.stack(x), "malignant": torch.stack(y)}


class Module(pl.LightningModule):
    """Trains a network to tell malignant from benign."""

    def __init__(self, network):
        super().__init__()
        self.network, self.f1 = network, BinaryF1Score()

    def forward(self, numbers):
        """Return logits of shape (batch,)."""
        return self.network(numbers).squeeze(1)

    def _loss(self, batch):
        logits = self(batch["numbers"])
        return nn.functional.binary_cross_entropy_with_logits(logits, batch["malignant"]), logits

    def training_step(self, batch, batch_idx):
        """Return the loss."""
        return self._loss(batch)[0]

    def validation_step(self, batch, batch_idx):
        """Log loss and F1 score."""
        loss, logits = self._loss(batch)
        self.f1(logits, batch["malignant"])
        self.log_dict({"val_loss": loss, "val_f1": self.f1}, on_epoch=True)

    def configure_optimizers(self):
        """Return the optimizer."""
        return torch.optim.AdamW(self.parameters(), lr=0.01)


def build(architecture):
    """Return the network of an architecture."""
    sizes = [30, *[architecture["width"]] * architecture["depth"]]
    layers = [(nn.Linear(a, b), nn.ReLU()) for a, b in itertools.pairwise(sizes)]
    return nn.Sequential(*itertools.chain(*layers), nn.Linear(sizes[-1], 1))


space = CustomSpace(
    {"depth": IntDistribution(1, 3), "width": IntDistribution(4, 32, step=4)}, build=build
)


def main():
    """Search."""
    metrics = ["val_f1", "params"]
    evaluate = TrainingEvaluator(build, Data(), module=Module, metrics=metrics, max_epochs=3)
    objective = ArchitectureObjective(space, evaluate, objectives=metrics)
    sampler = GeneticSampler(space=space, population_size=4, seed=0)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    study.optimize(objective, n_trials=8)
    for trial in study.best_trials:
        print(f"F1 {trial.values[0]:.3f}, {trial.values[1]:.0f} parameters: {trial.params}")


if __name__ == "__main__":
    main()
