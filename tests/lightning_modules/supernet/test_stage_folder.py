"""The settings with which the stage in a folder is continued."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightning_modules.supernet import stage_settings
from lightning_modules.supernet._stage_folder import check_settings
from lightning_modules.supernet._stage_folder import keep_settings


class Unnamed:
    """Its representation has an address."""


def test_settings_are_kept_and_checked(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert stage_settings(folder) is None
    check_settings(folder, {"a": 1})
    keep_settings(folder, {"a": (1, 2), "b": Unnamed()})
    assert stage_settings(folder) == {"a": [1, 2], "b": "Unnamed"}
    keep_settings(folder, {"a": [1, 2], "b": Unnamed()})
    for other, key in [({"a": [1], "b": Unnamed()}, "a"), ({"a": (1, 2), "c": 3}, "c")]:
        with pytest.raises(ValueError, match=rf"with its `{key}` .* give another folder"):
            keep_settings(folder, other)
    assert stage_settings(folder) == {"a": [1, 2], "b": "Unnamed"}
