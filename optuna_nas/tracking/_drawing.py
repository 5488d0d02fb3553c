"""Drawings of architectures: cells with operations on the edges, chains with them on the nodes."""

from __future__ import annotations

from collections.abc import Mapping
import io
from typing import Any
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure
    import networkx as nx


_INK = "#30343b"
_COLORS = (
    ("conv", "#2f6db3"),
    ("pool", "#c8701a"),
    ("skip", "#4a8a57"),
    ("identity", "#4a8a57"),
    ("attention", "#7a4fa3"),
    ("dense", "#7a4fa3"),
)
_OTHER_COLOR = "#5b6370"
_ROW_WIDTH = 8.6  # Inches of boxes before a chain goes on in the next row.
_CHARACTER = 0.082  # Inches that one character of a label takes.


def draw_architecture(graph: nx.DiGraph[Any], *, title: str = "") -> Figure:
    """Draw the graph encoding of an architecture.

    Args:
        graph: A directed acyclic graph with the attribute ``operation`` on its edges or its nodes,
            as :meth:`optuna_nas.SearchSpace.to_graph` returns it. Edges with the operation
            ``none`` are left out.
        title: A line above the drawing, cut where it does not fit.

    Returns:
        A figure that no window manager knows; save it with ``savefig``.
    """
    on_edges = any("operation" in data for _, _, data in graph.edges(data=True))
    figure = _draw_cell(graph) if on_edges else _draw_layers(graph)
    room = int((figure.get_figwidth() - 0.3) / 0.063)  # Characters in one line.
    if title:
        short = title if len(title) <= room else title[: room - 3] + "..."
        figure.suptitle(short, fontsize=7.2, color=_INK, family="monospace")
    return figure


