"""A disk that fills up during a search: one sentence, and the same command goes on later."""

from __future__ import annotations

from collections.abc import Callable
import errno
from pathlib import Path
import re
import subprocess
import sys

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
import pytest

from lightning_modules.cli import main
from optuna_nas.studies import full_disk as _full_disk
from tests.lightning_modules.cli.test_search import load
from tests.lightning_modules.cli.test_search import run  # noqa: F401
from tests.lightning_modules.cli.test_search import tracking  # noqa: F401


SEARCH = ["search", "--data", "nasbench201:cifar10", "--sampler", "random", "--study-name", "full"]
FULL_SQLITE = """
from sqlalchemy import event
from sqlalchemy.engine import Engine

@event.listens_for(Engine, "connect")
def fill(connection, _):
    files = [row[2] for row in connection.execute("PRAGMA database_list")]
    if files[0].endswith("optuna.db"):
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 1}")
"""
FULL_JOURNAL = """
import errno, itertools, os
from types import SimpleNamespace
from optuna.storages.journal import _file

lines = itertools.count()

def fsync(number):
    if next(lines) >= 60:
        os.ftruncate(number, os.fstat(number).st_size - 7)  # A part of the line was written.
        raise OSError(errno.ENOSPC, "No space left on device")

_file.os = SimpleNamespace(**{**vars(os), "fsync": fsync})
"""
COMMAND = "\nimport sys\nfrom lightning_modules.cli import main\nsys.exit(main(sys.argv[1:]))"


def trials_of(storage: str) -> list[optuna.trial.FrozenTrial]:
    if not storage.endswith(".log"):
        return load("full", storage).trials
    journal = JournalStorage(JournalFileBackend(storage))
    return optuna.load_study(study_name="full", storage=journal).trials


@pytest.mark.slow
@pytest.mark.parametrize(
    ("storage", "fill"), [("sqlite:///optuna.db", FULL_SQLITE), ("journal.log", FULL_JOURNAL)]
)
def test_search_goes_on_when_there_is_room(
    storage: str,
    fill: str,
    run: Callable[..., str],  # noqa: F811
    tracking: str,  # noqa: F811
) -> None:
    search = [*SEARCH, "--storage", storage]
    run(*search, "--n-trials", "2")
    more = [*search, "--n-trials", "20", "--tracking-uri", tracking]
    stopped = subprocess.run(
        [sys.executable, "-c", fill + COMMAND, *more], capture_output=True, text=True
    )
    assert stopped.returncode == 2, stopped.stderr
    (line,) = [line for line in stopped.stderr.splitlines() if "error" in line]
    assert "Traceback" not in stopped.stderr
    assert re.search(r"study 'full' but the disk is full\..* --study-name full goes on", line)
    kept = [trial.number for trial in trials_of(storage) if trial.state == TrialState.COMPLETE]
    assert 2 < len(kept) < 20
    assert all(trial.state != TrialState.FAIL for trial in trials_of(storage))
    run(*search, "--n-trials", "20")
    finished = [trial for trial in trials_of(storage) if trial.state.is_finished()]
    assert len(finished) == 20
    assert {trial.number for trial in finished} >= set(kept)


def test_disk_that_is_full_before_the_study_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("optuna.create_study", fail)
    assert main([*SEARCH, "--n-trials", "2"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "the disk is full" in line


def test_other_errors_are_not_taken_for_a_full_disk() -> None:
    for error in (OSError(errno.EACCES, "no"), ValueError("full")):
        assert not _full_disk.is_full(error)
        with pytest.raises(type(error)), _full_disk.explained("a"):
            raise error
        with pytest.raises(type(error)):
            _full_disk.stopping(lambda trial, error=error: raise_(error))(None)  # type: ignore


def raise_(error: Exception) -> float:
    raise error


@pytest.mark.parametrize("left", ["", '{"op_code":4', "x" * 3000])
def test_what_a_full_disk_left_of_a_line_is_cut_off(left: str, tmp_path: Path) -> None:
    path = str(tmp_path / "journal.log")
    backend = JournalFileBackend(path, lock_obj=_full_disk.WholeLines(path))
    backend.append_logs([{"a": 1}])
    with open(path, "a") as file:
        file.write(left)
    backend.append_logs([{"a": 2}])
    assert list(JournalFileBackend(path).read_logs(0)) == [{"a": 1}, {"a": 2}]
