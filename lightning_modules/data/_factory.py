"""A data module by the name or the path that a user gives, and what reads new data for it."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import inspect
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from lightning_modules.registries import DATA


def make_datamodule(data: str, **settings: Any) -> pl.LightningDataModule:
    """Make a data module.

    Args:
        data: A name, such as ``"digits"``; the path of a file or folder that one of the data
            modules reads, such as an ``.npz`` file or a folder of pictures (``"./digits"`` is a
            folder of that name); or ``MODULE:NAME`` or ``FILE.py:NAME``, a class of data modules
            or one that is made already.
        settings: Arguments of the data module. Those that are :obj:`None` are left out.

    Raises:
        ValueError: If ``data`` is none of these, or the data module has no such argument or needs
            another one.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    kind, path = _find(data)
    if not isinstance(kind, type):
        _check_settings(data, given, {})
        module: pl.LightningDataModule = kind
        return module
    known = settings_of(kind)
    own: dict[str, Any] = {}
    if path is not None:
        own["path"] = str(path)
        known.pop("path", None)
    _check_settings(data, given, known)
    # Those of an ancestor may be given by the class itself.
    for name, parameter in inspect.signature(kind).parameters.items():
        if name in known and parameter.default is parameter.empty and name not in given:
            raise ValueError(f"Expected argument `{name}` for the data {data} but got none.")
    made: pl.LightningDataModule = kind(**own, **given)
    return made


def find_data(data: str) -> Any:
    """Return the class of data modules for a name or a path, or one that is made already.

    Raises:
        ValueError: If there is none.
    """
    return _find(data)[0]


def _find(data: str) -> tuple[Any, Path | None]:
    """Return what :func:`find_data` does, with the path if it reads one."""
    if data in DATA:
        kind = DATA.get(data)
        if not hasattr(kind, "reads"):
            return kind, None
    path = Path(data).expanduser()
    if data and path.exists():
        for name in reversed(DATA.names):  # Readers of others come before ours.
            kind = DATA.get(name)
            if hasattr(kind, "reads") and kind.reads(path):
                return kind, path
    elif ":" in data:
        return DATA.get(data), None
    kinds = {name: DATA.get(name) for name in DATA}
    named = [name for name, kind in kinds.items() if not hasattr(kind, "reads")]
    paths = [
        getattr(kind, "path_kind", f"what {name} reads")
        for name, kind in kinds.items()
        if hasattr(kind, "reads")
    ]
    raise ValueError(
        f"Expected argument `data` to be {', '.join(named)}, the path of {' or '.join(paths)}, "
        f"or MODULE:NAME or FILE.py:NAME but got {data!r}."
    )


def settings_of(kind: type) -> dict[str, inspect.Parameter]:
    """Return the keyword arguments of a class, those that ``**kwargs`` passes on included."""
    found: dict[str, inspect.Parameter] = {}
    for ancestor in kind.__mro__:
        own = ancestor.__dict__.get("__init__")
        if own is None:
            continue
        parameters = list(inspect.signature(own).parameters.values())[1:]
        for parameter in parameters:
            if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                found.setdefault(parameter.name, parameter)
        if not any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters):
            break
    return found


def _check_settings(
    data: str,
    given: Mapping[str, Any],
    known: Mapping[str, inspect.Parameter],
) -> None:
    for name, value in given.items():
        if name not in known:
            raise ValueError(
                f"Expected no argument `{name}` for the data {data}, which has no such setting, "
                f"but got {value!r}."
            )


def load_new(files: Sequence[str], preprocessing: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Load new data in the form that a network was trained on.

    Args:
        files: Their paths.
        preprocessing: Of the data module of the training; ``kind`` is the name of the reader.

    Yields:
        Each file with the inputs in it, one or several samples.

    Raises:
        ValueError: If ``preprocessing`` is of no known reader, or damaged.
        DataError: If a file cannot be read.
    """
    yield from _reader(preprocessing).load_new(files, preprocessing)


def preprocessing_of(datamodule: pl.LightningDataModule) -> dict[str, Any] | None:
    """Return how new data gets the form of a data module's, None if nothing here can read it."""
    found = getattr(datamodule, "preprocessing", None)
    is_known = isinstance(found, Mapping) and found.get("kind") in DATA
    return dict(found) if is_known else None  # type: ignore[arg-type]


def check_preprocessing(preprocessing: Mapping[str, Any]) -> None:
    """Raise a ValueError unless a description of the form of data is one."""
    _reader(preprocessing).check_preprocessing(preprocessing)


def _reader(preprocessing: Mapping[str, Any]) -> Any:
    kind = preprocessing.get("kind")
    reader = DATA.get(kind) if isinstance(kind, str) and kind in DATA else None
    if not hasattr(reader, "load_new") or not hasattr(reader, "check_preprocessing"):
        raise ValueError(
            "Expected argument `preprocessing` to have a kind that is the name of a reader, one "
            f"of {', '.join(DATA)}, but got {kind!r}."
        )
    return reader
