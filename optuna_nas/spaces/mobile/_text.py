"""The string encoding of mobile architectures: tokens of blocks and stages, and their reader."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
import re
from typing import Any

from optuna_nas.spaces.mobile._stage import blocks_of
from optuna_nas.spaces.mobile._stage import n_stages
from optuna_nas.spaces.mobile._stage import NUMBER


_HEADER = re.compile(
    rf"(?P<style>[a-z0-9_]+)(?:@(?P<resolution>{NUMBER}))?"
    rf"(?:\*w(?P<width_coefficient>{NUMBER}))?(?:\*d(?P<depth_coefficient>{NUMBER}))?"
)
_STEM = re.compile(r"stem(?P<stem_width>[0-9]{1,9})s(?P<stem_stride>[0-9])")
_HEAD = re.compile(r"head(?P<head_width>[0-9]{1,9})")
_STAGE = re.compile(r"([0-9]{1,9})s([0-9])\((.*)\)")
_BLOCK = re.compile(
    rf"k(?P<kernel>[0-9]{{1,9}})e(?P<expansion>{NUMBER})(?:se(?P<se>{NUMBER}))?"
    r"_(?P<activation>[a-z0-9]+)"
)
_EXAMPLE = "mobilenet_v3|stem16s2|16s1(k3e1_relu)|24s2(k3e4_relu,k5e3se0.25_relu)|head1280"


@dataclass
class StageText:
    """One stage as text and graph have it: width, stride, and the parts of its blocks."""

    width: Any
    stride: Any
    blocks: list[dict[str, Any]] = field(default_factory=list)


def write_block(parts: Mapping[str, Any]) -> str:
    """Write e.g. ``k5e3se0.25_relu``, or ``skip``."""
    if parts["type"] == "skip":
        return "skip"
    se = f"se{parts['se']}" if parts["se"] else ""
    return f"k{parts['kernel']}e{parts['expansion']}{se}_{parts['activation']}"


def write_header(architecture: Mapping[str, Any]) -> str:
    """Write the style and, where they are decisions, resolution and coefficients."""
    text = str(architecture["style"])
    for name, mark in [
        ("resolution", "@"),
        ("width_coefficient", "*w"),
        ("depth_coefficient", "*d"),
    ]:
        text += f"{mark}{architecture[name]}" if name in architecture else ""
    return text


def write_mobile(architecture: Mapping[str, Any]) -> str:
    """Write header, stem, stages and head, joined by ``|``."""
    parts = [
        write_header(architecture),
        f"stem{architecture['stem_width']}s{architecture['stem_stride']}",
    ]
    for stage in range(1, n_stages(architecture) + 1):
        blocks = ",".join(map(write_block, blocks_of(architecture, stage)))
        width, stride = (architecture[f"stage_{stage}_{part}"] for part in ("width", "stride"))
        parts.append(f"{width}s{stride}({blocks})")
    return "|".join([*parts, f"head{architecture['head_width']}"])


def read_mobile(text: str) -> tuple[dict[str, Any], list[StageText]]:
    """Read what :func:`write_mobile` wrote.

    Returns:
        The decisions outside the stages, and the stages.

    Raises:
        ValueError: If a part is malformed; the sentence quotes it.
    """
    parts = text.strip().split("|")
    if len(parts) < 3:
        raise ValueError(
            "Expected argument `text` to be a style, a stem, stages and a head joined by `|`, as "
            f"in {_EXAMPLE}, but got {text!r}."
        )
    outside: dict[str, Any] = {}
    for pattern, part in [(_HEADER, parts[0]), (_STEM, parts[1]), (_HEAD, parts[-1])]:
        found = _match(pattern, part).groupdict().items()
        outside |= {name: _value(value) for name, value in found if value is not None}
    stages: list[StageText] = []
    for part in parts[2:-1]:
        match = _match(_STAGE, part)
        blocks = [_read_block(token) for token in match[3].split(",")]
        stages.append(StageText(int(match[1]), int(match[2]), blocks))
    return outside, stages


def stage_params(outside: Mapping[str, Any], stages: Sequence[StageText]) -> dict[str, Any]:
    """Return the decisions of all stages after those outside of them."""
    params = dict(outside)
    for i, stage in enumerate(stages, start=1):
        params |= {
            f"stage_{i}_depth": len(stage.blocks),
            f"stage_{i}_width": stage.width,
            f"stage_{i}_stride": stage.stride,
        }
        for j, parts in enumerate(stage.blocks, start=1):
            params |= {f"stage_{i}_block_{j}_{part}": value for part, value in parts.items()}
    return params


def _read_block(token: str) -> dict[str, Any]:
    if token == "skip":
        return {"type": "skip"}
    groups = _match(_BLOCK, token).groupdict(default="0")
    return {"type": "mbconv", **{name: _value(value) for name, value in groups.items()}}


def _match(pattern: re.Pattern[str], part: str) -> re.Match[str]:
    match = pattern.fullmatch(part)
    if match is None:
        raise ValueError(
            f"Expected argument `text` to have parts as in {_EXAMPLE} but got {part!r}."
        )
    return match


def _value(text: str) -> str | int | float:
    if re.fullmatch("[0-9]+", text):
        return int(text)
    return float(text) if re.fullmatch(NUMBER, text) else text
