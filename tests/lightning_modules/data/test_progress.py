"""A bar where somebody watches, and nowhere else."""

from __future__ import annotations

import pytest

from lightning_modules.data._progress import progress


@pytest.mark.parametrize(
    ("terminal", "ci", "shown"), [("1", "", True), ("1", "true", False), ("0", "", False)]
)
def test_shown(
    terminal: str,
    ci: str,
    shown: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", terminal)
    monkeypatch.setenv("CI", ci)
    assert list(progress(iter("abc"), "reading pictures", 3)) == ["a", "b", "c"]
    printed = capsys.readouterr()
    assert printed.out == ""
    assert ("reading pictures" in printed.err) == shown
    assert shown or printed.err == ""
