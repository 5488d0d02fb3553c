"""A search as a Python object: stage, prior, sampler, study and final network."""

import importlib
from typing import Any
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from lightning_modules.search._search import Search
    from lightning_modules.search._search import SearchResult


__all__ = ["Search", "SearchResult"]


def __getattr__(name: str) -> Any:
    """Load the search on first use; its settings are light."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("lightning_modules.search._search"), name)
