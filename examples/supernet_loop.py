"""Training a supernet in a loop of one's own, without a trainer.

``SupernetSearch`` holds the network that all cells share. Each step trains five cells in which
each operation is on each edge once (FairNAS, Chu et al., ICCV 2021). What is left are a cell, and
a prior with which a study can begin: ``warm_start(study, space, search.prior(), 10)``.

A relaxation that learns probabilities, such as ``relaxation="gdas"``, wants a second batch, of
other samples: ``search.train_step(batch, val_batch)``.
"""

import torch

from lightning_modules.data import DigitsDataModule
from lightning_modules.supernet import SupernetSearch
from lightning_modules.tasks import Classification
from optuna_nas import CellSpace


def main():
    """Search, and print what was found."""
    torch.set_num_threads(1)
    space, data, n_epochs = CellSpace(), DigitsDataModule(batch_size=64), 5
    search = SupernetSearch(
        space,
        Classification.from_data(data),
        input_shape=data.input_shape,
        n_epochs=n_epochs,
        training={"learning_rate": 0.1},
        channels=8,
        cells_per_stage=1,
    )
    train_loader, val_loader = data.train_dataloader(), data.val_dataloader()

    for epoch in range(n_epochs):
        losses = [search.train_step(batch) for batch in train_loader]
        search.update_strategy()
        print(f"epoch {epoch + 1}: mean loss of the paths {sum(losses) / len(losses):.3f}")
    accuracy = search.evaluate(val_loader, n_paths=50)

    print(f"validation accuracy with shared weights: {accuracy:.3f}")
    print("cell:", space.to_string(search.best_architecture()))
    prior = search.prior()
    for edge in space.distributions:
        row = zip(space.operations, prior[edge], strict=True)
        print(edge, *(f"{operation} {p:.2f}" for operation, p in row))


if __name__ == "__main__":
    main()
