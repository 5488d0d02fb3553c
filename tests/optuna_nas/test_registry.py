"""Names and the objects behind them: files of a package, entry points, modules and files."""

from __future__ import annotations

import importlib
from importlib import metadata
from pathlib import Path
import sys
from typing import Any

import pytest

from optuna_nas.registry import import_object
from optuna_nas.registry import Registry


PACKAGE = {
    "__init__.py": "",
    "_private.py": "GAME = dict",
    "first.py": "def GAME(): return 1",
    "second_game.py": "def GAME(): return 2",
    "not_callable.py": "GAME = 3",
    "without.py": "",
    "broken.py": "raise SystemExit('no games\\n here')",
    "shared.py": "raise RuntimeError",
    "folder/__init__.py": "def GAME(): return 4",
    "no_package/game.py": "",
    "notes.txt": "",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"games_{tmp_path.name}"
    for file, text in PACKAGE.items():
        path = tmp_path / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return name


class Entry:
    """An entry point as an installed package declares it."""

    def __init__(self, name: str, module: str, value: Any) -> None:
        self.name, self.module, self._value = name, module, value
        self.n_loaded = 0

    def load(self) -> Any:
        self.n_loaded += 1
        if isinstance(self._value, Exception):
            raise self._value
        return self._value


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> list[Entry]:
    found: list[Entry] = []
    monkeypatch.setattr(
        metadata, "entry_points", lambda *, group: found if group == "optuna_nas.games" else []
    )
    return found


@pytest.fixture
def games(package: str, entries: list[Entry]) -> Registry[Any]:
    return Registry("game", package, "GAME", skip=["shared"], article="a game to play")


# Names.


def test_names_are_files_then_entry_points_then_what_was_added(
    games: Registry[Any], package: str, entries: list[Entry]
) -> None:
    entries += [Entry("zebra", "zoo", len), Entry("ape", "zoo", len), Entry("first", "zoo", len)]
    games.add("ball", len)
    own = ["broken", "first", "folder", "not-callable", "second-game", "without"]
    assert games.names == list(games) == [*own, "ape", "zebra", "ball"]
    assert "second-game" in games
    assert "second_game" not in games
    assert "shared" not in games
    assert 3 not in games
    assert not [name for name in sys.modules if name.startswith(f"{package}.")]
    assert not any(entry.n_loaded for entry in entries)


def test_a_package_that_is_missing_has_no_names(entries: list[Entry]) -> None:
    assert Registry("game", "no_such_package_of_games", "GAME").names == []


@pytest.mark.parametrize(("kind", "group"), [("task", "tasks"), ("proxy", "proxies")])
def test_group_of_entry_points(kind: str, group: str) -> None:
    assert Registry[Any](kind, "optuna_nas", "X").group == f"optuna_nas.{group}"


# Objects.


def test_files_are_imported_on_first_use(games: Registry[Any], package: str) -> None:
    assert [games.get(name)() for name in ("first", "second-game", "folder")] == [1, 2, 4]
    assert f"{package}.second_game" in sys.modules
    assert f"{package}.without" not in sys.modules
    assert games.get("first") is importlib.import_module(f"{package}.first").GAME


def test_entry_points_are_loaded_and_ours_come_first(
    games: Registry[Any], entries: list[Entry]
) -> None:
    entries += [Entry("ape", "zoo", len), Entry("first", "zoo", len)]
    assert games.get("ape") is len
    assert games.get("first")() == 1


def test_what_was_added_is_had_and_named_once(games: Registry[Any]) -> None:
    assert games.add("ball", len) is len
    assert games.get("ball") is len
    for name in ("ball", "first"):
        with pytest.raises(ValueError, match=f"`name` to be a new game but got '{name}'"):
            games.add(name, len)
    with pytest.raises(ValueError, match="`game` seven to name a game to play but got 7"):
        games.add("seven", 7)
    assert "seven" not in games


def test_modules_and_files(games: Registry[Any], package: str, tmp_path: Path) -> None:
    assert games.get(f"{package}._private:GAME") is dict
    assert games.get("pathlib:Path.cwd") == Path.cwd
    file = tmp_path / "a_game.py"
    file.write_text("def make(): return 5")
    assert games.get(f"{file}:make")() == 5


def test_names_of_objects(games: Registry[Any], package: str, entries: list[Entry]) -> None:
    entries += [Entry("ape", package, len), Entry("zebra", "module_nobody_imported", sorted)]
    assert [games.name_of(value) for value in (len, sorted, 3)] == [None] * 3
    games.add("ball", max)
    games.get("second-game")
    importlib.import_module(package)
    named = {name: games.get(name) for name in ("second-game", "ball", "ape")}
    assert {name: games.name_of(value) for name, value in named.items()} == {n: n for n in named}
    assert games.name_of(sorted) is None
    assert entries[1].n_loaded == 0  # Its module was not imported, so nobody has its object.


# Errors.


def test_an_unknown_name_is_answered_with_the_known_ones(games: Registry[Any]) -> None:
    known = "broken, first, folder, not-callable, second-game, without"
    expected = f"`game` to be one of {known}, MODULE:NAME or FILE.py:NAME but got 'third'"
    with pytest.raises(ValueError, match=expected):
        games.get("third")
    with pytest.raises(ValueError, match="Expected argument `pastime` to be one of"):
        games.get("third", argument="pastime")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("without", r"`game` without to be a game to play .*: AttributeError: "),
        ("broken", r"failed: SystemExit: no games here$"),
        ("not-callable", r"`game` not-callable to name a game to play but got 3"),
        ("ape", r"failed: ImportError: gone$"),
        ("no_such_module:Game", r"failed: ModuleNotFoundError: No module named"),
        ("pathlib:Game", r"failed: AttributeError: module 'pathlib' has no attribute 'Game'"),
        ("no_such_file.py:Game", r"failed: FileNotFoundError: there is no file no_such_file.py"),
        ("math:pi", r"`game` math:pi to name a game to play but got 3.14"),
    ],
)
def test_what_cannot_be_had_is_one_sentence(
    games: Registry[Any], entries: list[Entry], name: str, sentence: str
) -> None:
    entries.append(Entry("ape", "zoo", ImportError("gone")))
    with pytest.raises(ValueError, match=sentence):
        games.get(name)


