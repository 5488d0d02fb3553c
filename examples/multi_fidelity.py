"""A search in stages: zero-cost proxies, then few epochs under a pruner, then many epochs.

    python examples/multi_fidelity.py

The first stage costs no training: of every pool of proposals only the best by two proxies is
passed on. The second trains for up to 4 epochs, and successive halving stops what falls behind.
The third trains the best three, and nothing else, for 12.
"""

from __future__ import annotations

from functools import partial

import optuna
from optuna.trial import TrialState
import torch

from lightning_modules import build_cell_backbone
from lightning_modules import ProxyEvaluator
from lightning_modules import TrainingEvaluator
from lightning_modules.data import DigitsDataModule
from optuna_nas import ArchitectureObjective
from optuna_nas import CellSpace
from optuna_nas import enqueue_best
from optuna_nas import GeneticSampler
from optuna_nas import ScreeningSampler
from optuna_nas.objective import CURVES


def n_epochs(study: optuna.Study) -> int:
    """Return the number of epochs that all trials of a study were trained for."""
    return sum(len(trial.user_attrs[CURVES]["val_accuracy"]) for trial in study.trials)


def main() -> None:
    """Search in three stages, and print what each cost."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(1)
    space, data = CellSpace(), DigitsDataModule(seed=0)
    build = partial(build_cell_backbone, input_shape=(1, 8, 8), channels=4, cells_per_stage=1)
    proxies = ProxyEvaluator(build, data)
    reference = [space.architecture_at(index) for index in range(100, space.size, 1000)]
    score = proxies.rank_score(["synflow", "naswot"], reference)
    sampler = ScreeningSampler(
        GeneticSampler(space=space, seed=0), score, pool=8, n_warm_up=4, space=space, seed=0
    )

    short = optuna.create_study(
        direction="maximize", sampler=sampler, pruner=optuna.pruners.SuccessiveHalvingPruner()
    )
    few_epochs = TrainingEvaluator(build, data, max_epochs=4, accelerator="cpu")
    short.optimize(ArchitectureObjective(space, few_epochs), n_trials=12)
    n_pruned = len(short.get_trials(states=[TrialState.PRUNED]))
    print(f"few epochs: {len(short.trials)} trials, {n_pruned} pruned, {n_epochs(short)} epochs")

    long = optuna.create_study(direction="maximize")
    many_epochs = TrainingEvaluator(build, data, max_epochs=12, accelerator="cpu")
    n_promoted = len(enqueue_best(long, short, 3, space=space))
    long.optimize(ArchitectureObjective(space, many_epochs), n_trials=n_promoted)
    print(f"many epochs: {n_promoted} trials, {n_epochs(long)} epochs")
    print(f"best validation accuracy: {short.best_value:.3f}, then {long.best_value:.3f}")
    print(long.best_trial.user_attrs["architecture"])


if __name__ == "__main__":
    main()
