"""A flight between its columns: all that may be flown of it, held against the ground and the ceiling.

What may be flown are the legs up to the turns, and the filled triangles of the turns: those must keep the limits. What
a certificate speaks of is one way through them, the legs and the arcs that touch both, drawn by chords: it never comes
nearer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from utm.mapping import CityMap
from utm.model import LimitKind
from utm.verify.flight import Turn
from utm.verify.geometry import Floats
from utm.verify.ground import Found, Ground, Shape, grounds, nearer
from utm.verify.reading import Room


@dataclass(frozen=True, eq=False)
class Between:
    """The part of a flight between its columns, over the windows of the map that it needs."""

    legs: tuple[Shape, ...]
    """Up to where a turn begins, from where it ends."""
    turns: tuple[Shape, ...]
    arcs: tuple[Shape, ...]
    """The chords of the arcs, each at the knot of its turn."""
    windows: tuple[tuple[Ground, list[Shape]], ...]

    def least(self, kind: LimitKind, within_m: float) -> tuple[Found, float]:
        """The least distance to anything of a kind on all that may be flown; and the most that it can be on the way
        with arcs. Both ``within_m`` where nothing is nearer."""
        straight = Found(within_m)
        for ground, shapes in self.windows:
            straight = nearer(straight, ground.nearest(kind, [s for s in shapes if not s.filled], straight.metres))
        least, rounded = straight, straight.metres
        for ground, shapes in self.windows:
            inside = [shape for shape in shapes if shape.filled]
            least = nearer(least, ground.nearest(kind, inside, least.metres))
            for shape in inside if least is not straight else ():
                if ground.nearest(kind, [shape], rounded).metres < rounded:
                    rounded = min(rounded, ground.nearest(kind, self._arc(shape), rounded).metres)
        return least, rounded

    def ceiling(self, height_m: float) -> tuple[Found, float]:
        """The least room under a ceiling that far above the terrain on all that may be flown; and the most that it can
        be on the way with arcs."""
        least, rounded = Found(math.inf), math.inf
        for ground, shapes in self.windows:
            found, high = ground.ceiling([shape for shape in shapes if not shape.filled], height_m)
            least, rounded = nearer(least, found), min(rounded, high)
        for ground, shapes in self.windows:
            for shape in shapes:
                if not shape.filled:
                    continue
                found, _ = ground.ceiling([shape], height_m)
                if found.metres < rounded:
                    least = nearer(least, found)
                    rounded = min(rounded, ground.ceiling(self._arc(shape), height_m)[1])
        return least, rounded

    def _arc(self, turn: Shape) -> list[Shape]:
        return [arc for arc in self.arcs if arc.knot == turn.knot]

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """All that may be flown."""
        return (*self.legs, *self.turns)


def between(city_map: CityMap, line: Floats, at: Sequence[int], turns: Sequence[Turn], reach_m: float) -> Between:
    """The part of a flight between its columns.

    Args:
        line: (n, 3) knots; at: those at which it bends; turns: the corners that it does not stop at.
        reach_m: how far around it the map is read.

    Raises:
        MapError: it leads off the map, or the map cannot be read.
    """
    tips = {turn.at: turn for turn in turns}
    legs = []
    for first, last in zip(at[1:-2], at[2:-1], strict=True):  # noqa: RUF007 the columns are left out
        a = tips[first].triangle[2] if first in tips else line[first]
        b = tips[last].triangle[0] if last in tips else line[last]
        legs.append(Shape(np.stack([a, b]), first))
    filled = [Shape(turn.triangle, turn.at) for turn in turns]
    arcs = [Shape(arc[n : n + 2], turn.at) for turn in turns for arc in [turn.arc()] for n in range(len(arc) - 1)]
    return Between(tuple(legs), tuple(filled), tuple(arcs), tuple(grounds(city_map, [*legs, *filled], reach_m)))


def when(room: Room, found: Found) -> tuple[float, Floats]:
    """When the centre line is at a place found on it (Unix seconds), and the place (3,); of a turn, its corner."""
    t_s, line, shape = room.t_s, room.enu_m, found.shape
    if shape is None:
        raise ValueError("nothing was found")
    if shape.filled:
        return float(t_s[shape.knot]), line[shape.knot]
    place = shape.at(found.share)
    a, step = line[shape.knot : -1], np.diff(line[shape.knot :], axis=0)
    square = (step * step).sum(axis=1)
    share = np.clip(((place - a) * step).sum(axis=1) / np.where(square > 0, square, 1.0), 0.0, 1.0)
    away = np.linalg.norm(a + share[:, None] * step - place, axis=1)
    n = int((away <= away.min() + 1e-6).argmax())  # the first of equals: a way may come by again
    k = shape.knot + n
    return float(t_s[k] + share[n] * (t_s[k + 1] - t_s[k])), place
