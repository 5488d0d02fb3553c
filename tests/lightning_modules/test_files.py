"""Files that are written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lightning_modules._files import temporary_beside
from lightning_modules._files import write_json


def half(temporary: Path) -> None:
    temporary.write_text("half")
    raise RuntimeError("The disk is full.")


def test_a_temporary_file_is_removed_whatever_happens(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with temporary_beside(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary != path
        temporary.write_text("whole")
        temporary.replace(path)
    assert path.read_text() == "whole"
    with pytest.raises(RuntimeError, match="full"), temporary_beside(path) as temporary:
        half(temporary)
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_json_is_replaced_whole_or_left(tmp_path: Path) -> None:
    path = tmp_path / "document.json"
    write_json(path, {"ä": [1, 2.5, None]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"ä": [1, 2.5, None]}
    with pytest.raises(TypeError):
        write_json(path, {"value": object()})
    assert json.loads(path.read_text(encoding="utf-8")) == {"ä": [1, 2.5, None]}
    assert list(tmp_path.iterdir()) == [path]
