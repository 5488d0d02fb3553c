"""Cost metrics against hand counts, and that measuring leaves the network as it was."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from lightning_modules import build_cell_backbone
from lightning_modules import build_chain_backbone
from lightning_modules import Classification
from lightning_modules import count_macs
from lightning_modules import count_params
from lightning_modules import measure_latency_ms
from lightning_modules import measure_throughput
from optuna_nas import CellSpace
from optuna_nas import ChainSpace


TASK = Classification(10)
ALL_CONV_3X3 = (
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
    "+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
)
ALL_NONE = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"


@pytest.mark.parametrize(
    ("layer", "input_shape", "params", "macs"),
    [
        (nn.Conv2d(3, 8, 3, padding=1, bias=False), (3, 6, 5), 9 * 3 * 8, 9 * 3 * 8 * 30),
        (nn.Conv2d(3, 8, 3), (3, 6, 5), 9 * 3 * 8 + 8, 9 * 3 * 8 * 4 * 3),
        (nn.Conv2d(4, 8, 1, stride=2, groups=2), (4, 6, 6), 2 * 8 + 8, 2 * 8 * 9),
        (nn.Linear(7, 5), (7,), 7 * 5 + 5, 7 * 5),
        (nn.BatchNorm2d(6), (6, 4, 4), 12, 0),
        (nn.AvgPool2d(2), (6, 4, 4), 0, 0),
    ],
)
def test_layers_by_hand(
    layer: nn.Module, input_shape: tuple[int, ...], params: int, macs: int
) -> None:
    assert count_params(layer) == params
    assert count_macs(layer, input_shape) == macs


def test_attention_by_hand() -> None:
    length, width, hidden = 5, 16, 32
    layer = nn.TransformerEncoderLayer(width, 2, hidden, batch_first=True)
    projections = length * width * 3 * width + length * width * width
    attention = 2 * length * length * width
    feed_forward = 2 * length * width * hidden
    assert count_macs(layer, (length, width)) == projections + attention + feed_forward


def test_chain_by_hand() -> None:
    chain = ChainSpace().from_string("C8k3-Smax2-C16k5-O32")
    network = TASK.network(build_chain_backbone(chain, input_shape=(1, 9, 9)))
    convolutions = 9 * 8 * 81 + 25 * 8 * 16 * 25
    assert count_macs(network, (1, 9, 9)) == convolutions + 16 * 25 * 32 + 32 * 10
    params = (9 * 8 + 16) + (25 * 8 * 16 + 32) + (16 * 25 * 32 + 32) + (32 * 10 + 10)
    assert count_params(network) == params


@pytest.mark.parametrize(("text", "macs"), [(ALL_CONV_3X3, 220_119_690), (ALL_NONE, 7_783_050)])
def test_published_flops(text: str, macs: int) -> None:
    cell = CellSpace().from_string(text)
    network = TASK.network(build_cell_backbone(cell, input_shape=(3, 32, 32)))
    assert count_macs(network, (3, 32, 32)) == macs - 10  # They add the classifier's biases.


def test_networks_on_the_meta_device_are_counted() -> None:
    with torch.device("meta"):
        layer = nn.Linear(3, 4)
    assert count_macs(layer, (3,)) == 12
    assert count_params(layer) == 16


def test_shared_weights_count_once() -> None:
    layer = nn.Linear(3, 3)
    assert count_params(nn.Sequential(layer, layer)) == 12
    assert count_macs(nn.Sequential(layer, layer), (3,)) == 18


def test_network_and_random_state_are_left_as_found() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2).eval(), nn.Dropout(0.5), nn.BatchNorm2d(2)
    )
    modes = [module.training for module in network.modules()]
    state = copy.deepcopy(network.state_dict())
    random_state = torch.get_rng_state()
    threads = torch.get_num_threads()
    count_macs(network, (1, 5, 5))
    measure_latency_ms(network, (1, 5, 5), threads=1, min_run_time=0.001)
    assert [module.training for module in network.modules()] == modes
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, state[name])
    assert torch.equal(torch.get_rng_state(), random_state)
    assert torch.get_num_threads() == threads
    assert torch.backends.mha.get_fastpath_enabled()


def test_modes_are_put_back_after_an_error() -> None:
    network = nn.Linear(3, 4)
    with pytest.raises(RuntimeError):
        count_macs(network, (5,))
    assert network.training
    assert torch.backends.mha.get_fastpath_enabled()


def test_latency_grows_with_the_network() -> None:
    cell = CellSpace().from_string(ALL_CONV_3X3)
    small, large = (
        build_cell_backbone(cell, input_shape=(3, 16, 16), channels=channels, cells_per_stage=n)
        for channels, n in [(4, 1), (16, 4)]
    )
    times = [
        measure_latency_ms(network, (3, 16, 16), threads=1, min_run_time=0.02)
        for network in (small, large)
    ]
    assert 0 < 1.5 * times[0] < times[1]


def test_throughput_is_samples_per_second() -> None:
    network = nn.Linear(64, 64)
    one = measure_throughput(network, (64,), batch_size=1, threads=1, min_run_time=0.02)
    many = measure_throughput(network, (64,), batch_size=64, threads=1, min_run_time=0.02)
    assert 0 < one < many


@pytest.mark.parametrize(
    ("argument", "value"), [("batch_size", 0), ("threads", 0), ("min_run_time", 0.0)]
)
def test_arguments_out_of_range(argument: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"`{argument}` to be .* but got {value}"):
        measure_latency_ms(nn.Linear(3, 4), (3,), **{argument: value})  # type: ignore[arg-type]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_latency_on_a_gpu() -> None:
    network = nn.Linear(8, 8).cuda()
    assert measure_latency_ms(network, (8,)) > 0
    assert network.weight.is_cuda
