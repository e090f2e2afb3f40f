"""The height profile: the air above one flight's way, cut open along it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from utm.core.clearance import HeightProfile
from utm.core.clearance import height_profile as ground_under
from utm.core.columns import Columns, lowest_clear
from utm.mapping.view import readable
from utm.report.canvas import (
    DANGER,
    HALO,
    INK,
    PAPER,
    QUIET,
    SMALL,
    SUBTITLE_LETTERS,
    SURFACE,
    TERRAIN,
    TEXT,
    figure,
    heading,
    legend,
    quiet_axes,
    save,
)
from utm.report.figures import flight_figures
from utm.report.flown import Flown, FlownFlight

_HEIGHT_IN = 4.7
_CLEAR = "#8a5a00"
#: How far a drone may seem to go back along its way between two reports, beyond what it really moved.
_SLACK_M = 30.0


def height_profile(flown: Flown, flight: FlownFlight, out_png: str | Path) -> None:
    """Draw terrain, surface, limits, corridor and flown height over the distance along the planned way.

    The clearance line is the lowest height at which the centre line keeps ``clearance_m`` in space from everything,
    to the sides as well; over a street between high houses it lies above the surface by more than ``clearance_m``.

    Args:
        out_png: written whole or not at all; 1600 pixels wide.

    Raises:
        MapError: the corridor leaves the map, or the map's files are damaged.
        OSError: the picture cannot be written.
    """
    line = flight.intent.corridor.centre_line.enu_m
    beyond = 1.6 * flight.intent.corridor.half_width_m
    reach = max(flown.rules.clearance_m, beyond) + 4 * flown.city_map.resolution_m
    west, south = line[:, :2].min(axis=0) - reach
    east, north = line[:, :2].max(axis=0) + reach
    columns = flown.city_map.window(west, south, east, north)
    clear = lowest_clear(columns.surface_m, columns.cell_m, flown.rules.clearance_m)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line[:, :2], axis=0).T))])
    ground = _with_ends(flown, line, columns, beyond)
    under = ground_under(line, _lifted(columns, clear))

    made = figure(_HEIGHT_IN)
    ax = made.add_axes((0.068, 0.215, 0.914, 0.625))
    quiet_axes(ax)
    colour = flown.colour(flight)
    base, top = _range(flown, flight, ground)
    ceiling = ground.terrain_m + flown.rules.ceiling_above_terrain_m
    _stairs(ax, ground, ground.surface_m, base, SURFACE, 2)
    _stairs(ax, ground, ground.terrain_m, base, TERRAIN, 3)
    edges, below = _edges(ground), _edges(under)
    ax.plot(edges, np.repeat(ceiling, 2), color=DANGER, linewidth=1.6, zorder=5)
    ax.fill_between(edges, np.repeat(ceiling, 2), top, color=DANGER, alpha=0.08, linewidth=0, zorder=1)
    ax.plot(below, np.repeat(under.surface_m, 2), color=_CLEAR, linewidth=1.0, dashes=(1.2, 1.4), zorder=6)
    band = _band(flight, along)
    ax.fill(*np.asarray(band.exterior.coords).T, color=colour, alpha=0.2, linewidth=0, zorder=1.4)
    ax.plot(*np.asarray(band.exterior.coords).T, color=colour, linewidth=0.8, zorder=1.5)
    if flight.flew:
        where = _distance_along(line, along, flight.enu_m)
        ax.plot(where, flight.enu_m[:, 2], color=PAPER, linewidth=3.4, zorder=9)
        ax.plot(where, flight.enu_m[:, 2], color=colour, linewidth=2.2, zorder=10)
        out = ~flight.inside
        ax.plot(where[out], flight.enu_m[out, 2], "o", color=DANGER, markersize=3.6, zorder=16)
    ax.plot(along, line[:, 2], color=PAPER if flight.flew else INK, linewidth=0.9, dashes=(3.5, 3.0), zorder=11)
    ax.set(xlim=(-beyond, along[-1] + beyond), ylim=(base, top))
    ax.set_xlabel("distance along the sky road, m", size=TEXT, color=QUIET)
    ax.set_ylabel(f"height ({flown.city_map.frame.vertical}), m", size=TEXT, color=QUIET)
    _name_ends(ax, flown, flight, along, line)
    heading(made, f"{readable(flight.intent.plan.id, 'Flight')}: {_places(flown, flight)}", _subtitle(flown, flight))
    _legend(made, flown, flight, colour)
    save(made, out_png)


def _with_ends(flown: Flown, line: NDArray[np.float64], columns: Columns, beyond_m: float) -> HeightProfile:
    """The ground under a line and a little beyond both its pads, straight on; not where the map ends before."""
    flat = line[np.concatenate([[True], np.hypot(*np.diff(line[:, :2], axis=0).T) > 0])]
    if len(flat) < 2:
        return ground_under(line, columns)
    ends = []
    for pad, inner in ((flat[0], flat[1]), (flat[-1], flat[-2])):
        ahead = pad[:2] - inner[:2]
        ends.append(np.append(pad[:2] + beyond_m * ahead / np.hypot(*ahead), pad[2]))
    if not all(flown.city_map.contains(*end[:2]) for end in ends):
        return ground_under(line, columns)
    ground = ground_under(np.vstack([ends[0], line, ends[1]]), columns)
    return replace(ground, start_m=ground.start_m - beyond_m, end_m=ground.end_m - beyond_m)


def _lifted(columns: Columns, surface_m: NDArray[np.floating]) -> Columns:
    """The same columns with another surface; what is unlimited near the map's border stays at the surface."""
    heights = np.where(np.isfinite(surface_m), surface_m, columns.surface_m)
    return Columns(columns.origin_m, columns.cell_m, columns.terrain_m, heights, columns.unknown)


