from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution
import pytest

from lightning_modules.spaces.cell import CellSupernet
from lightning_modules.supernet import build_supernet
from lightning_modules.supernet import is_collapsed
from lightning_modules.supernet._collapse import cell_operations
from lightning_modules.tasks import Classification
from optuna_nas import CellSpace
from optuna_nas import CustomSpace
from optuna_nas import DartsSpace
from optuna_nas.spaces import DARTS_V2


SIZES = {"input_shape": (1, 6, 6), "channels": 4}


@pytest.fixture(scope="module")
def cells() -> CellSupernet:
    return CellSupernet(CellSpace(), Classification(2), **SIZES, cells_per_stage=1, stages=1)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        # The best cell of NAS-Bench-201 on CIFAR-10, and the one that DARTS finds there.
        (
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
            "+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
            None,
        ),
        (
            "|skip_connect~0|+|skip_connect~0|skip_connect~1|"
            "+|skip_connect~0|skip_connect~1|skip_connect~2|",
            "6 of 6 operations are `skip_connect`",
        ),
        (
            "|skip_connect~0|+|skip_connect~0|skip_connect~1|"
            "+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
            "4 of 6 operations are `skip_connect`",
        ),
        (
            "|skip_connect~0|+|skip_connect~0|skip_connect~1|"
            "+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
            None,
        ),
        (
            "|none~0|+|none~0|none~1|+|skip_connect~0|avg_pool_3x3~1|avg_pool_3x3~2|",
            "no operation on the way to the output has weights",
        ),
        # The convolution leads to a node that leads nowhere.
        (
            "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|avg_pool_3x3~2|",
            "no operation on the way to the output has weights",
        ),
        ("|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|", None),
    ],
)
def test_cells(cells: CellSupernet, cell: str, expected: str | None) -> None:
    assert is_collapsed(cells, cells.space.from_string(cell)) == expected


def test_published_cells_of_darts_are_not_collapsed() -> None:
    space = DartsSpace()
    supernet = build_supernet(space, Classification(2), **SIZES)
    architecture = space.from_string(DARTS_V2)
    assert is_collapsed(supernet, architecture) is None
    counted = cell_operations(space, architecture)
    assert {cell: len(operations) for cell, operations in counted.items()} == {
        "normal": 8,
        "reduce": 8,
    }
    for cell, text in zip(counted, DARTS_V2.split("reduce="), strict=True):
        assert counted[cell].count("skip_connect") == text.count("skip_connect")


def test_darts_of_skips_and_of_pools() -> None:
    space = DartsSpace(n_nodes=2)
    supernet = build_supernet(space, Classification(2), **SIZES)
    skips = space.complete({n: "skip_connect" for n in space.distributions if "op" in n})
    assert is_collapsed(supernet, skips) == "8 of 8 operations are `skip_connect`"
    pools = space.complete({n: "max_pool_3x3" for n in space.distributions if "op" in n})
    assert is_collapsed(supernet, pools) == "no operation on the way to the output has weights"


def test_other_decisions_are_no_operations() -> None:
    space = CustomSpace(
        {"depth": IntDistribution(1, 3), "kind": CategoricalDistribution(("a", "b"))}
    )
    assert cell_operations(space, space.architecture({"depth": 2, "kind": "a"})) == {}
