"""The plan view: the city from above, the sky roads granted in it, and what was flown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path as Outline
from matplotlib.text import Text
from numpy.typing import NDArray

from utm.frames import LocalFrame
from utm.mapping.view import draw_base, draw_zones, readable
from utm.model import GeoZone, Waypoint
from utm.report.canvas import (
    DANGER,
    GRANTED,
    HALO,
    INK,
    PAPER,
    WIDTH_IN,
    figure,
    heading,
    legend,
    place_labels,
    save,
    within,
)
from utm.report.figures import Pair, pairs
from utm.report.flown import Flown, FlownFlight

_MARGIN_M = 280.0
#: A pad this near to the end of a road is that end.
_SAME_PAD_M = 5.0
_HEAD_IN, _FOOT_IN, _SIDE_IN = 0.68, 0.88, 0.30
#: Height of the picture as a share of its width.
_FLATTEST, _TALLEST = 0.42, 0.8
#: Flights with a line of their own in the legend.
_MOST_NAMED = 6
#: Corners of an arrowhead that points east, in points.
ARROW = np.array([[6.0, 0.0], [-4.0, 4.2], [-2.0, 0.0], [-4.0, -4.2]])


def plan_view(flown: Flown, out_png: str | Path) -> None:
    """Draw the city, zones, sky roads, planned and flown tracks, pads and refused wishes from above.

    Args:
        out_png: written whole or not at all; 1600 pixels wide.

    Raises:
        MapError: the map's files are damaged.
        OSError: the picture cannot be written.
    """
    box = _extent(flown)
    wide = WIDTH_IN - 2 * _SIDE_IN
    tall = wide * float(np.clip((box[3] - box[1]) / (box[2] - box[0]), _FLATTEST / 2, 1.2))
    made = figure(tall + _HEAD_IN + _FOOT_IN)
    height = made.get_figheight()
    ax = made.add_axes((_SIDE_IN / WIDTH_IN, _FOOT_IN / height, wide / WIDTH_IN, tall / height))
    draw_base(ax, flown.city_map, water=flown.water, box=box)
    before = len(ax.texts)
    zones = draw_zones(ax, flown.zones, flown.city_map.frame)
    clear_of(ax, flown.zones, flown.city_map.frame, ax.texts[before:], _roads(flown))
    for flight in flown.flights:
        _draw_road(ax, flight, flown.colour(flight), (box[2] - box[0]) / 9)
    worst = next((pair for pair in pairs(flown) if pair.closest is not None), None)
    if worst is not None:
        _draw_closest(ax, worst)
    _label(ax, flown, worst)
    heading(made, flown.title, _subtitle(flown))
    _legend(made, flown, zones)
    save(made, out_png)


def _extent(flown: Flown) -> tuple[float, float, float, float]:
    """West, south, east, north of all that is to be seen, with a margin, in metres."""
    frame = flown.city_map.frame
    seen = [flight.intent.corridor.centre_line.enu_m[:, :2] for flight in flown.flights]
    seen += [flight.enu_m[:, :2] for flight in flown.flights]
    points = [(lon, lat) for _, lon, lat in flown.places]
    for refused in flown.refused:
        plans = [refused.plan, refused.alternative] if refused.alternative else [refused.plan]
        points += [(end.lon_deg, end.lat_deg) for plan in plans for end in (plan.origin, plan.destination)]
    if points:
        seen.append(np.column_stack(frame.to_map(*np.array(points).T)))
    whole = np.array(flown.city_map.extent_m)
    if not seen:
        return 0.0, 0.0, *whole.tolist()
    return box_around(np.concatenate(seen), whole, _MARGIN_M)


def box_around(
    points_m: NDArray[np.float64], whole_m: NDArray[np.float64], margin_m: float
) -> tuple[float, float, float, float]:
    """West, south, east, north of a part of a map (of (2,) ``whole_m``) that shows all points and suits a page."""
    # What lies off the map, such as a destination refused for that, does not stretch the picture.
    whole = np.asarray(whole_m, np.float64)
    low, high = (np.clip(e, 0.0, whole) for e in (points_m.min(axis=0) - margin_m, points_m.max(axis=0) + margin_m))
    # Grown to a shape that suits a page, and pushed back onto the map.
    size = high - low
    size = np.minimum(np.maximum(size, [size[1] / _TALLEST, size[0] * _FLATTEST]), whole)
    low = np.clip((low + high - size) / 2, 0.0, whole - size)
    return *low.tolist(), *(low + size).tolist()


def clear_of(
    ax: Axes, zones: Sequence[GeoZone], to: LocalFrame, names: Sequence[Text], roads_m: NDArray[np.float64]
) -> None:
    """Move a zone's name from above the zone into it or below it where a road (points (n, 2)) would run through the
    words, or the picture end in them."""
    renderer = ax.get_figure().canvas.get_renderer()
    frame, roads = ax.get_window_extent(renderer), ax.transData.transform(roads_m)
    for zone, name in zip(zones, names, strict=True):
        lon, lat = np.array(zone.outline_deg, np.float64).T
        corners = np.column_stack(to.to_map(lon, lat))
        (west, south), (east, north) = corners.min(axis=0), corners.max(axis=0)
        spots = [
            ((x, y), (0, up), va)
            for y, up, va in ((north, 3, "bottom"), (south, -3, "top"), ((south + north) / 2, 0, "center"))
            for x in (corners[:, 0].mean(), west + (east - west) / 4, east - (east - west) / 4)
        ]
        costs = []
        for spot in spots:
            box = _moved(name, spot).get_window_extent(renderer)
            cut = box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1
            costs.append(within(box, roads) + 1000 * cut)
        _moved(name, spots[int(np.argmin(costs))])


def _moved(name: Text, spot: tuple[tuple[float, float], tuple[float, float], str]) -> Text:
    name.xy, name.xyann, align = spot
    name.set_va(align)
    return name


def _roads(flown: Flown) -> NDArray[np.float64]:
    """(n, 2) places in metres along the edges and the middle of every road, close enough that no word hides one."""
    found = [np.empty((0, 2))]
    for flight in flown.flights:
        line = shapely.LineString(flight.intent.corridor.centre_line.enu_m[:, :2])
        edge = line.buffer(flight.intent.corridor.half_width_m).boundary
        found += [shapely.get_coordinates(part.segmentize(15.0)) for part in (line, edge)]
    return np.concatenate(found)


def _draw_road(ax: Axes, flight: FlownFlight, colour: str, arrow_every_m: float) -> None:
    corridor = flight.intent.corridor
    line = corridor.centre_line.enu_m[:, :2]
    footprint = shapely.LineString(line).buffer(corridor.half_width_m)
    ax.add_patch(PathPatch(outline_of(footprint), facecolor=colour, alpha=0.26, linewidth=0, zorder=5))
    ax.add_patch(PathPatch(outline_of(footprint), facecolor="none", edgecolor=colour, linewidth=0.9, zorder=5.1))
    track = flight.enu_m[:, :2] if flight.flew else line[:0]
    ax.plot(*track.T, color=PAPER, linewidth=3.6, solid_capstyle="round", zorder=5.2)
    ax.plot(*track.T, color=colour, linewidth=2.4, solid_capstyle="round", zorder=5.3)
    ax.plot(*line.T, color=PAPER if flight.flew else colour, linewidth=0.9, dashes=(3.5, 3.0), zorder=5.4)
    for place, heading_rad in arrows_along(line, arrow_every_m):
        turn = np.array([[np.cos(heading_rad), np.sin(heading_rad)], [-np.sin(heading_rad), np.cos(heading_rad)]])
        ax.plot(
            *place,
            marker=Outline(np.vstack([ARROW @ turn, ARROW[:1] @ turn]), closed=True),
            markersize=9,
            color=colour,
            markeredgecolor=PAPER,
            markeredgewidth=0.8,
            zorder=5.7,
        )
    out = flight.enu_m[~flight.inside, :2]
    ax.plot(*out.T, "o", markersize=4, color=DANGER, markeredgewidth=0, zorder=6.05)
    for index, style in ((0, "o"), (-1, "s")):
        ax.plot(*line[index], style, markersize=8, color=PAPER, markeredgecolor=colour, markeredgewidth=2.4, zorder=5.9)


def outline_of(area: shapely.Polygon) -> Outline:
    """An area as a path to be filled, its holes left out."""
    rings = [np.asarray(ring.coords) for ring in (area.exterior, *area.interiors)]
    return Outline.make_compound_path(*(Outline(ring, closed=True) for ring in rings))


def arrows_along(line: NDArray[np.float64], every_m: float) -> list[tuple[NDArray[np.float64], float]]:
    """Places along a line, about ``every_m`` apart, away from its ends, with the direction there."""
    way = shapely.LineString(line)
    count = max(1, round(way.length / every_m))
    found = []
    for share in (np.arange(count) + 0.5) / count:
        behind, ahead = (np.array(way.interpolate(share * way.length + off).coords[0]) for off in (-0.5, 0.5))
        east, north = ahead - behind
        found.append(((behind + ahead) / 2, float(np.arctan2(north, east))))
    return found


def _at(flight: FlownFlight, t_s: float) -> NDArray[np.float64]:
    return np.array([np.interp(t_s, flight.t_s, flight.enu_m[:, k]) for k in range(2)])


def _draw_closest(ax: Axes, pair: Pair) -> None:
    ends = np.array([_at(pair.a, pair.closest.t_s), _at(pair.b, pair.closest.t_s)])
    ax.plot(*ends.T, color=INK, linewidth=1.1, zorder=6, path_effects=HALO)
    ax.plot(*ends.T, "o", markersize=4.5, color=INK, markeredgecolor=PAPER, markeredgewidth=0.8, zorder=6.1)


def _label(ax: Axes, flown: Flown, worst: Pair | None) -> None:
    """Names of pads, marks of refused wishes, the closest moment: none over another, few over a road."""
    to_map = flown.city_map.frame.to_map
    labels: list[tuple[str, float, float, str]] = []
    moves: list[NDArray[np.float64]] = []
    for refused in flown.refused:
        wish, name = refused.plan.destination, readable(refused.plan.id, "a plan")
        x, y = _mark(ax, to_map, wish, "X", DANGER)
        labels.append((f"{name} refused", x, y, DANGER))
        granted = refused.alternative.destination if refused.alternative else wish
        if (granted.lon_deg, granted.lat_deg) != (wish.lon_deg, wish.lat_deg):
            there = _mark(ax, to_map, granted, "P", GRANTED)
            arrow = {"arrowstyle": "-|>", "color": GRANTED, "linewidth": 1.4, "shrinkA": 6, "shrinkB": 6}
            ax.annotate("", there, (x, y), arrowprops=arrow, zorder=6.2)
            labels.append(("would be granted", *there, GRANTED))
            moves.append(np.linspace((x, y), there, 20))
    if worst is not None:
        x, y = (_at(worst.a, worst.closest.t_s) + _at(worst.b, worst.closest.t_s)) / 2
        distances = f"{worst.closest.horizontal_m:.0f} m across, {worst.closest.vertical_m:.0f} m in height"
        labels.append((f"least separation:\n{distances}", float(x), float(y), INK))
    ends = [flight.intent.corridor.centre_line.enu_m[end, :2] for flight in flown.flights for end in (0, -1)]
    for name, lon, lat in flown.places:
        x, y = (float(value) for value in to_map(lon, lat))
        if all(np.hypot(x - east, y - north) > _SAME_PAD_M for east, north in ends):
            ax.plot(x, y, "o", markersize=5.5, color=PAPER, markeredgecolor=INK, markeredgewidth=1.3, zorder=5.8)
        labels.append((readable(name, "pad"), x, y, INK))
    (west, east), (south, north) = ax.get_xlim(), ax.get_ylim()
    seen = [label for label in labels if west <= label[1] <= east and south <= label[2] <= north]
    place_labels(ax, seen, np.concatenate([_roads(flown), *moves]))


def _mark(ax: Axes, to_map: Callable, place: Waypoint, style: str, colour: str) -> tuple[float, float]:
    x, y = (float(value) for value in to_map(place.lon_deg, place.lat_deg))
    ax.plot(x, y, style, markersize=10, color=colour, markeredgecolor=PAPER, markeredgewidth=1.2, zorder=6.3)
    return x, y


def _subtitle(flown: Flown) -> str:
    rules = flown.rules
    return (
        f"sky roads {2 * rules.half_width_m:g} m wide and {2 * rules.half_height_m:g} m high,"
        f" {rules.clearance_m:g} m from every object, below {rules.ceiling_above_terrain_m:g} m above ground"
    )


def _legend(made: Figure, flown: Flown, zones: Sequence[Patch]) -> None:
    handles: list = []
    for flight in flown.flights[:_MOST_NAMED]:
        colour, name = flown.colour(flight), readable(flight.intent.plan.id, "a flight")
        road = Line2D([], [], color=colour, alpha=0.3, linewidth=9, solid_capstyle="butt")
        handles.append(((road, Line2D([], [], color=colour, linewidth=2.4)), f"{name}: sky road, flown"))
    if len(flown.flights) > _MOST_NAMED:
        handles.append((Line2D([], [], linewidth=0), f"and {len(flown.flights) - _MOST_NAMED} more flights"))
    ring = {"linewidth": 0, "color": PAPER, "markeredgecolor": INK, "markersize": 7}
    handles.append((Line2D([], [], color="#555", linewidth=1.2, dashes=(3.5, 3.0)), "planned centre line"))
    handles.append((Line2D([], [], marker="o", **ring), "take-off"))
    handles.append((Line2D([], [], marker="s", **ring), "landing"))
    if any(not flight.inside.all() for flight in flown.flights):
        handles.append((Line2D([], [], marker="o", linewidth=0, color=DANGER, markersize=4.5), "outside its corridor"))
    handles += [(zone, zone.get_label()) for zone in zones]
    legend(made, [handle for handle, _ in handles], [text for _, text in handles], 4)
