"""The choices of a distribution: all of them, by index, and their index."""

from __future__ import annotations

from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.trial import FixedTrial
import pytest

from optuna_nas.spaces import choice_at
from optuna_nas.spaces import choices_of
from optuna_nas.spaces import default_choice
from optuna_nas.spaces import index_of
from optuna_nas.spaces import is_countable
from optuna_nas.spaces import n_choices
from optuna_nas.spaces._choices import check_countable
from optuna_nas.spaces._choices import describe
from optuna_nas.spaces._choices import suggest


COUNTABLE: dict[str, tuple[BaseDistribution, list[Any]]] = {
    "categorical": (CategoricalDistribution(("a", True, 1.5)), ["a", True, 1.5]),
    "int": (IntDistribution(-1, 2), [-1, 0, 1, 2]),
    "int-step": (IntDistribution(8, 24, step=8), [8, 16, 24]),
    "float-step": (FloatDistribution(0, 0.4, step=0.1), [0.0, 0.1, 0.2, 0.3, 0.4]),
    "single": (IntDistribution(3, 3), [3]),
}
CONTINUOUS = FloatDistribution(0, 1)


@pytest.mark.parametrize(("distribution", "choices"), COUNTABLE.values(), ids=COUNTABLE)
def test_all_choices_in_order(distribution: BaseDistribution, choices: list[Any]) -> None:
    assert list(choices_of(distribution)) == choices
    assert [type(choice) for choice in choices_of(distribution)] == [type(c) for c in choices]
    assert n_choices(distribution) == len(choices)
    assert [choice_at(distribution, i) for i in range(len(choices))] == choices
    assert [index_of(distribution, choice) for choice in choices] == list(range(len(choices)))
    assert default_choice(distribution) == choices[(len(choices) - 1) // 2]
    assert is_countable(distribution)
    assert describe(distribution) == str(choices)


@pytest.mark.parametrize(("distribution", "choices"), COUNTABLE.values(), ids=COUNTABLE)
def test_a_trial_is_asked_for_a_choice(distribution: BaseDistribution, choices: list[Any]) -> None:
    for choice in choices:
        trial = FixedTrial({"x": choice})
        assert suggest(trial, "x", distribution) == choice
        assert trial.distributions == {"x": distribution}


@pytest.mark.parametrize("value", ["no", None, 99, float("nan"), float("inf"), 0.05, [1]])
@pytest.mark.parametrize("name", list(COUNTABLE))
def test_what_is_no_choice_has_no_index(name: str, value: Any) -> None:
    assert index_of(COUNTABLE[name][0], value) is None


def test_numbers_of_other_types_are_choices() -> None:
    assert index_of(IntDistribution(0, 3), np.int64(2)) == 2
    assert index_of(IntDistribution(0, 3), 2.0) == 2
    assert index_of(FloatDistribution(0, 1, step=0.1), 0.1 + 0.2) == 3


def test_a_continuous_distribution_has_no_choices() -> None:
    assert not is_countable(CONTINUOUS)
    with pytest.raises(ValueError, match="categorical, int, or float with a step but got Float"):
        choices_of(CONTINUOUS)


def test_a_long_range_is_described_by_its_ends() -> None:
    assert describe(IntDistribution(10, 1000, step=10)) == "10 to 1000 (100 choices)"


@pytest.mark.parametrize(
    ("distribution", "sentence"),
    [
        ([1, 2], r"decision `x` to be an Optuna distribution but got \[1, 2\]"),
        (CONTINUOUS, "decision `x` to be categorical, int, or float with a step but got"),
        (IntDistribution(0, 2**22), "`x` to have at most 4194304 choices but got 4194305"),
    ],
)
def test_what_cannot_be_a_decision(distribution: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_countable({"x": distribution})
