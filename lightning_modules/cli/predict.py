"""``optuna-nas predict``: what a saved network says about new data."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any
from typing import TYPE_CHECKING

from lightning_modules.search.settings import Named


if TYPE_CHECKING:
    from lightning_modules.training import FinishedModel


@dataclass(kw_only=True)
class Options:
    """Predict with a saved network.

    Args:
        checkpoint: File that search or train saved.
        files: New data: images, or .npy and .npz arrays. Without any, the data module's
            predict_dataloader gives it.
        space: For a network of a space of your own: that space, as MODULE:NAME or FILE.py:NAME.
        module: For a network that was trained by a LightningModule of your own: that module, as
            MODULE:NAME or FILE.py:NAME.
        task: For a network of a task of your own: that task, as MODULE:NAME or FILE.py:NAME.
        data: A LightningDataModule with a predict_dataloader, as MODULE:NAME or FILE.py:NAME.
    """

    checkpoint: str = field(metadata={"positional": True})
    files: list[str] = field(default_factory=list, metadata={"positional": True})
    space: Named = None
    module: Named = None
    task: Named = None
    data: Named = None


def run(options: Options, data_settings: Mapping[str, Any]) -> int:
    """Print a prediction for each sample."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    model = _load(options)
    table: Table | None = None
    for name, inputs in _inputs(options, model, data_settings):
        predictions = model.predict(inputs)
        for i, prediction in enumerate(predictions):
            row = _describe(model, prediction)
            if table is None:
                table = Table("file", *row)
            label = f"{name}[{i}]" if len(predictions) > 1 else name
            table.add_row(Text(label), *map(Text, row.values()))
    if table is None:
        raise ValueError("Expected argument `files` to name at least one file but got none.")
    Console().print(table)
    return 0


def _inputs(
    options: Options, model: FinishedModel, data_settings: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """Yield new samples with the name of their file or batch."""
    from lightning_modules.data import load_new
    from lightning_modules.data import make_datamodule
    from lightning_modules.data import read_tensor

    if options.files:
        for file in options.files:
            if model.preprocessing is not None:
                yield from load_new([file], model.preprocessing)
            else:
                yield file, read_tensor(file)
        return
    if options.data is None:
        raise ValueError(
            "Expected argument `files`, or argument `data` with a predict_dataloader, but got "
            "neither."
        )
    module = make_datamodule(options.data, **data_settings)
    module.prepare_data()
    module.setup("predict")
    for number, batch in enumerate(module.predict_dataloader()):
        yield f"batch {number}", batch[0] if isinstance(batch, list | tuple) else batch


def _describe(model: FinishedModel, prediction: Any) -> dict[str, str]:
    if model.task is not None:
        return model.task.describe(prediction)
    return {"prediction": str(prediction.tolist())}


def _load(options: Options) -> FinishedModel:
    from lightning_modules.registries import TASKS
    from lightning_modules.spaces import as_kit
    from lightning_modules.training import CheckpointError
    from lightning_modules.training import load_checkpoint
    from lightning_modules.training.checkpoint import describe_file
    from optuna_nas.registry import import_object

    given: dict[str, Any] = {}
    if options.space is not None:
        given["kit"] = as_kit(options.space)
    if options.module is not None:
        given["module"] = import_object(options.module)
    if options.task is not None:
        given["task"] = TASKS.get(options.task)
    try:
        return load_checkpoint(Path(options.checkpoint), **given)
    except CheckpointError as error:
        # What a file names is not imported unasked: a file should not choose the code.
        for name in ("space", "module", "task"):
            trained_with = describe_file(options.checkpoint).get(name)
            if getattr(options, name) is None and trained_with is not None:
                raise ValueError(
                    f"Expected argument `{name}` to name the {name} of the network in "
                    f"{options.checkpoint}, which was {trained_with} at its training, but got "
                    "none."
                ) from error
        raise
