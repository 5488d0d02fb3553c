"""The candidate operations: shapes, values, and the published treatment of strides."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from lightning_modules import make_operation
from lightning_modules import OPERATIONS
from lightning_modules.spaces.cell.operations import FactorizedReduce
from lightning_modules.spaces.cell.operations import ReLUConvBN
from optuna_nas.spaces import NAS_BENCH_201_OPERATIONS


def test_all_published_operations_are_there() -> None:
    assert set(OPERATIONS) == set(NAS_BENCH_201_OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize(("channels_in", "channels_out"), [(4, 4), (3, 6)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(8, 8), (7, 5), (1, 1)])
def test_shape_and_gradient(
    name: str, channels_in: int, channels_out: int, stride: int, size: tuple[int, int]
) -> None:
    x = torch.randn(2, channels_in, *size, requires_grad=True)
    y = make_operation(name, channels_in, channels_out, stride)(x)
    height, width = -(-size[0] // stride), -(-size[1] // stride)
    assert y.shape == (2, channels_out, height, width)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_zero_and_skip_values() -> None:
    x = torch.randn(2, 4, 6, 6)
    for stride, channels in [(1, 4), (2, 4), (1, 8), (2, 8)]:
        assert not make_operation("none", 4, channels, stride)(x).any()
    assert make_operation("skip_connect", 4, 4)(x) is x


def test_convolution_is_relu_conv_norm_in_this_order() -> None:
    operation = make_operation("nor_conv_3x3", 3, 5)
    assert isinstance(operation, ReLUConvBN)
    x = torch.randn(4, 3, 6, 6)
    before = x.clone()
    expected = F.batch_norm(
        F.conv2d(x.clamp(min=0), operation.conv.weight, padding=1), None, None, training=True
    )
    torch.testing.assert_close(operation(x), expected)
    assert torch.equal(x, before)  # The input is shared by edges.


def test_pooling_does_not_count_the_padding() -> None:
    x = torch.ones(1, 2, 4, 4)
    torch.testing.assert_close(make_operation("avg_pool_3x3", 2, 2)(x), x)


def test_factorized_reduce_sees_both_grids() -> None:
    reduce = FactorizedReduce(1, 2).eval()
    with torch.no_grad():
        reduce.conv_even.weight.fill_(1)
        reduce.conv_odd.weight.fill_(1)
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    even, odd = reduce(x)[0]
    torch.testing.assert_close(even, x[0, 0, ::2, ::2], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(odd, x[0, 0, 1::2, 1::2], atol=1e-3, rtol=1e-3)


def test_affine_false_leaves_normalisation_without_weights() -> None:
    for name, stride in [("nor_conv_1x1", 1), ("skip_connect", 2), ("avg_pool_3x3", 1)]:
        operation = make_operation(name, 4, 8, stride, affine=False)
        assert all(parameter.ndim == 4 for parameter in operation.parameters())


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"operation of \['none', 'skip_connect', .* got 'conv'"):
        make_operation("conv", 4, 4)
    with pytest.raises(ValueError, match="`stride` to be 1 or 2 but got 3"):
        make_operation("none", 4, 4, 3)
    with pytest.raises(ValueError, match="`channels_out` to be at least 2 but got 1"):
        make_operation("skip_connect", 4, 1, 2)
