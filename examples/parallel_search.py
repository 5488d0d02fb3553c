"""Several processes on one study, tracked in one MLflow experiment.

All that the processes share is the study in ``optuna.db`` and the runs in ``mlflow.db``. The
sampler keeps its state in the study, so each process builds on what the others found. Run it
again, and it goes on with the study.
"""

import functools
import multiprocessing

import optuna
import torch

from lightning_modules import build_chain_backbone
from lightning_modules import TrainingEvaluator
from lightning_modules.data import DigitsDataModule
from optuna_nas import ArchitectureObjective
from optuna_nas import ChainSpace
from optuna_nas.samplers import GeneticSampler
from optuna_nas.tracking import MLflowTracker


N_PROCESSES = 2
N_TRIALS = 6  # Of each process.
STUDY = {"study_name": "parallel", "storage": "sqlite:///optuna.db"}

space = ChainSpace(filters=(8, 16, 32))


def work(tracker):
    """Run the trials of one process."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(1)  # More would compete for the cores with the other processes.
    study = optuna.load_study(sampler=GeneticSampler(space=space, population_size=4), **STUDY)
    data = DigitsDataModule()
    build = functools.partial(build_chain_backbone, input_shape=data.input_shape)
    evaluate = TrainingEvaluator(build, data, metrics=["val_accuracy", "macs"])
    objective = ArchitectureObjective(
        space, evaluate, objectives=["val_accuracy", "macs"], observers=[tracker]
    )
    study.optimize(objective, n_trials=N_TRIALS, callbacks=[tracker])


def main():
    """Make study and experiment once, start the processes, and print the Pareto front."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=["maximize", "minimize"], load_if_exists=True, **STUDY)
    with MLflowTracker(space=space, objectives=["val_accuracy", "macs"]) as tracker:
        tracker.start(study)
        context = multiprocessing.get_context("spawn")
        workers = [context.Process(target=work, args=[tracker]) for _ in range(N_PROCESSES)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    print(f"{len(study.trials)} trials; the Pareto front:")
    for trial in sorted(study.best_trials, key=lambda trial: trial.values):
        accuracy, macs = trial.values
        print(f"{accuracy:.3f}  {macs:8.0f}  {trial.user_attrs['architecture']}")


if __name__ == "__main__":
    main()
