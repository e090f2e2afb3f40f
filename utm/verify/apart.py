"""How near two flights come: every pair of times, by separating directions.

Take a piece of each flight. Their difference in position is affine in the two times (s, q), so over a convex polygon of
such pairs it fills a convex polygon of the plane, the image of the corners. The least distance is that of this image to
the origin. It is bounded from above by any point of the image, and from below by any direction n: no point of the image
is nearer than the least n * corner. At the nearest point both bounds meet. So each answer carries its own proof, and no
equation of the second degree is solved (`utm.core.conflict` cuts an ellipse instead; on purpose nothing is shared).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.verify.geometry import Floats
from utm.verify.reading import Room

#: Pairs of pieces that are looked at together.
_CHUNK = 96
#: Metres or seconds by which a pair of times may break a limit and still count: more than rounding, less than matters.
_HAIR = 1e-9
#: Two limits whose lines differ by less than this angle (radians) have no corner of their own.
_PARALLEL = 1e-12


@dataclass(frozen=True, slots=True)
class Nearest:
    """The least horizontal distance of two flights while they are near each other in time and height."""

    low_m: float
    high_m: float
    at_s: float
    """The time of the first flight at it."""


def occupied(room: Room) -> tuple[Floats, Floats]:
    """Times (n,) and places (n, 3) of a centre line, with its pads held before and after."""
    if room.pad_hold_s == 0.0:
        return room.t_s, room.enu_m
    times = np.concatenate([[room.t_s[0] - room.pad_hold_s], room.t_s, [room.t_s[-1] + room.pad_hold_s]])
    return times, np.concatenate([room.enu_m[:1], room.enu_m, room.enu_m[-1:]])


def nearest(a: Room, b: Room, vertical_m: float, tolerance_s: float, within_m: float = math.inf) -> Nearest | None:
    """The least horizontal distance over all times s of a and q of b, at most ``tolerance_s`` apart, at which the two
    centre lines are at most ``vertical_m`` apart vertically; None when there are none, or none within ``within_m``.
    """
    (ta, pa), (tb, pb) = occupied(a), occupied(b)
    i, j = _near_in_time(ta, tb, tolerance_s)
    gap = _gaps(pa[i, :2], pa[i + 1, :2], pb[j, :2], pb[j + 1, :2])
    shared = _gaps(pa[i, 2:], pa[i + 1, 2:], pb[j, 2:], pb[j + 1, 2:]) <= vertical_m + _HAIR
    order = np.argsort(np.where(shared, gap, np.inf), kind="stable")[: np.count_nonzero(shared)]
    low = high = within_m
    at_s = math.nan
    for begin in range(0, len(order), _CHUNK):
        part = order[begin : begin + _CHUNK]
        if gap[part[0]] >= high:
            break
        limits, difference = _affine(ta, pa, i[part], tb, pb, j[part], tolerance_s, vertical_m)
        lows, highs, shares = _distances(*_corners(limits), difference[:, :2])
        low = min(low, float(lows.min()))
        if (best := int(highs.argmin())) >= 0 and highs[best] < high:
            high = float(highs[best])
            piece = i[part[best]]
            at_s = float(ta[piece] + shares[best] * (ta[piece + 1] - ta[piece]))
    return None if math.isnan(at_s) else Nearest(min(low, high), high, at_s)


def least_height(a: Room, b: Room, tolerance_s: float) -> tuple[float, float] | None:
    """The least vertical distance at times at most ``tolerance_s`` apart, and the time of a at it; None when the two
    are never in the air (or on a held pad) at such times."""
    (ta, pa), (tb, pb) = occupied(a), occupied(b)
    i, j = _near_in_time(ta, tb, tolerance_s)
    if len(i) == 0:
        return None
    gap = _gaps(pa[i, 2:], pa[i + 1, 2:], pb[j, 2:], pb[j + 1, 2:])
    best, at_s = math.inf, math.nan
    order = np.argsort(gap, kind="stable")
    for begin in range(0, len(order), _CHUNK):
        part = order[begin : begin + _CHUNK]
        if gap[part[0]] >= best:
            break
        limits, difference = _affine(ta, pa, i[part], tb, pb, j[part], tolerance_s, None)
        corners, there = _corners(limits)
        height = difference[:, 2, 0, None] + (difference[:, 2, None, 1:] * corners).sum(axis=2)
        # An affine height that takes both signs over the polygon is 0 somewhere in it.
        lowest = np.where(there, height, np.inf).min(axis=1)
        highest = np.where(there, height, -np.inf).max(axis=1)
        least = np.where(there.any(axis=1), np.maximum(np.maximum(lowest, -highest), 0.0), np.inf)
        if least.min() < best:
            n = int(least.argmin())
            corner = np.where(there[n], np.abs(height[n]), np.inf).argmin()
            best, piece = float(least[n]), i[part[n]]
            at_s = float(ta[piece] + corners[n, corner, 0] * (ta[piece + 1] - ta[piece]))
    return None if math.isinf(best) else (best, at_s)


def _near_in_time(ta: Floats, tb: Floats, tolerance_s: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs of pieces (i of a, j of b) that hold times at most the tolerance (and a hair) apart."""
    reach = tolerance_s + 1e-6
    first = np.searchsorted(tb[1:], ta[:-1] - reach, side="left")
    last = np.searchsorted(tb[:-1], ta[1:] + reach, side="right")
    counts = np.maximum(last - first, 0)
    i = np.repeat(np.arange(len(counts)), counts)
    j = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
    return i, j


