"""The table of named metrics: which direction is better, the unit, and how a value is printed.

What logs a metric, a task or a cost, declares it; so does a user, in one line::

    METRICS.add(Metric("f1", "maximize", "F1"))

A metric that training logs for a split (``val_f1``, ``test_f1``) is the metric ``f1`` with the
name of the split in front.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from typing import Any
from typing import get_args
from typing import Literal


Direction = Literal["minimize", "maximize"]
Source = Literal["trained", "counted", "measured", "proxy"]
"""How a metric is had: logged by a training, counted without building the network, measured on a
device, or guessed by a proxy of the untrained network."""

_SPLITS = {"train": "training", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class Metric:
    """A named number of an architecture.

    Args:
        name: The name, without the split in front, e.g. ``"f1"``.
        direction: Whether less or more is better.
        title: What a table calls it; by default the name.
        form: Format of a value, as of :meth:`str.format`, e.g. ``"{:.2%}"``.
        unit: Its unit, e.g. ``"ms"``; empty for none.
        source: How it is had; see :data:`Source`.
        measure: For a cost metric of your own: a function from a network to its value. One that is
            ``"counted"`` gets a network on the meta device, which has shapes and no values.

    Raises:
        ValueError: If ``direction`` or ``source`` is unknown.
    """

    name: str
    direction: Direction
    title: str = ""
    form: str = "{:.4g}"
    unit: str = ""
    source: Source = "trained"
    measure: Callable[[Any], float] | None = None

    def __post_init__(self) -> None:
        for argument, kind in [("direction", Direction), ("source", Source)]:
            value = getattr(self, argument)
            if value not in get_args(kind):
                raise ValueError(
                    f"Expected argument `{argument}` to be one of {', '.join(get_args(kind))} "
                    f"but got {value!r}."
                )

    @property
    def maximize(self) -> bool:
        """Whether more is better."""
        return self.direction == "maximize"

    @property
    def heading(self) -> str:
        """The title with the unit, as a table has it."""
        return f"{self.title or self.name}{f' ({self.unit})' if self.unit else ''}"

    def text(self, value: float) -> str:
        """Return a value as a table has it."""
        return self.form.format(value)

    def to_dict(self) -> dict[str, str]:
        """Return the metric in plain JSON types; ``Metric(**...)`` reads it."""
        return {name: value for name, value in vars(self).items() if name != "measure"}


class MetricTable:
    """Metrics by name.

    Args:
        metrics: What is in it at first.
    """

    def __init__(self, metrics: Iterable[Metric] = ()) -> None:
        self._metrics: dict[str, Metric] = {}
        for metric in metrics:
            self.add(metric)

    def add(self, metric: Metric) -> Metric:
        """Put a metric into the table, in the place of another of its name; return it."""
        self._metrics[metric.name] = metric
        return metric

    def find(self, name: str) -> Metric | None:
        """Return the metric of a name, with or without a split in front; None if unknown.

        Example:

            >>> METRICS.find("val_loss").heading, METRICS.find("nothing")
            ('validation loss', None)
        """
        if name in self._metrics:
            return self._metrics[name]
        split, _, rest = name.partition("_")
        found = self._metrics.get(rest) if split in _SPLITS else None
        if found is None or found.source != "trained":
            return None
        title = f"{_SPLITS[split]} {found.title or found.name}"
        return Metric(name, found.direction, title, found.form, found.unit, found.source)

    def get(self, name: str) -> Metric:
        """Return the metric of a name; an unknown one is trained, to be minimised, and plain."""
        return self.find(name) or Metric(name, "minimize")

    def of(self, *sources: Source) -> list[Metric]:
        """Return the metrics that are had in one of these ways, in the order of the table."""
        return [metric for metric in self._metrics.values() if metric.source in sources]

    def parse(self, text: str, argument: str = "objectives") -> Metric:
        """Read ``NAME``, with the direction of the table, or ``NAME:DIRECTION``.

        Raises:
            ValueError: If the direction is missing and not in the table, or no direction.

        Example:

            >>> METRICS.parse("val_loss").direction, METRICS.parse("my_score:maximize").direction
            ('minimize', 'maximize')
        """
        name, colon, direction = text.partition(":")
        found = self.find(name)
        if not name or (colon and direction not in get_args(Direction)):
            raise ValueError(
                f"Expected argument `{argument}` to be names such as val_loss or "
                f"my_score:maximize but got {text!r}."
            )
        if not colon and found is None:
            raise ValueError(
                f"Expected argument `{argument}` to say the direction of {name}, which is not in "
                f"the table of metrics, as {name}:minimize or {name}:maximize but got {text!r}."
            )
        known = found or Metric(name, "minimize")
        if colon:
            known = replace(known, direction=direction)  # type: ignore[arg-type]
        return known

    def update(self, stored: Iterable[Mapping[str, Any]]) -> None:
        """Add metrics that a study keeps, see :meth:`Metric.to_dict`; known ones stay."""
        for entry in stored:
            if self.find(str(entry["name"])) is None:
                self.add(Metric(**entry))


# Names that modules of all kinds log.
_LARGER = {"auroc": "AUROC", "f1": "F1", "iou": "IoU", "map": "mAP"} | {
    name: name for name in ("dice", "precision", "recall", "return")
}
_SMALLER = {"cer": "CER", "mae": "MAE", "mse": "MSE", "rmse": "RMSE", "wer": "WER"} | {
    name: name for name in ("error", "loss", "perplexity")
}

METRICS = MetricTable(
    [
        *(Metric(name, "maximize", title) for name, title in _LARGER.items()),
        *(Metric(name, "minimize", title) for name, title in _SMALLER.items()),
        Metric("params", "minimize", "parameters", "{:,.0f}", source="counted"),
        Metric("macs", "minimize", "MACs", "{:,.0f}", source="counted"),
        Metric(
            "training_memory_mb", "minimize", "training memory", "{:,.1f}", "MB", source="counted"
        ),
        Metric("latency_ms", "minimize", "latency", "{:.3f}", "ms", source="measured"),
        Metric("throughput", "maximize", "throughput", "{:,.0f}", "samples/s", source="measured"),
        Metric("peak_memory_mb", "minimize", "peak memory", "{:,.2f}", "MB", source="measured"),
        Metric("energy_mj", "minimize", "energy", "{:,.2f}", "mJ", source="measured"),
    ]
)
"""The metrics that this process knows. A task adds its own when it is imported."""
