"""What the benchmark scripts share: quick runs, a console that is wide enough, and their files."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import json
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser
from jsonargparse import Namespace
from rich.console import Console


def parse(
    parser: ArgumentParser, quick: Mapping[str, Any], arguments: Sequence[str] | None
) -> Namespace:
    """Parse the command line; ``--quick`` puts other values in the place of some."""
    args = parser.parse_args(arguments)
    if args.quick:
        for name, value in quick.items():
            args[name] = value
    return args


def make_console(width: int) -> Console:
    """Return a console that has this width where it is no terminal; 80 would cut the tables."""
    console = Console()
    if not console.is_terminal:
        console.width = width
    return console


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON file that is whole at any time."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(document))
    part.replace(path)


def read(path: Path | None, settings: Any, what: str) -> Any:
    """Return what a former run with the same settings wrote as ``what``, or nothing.

    Raises:
        SystemExit: If the settings were others.
    """
    if path is None or not path.exists():
        return {}
    document = json.loads(path.read_text())
    if document["settings"] != settings:
        raise SystemExit(f"{path} is of a run with other settings: {document['settings']}")
    return document[what]
