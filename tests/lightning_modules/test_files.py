"""Files that are written whole or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
import json
from pathlib import Path
import threading

import pytest

from lightning_modules._files import temporary_beside
from lightning_modules._files import write_json


def test_json_in_a_new_folder(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    write_json(path, {"x": [1, 2]})
    write_json(path, {"x": [3]})
    assert json.loads(path.read_text()) == {"x": [3]}
    assert path.read_text().endswith("}\n")
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"x": 1})
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_json(path, {"x": object()})
    with suppress(RuntimeError), temporary_beside(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("full")
    assert json.loads(path.read_text()) == {"x": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_threads_have_names_of_their_own(tmp_path: Path) -> None:
    together = threading.Barrier(4, timeout=30)

    def name(_: int) -> Path:
        with temporary_beside(tmp_path / "a") as temporary:
            together.wait()
            return temporary

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(name, range(4)))) == 4
