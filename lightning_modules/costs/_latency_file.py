"""The file of a latency table: JSON, written whole or not at all, and checked when read."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import json
import math
from pathlib import Path
from typing import Any

from lightning_modules.costs.measure import Latency


Place = tuple[str, str]
"""A position in the network and the name of an operation there, with its sizes and its input."""


def read_json(path: str | Path) -> Any:
    """Read a document.

    Raises:
        ValueError: If the file cannot be read or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(
            f"Expected {path} to be a latency table but it cannot be read: {reason}."
        ) from error


def read_entries(latencies: Mapping[str, Any]) -> Iterator[tuple[Place, Latency]]:
    """Yield the places and latencies of a document.

    Raises:
        ValueError: If a latency is negative or not finite.
    """
    for position, operations in latencies.items():
        for name, entry in operations.items():
            latency = Latency(float(entry["median_ms"]), float(entry["iqr_ms"]))
            if not all(math.isfinite(value) and value >= 0 for value in latency):
                raise ValueError(f"`{name}` at `{position}` has no finite latency: {entry}")
            yield (position, name), latency
