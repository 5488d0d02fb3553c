"""The options of each command, as functions whose signatures make the parsers."""

from __future__ import annotations

from typing import Literal


DEFAULT_STORAGE = "sqlite:///optuna.db"
DEFAULT_TRACKING_URI = "sqlite:///mlflow.db"

RelaxationName = Literal[
    "fairnas",
    "gdas",
    "darts",
    "darts-second-order",
    "fbnet",
    "pcdarts",
    "spos",
    "enas",
    "ofa",
]
"""The ways to train a supernet; the same as in lightning_modules, which is heavy to import."""
DEFAULT_SUPERNET: RelaxationName = "fairnas"
BARE = {"supernet": DEFAULT_SUPERNET}
"""What options mean that are given without a value."""


def training_options(
    *,
    batch_size: int = 96,
    learning_rate: float | None = None,
    crop_padding: int = 0,
    horizontal_flip: bool = False,
    image_size: int | None = None,
    network: dict[str, int] | None = None,
    accelerator: str = "auto",
    devices: int | str = 1,
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "bf16-true", "64-true"] = "32-true",
    threads: int = 1,
    seed: int = 0,
) -> None:
    """Options of ``search``, ``supernet`` and ``train``.

    Args:
        batch_size: Images in a training batch.
        learning_rate: Peak learning rate; by default that of the training module.
        crop_padding: Shift training images at random by up to so many pixels.
        horizontal_flip: Mirror training images left to right at random.
        image_size: Height and width in pixels of the images of a folder; by default told from
            the pictures.
        network: Arguments of the network around a cell, e.g. --network.channels 8
            --network.cells_per_stage 1 --network.stages 3; for darts channels and cells.
        accelerator: Of the Lightning Trainer: auto, cpu, gpu, ...
        devices: Of the Lightning Trainer: a number or a list of devices.
        precision: Of the Lightning Trainer, e.g. 32-true or bf16-mixed.
        threads: CPU threads of this process. Several searches on one study use more cores better
            than one search with several threads.
        seed: Seed of the sampler, the initial weights and the order of the images.
    """


def search_options(
    *,
    data: str = "digits",
    space: str = "cell",
    sampler: Literal[
        "genetic",
        "local-search",
        "regularized-evolution",
        "random-architecture",
        "reinforce",
        "ppo",
        "actor-critic",
        "ddpg",
        "random",
        "tpe",
        "nsgaii",
    ] = "genetic",
    pruner: Literal["none", "median", "successive-halving", "hyperband"] = "none",
    pool: int = 16,
    supernet: Literal["none", RelaxationName] = "none",
    supernet_epochs: int | None = None,
    supernet_paths: int = 250,
    supernet_proxy: str = "synflow",
    supernet_folder: str | None = None,
    inherit_weights: bool = False,
    evaluate: Literal["training", "supernet"] = "training",
    latency_table: str | None = None,
    n_trials: int = 20,
    timeout: float | None = None,
    epochs: int = 3,
    final_epochs: int | None = None,
    pick: Literal["accuracy", "knee"] = "accuracy",
    storage: str = DEFAULT_STORAGE,
    study_name: str | None = None,
    tracking_uri: str = DEFAULT_TRACKING_URI,
    output: str = "runs",
) -> None:
    """Search architectures, train the best one, test it once and save it.

    Args:
        data: digits, fashion-mnist, an .npz file with X and y, or a folder of class folders; or
            nasbench201:cifar10 (cifar100, imagenet16-120) to look results up in that table.
        space: cell, chain, darts, nasnet, mobile, fbnet, mobilenet_v3, efficientnet, or a space of
            your own as MODULE:NAME or FILE.py:NAME.
        sampler: Strategy: ours, or Optuna's random, TPE or NSGA-II.
        pruner: Strategy that stops the training of poor trials after an epoch; needs a single
            objective that is trained.
        pool: Number of proposals of which --screen takes one.
        supernet: Before the first trial, train a network that holds all candidates in this way,
            without a value in that of fairnas; what it learns makes the study start where it
            should.
        supernet_epochs: Epochs of the supernet; by default 2 for fairnas and darts-second-order, 4
            for darts and fbnet, 5 for ofa, 6 for enas, 8 for gdas and pcdarts, 10 for spos.
        supernet_paths: Architectures that are scored with the weights of the supernet, if the way
            does not learn probabilities itself.
        supernet_proxy: Zero-cost proxy that counts beside the loss of these, or none.
        supernet_folder: Folder of the supernet, such as one that optuna-nas supernet left, which
            is not trained again; by default a new one in the folder of the study.
        inherit_weights: Start the training of each trial, but not of the finished network, from
            the weights of the supernet.
        evaluate: How trials are measured: training, or only scored with the weights of the
            supernet.
        latency_table: File of optuna-nas profile, from which latency_ms is predicted instead of
            measured.
        n_trials: Trials that the study has at the end, those of earlier runs included.
        timeout: Stop after so many seconds.
        epochs: Epochs of each trial.
        final_epochs: Epochs of the finished network; by default three times those of a trial.
        pick: Which network of the Pareto front is finished: the one that is best in the first
            objective, or the knee (closest to the ideal point, objectives scaled to [0, 1]).
        storage: URL of the Optuna storage, or a path ending in .log for a journal file.
        study_name: Name of the study; an existing one is continued. By default a new one.
        tracking_uri: MLflow tracking URI.
        output: Folder for the finished network, and for the supernet.
    """


