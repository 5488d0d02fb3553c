"""Packages that import their names on first use."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
import subprocess
import sys
from typing import Any

import pytest

from lightning_modules._lazy import lazy_imports


LAZY = ("lightning_modules", "lightning_modules.supernet", "lightning_modules.training")


@pytest.mark.parametrize("name", LAZY)
def test_names_are_listed_and_there(name: str) -> None:
    package = importlib.import_module(name)
    assert package.__all__ == sorted(set(package.__all__))
    assert set(package.__all__) <= set(dir(package))
    assert "__name__" in dir(package)
    for public in package.__all__:
        assert getattr(package, public) is not None


@pytest.mark.parametrize("name", LAZY)
def test_unknown_names(name: str) -> None:
    package = importlib.import_module(name)
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'Nothing'"):
        _ = package.Nothing
    with pytest.raises(ImportError, match="cannot import name 'Nothing'"):
        exec(f"from {name} import Nothing", {})


def test_star() -> None:
    found: dict[str, Any] = {}
    exec("from lightning_modules import *", found)
    import lightning_modules

    assert set(lightning_modules.__all__) <= set(found)


def test_nothing_heavy_is_loaded() -> None:
    code = (
        f"import {', '.join(LAZY)}, json, sys\n"
        "names = [dir(sys.modules[name]) for name in json.loads(sys.argv[1])]\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(LAZY)], capture_output=True, check=True, text=True
    )
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert not loaded & {"torch", "numpy", "optuna", "optuna_nas", "pytorch_lightning"}


def test_only_what_stands_under_type_checking(tmp_path: Path) -> None:
    source = (
        "import json\nfrom json import loads\n"
        "if TYPE_CHECKING:\n"
        "    from json import (\n        dumps as dumps,\n    )\n"
        "    import ast\n"
        "else:\n    from json import load\n"
    )
    path = tmp_path / "__init__.py"
    path.write_text(source)
    find, list_names, names = lazy_imports("json", str(path))
    assert names == ["dumps"]
    assert find("dumps") is json.dumps
    assert {"dumps", "loads"} <= set(list_names())
    with pytest.raises(AttributeError, match="module 'json' has no attribute 'loads'"):
        find("loads")
