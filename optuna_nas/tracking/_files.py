"""An architecture as the files of its run."""

from __future__ import annotations

from collections.abc import Callable
import json

from optuna_nas.spaces import Architecture
from optuna_nas.spaces import SearchSpace
from optuna_nas.tracking._connection import OwnProblem
from optuna_nas.tracking._drawing import draw_architecture
from optuna_nas.tracking._drawing import to_png


def architecture_files(
    architecture: Architecture, space: SearchSpace | None, report: Callable[[Exception], None]
) -> dict[str, bytes]:
    """Return ``architecture.json`` and, if it can be drawn, ``architecture.png``.

    Args:
        architecture: The architecture.
        space: Its search space, which is needed to draw it.
        report: Told of the error if the drawing fails.
    """
    text = json.dumps(json.loads(architecture.to_json()), indent=2)
    files = {"architecture.json": text.encode()}
    with OwnProblem(report, anything=True):
        if space is not None:
            graph = space.to_graph(architecture)
            title = space.to_string(architecture)
            files["architecture.png"] = to_png(draw_architecture(graph, title=title))
    return files
