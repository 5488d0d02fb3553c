"""The global random state is seeded for what is built, and left as found."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch import nn

from lightning_modules.training.random_state import evaluation
from lightning_modules.training.random_state import RandomState
from optuna_nas import Architecture
from optuna_nas import ChainSpace


CPU = torch.device("cpu")
CHAIN = ChainSpace().from_string("C-S")


def build(architecture: Architecture) -> nn.Module:
    return nn.Linear(3, 2)


def test_weights_depend_on_the_seed_alone() -> None:
    random_state = RandomState()
    found: list[Any] = []
    for seed, before in [(0, 1), (0, 2), (1, 2)]:
        torch.manual_seed(before)
        with random_state.kept(CPU):
            found.append(random_state.build(build, CHAIN, seed, CPU).weight)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.mark.parametrize("error", [None, KeyError("x")])
def test_the_state_is_put_back(error: Exception | None) -> None:
    random_state = RandomState()
    state = torch.get_rng_state()
    try:
        with random_state.kept(CPU):
            random_state.seeded(lambda: torch.rand(3), 5, CPU)
            torch.rand(3)
            if error is not None:
                raise error
    except KeyError:
        pass
    assert torch.equal(torch.get_rng_state(), state)


def test_nested_and_parallel_uses_put_it_back_at_the_end() -> None:
    random_state = RandomState()
    state = torch.get_rng_state()
    entered, leave = threading.Event(), threading.Event()

    def use() -> None:
        with random_state.kept(CPU):
            entered.set()
            leave.wait(10)

    with random_state.kept(CPU):
        with random_state.kept(CPU):
            torch.rand(1)
        assert not torch.equal(torch.get_rng_state(), state)
        thread = threading.Thread(target=use)
        thread.start()
        entered.wait(10)
    assert not torch.equal(torch.get_rng_state(), state)  # The thread is still at work.
    leave.set()
    thread.join()
    assert torch.equal(torch.get_rng_state(), state)


def test_the_state_of_gpus_is_kept_from_their_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else may be at work on the CPU before."""
    gpus = [torch.tensor([1], dtype=torch.uint8), torch.tensor([2], dtype=torch.uint8)]

    def put_back(state: torch.Tensor, index: int) -> None:
        gpus[index] = state

    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: list(gpus))
    monkeypatch.setattr(torch.cuda, "set_rng_state", put_back)
    random_state = RandomState()
    with random_state.kept(CPU), random_state.kept(torch.device("cuda", 1)):
        gpus[1] = torch.tensor([7], dtype=torch.uint8)
        with random_state.kept(torch.device("cuda", 0)):
            pass
        assert gpus[1].item() == 7
    assert [state.item() for state in gpus] == [1, 2]
    with random_state.kept(CPU):
        gpus[0] = torch.tensor([9], dtype=torch.uint8)
    assert gpus[0].item() == 9  # Not of the earlier use.


def test_an_evaluation_out_of_memory_lets_go_of_its_tensors() -> None:
    def fill() -> None:
        kept = torch.zeros(1000)
        raise torch.OutOfMemoryError(f"{len(kept)} are too many")

    with pytest.raises(torch.OutOfMemoryError) as raised, evaluation(CPU):
        fill()
    trace = raised.value.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_name != "fill":
        trace = trace.tb_next
    assert trace is not None
    assert "kept" not in trace.tb_frame.f_locals
