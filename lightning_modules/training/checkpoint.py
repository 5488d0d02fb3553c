"""The finished model: one checkpoint file that holds all that is needed to predict with it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
import functools
import hashlib
import json
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn

from lightning_modules._files import temporary_beside
from lightning_modules.spaces.builders import BUILDERS
from lightning_modules.training._checkpoint_checks import check_description
from lightning_modules.training._checkpoint_checks import check_weights
from optuna_nas import Architecture


DESCRIPTION = "optuna_nas"
"""Key of the description, see :class:`FinishedModel`, in the checkpoint's dict."""
_FORMAT = 2
_PREFIX = "network."


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message says which and why."""


@dataclass(frozen=True, eq=False)
class FinishedModel:
    """A trained network with what is needed to use and to rebuild it.

    Args:
        network: The network in evaluation mode, from normalised images (batch, \\*input_shape) to
            logits (batch, num_classes).
        architecture: The architecture.
        input_shape: (channels, height, width) of an image.
        class_names: Names of the classes in the order of the logits.
        mean: Mean of each channel, which normalisation subtracts.
        std: Standard deviation of each channel, by which normalisation divides.
        test_accuracy: Accuracy on the test split, in [0, 1].
        network_info: How to rebuild the network, in plain JSON types: for known builders, the key
            ``"builder"`` of :data:`~lightning_modules.BUILDERS` and its ``"arguments"``.
        resize: How pictures of another aspect ratio fit: ``"pad"`` or ``"crop"``.
    """

    network: nn.Module
    architecture: Architecture
    input_shape: tuple[int, int, int]
    class_names: list[str]
    mean: list[float]
    std: list[float]
    test_accuracy: float
    network_info: Mapping[str, Any] = field(default_factory=dict)
    resize: str = "pad"

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def preprocessing(self) -> dict[str, Any]:
        """How new images get their form, for :func:`~lightning_modules.data.load_images`."""
        return {
            "kind": "images",
            "input_shape": list(self.input_shape),
            "mean": list(self.mean),
            "std": list(self.std),
            "resize": self.resize,
        }

    def predict(self, images: torch.Tensor, *, batch_size: int = 256) -> torch.Tensor:
        """Return class probabilities, float32 of shape (n, num_classes).

        Args:
            images: Normalised images, float32 of shape (n, \\*input_shape), as
                :func:`~lightning_modules.data.load_images` makes them.
            batch_size: Images of a forward pass.

        Raises:
            ValueError: If ``images`` has another shape.
        """
        if tuple(images.shape[1:]) != self.input_shape:
            raise ValueError(
                f"Expected argument `images` to have shape (n, *{self.input_shape}) "
                f"but got {tuple(images.shape)}."
            )
        device = next((p.device for p in self.network.parameters()), torch.device("cpu"))
        with torch.inference_mode():
            parts = [
                torch.softmax(self.network(batch.to(device)), dim=1).cpu()
                for batch in torch.split(images, batch_size)
            ]
        return torch.cat(parts)


def describe_build(build: Callable[[Architecture], nn.Module]) -> dict[str, Any]:
    """Return the ``network_info`` of a ``functools.partial`` of a known builder, else ``{}``."""
    if isinstance(build, functools.partial) and not build.args:
        for name, builder in BUILDERS.items():
            if build.func is builder:
                arguments = dict(build.keywords)
                if "input_shape" in arguments:
                    arguments["input_shape"] = list(arguments["input_shape"])
                return {"builder": name, "arguments": arguments}
    return {}


def save_checkpoint(trainer: pl.Trainer, model: FinishedModel, path: Path) -> None:
    """Write the trainer's module and the description of ``model`` into one file.

    It is a Lightning checkpoint without optimizer. The file is written under a temporary name and
    renamed, and ``<path>.sha256`` beside it holds its digest in the form of ``sha256sum``.

    Args:
        trainer: A trainer whose module is an :class:`~lightning_modules.ImageClassifier`.
        model: What to describe.
        path: The file to write; an existing one is replaced.
    """
    with temporary_beside(path) as temporary:
        trainer.save_checkpoint(temporary, weights_only=True)
        if not trainer.is_global_zero:
            return
        content = torch.load(temporary, map_location="cpu", weights_only=False)  # Our own file.
        for key in [key for key in content if key.startswith("datamodule_")]:
            if not _is_plain(content[key]):  # It could not be loaded without executing pickles.
                del content[key]
        content[DESCRIPTION] = _describe(model)
        torch.save(content, temporary)
        replace_with_digest(temporary, path)


def load_checkpoint(
    path: str | Path, *, build: Callable[[Architecture], nn.Module] | None = None
) -> FinishedModel:
    """Read what :func:`~lightning_modules.train_final` wrote; nothing in the file is executed.

    Args:
        path: The checkpoint. If ``<path>.sha256`` is beside it, its digest is checked.
        build: Makes the network of the architecture; by default the builder in
            :data:`~lightning_modules.BUILDERS` that the checkpoint names.

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
    try:
        return _fitting(path, content, description, build)
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
    build: Callable[[Architecture], nn.Module] | None,
) -> FinishedModel:
    """Return the model whose parts fit together, or raise whatever they raise."""
    check_description(description)
    architecture = Architecture.from_json(description["architecture"])
    make = _maker(path, architecture, description["network"], build)
    weights = {
        name.removeprefix(_PREFIX): tensor
        for name, tensor in content["state_dict"].items()
        if name.startswith(_PREFIX)
    }
    channels, height, width = description["input_shape"]
    model = FinishedModel(
        network=nn.Identity(),
        architecture=architecture,
        input_shape=(channels, height, width),
        class_names=description["class_names"],
        mean=description["mean"],
        std=description["std"],
        test_accuracy=float(description["test_accuracy"]),
        network_info=description["network"],
        resize=str(description["resize"]),
    )
    try:
        check_weights(make, weights, input_shape=model.input_shape, num_classes=model.num_classes)
    except RuntimeError:
        if build is None:  # Ours need no values; anybody else's may.
            raise
    # Made once more, as buffers that are not among the weights have values now.
    network = make()
    network.load_state_dict(weights)
    return replace(model, network=network.eval())


def _describe(model: FinishedModel) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "architecture": model.architecture.to_json(),
        "network": dict(model.network_info),
        "input_shape": list(model.input_shape),
        "num_classes": model.num_classes,
        "class_names": list(model.class_names),
        "mean": list(model.mean),
        "std": list(model.std),
        "resize": model.resize,
        "test_accuracy": model.test_accuracy,
    }


def _is_plain(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
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


def _maker(
    path: Path,
    architecture: Architecture,
    info: Mapping[str, Any],
    build: Callable[[Architecture], nn.Module] | None,
) -> Callable[[], nn.Module]:
    if build is not None:
        return functools.partial(build, architecture)
    builder = BUILDERS.get(str(info.get("builder")))
    if builder is None:
        raise CheckpointError(
            f"Expected argument `build`, as the network in {path} has a builder of its own "
            f"({dict(info)}), but got None."
        )
    return functools.partial(builder, architecture, **info["arguments"])


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
