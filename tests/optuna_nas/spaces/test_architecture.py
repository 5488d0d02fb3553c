"""Architecture: a frozen mapping that hashes, pickles and copies."""

from __future__ import annotations

from collections.abc import Mapping
import copy
import json
import os
import pickle
import subprocess
import sys
from typing import Any

from hypothesis import given
import pytest

from optuna_nas import Architecture
from optuna_nas import SearchSpace
from tests.optuna_nas.spaces.space_table import draw
from tests.optuna_nas.spaces.space_table import EXAMPLES
from tests.optuna_nas.spaces.space_table import SEEDS
from tests.optuna_nas.spaces.space_table import SPACES


all_spaces = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


@all_spaces
@EXAMPLES
@given(seed=SEEDS)
def test_equal_architectures_are_one_key(space: SearchSpace, seed: int) -> None:
    architecture = draw(space, seed)
    twins = [
        Architecture(space.name, dict(reversed(list(architecture.items())))),
        pickle.loads(pickle.dumps(architecture)),
        copy.copy(architecture),
        copy.deepcopy(architecture),
    ]
    for twin in twins:
        assert twin == architecture
        assert hash(twin) == hash(architecture)
    assert len({architecture, *twins}) == 1


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_pickle_protocol(protocol: int) -> None:
    architecture = Architecture("mine", {"b": 1, "a": "x"})
    twin = pickle.loads(pickle.dumps(architecture, protocol))
    assert twin == architecture
    assert list(twin) == ["b", "a"]


def test_the_hash_is_made_anew_in_another_process() -> None:
    """Strings hash differently in each process; a hash that travels would lose its entry."""
    code = (
        "import pickle, sys; from optuna_nas import Architecture;"
        "sys.stdout.buffer.write(pickle.dumps({Architecture('s', {'a': 'x'}): 1}))"
    )
    pickled = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        check=True,
    ).stdout
    assert pickle.loads(pickled)[Architecture("s", {"a": "x"})] == 1


def test_what_is_different() -> None:
    architecture = Architecture("mine", {"a": 1})
    others: list[Any] = [
        Architecture("other", {"a": 1}),
        Architecture("mine", {"a": 2}),
        Architecture("mine", {"b": 1}),
        Architecture("mine", {}),
        {"a": 1},
        "a=1",
    ]
    assert all(architecture != other for other in others)


def test_it_is_a_read_only_mapping() -> None:
    params: dict[str, Any] = {"a": 1}
    architecture = Architecture("mine", params)
    params["a"] = 2
    assert isinstance(architecture, Mapping)
    assert (dict(architecture), len(architecture), architecture["a"]) == ({"a": 1}, 1, 1)
    assert architecture.get("b") is None
    assert repr(architecture) == "Architecture('mine', {'a': 1})"
    with pytest.raises(KeyError):
        architecture["b"]
    with pytest.raises(TypeError):
        architecture["a"] = 2  # type: ignore[index]
    with pytest.raises(AttributeError):
        architecture.space = "other"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        architecture.extra = 1  # type: ignore[attr-defined]


def test_json_is_plain() -> None:
    architecture = Architecture("mine", {"a": 1, "b": 0.5, "c": True, "d": "ü"})
    assert json.loads(architecture.to_json()) == {
        "space": "mine",
        "params": {"a": 1, "b": 0.5, "c": True, "d": "ü"},
    }
    again = Architecture.from_json(architecture.to_json())
    assert again == architecture
    assert [type(choice) for choice in again.values()] == [int, float, bool, str]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "3",
        "[]",
        "{}",
        "{",
        '{"space": "cell"}',
        '{"params": {}}',
        '{"space": 1, "params": {}}',
        '{"space": "cell", "params": []}',
        '{"space": "cell", "params": null}',
        '{"space": "cell", "params": {"a": null}}',
        '{"space": "cell", "params": {"a": [1]}}',
        '{"space": "cell", "params": {"a": {}}}',
        '{"space": "cell", "params": {"a": ' + "1" * 5000 + "}}",
        "[" * 100_000,
        '{"space": "cell", "params": {}} and more',
    ],
    ids=lambda text: text[:40],
)
def test_json_that_is_no_architecture(text: str) -> None:
    with pytest.raises(ValueError, match='JSON object with "space" and "params" but got'):
        Architecture.from_json(text)
