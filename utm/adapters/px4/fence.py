"""Whether a polygon can hold a road, asked before anything is sent.

PX4 takes a polygon that crosses itself without a word, and checks a mission's waypoints against the fence but not the
legs between them. Both are checked here, in the integers that MAVLink carries (1e-7 degree), so that every answer is
exact. An edge is straight in longitude and latitude, as PX4 reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

Point: TypeAlias = tuple[int, int]
"""Longitude and latitude in units of 1e-7 degree."""

#: PX4 holds this many fence items in all; some boards fewer.
MOST_VERTICES = 64


def to_e7(lon_deg: float, lat_deg: float) -> Point:
    """A place in the integers of MAVLink; half a unit (6 mm) is the largest error."""
    return round(lon_deg * 1e7), round(lat_deg * 1e7)


def shape_fault(fence: Sequence[Point]) -> str | None:
    """Why this cannot be an inclusion polygon (corners in order, not closed), or None."""
    if len(fence) < 3:
        return f"a fence needs 3 corners or more and this one has {len(fence)}"
    if len(fence) > MOST_VERTICES:
        return f"the fence has {len(fence)} corners and the vehicle takes {MOST_VERTICES}"
    if len(set(fence)) < len(fence):
        return "the fence has the same corner twice"
    edges = list(_edges(fence))
    for i, (a, b) in enumerate(edges):
        # The next edge shares a corner with this one: only a fold straight back would lie upon it.
        following = edges[(i + 1) % len(edges)][1]
        if _side(a, b, following) == 0 and _on_segment(a, b, following):
            return f"the fence folds back on itself at corner {(i + 1) % len(edges) + 1}"
        last = len(edges) - 1 if i == 0 else len(edges)
        for j in range(i + 2, last):
            if segments_touch(a, b, *edges[j]):
                return f"the fence crosses itself: edges {i + 1} and {j + 1} meet"
    return None


def contains(fence: Sequence[Point], place: Point) -> bool:
    """Whether a place lies strictly inside; the boundary is outside."""
    inside = False
    for a, b in _edges(fence):
        side = _side(a, b, place)
        if side == 0 and _on_segment(a, b, place):
            return False
        if (a[1] > place[1]) != (b[1] > place[1]):
            # The edge crosses the place's latitude; is the crossing east of it?
            inside ^= (side > 0) == (b[1] > a[1])
    return inside


def contains_leg(fence: Sequence[Point], start: Point, end: Point) -> bool:
    """Whether a straight leg lies strictly inside, its whole length."""
    return contains(fence, start) and not any(segments_touch(start, end, a, b) for a, b in _edges(fence))


def segments_touch(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether two closed segments share a point."""
    sides = _side(a, b, c), _side(a, b, d), _side(c, d, a), _side(c, d, b)
    if sides[0] * sides[1] < 0 and sides[2] * sides[3] < 0:
        return True
    ends = (a, b, c), (a, b, d), (c, d, a), (c, d, b)
    return any(side == 0 and _on_segment(*end) for side, end in zip(sides, ends, strict=True))


def _edges(fence: Sequence[Point]) -> Iterator[tuple[Point, Point]]:
    return zip(fence, [*fence[1:], fence[0]], strict=True)


def _side(a: Point, b: Point, c: Point) -> int:
    """Sign of the turn a -> b -> c: 1 left, -1 right, 0 straight. Python's integers do not overflow."""
    turn = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return (turn > 0) - (turn < 0)


def _on_segment(a: Point, b: Point, c: Point) -> bool:
    """Whether c, known to lie on the line through a and b, lies between them."""
    return min(a[0], b[0]) <= c[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= c[1] <= max(a[1], b[1])
