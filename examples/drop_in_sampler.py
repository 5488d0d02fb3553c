"""``GeneticSampler`` in a plain Optuna study that has nothing to do with networks.

The study tunes a scikit-learn classifier with a categorical, two float and two integer parameters,
some of them conditional. One line differs from the same study with Optuna's own sampler.
"""

import optuna
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

from optuna_nas.samplers import GeneticSampler


X, y = load_digits(return_X_y=True)
X, y = X[:600], y[:600]


def objective(trial):
    """Return the accuracy in cross-validation."""
    if trial.suggest_categorical("model", ["svm", "forest"]) == "svm":
        model = SVC(
            C=trial.suggest_float("C", 1e-2, 1e3, log=True),
            gamma=trial.suggest_float("gamma", 1e-6, 1e-1, log=True),
        )
    else:
        model = RandomForestClassifier(
            n_estimators=trial.suggest_int("n_estimators", 5, 40, step=5),
            max_depth=trial.suggest_int("max_depth", 2, 12),
            random_state=0,
        )
    return cross_val_score(model, X, y, cv=3).mean()


def main():
    """Search, and print the best parameters."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = GeneticSampler(population_size=10, seed=0)  # Instead of TPESampler(seed=0).
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=40)
    print(f"accuracy: {study.best_value:.4f}")
    print(f"parameters: {study.best_params}")


if __name__ == "__main__":
    main()
