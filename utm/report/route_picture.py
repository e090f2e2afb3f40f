"""A planned way as one picture: from above over the city, and cut open along it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch, Rectangle
from matplotlib.path import Path as Outline

from utm.mapping.view import ZONE_COLOURS, draw_base, draw_zones, readable
from utm.model import GeoZone
from utm.report.canvas import (
    DANGER,
    HALO,
    INK,
    PAPER,
    QUIET,
    SMALL,
    SURFACE,
    TERRAIN,
    TEXT,
    WIDTH_IN,
    figure,
    heading,
    legend,
    place_labels,
    quiet_axes,
    save,
)
from utm.report.plan_picture import ARROW, arrows_along, box_around, clear_of, outline_of
from utm.report.way import Crossing, Cut, Way, cut_along, zone_outline

_HEAD_IN, _SIDE_IN, _GAP_IN, _PROFILE_IN = 0.68, 0.30, 0.58, 2.75
#: Under the profile: its axis, and each row of the legend.
_AXIS_IN, _ROW_IN, _COLUMNS = 0.48, 0.195, 4
_PROFILE_LEFT, _PROFILE_RIGHT = 0.068, 0.982
_MARGIN_M = 220.0
#: Dark to bright, without the palest end, which would be lost on pale ground.
HEIGHTS: Colormap = LinearSegmentedColormap.from_list("heights", colormaps["plasma"](np.linspace(0.0, 0.88, 64)))
_CLEAR = "#8a5a00"
_HELPS, _HINDERS = "#00756b", "#a3211a"
#: Wind that is drawn at so many places along the way.
_WIND_MARKS = 9


def route_picture(way: Way, out_png: str | Path) -> None:
    """Draw a way from above, coloured by its height above ground, and below that the air along it.

    Args:
        out_png: written whole or not at all; 1600 pixels wide.

    Raises:
        MapError: the way leaves the map, or the map's files are damaged.
        OSError: the picture cannot be written.
    """
    save(route_figure(way), out_png)


def route_figure(way: Way) -> Figure:
    """The picture, not yet written. Raises MapError."""
    cut = cut_along(way)
    points = np.concatenate([way.line.enu_m[:, :2], np.reshape(way.way_points(), (-1, 2))])
    box = box_around(points, np.array(way.city_map.extent_m), _MARGIN_M)
    wide = WIDTH_IN - 2 * _SIDE_IN
    tall = wide * float(np.clip((box[3] - box[1]) / (box[2] - box[0]), 0.2, 1.0))
    shown = [zone for zone in way.zones if zone_outline(way.city_map, zone).intersects(shapely.box(*box))]
    foot = _AXIS_IN + _ROW_IN * math.ceil(_legend_entries(way, cut, shown) / _COLUMNS)
    below = foot + _PROFILE_IN + _GAP_IN
    made = figure(_HEAD_IN + tall + below)
    height = made.get_figheight()
    plan = made.add_axes((_SIDE_IN / WIDTH_IN, below / height, wide / WIDTH_IN, tall / height))
    plan.set_label("plan")
    side = made.add_axes(
        (_PROFILE_LEFT, foot / height, _PROFILE_RIGHT - _PROFILE_LEFT, _PROFILE_IN / height), label="profile"
    )
    shades = Normalize(*heights_shown(way, cut))
    draw_base(plan, way.city_map, water=way.water, box=box, max_cells=1600)
    zones = _draw_zones(plan, way, shown)
    _draw_way(plan, way, cut, shades)
    _draw_profile(side, way, cut, shades)
    _height_key(plan, shades)
    _draw_wind(plan, way)
    heading(made, way.title, subtitle(way))
    _legend(made, way, cut, zones)
    return made


def subtitle(way: Way) -> str:
    """The figures that matter, on one line."""
    told, kept = way.document, way.document["clearances"]
    minutes, seconds = divmod(round(told["flight_s"]), 60)
    return (
        f"{told['length_m']:,.0f} m, {told['over_ground_m'] / told['straight_m'] - 1:+.1%} against the straight line; "
        f"{minutes} min {seconds:02d} s; {told['energy']['used_wh']:.1f} of {told['energy']['usable_wh']:.0f} Wh; "
        f"{kept['obstacle_m']:.0f} m from every object, {kept['ceiling_m']:.0f} m below the ceiling" + weighed(told)
    )


def weighed(told: Mapping[str, Any]) -> str:
    """Which cost layers bent the way: they are not drawn."""
    names = [layer["name"] for layer in told["layers"]]
    if not names:
        return ""
    return f"; weighed by {', '.join(names[:2])}" + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def heights_shown(way: Way, cut: Cut) -> tuple[float, float]:
    """Lowest and highest colour: heights above ground between the columns, in full tens."""
    agl = way.heights_at(cut.along_m) - cut.terrain_m
    low, high = np.floor(agl.min() / 10) * 10, np.ceil(agl.max() / 10) * 10
    return float(low), float(max(high, low + 20))


def _draw_zones(ax: Axes, way: Way, shown: Sequence[GeoZone]) -> list[Patch]:
    """Zones with names; hatched those that the way was led around."""
    before = len(ax.texts)
    handles = draw_zones(ax, shown, way.city_map.frame)
    roads = np.concatenate([shapely.get_coordinates(part.segmentize(15.0)) for part in (way.outline, way.track)])
    clear_of(ax, shown, way.city_map.frame, ax.texts[before:], roads)
    for zone in shown:
        if zone.id in way.avoided:
            ring = np.asarray(zone_outline(way.city_map, zone).exterior.coords)
            ax.add_patch(
                PathPatch(
                    Outline(ring, closed=True),
                    fill=False,
                    hatch="///",
                    linewidth=0,
                    edgecolor=ZONE_COLOURS[zone.restriction],
                    alpha=0.45,
                    zorder=3.1,
                )
            )
    if any(zone.id in way.avoided for zone in shown):
        handles.append(Patch(facecolor="none", edgecolor=QUIET, hatch="/////", linewidth=0, label="Kept out of"))
    return handles


def _draw_way(ax: Axes, way: Way, cut: Cut, shades: Normalize) -> None:
    line = way.line.enu_m[:, :2]
    footprint = outline_of(way.outline)
    ax.add_patch(PathPatch(footprint, facecolor=PAPER, alpha=0.42, linewidth=0, zorder=5))
    ax.add_patch(PathPatch(footprint, facecolor="none", edgecolor=INK, linewidth=0.8, alpha=0.75, zorder=5.1))
    places = shapely.get_coordinates(shapely.line_interpolate_point(shapely.LineString(line), cut.along_m))
    agl = way.heights_at(cut.along_m) - cut.terrain_m
    ax.plot(*line.T, color=PAPER, linewidth=5.0, solid_capstyle="round", solid_joinstyle="round", zorder=5.2)
    pieces = np.stack([places[:-1], places[1:]], axis=1)
    ax.add_collection(
        LineCollection(
            list(pieces),
            array=(agl[:-1] + agl[1:]) / 2,
            cmap=HEIGHTS,
            norm=shades,
            linewidth=3.4,
            capstyle="round",
            zorder=5.3,
        )
    )
    for place, turn in arrows_along(line, (ax.get_xlim()[1] - ax.get_xlim()[0]) / 8):
        spin = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        mark = Outline(np.vstack([ARROW @ spin, ARROW[:1] @ spin]), closed=True)
        ax.plot(*place, marker=mark, markersize=9, color=INK, markeredgecolor=PAPER, markeredgewidth=0.8, zorder=5.7)
    ends = {"markersize": 9, "color": PAPER, "markeredgecolor": INK, "markeredgewidth": 2.2, "zorder": 5.9}
    ax.plot(*line[0], "o", **ends)
    ax.plot(*line[-1], "s", **ends)
    labels = [("take-off", *line[0], INK), ("landing", *line[-1], INK)]
    for number, (east, north) in enumerate(way.way_points(), 1):
        ax.plot(east, north, "D", **ends | {"markersize": 7})
        labels.append((f"way point {number}", east, north, INK))
    edge = shapely.get_coordinates(shapely.boundary(way.outline).segmentize(15.0))
    place_labels(ax, labels, np.concatenate([places, edge]))


def _height_key(ax: Axes, shades: Normalize) -> None:
    """What the colours of the way mean, in the south-west corner."""
    inset = ax.inset_axes((0.022, 0.05, 0.2, 0.022), zorder=11)
    inset.set_label("height above ground")
    inset.imshow(np.linspace(0, 1, 256)[None], cmap=HEIGHTS, aspect="auto", extent=(shades.vmin, shades.vmax, 0, 1))
    inset.set_yticks([])
    inset.set_xticks(np.linspace(shades.vmin, shades.vmax, 3))
    inset.xaxis.set_major_formatter("{x:.0f}")
    inset.tick_params(labelsize=SMALL - 0.5, colors=INK, length=2, pad=1.5)
    for text in inset.get_xticklabels():
        text.set_path_effects(list(HALO))
    inset.set_title("Height above ground, m", size=SMALL, color=INK, pad=3, loc="left", path_effects=HALO)


def _draw_wind(ax: Axes, way: Way) -> None:
    """One arrow in the north-west corner, blowing as the air does at the highest point of the way."""
    told = way.document["wind"]
    if told is None:
        return
    goes = np.radians(90.0 - told["from_deg"]) + np.pi
    dx, dy = 0.5 * np.cos(goes), 0.5 * np.sin(goes)
    inset = ax.inset_axes((0.018, 0.985 - 0.13, 0.07, 0.13), zorder=11)
    inset.set_label("wind")
    inset.set(xlim=(-1, 1), ylim=(-1, 1), aspect="equal")
    inset.axis("off")
    inset.annotate(
        "", (1.5 * dx, 1.5 * dy), (-1.5 * dx, -1.5 * dy), path_effects=HALO,
        arrowprops={"arrowstyle": "-|>,head_width=0.32,head_length=0.7", "color": "#0b5fa5", "linewidth": 2.4},
    )  # fmt: skip
    ax.annotate(
        f"wind {told['speed_m_s']:g} m/s\nfrom {told['from_deg']:g}°", (0.092, 0.965), xycoords="axes fraction",
        size=SMALL, color="#0b5fa5", weight="bold", va="top", path_effects=HALO, zorder=11,
    )  # fmt: skip


def _draw_profile(ax: Axes, way: Way, cut: Cut, shades: Normalize) -> None:
    quiet_axes(ax)
    along, line = way.along_m, way.line.enu_m
    lowest = np.where(np.isfinite(cut.lowest_m), cut.lowest_m, np.nan)
    low = float(min(cut.terrain_m.min(), line[:, 2].min()))
    high = float(max(cut.ceiling_m.max(), line[:, 2].max(), np.nanmax(cut.surface_m)))
    base, top = low - 0.05 * (high - low), high + (0.2 if way.document["wind"] else 0.1) * (high - low)
    ax.fill_between(cut.along_m, cut.surface_m, base, color=SURFACE, linewidth=0, step="mid", zorder=2)
    ax.fill_between(cut.along_m, cut.terrain_m, base, color=TERRAIN, linewidth=0, step="mid", zorder=3)
    free = np.where(lowest <= cut.highest_m, cut.highest_m, lowest)
    ax.fill_between(cut.along_m, lowest, free, color="#cfe8d5", alpha=0.55, linewidth=0, zorder=1)
    ax.fill_between(cut.along_m, cut.ceiling_m, top, color=DANGER, alpha=0.08, linewidth=0, zorder=1)
    ax.plot(cut.along_m, cut.ceiling_m, color=DANGER, linewidth=1.5, zorder=5)
    ax.plot(cut.along_m, lowest, color=_CLEAR, linewidth=1.1, dashes=(1.6, 1.2), zorder=6)
    unseen = np.where(cut.unknown, base + 0.02 * (top - base), np.nan)
    ax.plot(cut.along_m, unseen, color=INK, linewidth=3, zorder=7)
    for crossing in cut.crossings:
        _draw_crossing(ax, way, crossing, base, top)
    half = way.rules.half_height_m
    level = way.cruise
    ax.fill_between(
        along[level], line[level, 2] - half, line[level, 2] + half, color=INK, alpha=0.14, linewidth=0, zorder=8
    )
    knots = np.column_stack([along, line[:, 2]])
    stations = np.unique(np.concatenate([along[level], cut.along_m]))
    ups = np.interp(stations, along[level], line[level, 2])
    agl = ups - np.interp(stations, cut.along_m, cut.terrain_m)
    ax.plot(*knots.T, color=INK, linewidth=2.0, zorder=9.5)  # the columns, and what stands upright
    flat = np.column_stack([stations, ups])
    steps = np.abs(np.diff(ups)) <= 4 * np.diff(stations) + 1e-6
    ax.add_collection(
        LineCollection(
            list(np.stack([flat[:-1], flat[1:]], axis=1)[steps]),
            array=((agl[:-1] + agl[1:]) / 2)[steps],
            cmap=HEIGHTS,
            norm=shades,
            linewidth=2.8,
            capstyle="round",
            zorder=10,
        )
    )
    ends = {"markersize": 7, "color": PAPER, "markeredgecolor": INK, "markeredgewidth": 1.6, "zorder": 14}
    ax.plot(along[0], line[0, 2], "o", **ends)
    ax.plot(along[-1], line[-1, 2], "s", **ends)
    for number, place in enumerate(way.way_points(), 1):
        at, up = way.along_of(*place), way.way_point_up(number - 1)
        ax.plot(at, up, "D", **ends | {"markersize": 6})
        ax.annotate(
            f"{number}", (at, up), (0, 7), textcoords="offset points",
            ha="center", size=SMALL, color=INK, path_effects=HALO, zorder=15,
        )  # fmt: skip
    room = 0.012 * max(along[-1], 1.0)
    ax.set(xlim=(-room, along[-1] + room), ylim=(base, top))
    ax.set_xlabel("distance along the way, m", size=TEXT, color=QUIET)
    ax.set_ylabel(f"height ({way.city_map.frame.vertical}), m", size=TEXT, color=QUIET)
    if way.document["wind"]:
        _wind_along(ax, way, top - 0.065 * (top - base))


def _draw_crossing(ax: Axes, way: Way, crossing: Crossing, base: float, top: float) -> None:
    """The part of the cut that a zone takes, named."""
    zone, colour = crossing.zone, ZONE_COLOURS[crossing.zone.restriction]
    low, high = max(crossing.lower_up_m, base), min(crossing.upper_up_m, top)
    wide = crossing.to_m - crossing.from_m
    if high <= low:
        return
    ax.add_patch(
        Rectangle(
            (crossing.from_m, low),
            wide,
            high - low,
            facecolor=colour + "14",
            edgecolor=colour,
            linewidth=1.0,
            linestyle="-" if zone.id in way.avoided else (0, (5, 2.5)),
            zorder=4,
        )
    )
    at = 0.5 * (crossing.from_m + crossing.to_m)
    ax.annotate(
        readable(zone.name, zone.id), (at, high), (0, -3), textcoords="offset points", ha="center", va="top",
        size=SMALL - 0.5, color=colour, weight="bold", path_effects=HALO, zorder=13, annotation_clip=True,
    )  # fmt: skip


def _wind_along(ax: Axes, way: Way, height: float) -> None:
    """The wind along the way: arrows to the right push, arrows to the left hold back."""
    along = way.along_m
    at = (np.arange(_WIND_MARKS) + 0.5) / _WIND_MARKS * along[-1]
    push = way.push_at(at)
    long = 0.075 * along[-1] * push / max(np.abs(push).max(), 1e-9)
    for place, reach, speed in zip(at, long, push, strict=True):
        speed = round(float(speed)) + 0.0  # no minus before a nought
        colour = _HELPS if speed >= 0 else _HINDERS
        if speed:
            ax.annotate(
                "", (place + reach / 2, height), (place - reach / 2, height), zorder=12,
                arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 1.6, "shrinkA": 0, "shrinkB": 0},
            )  # fmt: skip
        ax.annotate(
            f"{speed:+.0f} m/s".replace("-", "\N{MINUS SIGN}"), (place, height), (0, 4), textcoords="offset points",
            ha="center", size=SMALL - 0.5, color=colour, path_effects=HALO, zorder=12,
        )  # fmt: skip


def _legend_entries(way: Way, cut: Cut, shown: Sequence[GeoZone]) -> int:
    """How many lines `_legend` will have."""
    kinds, led_around = {zone.restriction for zone in shown}, any(zone.id in way.avoided for zone in shown)
    return 9 + bool(way.plan.waypoints) + bool(cut.unknown.any()) + len(kinds) + led_around


def _legend(made: Figure, way: Way, cut: Cut, zones: Sequence[Patch]) -> None:
    rules = way.rules
    ring = {"linewidth": 0, "color": PAPER, "markeredgecolor": INK, "markersize": 7}
    handles: list = [
        Line2D([], [], color=HEIGHTS(0.5), linewidth=3.0, label="the way"),
        Patch(facecolor=INK + "24", edgecolor=INK, linewidth=0.6, label=f"corridor, {2 * rules.half_width_m:g} m wide"),
        Line2D([], [], marker="o", **ring, label="take-off"),
        Line2D([], [], marker="s", **ring, label="landing"),
    ]
    if way.plan.waypoints:
        handles.append(Line2D([], [], marker="D", **ring, label="way point"))
    handles += [
        Line2D(
            [], [], color=DANGER, linewidth=1.6, label=f"ceiling: {rules.ceiling_above_terrain_m:g} m above terrain"
        ),
        Line2D([], [], color=_CLEAR, linewidth=1.4, dashes=(1.6, 1.2), label=f"floor: {rules.clearance_m:g} m clear"),
        Patch(facecolor="#cfe8d5", label="where the centre line may be"),
        Patch(facecolor=SURFACE, label="surface across the corridor"),
        Patch(facecolor=TERRAIN, label="terrain"),
    ]
    if cut.unknown.any():
        handles.append(Line2D([], [], color=INK, linewidth=3, label="not surveyed below"))
    handles += zones
    legend(made, handles, [handle.get_label() for handle in handles], _COLUMNS)
