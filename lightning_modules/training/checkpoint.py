"""The checkpoint of a finished model: one file with all that is needed to predict with it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
import functools
import hashlib
import io
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from lightning_modules._files import plain
from lightning_modules._files import temporary_beside
from lightning_modules.backbone import Build
from lightning_modules.spaces import as_kit
from lightning_modules.spaces import Kit
from lightning_modules.spaces import KitBuild
from lightning_modules.spaces import SPACES
from lightning_modules.tasks import BuildWithHead
from lightning_modules.tasks import Task
from lightning_modules.tasks import task_from_dict
from lightning_modules.tasks import task_to_dict
from lightning_modules.tasks import TASKS
from lightning_modules.training._checkpoint_checks import check_description
from lightning_modules.training._checkpoint_checks import check_weights
from lightning_modules.training.finished import FinishedModel
from lightning_modules.training.learner import Learner
from lightning_modules.training.learner import MakeModule
from optuna_nas import Architecture


DESCRIPTION = "optuna_nas"
"""Key of the description of a :class:`FinishedModel` in the checkpoint's dict."""
_FORMAT = 3
_PREFIX = "network."


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message says which and why."""


def describe_build(build: Build) -> dict[str, Any]:
    """Return the ``network_info`` of what makes the backbones of a known kit, else ``{}``.

    Args:
        build: What a kit's ``builder`` returned, or a partial of its backbone.
    """
    if isinstance(build, BuildWithHead):
        build = build.build
    if isinstance(build, KitBuild):
        build = functools.partial(build.backbone, **build.arguments)
    if not isinstance(build, functools.partial) or build.args:
        return {}
    names: list[str] = []
    for name in SPACES:
        with suppress(ValueError):  # Of another package, which cannot be imported.
            if as_kit(name).backbone is build.func:
                names.append(name)
    if not names:
        return {}
    # A space before its variations, which share its backbone.
    space = min(names, key=lambda name: as_kit(name).make_space().name != name)
    return {"space": space, "arguments": plain(build.keywords)}


def save_checkpoint(trainer: pl.Trainer, model: FinishedModel, path: Path) -> None:
    """Write the trainer's module and the description of ``model`` into one file.

    It is a Lightning checkpoint without optimizer. The file is written under a temporary name and
    renamed, and ``<path>.sha256`` beside it holds its digest in the form of ``sha256sum``.

    Args:
        trainer: A trainer whose module holds the network of ``model``.
        model: What to describe.
        path: The file to write; an existing one is replaced.
    """
    with temporary_beside(path) as temporary:
        trainer.save_checkpoint(temporary, weights_only=True)
        if not trainer.is_global_zero:
            return
        content = torch.load(temporary, map_location="cpu", weights_only=False)  # Our own file.
        for key in [key for key in content if key != "state_dict"]:
            if not _is_safe(content[key]):
                del content[key]
        content[DESCRIPTION] = _describe(model)
        torch.save(content, temporary)
        replace_with_digest(temporary, path)


def load_checkpoint(
    path: str | Path,
    *,
    build: Build | None = None,
    kit: Kit | None = None,
    module: MakeModule | None = None,
    task: type[Task] | None = None,
) -> FinishedModel:
    """Read what :func:`~lightning_modules.train_final` wrote; nothing in the file is executed.

    Args:
        path: The checkpoint. If ``<path>.sha256`` is beside it, its digest is checked.
        build: Makes the backbone or network of the architecture; by default the kit of the space
            that the checkpoint names, if it is one of
            :data:`~lightning_modules.registries.SPACES`.
        kit: In the place of ``build``, the kit of a space that has no such name.
        module: The class of the user's own Lightning module, if it was trained by one.
        task: The class of its task, if it has no name of
            :data:`~lightning_modules.registries.TASKS`.

    Returns:
        The model on the CPU.

    Raises:
        CheckpointError: If the file is missing, damaged or no such checkpoint, or its
            description, network and weights do not fit together; the network is built only if
            they do.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"Expected {path} to be a checkpoint but got no such file.")
    check_digest(path)
    content, description = _read(path)
    own = any(given is not None for given in (build, kit, module, task))
    try:
        check_description(description)
        if build is None:
            build = _build_of(path, description["network"], kit)
        return _fitting(path, content, description, build, module, task, own=own)
    except CheckpointError:
        raise
    except Exception as error:  # Of many kinds, as builders trust their arguments.
        raise CheckpointError(
            f"Expected {path} to hold a network and its weights but got "
            f"{type(error).__name__}: {' '.join(str(error).split())}"
        ) from error


