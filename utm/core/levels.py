"""A sloping way as level legs and vertical steps, which is how a multicopter's autopilot flies it anyway.

PX4 steers horizontally and vertically apart: told to fly a slope, 1.18 is up to 16 m off the straight line between two
way points, and may pass one too high to count it as reached. A level leg and a vertical step it flies to the metre. So
every leg gets one height, and heights change above a corner. Which heights is the shortest path through the table
(leg, layer) of those at which the leg is clear, its cost the time that the changes of height take.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core.flightspace import FlightSpace
from utm.core.sight import KEEP_OFF, segments_clear
from utm.errors import NoPath
from utm.model import Aircraft

#: What a step costs beyond its height over its speed: a stop before it, another one after it (seconds).
STOP_S = 6.0
#: A leg that is clear at no height is halved until its parts are shorter than this share of a voxel: less than ways
#: keep off what is blocked (`utm.core.sight.KEEP_OFF`), and far more than the length of a leg that is none.
_SHORTEST = KEEP_OFF / 4


#: What a straight piece costs, level or vertical, from one point (3,) in metres to another.
Price = Callable[[NDArray[np.float64], NDArray[np.float64]], float]


def level_legs(
    space: FlightSpace, points_m: ArrayLike, aircraft: Aircraft, *, price: Price | None = None, stop: float = STOP_S
) -> NDArray[np.float64]:
    """The same way over the ground in level legs, with vertical steps between them, all proven clear.

    Args:
        space: in which every segment of ``points_m`` is clear.
        points_m: (n, 3) corners, metres east, north, up.
        aircraft: its climb and descent speeds weigh the heights where no price does.
        price: what pieces cost, where that depends on their height; without it, vertical steps cost their seconds and
            level legs the same at every height.
        stop: what stopping for a vertical step costs beyond the step, in the unit of the price.

    Returns:
        (m, 3) corners; the first and the last are those given, with a step up or down beside them where their
        height is not that of the leg.

    Raises:
        NoPath: a leg is clear at no height, and neither are its parts (a way that was not clear to begin with).
        ValueError: not (n, 3) finite numbers, n >= 2.
    """
    points = np.array(points_m, np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) < 2 or not np.isfinite(points).all():
        raise ValueError(f"points_m must be finite (n, 3) with n >= 2, got shape {points.shape}")
    layers = _layers(space, points)
    legs = [leg for a, b in itertools.pairwise(points) for leg in _open_legs(space, a, b, layers)]
    if not legs:
        return points[[0, -1]]
    heights = _cheapest(space, points[0], points[-1], legs, layers, price or _seconds(aircraft), stop)
    way = [points[0]]
    for (a, b, _), up in zip(legs, heights, strict=True):
        way += [np.array([a[0], a[1], up]), np.array([b[0], b[1], up])]
    way.append(points[-1])
    return corners_only(np.array(way))


def _layers(space: FlightSpace, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centre heights of the layers between the lowest and the highest point of the way, one more on either side."""
    low, high = np.floor(
        (points[:, 2][[points[:, 2].argmin(), points[:, 2].argmax()]] - space.origin_m[2]) / space.cell_m
    )
    count = space.blocked.shape[2]
    indices = np.arange(max(int(low) - 1, 0), min(int(high) + 1, count - 1) + 1)
    return space.origin_m[2] + (indices + 0.5) * space.cell_m


def _open_legs(space: FlightSpace, a, b, layers) -> list[tuple]:
    """(start, end, (k,) at which layers it is clear), the leg halved until each part is clear at some height."""
    if np.hypot(*(b - a)[:2]) < 1e-6:
        return []
    clear = _clear(space, _at(a, layers), _at(b, layers))
    if clear.any():
        return [(a, b, clear)]
    if np.hypot(*(b - a)[:2]) < _SHORTEST * space.cell_m:
        raise NoPath(f"the leg from {a.round(1).tolist()} to {b.round(1).tolist()} m is clear at no height")
    middle = (a + b) / 2
    return [
        *_open_legs(space, a, middle, layers),
        *_open_legs(space, middle, b, layers),
    ]


