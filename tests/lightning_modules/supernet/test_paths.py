"""Scores of paths: a file that is continued, and the prior that they make."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from lightning_modules.supernet import PathScores
from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import Evaluation


SPACE = CellSpace(n_nodes=3)


class Convolutions:
    """Scores a cell by its number of 3x3 convolutions, and counts."""

    def __init__(self) -> None:
        self.calls: list[Architecture] = []

    def __call__(self, architecture: Architecture) -> Evaluation:
        self.calls.append(architecture)
        n = list(architecture.values()).count("nor_conv_3x3")
        return Evaluation({"val_accuracy": 0.1 + n / 5, "val_loss": 2.0 - n / 3})


def test_at_least_n_different_paths_are_scored() -> None:
    scores, evaluate = PathScores(SPACE), Convolutions()
    scores.fill(evaluate, 12)
    assert len(scores) == len(evaluate.calls) == len(set(evaluate.calls))
    assert 12 <= len(scores) < 17
    assert scores.architectures == evaluate.calls
    first = evaluate.calls[0]
    n = list(first.values()).count("nor_conv_3x3")
    assert scores[first] == {"val_accuracy": 0.1 + n / 5, "val_loss": 2.0 - n / 3}
    scores.fill(evaluate, 12)
    assert len(evaluate.calls) == len(scores)


def test_seeds() -> None:
    found = []
    for seed in (0, 0, 1):
        scores = PathScores(SPACE)
        scores.fill(Convolutions(), 10, seed=seed)
        found.append(scores.architectures)
    assert found[0] == found[1] != found[2]


def test_a_small_space_is_scored_as_a_whole() -> None:
    space = SPACE.freeze({"edge_0_1": "none", "edge_0_2": "none"})
    scores = PathScores(space)
    scores.fill(Convolutions(), 1000)
    assert len(scores) == 5


def test_the_prior_is_that_of_the_smaller_losses() -> None:
    scores = PathScores(SPACE)
    scores.fill(Convolutions(), 60)
    prior = scores.prior()
    assert set(prior.most_likely().values()) == {"nor_conv_3x3"}


def test_too_few_paths_for_a_prior() -> None:
    scores = PathScores(SPACE)
    with pytest.raises(ValueError, match="at least 2, but got 0 and 0"):
        scores.prior()


def test_the_file_is_continued(tmp_path: Path) -> None:
    file, first, second = tmp_path / "paths.jsonl", Convolutions(), Convolutions()
    whole = PathScores(SPACE, file)
    whole.fill(first, 10)
    scores = PathScores(SPACE, file)
    assert scores.architectures == whole.architectures
    assert [scores[a] for a in scores.architectures] == [whole[a] for a in whole.architectures]
    scores.fill(second, 20)
    assert len(scores) == len(first.calls) + len(second.calls)
    assert not set(first.calls) & set(second.calls)
    assert len(file.read_text().splitlines()) == len(scores)


@pytest.mark.parametrize("cut", [1, 30])
def test_a_half_written_last_line_is_ignored_and_not_continued(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "paths.jsonl"
    whole = PathScores(SPACE, file)
    whole.fill(Convolutions(), 10)
    text = file.read_text()
    file.write_text(text[:-cut] if cut > 1 else text[: text.rindex("{") + 1])
    scores, evaluate = PathScores(SPACE, file), Convolutions()
    assert scores.architectures == whole.architectures[:-1]
    scores.fill(evaluate, 15)
    again = PathScores(SPACE, file)
    assert again.architectures == scores.architectures
    assert set(again.architectures) >= set(whole.architectures)


def test_a_line_without_its_end_is_complete(tmp_path: Path) -> None:
    file = tmp_path / "paths.jsonl"
    PathScores(SPACE, file).fill(Convolutions(), 10)
    file.write_text(file.read_text().rstrip("\n"))
    n = len(file.read_text().splitlines())
    scores = PathScores(SPACE, file)
    assert len(scores) == n
    scores.fill(Convolutions(), 15)
    assert len(PathScores(SPACE, file)) == len(scores)


def test_each_score_is_written_at_once(tmp_path: Path) -> None:
    file, inner = tmp_path / "paths.jsonl", Convolutions()

    def evaluate(architecture: Architecture) -> Evaluation:
        lines = file.read_text().splitlines() if file.exists() else []
        assert len(lines) == len(inner.calls)
        if len(inner.calls) == 3:
            raise InterruptedError
        return inner(architecture)

    with pytest.raises(InterruptedError):
        PathScores(SPACE, file).fill(evaluate, 10)
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    assert [SPACE.from_string(entry["architecture"]) for entry in entries] == inner.calls


def test_a_path_without_a_number_is_the_worst() -> None:
    def evaluate(architecture: Architecture) -> Evaluation:
        if architecture["edge_0_1"] == "none":
            return Evaluation({"val_accuracy": 0.1, "val_loss": math.nan})
        return Evaluation({"val_accuracy": 0.1, "val_loss": 2.0})

    scores = PathScores(SPACE)
    scores.fill(evaluate, 60)
    prior = scores.prior()
    assert int(np.argmin(prior["edge_0_1"])) == SPACE.operations.index("none")


class WithProxy(Convolutions):
    """Adds a proxy that likes convolutions of any size, and knows about one skip connection."""

    def __call__(self, architecture: Architecture) -> Evaluation:
        metrics = super().__call__(architecture).metrics
        convs = sum("conv" in str(choice) for choice in architecture.values())
        skip = 10.0 * (architecture["edge_0_3"] == "skip_connect")
        return Evaluation({**metrics, "guess": convs + skip})


WHOLE = CellSpace()


def test_a_proxy_counts_as_much_as_its_weight() -> None:
    found = []
    for weight in (0.01, 1.0):
        scores = PathScores(WHOLE, proxy="guess", proxy_weight=weight)
        scores.fill(WithProxy(), 100)
        found.append(scores.prior().most_likely()["edge_0_3"])
    assert found == ["nor_conv_3x3", "skip_connect"]


def test_with_a_proxy_the_last_paths_are_near_the_best() -> None:
    scores, evaluate = PathScores(WHOLE, proxy="guess"), WithProxy()
    scores.fill(evaluate, 100)
    assert len(scores) == len(evaluate.calls) == 100
    guesses = [scores[cell]["guess"] for cell in evaluate.calls]
    first, second, third = (np.mean(guesses[a:b]) for a, b in [(0, 60), (60, 80), (80, 100)])
    assert first + 4 < second
    assert first + 4 < third
    best = sorted(guesses)[-20:]
    share = scores.prior()["edge_0_3"][WHOLE.operations.index("skip_connect")]
    assert share == pytest.approx((sum(guess >= 10 for guess in best) + 0.1) / 20.5)


@pytest.mark.parametrize("n_before", [3, 60, 70, 80, 95])
def test_a_killed_refinement_draws_the_same_paths(tmp_path: Path, n_before: int) -> None:
    file, inner = tmp_path / "paths.jsonl", WithProxy()
    whole = PathScores(WHOLE, proxy="guess")
    whole.fill(WithProxy(), 100, seed=3)

    def dies(architecture: Architecture) -> Evaluation:
        if len(inner.calls) == n_before:
            raise InterruptedError
        return inner(architecture)

    with pytest.raises(InterruptedError):
        PathScores(WHOLE, file, proxy="guess").fill(dies, 100, seed=3)
    again = PathScores(WHOLE, file, proxy="guess")
    again.fill(inner, 100, seed=3)
    assert len(inner.calls) == 100
    assert again.architectures == whole.architectures
    assert again.prior().to_json() == whole.prior().to_json()


def test_a_small_space_ends_with_a_proxy_too() -> None:
    space = WHOLE.freeze(dict.fromkeys(list(WHOLE.distributions)[:5], "none"))
    scores = PathScores(space, proxy="guess")
    scores.fill(WithProxy(), 1000)
    assert len(scores) == 5


def test_a_proxy_that_is_no_number_is_the_worst() -> None:
    def evaluate(architecture: Architecture) -> Evaluation:
        bad = architecture["edge_0_1"] == "none"
        metrics = {"val_accuracy": 0.1, "val_loss": 2.0, "guess": math.nan if bad else 1.0}
        return Evaluation(metrics)

    scores = PathScores(SPACE, proxy="guess")
    scores.fill(evaluate, 60)
    assert int(np.argmin(scores.prior()["edge_0_1"])) == SPACE.operations.index("none")


@pytest.mark.parametrize("weight", [0.0, 1.5, -1.0, math.nan])
def test_a_wrong_weight(weight: float) -> None:
    with pytest.raises(ValueError, match=r"`proxy_weight` to be in \(0, 1\] but got"):
        PathScores(SPACE, proxy="guess", proxy_weight=weight)
