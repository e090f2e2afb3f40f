"""The plots of docs/benchmarks-planner.md, as small SVG that says its words as text.

A plot is a dict with ``file``, ``title`` and ``kind``: "ecdf" (panels: name -> list of [label, times in ms]), "loglog"
(x, y, curves: label -> list of [x, y]) or "scatter" (the same, y linear up to ymax); and with ``of``, where something
else than the planner was measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

#: A fixed salt and no date: the same figures give the same file.
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "skyroad",
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "lines.linewidth": 1.3,
}
_MARKERS = "osD^vPX*<>"


def draw(plot: dict[str, Any], folder: Path) -> Path:
    """Write one plot into a folder; returns its path.

    Raises:
        ValueError: of no known kind.
    """
    with mpl.rc_context(_STYLE):
        if plot["kind"] == "ecdf":
            figure = _ecdf(plot)
        elif plot["kind"] in ("loglog", "scatter"):
            figure = _curves(plot)
        else:
            raise ValueError(f"a plot of kind {plot['kind']!r} is not known: ecdf, loglog or scatter")
        path = folder / f"benchmarks-{plot.get('of', 'planner')}-{plot['file']}.svg"
        figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
        plt.close(figure)
    return path


def _color(label: str, number: int) -> Any:
    """Ours stands out; the others follow the cycle."""
    return "black" if label.startswith("Skyroad") else f"C{number % 10}"


def _ecdf(plot: dict[str, Any]) -> Any:
    panels = plot["panels"]
    labels = list(dict.fromkeys(label for curves in panels.values() for label, _ in curves))
    figure, axes = plt.subplots(
        1, len(panels), figsize=(3.6 * len(panels), 2.8), sharex=True, sharey=True, squeeze=False
    )
    for axis, (name, curves) in zip(axes[0], panels.items(), strict=True):
        for label, times in curves:
            share = np.arange(1, len(times) + 1) / len(times)
            dashed = "--" if "corners cut" in label else "-"
            axis.step(
                np.sort(times), share, dashed, where="post", label=label, color=_color(label, labels.index(label))
            )
        axis.set(xscale="log", xlabel="CPU time of a question, ms", title=name, ylim=(0, 1.02))
    axes[0][0].set_ylabel(plot["title"])
    handles = {label: line for axis in axes[0] for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    figure.tight_layout()
    return figure


def _curves(plot: dict[str, Any]) -> Any:
    figure, axis = plt.subplots(figsize=(5.2, 2.9))
    for number, (label, points) in enumerate(plot["curves"].items()):
        if not points:
            continue
        x, y = np.asarray(points, float).T
        style = "-" if plot["kind"] == "loglog" else "none"
        marker, color = _MARKERS[number % len(_MARKERS)], _color(label, number)
        axis.plot(x, y, linestyle=style, marker=marker, markersize=3.5, label=label, color=color)
    axis.set(xscale="log", xlabel=plot["x"], ylabel=plot["y"], title=plot["title"])
    if plot["kind"] == "loglog":
        axis.set_yscale("log")
    else:
        axis.set_ylim(0.95, plot["ymax"])
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure
