"""A search space of your own in fifteen lines, on data of your own.

The space is the depth, width and kernel sizes of a small ResNet; the data is an ``.npz`` file that
this script makes. It searches for networks that are accurate and small, and tracks in MLflow
(``mlflow ui --backend-store-uri sqlite:///mlflow.db``). The command line takes both as well::

    python examples/custom_space.py
    optuna-nas search --space examples/custom_space.py:space --data data.npz
"""

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution
import torch
from torch import nn

from lightning_modules import TrainingEvaluator
from lightning_modules.data import NpzDataModule
from optuna_nas import ArchitectureObjective
from optuna_nas import CustomSpace
from optuna_nas.samplers import GeneticSampler
from optuna_nas.tracking import MLflowTracker


class Block(nn.Module):
    """A residual block."""

    def __init__(self, channels, kernel_size):
        super().__init__()
        padding = kernel_size // 2
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, kernel_size, padding=padding, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel_size, padding=padding, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x):
        """Keep the shape."""
        return torch.relu(x + self.body(x))


def build(architecture):
    """Return the network of an architecture, for gray images of three classes."""
    depth, width = architecture["depth"], architecture["width"]
    blocks = [Block(width, architecture[f"kernel_{i}"]) for i in range(1, depth + 1)]
    stem = nn.Conv2d(1, width, 3, stride=2, padding=1)
    return nn.Sequential(stem, *blocks, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(width, 3))


space = CustomSpace(
    {
        "depth": IntDistribution(1, 3),
        "width": IntDistribution(4, 16, step=4),
        "kernel_1": CategoricalDistribution([3, 5]),
        "kernel_2": CategoricalDistribution([3, 5]),
        "kernel_3": CategoricalDistribution([3, 5]),
    },
    active_if={
        "kernel_2": lambda params: params["depth"] >= 2,
        "kernel_3": lambda params: params["depth"] >= 3,
    },
    build=build,
    name="resnet",
)


def write_data(path, n=900):
    """Write images of circles, diamonds and squares; any arrays ``X`` and ``y`` would do."""
    rng = np.random.default_rng(0)
    labels = rng.choice(["circle", "diamond", "square"], size=n)
    y, x = np.abs(np.mgrid[:16, :16] - rng.uniform(6, 10, size=(n, 2, 1, 1))).swapaxes(0, 1)
    distances = {"circle": np.hypot(x, y), "diamond": (x + y) / 1.25, "square": np.maximum(x, y)}
    radius = rng.uniform(3, 6, size=(n, 1, 1))
    shapes = np.select(
        [(labels == name)[:, None, None] for name in distances],
        [distance < radius for distance in distances.values()],
    )
    np.savez(path, X=shapes + rng.normal(0, 0.2, size=shapes.shape), y=labels)


def main():
    """Search, and print the Pareto front."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(1)
    write_data("data.npz")
    evaluate = TrainingEvaluator(
        build,
        NpzDataModule("data.npz", batch_size=32),
        metrics=["val_accuracy", "params"],
        max_epochs=3,
    )
    study = optuna.create_study(
        study_name="resnet",
        directions=["maximize", "minimize"],
        sampler=GeneticSampler(space=space, population_size=6, seed=0),
    )
    with MLflowTracker(space=space, objectives=["val_accuracy", "params"]) as tracker:
        objective = ArchitectureObjective(
            space, evaluate, objectives=["val_accuracy", "params"], observers=[tracker]
        )
        study.optimize(objective, n_trials=12, callbacks=[tracker])
    print(f"{len(study.trials)} of {space.size} architectures trained; the Pareto front:")
    for trial in sorted(study.best_trials, key=lambda trial: trial.values):
        accuracy, params = trial.values
        print(f"{accuracy:.3f}  {params:5.0f}  {trial.user_attrs['architecture']}")


if __name__ == "__main__":
    main()
