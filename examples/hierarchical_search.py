"""A search from coarse to fine: depths and widths first, then the blocks of the best.

``space.refine(architecture, names)`` is the sub-space around an architecture in which only the
named decisions are free. Each stage is a study of its own on such a sub-space; both are runs of
one MLflow experiment in ``mlflow.db``. The second study starts from the best of the first.
"""

import functools

import optuna
import torch

from lightning_modules import build_mobile_backbone
from lightning_modules import TrainingEvaluator
from lightning_modules.data import DigitsDataModule
from optuna_nas import ArchitectureObjective
from optuna_nas import MLflowTracker
from optuna_nas import MobileSpace
from optuna_nas.samplers import RegularizedEvolutionSampler


EXPERIMENT = "hierarchical search"
MACRO = ["stage_*_depth", "stage_*_width"]
BLOCKS = ["stage_*_block_*"]

space = MobileSpace.small(n_stages=2, max_depth=3)
data = DigitsDataModule(batch_size=64)
build = functools.partial(build_mobile_backbone, input_shape=data.input_shape)
evaluate = TrainingEvaluator(build, data, metrics=["val_accuracy", "params"], max_epochs=2)


def search(stage, around, decisions, n_trials):
    """Search the named decisions of ``around``, and return the best trial's architecture."""
    part = space.refine(around, decisions)
    sampler = RegularizedEvolutionSampler(seed=0, space=part, population_size=6, sample_size=3)
    study = optuna.create_study(study_name=stage, direction="maximize", sampler=sampler)
    study.enqueue_trial(dict(around))  # Never worse than where it starts.
    with MLflowTracker(EXPERIMENT, space=part, objectives=["val_accuracy"]) as tracker:
        objective = ArchitectureObjective(part, evaluate, observers=[tracker])
        study.optimize(objective, n_trials=n_trials, callbacks=[tracker])
    best = part.architecture(study.best_params)
    params = study.best_trial.user_attrs["metrics"]["params"]
    print(f"{stage}: {n_trials} of {part.size:,} architectures")
    print(f"  start {study.trials[0].value:.3f}  {space.to_string(around)}")
    print(f"  best  {study.best_value:.3f}  {space.to_string(best)}  {params:,.0f} parameters")
    return best


def main():
    """Search twice, and print what each stage found."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(1)
    print(f"the whole space: {space.size:,} architectures")
    macro = search("macro", space.complete({}), MACRO, n_trials=8)
    search("blocks", macro, BLOCKS, n_trials=16)


if __name__ == "__main__":
    main()
