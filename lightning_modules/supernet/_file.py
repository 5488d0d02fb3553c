"""A trained supernet in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from lightning_modules._files import temporary_beside
from lightning_modules.registries import TASKS
from lightning_modules.spaces import Kit
from lightning_modules.supernet._build import build_supernet
from lightning_modules.supernet._supernet import Supernet
from lightning_modules.tasks import Task
from lightning_modules.tasks import task_from_dict
from lightning_modules.tasks import task_to_dict
from lightning_modules.training.checkpoint import check_digest
from lightning_modules.training.checkpoint import CheckpointError
from lightning_modules.training.checkpoint import replace_with_digest
from optuna_nas.spaces import SearchSpace


_FORMAT = 2
_KEY = "optuna_nas_supernet"


def save_supernet(supernet: Supernet, path: str | Path) -> None:
    """Write a supernet that :func:`build_supernet` made, with what it takes to build it again.

    The file is written under a temporary name and renamed, and ``<path>.sha256`` beside it holds
    its digest.

    Args:
        supernet: The supernet.
        path: The file; an existing one is replaced.
    """
    path = Path(path)
    content = {
        _KEY: _FORMAT,
        "space": supernet.space.name,
        "choices": {name: list(choices) for name, choices in supernet.choices.items()},
        "task": task_to_dict(supernet.task),
        "arguments": dict(supernet.arguments),
        "state": supernet.state_dict(),
    }
    with temporary_beside(path) as temporary:
        torch.save(content, temporary)
        replace_with_digest(temporary, path)


def load_supernet(
    path: str | Path,
    space: SearchSpace,
    *,
    task: type[Task] | None = None,
    kit: Kit | None = None,
) -> Supernet:
    """Read what :func:`save_supernet` wrote; nothing in the file is executed.

    Args:
        path: The file. If ``<path>.sha256`` is beside it, its digest is checked.
        space: The search space of the supernet.
        task: The class of its task, where it has no name.
        kit: The kit of the space; by default the one of its name.

    Returns:
        The supernet on the CPU.

    Raises:
        CheckpointError: If the file is missing, damaged, no supernet, or one of another space.
    """
    path = Path(path)
    content = _read(path)
    if content.get("space") != space.name:
        raise CheckpointError(
            f"Expected {path} to be a supernet of search space `{space.name}` but got one of "
            f"`{content.get('space')}`."
        )
    try:
        kind = None if content["task"]["name"] in TASKS else task
        found_task = task_from_dict(content["task"], kind)
        supernet = build_supernet(space, found_task, kit=kit, **content["arguments"])
        found = {name: list(choices) for name, choices in supernet.choices.items()}
        if found != content["choices"]:
            raise ValueError("it has other choices")
        supernet.load_state_dict(content["state"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"Expected {path} to be a supernet of this search space but got one that does not "
            f"fit: {str(error).splitlines()[0]}"
        ) from error
    return supernet


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CheckpointError(f"Expected {path} to be a supernet but got no such file.")
    check_digest(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # Of many kinds, as the unpickler trusts its input.
        raise CheckpointError(
            f"Expected {path} to be a readable supernet but got {type(error).__name__}."
        ) from error
    if not isinstance(content, dict) or content.get(_KEY) != _FORMAT:
        raise CheckpointError(
            f"Expected {path} to be a supernet in format {_FORMAT} but got another kind of file."
        )
    return content
