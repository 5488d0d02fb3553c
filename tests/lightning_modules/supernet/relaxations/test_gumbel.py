"""The temperature of relaxations with Gumbel noise."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lightning_modules.supernet.relaxations import FBNet
from lightning_modules.supernet.relaxations import Gdas
from tests.lightning_modules.supernet.relaxations.small_cells import make


@pytest.mark.parametrize("kind", [Gdas, FBNet])
@pytest.mark.parametrize("temperatures", [(0.0, 1.0), (1.0, -1.0), (math.nan, 1.0)])
def test_temperatures_are_above_zero(kind: Any, temperatures: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="`temperatures` to be above 0 but got"):
        make(kind, temperatures=temperatures)
