"""Stages of inverted bottlenecks: the candidates of a stage, and the decisions that they make."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
import re
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution


MOBILE_STYLES = ("fbnet", "mobilenet_v3", "efficientnet")
"""The published ways to make the parts that are not searched; see :class:`MobileSpace`."""

MOBILE_ACTIVATIONS = ("relu", "relu6", "swish", "hswish")
"""Activations of a block."""

NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
"""The numbers of the string encoding, as a regular expression."""

Condition = tuple[str, int, str | None]
"""Active if the first decision is at least the number and the second one, if any, "mbconv"."""


@dataclass(frozen=True, kw_only=True)
class MobileStage:
    """The candidates of one stage of blocks of equal width.

    Args:
        depths: Smallest and largest number of blocks, at least 1.
        widths: Output channels.
        strides: Strides of the first block, of 1 and 2.
        kernels: Odd sizes of the depthwise kernel.
        expansions: Ratios of the hidden channels to the input channels of a block.
        se_ratios: Squeeze-and-excitation ratios in [0, 1]; 0 is none.
        activations: Of :data:`MOBILE_ACTIVATIONS`.
        skip: Whether any block but the first may be skipped.

    Raises:
        ValueError: If a list is empty, repeats a candidate, or has one that is out of range.
    """

    depths: tuple[int, int]
    widths: Sequence[int]
    strides: Sequence[int] = (1,)
    kernels: Sequence[int] = (3, 5)
    expansions: Sequence[float] = (3, 6)
    se_ratios: Sequence[float] = (0,)
    activations: Sequence[str] = ("relu",)
    skip: bool = False

    def __post_init__(self) -> None:
        depths = tuple(self.depths)
        if len(depths) != 2 or not 1 <= depths[0] <= depths[1]:
            raise ValueError(
                "Expected argument `depths` to be the smallest and the largest number of blocks, "
                f"at least 1, but got {self.depths}."
            )
        check_numbers("widths", self.widths, whole=True)
        check_numbers("kernels", self.kernels, whole=True)
        check_numbers("expansions", self.expansions)
        check_numbers("se_ratios", [ratio for ratio in self.se_ratios if ratio] or [1])
        check_names("activations", self.activations, MOBILE_ACTIVATIONS)
        if not self.se_ratios or len(set(self.se_ratios)) < len(self.se_ratios):
            raise ValueError(
                f"Expected argument `se_ratios` to be different but got {self.se_ratios}."
            )
        if max(self.se_ratios) > 1:
            raise ValueError(
                f"Expected argument `se_ratios` to be in [0, 1] but got {self.se_ratios}."
            )
        if any(kernel % 2 == 0 for kernel in self.kernels):
            raise ValueError(f"Expected argument `kernels` to be odd but got {self.kernels}.")
        if tuple(self.strides) not in ((1,), (2,), (1, 2), (2, 1)):
            raise ValueError(
                f"Expected argument `strides` to be 1 or 2 or both but got {self.strides}."
            )

    def decisions(self, number: int) -> dict[str, BaseDistribution]:
        """Return the decisions of the stage, which is number ``number``, counted from 1."""
        prefix = f"stage_{number}"
        decisions: dict[str, BaseDistribution] = {
            f"{prefix}_depth": IntDistribution(*self.depths),
            f"{prefix}_width": CategoricalDistribution(tuple(self.widths)),
            f"{prefix}_stride": CategoricalDistribution(tuple(self.strides)),
        }
        parts: dict[str, Sequence[Any]] = {
            "kernel": self.kernels,
            "expansion": self.expansions,
            "se": self.se_ratios,
            "activation": self.activations,
        }
        for block in range(1, self.depths[1] + 1):
            if self.skip and block > 1:
                decisions[f"{prefix}_block_{block}_type"] = CategoricalDistribution(
                    ("mbconv", "skip")
                )
            for part, candidates in parts.items():
                decisions[f"{prefix}_block_{block}_{part}"] = CategoricalDistribution(
                    tuple(candidates)
                )
        return decisions

    def conditions(self, number: int) -> dict[str, Condition]:
        """Return when the decisions of blocks are active."""
        conditions: dict[str, Condition] = {}
        for name in self.decisions(number):
            prefix, _, rest = name.partition("_block_")
            if rest:
                block, _, part = rest.partition("_")
                kind = f"{prefix}_block_{block}_type"
                depends = self.skip and int(block) > 1 and part != "type"
                conditions[name] = (f"{prefix}_depth", int(block), kind if depends else None)
        return conditions


def check_numbers(name: str, values: Sequence[float], *, whole: bool = False) -> None:
    """Raise a ValueError unless there are different positive plain numbers."""
    kinds = int if whole else (int, float)
    valid = all(
        isinstance(value, kinds)
        and not isinstance(value, bool)
        and re.fullmatch(NUMBER, str(value))  # As the string encoding can write it.
        and value > 0
        for value in values
    )
    if not values or not valid or len(set(values)) < len(values):
        kind = "integers" if whole else "numbers"
        raise ValueError(
            f"Expected argument `{name}` to be different positive {kind} but got {values!r}."
        )


def check_names(name: str, values: Sequence[str], known: Sequence[str]) -> None:
    """Raise a ValueError unless there are different names of ``known``."""
    if (
        isinstance(values, str)
        or not values
        or len(set(values)) < len(values)
        or not set(values) <= set(known)
    ):
        raise ValueError(
            f"Expected argument `{name}` to be different names of {list(known)} "
            f"but got {values!r}."
        )


def blocks_of(architecture: Mapping[str, Any], stage: int) -> list[dict[str, Any]]:
    """Return the parts of each block of a stage; a skipped block has the ``type`` alone."""
    blocks: list[dict[str, Any]] = []
    for block in range(1, architecture[f"stage_{stage}_depth"] + 1):
        prefix = f"stage_{stage}_block_{block}"
        parts: dict[str, Any] = {"type": architecture.get(f"{prefix}_type", "mbconv")}
        if parts["type"] == "mbconv":
            for part in ("kernel", "expansion", "se", "activation"):
                parts[part] = architecture[f"{prefix}_{part}"]
        blocks.append(parts)
    return blocks


def n_stages(architecture: Mapping[str, Any]) -> int:
    """Return the number of stages."""
    stage = 0
    while f"stage_{stage + 1}_depth" in architecture:
        stage += 1
    return stage
