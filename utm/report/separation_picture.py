"""How far apart two drones were, over the time in which both were in the air."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from utm.mapping.view import readable
from utm.model import Corridor, RuleSet
from utm.ops.log import Separation, separation
from utm.report.canvas import DANGER, HALO, INK, PAPER, QUIET, SMALL, TEXT, figure, heading, legend, quiet_axes, save
from utm.report.figures import Closest, Pair, pairs
from utm.report.flown import Flown

#: Pairs drawn: those that came nearest to breaking their separation.
_MOST_PAIRS = 3
_PAIR_IN, _HEAD_IN, _FOOT_IN = 4.12, 0.72, 0.4
_LINE, _KEPT = "#0b3d6b", "#2a8a57"


def separation_plot(flown: Flown, out_png: str | Path) -> None:
    """Draw horizontal and vertical distance of each pair over time, against what the rules require.

    Shaded green is what the corridors alone keep free: as long as both drones are in theirs, they cannot be nearer.
    With more than three pairs, the three that came nearest to too close are drawn, and the subtitle says so.

    Args:
        out_png: written whole or not at all; 1600 pixels wide.

    Raises:
        OSError: the picture cannot be written.
    """
    every = [pair for pair in pairs(flown) if pair.closest is not None]
    drawn = every[:_MOST_PAIRS]
    made = figure(_HEAD_IN + _FOOT_IN + _PAIR_IN * max(len(drawn), 1) * (1.0 if drawn else 0.25))
    height = made.get_figheight()
    heading(made, "Separation between the drones", _subtitle(flown, len(every), len(drawn)))
    for index, pair in enumerate(drawn):
        top = 1 - (_HEAD_IN + index * _PAIR_IN) / height
        _draw_pair(made, pair, flown.rules, top, height)
    if drawn:
        _legend(made)
    else:
        made.text(0.5, 0.4, "No two drones were in the air at the same time.", ha="center", size=TEXT + 1, color=INK)
    save(made, out_png)


def _draw_pair(made, pair: Pair, rules: RuleSet, top: float, height_in: float) -> None:
    apart = separation(pair.a, pair.b)
    kept_across, kept_up = _guaranteed(pair.a.intent.corridor, pair.b.intent.corridor, apart.t_s)
    names = " and ".join(readable(flight.intent.plan.id, "a flight") for flight in (pair.a, pair.b))
    made.text(0.068, top - 0.02 / height_in, names, size=TEXT + 1, weight="bold", color=INK, va="top")
    upper = made.add_axes((0.068, top - 1.95 / height_in, 0.914, 1.62 / height_in))
    lower = made.add_axes((0.068, top - 3.62 / height_in, 0.914, 1.5 / height_in), sharex=upper)
    for ax, distance, required, guaranteed, word in (
        (upper, apart.horizontal_m, rules.separation_horizontal_m, kept_across, "horizontal"),
        (lower, apart.vertical_m, rules.separation_vertical_m, kept_up, "vertical"),
    ):
        quiet_axes(ax)
        ax.set_ylabel(f"{word}, m", size=TEXT, color=QUIET)
        ax.set_xlim(apart.t_s[0], max(apart.t_s[-1], apart.t_s[0] + 1.0))
        if word == "horizontal":
            _log_scale(ax, distance, required)
        else:
            ax.set_ylim(0, 1.18 * max(float(distance.max()), 2 * required))
        bottom = ax.get_ylim()[0]
        ax.fill_between(apart.t_s, bottom, np.maximum(guaranteed, bottom), color=_KEPT, alpha=0.16, linewidth=0)
        _too_close(ax, apart, rules)
        ax.axhline(required, color=DANGER, linewidth=1.4, dashes=(5, 2.5))
        ax.annotate(
            f"{required:g} m", (1, required), (-3, 2.5), xycoords=("axes fraction", "data"), textcoords="offset points",
            ha="right", va="bottom", size=SMALL, color=DANGER, path_effects=HALO, zorder=9,
        )  # fmt: skip
        ax.plot(apart.t_s, np.maximum(distance, bottom), color=_LINE, linewidth=2.2, zorder=6)
    _mark(
        upper,
        pair.closest,
        pair.closest.horizontal_m,
        f"{_clock(pair.closest.t_s)}: {pair.closest.horizontal_m:.0f} m across",
    )
    _mark(lower, pair.closest, pair.closest.vertical_m, f"{pair.closest.vertical_m:.0f} m in height")
    upper.tick_params(labelbottom=False)
    lower.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 3, 6, 10]))
    lower.xaxis.set_major_formatter(FuncFormatter(lambda t_s, _: _clock(t_s)))
    day = datetime.datetime.fromtimestamp(apart.t_s[0], datetime.UTC)
    lower.set_xlabel(f"time (UTC, {day:%Y-%m-%d})", size=TEXT, color=QUIET)


def _log_scale(ax: Axes, distance: NDArray[np.float64], required: float) -> None:
    """Near distances matter most, and pads lie kilometres apart: a logarithmic axis from half of what matters."""
    low = max(0.5 * min(float(distance.min()), required), 0.5)
    ax.set_yscale("log")
    ax.set_ylim(low, 1.8 * max(float(distance.max()), 2 * required))
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.4g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def _guaranteed(a: Corridor, b: Corridor, t_s: NDArray[np.float64]) -> tuple[NDArray, NDArray]:
    """Least horizontal and least vertical distance (n,) that two drones in their corridors can have at each time.

    Each drone may be at any point of its centre line whose time is within the tolerance, and beside it by the
    corridor's width: so the two stretches of centre line, less the room around both. Each of the two figures holds by
    itself. Before and after its times a corridor is as at its end.
    """
    lines_a, low_a, high_a = _stretches(a, t_s)
    lines_b, low_b, high_b = _stretches(b, t_s)
    across = shapely.distance(lines_a, lines_b) - a.half_width_m - b.half_width_m
    up = np.maximum((low_a - a.below_m) - (high_b + b.above_m), (low_b - b.below_m) - (high_a + a.above_m))
    return np.maximum(across, 0.0), np.maximum(up, 0.0)


def _stretches(corridor: Corridor, t_s: NDArray[np.float64]) -> tuple[NDArray, NDArray, NDArray]:
    """The parts of a centre line within the time tolerance of each time: lines, lowest and highest ``up``."""
    line, tolerance = corridor.centre_line, corridor.time_tolerance_s
    lines, low, high = [], np.empty(len(t_s)), np.empty(len(t_s))
    for index, now in enumerate(t_s):
        first, last = now - tolerance, now + tolerance
        between = line.enu_m[(line.t_s > first) & (line.t_s < last)]
        part = np.vstack([line.at(first), between, line.at(last)])
        lines.append(shapely.LineString(part[:, :2]))
        low[index], high[index] = part[:, 2].min(), part[:, 2].max()
    return np.array(lines), low, high


def _too_close(ax: Axes, apart: Separation, rules: RuleSet) -> None:
    """Shade the times at which neither distance was enough."""
    broken = (apart.horizontal_m < rules.separation_horizontal_m) & (apart.vertical_m < rules.separation_vertical_m)
    if broken.any():
        ax.fill_between(
            apart.t_s, 0, 1, where=broken, transform=ax.get_xaxis_transform(), color=DANGER, alpha=0.3, linewidth=1.0
        )


def _mark(ax: Axes, closest: Closest, distance_m: float, text: str) -> None:
    shown = max(distance_m, ax.get_ylim()[0])
    ax.axvline(closest.t_s, color=INK, linewidth=0.9, dashes=(1, 2), zorder=5)
    ax.plot(closest.t_s, shown, "o", markersize=6.5, color=INK, markeredgecolor=PAPER, markeredgewidth=1.0, zorder=8)
    start, end = ax.get_xlim()
    side, ha = (-6, "right") if closest.t_s > (start + end) / 2 else (6, "left")
    ax.annotate(
        text, (closest.t_s, 1), (side, -3), xycoords=("data", "axes fraction"), textcoords="offset points", ha=ha,
        va="top", size=TEXT, weight="bold", color=INK, path_effects=HALO, zorder=10,
    )  # fmt: skip


def _clock(t_s: float) -> str:
    return f"{datetime.datetime.fromtimestamp(t_s, datetime.UTC):%H:%M:%S}"


def _subtitle(flown: Flown, pair_count: int, drawn: int) -> str:
    rules = flown.rules
    rule = (
        f"apart when at least {rules.separation_horizontal_m:g} m across or {rules.separation_vertical_m:g} m in height"
    )
    return rule if drawn == pair_count else f"{rule}; the {drawn} closest of {pair_count} pairs"


def _legend(made) -> None:
    handles = [
        Line2D([], [], color=_LINE, linewidth=2.2, label="distance flown"),
        Line2D([], [], color=DANGER, linewidth=1.4, dashes=(5, 2.5), label="required; one of the two is enough"),
        Patch(facecolor=_KEPT, alpha=0.25, label="kept free by the corridors alone"),
        Line2D([], [], marker="o", color=INK, linewidth=0, label="least separation, both taken together"),
    ]
    legend(made, handles, [handle.get_label() for handle in handles], 4)