def supernet_options(
    *,
    data: str = "digits",
    space: str = "cell",
    supernet: RelaxationName = DEFAULT_SUPERNET,
    supernet_epochs: int | None = None,
    supernet_paths: int = 250,
    supernet_proxy: str = "synflow",
    tracking_uri: str = DEFAULT_TRACKING_URI,
    output: str = "runs/supernet",
) -> None:
    """Train a supernet, the stage before a search, alone.

    Args:
        data: digits, fashion-mnist, an .npz file with X and y, or a folder of class folders.
        space: cell, chain, darts, mobile, fbnet, mobilenet_v3 or efficientnet.
        supernet: The way in which it is trained.
        supernet_epochs: Epochs; by default 2 for fairnas and darts-second-order, 4 for darts and
            fbnet, 5 for ofa, 6 for enas, 8 for gdas and pcdarts, 10 for spos.
        supernet_paths: Architectures that are scored with its weights, if the way does not learn
            probabilities itself.
        supernet_proxy: Zero-cost proxy that counts beside the loss of these, or none.
        tracking_uri: MLflow tracking URI.
        output: Folder for the supernet and its prior; what is unfinished there is continued.
    """


def train_options(
    *,
    data: str = "digits",
    space: str | None = None,
    epochs: int = 10,
    output: str = "runs/train",
) -> None:
    """Train one architecture on training and validation data, test it once and save it.

    Args:
        data: digits, fashion-mnist, an .npz file with X and y, or a folder of class folders.
        space: The space of the architecture. By default the first named one that can read it.
        epochs: Number of epochs.
        output: Folder for the network.
    """


def show_options(*, study_name: str | None = None, storage: str = DEFAULT_STORAGE) -> None:
    """Show the Pareto front of a stored study.

    Args:
        study_name: Name of the study. By default the only one in the storage.
        storage: URL of the Optuna storage, or a path ending in .log for a journal file.
    """


def predict_options(*, space: str | None = None) -> None:
    """Predict the classes of images with a saved network.

    Args:
        space: For a network of a space of your own: that space, as MODULE:NAME or FILE.py:NAME.
    """


def profile_options(
    *,
    data: str = "digits",
    space: str = "cell",
    network: dict[str, int] | None = None,
    device: str = "cpu",
    threads: int = 1,
    batch_size: int = 1,
    rounds: int = 5,
    min_run_time: float = 0.01,
    output: str = "latency.json",
) -> None:
    """Measure the latency of each candidate operation on this device, as a table for predictions.

    Args:
        data: Where the shape of the images comes from: digits, fashion-mnist, an .npz file with X
            and y, or a folder of class folders.
        space: Name of the search space.
        network: Arguments of the network around a cell, e.g. --network.channels 8.
        device: Where to measure: cpu, cuda, cuda:1, ...
        threads: CPU threads.
        batch_size: Images of a forward pass.
        rounds: How often each operation is measured; the least disturbed time counts.
        min_run_time: Seconds of each measurement.
        output: File for the table, JSON. An unfinished table is continued.
    """
