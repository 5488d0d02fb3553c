"""CustomSpace: what its constructor takes and refuses."""

from __future__ import annotations

from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
import pytest

from optuna_nas import Architecture
from optuna_nas import CustomSpace


@pytest.mark.parametrize(
    ("distribution", "sentence"),
    [
        ((1, 2, 3), r"decision `d` to be an Optuna distribution but got \(1, 2, 3\)"),
        (FloatDistribution(0, 1), "`d` to be categorical, int, or float with a step but got"),
        (FloatDistribution(1e-4, 1, log=True), "suggest continuous hyperparameters in the obj"),
        (IntDistribution(0, 2**22), "`d` to have at most 4194304 choices but got 4194305"),
        (FloatDistribution(0, 1, step=1e-8), "at most 4194304 choices but got 100000001"),
        (CategoricalDistribution((None, 1)), "`d` to be str, int, finite float or bool but got N"),
        (CategoricalDistribution((float("nan"), 1)), "finite float or bool but got nan"),
        (CategoricalDistribution((float("inf"), 1)), "finite float or bool but got inf"),
        (CategoricalDistribution(("a", "a")), r"differ in value and string form but got \['a', "),
        (CategoricalDistribution((1, "1")), "differ in value and string form"),
        (CategoricalDistribution((1, True)), "differ in value and string form"),
        (CategoricalDistribution((0, 0.0)), "differ in value and string form"),
        (CategoricalDistribution(("None", 2, "2")), "differ in value and string form"),
    ],
)
@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
def test_distributions_that_are_no_decisions(
    distribution: BaseDistribution, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        CustomSpace({"first": IntDistribution(0, 1), "d": distribution})


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
def test_objects_are_no_choices() -> None:
    with pytest.raises(ValueError, match="`d` to be str, int, finite float or bool"):
        CustomSpace({"d": CategoricalDistribution(((1, 2), 3))})  # type: ignore[arg-type]


def test_conditions_of_unknown_decisions() -> None:
    with pytest.raises(ValueError, match=r"`active_if` .* among \['a'\] but got \['b', 'c'\]"):
        CustomSpace(
            {"a": IntDistribution(0, 1)},
            active_if={"c": lambda params: True, "b": lambda params: True},
        )


def test_the_callers_dicts_are_copied() -> None:
    distributions: dict[str, BaseDistribution] = {"a": IntDistribution(0, 1)}
    space = CustomSpace(distributions)
    distributions["b"] = IntDistribution(0, 1)
    assert list(space.distributions) == ["a"]


def test_build_and_name_are_kept() -> None:
    def build(architecture: Architecture) -> Any:
        return architecture["a"]

    space = CustomSpace({"a": IntDistribution(0, 1)}, build=build, name="mine")
    assert space.build is build
    assert space.architecture({"a": 1}).space == space.name == "mine"
    assert CustomSpace({}).build is None


def test_conditions_may_return_anything_with_a_truth_value() -> None:
    space = CustomSpace(
        {"a": IntDistribution(0, 2), "b": IntDistribution(0, 1)},
        active_if={"b": lambda params: params["a"]},
    )
    assert space.size == 1 + 2 + 2
