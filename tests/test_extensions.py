"""One idea, one file: a sampler, a space, a task, a proxy and a relaxation of somebody else's.

They are installed as a package into a fresh virtual environment and used by their names, and used
by ``FILE.py:NAME`` without installing anything. Nothing of ours names any of them.
"""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile

import optuna
import pytest


ROOT = Path(__file__).parents[1]
EXTENSIONS = ROOT / "examples" / "extensions"
NAMES = {
    "sampler": "Tweak",
    "space": "KIT",
    "task": "Counting",
    "proxy": "depth",
    "relaxation": "Twins",
}
GROUPS = {
    "sampler": "optuna_nas.samplers",
    "space": "optuna_nas.spaces",
    "task": "optuna_nas.tasks",
    "proxy": "optuna_nas.proxies",
    "relaxation": "optuna_nas.relaxations",
}
INSTALLED = {kind: f"my-{kind}" for kind in NAMES}
FILES = {kind: f"{EXTENSIONS / kind}.py:{name}" for kind, name in NAMES.items()}
SCRIPT = "import sys; from lightning_modules.cli import main; sys.exit(main())"


def write_wheel(folder: Path) -> Path:
    """Write a package of the five files, with an entry point for each."""
    info = "my_nas-1.0.dist-info"
    lines: list[str] = []
    for kind, name in NAMES.items():
        lines += [f"[{GROUPS[kind]}]", f"{INSTALLED[kind]} = my_nas.{kind}:{name}"]
    metadata = {
        "METADATA": "Metadata-Version: 2.1\nName: my-nas\nVersion: 1.0\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "entry_points.txt": "\n".join(lines) + "\n",
        "RECORD": "",
    }
    path = folder / "my_nas-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("my_nas/__init__.py", "")
        for kind in NAMES:
            wheel.write(EXTENSIONS / f"{kind}.py", f"my_nas/{kind}.py")
        for name, text in metadata.items():
            wheel.writestr(f"{info}/{name}", text)
    return path


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with that package; it sees what this one has installed."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    own = folder / "bin" / "python"
    site = subprocess.run(
        [own, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    Path(site, "shared.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n")
    pip = [sys.executable, "-m", "pip", "--python", str(own), "install", "-q", "--no-deps"]
    subprocess.run([*pip, "--no-index", str(write_wheel(folder))], check=True, cwd=folder)
    return own


Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run ``optuna-nas`` by an interpreter in an empty folder."""

    def run(python: Path, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python, "-c", SCRIPT, *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": ""},
        )

    return run


def search_words(names: dict[str, str]) -> list[str]:
    return [
        *["search", "--data", "digits", "--n-trials", "4", "--epochs", "1", "--final-epochs", "1"],
        *["--space", names["space"], "--task", names["task"], "--sampler", names["sampler"]],
        *["--screen", names["proxy"], "--pool", "4", "--study-name", "own"],
        *["--objectives", "val_near", "params"],
    ]


def stage_words(names: dict[str, str]) -> list[str]:
    return [
        *["search", "--data", "digits", "--n-trials", "2", "--epochs", "1", "--final-epochs", "1"],
        *["--network.channels", "2", "--network.stages", "1", "--batch-size", "400"],
        *["--supernet", names["relaxation"], "--supernet-epochs", "1", "--supernet-paths", "4"],
        *["--supernet-proxy", names["proxy"], "--study-name", "stage"],
    ]


def check_search(folder: Path, finished: subprocess.CompletedProcess[str]) -> None:
    assert finished.returncode == 0, finished.stderr
    assert "Traceback" not in finished.stderr
    assert re.search(r"test within one: \d+\.\d%", finished.stdout)
    study = optuna.load_study(study_name="own", storage=f"sqlite:///{folder / 'optuna.db'}")
    assert study.metric_names == ["val_near", "params"]
    assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert all({"width", "depth", "kernel"} <= set(t.params) for t in study.trials)


def check_stage(finished: subprocess.CompletedProcess[str], name: str) -> None:
    assert finished.returncode == 0, finished.stderr
    assert f"Training a supernet by {name} for 1 epoch" in finished.stdout
    assert re.search(r"test accuracy: \d+\.\d\d%", finished.stdout)


@pytest.mark.slow
def test_an_installed_package_is_used_by_its_names(
    python: Path, command: Command, tmp_path: Path
) -> None:
    check_search(tmp_path, command(python, *search_words(INSTALLED)))
    check_stage(command(python, *stage_words(INSTALLED)), INSTALLED["relaxation"])
    shown = command(python, "show", "--study-name", "own").stdout
    assert "validation within one" in shown
    helped = command(python, "search", "--help").stdout
    assert all(name in " ".join(helped.split()) for name in INSTALLED.values())


@pytest.mark.slow
def test_files_are_used_without_installing(command: Command, tmp_path: Path) -> None:
    python = Path(sys.executable)
    check_search(tmp_path, command(python, *search_words(FILES)))
    check_stage(command(python, *stage_words(FILES)), FILES["relaxation"])
    images = tmp_path / "images.npy"
    subprocess.run(
        [
            python,
            "-c",
            "import numpy, sklearn.datasets as d;"
            f"numpy.save({str(images)!r}, d.load_digits().images[:2].astype('uint8') * 15)",
        ],
        check=True,
    )
    checkpoint = "runs/own/best.ckpt"
    own = ["--space", FILES["space"], "--task", FILES["task"]]
    predicted = command(python, "predict", checkpoint, str(images), *own)
    assert predicted.returncode == 0, predicted.stderr
    assert "count" in predicted.stdout
    unasked = command(python, "predict", checkpoint, str(images))
    assert unasked.returncode == 2
    assert re.search(r"--space to name the space of the network .* which was /", unasked.stderr)


@pytest.mark.parametrize(
    ("words", "known"),
    [
        (["--sampler", "nope"], "--sampler to be one of .*genetic.*, MODULE:NAME or FILE.py:NAME"),
        (["--space", "nope"], "--space to be one of .*cell.*, MODULE:NAME or FILE.py:NAME"),
        (["--task", "nope"], "--task to be one of classification, regression.*, MODULE:NAME"),
        (["--screen", "nope"], "--screen to be .*synflow.*"),
        (["--supernet", "nope"], "--supernet to be one of .*fairnas.*, MODULE:NAME"),
    ],
)
def test_a_wrong_name_lists_the_known_ones(
    words: list[str],
    known: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lightning_modules.cli import main

    monkeypatch.chdir(tmp_path)
    assert main(["search", *words]) == 2
    err = capsys.readouterr().err
    assert re.search(known, err), err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_nothing_of_ours_names_them() -> None:
    names = [*INSTALLED.values(), "Tweak", "Pyramid", "Counting", "Twins"]
    for package in ("optuna_nas", "lightning_modules"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert not any(name in text for name in names), path
