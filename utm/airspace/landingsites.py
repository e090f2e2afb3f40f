"""Where a flight may come down in need: open, level, known ground beside its way, and straight room to fly there.

A site is the middle of a column of the map. Within the pad radius around it everything is known, bare and level, so
the column of air above it is clear by the rule for pads, with room to spare; at some height above it flight is legal.
"""

from __future__ import annotations

import itertools
import math
import threading
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.airspace.places import Place
from utm.airspace.space import Skies
from utm.airspace.stretches import Stretch, union
from utm.airspace.zones import keep_out
from utm.core import Columns, KeepOut, lowest_clear
from utm.core.waysout import open_ground, triangle_clear, triangle_kept_out
from utm.model import GeoZone, Trajectory

#: PX4 uses at most 8 rally points.
MOST_SITES = 8
#: Bare ground: nothing that the survey saw rises higher than grass.
_COVER_M = 0.5
#: Level enough to stand on: this much over the whole of the pad.
_ROUGH_M = 1.0
#: A site farther from the way than this is none.
_REACH_M = 400.0
#: Of every square of this size one site is looked at.
_EVERY_M = 16.0
#: A place of the way that is this near to a site or a pad needs no other.
_NEAR_ENOUGH_M = 40.0
#: How many sites are tried for one place of the way, and how many places.
_MOST_TRIED = 16
_MOST_PLACES = 3 * MOST_SITES
#: Clients of the sites: places of the way so far apart.
_STEP_M = 20.0
#: A long way is looked at in parts of this length.
_PART_M = 800.0
#: Windows that are held prepared for one map under one rule set (13 bytes a column).
_MOST_PREPARED = 8

Site = tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """A window of the map as ways out ask it, prepared once."""

    columns: Columns
    lowest_m: NDArray[np.float32]
    """(nx, ny) lowest height that keeps the rules' clearance, ``up``."""
    highest_m: NDArray[np.float64]
    """(nx, ny) highest height of a centre line, ``up``."""
    open: NDArray[np.bool_]
    """(nx, ny) open, level, known ground: something may come down in the middle of the column."""
    sites_m: NDArray[np.float64]
    """(n, 3) open ground under legal sky: at most one site in each square of 16 m."""

    def holds(self, points_m: NDArray[np.float64]) -> bool:
        """Whether the window, less a column at its border, holds points (n, 2 or more)."""
        low = self.columns.origin_m + self.columns.cell_m
        high = self.columns.origin_m + (np.array(self.columns.shape) - 1) * self.columns.cell_m
        return bool((points_m[:, :2] >= low).all() and (points_m[:, :2] <= high).all())


