"""The file of a latency table: JSON, written whole or not at all, and checked when read."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import json
import math
from pathlib import Path
from typing import Any
from typing import NamedTuple

from optuna.distributions import BaseDistribution
from optuna.distributions import distribution_to_json
from optuna.distributions import json_to_distribution

from lightning_modules._files import write_json
from lightning_modules.costs.measure import Latency


_VERSION = 2


Place = tuple[str, str]
"""A position in the network and the name of an operation there, with its sizes and its input."""


class Contents(NamedTuple):
    """What a file holds: the arguments of :class:`LatencyTable`."""

    space: str
    distributions: Mapping[str, BaseDistribution]
    network: Mapping[str, Any]
    settings: Mapping[str, Any]
    entries: Mapping[Place, Latency]


def write_contents(path: Path, contents: Contents) -> None:
    """Write a document, under a temporary name that is renamed."""
    latencies: dict[str, dict[str, dict[str, float]]] = {}
    for (position, name), latency in contents.entries.items():
        latencies.setdefault(position, {})[name] = latency._asdict()
    document = {
        "latency_table": _VERSION,
        "space": contents.space,
        "settings": dict(contents.settings),
        "network": dict(contents.network),
        "decisions": {
            name: json.loads(distribution_to_json(distribution))
            for name, distribution in contents.distributions.items()
        },
        "latencies": latencies,
    }
    write_json(path, document)


def read_document(path: str | Path) -> Any:
    """Read what :func:`write_contents` wrote.

    Raises:
        ValueError: If the file cannot be read or is another kind of file.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(
            f"Expected {path} to be a latency table but it cannot be read: {reason}."
        ) from error
    if not isinstance(document, dict) or document.get("latency_table") != _VERSION:
        raise ValueError(
            f"Expected {path} to be a latency table of version {_VERSION} but got another "
            "kind of file."
        )
    return document


def contents_of(document: Any) -> Contents:
    """Return the contents of a document.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: If it is damaged, or a latency is
            negative or not finite.
    """
    distributions = {
        name: json_to_distribution(json.dumps(distribution))
        for name, distribution in document["decisions"].items()
    }
    entries = dict(_read_entries(document["latencies"]))
    network, settings = document["network"], document["settings"]
    return Contents(document["space"], distributions, network, settings, entries)


def _read_entries(latencies: Mapping[str, Any]) -> Iterator[tuple[Place, Latency]]:
    for position, operations in latencies.items():
        for name, entry in operations.items():
            latency = Latency(float(entry["median_ms"]), float(entry["iqr_ms"]))
            if not all(math.isfinite(value) and value >= 0 for value in latency):
                raise ValueError(f"`{name}` at `{position}` has no finite latency: {entry}")
            yield (position, name), latency
