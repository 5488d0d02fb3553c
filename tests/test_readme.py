"""The README's Python snippet runs as it stands, and its commands are the ones of CI."""

from pathlib import Path
import re
import subprocess
import sys

import pytest


README = (Path(__file__).parents[1] / "README.md").read_text()


@pytest.mark.slow
def test_snippet(tmp_path: Path) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", snippet], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"\[\(\[0\.\d+, \d+\.0\], '\|", done.stdout)
    assert (tmp_path / "mlflow.db").is_file()


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert links
    missing = [link for link in links if not (Path(__file__).parents[1] / link).exists()]
    assert not missing


def test_sentence_install_and_search_are_in_the_first_lines() -> None:
    head = "\n".join(README.splitlines()[:30])
    assert "pip install" in head
    assert "optuna-nas search" in head
    assert "mlflow ui" in head
