"""One table of search spaces, over which the invariants run, and an independent enumeration."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from functools import cache
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from optuna_nas import Architecture
from optuna_nas import CellSpace
from optuna_nas import ChainSpace
from optuna_nas import CustomSpace
from optuna_nas import DartsSpace
from optuna_nas import MobileSpace
from optuna_nas import SearchSpace
from optuna_nas.spaces import MobileStage


Params = Mapping[str, Any]


# Conditions are functions of this module, so that the spaces pickle.


def _two_blocks(params: Params) -> bool:
    return bool(params["blocks"] >= 2)


def _three_blocks(params: Params) -> bool:
    return bool(params["blocks"] >= 3)


def _uses_attention(params: Params) -> bool:
    return params["kind"] == "attention"


def _many_heads(params: Params) -> bool:
    return bool(params["heads"] > 2)  # Inactive without attention: a lookup of nothing.


def _has_heads(params: Params) -> bool:
    return "heads" in params


def _no_heads(params: Params) -> bool:
    return params.get("heads") is None


def _few(params: Params) -> bool:
    return len(params) < 4


SPACES: dict[str, SearchSpace] = {
    "chain": ChainSpace(),
    "chain-small": ChainSpace(
        max_depth=2,
        filters=(4, 8),
        kernel_sizes=(3,),
        max_dense_depth=1,
        units=(8,),
    ),
    "chain-no-dense": ChainSpace(
        max_depth=1, filters=(4,), poolings=("avg",), pool_sizes=(2, 3), max_dense_depth=0
    ),
    "chain-large": ChainSpace(max_depth=17),
    "cell": CellSpace(),
    "cell-3-nodes": CellSpace(n_nodes=3),
    "cell-operations": CellSpace(n_nodes=3, operations=("sep-conv_3x3", "v1.5", "skip_connect")),
    "custom-conditional-ints": CustomSpace(
        {
            "blocks": IntDistribution(1, 3),
            "width_1": IntDistribution(8, 32, step=8),
            "width_2": IntDistribution(8, 24, step=8),
            "width_3": IntDistribution(8, 16, step=8),
        },
        active_if={"width_2": _two_blocks, "width_3": _three_blocks},
    ),
    "custom-categorical": CustomSpace(
        {
            "activation": CategoricalDistribution(("relu", "gelu", "1", "None")),
            "expansion": CategoricalDistribution((1, 4, 6)),
            "dropout": CategoricalDistribution((0.0, 1e-05, 0.5)),
            "mixed": CategoricalDistribution(("auto", 2, 2.5, True)),
            "residual": CategoricalDistribution((True, False)),
        }
    ),
    "custom-numerical": CustomSpace(
        {
            "channels": IntDistribution(1, 12, log=True),
            "offset": IntDistribution(-3, 3, step=2),
            "rate": FloatDistribution(0.0, 1.0, step=0.1),
            "shift": FloatDistribution(-0.3, 0.3, step=0.2),
            "only": IntDistribution(7, 7),
            "small": FloatDistribution(0.0, 2e-9, step=1e-9),
        }
    ),
    "custom-wide": CustomSpace(
        {"channels": IntDistribution(0, 2**22 - 1), "size": FloatDistribution(0, 1e3, step=0.1)}
    ),
    "custom-quoting": CustomSpace(
        {
            "a,b=c": CategoricalDistribution(("x,y", "x=y", "", " ")),
            " spaces ": CategoricalDistribution(("%2C", "%", "+")),
            "größe 層": CategoricalDistribution(("groß", "日本", "\n", "\\'\"")),
            "": IntDistribution(0, 1),
        },
        name="name, with = all",
    ),
    "custom-nested": CustomSpace(
        {
            "kind": CategoricalDistribution(("conv", "attention")),
            "heads": CategoricalDistribution((1, 2, 4)),
            "head_size": IntDistribution(16, 64, step=16),
            "kernel": CategoricalDistribution((3, 5)),
            "bias": CategoricalDistribution((True, False)),
            "extra": IntDistribution(0, 2),
        },
        active_if={
            "heads": _uses_attention,
            "head_size": _many_heads,
            "kernel": _no_heads,
            "bias": _has_heads,
            "extra": _few,
        },
    ),
    "custom-graph-names": CustomSpace(
        {name: IntDistribution(0, 1) for name in ("output", "input", "operation", "0")}
    ),
    "custom-empty": CustomSpace({}),
    "darts": DartsSpace(),
    "darts-nasnet": DartsSpace.nasnet(),
    "darts-1-node": DartsSpace(n_nodes=1, operations=("none", "skip_connect", "sep_conv_3x3")),
    "darts-2-nodes": DartsSpace(
        n_nodes=2, operations=("skip_connect",), distinct=False, concat="loose"
    ),
    "mobile": MobileSpace(),
    "mobile-tiny": MobileSpace(
        [
            MobileStage(depths=(1, 2), widths=(8,), expansions=(1, 2.5), kernels=(3,)),
            MobileStage(
                depths=(2, 3),
                widths=(8, 12),
                strides=(2, 1),
                kernels=(5,),
                expansions=(2,),
                se_ratios=(0.5, 0),
                skip=True,
            ),
        ],
        styles=("fbnet",),
    ),
    "mobile-scaled": MobileSpace(
        [MobileStage(depths=(1, 3), widths=(8, 16), activations=("swish", "relu6"), skip=True)],
        styles=("efficientnet", "mobilenet_v3"),
        stem_widths=(8, 12),
        stem_strides=(1, 2),
        head_widths=(32, 64),
        resolutions=(16, 24),
        width_coefficients=(1.0, 1.25, 2),
        depth_coefficients=(0.5, 1.0, 1.6),
    ),
}
"""Search spaces by name."""

_CHAIN = SPACES["chain"]
SPACES |= {
    "frozen-chain": _CHAIN.freeze({"depth": 2, "layer_2_type": "pool", "layer_3_type": "conv"}),
    "frozen-cell": SPACES["cell"].freeze({"edge_0_1": "none"}).freeze({"edge_1_3": "none"}),
    "frozen-numerical": SPACES["custom-numerical"].freeze(
        {"channels": 3, "offset": -1, "rate": 0.1 + 0.2, "shift": 0.1}
    ),
    "frozen-nested": SPACES["custom-nested"].freeze({"kind": "attention", "heads": 4}),
    "frozen-darts": SPACES["darts-1-node"].freeze({"normal_2_op_1": "none"}),
    "refined-chain": _CHAIN.refine(
        _CHAIN.from_string("C8k5-Savg2-C-O"), ["depth", "layer_[12]_*", "dense_depth"]
    ),
    "refined-mobile": SPACES["mobile"].refine(
        SPACES["mobile"].complete({}), ["stage_*_depth", "stage_3_block_?_kernel"]
    ),
    "refined-to-one": _CHAIN.refine(_CHAIN.from_string("C-S"), []),
}

SMALL = [name for name, space in SPACES.items() if space.size <= 3000]
"""Names of the spaces that can be enumerated in no time."""

EXAMPLES = settings(max_examples=25, deadline=None, derandomize=True)
"""Settings of the tests that draw architectures."""

SEEDS = st.integers(0, 2**32 - 1)


def draw(space: SearchSpace, seed: int) -> Architecture:
    """Return a random architecture."""
    return space.sample(np.random.default_rng(seed))


@cache
def choices(distribution: BaseDistribution) -> Sequence[Any]:
    """List the choices of a distribution, independently of the package."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    if isinstance(distribution, IntDistribution):
        return range(distribution.low, distribution.high + 1, distribution.step)
    assert isinstance(distribution, FloatDistribution)
    assert distribution.step is not None
    n = round((distribution.high - distribution.low) / distribution.step) + 1
    return [round(distribution.low + i * distribution.step, 12) for i in range(n)]


def enumerate_params(space: SearchSpace) -> list[dict[str, Any]]:
    """List the parameters of all architectures by plain recursion over the decisions."""

    def extend(names: list[str], params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if not names:
            yield params
        elif not space.is_active(names[0], params):
            yield from extend(names[1:], params)
        else:
            for choice in choices(space.distributions[names[0]]):
                yield from extend(names[1:], {**params, names[0]: choice})

    return list(extend(list(space.distributions), {}))
