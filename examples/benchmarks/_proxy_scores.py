"""Zero-cost proxies of every function of the NAS-Bench-201 space, computed once and kept.

The scores know nothing of accuracies. As they cost more than everything else in a benchmark that
looks its accuracies up, they are computed once, for one cell of each canonical key.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import as_completed
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
import functools
import json
from multiprocessing import get_context
from pathlib import Path

from _script import read
from _script import write
import torch

from lightning_modules import build_cell_backbone
from lightning_modules import ProxyEvaluator
from lightning_modules import rank_aggregate
from lightning_modules.data import make_datamodule
from optuna_nas import CellSpace


_CHUNK = 50


@dataclass(frozen=True)
class ScoreSettings:
    """What scores depend on.

    Args:
        proxies: Names of the proxies; an architecture's score is the mean of its ranks.
        images: Name of the data set that gives the batch.
        channels: Channels of the network.
        cells_per_stage: Cells of a stage.
        batch_size: Images of the batch.
        seed: Seed of weights and batch.
    """

    proxies: tuple[str, ...] = ("synflow",)
    images: str = "fashion-mnist"
    channels: int = 4
    cells_per_stage: int = 1
    batch_size: int = 64
    seed: int = 0


def representatives() -> dict[str, str]:
    """Return the string of one cell for each canonical key."""
    space = CellSpace()
    cells = map(space.architecture_at, range(space.size))
    found: dict[str, str] = {}
    for cell in cells:
        found.setdefault(space.canonical_key(cell), space.to_string(cell))
    return found


def compute_scores(settings: ScoreSettings, path: Path, n_processes: int) -> Iterator[int]:
    """Compute what is missing in the file, and yield how many functions are done so far."""
    known: dict[str, list[float]] = read(path, _key(settings), "scores")
    missing = [key for key in representatives() if key not in known]
    chunks = [missing[i : i + _CHUNK] for i in range(0, len(missing), _CHUNK)]
    with ProcessPoolExecutor(n_processes, mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(_compute, settings, chunk) for chunk in chunks]):
            known |= done.result()
            write(path, {"settings": _key(settings), "scores": known})
            yield len(known)


def _key(settings: ScoreSettings) -> str:
    """Return what scores in a file depend on, the way in which their batch is drawn included."""
    return f"{settings!r}, stratified batch"


def _compute(settings: ScoreSettings, keys: Sequence[str]) -> dict[str, list[float]]:
    torch.set_num_threads(1)
    evaluate, cells, space = _evaluator(settings), _representatives(), CellSpace()
    return {key: list(evaluate(space.from_string(cells[key])).metrics.values()) for key in keys}


@functools.cache
def _representatives() -> Mapping[str, str]:
    return representatives()


@functools.cache
def _evaluator(settings: ScoreSettings) -> ProxyEvaluator:
    data = make_datamodule(settings.images, batch_size=settings.batch_size, seed=settings.seed)
    data.setup("fit")
    build = functools.partial(
        build_cell_backbone,
        input_shape=data.input_shape,
        channels=settings.channels,
        cells_per_stage=settings.cells_per_stage,
    )
    return ProxyEvaluator(
        build,
        data,
        metrics=settings.proxies,
        batch_size=settings.batch_size,
        seed=settings.seed,
        accelerator="cpu",
    )


@functools.cache
def load_ranks(path: Path) -> Mapping[str, float]:
    """Return the mean rank of each function over the proxies, by canonical key; more is better."""
    scores = json.loads(path.read_text())["scores"]
    columns = zip(*scores.values(), strict=True)
    ranks = rank_aggregate({str(i): column for i, column in enumerate(columns)})
    return dict(zip(scores, ranks.tolist(), strict=True))
