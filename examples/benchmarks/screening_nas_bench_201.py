"""What screening by zero-cost proxies saves on NAS-Bench-201.

    python examples/benchmarks/screening_nas_bench_201.py --output results
    python examples/benchmarks/screening_nas_bench_201.py --quick

Searches by 25 evaluations whose proposals were screened by a proxy, or the mean rank of several,
are compared with Optuna's TPE without screening, by up to 100 evaluations, in the same run and by
the protocol of ``nas_bench_201.py``. The proxies are computed here, on untrained networks of
reduced size and Fashion-MNIST images, and are the same for all data sets; their file is reused.
The default, synflow in pools as large as a neighbourhood, was chosen on CIFAR-10 alone.
Needs ``pip install 'optuna-nas[benchmarks]'``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from collections.abc import Sequence
import functools
import os
from pathlib import Path
import tempfile

from _nas_bench_201_runs import execute_all
from _nas_bench_201_runs import Job
from _nas_bench_201_runs import Run
from _nas_bench_201_samplers import Factory
from _nas_bench_201_samplers import SAMPLERS
from _nas_bench_201_scores import Scorer
from _nas_bench_201_tables import ratio_table
from _nas_bench_201_tables import regret_tables
from _nas_bench_201_tables import TITLES
from _proxy_scores import compute_scores
from _proxy_scores import load_ranks
from _proxy_scores import representatives
from _proxy_scores import ScoreSettings
from _script import make_console
from _script import parse
from jsonargparse import ArgumentParser
from optuna.samplers import BaseSampler
from rich.progress import track

from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import LocalSearchSampler
from optuna_nas import ScreeningSampler
from optuna_nas import SearchSpace


REFERENCE = "tpe"
BASES = (
    "random",
    "tpe",
    "random-architecture",
    "genetic",
    "regularized-evolution",
    "local-search",
)
QUICK = {
    "bases": ["tpe"],
    "datasets": ["cifar10"],
    "evaluations": [5, 10],
    "seeds": 2,
    "images": "digits",
    "proxies": ["params"],
}


def make_parser() -> ArgumentParser:
    """Return the parser of the command line."""
    parser = ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--bases", nargs="+", choices=list(SAMPLERS), default=list(BASES), help="to be screened")
    add("--datasets", nargs="+", choices=list(TITLES), default=list(TITLES))
    add("--evaluations", nargs="+", type=int, default=[10, 25, 50, 100])
    add("--seeds", type=int, default=50, help="runs of each sampler on each data set")
    add("--pool", type=int, default=24)
    add("--n-warm-up", type=int, default=3)
    add("--warm-up-pool", type=int, default=256)
    add("--proxies", nargs="+", default=list(ScoreSettings.proxies))
    add("--scores-seed", type=int, default=0, help="of the networks that the proxies score")
    add("--images", type=str, default="fashion-mnist")
    add("--scores", type=Path, help="file of the proxies' scores; what is there is not repeated")
    add("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    add("--output", type=Path, help="folder for screening.md")
    add("--quick", action="store_true", help=f"a small run for a first look: {QUICK}")
    return parser


def screened(
    seed: int, space: SearchSpace, *, base: str, scores: Path, options: Mapping[str, int]
) -> BaseSampler:
    """Make a sampler that screens the proposals of another.

    Local search starts from the screened architectures alone.
    """
    if base == "local-search":
        sampler: BaseSampler = LocalSearchSampler(
            seed=seed, space=space, n_initial=max(options["n_warm_up"], 1)
        )
    else:
        sampler = SAMPLERS[base](seed, space)
    return ScreeningSampler(
        sampler,
        functools.partial(_rank, scores),
        space=space,
        seed=seed,
        **options,
    )


def _rank(scores: Path, architecture: Architecture) -> float:
    return load_ranks(scores)[_key(architecture)]


@functools.cache
def _space() -> CellSpace:
    return CellSpace()


def _key(architecture: Architecture) -> str:
    return _space().canonical_key(architecture)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its tables."""
    args = parse(make_parser(), QUICK, arguments)
    console = make_console(100)
    with tempfile.TemporaryDirectory() as folder:
        scores = args.scores or Path(folder) / "scores.json"
        settings = ScoreSettings(
            proxies=tuple(args.proxies), images=args.images, seed=args.scores_seed
        )
        for _ in track(
            compute_scores(settings, scores, args.jobs),
            "proxies",
            total=len(representatives()) / 50,
            console=console,
            disable=not console.is_terminal,
        ):
            pass
        options = {
            "pool": args.pool,
            "n_warm_up": args.n_warm_up,
            "warm_up_pool": args.warm_up_pool,
        }
        makers: dict[str, Factory] = {
            f"screened {base}": functools.partial(
                screened, base=base, scores=scores, options=options
            )
            for base in args.bases
        }
        jobs = [
            Job(name, dataset, seed, max(args.evaluations), 1)
            for name in (REFERENCE, *makers)
            for dataset in args.datasets
            for seed in range(args.seeds)
        ]
        runs: dict[tuple[str, str], list[Run]] = defaultdict(list)
        for run in track(
            execute_all(jobs, args.jobs, makers),
            "searches",
            total=len(jobs),
            console=console,
            disable=not console.is_terminal,
        ):
            runs[run.job.sampler, run.job.dataset].append(run)
    order = [(name, dataset) for name in (REFERENCE, *makers) for dataset in args.datasets]
    ordered = {key: sorted(runs[key], key=lambda run: run.job.seed) for key in order}
    scorers = {dataset: Scorer(dataset) for dataset in args.datasets}
    ratios = ratio_table(ordered, scorers, args.evaluations)
    tables = [*regret_tables(ordered, scorers, args.evaluations), *([ratios] if ratios else [])]
    for table in tables:
        console.print(table.to_rich())
    if args.output is not None:
        args.output.mkdir(parents=True, exist_ok=True)
        text = "\n".join(table.to_markdown() for table in tables)
        (args.output / "screening.md").write_text(text)


if __name__ == "__main__":
    main()
