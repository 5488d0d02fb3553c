"""The settings of a search, declared once: for Python and as options of the command line.

Nothing heavy is imported here, so that the command line's help comes at once. A :data:`Named`
setting is a name, a path, ``MODULE:NAME`` or ``FILE.py:NAME``, or in Python the object itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Literal

from lightning_modules.supernet.settings import DEFAULT_RELAXATION


Named = Any

DEFAULT_STORAGE = "sqlite:///optuna.db"
DEFAULT_TRACKING_URI = "sqlite:///mlflow.db"
NONE = "none"
"""The name that stands for nothing, where there can be none."""


@dataclass(kw_only=True)
class DataSettings:
    """The data, what is learned from it, and the space.

    Args:
        data: digits, fashion-mnist, an .npz file with X and y, a folder of class folders, or a
            LightningDataModule of your own as MODULE:NAME or FILE.py:NAME. Its own settings are
            options as well; they are listed by --help behind --data.
        task: What networks are trained for; by default told from the data: classification or
            regression.
        module: In the place of a task, a LightningModule of your own as MODULE:NAME or
            FILE.py:NAME, which takes the network.
        network: Sizes of the networks around an architecture, e.g. --network.channels 8.
        batch_size: Samples in a training batch; by default that of the data module.
        seed: Seed of the strategy, the initial weights and the order of the samples.
    """

    data: Named = "digits"
    task: Named = None
    module: Named = None
    network: dict[str, int] | None = None
    batch_size: int | None = None
    seed: int = 0


@dataclass(kw_only=True)
class TrainingSettings:
    """How networks are trained.

    Args:
        learning_rate: Peak learning rate; by default that of the training module.
        accelerator: Of the Lightning Trainer: auto, cpu, gpu, ...
        devices: Of the Lightning Trainer: a number or a list of devices.
        precision: Of the Lightning Trainer, e.g. 32-true or bf16-mixed.
    """

    learning_rate: float | None = None
    accelerator: str = "auto"
    devices: int | str = 1
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "bf16-true", "64-true"] = "32-true"


@dataclass(kw_only=True)
class SupernetSettings:
    """The supernet.

    Args:
        supernet_epochs: Epochs of the supernet; by default those of the method, 2 to 10.
        supernet_paths: Architectures that are scored with the weights of the supernet, if the
            method does not learn probabilities itself.
        supernet_proxy: Zero-cost proxy that counts beside the loss of these, or none.
    """

    supernet_epochs: int | None = None
    supernet_paths: int = 250
    supernet_proxy: str = "synflow"


@dataclass(kw_only=True)
class SearchSettings(DataSettings, TrainingSettings, SupernetSettings):
    """What is searched, how, and where results go.

    Args:
        space: A search space by name, or one of your own as MODULE:NAME or FILE.py:NAME.
        objectives: What to optimise, the most important first, as NAME or NAME:maximize; by
            default the first metric of the task.
        constraint: Bounds such as 'params<=100000' or 'latency_ms<=2', in quotes for the shell.
            What breaks one that needs no training is not trained.
        n_trials: Trials that the study has at the end, those of earlier runs included.
        epochs: Epochs of each trial.
        sampler: Strategy: ours, Optuna's random, tpe or nsgaii, or one of your own.
        study_name: Name of the study; an existing one is continued. By default a new one.
        timeout: Stop after so many seconds.
        final_epochs: Epochs of the finished network; by default three times those of a trial.
        pick: Which network of the Pareto front is finished: the one that is best in the first
            objective, or the knee (closest to the ideal point, objectives scaled to [0, 1]).
        pruner: Strategy that stops the training of poor trials after an epoch; needs a single
            objective that is trained.
        screen: Zero-cost proxies, such as synflow naswot: of each pool of proposals only the best
            by their mean rank is trained.
        pool: Number of proposals of which --screen takes one.
        supernet: Train a supernet first, with this method. Default when no method is named:
            fairnas.
        supernet_folder: Folder of the supernet, such as one that optuna-nas supernet left, which
            is not trained again; by default a new one in the folder of the study.
        inherit_weights: Start the training of each trial, but not of the finished network, from
            the weights of the supernet.
        evaluate: How trials are measured: training, or only scored with the weights of the
            supernet.
        latency_table: File of optuna-nas profile, from which latency_ms is predicted instead of
            measured.
        storage: URL of the Optuna storage, or a path ending in .log for a journal file.
        tracking_uri: MLflow tracking URI.
        output: Folder for the finished network, and for the supernet.
    """

    space: Named = "cell"
    objectives: list[str] | None = None
    constraint: list[str] = field(default_factory=list)
    n_trials: int = 20
    epochs: int = 3
    sampler: Named = "genetic"
    study_name: str | None = None
    timeout: float | None = None
    final_epochs: int | None = None
    pick: Literal["first", "knee"] = "first"
    pruner: Literal["none", "median", "successive-halving", "hyperband"] = "none"
    screen: list[str] = field(default_factory=list)
    pool: int = 16
    supernet: str = field(default=NONE, metadata={"bare": DEFAULT_RELAXATION})
    supernet_folder: str | None = None
    inherit_weights: bool = False
    evaluate: Literal["training", "supernet"] = "training"
    latency_table: str | None = None
    storage: str = DEFAULT_STORAGE
    tracking_uri: str = DEFAULT_TRACKING_URI
    output: str = "runs"
