"""How near a flight comes to an outline over the ground while it shares a height with it, at certain times.

Exact for straight pieces: of each piece that part is taken which lies within a span of time and, column by column where
the limits follow the terrain, shares a height; then its distance to every edge of the outline that may be the nearest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core._jit import kernel
from utm.core.tiles import Ground
from utm.model import Trajectory

#: Heights nearer than this touch and do not share.
_TOUCH_M = 1e-6
#: Edges that are looked at together.
_BUNCH = 16


class Outline(NamedTuple):
    """A region over the ground by its edges: what lies inside an odd number of rings is in it."""

    edges: NDArray[np.float64]
    """(k, 4) metres east, north, east, north of both ends, ring after ring."""
    boxes: NDArray[np.float64]
    """(k / 16, 4) west, south, east, north of sixteen edges after each other."""


@dataclass(frozen=True, slots=True)
class Beside:
    """The nearest that a flight comes to an outline, and where and when."""

    distance_m: float
    """Horizontally; 0 inside."""
    at_s: float
    at_m: tuple[float, float, float]
    """Where the flight is then: metres east, north, up."""


def outline_of(rings: list[ArrayLike]) -> Outline:
    """The outline of some closed rings, each (n, 2) metres with the first corner again at its end."""
    edges = [np.hstack([ring[:-1], ring[1:]]) for ring in (np.asarray(each, np.float64) for each in rings)]
    joined = np.ascontiguousarray(np.concatenate(edges)) if edges else np.empty((0, 4))
    boxes = [
        [bunch[:, [0, 2]].min(), bunch[:, [1, 3]].min(), bunch[:, [0, 2]].max(), bunch[:, [1, 3]].max()]
        for bunch in (joined[n : n + _BUNCH] for n in range(0, len(joined), _BUNCH))
    ]
    return Outline(joined, np.array(boxes, np.float64).reshape(-1, 4))


def nearest_beside(
    ground: Ground,
    line: Trajectory,
    outline: Outline,
    *,
    below_m: float,
    above_m: float,
    lower: tuple[float, bool],
    upper: tuple[float, bool],
    spans_s: NDArray[np.float64],
    within_m: float,
) -> Beside | None:
    """The least horizontal distance from a flight to an outline; None where it is not less than ``within_m``.

    Args:
        ground: must hold the tiles below the flight where a limit follows the terrain.
        below_m: how far the flight's room reaches below it,
        above_m: and above. It shares a height with the outline where this room overlaps the limits.
        lower: ``up`` of the lower limit, or its height above the terrain below the flight, if the second is true.
        upper: of the upper limit, likewise.
        spans_s: (w, 2) from when to when it counts, Unix seconds.
        within_m: where to stop looking.

    Raises:
        ValueError: a part of the flight lies off the map or over a tile that is not held.
    """
    found = _beside(
        ground, line.t_s, line.enu_m, outline.edges, outline.boxes, float(below_m), float(above_m),
        float(lower[0]), lower[1], float(upper[0]), upper[1], spans_s, float(within_m),
    )  # fmt: skip
    distance, at_s, *at_m = found.tolist()
    if distance < 0:
        raise ValueError("a part of the flight lies off the map, or over a tile that is not held")
    return Beside(distance, at_s, tuple(at_m)) if distance < within_m else None


@kernel
def _next_line(p: float, d: float, cell: float, s: float) -> float:
    """The least share above s at which p + share d crosses a multiple of the cell; inf when it never does again."""
    if d == 0.0:
        return np.inf
    at = (p + s * d) / cell
    line = np.floor(at) + 1.0 if d > 0.0 else np.ceil(at) - 1.0
    ahead = (line * cell - p) / d
    while ahead <= s:  # rounding put it on this side
        line += 1.0 if d > 0.0 else -1.0
        ahead = (line * cell - p) / d
    return ahead


@kernel
def _between(p, d, s0, s1, low, high):
    """The part of [s0, s1] in which p + s d lies in [low, high]; empty when the first exceeds the second."""
    if d == 0.0:
        return (s0, s1) if low <= p <= high else (1.0, 0.0)
    enter, leave = (low - p) / d, (high - p) / d
    if enter > leave:
        enter, leave = leave, enter
    return max(s0, enter), min(s1, leave)


@kernel
def _shared(az, dz, s0, s1, low, high):
    """The part of [s0, s1] in which az + s dz lies between low and high, and does not only touch one of them; empty
    when the first exceeds the second."""
    return _between(az, dz, s0, s1, low + _TOUCH_M, high - _TOUCH_M)


@kernel
def _to_segment(px, py, ax, ay, bx, by):
    """The squared distance (m2) from a point to a segment, and the share of the segment at which it is least."""
    dx, dy = bx - ax, by - ay
    square = dx * dx + dy * dy
    s = min(max(((px - ax) * dx + (py - ay) * dy) / square, 0.0), 1.0) if square > 0.0 else 0.0
    ex, ey = px - ax - s * dx, py - ay - s * dy
    return ex * ex + ey * ey, s


@kernel
def _to_outline(ax, ay, bx, by, edges, boxes, best):
    """The least squared distance (m2) from a segment to the outline where that is less than ``best``, otherwise
    ``best``; and at which share of the segment."""
    share = 0.0
    # Inside: an odd number of edges lies to the east of its start
    odd = False
    for m in range(len(edges)):
        x0, y0, x1, y1 = edges[m, 0], edges[m, 1], edges[m, 2], edges[m, 3]
        if (y0 > ay) != (y1 > ay) and ax < x0 + (ay - y0) / (y1 - y0) * (x1 - x0):
            odd = not odd
    if odd:
        return 0.0, 0.0
    low_x, high_x, low_y, high_y = min(ax, bx), max(ax, bx), min(ay, by), max(ay, by)
    for n in range(len(boxes)):
        gx = max(max(boxes[n, 0] - high_x, low_x - boxes[n, 2]), 0.0)
        gy = max(max(boxes[n, 1] - high_y, low_y - boxes[n, 3]), 0.0)
        if gx * gx + gy * gy >= best:
            continue
        for m in range(n * _BUNCH, min((n + 1) * _BUNCH, len(edges))):
            x0, y0, x1, y1 = edges[m, 0], edges[m, 1], edges[m, 2], edges[m, 3]
            dx, dy, ex, ey = bx - ax, by - ay, x1 - x0, y1 - y0
            turn = dx * ey - dy * ex
            if turn != 0.0:
                s = ((x0 - ax) * ey - (y0 - ay) * ex) / turn
                q = ((x0 - ax) * dy - (y0 - ay) * dx) / turn
                if 0.0 <= s <= 1.0 and 0.0 <= q <= 1.0 and (best > 0.0 or s < share):
                    best, share = 0.0, s
                    continue
            for end in range(2):
                px, py = (x0, y0) if end == 0 else (x1, y1)
                square, s = _to_segment(px, py, ax, ay, bx, by)
                if square < best:
                    best, share = square, s
                px, py = (ax, ay) if end == 0 else (bx, by)
                square, s = _to_segment(px, py, x0, y0, x1, y1)
                if square < best:
                    best, share = square, float(end)
    return best, share


@kernel
def _try(times, points, n, s0, s1, edges, boxes, best, out):
    """The least squared distance (m2) with the part s0 ... s1 of a piece; ``out`` (5,) is set where it is new."""
    dx, dy = points[n + 1, 0] - points[n, 0], points[n + 1, 1] - points[n, 1]
    nearer, share = _to_outline(
        points[n, 0] + s0 * dx, points[n, 1] + s0 * dy, points[n, 0] + s1 * dx, points[n, 1] + s1 * dy,
        edges, boxes, best,
    )  # fmt: skip
    if nearer < best:
        s = s0 + share * (s1 - s0)
        out[0], out[1] = np.sqrt(nearer), times[n] + s * (times[n + 1] - times[n])
        for c in range(3):
            out[2 + c] = points[n, c] + s * (points[n + 1, c] - points[n, c])
    return nearer


@kernel
def _beside(
    ground, times, points, edges, boxes, below, above, lower, lower_agl, upper, upper_agl, spans, within
):  # fmt: skip
    """(5,) distance, time and place of `nearest_beside`; the distance is -1 where ground is missing."""
    out = np.zeros(5)
    out[0] = within
    best = within * within
    west, south, east, north = np.inf, np.inf, -np.inf, -np.inf
    for n in range(len(boxes)):
        west, south = min(west, boxes[n, 0]), min(south, boxes[n, 1])
        east, north = max(east, boxes[n, 2]), max(north, boxes[n, 3])
    cell = ground.cell_m
    for n in range(len(times) - 1):
        ax, ay, az = points[n, 0], points[n, 1], points[n, 2]
        dx, dy, dz = points[n + 1, 0] - ax, points[n + 1, 1] - ay, points[n + 1, 2] - az
        gx = max(max(west - max(ax, ax + dx), min(ax, ax + dx) - east), 0.0)
        gy = max(max(south - max(ay, ay + dy), min(ay, ay + dy) - north), 0.0)
        if gx * gx + gy * gy >= best:
            continue
        # What lies farther from the box around all of it than the nearest so far need not be looked at
        reach = np.sqrt(best)
        near0, near1 = _between(ax, dx, 0.0, 1.0, west - reach, east + reach)
        near0, near1 = _between(ay, dy, near0, near1, south - reach, north + reach)
        for w in range(len(spans)):
            begin = max((spans[w, 0] - times[n]) / (times[n + 1] - times[n]), near0)
            end = min((spans[w, 1] - times[n]) / (times[n + 1] - times[n]), near1)
            if begin > end:
                continue
            if not (lower_agl or upper_agl):
                s0, s1 = _shared(az, dz, begin, end, lower - above, upper + below)
                if s0 <= s1:
                    best = _try(times, points, n, s0, s1, edges, boxes, best, out)
                continue
            # Column by column, parts that go on from one column into the next as one
            run0, run1 = 1.0, 0.0
            s = begin
            while True:
                t = min(_next_line(ax, dx, cell, s), _next_line(ay, dy, cell, s), end)
                middle = 0.5 * (s + t)
                i, j = int(np.floor((ax + middle * dx) / cell)), int(np.floor((ay + middle * dy) / cell))
                slot = -1
                if 0 <= i < ground.size[0] and 0 <= j < ground.size[1]:
                    slot = ground.index[i // ground.side, j // ground.side]
                if slot < 0:
                    out[0] = -1.0
                    return out
                terrain = float(ground.things[slot, i % ground.side, j % ground.side, 0])
                low = (lower + terrain if lower_agl else lower) - above
                high = (upper + terrain if upper_agl else upper) + below
                s0, s1 = _shared(az, dz, s, t, low, high)
                if s0 <= s1:
                    if run0 <= run1 and s0 <= run1:
                        run1 = s1
                    else:
                        if run0 <= run1:
                            best = _try(times, points, n, run0, run1, edges, boxes, best, out)
                        run0, run1 = s0, s1
                if t >= end:
                    break
                s = t
            if run0 <= run1:
                best = _try(times, points, n, run0, run1, edges, boxes, best, out)
    return out
