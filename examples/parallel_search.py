"""Several processes on one study, tracked in one MLflow experiment.

All that the processes share is the study in ``optuna.db`` and the runs in ``mlflow.db``. The
sampler keeps its state in the study, so each process continues what the others found. Run it
again, and it continues the study; another terminal or another machine with the same storage may
join.
"""

import functools
import multiprocessing

import optuna
from optuna.study import MaxTrialsCallback
import torch

from lightning_modules import build_chain_network
from lightning_modules import TrainingEvaluator
from lightning_modules.datamodules import DigitsDataModule
from optuna_nas import ArchitectureObjective
from optuna_nas import ChainSpace
from optuna_nas.samplers import GeneticSampler
from optuna_nas.tracking import MLflowTracker


N_TRIALS = 16  # Of all processes together.
N_PROCESSES = 2
STUDY = {"study_name": "parallel", "storage": "sqlite:///optuna.db"}

space = ChainSpace()


def work(tracker):
    """Run trials until the study has enough."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(1)  # More would compete for the cores with the other processes.
    study = optuna.load_study(sampler=GeneticSampler(space=space, population_size=8), **STUDY)
    data = DigitsDataModule()
    build = functools.partial(
        build_chain_network, input_shape=data.input_shape, num_classes=data.num_classes
    )
    evaluate = TrainingEvaluator(build, data, metrics=["val_accuracy", "macs"])
    objective = ArchitectureObjective(
        space, evaluate, objectives=["val_accuracy", "macs"], observers=[tracker]
    )
    study.optimize(objective, callbacks=[tracker, MaxTrialsCallback(N_TRIALS)])


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
    print(f"{len(study.trials)} trials by {N_PROCESSES} processes; the Pareto front:")
    for trial in sorted(study.best_trials, key=lambda trial: trial.values):
        accuracy, macs = trial.values
        print(f"{accuracy:.3f}  {macs:8.0f}  {trial.user_attrs['architecture']}")


if __name__ == "__main__":
    main()
