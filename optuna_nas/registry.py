"""Names of samplers, spaces, tasks, proxies and relaxations; the object is imported on first use.

A name is one of three things:

- a file of this package: ``optuna_nas/samplers/local_search.py`` is ``local-search``, and its
  ``SAMPLER`` is the object;
- an entry point of an installed package, e.g. in its ``pyproject.toml``::

      [project.entry-points."optuna_nas.samplers"]
      tabu = "my_package.tabu:TabuSampler"

- ``MODULE:NAME`` or ``FILE.py:NAME``, without installing anything.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
import functools
import importlib
from importlib import metadata
import importlib.util
from pathlib import Path
import sys
from types import ModuleType
from typing import Any
from typing import Generic
from typing import TypeVar


T = TypeVar("T")


class Registry(Generic[T]):
    """The known names of one kind of object.

    Args:
        kind: What is registered, in the singular, e.g. ``"sampler"``; errors and options use it.
        package: The package whose modules without a leading underscore are names: their
            underscores are hyphens.
        attribute: The attribute of such a module that is the object, e.g. ``"SAMPLER"``.
        check: Tells whether an object is of this kind.
        article: What an object has to be, in words for an error, e.g. ``"a sampler class"``.
        skip: Modules of the package that are no names.
        group: The group of entry points; by default ``optuna_nas.`` and the plural of ``kind``.

    Example:

        >>> from optuna_nas.samplers import SAMPLERS
        >>> "genetic" in SAMPLERS, SAMPLERS.get("genetic").__name__
        (True, 'GeneticSampler')
    """

    def __init__(
        self,
        kind: str,
        package: str,
        attribute: str,
        *,
        check: Callable[[Any], bool] = callable,
        article: str = "",
        skip: Collection[str] = (),
        group: str = "",
    ) -> None:
        self.kind = kind
        self.package = package
        self.attribute = attribute
        self._check = check
        self._article = article or f"a {kind}"
        self._skip = frozenset(skip)
        plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
        self.group = group or f"optuna_nas.{plural}"
        self._added: dict[str, T] = {}

    @property
    def names(self) -> list[str]:
        """All known names, ours first; nothing is imported for them."""
        return list(dict.fromkeys([*self._own, *sorted(self._entry_points), *self._added]))

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def add(self, name: str, value: T) -> T:
        """Register an object for this process, e.g. from a notebook; return it.

        Raises:
            ValueError: If the name is known or the object is of another kind.
        """
        if name in self:
            raise ValueError(f"Expected argument `name` to be a new {self.kind} but got {name!r}.")
        self._added[name] = self._checked(name, value, self.kind)
        return value

    def get(self, name: str, *, argument: str | None = None) -> T:
        """Return the object with a name, importing it if needed.

        Args:
            name: A known name, ``MODULE:NAME`` or ``FILE.py:NAME``.
            argument: What the user calls the argument; by default the kind.

        Raises:
            ValueError: If there is none, it cannot be imported, or it is of another kind.
        """
        argument = argument or self.kind
        if name in self._added:
            return self._added[name]
        try:
            if name in self._own:
                module = importlib.import_module(f"{self.package}.{self._own[name]}")
                return self._checked(name, getattr(module, self.attribute), argument)
            if name in self._entry_points:
                return self._checked(name, self._entry_points[name].load(), argument)
            if ":" in name:
                return self._checked(name, import_object(name), argument)
        except _Refused:
            raise
        except (Exception, SystemExit) as error:
            reason = " ".join(str(error).split())
            raise ValueError(
                f"Expected argument `{argument}` {name} to be {self._article} but importing it "
                f"failed: {type(error).__name__}: {reason}"
            ) from error
        raise ValueError(
            f"Expected argument `{argument}` to be one of {', '.join(self.names)}, MODULE:NAME or "
            f"FILE.py:NAME but got {name!r}."
        )

    def name_of(self, value: T) -> str | None:
        """Return the name of an object that has been imported by it, None if it has none."""
        for name in self.names:
            module = sys.modules.get(f"{self.package}.{self._own.get(name, '')}")
            if module is not None and getattr(module, self.attribute, None) is value:
                return name
        for name, added in self._added.items():
            if added is value:
                return name
        for name, entry in self._entry_points.items():
            if entry.module in sys.modules and entry.load() is value:
                return name
        return None

    @functools.cached_property
    def _own(self) -> dict[str, str]:
        """The modules of the package by their names."""
        # Only the outermost package is imported, which is light.
        top, *inner = self.package.split(".")
        spec = importlib.util.find_spec(top)
        folders = [] if spec is None else list(spec.submodule_search_locations or [])
        found = [
            path
            for folder in folders
            if Path(folder, *inner).is_dir()
            for path in sorted(Path(folder, *inner).iterdir())
        ]
        modules = [
            path.stem
            for path in found
            if (path.suffix == ".py" or (path / "__init__.py").is_file())
            and not path.name.startswith("_")
            and path.stem not in self._skip
        ]
        return {module.replace("_", "-"): module for module in modules}

    @functools.cached_property
    def _entry_points(self) -> dict[str, metadata.EntryPoint]:
        return {entry.name: entry for entry in metadata.entry_points(group=self.group)}

    def _checked(self, name: str, value: Any, argument: str) -> T:
        if not self._check(value):
            raise _Refused(
                f"Expected argument `{argument}` {name} to name {self._article} but got {value!r}."
            )
        found: T = value
        return found


class _Refused(ValueError):
    """An object was imported and is of another kind."""


_FILES: dict[Path, ModuleType] = {}
"""The modules of the files that were run."""


def import_object(name: str) -> Any:
    """Return the object that ``MODULE:NAME`` or ``FILE.py:NAME`` names.

    Modules are also looked for in the working directory, and what stands beside a file can be
    imported by it. A file is run once.

    Raises:
        ImportError: If there is no such module.
        FileNotFoundError: If there is no such file.
        AttributeError: If it has no such name.
    """
    where, _, attribute = name.rpartition(":")
    value: Any = _import_file(where) if where.endswith(".py") else _import_module(where)
    for part in attribute.split("."):
        value = getattr(value, part)
    return value


def _import_module(where: str) -> ModuleType:
    if "" not in sys.path:
        sys.path.insert(0, "")
    return importlib.import_module(where)


def _import_file(where: str) -> ModuleType:
    path = Path(where).expanduser().resolve()
    for known in (_FILES.get(path), sys.modules.get(path.stem)):
        if known is not None and Path(str(getattr(known, "__file__", ""))).resolve() == path:
            return known
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"there is no file {where}")
    if str(path.parent) not in sys.path:  # For what stands beside it.
        sys.path.append(str(path.parent))
    module = importlib.util.module_from_spec(spec)
    # A file called like a loaded module does not take its place, but then it cannot be pickled.
    registered = sys.modules.setdefault(path.stem, module) is module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        if registered:
            del sys.modules[path.stem]
        raise
    _FILES[path] = module
    return module
