"""The settings of the data module that ``--data`` names, as options."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import get_type_hints

from docstring_parser import parse_from_object as docstring
import yaml

from optuna_nas.benchmarks import is_benchmark_name


_OWN = frozenset({"path", "train_on_validation"})
"""Arguments of data modules that commands set themselves."""


@dataclass(frozen=True)
class DataOption:
    """One setting of a data module.

    Args:
        name: Its name.
        hint: Its type.
        help: What it is.
    """

    name: str
    hint: Any
    help: str


def data_options(
    command: str, arguments: Sequence[str], known: Collection[str]
) -> list[DataOption]:
    """Return the options of the data, if the words of the command line need them.

    Args:
        command: A command.
        arguments: The words of the command line.
        known: The options that the command has anyway.
    """
    if not arguments or arguments[0] != command:
        return []
    words = [word.partition("=")[0] for word in arguments]
    in_file = _file_options(arguments, words)
    given = {word.partition(".")[0] for word in words if word.startswith("--")}
    given |= {f"--{name.replace('_', '-')}" for name in in_file}
    asks_for_help = "--help" in given and ("--data" in given)
    if not asks_for_help and given <= set(known):
        return []
    data = _value_of("--data", arguments, words) or in_file.get("data") or "digits"
    if is_benchmark_name(str(data)):
        return []
    try:
        return _options_of(str(data), known)
    except ValueError:  # Told when the data is opened.
        return []


def _options_of(data: str, known: Collection[str]) -> list[DataOption]:
    from lightning_modules.data import find_data
    from lightning_modules.data import settings_of

    kind = find_data(data)
    if not isinstance(kind, type):
        return []
    hints: dict[str, Any] = {}
    texts: dict[str, str] = {}
    for base in kind.__mro__[:-1]:  # All but `object`.
        if "__init__" in base.__dict__:
            hints = {**get_type_hints(base.__init__), **hints}  # type: ignore[misc]
        for parameter in docstring(base).params:
            texts.setdefault(
                parameter.arg_name, " ".join(str(parameter.description or "").split())
            )
    return [
        DataOption(name, hints.get(name, str), texts.get(name, ""))
        for name in settings_of(kind)
        if name not in _OWN and f"--{name.replace('_', '-')}" not in known
    ]


def _value_of(flag: str, arguments: Sequence[str], words: Sequence[str]) -> str | None:
    if flag not in words:
        return None
    at = words.index(flag)
    _, equals, value = arguments[at].partition("=")
    if equals:
        return value
    return arguments[at + 1] if at + 1 < len(arguments) else None


def _file_options(arguments: Sequence[str], words: Sequence[str]) -> dict[str, Any]:
    """Return what the YAML file of ``--config`` sets, if it can be read."""
    path = _value_of("--config", arguments, words)
    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8")) if path else {}
    except (OSError, yaml.YAMLError):  # Told by the parser.
        return {}
    return found if isinstance(found, dict) else {}