_prepared: weakref.WeakKeyDictionary[Skies, dict[tuple[float, ...], Ground]] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def ground_of(skies: Skies, columns: Columns, lowest_m: NDArray[np.float32]) -> Ground:
    """Prepare a window."""
    rules = skies.rules
    highest = columns.terrain_m + (rules.ceiling_above_terrain_m - rules.half_height_m)
    bare = open_ground(columns, rules.pad_radius_m, _ROUGH_M, _COVER_M)
    every = max(round(_EVERY_M / columns.cell_m), 1)
    cells = np.argwhere(bare & (lowest_m + skies.cell_m <= highest))
    _, first = np.unique(cells // every, axis=0, return_index=True)
    i, j = cells[first].T
    places = columns.origin_m + (cells[first] + 0.5) * columns.cell_m
    return Ground(
        columns, lowest_m, highest, bare, np.column_stack([places, columns.surface_m[i, j].astype(np.float64)])
    )


class Surroundings:
    """The ground and the zones around one flight.

    Args:
        places: pads and way points, by which the flight's window is known.
        way_m: (n, 3) its corners.
        zones: those that its ways out must stay out of.
    """

    def __init__(
        self, skies: Skies, places: Sequence[Place], way_m: NDArray[np.float64], zones: Sequence[GeoZone]
    ) -> None:
        self._skies, self._places, self._zones = skies, tuple(places), tuple(zones)
        self.grounds = self._long(way_m) if skies.is_long(places) else (self._town(),)
        self._outs: dict[tuple[int, str], KeepOut] = {}

    def clear(self, points_m: NDArray[np.float64], goal_m: NDArray[np.float64], low_m: float, high_m: float) -> bool:
        """Whether all that lies straight between a line over the ground (n, 2) and a goal (2,), at every height from
        ``low_m`` to ``high_m``, keeps the rules' clearance, the ceiling and off the zones."""
        found = next((g for g in self.grounds if g.holds(np.vstack([points_m, goal_m]))), None)
        if found is None:
            return False
        return all(
            triangle_clear(found.columns, found.lowest_m, found.highest_m, triangle, low_m, high_m)
            and not self._in_zone(found, triangle, low_m, high_m)
            for triangle in _triangles(points_m, goal_m)
        )

    def crossed(self, way_m: NDArray[np.float64], zones: Sequence[GeoZone]) -> GeoZone | None:
        """The first of some zones that takes a part of a way (n, 3)."""
        for a, b in itertools.pairwise(way_m):
            ends = np.stack([a, b])
            low, high = float(ends[:, 2].min()), float(ends[:, 2].max())
            for found in self.grounds:
                for zone in zones:
                    out = self._out(found, zone)
                    if triangle_kept_out(found.columns, out, [a[:2], b[:2], b[:2]], low, high):
                        return zone
        return None

    def down(self, site_m: Site, from_m: float) -> bool:
        """Whether no zone takes any of the column from a height down to a site."""
        point = np.array(site_m[:2])
        return not any(
            self._in_zone(found, np.stack([point] * 3), site_m[2], from_m)
            for found in self.grounds
            if found.holds(point[None])
        )

    def open_below(self, line: Trajectory, in_columns_s: Stretch) -> tuple[Stretch, ...]:
        """When a flight is over open ground, or over its own pads, to half a column's length."""
        cell = self.grounds[0].columns.cell_m
        times = [line.t_s[:1]]
        for a, b, begin, end in zip(line.enu_m, line.enu_m[1:], line.t_s, line.t_s[1:], strict=False):
            pieces = max(math.ceil(2.0 * float(np.hypot(*(b - a)[:2])) / cell), 1)
            times.append(begin + (end - begin) * np.arange(1, pieces + 1) / pieces)
        at = np.concatenate(times)
        middle = (at[:-1] + at[1:]) / 2
        places = np.column_stack([np.interp(middle, line.t_s, line.enu_m[:, axis]) for axis in range(2)])
        is_open = (middle <= in_columns_s[0]) | (middle >= in_columns_s[1])
        for ground in self.grounds:
            i, j = np.floor((places - ground.columns.origin_m) / cell).astype(int).T
            nx, ny = ground.columns.shape
            inside = (i >= 0) & (j >= 0) & (i < nx) & (j < ny)
            is_open[inside] |= ground.open[i[inside], j[inside]]
        spans = zip(at[:-1][is_open].tolist(), at[1:][is_open].tolist(), strict=True)
        return tuple(union(spans))

    def _in_zone(self, found: Ground, triangle: NDArray[np.float64], low_m: float, high_m: float) -> bool:
        return any(
            triangle_kept_out(found.columns, self._out(found, zone), triangle, low_m, high_m) for zone in self._zones
        )

    def _out(self, found: Ground, zone: GeoZone) -> KeepOut:
        if not self._skies.is_long(self._places):
            return self._skies.kept_out(zone, self._places)
        key = (id(found), zone.id)
        if key not in self._outs:
            self._outs[key] = keep_out(zone, found.columns, self._skies.city_map.frame, self._skies.rules)
        return self._outs[key]

    def _town(self) -> Ground:
        box = self._skies.box(self._places)
        with _lock:
            kept = _prepared.setdefault(self._skies, {})
            if box in kept:
                return kept[box]
        columns, lowest, _ = self._skies.around(self._places)
        made = ground_of(self._skies, columns, lowest)
        with _lock:
            if box not in kept and len(kept) == _MOST_PREPARED:
                del kept[next(iter(kept))]
            return kept.setdefault(box, made)

    def _long(self, way_m: NDArray[np.float64]) -> tuple[Ground, ...]:
        """A window for each part of the way, so wide that what starts in it and goes to a site near it stays in it."""
        made, rules = [], self._skies.rules
        reach = _REACH_M + _PART_M + rules.clearance_m + 2 * self._skies.cell_m
        for point in _along(way_m, _PART_M):
            columns = self._skies.city_map.window(*(point[:2] - reach), *(point[:2] + reach))
            lowest = lowest_clear(columns.surface_m, columns.cell_m, rules.clearance_m)
            made.append(ground_of(self._skies, columns, lowest))
        return tuple(made)


def landing_sites(
    around: Surroundings, way_m: NDArray[np.float64], taken_m: Iterable[NDArray[np.float64]], apart_m: float
) -> tuple[Site, ...]:
    """At most 8 sites, so that from any place of a way the nearest of them, or of its own pads, is near.

    Farthest first (T. F. Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985): again and again
    the place of the way that is farthest from all sites so far is given its nearest one, of those that can be flown to
    straight from it. Where every place sees its nearest site, no other 8 sites reach within a third of the distance.

    Args:
        around: the ground.
        way_m: (n, 3) corners of the way, pad to pad.
        taken_m: pads (2,) of others, east and north.
        apart_m: how far sites keep from those.

    Returns:
        (east, north, up) of each, in the order along the way in which they are nearest.
    """
    places = _along(way_m, _STEP_M)
    open_m = around.grounds[0].sites_m
    if len(around.grounds) > 1:
        open_m = np.unique(np.vstack([ground.sites_m for ground in around.grounds]), axis=0)
    low, high = way_m[:, :2].min(axis=0) - _REACH_M, way_m[:, :2].max(axis=0) + _REACH_M
    open_m = open_m[((open_m[:, :2] >= low) & (open_m[:, :2] <= high)).all(axis=1)]
    for pad in taken_m:
        if (low - apart_m <= pad).all() and (pad <= high + apart_m).all():
            open_m = open_m[np.hypot(open_m[:, 0] - pad[0], open_m[:, 1] - pad[1]) > apart_m]
    away = np.min([np.hypot(*(places[:, :2] - pad[:2]).T) for pad in (way_m[0], way_m[-1])], axis=0)
    chosen: list[Site] = []
    hopeless = np.zeros(len(places), np.bool_)
    for _ in range(_MOST_PLACES):
        farthest = int(np.where(hopeless, -1.0, away).argmax())
        if len(chosen) == MOST_SITES or hopeless[farthest] or away[farthest] <= _NEAR_ENOUGH_M:
            break
        site = _nearest(around, places[farthest], open_m, min(float(away[farthest]), _REACH_M))
        if site is None:
            # Its neighbours on the way would fail alike.
            hopeless |= np.hypot(*(places[:, :2] - places[farthest, :2]).T) <= 2 * _STEP_M
            continue
        chosen.append(site)
        away = np.minimum(away, np.hypot(places[:, 0] - site[0], places[:, 1] - site[1]))
    along = [int(np.hypot(places[:, 0] - site[0], places[:, 1] - site[1]).argmin()) for site in chosen]
    return tuple(site for _, site in sorted(zip(along, chosen, strict=True)))


def _nearest(
    around: Surroundings, place_m: NDArray[np.float64], open_m: NDArray[np.float64], within_m: float
) -> Site | None:
    """A near site to which the way straight from a place, and the column down, is clear.

    The nearest is tried first. Sites beside each other fail alike, so where there are many only some of them follow.
    """
    away = np.hypot(open_m[:, 0] - place_m[0], open_m[:, 1] - place_m[1])
    near = np.flatnonzero(away < within_m)
    up = float(place_m[2])
    order = near[np.argsort(away[near], kind="stable")]  # of equals the first in the table: the same on any machine
    for n in order[:: max(len(near) // (8 * _MOST_TRIED), 1)][:_MOST_TRIED]:
        site = open_m[n]
        if site[2] < up and around.clear(place_m[None, :2], site[:2], up, up):
            found = (float(site[0]), float(site[1]), float(site[2]))
            if around.down(found, up):
                return found
    return None


def _along(way_m: NDArray[np.float64], step_m: float) -> NDArray[np.float64]:
    """Points (n, 3) of a way at most a step apart, its corners among them; those straight above each other once, at
    the greatest height."""
    rows = [way_m[:1]]
    for a, b in itertools.pairwise(way_m):
        pieces = max(math.ceil(float(np.hypot(*(b - a)[:2])) / step_m), 1)
        rows.append(a + np.arange(1, pieces + 1)[:, None] / pieces * (b - a))
    points = np.vstack(rows)
    kept = [points[0]]
    for point in points[1:]:
        if np.hypot(*(point - kept[-1])[:2]) < 1e-6:
            kept[-1] = max(kept[-1], point, key=lambda place: float(place[2]))
        else:
            kept.append(point)
    return np.array(kept)


def _triangles(points_m: NDArray[np.float64], goal_m: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    if len(points_m) == 1:
        return [np.stack([points_m[0], goal_m, goal_m])]
    return [np.stack([a, b, goal_m]) for a, b in itertools.pairwise(points_m)]
