"""Figures without pyplot: one look for every picture, and labels that keep out of each other's way."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from utm.mapping.view import readable

INK, QUIET, PAPER = "#1b2127", "#5a6570", "#ffffff"
DANGER, GRANTED = "#B3261E", "#006B4F"
TERRAIN, SURFACE = "#b9a98c", "#8f979e"
#: 10 inches wide at 160 dots: type of 8 points is 11 pixels high where the picture is shown 1000 pixels wide.
WIDTH_IN, DOTS = 10.0, 160
TITLE, TEXT, SMALL = 13.0, 9.0, 8.0
#: What fits on a line of the picture's width.
_TITLE_LETTERS, SUBTITLE_LETTERS = 76, 140
#: Left edge of titles, axes labels and legends, as a share of the width.
LEFT = 0.024
HALO = (withStroke(linewidth=2.6, foreground=PAPER),)


def figure(height_in: float) -> Figure:
    """An empty figure of the common width with its Agg canvas."""
    made = Figure(figsize=(WIDTH_IN, height_in), dpi=DOTS, facecolor=PAPER)
    FigureCanvasAgg(made)
    return made


def save(made: Figure, out_png: str | Path) -> None:
    """Write a PNG beside its place, then rename: no half-written picture is ever seen there.

    Raises:
        OSError: the folder is not there or cannot be written to.
    """
    out = Path(out_png)
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        made.savefig(beside, format="png", dpi=DOTS, metadata={"Software": None})
        beside.replace(out)
    finally:
        beside.unlink(missing_ok=True)


def heading(made: Figure, title: str, subtitle: str) -> None:
    """Title and one quiet line below it, flush left, in inches from the top so that all pictures agree."""
    height = made.get_figheight()
    for text, otherwise, most, down, style in (
        (title, "Skyroad", _TITLE_LETTERS, 0.12, {"size": TITLE, "weight": "bold", "color": INK}),
        (subtitle, "", SUBTITLE_LETTERS, 0.385, {"size": TEXT, "color": QUIET}),
    ):
        made.text(LEFT, 1 - down / height, _cut(readable(text, otherwise), most), va="top", **style)


def _cut(text: str, most: int) -> str:
    """The text on one line of at most so many characters, which is what fits the width."""
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}\N{HORIZONTAL ELLIPSIS}"


def legend(made: Figure, handles: Sequence, labels: Sequence[str], columns: int) -> None:
    """A legend at the foot of the picture, flush with the title."""
    made.legend(
        handles,
        labels,
        loc="lower left",
        bbox_to_anchor=(LEFT, 0.05 / made.get_figheight()),
        ncols=columns,
        frameon=False,
        fontsize=SMALL,
        labelcolor=INK,
        handler_map={tuple: HandlerTuple(ndivide=1)},
        columnspacing=1.8,
        handlelength=2.2,
        borderpad=0.0,
        borderaxespad=0.0,
    )


def quiet_axes(ax: Axes) -> None:
    """Ticks and frame that stay behind the data."""
    ax.tick_params(labelsize=SMALL, colors=QUIET, length=3)
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color("#aab2b9")
    ax.grid(color="#d9dee2", linewidth=0.6)
    ax.set_axisbelow(True)


#: A mark reaches this far from its point, in pixels.
_MARK_DOTS = 11.0
#: Where a label may stand beside its point: offset in points, and alignment. The first that is free wins.
_SIDES = tuple(
    (reach * dx, reach * dy, ha, va)
    for reach in (9.0, 20.0, 34.0)
    for dx, dy, ha, va in (
        (0.75, 0.75, "left", "bottom"),
        (0.75, -0.75, "left", "top"),
        (-0.75, 0.75, "right", "bottom"),
        (-0.75, -0.75, "right", "top"),
        (0.0, 1.0, "center", "bottom"),
        (0.0, -1.0, "center", "top"),
        (1.0, 0.0, "left", "center"),
        (-1.0, 0.0, "right", "center"),
    )
)


def place_labels(
    ax: Axes,
    labels: Sequence[tuple[str, float, float, str]],
    avoid: NDArray[np.float64],
) -> list[Annotation]:
    """Write labels beside their points, each where it hides the least: no text that is there, few points of ``avoid``.

    Args:
        labels: text, x and y in data units, colour; the more important first.
        avoid: (n, 2) points in data units that are better not covered.
    """
    renderer = ax.get_figure().canvas.get_renderer()
    frame = ax.get_window_extent(renderer).padded(-6)
    dots = ax.transData.transform(avoid) if len(avoid) else np.empty((0, 2))
    marks = ax.transData.transform([(x, y) for _, x, y, _ in labels]) if labels else np.empty((0, 2))
    used = [text.get_window_extent(renderer) for text in ax.texts if text.get_text()]
    written = []
    for text, x, y, colour in labels:
        best: tuple[float, tuple, Bbox] | None = None
        note = ax.annotate(
            text,
            (x, y),
            (0, 0),
            textcoords="offset points",
            size=SMALL,
            color=colour,
            path_effects=HALO,
            zorder=30,
            linespacing=1.15,
        )
        for rank, (dx, dy, ha, va) in enumerate(_SIDES):
            note.set(ha=ha, va=va)
            note.xyann = (dx, dy)
            box = note.get_window_extent(renderer)
            cost = (
                1e6 * sum(_overlap(box, other) for other in used)
                + 1e6 * (box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1)
                + 30.0 * within(box, dots)
                + 200.0 * within(box.padded(_MARK_DOTS), marks)
                + rank
            )
            if best is None or cost < best[0]:
                best = (cost, (dx, dy, ha, va), box)
        dx, dy, ha, va = best[1]
        note.set(ha=ha, va=va)
        note.xyann = (dx, dy)
        used.append(best[2].padded(3))
        written.append(note)
    return written


def _overlap(a: Bbox, b: Bbox) -> float:
    """Common area of two boxes in pixels."""
    return max(0.0, min(a.x1, b.x1) - max(a.x0, b.x0)) * max(0.0, min(a.y1, b.y1) - max(a.y0, b.y0))


def within(box: Bbox, points: NDArray[np.float64]) -> int:
    """How many points (n, 2) lie in a box, in pixels."""
    x, y = points.T
    return int(((x > box.x0) & (x < box.x1) & (y > box.y0) & (y < box.y1)).sum())
