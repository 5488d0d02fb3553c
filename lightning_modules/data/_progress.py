"""A progress bar where somebody watches."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
import os
from typing import TypeVar

from rich.console import Console
from rich.progress import track


_T = TypeVar("_T")


def progress(steps: Iterable[_T], description: str, total: int) -> Iterator[_T]:
    """Pass ``steps`` on, with a bar on a terminal's standard error that vanishes at the end.

    There is none in continuous integration, where the variable ``CI`` is set.
    """
    console = Console(stderr=True)
    hidden = not console.is_terminal or bool(os.environ.get("CI"))
    yield from track(
        steps, description, total=total, console=console, transient=True, disable=hidden
    )
