"""The settings of a stage: their ranges, and that they load at once."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from lightning_modules.supernet import StageSettings
from lightning_modules.supernet.relaxations import FairPaths
from lightning_modules.supernet.relaxations import Gdas


def test_what_follows_from_the_relaxation() -> None:
    assert StageSettings().kind is FairPaths
    assert StageSettings().n_epochs == FairPaths.epochs
    assert StageSettings().scores_paths
    own = StageSettings("gdas", epochs=3)
    assert (own.kind, own.n_epochs, own.scores_paths) == (Gdas, 3, False)


@pytest.mark.parametrize(
    ("argument", "value"), [("epochs", 0), ("paths", 1), ("proxy_weight", 0), ("proxy_weight", 2)]
)
def test_numbers_out_of_range(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^Expected argument `{argument}` to be .* got {value}"):
        StageSettings(**{argument: value})


def test_an_unknown_relaxation() -> None:
    with pytest.raises(ValueError, match="`relaxation` to be one of .*gdas.* but got 'evolution'"):
        StageSettings("evolution").kind  # noqa: B018


def test_nothing_slow_is_loaded() -> None:
    code = "import sys, lightning_modules.supernet.settings; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"


def test_every_name_of_the_package_is_there() -> None:
    import lightning_modules.supernet as package

    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        package.nothing  # noqa: B018
