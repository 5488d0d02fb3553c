"""A supernet for training loops of one's own."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_modules.data import DigitsDataModule
from lightning_modules.supernet import SupernetEvaluator
from lightning_modules.supernet import SupernetSearch
from lightning_modules.supernet.relaxations import RELAXATIONS
from lightning_modules.tasks import Classification
from optuna_nas import CellSpace
from optuna_nas import CustomSpace


SPACE = CellSpace(n_nodes=3)
SIZES: dict[str, Any] = {"channels": 4, "cells_per_stage": 1, "stages": 1}
LOGITS = [name for name in RELAXATIONS if RELAXATIONS.get(name).learns and name != "enas"]


def make(relaxation: str = "fairnas", **arguments: Any) -> SupernetSearch:
    return SupernetSearch(
        SPACE,
        Classification(10),
        **{
            "input_shape": (1, 8, 8),
            "relaxation": relaxation,
            "n_epochs": 3,
            **SIZES,
            **arguments,
        },
    )


@pytest.fixture(scope="module")
def data() -> dict[str, list[Any]]:
    module = DigitsDataModule(batch_size=64)
    module.setup("fit")
    batches = [tuple(batch) for batch in module.train_dataloader()]
    return {"train": batches[:8], "other": batches[8:16], "val": list(module.val_dataloader())}


def train(search: SupernetSearch, data: dict[str, list[Any]], n_epochs: int = 3) -> list[float]:
    """Return the mean loss of each epoch."""
    losses = []
    for _ in range(n_epochs):
        pairs = zip(data["train"], data["other"], strict=True)
        epoch = [search.train_step(batch, other) for batch, other in pairs]
        search.update_strategy()
        losses.append(sum(epoch) / len(epoch))
    return losses


@pytest.mark.parametrize(
    "relaxation", ["fairnas", "spos", "gdas", "darts", "fbnet", "pcdarts", "enas"]
)
def test_it_trains_and_evaluates(relaxation: str, data: dict[str, list[Any]]) -> None:
    search = make(relaxation)
    losses = train(search, data)
    assert losses[-1] < losses[0]
    accuracy = search.evaluate(data["val"], n_paths=8)
    assert 0 <= accuracy <= 1
    assert search.search_space is SPACE
    assert SPACE.contains(search.best_architecture())
    prior = search.prior()
    if relaxation in ("fairnas", "spos"):
        assert search.best_architecture() == prior.most_likely()
    if relaxation != "pcdarts":
        batches = [tuple(batch) for batch in data["train"][-6:]]
        evaluator = SupernetEvaluator(search.supernet, batches, data["val"])
        found = evaluator(search.best_architecture()).metrics["val_accuracy"]
        assert accuracy == pytest.approx(found)


def test_it_learns(data: dict[str, list[Any]]) -> None:
    arguments = {"channels": 8, "training": {"learning_rate": 0.3}}
    search = make("fairnas", n_epochs=10, **arguments)
    train(search, data, n_epochs=10)
    assert search.evaluate(data["val"], n_paths=8) > 0.5  # Chance is 0.1.


@pytest.mark.parametrize("relaxation", ["fairnas", "gdas"])
def test_the_seed_decides(relaxation: str, data: dict[str, list[Any]]) -> None:
    def run(seed: int) -> tuple[list[float], float, str, str]:
        torch.rand(3)
        search = make(relaxation, seed=seed)
        losses = train(search, data, n_epochs=2)
        accuracy = search.evaluate(data["val"], n_paths=6)
        return losses, accuracy, str(search.best_architecture()), search.prior().to_json()

    assert run(1) == run(1)
    assert run(1)[0] != run(2)[0]


def test_the_global_generator_is_left_alone(data: dict[str, list[Any]]) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    search = make("gdas")
    train(search, data, n_epochs=1)
    search.evaluate(data["val"])
    assert torch.equal(torch.get_rng_state(), before)


def test_rates_and_temperatures_move_with_the_epochs(data: dict[str, list[Any]]) -> None:
    search = make("gdas", n_epochs=2, training={"learning_rate": 0.2})
    seen: list[tuple[float, float]] = []
    step = search.relaxation.weight_step

    def spy(*arguments: Any) -> Tensor:
        seen.append((arguments[2].progress, arguments[2].learning_rate))
        rate = search.optimizers[0].param_groups[0]["lr"]
        assert arguments[2].learning_rate == pytest.approx(rate)
        return step(*arguments)

    search.relaxation.weight_step = spy  # type: ignore[assignment, method-assign]
    for _ in range(3):  # One epoch more than was said.
        search.train_step(data["train"][0], data["other"][0])
        search.update_strategy()
    progress, rates = zip(*seen, strict=True)
    assert progress == (0.0, 0.5, 1.0)
    assert rates == pytest.approx([0.2, 0.1, 0.0])


def test_steps_are_numbered(data: dict[str, list[Any]]) -> None:
    search, seen = make("fairnas"), []
    sample = search.relaxation.architectures  # type: ignore[attr-defined, operator]
    search.relaxation.architectures = lambda net, step: (
        seen.append(step.number) or sample(net, step)
    )  # type: ignore[assignment, attr-defined]
    train(search, {**data, "train": data["train"][:2], "other": data["other"][:2]}, n_epochs=2)
    assert seen == [0, 1, 2, 3]


@pytest.mark.parametrize("relaxation", ["gdas", "darts"])
def test_weights_learn_from_one_batch_and_logits_from_the_other(
    relaxation: str, data: dict[str, list[Any]]
) -> None:
    def after(batch: Any, other: Any) -> tuple[Tensor, Tensor]:
        search = make(relaxation)
        search.train_step(batch, other)
        logits = torch.cat([p.detach().flatten() for p in search.relaxation.parameters()])
        return search.supernet.network.head.weight.detach(), logits

    first, second = data["train"][0], data["train"][1]
    weight, logits = after(first, second)
    assert torch.equal(after(second, second)[1], logits)
    assert not torch.equal(after(second, second)[0], weight)
    assert not torch.equal(after(first, first)[1], logits)


def test_gradients_are_clipped(data: dict[str, list[Any]]) -> None:
    search = make("fairnas")
    images, labels = data["train"][0]
    search.train_step((images * 1e4, labels))
    grads = [p.grad for p in search.supernet.parameters() if p.grad is not None]
    norm = float(torch.linalg.vector_norm(torch.stack([g.norm() for g in grads])))
    assert norm <= 5.001


def test_scores_are_dropped_by_a_step(data: dict[str, list[Any]]) -> None:
    search = make("spos")
    message = r"^Expected a call of `evaluate` before, as `spos` trains paths"
    with pytest.raises(ValueError, match=message):
        search.best_architecture()
    search.train_step(data["train"][0])
    search.evaluate(data["val"], n_paths=5)
    search.best_architecture()
    search.train_step(data["train"][1])
    with pytest.raises(ValueError, match=message):
        search.prior()


@pytest.mark.parametrize("relaxation", LOGITS)
def test_a_relaxation_that_learns_needs_two_batches(
    relaxation: str, data: dict[str, list[Any]]
) -> None:
    search = make(relaxation)
    before = [p.detach().clone() for p in search.supernet.parameters()]
    with pytest.raises(ValueError, match=rf"^Expected argument `val_batch` .* `{relaxation}`"):
        search.train_step(data["train"][0])
    assert all(
        torch.equal(p, b) for p, b in zip(search.supernet.parameters(), before, strict=True)
    )


def test_evaluate_needs_training_and_data(data: dict[str, list[Any]]) -> None:
    for relaxation in ("gdas", "pcdarts"):
        search = make(relaxation)
        with pytest.raises(ValueError, match="a call of `train_step` before `evaluate`"):
            search.evaluate(data["val"])
        search.train_step(data["train"][0], data["other"][0])
        with pytest.raises(ValueError, match="to have batches but got none"):
            search.evaluate([])


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("relaxation", "evolution"),
        ("n_epochs", 0),
        ("seed", -1),
        ("training", {"learning_rat": 0.1}),
        ("training", {"supernet": 0.1}),
    ],
)
def test_wrong_arguments(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^Expected argument `{argument}` .* but got "):
        make(**{argument: value})


def test_wrong_numbers_and_sizes() -> None:
    with pytest.raises(ValueError, match="`learning_rate` to be above 0 but got nan"):
        make(training={"learning_rate": math.nan})
    with pytest.raises(ValueError, match=r"`cell` .* has no \['chanels'\]"):
        make(chanels=4)


def test_a_space_without_a_supernet() -> None:
    space = CustomSpace({"a": CellSpace().distributions["edge_0_1"]}, name="mine")
    with pytest.raises(ValueError, match="`space` to be .* a kit, .* but got one of 'mine'"):
        SupernetSearch(space, Classification(10), input_shape=(1, 8, 8))


@pytest.mark.gpu
@pytest.mark.parametrize("relaxation", ["fairnas", "gdas", "darts"])
def test_on_a_gpu(relaxation: str, data: dict[str, list[Any]]) -> None:
    search = make(relaxation, device="cuda")
    losses = train(search, data)
    assert losses[-1] < losses[0]
    assert 0 <= search.evaluate(data["val"], n_paths=6) <= 1
