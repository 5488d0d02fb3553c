"""Every example runs as it stands, in an empty folder, and prints what it is about."""

from pathlib import Path
import re
import subprocess
import sys

import numpy as np
import pytest


EXAMPLES = Path(__file__).parents[1] / "examples"

EXPECTED = {
    "custom_space.py": r"12 of 56 architectures trained; the Pareto front:\n0\.\d+ +\d+  depth=",
    "drop_in_sampler.py": r"accuracy: 0\.9\d+\nparameters: {'model': 'svm'",
    "drop_in_space.py": r"accuracy: 0\.[89]\d+\ncell: \|\w+~0\|",
    "hierarchical_search.py": r"macro: 8 of 36 .*\n.*\n  best  0\.[89].*\nblocks: 16 of 4",
    "lightning_script.py": r"validation accuracy: 0\.9\d+\ntest accuracy: 0\.9\d+",
    "multi_fidelity.py": r"12 trials, [1-9]\d* pruned, .*\nmany .* 36 epochs\n.*then 0",
    "own_task.py": r"F1 0\.9\d+, \d+ parameters: \{'depth': \d, 'width': \d+\}",
    "parallel_search.py": r"12 trials; the Pareto front:\n0\.\d+ +\d+  [CS]",
    "supernet_loop.py": r"epoch 5: .* 0\.\d+\nvalidation .*: 0\.[89]\d+\ncell: \|\w+~0\|",
}
BENCHMARKS = {
    "constrained_feasible.py": ([], r"GeneticSampler .* \d\.\d\d ± \d\.\d\d "),
    "controller_replay.py": ([], r"DDPGSampler .* 100 .* \d+\.\d "),
    "controllers_conditional.py": ([], r"PPOSampler .* 0\.\d{3} ± 0\.\d{3} "),
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


def command_line(*arguments: str, cwd: Path) -> str:
    script = "import sys; from lightning_modules.cli import main; sys.exit(main())"
    return run("-c", script, *arguments, cwd=cwd)


def test_all_examples_are_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(EXPECTED)
    elsewhere = {"nas_bench_201.py"}  # In tests/examples.
    scripts = {path.name for path in (EXAMPLES / "benchmarks").glob("[!_]*.py")}
    assert scripts == set(BENCHMARKS) | elsewhere


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
    run(
        "-c",
        f"import sys; sys.path.insert(0, {str(EXAMPLES)!r});"
        "import custom_space; custom_space.write_data('data.npz', n=300)",
        cwd=tmp_path,
    )
    output = command_line(
        *["search", "--space", f"{EXAMPLES / 'custom_space.py'}:space"],
        *["--data", "data.npz", "--n-trials", "2", "--epochs", "1"],
        cwd=tmp_path,
    )
    assert "test accuracy" in output


@pytest.mark.slow
def test_own_task_on_the_command_line(tmp_path: Path) -> None:
    own = EXAMPLES / "own_task.py"
    space_and_module = ["--module", f"{own}:Module", "--space", f"{own}:space"]
    output = command_line(
        *["search", *space_and_module, "--data", f"{own}:Data"],
        *["--objectives", "val_f1", "params", "--constraint", "val_loss<=2"],
        *["--n-trials", "3", "--epochs", "1"],
        cwd=tmp_path,
    )
    assert re.search(r"trial 2: validation F1 0\.\d+, parameters [\d,]+", output)
    assert "on the training data for 3 epochs" in output
    network = re.search("network: (.*)", output)
    assert network is not None
    np.save(tmp_path / "x.npy", np.zeros((4, 30), np.float32))
    output = command_line("predict", network[1], "x.npy", *space_and_module, cwd=tmp_path)
    assert len(re.findall(r"x\.npy\[\d\] │ -?\d+\.\d+", output)) == 4