def _fitting(
    path: Path,
    content: Mapping[str, Any],
    description: Mapping[str, Any],
    build: Build,
    module: MakeModule | None,
    task: type[Task] | None,
    *,
    own: bool,
) -> FinishedModel:
    """Return the model whose parts fit together, or raise whatever they raise.

    Args:
        path: The checkpoint.
        content: What is in it.
        description: The description of the model.
        build: Makes the backbone or network.
        module: The class of the user's own Lightning module.
        task: The class of the user's own task.
        own: Whether code of the user's own makes a part.
    """
    architecture = Architecture.from_json(description["architecture"])
    found = None if description["task"] is None else task_from_dict(description["task"], task)
    if found is None and module is None:
        raise CheckpointError(
            f"Expected argument `module`, as the network in {path} was trained by a Lightning "
            f"module of its own ({description['module']}), but got None."
        )
    make = functools.partial(
        Learner(build, module if found is None else None, found), architecture
    )
    prefix = _PREFIX if found is not None else ""
    weights = {
        name.removeprefix(prefix): tensor
        for name, tensor in content["state_dict"].items()
        if name.startswith(prefix)
    }
    shape = (description["preprocessing"] or {}).get("input_shape")
    try:
        check_weights(
            make,
            weights,
            input_shape=shape,
            output_shape=None if found is None else found.output_shape,
        )
    except RuntimeError:
        if not own:  # Code of the user's own may need values.
            raise
    # Made once more, as buffers that are not among the weights have values now.
    network = make()
    network.load_state_dict(weights)
    return FinishedModel(
        network.eval(),
        architecture,
        found,
        description["preprocessing"],
        {name: float(value) for name, value in description["test_metrics"].items()},
        description["network"],
    )


def _describe(model: FinishedModel) -> dict[str, Any]:
    kind = type(model.network)
    return {
        "format": _FORMAT,
        "architecture": model.architecture.to_json(),
        "network": dict(model.network_info),
        "task": None if model.task is None else task_to_dict(model.task),
        "module": f"{kind.__module__}:{kind.__qualname__}" if model.task is None else None,
        "preprocessing": None if model.preprocessing is None else dict(model.preprocessing),
        "test_metrics": dict(model.test_metrics),
    }


def _is_safe(value: object) -> bool:
    """Tell whether a value can be loaded without executing code that a file names."""
    file = io.BytesIO()
    try:
        torch.save(value, file)
        file.seek(0)
        torch.load(file, weights_only=True)
    except Exception:  # Of many kinds, as a value of the user's own may do anything.
        return False
    return True


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # Of many kinds, as the unpickler trusts its input.
        raise CheckpointError(
            f"Expected {path} to be a readable checkpoint but got {type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else 'nothing'}"
        ) from error
    description = content.get(DESCRIPTION) if isinstance(content, dict) else None
    if not isinstance(description, dict) or description.get("format") != _FORMAT:
        raise CheckpointError(
            f"Expected {path} to be a checkpoint of a finished model in format {_FORMAT} but got "
            f"{'another format' if isinstance(description, dict) else 'another kind of file'}."
        )
    return content, description


def _build_of(path: Path, info: Mapping[str, Any], kit: Kit | None) -> Build:
    """Return what makes the backbone or network of a space."""
    name = str(info.get("space"))
    if kit is None and (name not in SPACES or "arguments" not in info):
        raise CheckpointError(
            f"Expected argument `build`, as the network in {path} is built by a space of its own "
            f"({dict(info)}), but got None."
        )
    return (kit or as_kit(name)).builder(**info.get("arguments", {}))


def describe_file(path: str | Path) -> dict[str, str]:
    """Return the space, module and task of a checkpoint that have to be given to load it.

    Nothing of a file that is missing, damaged or no such checkpoint.
    """
    try:
        description = _read(Path(path))[1]
        check_description(description)
    except ValueError:
        return {}
    info, task = description["network"], description["task"]
    own = {
        "space": None if str(info.get("space")) in SPACES else info.get("space"),
        "module": info.get("module") or description["module"],
        "task": None if task is None or task["name"] in TASKS else task["name"],
    }
    return {key: str(value) for key, value in own.items() if value is not None}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_path(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def replace_with_digest(temporary: Path, path: Path) -> None:
    """Rename a finished file, and write its digest beside it in the form of ``sha256sum``."""
    digest, digest_path = _digest(temporary), _digest_path(path)
    digest_path.unlink(missing_ok=True)  # Rather none for a moment than one of another file.
    temporary.replace(path)
    digest_path.write_text(f"{digest}  {path.name}\n", encoding="utf-8")


def check_digest(path: Path) -> None:
    """Raise a CheckpointError if the digest beside a file is that of another."""
    digest_path = _digest_path(path)
    if not digest_path.is_file():
        return
    words = digest_path.read_text(encoding="utf-8", errors="replace").split()
    if not words or words[0] != _digest(path):
        raise CheckpointError(
            f"Expected {path} to have the SHA-256 digest in {digest_path.name} but got another; "
            "one of the two files is damaged."
        )