def to_png(figure: Figure, *, dpi: int = 110) -> bytes:
    """Return the figure as the bytes of a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    FigureCanvasAgg(figure)  # Whatever backend the user has.
    figure.savefig(buffer, dpi=dpi, pil_kwargs={"compress_level": 2})
    return buffer.getvalue()


class _Sheet:
    """A figure to draw on in inches; artists without axes are drawn in half the time.

    Args:
        width: In inches.
        height: In inches.
    """

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=(width, height))

    def add(self, artist: Artist) -> None:
        """Add an artist whose coordinates are inches from the lower left corner."""
        artist.set_transform(self.figure.dpi_scale_trans)
        self.figure.add_artist(artist)

    def text(self, x: float, y: float, text: str, **style: Any) -> None:
        """Write centered text."""
        from matplotlib.text import Text

        self.add(Text(x, y, text, ha="center", va="center", **style))

    def arrow(
        self, start: tuple[float, float], end: tuple[float, float], *, color: str, **style: Any
    ) -> None:
        """Draw an arrow."""
        from matplotlib.patches import FancyArrowPatch

        self.add(FancyArrowPatch(start, end, arrowstyle="-|>", color=color, **style))


def _draw_cell(graph: nx.DiGraph[Any]) -> Figure:
    """Draw the nodes on a line, neighbours joined straight and the others by arcs."""
    import networkx as nx

    nodes = list(nx.lexicographical_topological_sort(graph, key=str))
    place = {node: i for i, node in enumerate(nodes)}
    edges = [
        (place[source], place[target], str(data.get("operation", "")))
        for source, target, data in graph.edges(data=True)
        if data.get("operation") != "none"
    ]
    sides = _arc_sides([(source, target) for source, target, _ in edges])
    step, lift = 1.75, 0.45
    above = max([t - s for s, t, _ in edges if sides[s, t] > 0], default=0) * lift
    below = max([t - s for s, t, _ in edges if sides[s, t] < 0], default=0) * lift
    bottom = below + 0.45
    sheet = _Sheet(step * (len(nodes) - 1) + 1.2, bottom + max(above, 0.15) + 0.5)
    for source, target, operation in edges:
        height = sides[source, target] * (target - source) * lift
        start, end = 0.6 + step * source, 0.6 + step * target
        _draw_arc(sheet, start, end, bottom, height, operation)
    for node, i in place.items():
        name = {0: "in", len(nodes) - 1: "out"}.get(i, str(node))
        _draw_node(sheet, 0.6 + step * i, bottom, name)
    return sheet.figure


def _arc_sides(edges: list[tuple[int, int]]) -> Mapping[tuple[int, int], int]:
    """Return 0 for edges between neighbours, 1 for arcs above the line and -1 for those below."""
    sides = {}
    for source, target in edges:
        span = target - source
        if span == 1:
            sides[source, target] = 0
        elif span % 2 == 1:
            sides[source, target] = 1
        else:
            sides[source, target] = 1 if source % 2 else -1
    return sides


def _draw_arc(
    sheet: _Sheet, start: float, end: float, level: float, height: float, operation: str
) -> None:
    sheet.arrow(
        (start, level),
        (end, level),
        # The top is half as high as the control point.
        connectionstyle=f"arc3,rad={-2 * height / (end - start)}",
        mutation_scale=12,
        shrinkA=17,
        shrinkB=17,
        linewidth=1.6,
        color=_color(operation),
    )
    sheet.text(
        (start + end) / 2,
        level + height,
        operation,
        fontsize=8.5,
        color=_color(operation),
        bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none"},
        zorder=3,
    )


def _draw_node(sheet: _Sheet, x: float, y: float, name: str) -> None:
    from matplotlib.patches import Circle

    circle = Circle((x, y), 0.22, facecolor="#eef1f5", edgecolor=_INK, linewidth=1.2, zorder=4)
    sheet.add(circle)
    sheet.text(x, y, name, fontsize=10, color=_INK, zorder=5)


def _draw_layers(graph: nx.DiGraph[Any]) -> Figure:
    """Draw the nodes as boxes: a path in rows of text, any other graph layer by layer."""
    import networkx as nx

    nodes = list(nx.lexicographical_topological_sort(graph, key=str))
    labels = {node: str(graph.nodes[node].get("operation", node)) for node in nodes}
    widths = {node: _CHARACTER * len(labels[node]) + 0.3 for node in nodes}
    is_path = all(graph.out_degree(node) <= 1 >= graph.in_degree(node) for node in nodes)
    centers = _rows(nodes, widths) if is_path else _layers(graph, widths)
    width = max(x + widths[node] / 2 for node, (x, _) in centers.items()) + 0.3
    height = max(y for _, y in centers.values()) + 0.35
    sheet = _Sheet(max(width, 2.5), height + 0.35)
    centers = {node: (x, height - y) for node, (x, y) in centers.items()}
    for source, target in graph.edges:
        _draw_link(sheet, centers[source], centers[target], widths[source], widths[target])
    for node in nodes:
        _draw_box(sheet, centers[node], widths[node], labels[node], graph.nodes[node])
    return sheet.figure


def _rows(nodes: list[Any], widths: Mapping[Any, float]) -> dict[Any, tuple[float, float]]:
    """Place boxes from left to right and, where a row is full, in the next one."""
    centers = {}
    x, y = 0.3, 0.3
    for node in nodes:
        if x > 0.3 and x + widths[node] > _ROW_WIDTH:
            x, y = 0.3, y + 0.75
        centers[node] = (x + widths[node] / 2, y)
        x += widths[node] + 0.38
    return centers


def _layers(graph: nx.DiGraph[Any], widths: Mapping[Any, float]) -> dict[Any, tuple[float, float]]:
    """Place boxes in columns by the length of the longest path to them."""
    import networkx as nx

    centers = {}
    x = 0.3
    for layer in nx.topological_generations(graph):
        column = max(widths[node] for node in layer)
        for i, node in enumerate(sorted(layer, key=str)):
            centers[node] = (x + column / 2, 0.3 + 0.75 * i)
        x += column + 0.6
    return centers


def _draw_link(
    sheet: _Sheet,
    source: tuple[float, float],
    target: tuple[float, float],
    source_width: float,
    target_width: float,
) -> None:
    """Draw an arrow between two boxes; from the end of a row to the next one with two corners."""
    from matplotlib.lines import Line2D

    start = (source[0] + source_width / 2, source[1])
    end = (target[0] - target_width / 2, target[1])
    if end[0] < start[0]:
        middle = (source[1] + target[1]) / 2
        start, end = (source[0], source[1] - 0.18), (target[0], target[1] + 0.18)
        xs = [start[0], start[0], end[0], end[0]]
        ys = [start[1], middle, middle, end[1] + 0.1]
        sheet.add(Line2D(xs, ys, color=_INK, linewidth=1.2))
        start = (end[0], end[1] + 0.12)
    sheet.arrow(start, end, color=_INK, linewidth=1.2, shrinkA=0, shrinkB=0, mutation_scale=9)


def _draw_box(
    sheet: _Sheet,
    center: tuple[float, float],
    width: float,
    label: str,
    data: Mapping[str, Any],
) -> None:
    from matplotlib.patches import FancyBboxPatch

    color = _INK if label in ("input", "output") else _color(str(data.get("type", label)))
    sheet.add(
        FancyBboxPatch(
            (center[0] - width / 2 + 0.05, center[1] - 0.13),
            width - 0.1,
            0.26,
            boxstyle="round,pad=0.05",
            facecolor="white",
            edgecolor=color,
            linewidth=1.4,
        )
    )
    sheet.text(*center, label, fontsize=9, color=color)


def _color(operation: str) -> str:
    lowered = operation.lower()
    return next((color for part, color in _COLORS if part in lowered), _OTHER_COLOR)
