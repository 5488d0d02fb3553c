"""The summands of a mobile network's latency: stem, blocks, last layers and head."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from functools import partial
from typing import Any

from optuna.distributions import BaseDistribution
from torch import nn

from lightning_modules.backbone import check_input_shape
from lightning_modules.costs.latency_terms import Factor
from lightning_modules.costs.latency_terms import Factors
from lightning_modules.costs.latency_terms import FactorValues
from lightning_modules.costs.latency_terms import head_term
from lightning_modules.costs.latency_terms import Operation
from lightning_modules.costs.latency_terms import operation
from lightning_modules.costs.latency_terms import shrink
from lightning_modules.costs.latency_terms import Size
from lightning_modules.costs.latency_terms import Term
from lightning_modules.spaces.mobile.network import InvertedBottleneck
from lightning_modules.spaces.mobile.network import MobileBackbone
from lightning_modules.tasks import Task
from optuna_nas.spaces import mobile_plan
from optuna_nas.spaces import MobileBlock
from optuna_nas.spaces import MobilePlan
from optuna_nas.spaces import scaled_depth
from optuna_nas.spaces.mobile._plan import round_width


_PARTS = ("kernel", "expansion", "se", "activation")


def latency_terms(
    distributions: Mapping[str, BaseDistribution],
    *,
    input_shape: tuple[int, int, int],
    task: Task,
    dropout: float = 0.0,
) -> list[Term]:
    """Return the summands; dropout costs nothing in evaluation mode.

    Args:
        distributions: Of a :class:`~optuna_nas.MobileSpace`.
        input_shape: (channels, height, width) of an image.
        task: It brings the head.
        dropout: As of :class:`~lightning_modules.MobileBackbone`.

    Raises:
        ValueError: If a number is out of range.
    """
    check_input_shape(input_shape)
    common: Factors = {"style": "style"}
    if "width_coefficient" in distributions:
        common["coefficient"] = "width_coefficient"
    resized = ["resolution"] if "resolution" in distributions else []
    factors: Factors = {**common, "width": "stem_width", "stride": "stem_stride"}
    factors |= {name: name for name in resized}
    terms = [Term("stem", factors, partial(_stem, input_shape))]
    size: Factor = Factor(("stem_stride", *resized), partial(_stem_size, input_shape[1:]))
    width = "stem_width"
    stage = 1
    while f"stage_{stage}_depth" in distributions:
        after = Factor((size, f"stage_{stage}_stride"), shrink)
        first: Factors = {
            "width": f"stage_{stage}_width",
            "channels": width,
            "stride": f"stage_{stage}_stride",
            "size": size,
        }
        later: Factors = {"width": f"stage_{stage}_width", "size": after}
        terms += _stage_terms(distributions, stage, common | first, common | later)
        width, size = f"stage_{stage}_width", after
        stage += 1
    factors = {**common, "channels": width, "size": size, "head_width": "head_width"}
    terms.append(Term("last", factors, partial(_last, dropout)))
    coefficient = ["width_coefficient"] if "coefficient" in common else []
    return [*terms, head_term(task, Factor(("head_width", *coefficient), _n_features))]


def _stage_terms(
    distributions: Mapping[str, BaseDistribution],
    stage: int,
    first: Factors,
    later: Factors,
) -> Iterator[Term]:
    """Yield a term for each block and each decision's block that compound scaling makes of it."""
    outcomes = FactorValues(distributions)
    depths = outcomes.values(f"stage_{stage}_depth")
    coefficient = ["depth_coefficient"] if "depth_coefficient" in distributions else []
    coefficients = outcomes.values("depth_coefficient") if coefficient else [1]
    for number in range(1, scaled_depth(max(depths), max(coefficients)) + 1):
        for source in range(1, min(number, max(depths)) + 1):
            there = Factor(
                (f"stage_{stage}_depth", *coefficient), partial(_is_there, number, source)
            )
            if not any(outcomes.values(there)):
                continue
            block = f"stage_{stage}_block_{source}"
            factors: Factors = {"there": there, **(first if number == 1 else later)}
            factors |= {part: f"{block}_{part}" for part in _PARTS}
            if f"{block}_type" in distributions:
                factors["used"] = Factor((f"{block}_type",), _is_used)
            yield Term(f"stage_{stage}_block_{number}", factors, _block)


