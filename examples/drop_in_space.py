"""``CellSpace`` in your own objective, under Optuna's ``TPESampler``.

``space.suggest(trial)`` makes plain ``trial.suggest_categorical`` calls, so every sampler, pruner,
storage and dashboard works on it. The objective suggests the learning rate beside the cell and
trains in a loop of its own.
"""

import optuna
import torch

from lightning_modules import build_cell_backbone
from lightning_modules import Classification
from lightning_modules.data import DigitsDataModule
from optuna_nas import CellSpace


space = CellSpace()
data = DigitsDataModule()
task = Classification(num_classes=10)


def objective(trial):
    """Return the accuracy on the validation split after each and after the last epoch."""
    architecture = space.suggest(trial)
    learning_rate = trial.suggest_float("learning_rate", 1e-3, 1e-1, log=True)
    torch.manual_seed(0)
    backbone = build_cell_backbone(
        architecture, input_shape=data.input_shape, channels=4, cells_per_stage=1, stages=2
    )
    network = task.network(backbone)  # With the head.
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate)
    loader = data.train_dataloader()
    for epoch in range(3):
        for images, labels in loader:
            optimizer.zero_grad()
            task.loss(network(images), labels).backward()
            optimizer.step()
        accuracy = validate(network)
        trial.report(accuracy, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return accuracy


@torch.inference_mode()
def validate(network):
    """Return the accuracy on the validation split."""
    network.eval()
    hits = [network(images).argmax(1) == labels for images, labels in data.val_dataloader()]
    network.train()
    return torch.cat(hits).float().mean().item()


def main():
    """Search, and print the best cell."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(1)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=0),
        pruner=optuna.pruners.MedianPruner(),
    )
    study.optimize(objective, n_trials=20)
    print(f"accuracy: {study.best_value:.3f}")
    print(f"cell: {space.to_string(space.architecture(study.best_params))}")
    print(f"learning rate: {study.best_params['learning_rate']:.4f}")


if __name__ == "__main__":
    main()
