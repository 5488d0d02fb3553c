"""Packages whose names are imported on first use."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
import subprocess
import sys

import pytest

import lightning_modules
from lightning_modules._lazy import lazy_names


PACKAGES = ["lightning_modules", "lightning_modules.supernet", "lightning_modules.training"]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_name_of_the_stub_is_there(name: str) -> None:
    package = importlib.import_module(name)
    assert package.__all__
    for public in package.__all__:
        assert getattr(package, public) is not None
    assert set(package.__all__) <= set(dir(package))
    assert "__name__" in dir(package)


@pytest.mark.parametrize("name", PACKAGES)
def test_the_stub_has_nothing_but_names(name: str) -> None:
    package = importlib.import_module(name)
    [_, *lines] = ast.parse(Path(str(package.__file__)).with_suffix(".pyi").read_text()).body
    for line in lines:
        assert isinstance(line, ast.ImportFrom)
        assert line.level == 0
        # Else type checkers would not see it.
        assert all(alias.asname == alias.name for alias in line.names)


def test_unknown_names() -> None:
    with pytest.raises(AttributeError, match="'lightning_modules' has no attribute 'Perceptron'"):
        lightning_modules.Perceptron  # type: ignore[attr-defined]  # noqa: B018
    assert not hasattr(lightning_modules, "torch")


def test_nothing_heavy_is_imported_before_a_name_is_used() -> None:
    code = (
        "import sys, lightning_modules, lightning_modules.training, lightning_modules.supernet\n"
        "dir(lightning_modules)\n"
        "heavy = {'torch', 'numpy', 'optuna', 'mlflow', 'pytorch_lightning', 'inspect'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "from lightning_modules import *\n"
        "assert TaskModule.__module__ == 'lightning_modules.training.module'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_package_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "__init__.pyi").write_text(
        '"""Names."""\n\nfrom math import pi as pi\nfrom math import (\n    tau as tau,\n)\n'
    )
    monkeypatch.setitem(sys.modules, "mine", sys.modules[__name__])
    find, names, every = lazy_names("mine", str(tmp_path / "__init__.py"))
    assert every == ["pi", "tau"]
    assert find("tau") == 2 * find("pi")
    assert {"pi", "tau", "PACKAGES"} <= set(names())
