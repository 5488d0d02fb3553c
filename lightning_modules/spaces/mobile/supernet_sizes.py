"""The largest sizes in a mobile space: those of the weights that a supernet holds."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Any

from optuna_nas.spaces import mobile_plan
from optuna_nas.spaces import MobileBlock
from optuna_nas.spaces import MobilePlan
from optuna_nas.spaces import scaled_depth
from optuna_nas.spaces.mobile import round_width


Candidates = Mapping[str, Sequence[Any]]
"""The choices of each decision of a mobile space."""


@lru_cache(maxsize=4096)
def sizes_of_block(style: str, channels: int, expansion: float, ratio: float) -> MobileBlock:
    """Return a block from ``channels`` channels, of which the hidden sizes matter alone.

    Args:
        style: Of :data:`~optuna_nas.spaces.MOBILE_STYLES`.
        channels: Channels of the block's input.
        expansion: As the decision of this name.
        ratio: Of the squeeze-and-excitation, 0 for none.
    """
    return mobile_plan(
        {
            "style": style,
            "stem_width": channels,
            "stem_stride": 1,
            "stage_1_depth": 1,
            "stage_1_width": channels,
            "stage_1_stride": 1,
            "stage_1_block_1_kernel": 3,
            "stage_1_block_1_expansion": expansion,
            "stage_1_block_1_se": ratio,
            "stage_1_block_1_activation": "relu",
            "head_width": 8,
        }
    ).blocks[0]


def sources(depth: int, coefficient: float) -> list[int]:
    """Return, for each block of a stage in order, the number of the block that decides on it.

    Example:

        >>> sources(2, 1.6)
        [1, 2, 2, 2]
    """
    return [min(n, depth) for n in range(1, scaled_depth(depth, coefficient) + 1)]


def count_stages(candidates: Candidates) -> int:
    """Return the number of stages."""
    return sum(name.startswith("stage_") and name.endswith("_depth") for name in candidates)


def largest_plan(candidates: Candidates) -> MobilePlan:
    """Return the sizes of which all members of a space take a part.

    Its blocks are those of the deepest stages, each as large as any of its candidates at any width
    of its input; a member that has a layer finds it there. Strides and style are any of them.
    """
    coefficients = candidates.get("width_coefficient", (1,))

    def widths(name: str) -> set[int]:
        return {round_width(w, float(c)) for w, c in product(candidates[name], coefficients)}

    stem = channels = widths("stem_width")
    blocks: list[MobileBlock] = []
    for stage in range(1, count_stages(candidates) + 1):
        own = widths(f"stage_{stage}_width")
        for number, deciding in enumerate(_all_sources(candidates, stage), start=1):
            decisions = [f"stage_{stage}_block_{source}" for source in deciding]
            name = f"stage_{stage}_block_{number}"
            blocks.append(_largest_block(candidates, name, decisions, channels, own))
            channels = own
    head, styles = max(widths("head_width")), candidates["style"]
    convs = [6 * max(channels) if style == "mobilenet_v3" else head for style in styles]
    return MobilePlan(
        style=styles[0],
        resolution=None,
        stem_width=max(stem),
        stem_stride=1,
        blocks=tuple(blocks),
        head_conv=max(convs),
        head_linear=head if "mobilenet_v3" in styles else 0,
    )


def _all_sources(candidates: Candidates, stage: int) -> list[set[int]]:
    """Return, for each block of the deepest stage, the blocks that may decide on it."""
    found: list[set[int]] = []
    for depth in candidates[f"stage_{stage}_depth"]:
        for coefficient in candidates.get("depth_coefficient", (1,)):
            for i, source in enumerate(sources(depth, float(coefficient))):
                if i == len(found):
                    found.append(set())
                found[i].add(source)
    return found


def _largest_block(
    candidates: Candidates,
    name: str,
    decisions: Sequence[str],
    channels: Iterable[int],
    widths: Iterable[int],
) -> MobileBlock:
    """Return a block as large as each of the candidates of some decisions."""

    def of(part: str) -> list[Any]:
        return [choice for block in decisions for choice in candidates[f"{block}_{part}"]]

    found = [
        sizes_of_block(*factors)
        for factors in product(candidates["style"], channels, set(of("expansion")), set(of("se")))
    ]
    return MobileBlock(
        name=name,
        channels_in=max(channels),
        channels_out=max(widths),
        stride=1,
        kernel=max(of("kernel")),
        hidden=max(block.hidden for block in found),
        expands=any(block.expands for block in found),
        squeeze=max(block.squeeze for block in found),
        activation="relu",
    )
