"""How near a way comes to the ground, to what stands on it, and to what may stand where nothing was seen.

Branch and bound over the pyramid of highest things of `utm.core.tiles`. A column is the box over its square from far
below up to its top, a block of columns the box over their squares up to the highest of their tops: no column of it is
nearer than the block. So blocks that are farther than the nearest column so far are not looked into. The squared
distance from a point moving on a segment to such a box is convex and piecewise quadratic in the motion (J. Arvo's
distance of point and box, 1990, along a line), so Newton's method on its derivative, kept in a bracket, ends at the
minimum itself after a few steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from utm.core._jit import kernel
from utm.core.flown import Flown
from utm.core.tiles import Ground
from utm.model import Trajectory

#: Metres by which a distance that was found is taken smaller: rounding is far less.
MARGIN_M = 1e-9
#: Over level ground everything is equally far but for rounding: a block is only looked into when its squared distance
#: is less than this share of the least so far. What is missed by that is at most half of it of the distance.
_WORTH = 1.0 - 1e-9
_MOST_STEPS = 30
#: Blocks of the pyramid are 64, 16 and 4 columns wide.
_WIDEST = 64


@dataclass(frozen=True, slots=True)
class Nearest:
    """The least distance to one kind of thing, and where and when."""

    distance_m: float
    """A lower bound, less than a millimetre below the truth along a trajectory whose straight legs are straight."""
    at_s: float
    """When the trajectory is nearest to the place on the way that is nearest (Unix seconds)."""
    at_m: tuple[float, float, float]
    """Where the trajectory is then: metres east, north, up."""


def nearest_things(
    ground: Ground, line: Trajectory, way: Flown, within_m: float
) -> tuple[Nearest | None, Nearest | None, Nearest | None]:
    """The least distance in space from the way that is flown to the bare ground, to anything that was seen on it, and
    to anything that is assumed where nothing was seen; None for what is not within ``within_m``.

    Args:
        ground: must hold every tile within ``within_m`` of the way.
        line: the trajectory.
        way: what is flown of it.
        within_m: where to stop looking, metres.

    Raises:
        ValueError: a tile near the way is not held.
    """
    found, at = _nearest(ground, line.t_s, line.enu_m, way.way_m, way.parts, way.pieces, float(within_m))
    if math.isnan(found[0]):
        raise ValueError("a part of the way lies over a tile that is not held")
    return tuple(
        Nearest(max(distance * _WORTH - way.bend_m - MARGIN_M, 0.0), t, (east, north, up))
        if distance < within_m
        else None
        for distance, (t, east, north, up) in zip(found.tolist(), at.tolist(), strict=True)
    )  # type: ignore[return-value]


@kernel
def _to_box(ax, ay, az, dx, dy, dz, x0, x1, y0, y1, top):
    """The squared distance (m2) from the segment a + s d, 0 <= s <= 1, to the box [x0, x1] x [y0, y1] x (-inf, top],
    and the s at which it is least."""
    low, high, s, end_known = 0.0, 1.0, 0.0, False
    square = 0.0
    for _ in range(_MOST_STEPS):
        x, y, z = ax + s * dx, ay + s * dy, az + s * dz
        # Half the slope of the squared distance over s, and half its curvature
        square, slope, curve = 0.0, 0.0, 0.0
        if x < x0:
            square, slope, curve = (x0 - x) * (x0 - x), (x - x0) * dx, dx * dx
        elif x > x1:
            square, slope, curve = (x - x1) * (x - x1), (x - x1) * dx, dx * dx
        if y < y0:
            square, slope, curve = square + (y0 - y) * (y0 - y), slope + (y - y0) * dy, curve + dy * dy
        elif y > y1:
            square, slope, curve = square + (y - y1) * (y - y1), slope + (y - y1) * dy, curve + dy * dy
        if z > top:
            square, slope, curve = square + (z - top) * (z - top), slope + (z - top) * dz, curve + dz * dz
        if slope == 0.0 or (slope > 0.0 and s == 0.0) or (slope < 0.0 and s == 1.0):
            break
        if slope > 0.0:
            high = s
        else:
            low = s
        ahead = s - slope / curve  # curve > 0: what makes the slope makes it, too
        if ahead >= high:
            ahead = (low + high) / 2 if end_known else 1.0
            end_known = True
        elif ahead <= low:
            ahead = (low + high) / 2
        if abs(ahead - s) < 1e-13:
            break
        s = ahead
    return square, s


@kernel
def _may_be_nearer(way, first, last, low, high, x0, x1, y0, y1, top, best):
    """Whether the box (as in `_to_box`) may be nearer to the pieces first ... last of the way, which lie in the box
    low ... high, than the root of ``best`` (m2) by enough to be worth it."""
    gx = max(max(x0 - high[0], low[0] - x1), 0.0)
    gy = max(max(y0 - high[1], low[1] - y1), 0.0)
    gz = max(low[2] - top, 0.0)
    best *= _WORTH
    if gx * gx + gy * gy + gz * gz >= best:
        return False
    if last - first > 1:
        return True
    ax, ay, az = way[first, 0], way[first, 1], way[first, 2]
    dx, dy, dz = way[last, 0] - ax, way[last, 1] - ay, way[last, 2] - az
    flat = dx * dx + dy * dy
    if flat > 0.0:
        # From the middle of the box to the line that the segment lies on, less what the box reaches towards it
        half_x, half_y = 0.5 * (x1 - x0), 0.5 * (y1 - y0)
        off = abs((x0 + half_x - ax) * dy - (y0 + half_y - ay) * dx) - half_x * abs(dy) - half_y * abs(dx)
        if off > 0.0 and off * off >= (best - gz * gz) * flat:
            return False
    return _to_box(ax, ay, az, dx, dy, dz, x0, x1, y0, y1, top)[0] < best


@kernel
def _in_four(ground, kind, slot, i, j, east, north, way, first, last, low, high, best, at):
    """Search the 4 x 4 columns of a tile from (i, j) on, whose corner is at (east, north) metres. Returns the least
    squared distance so far (m2); ``at`` (3,) is set to the place on the way where a new one was found."""
    cell = ground.cell_m
    for a in range(4):
        for b in range(4):
            top = float(ground.things[slot, i + a, j + b, kind])
            x0, y0 = east + a * cell, north + b * cell
            if top == -np.inf or not _may_be_nearer(
                way, first, last, low, high, x0, x0 + cell, y0, y0 + cell, top, best
            ):
                continue
            for n in range(first, last):
                ax, ay, az = way[n, 0], way[n, 1], way[n, 2]
                dx, dy, dz = way[n + 1, 0] - ax, way[n + 1, 1] - ay, way[n + 1, 2] - az
                square, s = _to_box(ax, ay, az, dx, dy, dz, x0, x0 + cell, y0, y0 + cell, top)
                if square < best:
                    best = square
                    at[0], at[1], at[2] = ax + s * dx, ay + s * dy, az + s * dz
    return best


@kernel
def _in_block(ground, kind, slot, i, j, east, north, way, first, last, low, high, best, at):
    """The same for 64 x 64 columns: only those blocks of them that may be nearer are looked into."""
    cell = ground.cell_m
    for a in range(4):
        for b in range(4):
            x0, y0 = east + 16 * a * cell, north + 16 * b * cell
            top = float(ground.blocks16[slot, (i >> 4) + a, (j >> 4) + b, kind])
            if top == -np.inf or not _may_be_nearer(
                way, first, last, low, high, x0, x0 + 16 * cell, y0, y0 + 16 * cell, top, best
            ):
                continue
            for p in range(4 * a, 4 * a + 4):
                for q in range(4 * b, 4 * b + 4):
                    x, y = east + 4 * p * cell, north + 4 * q * cell
                    top = float(ground.blocks4[slot, (i >> 2) + p, (j >> 2) + q, kind])
                    if top != -np.inf and _may_be_nearer(
                        way, first, last, low, high, x, x + 4 * cell, y, y + 4 * cell, top, best
                    ):
                        best = _in_four(
                            ground, kind, slot, i + 4 * p, j + 4 * q, x, y, way, first, last, low, high, best, at
                        )
    return best


@kernel
def _below(ground, kind, p):
    """Metres from a point (3,) down to the thing of a kind right below it; 0 inside it, inf where there is none."""
    i, j = int(np.floor(p[0] / ground.cell_m)), int(np.floor(p[1] / ground.cell_m))
    if i < 0 or j < 0 or i >= ground.size[0] or j >= ground.size[1]:
        return np.inf
    slot = ground.index[i // ground.side, j // ground.side]
    if slot < 0:
        return np.inf
    return max(p[2] - float(ground.things[slot, i % ground.side, j % ground.side, kind]), 0.0)


@kernel
def _when(times, points, first, last, place, out):
    """Into ``out`` (4,): time and place of the trajectory between two of its points where it is nearest to a place."""
    least = np.inf
    for n in range(first, last):
        square, along = 0.0, 0.0
        for c in range(3):
            step = points[n + 1, c] - points[n, c]
            square += step * step
            along += step * (place[c] - points[n, c])
        share = min(max(along / square, 0.0), 1.0) if square > 0.0 else 0.0
        off = 0.0
        for c in range(3):
            off += (place[c] - points[n, c] - share * (points[n + 1, c] - points[n, c])) ** 2
        if off < least:
            least = off
            out[0] = times[n] + share * (times[n + 1] - times[n])
            for c in range(3):
                out[1 + c] = points[n, c] + share * (points[n + 1, c] - points[n, c])


@kernel
def _nearest(ground, times, points, way, parts, pieces, within):
    """(3,) metres to the nearest thing of each kind from the way (m, 3), ``within`` where none is nearer, NaN where a
    tile is not held; and (3, 4) time and place of the trajectory (n,), (n, 3) there."""
    found, out = np.empty(3), np.empty((3, 4))
    at, low, high = np.empty(3), np.empty(3), np.empty(3)
    wide = _WIDEST * ground.cell_m
    per = ground.side // _WIDEST
    blocks_x, blocks_y = (ground.size[0] - 1) // _WIDEST, (ground.size[1] - 1) // _WIDEST
    for kind in range(3):
        best, where = within * within, -1
        # What lies right below the corners of the way is near: less has to be looked into
        for part in range(len(parts) - 1):
            seed = _below(ground, kind, way[parts[part]])
            if seed * seed < best:
                best, where = seed * seed, part
                at[:] = way[parts[part]]
        # Straight legs first: arcs are short, and little is left to be looked at around them
        for turn in range(2 * (len(parts) - 1)):
            part, arcs = turn % (len(parts) - 1), turn >= len(parts) - 1
            first, last = parts[part], parts[part + 1]
            if (last - first > 1) != arcs:
                continue
            for c in range(3):
                low[c], high[c] = way[first, c], way[first, c]
                for n in range(first + 1, last + 1):
                    low[c], high[c] = min(low[c], way[n, c]), max(high[c], way[n, c])
            reach = np.sqrt(best)
            i0, i1 = int(np.floor((low[0] - reach) / wide)), int(np.floor((high[0] + reach) / wide))
            j0, j1 = int(np.floor((low[1] - reach) / wide)), int(np.floor((high[1] + reach) / wide))
            for i in range(max(i0, 0), min(i1, blocks_x) + 1):
                for j in range(max(j0, 0), min(j1, blocks_y) + 1):
                    slot = ground.index[i // per, j // per]
                    top = np.inf if slot < 0 else float(ground.blocks64[slot, i % per, j % per, kind])
                    if top == -np.inf or not _may_be_nearer(
                        way, first, last, low, high, i * wide, (i + 1) * wide, j * wide, (j + 1) * wide, top, best
                    ):
                        continue
                    if slot < 0:
                        found[:] = np.nan
                        return found, out
                    nearer = _in_block(
                        ground, kind, slot, (i % per) * _WIDEST, (j % per) * _WIDEST, i * wide, j * wide,
                        way, first, last, low, high, best, at,
                    )  # fmt: skip
                    if nearer < best:
                        best, where = nearer, part
        found[kind] = np.sqrt(best)
        if where >= 0:
            _when(times, points, pieces[where, 0], pieces[where, 1], at, out[kind])
    return found, out
