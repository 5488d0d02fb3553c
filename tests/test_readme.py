"""The README's Python snippets run as they stand, and its commands are the ones of CI."""

from pathlib import Path
import re
import subprocess
import sys

import pytest


README = (Path(__file__).parents[1] / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def run(snippet: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", snippet], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_snippet_is_tested() -> None:
    assert len(SNIPPETS) == 2


@pytest.mark.slow
def test_search(tmp_path: Path) -> None:
    out = run(SNIPPETS[0], tmp_path)
    assert re.search(r"\[\(\[0\.\d+, \d+\.0\], '\|", out)
    assert (tmp_path / "mlflow.db").is_file()


@pytest.mark.slow
def test_latency_table(tmp_path: Path) -> None:
    words = ["profile", "--data", "digits", "--rounds", "1", "--min-run-time", "0.0001"]
    run(f"from lightning_modules.cli import main; assert main({words}) == 0", tmp_path)
    cell = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"
    more = f"from optuna_nas import CellSpace; cell = CellSpace().from_string({cell!r})\n"
    out = run(f"{SNIPPETS[1]}{more}print(fast, fast.value_of(cell))", tmp_path)
    assert re.fullmatch(r"latency_ms<=2 \d+\.\d+\n", out)


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
