"""Settings for all tests: quiet Optuna, one thread per process, interrupts that arrive."""

import os
import signal

import optuna
import pytest


# Before torch is imported anywhere: several threads on few cores are slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's background jobs, and all that they start, ignore it, and the tests interrupt processes.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _quiet_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests marked ``gpu`` where there is no GPU."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