def _is_there(number: int, source: int, depth: int, coefficient: float = 1) -> bool:
    """Tell whether block ``number`` is there and made of the decisions of block ``source``."""
    return number <= scaled_depth(depth, coefficient) and min(number, depth) == source


def _is_used(kind: str | None) -> bool:
    return kind == "mbconv"


def _stem_size(size: Size, stride: int, resolution: int | None = None) -> Size:
    return shrink(size if resolution is None else (resolution, resolution), stride)


def _plan(style: str, channels: int, coefficient: float, **decisions: Any) -> MobilePlan:
    """Return the sizes of a network with the given decisions and nothing else."""
    smallest = {"stem_width": channels, "stem_stride": 1, "head_width": 8}
    scaling = {"style": style, "width_coefficient": coefficient}
    return mobile_plan({**smallest, **scaling, **decisions})


def _stem(
    input_shape: tuple[int, int, int],
    *,
    style: str,
    width: int,
    stride: int,
    resolution: int | None = None,
    coefficient: float = 1,
) -> Operation:
    plan = _plan(style, width, coefficient, stem_stride=stride, resolution=resolution)
    kind = f"stem {plan.stem_width} s{stride} {plan.activation}"
    if resolution is not None:
        kind += f" resized to {resolution}"
    return operation(kind, partial(_make_stem, plan, input_shape), *input_shape)


def _block(
    *,
    there: bool,
    style: str,
    width: int,
    size: Size,
    kernel: int,
    expansion: float,
    se: float,
    activation: str,
    channels: int | None = None,
    stride: int = 1,
    coefficient: float = 1,
    used: bool = True,
) -> Operation | None:
    """Return one block; without ``channels`` its input is as wide as its output."""
    if not there or not used:
        return None
    parts = {"kernel": kernel, "expansion": expansion, "se": se, "activation": activation}
    decisions = {f"stage_1_block_1_{part}": value for part, value in parts.items()}
    stage = {"stage_1_depth": 1, "stage_1_width": width, "stage_1_stride": stride}
    channels = width if channels is None else channels
    (block,) = _plan(style, channels, coefficient, **stage, **decisions).blocks
    make = partial(InvertedBottleneck, block, style)
    return operation(_name(block, style), make, block.channels_in, *size)


def _name(block: MobileBlock, style: str) -> str:
    hidden = f"{block.hidden}x" if block.expands else block.hidden
    name = f"mbconv {block.channels_in}-{hidden}-{block.channels_out}"
    name += f" k{block.kernel} s{block.stride} {block.activation}"
    if not block.squeeze:
        return name
    return f"{name} se{block.squeeze}{' swish' if style == 'efficientnet' else ''}"


def _last(
    dropout: float,
    *,
    style: str,
    channels: int,
    size: Size,
    head_width: int,
    coefficient: float = 1,
) -> Operation:
    plan = _plan(style, channels, coefficient, head_width=head_width)
    widths: Sequence[int] = (plan.stem_width, plan.head_conv, plan.head_linear)
    kind = f"last {'-'.join(str(width) for width in widths if width)} {plan.activation}"
    return operation(kind, partial(_make_last, plan, dropout), plan.stem_width, *size)


def _n_features(head_width: int, coefficient: float = 1) -> int:
    return round_width(head_width, coefficient)


def _make_stem(plan: MobilePlan, input_shape: tuple[int, int, int]) -> nn.Module:
    backbone = MobileBackbone(plan, input_shape=input_shape)
    return nn.Sequential(backbone.resize, backbone.stem)


def _make_last(plan: MobilePlan, dropout: float) -> nn.Module:
    return MobileBackbone(plan, input_shape=(1, 1, 1), dropout=dropout).last
