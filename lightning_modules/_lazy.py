"""Names of a package that are imported on first use, so that the package itself loads at once.

The stub ``__init__.pyi`` of the package is the list of its names, for type checkers and for the
running program alike: each is a line ``from MODULE import NAME as NAME``.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
import importlib
from pathlib import Path
import sys
from typing import Any


def lazy_names(
    package: str, file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return the ``__getattr__``, ``__dir__`` and ``__all__`` of a package with a stub.

    Args:
        package: Its ``__name__``.
        file: Its ``__file__``.
    """
    modules = _read(Path(file).with_suffix(".pyi"))

    def find(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(modules[name]), name)

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *modules})

    return find, names, list(modules)


def _read(stub: Path) -> dict[str, str]:
    """Return the module of each name of a stub."""
    found: dict[str, str] = {}
    for line in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(line, ast.ImportFrom) and line.module is not None:
            found |= {alias.name: line.module for alias in line.names}
    return found
