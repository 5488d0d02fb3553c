"""What is named where: tasks know of their metrics and losses, nothing else does."""

from __future__ import annotations

from pathlib import Path
import re

import pytest


ROOT = Path(__file__).parents[1]
TASK_WORDS = re.compile(r"accurac|cross.?entropy|num_classes", re.IGNORECASE)
EXEMPT = {
    "lightning_modules/tasks": "they are the tasks",
    "optuna_nas/benchmarks": "published tables hold accuracies",
}
MODULES = [
    path
    for package in ("optuna_nas", "lightning_modules")
    for path in sorted((ROOT / package).rglob("*.py"))
    if not str(path.relative_to(ROOT)).startswith(tuple(EXEMPT))
]


@pytest.mark.parametrize("path", MODULES, ids=[str(p.relative_to(ROOT)) for p in MODULES])
def test_no_module_outside_of_the_tasks_names_one_task(path: Path) -> None:
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
    assert [(i, line) for i, line in lines if TASK_WORDS.search(line)] == []


def test_all_modules_are_looked_at() -> None:
    assert len(MODULES) > 200
    tasks = "\n".join(p.read_text() for p in (ROOT / "lightning_modules/tasks").glob("*.py"))
    assert TASK_WORDS.search(tasks)