def _edges(ground: HeightProfile) -> NDArray[np.float64]:
    return np.column_stack([ground.start_m, ground.end_m]).ravel()


def _stairs(ax: Axes, ground: HeightProfile, heights: NDArray, base: float, colour: str, zorder: int) -> None:
    ax.fill_between(_edges(ground), np.repeat(heights, 2), base, color=colour, linewidth=0, zorder=zorder)


def _range(flown: Flown, flight: FlownFlight, ground: HeightProfile) -> tuple[float, float]:
    """Lowest and highest height shown: the ground, the ceiling and the flight, with a little room."""
    heights = [flight.intent.corridor.centre_line.enu_m[:, 2] + flight.intent.corridor.above_m]
    heights += [ground.surface_m, flight.enu_m[:, 2], ground.terrain_m + flown.rules.ceiling_above_terrain_m]
    low = float(min(ground.terrain_m.min(), flight.enu_m[:, 2].min(initial=np.inf)))
    high = float(np.concatenate(heights).max())
    return low - 0.06 * (high - low), high + 0.06 * (high - low)


def _band(flight: FlownFlight, along: NDArray[np.float64]) -> shapely.Polygon:
    """The corridor cut along its centre line: every height within reach of some point of it, times left aside."""
    corridor = flight.intent.corridor
    reach = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [corridor.half_width_m, 1.0]
    reach[:, 1] = np.where(reach[:, 1] < 0, -corridor.below_m, corridor.above_m)
    knots = np.column_stack([along, corridor.centre_line.enu_m[:, 2]])
    return shapely.union_all(
        [shapely.MultiPoint(np.vstack([a + reach, b + reach])).convex_hull for a, b in itertools.pairwise(knots)]
    )


