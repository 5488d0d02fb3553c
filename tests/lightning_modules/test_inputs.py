"""Inputs of networks: shapes, tensors, tuples and dicts, on any device."""

from __future__ import annotations

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch import Tensor

from lightning_modules.inputs import device_of
from lightning_modules.inputs import Inputs
from lightning_modules.inputs import inputs_of
from lightning_modules.inputs import make_inputs


class Two(nn.Module):
    """Takes numbers and tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.layer = nn.Embedding(9, 4), nn.Linear(4, 2)

    def forward(self, numbers: Tensor, *, tokens: Tensor) -> Tensor:
        return self.layer(numbers + self.tokens(tokens).mean(1))


class Pair(nn.Module):
    """Takes a tuple and a dict."""

    def forward(self, pair: tuple[Tensor, Tensor], named: dict[str, Tensor]) -> Tensor:
        return pair[0] + pair[1] + named["bias"]


NUMBERS, TOKENS = torch.tensor([[1.0, 2, 3, 4]]), torch.tensor([[1, 5, 8]])


# Inputs.


def test_tensors_at_any_depth() -> None:
    inputs = Inputs(
        ((NUMBERS, TOKENS), {"bias": NUMBERS}, 3), {"tokens": [TOKENS], "name": "text"}
    )
    assert [id(t) for t in inputs.tensors] == [id(t) for t in (NUMBERS, TOKENS, NUMBERS, TOKENS)]
    doubled = inputs.map(lambda tensor: tensor * 2)
    assert torch.equal(doubled.args[0][1], TOKENS * 2)
    assert torch.equal(doubled.kwargs["tokens"][0], TOKENS * 2)
    assert (doubled.args[2], doubled.kwargs["name"]) == (3, "text")
    assert torch.equal(inputs.args[0][1], TOKENS)
    assert Inputs().tensors == []


def test_call() -> None:
    assert Inputs((NUMBERS,), {"tokens": TOKENS}).call(Two()).shape == (1, 2)
    pair = Inputs(((NUMBERS, NUMBERS), {"bias": NUMBERS}))
    assert torch.equal(pair.call(Pair()), 3 * NUMBERS)


# A batch of one sample.


def test_of_a_shape() -> None:
    network = nn.Linear(4, 2)
    state = torch.get_rng_state()
    inputs = make_inputs(network, (3, 4), 5)
    [tensor] = inputs.tensors
    assert (tensor.shape, tensor.dtype) == ((5, 3, 4), torch.float32)
    assert tensor.std() > 0.5
    assert torch.equal(tensor, make_inputs(network, torch.Size((3, 4)), 5).tensors[0])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
def test_of_a_shape_for_other_numbers(kind: torch.dtype) -> None:
    network = nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2)).to(kind)
    inputs = make_inputs(network, (4,), 3)
    assert inputs.tensors[0].dtype == kind
    assert inputs.call(network).dtype == kind
    buffers = nn.BatchNorm1d(4, affine=False).to(kind)
    assert make_inputs(buffers, (4,), 3).call(buffers).dtype == kind


def test_of_a_sample_of_many_tensors() -> None:
    network = Two()
    inputs = make_inputs(network, Inputs((NUMBERS,), {"tokens": TOKENS}), 6)
    assert [tuple(t.shape) for t in inputs.tensors] == [(6, 4), (6, 3)]
    assert inputs.kwargs["tokens"].dtype == torch.int64
    assert torch.equal(inputs.kwargs["tokens"], TOKENS.repeat(6, 1))
    assert all(tensor.is_contiguous() for tensor in inputs.tensors)
    assert inputs.call(network).shape == (6, 2)
    nested = make_inputs(Pair(), Inputs(((NUMBERS, NUMBERS), {"bias": NUMBERS})), 2)
    assert nested.call(Pair()).shape == (2, 4)


def test_of_a_batch_the_first_sample_is_repeated() -> None:
    many = Inputs((torch.arange(6).reshape(3, 2),))
    assert make_inputs(nn.Identity(), many, 2).args[0].tolist() == [[0, 1], [0, 1]]


@pytest.mark.parametrize("sample", [(4,), Inputs((NUMBERS,)), Inputs(((TOKENS, NUMBERS),))])
def test_on_the_meta_device(sample: Any) -> None:
    inputs = make_inputs(nn.Linear(4, 2), sample, 7, device=torch.device("meta"))
    assert {t.device.type for t in inputs.tensors} == {"meta"}
    assert {len(t) for t in inputs.tensors} == {7}
    with torch.device("meta"):
        network = nn.Linear(4, 2)
    assert {t.device.type for t in make_inputs(network, sample, 7).tensors} == {"meta"}


def test_batch_size_out_of_range() -> None:
    with pytest.raises(ValueError, match="`batch_size` to be at least 1 but got 0"):
        make_inputs(nn.Linear(4, 2), (4,), 0)


def test_device() -> None:
    assert device_of(nn.Identity()) == torch.device("cpu")
    with torch.device("meta"):
        assert device_of(nn.Linear(2, 2)).type == "meta"
        assert device_of(nn.BatchNorm1d(2, affine=False)).type == "meta"


# What a batch of a loader means to a module.


def test_pairs_begin_with_the_inputs() -> None:
    for batch in ([NUMBERS, TOKENS], (NUMBERS, TOKENS)):
        assert inputs_of(nn.Linear(4, 2), batch).args == (NUMBERS,)
    nested = inputs_of(Pair(), (((NUMBERS, NUMBERS), {"bias": NUMBERS}), TOKENS))
    assert len(nested.args) == 1  # A module gets the inputs as they are.
    assert inputs_of(nn.Linear(4, 2), NUMBERS).args == (NUMBERS,)


def test_dicts_are_taken_by_the_names_of_arguments() -> None:
    batch = {"numbers": NUMBERS, "tokens": TOKENS, "labels": TOKENS}
    inputs = inputs_of(Two(), batch)
    assert set(inputs.kwargs) == {"numbers", "tokens"}
    assert inputs.call(Two()).shape == (1, 2)


def test_dicts_of_other_modules() -> None:
    class Whole(nn.Module):
        def forward(self, x: dict[str, Tensor]) -> Tensor:
            return x["numbers"]

    class Anything(nn.Module):
        def forward(self, **kwargs: Tensor) -> Tensor:
            return kwargs["numbers"]

    class Some(nn.Module):
        def forward(self, numbers: Tensor, **kwargs: Tensor) -> Tensor:
            assert not kwargs
            return numbers

    class First(nn.Module):
        def forward(self, numbers: dict[str, Tensor], /) -> Tensor:
            return numbers["numbers"]

    batch = {"numbers": NUMBERS, "kwargs": TOKENS}
    for module in (Whole(), Anything(), Some(), First()):
        assert inputs_of(module, batch).call(module) is NUMBERS


@pytest.mark.parametrize(
    ("example", "args", "names"),
    [
        (NUMBERS, (NUMBERS,), set()),
        ((NUMBERS, TOKENS), (NUMBERS, TOKENS), set()),
        ({"numbers": NUMBERS, "tokens": TOKENS}, (), {"numbers", "tokens"}),
    ],
)
def test_example_of_lightning_comes_first(example: Any, args: Any, names: set[str]) -> None:
    module = pl.LightningModule()
    module.example_input_array = example
    inputs = inputs_of(module, [TOKENS, TOKENS])
    assert len(inputs.args) == len(args)
    assert all(one is other for one, other in zip(inputs.args, args, strict=True))
    assert set(inputs.kwargs) == names
