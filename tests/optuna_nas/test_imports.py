"""Imports: `import optuna_nas` is light, and nothing points against the direction of the data."""

from __future__ import annotations

import ast
from collections.abc import Iterator
import importlib
import json
from pathlib import Path
import subprocess
import sys

import pytest

import optuna_nas


PACKAGE = Path(optuna_nas.__file__).parent
MODULES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.relative_to(PACKAGE).parts[0] not in ("cli.py", "cli")  # It joins both packages.
]
HEAVY = ("torch", "torchmetrics", "mlflow", "lightning", "pytorch_lightning", "matplotlib")


def _modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    return {name.partition(".")[0] for name in json.loads(finished.stdout)}


@pytest.mark.parametrize(
    "statement",
    [
        "import optuna_nas",
        "import optuna_nas.spaces._encoding",
        "import optuna_nas.spaces, optuna_nas.objective, optuna_nas.evaluation",
    ],
)
def test_importing_the_package_is_light(statement: str) -> None:
    loaded = _modules_after(statement)
    assert {"optuna", "optuna_nas", "numpy"} <= loaded
    assert not loaded & {*HEAVY, "lightning_modules"}


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (str(a.value) for a in node.args if isinstance(a, ast.Constant))


@pytest.mark.parametrize("path", MODULES, ids=[str(p.relative_to(PACKAGE)) for p in MODULES])
def test_no_module_but_the_command_line_imports_the_networks(path: Path) -> None:
    roots = {name.partition(".")[0] for name in _imports(path)}
    assert "lightning_modules" not in roots
    assert "lightning" not in roots  # The namespace is `pytorch_lightning`, never mixed.


def test_the_direction_is_tested_on_all_modules() -> None:
    assert len(MODULES) > 10
    assert "optuna_nas.spaces" in _imports(PACKAGE / "objective.py")


def test_search_spaces_know_no_sampler_and_no_objective() -> None:
    for path in (PACKAGE / "spaces").rglob("*.py"):
        inner = {name for name in _imports(path) if name.startswith("optuna_nas")}
        allowed = ("optuna_nas.spaces", "optuna_nas.spaces._encoding")
        assert all(name == "optuna_nas" or name.startswith(allowed) for name in inner)


@pytest.mark.parametrize("name", ["optuna_nas", "optuna_nas.samplers", "optuna_nas.spaces"])
def test_public_names_exist_and_are_sorted(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__all__ == sorted(module.__all__)
    assert all(hasattr(module, public) for public in module.__all__)