def _distance_along(
    line: NDArray[np.float64], along: NDArray[np.float64], track: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n,) where along the line each position of a track is: the nearest place that it can have come to.

    A place counts only within what the drone has moved since its last position, and a little more, of the last place;
    so on a way that crosses itself a drone does not jump from one branch to the other.
    """
    a, step, length = line[:-1, :2], np.diff(line[:, :2], axis=0), np.diff(along)
    legs = length > 0
    if not legs.any():
        return np.zeros(len(track))
    a, step, length, begin = a[legs], step[legs], length[legs], along[:-1][legs]
    moved = np.concatenate([[0.0], np.hypot(*np.diff(track[:, :2], axis=0).T)])
    found, last = np.empty(len(track)), 0.0
    for index, place in enumerate(track[:, :2]):
        reach = moved[index] + _SLACK_M
        low, high = np.clip((np.array([last - reach, last + reach])[:, None] - begin) / length, 0.0, 1.0)
        share = np.clip(((place - a) * step).sum(axis=1) / length**2, low, high)
        away = np.hypot(*(a + share[:, None] * step - place).T)
        # A leg out of reach is clipped to one of its ends, which is out of reach too.
        at = begin + share * length
        away[np.abs(at - last) > reach + 1e-9] = np.inf
        last = float(at[np.argmin(away)])
        found[index] = last
    return found


def _places(flown: Flown, flight: FlownFlight) -> str:
    plan = flight.intent.plan
    names = [readable(flown.place_name(place), "pad") for place in (plan.origin, plan.destination)]
    return f"{names[0]} to {names[1]}"


def _subtitle(flown: Flown, flight: FlownFlight) -> str:
    figures = flight_figures(flown, flight)
    if figures is None:
        return f"{flight.decision_line}; not flown"
    parts = [
        f"{figures.distance_m / 1000:.2f} km in {figures.arrival_s - figures.departure_s:.0f} s",
    ]
    if figures.height_error_m is not None:
        parts.append(f"within {max(map(abs, figures.height_error_m)):.1f} m of the planned height on the way")
    if figures.obstacle_m is not None:
        parts.append(f"nothing nearer than {figures.obstacle_m:.1f} m")
    told = "; ".join(parts)
    whole = f"{told}; {flight.decision_line.rstrip('.')}"
    return whole if len(whole) <= SUBTITLE_LETTERS else told  # the page has the decision in full


def _name_ends(ax: Axes, flown: Flown, flight: FlownFlight, along: NDArray, line: NDArray) -> None:
    """Marks on both pads, and their names on top of the corridor's ends, where nothing stands."""
    plan, corridor = flight.intent.plan, flight.intent.corridor
    renderer = ax.get_figure().canvas.get_renderer()
    dots_per_m = ax.transData.transform([(0, 0), (1, 0)])[:, 0]
    for place, end, style, ha, onward in ((plan.origin, 0, "o", "left", 1), (plan.destination, -1, "s", "right", -1)):
        mark = {"markersize": 7, "color": PAPER, "markeredgecolor": INK, "markeredgewidth": 1.6, "zorder": 14}
        ax.plot(along[end], line[end, 2], style, **mark)
        at = along[end] - onward * corridor.half_width_m
        name = ax.annotate(
            readable(flown.place_name(place), "pad"), (at, 0), (0, 4), textcoords="offset points", ha=ha,
            va="bottom", size=SMALL, color=INK, zorder=15, path_effects=HALO,
        )  # fmt: skip
        wide = name.get_window_extent(renderer).width / (dots_per_m[1] - dots_per_m[0])
        under = np.abs(along - at) <= wide
        edge = np.interp(at + onward * wide, along, line[:, 2])
        name.xy = (at, max(float(line[under, 2].max(initial=edge)), edge) + corridor.above_m)


def _legend(made, flown: Flown, flight: FlownFlight, colour: str) -> None:
    corridor = flight.intent.corridor
    rules = flown.rules
    handles = [
        Line2D([], [], color=colour, linewidth=2.4, label="flown"),
        Line2D([], [], color="#555", linewidth=1.2, dashes=(3.5, 3.0), label="planned centre line"),
        Patch(
            facecolor=colour,
            alpha=0.3,
            label=f"corridor, {corridor.below_m:g} m below to {corridor.above_m:g} m above",
        ),
        Line2D(
            [], [], color=DANGER, linewidth=1.6, label=f"ceiling: {rules.ceiling_above_terrain_m:g} m above terrain"
        ),
        Line2D(
            [], [], color=_CLEAR, linewidth=1.4, dashes=(1.2, 1.4), label=f"{rules.clearance_m:g} m clear of everything"
        ),
        Patch(facecolor=SURFACE, label="surface: roofs, trees, wires"),
        Patch(facecolor=TERRAIN, label="terrain"),
    ]
    if flight.flew and not flight.inside.all():
        handles.append(Line2D([], [], marker="o", linewidth=0, color=DANGER, markersize=4.5, label="outside"))
    legend(made, handles, [handle.get_label() for handle in handles], 4)