def _cheapest(space: FlightSpace, first, last, legs: list[tuple], layers, price: Price, stop: float) -> list[float]:
    """One height for each leg: dynamic programming over (leg, layer)."""
    cost = _changes(space, price, first, layers)
    cost += _along(legs[0], layers, price)
    came_from: list[NDArray[np.int64]] = []
    for leg in legs[1:]:
        along = _along(leg, layers, price)
        step = np.full((len(layers), len(layers)), math.inf)
        joined = _joined(space, leg[0], layers)
        places = _at(leg[0], layers)
        for old in np.flatnonzero(np.isfinite(cost)):
            for new in np.flatnonzero(np.isfinite(along) & joined[old]):
                change = 0.0 if old == new else price(places[old], places[new]) + stop
                step[old, new] = cost[old] + change + along[new]
        came_from.append(step.argmin(axis=0))
        cost = step.min(axis=0)
    cost += _changes(space, price, last, layers, down=True)
    if not np.isfinite(cost).any():
        raise NoPath("no heights lead from leg to leg")
    chosen = [int(cost.argmin())]
    for back in reversed(came_from):
        chosen.append(int(back[chosen[-1]]))
    return [float(layers[index]) for index in reversed(chosen)]


def _seconds(aircraft: Aircraft) -> Price:
    """The time of vertical steps; level legs take the same at every height."""

    def price(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        rise = b[2] - a[2]
        return abs(rise) / (aircraft.climb_m_s if rise > 0 else aircraft.descent_m_s)

    return price


def _along(leg: tuple, layers, price: Price) -> NDArray[np.float64]:
    """(k,) cost of a leg at each layer, infinite where it is not clear."""
    start, end, clear = leg
    return np.array(
        [
            price(np.array([start[0], start[1], up]), np.array([end[0], end[1], up])) if open_there else math.inf
            for up, open_there in zip(layers, clear, strict=True)
        ]
    )


def _changes(space: FlightSpace, price: Price, end, layers, *, down: bool = False) -> NDArray[np.float64]:
    """(k,) cost of getting from an end of the way to each layer above or below it, or ``down`` from there to the end,
    infinite where it is not clear."""
    places, cost = _at(end, layers), np.full(len(layers), math.inf)
    clear = _clear(space, np.broadcast_to(end, places.shape), places)
    for index, place in enumerate(places):
        if layers[index] == end[2]:
            cost[index] = 0.0
        elif clear[index]:
            cost[index] = price(place, end) if down else price(end, place)
    return cost


def _joined(space: FlightSpace, place, layers) -> NDArray[np.bool_]:
    """(k, k) between which layers the column over a place is clear; the layers lie side by side, so that it is where
    it is between all neighbours."""
    places = _at(place, layers)
    gaps = np.concatenate([[0], np.cumsum(~_clear(space, places[:-1], places[1:]))])
    return gaps[:, None] == gaps[None, :]


def _at(place, layers) -> NDArray[np.float64]:
    """(k, 3) a place at each of the layers."""
    return np.column_stack([np.full(len(layers), place[0]), np.full(len(layers), place[1]), layers])


def _clear(space: FlightSpace, starts: NDArray[np.float64], ends: NDArray[np.float64]) -> NDArray[np.bool_]:
    return segments_clear(space.blocked, space.to_grid(starts), space.to_grid(ends))


def corners_only(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3) points without repeats and without those in the middle of a straight line; the ends stay."""
    kept = [points[0]]
    for point in points[1:]:
        if np.linalg.norm(point - kept[-1]) < 1e-9:
            continue
        if len(kept) > 1:
            before, now = kept[-1] - kept[-2], point - kept[-1]
            if np.linalg.norm(np.cross(before, now)) <= 1e-9 * np.linalg.norm(before) * np.linalg.norm(now) and (
                before @ now > 0
            ):
                kept.pop()
        kept.append(point)
    return np.array(kept)