def test_an_interrupt_is_not_an_error_of_a_name(games: Registry[Any], tmp_path: Path) -> None:
    (tmp_path / "stopped_game.py").write_text("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        games.get(f"{tmp_path}/stopped_game.py:game")


# Modules and files without a registry.


def test_a_module_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "module_in_the_working_directory.py").write_text("value = 5")
    monkeypatch.chdir(tmp_path)
    assert import_object("module_in_the_working_directory:value") == 5


@pytest.mark.parametrize("stem", ["file_run_once", "random"])
def test_a_file_is_run_once_whatever_its_name(tmp_path: Path, stem: str) -> None:
    """A file called like a loaded module does not take its place."""
    loaded = sys.modules.get(stem)
    (tmp_path / "beside_a_file.py").write_text("value = 1")
    path = tmp_path / f"{stem}.py"
    path.write_text("import beside_a_file\nclass Game: value = beside_a_file.value")
    first = import_object(f"{path}:Game")
    assert import_object(f"{path.parent}/./{stem}.py:Game") is first
    assert import_object(f"{path}:Game.value") == 1
    assert loaded is None or sys.modules[stem] is loaded


def test_a_file_that_failed_is_run_again(tmp_path: Path) -> None:
    path = tmp_path / "file_that_failed.py"
    path.write_text("raise RuntimeError('not yet')")
    with pytest.raises(RuntimeError, match="not yet"):
        import_object(f"{path}:value")
    assert "file_that_failed" not in sys.modules
    path.write_text("value = 5  # Another length, so that no cached bytecode fits.")
    assert import_object(f"{path}:value") == 5


def test_two_files_of_one_name_are_two(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "file_of_one_name.py").write_text(f"value = {number}")
    found = [import_object(f"{tmp_path}/{n}/file_of_one_name.py:value") for n in (1, 2, 1)]
    assert found == [1, 2, 1]
