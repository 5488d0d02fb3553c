"""Batches of inputs, made of a shape or of one sample."""

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


class Several(nn.Module):
    """Takes tensors by position and by name."""

    def forward(self, x: Tensor, pair: tuple[Tensor, Tensor], *, scale: Tensor) -> Tensor:
        return (x + pair[0] + pair[1]) * scale


def several() -> Inputs:
    pair = (torch.ones(1, 2), torch.full((1, 2), 3.0))
    return Inputs((torch.zeros(1, 2), pair), {"scale": torch.full((1, 2), 0.5)})


# Making them.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_shape_has_the_type_of_the_network(dtype: torch.dtype) -> None:
    network = nn.Linear(3, 2).to(dtype)
    inputs = make_inputs(network, (3,), 5)
    [tensor] = inputs.tensors
    assert tensor.shape == (5, 3)
    assert tensor.dtype == dtype
    assert inputs.call(network).shape == (5, 2)


def test_a_shape_is_filled_alike_each_time_and_leaves_the_generator() -> None:
    network = nn.Linear(3, 2)
    state = torch.get_rng_state()
    first, second = (make_inputs(network, [3], 4) for _ in range(2))
    assert torch.equal(first.tensors[0], second.tensors[0])
    assert torch.equal(torch.get_rng_state(), state)
    assert first.tensors[0].std() > 0


def test_a_network_without_parameters_or_without_real_ones() -> None:
    assert make_inputs(nn.ReLU(), (3,), 2).tensors[0].dtype == torch.float32
    integers = nn.Module()
    integers.codes = nn.Parameter(torch.zeros(2, dtype=torch.int8), requires_grad=False)
    assert make_inputs(integers, (3,), 2).tensors[0].dtype == torch.float32


def test_a_sample_is_repeated_as_it_is() -> None:
    sample = torch.tensor([[1, 2, 3], [4, 5, 6]])  # Of a batch, the first sample counts.
    [tensor] = make_inputs(nn.Linear(3, 2), Inputs((sample,)), 3).tensors
    assert tensor.tolist() == [[1, 2, 3]] * 3
    assert tensor.dtype == torch.int64
    assert tensor.is_contiguous()
    doubles = Inputs((torch.ones(1, 3, dtype=torch.float64),))
    assert make_inputs(nn.Linear(3, 2), doubles, 2).tensors[0].dtype == torch.float64


def test_tensors_in_tuples_and_by_name() -> None:
    inputs = make_inputs(Several(), several(), 4)
    assert [tuple(tensor.shape) for tensor in inputs.tensors] == [(4, 2)] * 4
    assert inputs.call(Several()).tolist() == [[2.0, 2.0]] * 4


@pytest.mark.parametrize("sample", [(2,), several()])
def test_on_the_meta_device(sample: Any) -> None:
    inputs = make_inputs(nn.Linear(2, 2), sample, 10**12, device=torch.device("meta"))
    assert {tensor.device.type for tensor in inputs.tensors} == {"meta"}
    assert {tuple(tensor.shape) for tensor in inputs.tensors} == {(10**12, 2)}


def test_the_device_is_that_of_the_network() -> None:
    with torch.device("meta"):
        network = nn.Linear(2, 2)
    assert make_inputs(network, (2,), 3).tensors[0].is_meta
    assert device_of(network).type == "meta"
    assert device_of(nn.ReLU()) == torch.device("cpu")


def test_batch_size_out_of_range() -> None:
    with pytest.raises(ValueError, match="`batch_size` to be at least 1 but got 0"):
        make_inputs(nn.ReLU(), (3,), 0)


def test_map_keeps_the_form() -> None:
    doubled = several().map(lambda tensor: 2 * tensor)
    assert doubled.args[1][1].tolist() == [[6.0, 6.0]]
    assert doubled.kwargs["scale"].tolist() == [[1.0, 1.0]]
    assert isinstance(doubled.args[1], tuple)


# Finding them in a batch.


class One(nn.Module):
    def forward(self, x: Any) -> Any:
        return x


class Named(nn.Module):
    def forward(self, tokens: Any, mask: Any = None) -> Any:
        return tokens, mask


class AnyNames(nn.Module):
    def forward(self, **batch: Any) -> Any:
        return batch


class SomeNames(nn.Module):
    def forward(self, tokens: Any, **others: Any) -> Any:
        return tokens, others


def test_a_batch_of_inputs_and_targets() -> None:
    x, y = torch.zeros(2, 3), torch.zeros(2)
    for batch in [(x, y), [x, y], x]:
        assert inputs_of(One(), batch).args == (x,)
    # As a task's module gives them to the network.
    for inputs in [(x, x), {"x": x}]:
        assert inputs_of(One(), (inputs, y)).args == (inputs,)


def test_a_dict_is_given_by_name() -> None:
    batch = {"tokens": torch.zeros(2), "mask": torch.ones(2), "labels": torch.ones(2)}
    found = inputs_of(Named(), batch)
    assert found.args == ()
    assert set(found.kwargs) == {"tokens", "mask"}
    assert inputs_of(Named(), batch).call(Named())[1] is batch["mask"]
    assert set(inputs_of(AnyNames(), batch).kwargs) == set(batch)
    assert set(inputs_of(SomeNames(), batch).kwargs) == set(batch)


def test_a_dict_that_forward_takes_whole() -> None:
    batch = {"tokens": torch.zeros(2)}
    found = inputs_of(One(), batch)
    assert found.args == (batch,)
    assert found.kwargs == {}


@pytest.mark.parametrize(
    ("example", "args", "names"),
    [
        (torch.zeros(1, 3), 1, set()),
        ((torch.zeros(1, 3), torch.zeros(1)), 2, set()),
        ([torch.zeros(1, 3), torch.zeros(1)], 2, set()),
        ({"tokens": torch.zeros(1, 3)}, 0, {"tokens"}),
    ],
)
def test_the_example_of_a_module_comes_first(example: Any, args: int, names: set[str]) -> None:
    class Module(pl.LightningModule):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return args, kwargs

    module = Module()
    module.example_input_array = example
    found = inputs_of(module, "no batch at all")
    assert len(found.args) == args
    assert set(found.kwargs) == names
