"""The prior that a stage leaves on the study."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
import pytest

from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas.prior import Prior
from optuna_nas.prior import store_prior
from optuna_nas.prior import stored_prior


CELL = CellSpace()
PRIOR = Prior(CELL, {"edge_0_1": [0, 0, 0, 3, 1]}, floor=0.2)


def test_a_study_without_a_stage_has_none() -> None:
    assert stored_prior(optuna.create_study(), CELL) is None


def test_another_process_reads_what_was_stored(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(study_name="one", storage=url)
    store_prior(study, PRIOR, PRIOR.most_likely(), {"epochs": 3})
    again = optuna.load_study(study_name="one", storage=url)
    found = stored_prior(again, CELL)
    assert found is not None
    np.testing.assert_array_equal(found[0]["edge_0_1"], PRIOR["edge_0_1"])
    assert found[0].floor == 0.2
    assert found[1] == PRIOR.most_likely()
    assert again.user_attrs["supernet_prior"]["settings"] == {"epochs": 3}


def test_a_prior_of_another_space_is_refused() -> None:
    study = optuna.create_study()
    store_prior(study, PRIOR, PRIOR.most_likely())
    with pytest.raises(ValueError, match="prior of search space `chain` but got one of `cell`"):
        stored_prior(study, ChainSpace())
