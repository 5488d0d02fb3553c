"""Packages whose names are imported on first use, so that the package itself loads at once.

Their imports stand once, where type checkers look for them and nothing runs them::

    if TYPE_CHECKING:
        from package.module import Name as Name
    else:
        __getattr__, __dir__, __all__ = lazy_imports(__name__, __file__)
"""

from __future__ import annotations

import ast
from collections.abc import Callable
import importlib
from pathlib import Path
import sys
from typing import Any


def lazy_imports(
    package: str, file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package.

    Args:
        package: Its ``__name__``.
        file: Its ``__file__``, of which the imports under ``if TYPE_CHECKING`` are read.
    """
    modules = dict(_imports(Path(file).read_text(encoding="utf-8")))
    names = sorted(modules)

    def find(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(modules[name]), name)

    def list_names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *names})

    return find, list_names, names


def _imports(source: str) -> list[tuple[str, str]]:
    """Return each name that is imported under ``if TYPE_CHECKING``, and its module."""
    return [
        (alias.name, str(statement.module))
        for block in ast.parse(source).body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    ]
