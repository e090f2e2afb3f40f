"""The profile picture: ground, what stands on it, and the air between the limits, cut open along a line."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from utm.mapping.furniture import HALO, INK
from utm.mapping.section import Profile, profile
from utm.mapping.view import save
from utm.model import Datum

__all__ = ["Profile", "draw_profile", "profile"]

_TERRAIN, _SURFACE, _HANGING, _UNKNOWN, _SUSPECT = "#b9a98c", "#8f979e", "#3b2f6b", "#5b6770", "#d9730d"
_FREE, _LOWEST, _CEILING, _QUIET = "#cfe8d5", "#2f7d4f", "#b3261e", "#5a6570"
_NO_ROOM, _END = "#f6d3cf", "#e6e9ec"
#: 10 x 5.2 inches at 160 dots: type of 8 points is legible where the picture is shown 1000 pixels wide.
_WIDTH_IN, _HEIGHT_IN, _DOTS = 10.0, 5.2, 160
#: More stations than the picture has dots across are drawn by the extremes of groups.
_MOST_STEPS = 3000
_LEFT = 0.024
_DATUMS = {
    Datum.AMSL: "above mean sea level (EGM96)",
    Datum.WGS84: "above the WGS84 ellipsoid",
    Datum.JGD2011: "above sea level (JGD2011)",
}


def draw_profile(cut: Profile, out_png: str | Path) -> Path:
    """Draw a profile as a PNG, 1600 x 832 pixels, written whole or not at all.

    Green is where a centre line may pass: above the lowest height that keeps the clearance in every direction (over a
    street between houses that is more than the clearance above the ground) and below the ceiling less the half-height
    of a corridor. Air below wires and bridges is drawn as air, but not as free.

    Raises:
        MapError: the picture cannot be written.
    """
    figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), dpi=_DOTS, facecolor="white")
    FigureCanvasAgg(figure)
    ax = figure.add_axes((0.075, 0.285, 0.9, 0.56))
    steps = _Steps(cut)
    low, high = _range(cut)
    _draw_limits(ax, cut, steps, high)
    _draw_ground(ax, cut, steps, low)
    _draw_hanging(ax, cut, (high - low) / 110)
    _frame(ax, cut, low, high)
    _mark_ends(ax, cut)
    _words(figure, ax, cut)
    return save(figure, out_png)


class _Steps:
    """Stations as corners of stairs; the extremes of groups, where there are too many for the picture."""

    def __init__(self, cut: Profile):
        count = len(cut.terrain_m)
        self.first = np.arange(0, count, math.ceil(count / _MOST_STEPS))
        edges = np.append(cut.edges_m[self.first], cut.edges_m[-1])
        self.x = np.repeat(edges, 2)[1:-1]

    def highest(self, values: NDArray) -> NDArray:
        return np.repeat(np.maximum.reduceat(values, self.first), 2)

    def lowest(self, values: NDArray) -> NDArray:
        return np.repeat(np.minimum.reduceat(values, self.first), 2)


def _range(cut: Profile) -> tuple[float, float]:
    """Lowest and highest height shown, with a little room."""
    low = float(cut.terrain_m.min())
    high = float(max(cut.ceiling_m.max(), cut.surface_m.max()))
    return low - 0.10 * (high - low), high + 0.10 * (high - low)


def _draw_limits(ax: Axes, cut: Profile, steps: _Steps, top: float) -> None:
    ceiling, highest, lowest = steps.lowest(cut.ceiling_m), steps.lowest(cut.highest_m), steps.highest(cut.lowest_m)
    known = np.isfinite(lowest)
    free = known & (lowest <= highest)
    ax.fill_between(steps.x, lowest, highest, where=free, color=_FREE, linewidth=0, zorder=1)
    ax.fill_between(steps.x, ceiling, top, color=_CEILING, alpha=0.07, linewidth=0, zorder=1)
    for mask, colour in ((_no_room(cut), _NO_ROOM), (_at_the_end(cut), _END)):
        for start, end in cut.stretches(mask):
            middle, half = (start + end) / 2, max(end - start, cut.length_m / 700) / 2
            ax.axvspan(middle - half, middle + half, color=colour, linewidth=0, zorder=0.5)
    ax.plot(steps.x, ceiling, color=_CEILING, linewidth=1.5, dashes=(5, 2.5), zorder=6)
    ax.plot(steps.x, np.where(known, lowest, np.nan), color=_LOWEST, linewidth=1.2, zorder=6)


def _draw_ground(ax: Axes, cut: Profile, steps: _Steps, bottom: float) -> None:
    # The lowest ground is what the ceiling is measured from; in a picture the ground must not cover a house.
    terrain, base = steps.lowest(cut.terrain_m), steps.highest(cut.base_m)
    unknown, suspect = steps.highest(cut.unknown), steps.highest(cut.suspect)
    ax.fill_between(steps.x, terrain, base, where=~unknown, color=_SURFACE, linewidth=0.4, zorder=3)
    ax.fill_between(
        steps.x, terrain, base, where=unknown, facecolor="white", edgecolor=_UNKNOWN, hatch="//////", linewidth=0.8,
        zorder=3,
    )  # fmt: skip
    ax.fill_between(steps.x, bottom, terrain, color=_TERRAIN, linewidth=0.4, zorder=4)
    if suspect.any():
        ax.plot(steps.x, np.where(suspect, base, np.nan), color=_SUSPECT, linewidth=2.4, zorder=7)


def _draw_hanging(ax: Axes, cut: Profile, least_m: float) -> None:
    """Things with air below, drawn no thinner than can be seen."""
    wide = cut.length_m / 250
    boxes = []
    for start, end, low, high in cut.hanging.tolist():
        x, y = (start + end) / 2, (low + high) / 2
        dx, dy = max(end - start, wide) / 2, max(high - low, least_m) / 2
        boxes.append([(x - dx, y - dy), (x + dx, y - dy), (x + dx, y + dy), (x - dx, y + dy)])
    ax.add_collection(PolyCollection(boxes, facecolor=_HANGING, edgecolor="none", zorder=8))


def _frame(ax: Axes, cut: Profile, low: float, high: float) -> None:
    ax.set(xlim=(0, cut.length_m), ylim=(low, high))
    ax.set_xlabel("distance along the line, m", size=9, color=_QUIET)
    ax.set_ylabel(f"height, m {_DATUMS.get(cut.datum, f'above {cut.datum}')}", size=9, color=_QUIET)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.tick_params(labelsize=8, colors=_QUIET, length=3)
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color("#aab2b9")
    ax.grid(color="#d9dee2", linewidth=0.6)
    ax.set_axisbelow(True)


def _mark_ends(ax: Axes, cut: Profile) -> None:
    for letter, at, (lon, lat), side in (("A", 0.0, cut.start_deg, "left"), ("B", 1.0, cut.end_deg, "right")):
        ax.annotate(
            letter, (at, 1), (4 if side == "left" else -4, -4), xycoords="axes fraction", textcoords="offset points",
            ha=side, va="top", size=12, weight="bold", color=INK, path_effects=list(HALO), zorder=12,
        )  # fmt: skip
        ax.annotate(
            f"{letter}  {abs(lat):.5f}°{'N' if lat >= 0 else 'S'} {abs(lon):.5f}°{'E' if lon >= 0 else 'W'}",
            (at, 1), (0, 3), xycoords="axes fraction", textcoords="offset points", ha=side, va="bottom",
            size=8, color=_QUIET,
        )  # fmt: skip


def _words(figure: Figure, ax: Axes, cut: Profile) -> None:
    """Title, what it says in one line, legend, and what the picture is made from."""
    span, (low, high) = cut.length_m, ax.get_ylim()
    box = ax.get_position()
    taller = (box.height * _HEIGHT_IN / (high - low)) / (box.width * _WIDTH_IN / span)
    title = f"From A to B over the city: {span / 1000:.2f} km" if span >= 1000 else f"From A to B: {span:.0f} m"
    figure.text(_LEFT, 1 - 0.12 / _HEIGHT_IN, title, va="top", size=13, weight="bold", color=INK)
    figure.text(_LEFT, 1 - 0.385 / _HEIGHT_IN, _verdict(cut), va="top", size=9, color=_QUIET)
    rules = cut.rules
    handles = [
        Patch(facecolor=_FREE, edgecolor=_LOWEST, label="free: a sky road's centre line may pass"),
        Line2D([], [], color=_LOWEST, lw=1.4, label=f"lowest height {rules.clearance_m:g} m clear of everything"),
        Line2D(
            [], [], color=_CEILING, lw=1.5, dashes=(3, 1.6),
            label=f"ceiling: {rules.ceiling_above_terrain_m:g} m above the ground",
        ),
        Patch(facecolor=_TERRAIN, label="ground"),
        Patch(facecolor=_SURFACE, label="what stands on it: roofs, trees"),
    ]  # fmt: skip
    if _no_room(cut).any():
        handles.append(Patch(facecolor=_NO_ROOM, label="no room below the ceiling"))
    if len(cut.hanging):
        handles.append(Patch(facecolor=_HANGING, label="wires, bridges: air below them"))
    if cut.unknown.any():
        handles.append(Patch(facecolor="white", edgecolor=_UNKNOWN, hatch="//////", label="not surveyed: blocked"))
    if cut.suspect.any():
        handles.append(Line2D([], [], color=_SUSPECT, lw=2.4, label="doubtful returns: blocked until checked"))
    if _at_the_end(cut).any():
        handles.append(Patch(facecolor=_END, label="too near the map's end to say"))
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(_LEFT, 0.93 / _HEIGHT_IN), ncols=3, frameon=False,
        fontsize=8, labelcolor=INK, columnspacing=1.8, handlelength=2.2, borderpad=0.0, borderaxespad=0.0,
    )  # fmt: skip
    foot = f"Heights are drawn {taller:.2g} times as tall as they are wide.  Map version {cut.version[:12]}"
    figure.text(_LEFT, 0.08 / _HEIGHT_IN, foot, size=7, color=_QUIET)


def _verdict(cut: Profile) -> str:
    narrow = cut.stretches(_no_room(cut))
    if not cut.legal.any():
        said = ["No room to fly anywhere on this line"]
    elif not narrow:
        said = ["Room to fly all along the line"]
    else:
        start, end = max(narrow, key=lambda stretch: stretch[1] - stretch[0])
        said = [
            f"Room to fly over {_percent(cut.share(cut.legal))} of the line; longest part without: {start:,.0f} to "
            f"{end:,.0f} m"
        ]
    if _at_the_end(cut).any():
        said.append("near the map's end nothing is known" if cut.legal.any() else "the map ends too near")
    if cut.unknown.any():
        said.append(f"{_percent(cut.share(cut.unknown))} not surveyed")
    return "; ".join(said) + "."


def _at_the_end(cut: Profile) -> NDArray[np.bool_]:
    return np.isinf(cut.lowest_m)


def _no_room(cut: Profile) -> NDArray[np.bool_]:
    return ~cut.legal & ~_at_the_end(cut)


def _percent(share: float) -> str:
    """Whole per cents that never round to nothing or to all."""
    return f"{min(max(round(100 * share), 1), 99 if share < 1 else 100)} %"
