"""Every example runs as it stands, in an empty folder, and prints what it is about."""

from pathlib import Path
import re
import subprocess
import sys

import pytest


EXAMPLES = Path(__file__).parents[1] / "examples"

EXPECTED = {
    "custom_space.py": r"12 of 56 architectures trained; the Pareto front:\n0\.\d+ +\d+  depth=",
    "drop_in_sampler.py": r"accuracy: 0\.9\d+\nparameters: {'model': 'svm'",
    "drop_in_space.py": r"accuracy: 0\.[89]\d+\ncell: \|\w+~0\|",
    "hierarchical_search.py": r"macro: 8 of 36 .*\n.*\n  best  0\.[89].*\nblocks: 16 of 4",
    "lightning_script.py": r"validation accuracy: 0\.9\d+\ntest accuracy: 0\.9\d+",
    "multi_fidelity.py": r"12 trials, [1-9]\d* pruned, .*\nmany .* 36 epochs\n.*then 0",
    "parallel_search.py": r"12 trials; the Pareto front:\n0\.\d+ +\d+  [CS]",
    "supernet_loop.py": r"epoch 5: .* 0\.\d+\nvalidation .*: 0\.[89]\d+\ncell: \|\w+~0\|",
}
BENCHMARKS = {
    "constrained_feasible.py": ([], r"GeneticSampler .* \d\.\d\d ± \d\.\d\d "),
    "proxies_nas_bench_201.py": ([], r" synflow .* \d+\.\d (.|\n)* vote of synflow, .* 0\.\d{3} "),
    "inherited_weights.py": ([], r"from inherited weights .* \d\.\d{3} ± (.|\n)*scratch +│ +1 │"),
    "latency_table.py": (["--space", "cell"], r"as it is +│ +-?\d\.\d{3} │ (.|\n)*Measured \d+\."),
    "screening_nas_bench_201.py": ([], r"screened tpe │ +2 │ +\d\.\d\d ± "),
    "supernet_nas_bench_201.py": (
        [],
        r"│ fairnas +│ +\d+\.\d │(.|\n)*prior of fairnas, 20 │ +\d+\.\d\d ± ",
    ),
    "sampler_overhead.py": ([], r"GeneticSampler  .* \d+\.\d\d "),
    "supernet_speed.py": (
        ["--relaxations", "gdas", "darts"],
        r"one trained path (.|\n)* gdas .* \d\.\d\d (.|\n)*Worst single-path ratio: \d+\.\d\d ",
    ),
    "trial_overhead.py": (["--data", "digits"], r"Overhead \d\.\d+ s (.|\n)*Ratio \d+\.\d+ "),
}


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def test_all_examples_are_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(EXPECTED)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(EXPECTED))
def test_example(name: str, tmp_path: Path) -> None:
    assert re.search(EXPECTED[name], run(str(EXAMPLES / name), cwd=tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(BENCHMARKS))
def test_benchmark(name: str, tmp_path: Path) -> None:
    arguments, expected = BENCHMARKS[name]
    output = run(str(EXAMPLES / "benchmarks" / name), "--quick", *arguments, cwd=tmp_path)
    assert re.search(expected, output)


@pytest.mark.slow
def test_custom_space_on_the_command_line(tmp_path: Path) -> None:
    script = "import sys; from lightning_modules.cli import main; sys.exit(main())"
    run(
        "-c",
        f"import sys; sys.path.insert(0, {str(EXAMPLES)!r});"
        "import custom_space; custom_space.write_data('data.npz', n=300)",
        cwd=tmp_path,
    )
    output = run(
        *["-c", script, "search", "--space", f"{EXAMPLES / 'custom_space.py'}:space"],
        *["--data", "data.npz", "--n-trials", "2", "--epochs", "1"],
        cwd=tmp_path,
    )
    assert "test accuracy" in output
