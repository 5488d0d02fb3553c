"""A data module by the name or the path that a user gives, and what reads new data for it."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import suppress
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
        ValueError: If ``data`` is none of these, or the data module has no such argument.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    kind = find_data(data)
    if not isinstance(kind, type):
        module: pl.LightningDataModule = kind
        _check_settings(data, given, [])
        return module
    known = settings_of(kind)
    path: dict[str, str] = {}
    if hasattr(kind, "reads") and not _is_object(data):
        path = {"path": str(Path(data).expanduser())}
        known.pop("path", None)
    _check_settings(data, given, known)
    for name, parameter in known.items():
        if parameter.default is parameter.empty and name not in given:
            raise ValueError(
                f"Expected argument `{name}` for the data {data}, which needs it, but got none."
            )
    made: pl.LightningDataModule = kind(**path, **given)
    return made


def find_data(data: str) -> Any:
    """Return the class of data modules for a name or a path, or one that is made already.

    Raises:
        ValueError: If there is none.
    """
    if data in DATA or _is_object(data):
        found = DATA.get(data, argument="data")
        if _is_object(data) or not hasattr(found, "reads"):
            return found
    path = Path(data).expanduser()
    readers = {name: getattr(kind, "reads", None) for name, kind in _loaded().items()}
    if data and path.exists():
        for name, reads in readers.items():
            if reads is not None and reads(path):
                return DATA.get(name)
    named = [name for name, reads in readers.items() if reads is None]
    raise ValueError(
        f"Expected argument `data` to be {', '.join(named)}, the path of an .npz file or of a "
        f"folder of images, or MODULE:NAME or FILE.py:NAME but got {data!r}."
    )


def _is_object(data: str) -> bool:
    """Tell whether this is ``MODULE:NAME`` or ``FILE.py:NAME``."""
    return ":" in data and not Path(data).expanduser().exists()


def _loaded() -> dict[str, Any]:
    """Return what has a name, except what another package offers and cannot be imported."""
    found: dict[str, Any] = {}
    for name in DATA:
        with suppress(ValueError):
            found[name] = DATA.get(name)
    return found


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


def _check_settings(data: str, given: Mapping[str, Any], known: Any) -> None:
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
        preprocessing: Of the data module of the training; ``kind`` is the name in
            :data:`~lightning_modules.registries.DATA` of the data modules that read it.

    Returns:
        Each file, when it is asked for, with the inputs in it, one or several samples.

    Raises:
        ValueError: If ``preprocessing`` is of no known reader, or damaged.
        DataError: If a file cannot be read.
    """
    reader = _reader(preprocessing)
    reader.check_preprocessing(preprocessing)
    found: Iterator[tuple[str, Any]] = reader.load_new(files, preprocessing)
    return found


def check_preprocessing(preprocessing: Mapping[str, Any]) -> None:
    """Raise a ValueError unless a description of the form of data is one."""
    _reader(preprocessing).check_preprocessing(preprocessing)


def preprocessing_of(datamodule: pl.LightningDataModule) -> dict[str, Any] | None:
    """Return how new data gets the form of a data module's, None if nothing here can read it."""
    found = getattr(datamodule, "preprocessing", None)
    is_known = isinstance(found, Mapping) and found.get("kind") in DATA
    return dict(found) if is_known else None  # type: ignore[arg-type]


def _reader(preprocessing: Mapping[str, Any]) -> Any:
    kind = preprocessing.get("kind")
    found = DATA.get(kind) if isinstance(kind, str) and kind in DATA else None
    if not hasattr(found, "load_new") or not hasattr(found, "check_preprocessing"):
        readers = [name for name, known in _loaded().items() if hasattr(known, "load_new")]
        raise ValueError(
            f"Expected argument `preprocessing` to have a kind of {', '.join(readers)} but got "
            f"{kind!r}."
        )
    return found
