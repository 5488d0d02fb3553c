"""Inherited weights: trials start from those of a supernet."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lightning_modules import TrainingEvaluator
from lightning_modules.data import DigitsDataModule
from lightning_modules.supernet import build_supernet
from lightning_modules.supernet import Supernet
from lightning_modules.tasks import Classification
from optuna_nas import ChainSpace
from tests.lightning_modules.supernet.trained import BUILD
from tests.lightning_modules.supernet.trained import CELL
from tests.lightning_modules.supernet.trained import SHAPE
from tests.lightning_modules.supernet.trained import SIZES
from tests.lightning_modules.supernet.trained import SPACE
from tests.lightning_modules.supernet.trained import trained_supernet


@pytest.fixture(scope="module")
def data() -> DigitsDataModule:
    module = DigitsDataModule()
    module.setup("fit")
    return module


@pytest.fixture
def supernet() -> Supernet:
    torch.manual_seed(0)
    return build_supernet(SPACE, Classification(10), **SHAPE, **SIZES)


def test_trial_starts_from_the_weights_of_the_supernet(data: DigitsDataModule) -> None:
    supernet = trained_supernet(data)
    # So small a learning rate changes nothing: what is measured are the inherited weights.
    arguments: dict[str, Any] = {"learning_rate": 1e-12, "metrics": ("val_accuracy", "params")}
    inherited = TrainingEvaluator(BUILD, data, inherit_weights=supernet, **arguments)(CELL)
    scratch = TrainingEvaluator(BUILD, data, **arguments)(CELL)
    assert scratch.metrics["val_accuracy"] < 0.4
    assert inherited.metrics["val_accuracy"] > scratch.metrics["val_accuracy"] + 0.3
    assert inherited.metrics["params"] == scratch.metrics["params"]


def test_supernet_is_not_trained_by_a_trial(data: DigitsDataModule, supernet: Supernet) -> None:
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    evaluator = TrainingEvaluator(BUILD, data, inherit_weights=supernet)
    first, second = evaluator(CELL), evaluator(CELL)
    assert first == second
    for name, tensor in supernet.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_supernet_of_another_space(data: DigitsDataModule) -> None:
    supernet = build_supernet(ChainSpace(), Classification(10), **SHAPE)
    evaluator = TrainingEvaluator(BUILD, data, inherit_weights=supernet)
    with pytest.raises(ValueError, match="of search space `cell` but got one of `chain`"):
        evaluator(CELL)


def test_supernet_of_another_size(data: DigitsDataModule) -> None:
    supernet = build_supernet(SPACE, Classification(10), **SHAPE, **{**SIZES, "channels": 8})
    evaluator = TrainingEvaluator(BUILD, data, inherit_weights=supernet)
    with pytest.raises(ValueError, match="Expected the supernet to hold a weight"):
        evaluator(CELL)
