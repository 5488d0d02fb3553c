"""The graph encoding of mobile architectures: the attributes of its nodes, and their reader."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from optuna_nas.spaces.mobile._stage import blocks_of
from optuna_nas.spaces.mobile._stage import n_stages
from optuna_nas.spaces.mobile._text import StageText
from optuna_nas.spaces.mobile._text import write_block
from optuna_nas.spaces.mobile._text import write_header


SCALING = ("resolution", "width_coefficient", "depth_coefficient")
"""The decisions of compound scaling, in the order in which they are written."""

_STEM = ("style", *SCALING, "stem_width", "stem_stride")
_PARTS = ("type", "kernel", "expansion", "se", "activation")


def mobile_nodes(architecture: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the attributes of stem, blocks and head."""
    stem = {name: architecture[name] for name in _STEM if name in architecture}
    token = f"stem{stem['stem_width']}s{stem['stem_stride']}"
    nodes = [{"operation": f"{write_header(architecture)} {token}", **stem}]
    for i in range(1, n_stages(architecture) + 1):
        width, stride = (architecture[f"stage_{i}_{part}"] for part in ("width", "stride"))
        for j, parts in enumerate(blocks_of(architecture, i), start=1):
            token = write_block(parts)
            if j == 1:
                token = f"{width}s{stride} {token}"
            nodes.append(
                {"operation": token, "stage": i, "width": width, "stride": stride, **parts}
            )
    head = architecture["head_width"]
    return [*nodes, {"operation": f"head{head}", "head_width": head}]


def read_mobile_nodes(
    nodes: Sequence[Mapping[str, Any]],
) -> tuple[dict[str, Any], list[StageText]]:
    """Read what :func:`mobile_nodes` wrote, without a check of the values.

    Returns:
        The decisions outside the stages, and the stages.
    """
    outside = {
        name: node[name]
        for node in [*nodes[:1], *nodes[-1:]]
        for name in (*_STEM, "head_width")
        if name in node
    }
    stages: list[StageText] = []
    for node in nodes[1:-1]:
        if not stages or node.get("stage") != len(stages):
            stages.append(StageText(node.get("width"), node.get("stride")))
        stages[-1].blocks.append({part: node[part] for part in _PARTS if part in node})
    return outside, stages
