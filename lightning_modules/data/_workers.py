"""How many processes decode pictures beside the one that trains."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
import shutil

import torch


_MOST = 8
_SHARED_MEMORY = Path("/dev/shm")
_PREFETCHED = 2  # Batches that each worker has ready, PyTorch's default.


def usable_cores() -> int:
    """Return the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_workers(batch_bytes: int) -> int:
    """Return the number of workers of a loader that decodes pictures.

    On a GPU they are all cores but one, else the cores that PyTorch's threads leave, at least a
    quarter of all; never more than 8. There are none where workers cannot be: in a worker, or
    where the shared memory (64 MB in a container that is not told otherwise) is too small for the
    batches that they have ready.

    Args:
        batch_bytes: Memory of one batch.
    """
    if multiprocessing.current_process().daemon:
        return 0
    cores = usable_cores()
    if torch.cuda.is_available():
        wanted = cores - 1
    else:
        wanted = max(cores - torch.get_num_threads(), cores // 4)
    wanted = min(max(wanted, 1), _MOST)
    if _SHARED_MEMORY.is_dir():
        ready = shutil.disk_usage(_SHARED_MEMORY).free // 2 // ((_PREFETCHED + 1) * batch_bytes)
        wanted = min(wanted, ready)
    return wanted
