"""Distances in closed form: pieces of a way against columns of ground and against outlines.

Nothing is sampled and nothing is iterated; the results are exact but for the rounding of float64, which at the sizes
of a map (1e5 m) stays below a tenth of a micrometre.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def segment_to_columns(
    a: Floats, b: Floats, west: ArrayLike, south: ArrayLike, side: float, top: ArrayLike
) -> tuple[Floats, Floats]:
    """Distance in space from the segment a-b to columns that are solid from far below up to a height.

    The way out of a column is, along each axis, how far a point is beyond its faces. Between the shares at which the
    segment passes a face (five at most) that vector is affine, so its least length has a closed form.

    Args:
        a, b: (3,) metres east, north, up; they may be one point.
        west, south: (k,) metres of the columns' south-west corners; side: their edge.
        top: (k,) up, finite.

    Returns:
        (k,) metres, and (k,) the share of the segment at which it is.
    """
    west, south, top = (np.asarray(values, np.float64) for values in (west, south, top))
    faces = np.stack([west, west + side, south, south + side, top], axis=1)
    axes = np.array([0, 0, 1, 1, 2])
    step = (b - a)[axes]
    cuts = np.ones((len(faces), 7))
    cuts[:, 0] = 0.0
    cuts[:, 1:6] = np.where(step == 0.0, 0.0, (faces - a[axes]) / np.where(step == 0.0, 1.0, step))
    cuts = np.sort(np.minimum(np.maximum(cuts, 0.0), 1.0), axis=1)
    x, y, z = (a[axis] + cuts * (b[axis] - a[axis]) for axis in range(3))
    out = np.stack(
        [
            np.maximum(np.maximum(faces[:, :1] - x, x - faces[:, 1:2]), 0.0),
            np.maximum(np.maximum(faces[:, 2:3] - y, y - faces[:, 3:4]), 0.0),
            np.maximum(z - faces[:, 4:], 0.0),
        ],
        axis=2,
    )
    first, change = out[:, :-1], np.diff(out, axis=1)
    share = _least_share(first, change)
    squared = ((first + share[..., None] * change) ** 2).sum(axis=2)
    best = squared.argmin(axis=1)
    row = np.arange(len(cuts))
    at = cuts[row, best] + share[row, best] * (cuts[row, best + 1] - cuts[row, best])
    return np.sqrt(squared[row, best]), at


def _least_share(first: Floats, change: Floats) -> Floats:
    """(...) share in [0, 1] at which the vectors first + share * change (..., d) are shortest."""
    square = (change * change).sum(axis=-1)
    along = (first * change).sum(axis=-1)
    return np.minimum(np.maximum(-along / np.where(square > 0, square, 1.0), 0.0), 1.0)


def triangle_to_columns(
    corners: Floats, west: ArrayLike, south: ArrayLike, side: float, top: ArrayLike
) -> tuple[Floats, Floats]:
    """Distance in space from a filled triangle (3, 3) to columns, as `segment_to_columns`.

    Two convex bodies that do not meet are nearest at a pair of edges, or at a corner of one and a face of the other.
    The triangle's edges against the whole column take all pairs but the column's corners against the triangle's
    inside; where no edge of the triangle meets the column, the two can only meet where an upright edge of the column
    pierces the triangle.

    Returns:
        (k,) metres, and (k,) zeros: a triangle has no share.
    """
    west, south, top = (np.asarray(values, np.float64) for values in (west, south, top))
    distance = np.min(
        [segment_to_columns(corners[n - 1], corners[n], west, south, side, top)[0] for n in range(3)], axis=0
    )
    a, u, v = corners[0], corners[1] - corners[0], corners[2] - corners[0]
    normal = np.cross(u, v)
    area = float(np.linalg.norm(normal))
    if area == 0.0:
        return distance, np.zeros(len(distance))
    for east, north in ((0, 0), (side, 0), (0, side), (side, side)):
        corner = np.stack([west + east, south + north, top], axis=1)
        off = (corner - a) @ normal / area
        beside = _inside(corner - a - off[:, None] * normal / area, u, v, normal)
        distance = np.where(beside, np.minimum(distance, np.abs(off)), distance)
        if normal[2] != 0.0:
            # Where the upright line through the corner meets the triangle's plane.
            up = a[2] - ((corner[:, :2] - a[:2]) @ normal[:2]) / normal[2]
            pierced = _inside(np.column_stack([corner[:, :2], up]) - a, u, v, normal) & (up <= top)
            distance = np.where(pierced, 0.0, distance)
    return distance, np.zeros(len(distance))


def _inside(points: Floats, u: Floats, v: Floats, normal: Floats) -> NDArray[np.bool_]:
    """Which points (k, 3) of the plane through 0 lie in the triangle (0, u, v)."""
    square = normal @ normal
    by_v = np.cross(u, points) @ normal / square
    by_u = np.cross(points, v) @ normal / square
    return (by_u >= 0) & (by_v >= 0) & (by_u + by_v <= 1)


def segments_to_outline(a: Floats, b: Floats, ring: Floats) -> tuple[Floats, Floats]:
    """Distance over the ground from segments a-b to the inside of a closed outline; 0 where they meet it.

    Args:
        a, b: (k, 2) metres; they may be one point.
        ring: (m, 2) corners, not closed. Corners may repeat, edges may run back along each other.

    Returns:
        (k,) metres, and (k,) the share of the segment at which it is.
    """
    c, d = ring, np.roll(ring, -1, axis=0)
    into, edge = b - a, d - c
    # The ends of the outline's edges against each segment, and the ends of the segments against each edge.
    between = a[:, None] - c[None]
    share = _least_share(between, np.broadcast_to(into[:, None], between.shape))
    best = np.linalg.norm(between + share[..., None] * into[:, None], axis=2)
    for end, at in ((a, 0.0), (b, 1.0)):
        between = c[None] - end[:, None]
        along = _least_share(between, np.broadcast_to(edge[None], between.shape))
        away = np.linalg.norm(between + along[..., None] * edge[None], axis=2)
        share, best = np.where(away < best, at, share), np.minimum(best, away)
    # Two segments cross where each has the ends of the other on both sides.
    side_c, side_d = _cross(into[:, None], c[None] - a[:, None]), _cross(into[:, None], d[None] - a[:, None])
    side_a, side_b = _cross(edge[None], a[:, None] - c[None]), _cross(edge[None], b[:, None] - c[None])
    crossed = (side_c * side_d < 0) & (side_a * side_b < 0)
    at = side_a / np.where(crossed, side_a - side_b, 1.0)
    share, best = np.where(crossed, at, share), np.where(crossed, 0.0, best)
    nearest = best.argmin(axis=1)
    row = np.arange(len(a))
    inside = within(a, ring)
    return np.where(inside, 0.0, best[row, nearest]), np.where(inside, 0.0, share[row, nearest])


def _cross(u: Floats, v: Floats) -> Floats:
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]


def within(points: Floats, ring: Floats) -> NDArray[np.bool_]:
    """Which points (k, 2) lie inside an outline (m, 2): those whose way east crosses it an odd number of times."""
    c, d = ring, np.roll(ring, -1, axis=0)
    x, y = points[:, :1], points[:, 1:]
    spans = (c[:, 1] <= y) != (d[:, 1] <= y)
    rise = np.where(spans, d[:, 1] - c[:, 1], 1.0)
    crossing = c[:, 0] + (y - c[:, 1]) / rise * (d[:, 0] - c[:, 0])
    return (spans & (crossing > x)).sum(axis=1) % 2 == 1
