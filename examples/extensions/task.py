"""A task of your own: one file. Use it with ``--task examples/extensions/task.py:Counting``.

A package makes it ``--task counting`` for everybody by an entry point of the group
``optuna_nas.tasks``. It treats the classes of the digits as counts from 0 to 9.
"""

from dataclasses import dataclass

import torch
from torch import nn
import torchmetrics

from lightning_modules import Task
from optuna_nas.metrics import Metric


class Near(torchmetrics.MeanMetric):
    """The share of predictions that are within 1 of the target."""

    def update(self, output, target):
        """Take a batch."""
        super().update(((output.exp().squeeze(1) - target).abs() <= 1).float())


@dataclass(frozen=True)
class Counting(Task):
    """Predicts a count by a Poisson regression; the metric is in [0, 1]."""

    metrics = (Metric("near", "maximize", "within one", "{:.1%}"),)

    @classmethod
    def from_data(cls, datamodule, **settings):
        """Return the task; it needs to know nothing of the data."""
        return cls(**settings)

    def head(self, backbone):
        """Return the logarithm of the expected count."""
        return nn.Linear(backbone.n_features, 1)

    def loss(self, output, target):
        """Return the negative log-likelihood of counts, up to a constant."""
        return nn.functional.poisson_nll_loss(output.squeeze(1), target.float())

    def make_metrics(self):
        """Return what is measured on validation and test data."""
        return {"near": Near()}

    def predict(self, output):
        """Return the expected count."""
        return output.exp().squeeze(1)

    def describe(self, prediction):
        """Return the columns of a prediction."""
        return {"count": f"{float(torch.as_tensor(prediction)):.1f}"}