def _gaps(a0: Floats, a1: Floats, b0: Floats, b1: Floats) -> Floats:
    """(k,) distances of the boxes around pieces a0-a1 and b0-b1 (k, d)."""
    apart = np.maximum(np.minimum(a0, a1) - np.maximum(b0, b1), np.minimum(b0, b1) - np.maximum(a0, a1))
    return np.linalg.norm(np.maximum(apart, 0.0), axis=1)


def _affine(ta, pa, i, tb, pb, j, tolerance_s: float, vertical_m: float | None) -> tuple[Floats, Floats]:  # type: ignore[no-untyped-def]
    """For pairs of pieces, as functions c + x * cx + y * cy of the shares (x, y) of both: the limits (k, m, 3), each
    kept where it is at most 0, and the difference in position (k, 3, 3)."""
    difference = np.stack([pa[i] - pb[j], pa[i + 1] - pa[i], pb[j] - pb[j + 1]], axis=2)
    zero, one = np.zeros(len(i)), np.ones(len(i))
    later = np.stack([ta[i] - tb[j], ta[i + 1] - ta[i], tb[j] - tb[j + 1]], axis=1)
    rows = [
        np.stack([zero, -one, zero], axis=1),
        np.stack([-one, one, zero], axis=1),
        np.stack([zero, zero, -one], axis=1),
        np.stack([-one, zero, one], axis=1),
        later - [tolerance_s, 0, 0],
        -later - [tolerance_s, 0, 0],
    ]
    if vertical_m is not None:
        rows += [difference[:, 2] - [vertical_m, 0, 0], -difference[:, 2] - [vertical_m, 0, 0]]
    return np.stack(rows, axis=1), difference


def _corners(limits: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """The corners (k, n, 2) of the polygons inside some limits (k, m, 3), and which of them are there: where two limits
    meet and no other is broken."""
    pairs = np.array(list(itertools.combinations(range(limits.shape[1]), 2)))
    one, other = limits[:, pairs[:, 0]], limits[:, pairs[:, 1]]
    turn = one[..., 1] * other[..., 2] - one[..., 2] * other[..., 1]
    size = np.hypot(one[..., 1], one[..., 2]) * np.hypot(other[..., 1], other[..., 2])
    meet = np.abs(turn) > _PARALLEL * size
    turn = np.where(meet, turn, 1.0)
    x = (one[..., 2] * other[..., 0] - one[..., 0] * other[..., 2]) / turn
    y = (one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]) / turn
    corners = np.stack([x, y], axis=2)
    broken = limits[:, None, :, 0] + np.einsum("knd,kmd->knm", corners, limits[:, :, 1:])
    return corners, meet & (broken <= _HAIR).all(axis=2)


def _distances(corners: Floats, there: NDArray[np.bool_], difference: Floats) -> tuple[Floats, Floats, Floats]:
    """Least distances of the images of polygons to the origin: a lower bound, an upper bound (both infinite where there
    is no polygon), and the share x at which the upper bound is taken, each (k,)."""
    some = there.any(axis=1)
    rows = np.arange(len(corners))
    # A corner that is not there stands where one is.
    shown = np.where(there[..., None], corners, corners[rows, there.argmax(axis=1)][:, None])
    image = difference[:, None, :, 0] + np.einsum("knd,kcd->knc", shown, difference[:, :, 1:])
    p, q = np.array(list(itertools.combinations(range(image.shape[1]), 2))).T
    start, along = image[:, p], image[:, q] - image[:, p]
    square = (along * along).sum(axis=2)
    share = np.clip(-(start * along).sum(axis=2) / np.where(square > 0, square, 1.0), 0.0, 1.0)
    points = start + share[..., None] * along
    length = np.linalg.norm(points, axis=2)
    best = length.argmin(axis=1)
    high = length[rows, best]
    direction = points[rows, best] / np.where(high > 0, high, 1.0)[:, None]
    low = np.maximum((image * direction[:, None]).sum(axis=2).min(axis=1), 0.0)
    # No chord's nearest point has the whole image on its far side: the origin lies inside.
    high = np.where(low > 0, high, 0.0)
    x = shown[rows, p[best], 0] + share[rows, best] * (shown[rows, q[best], 0] - shown[rows, p[best], 0])
    return np.where(some, low, np.inf), np.where(some, high, np.inf), np.clip(x, 0.0, 1.0)
