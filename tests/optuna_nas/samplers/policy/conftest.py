"""Tests that run for every controller."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from optuna_nas.samplers.policy import ControllerSampler
from tests.optuna_nas.samplers.policy.controllers import CONTROLLERS


@pytest.fixture(params=list(CONTROLLERS))
def make(request: pytest.FixtureRequest) -> Callable[..., ControllerSampler]:
    """One controller after the other."""
    return CONTROLLERS[request.param]
