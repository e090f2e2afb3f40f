"""A granted corridor as prisms in space and time, the form in which ASTM F3548-21 exchanges it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import shapely

from utm.model import Corridor, Volume4D

#: Longest piece of centre line in one volume: shorter pieces follow the flight more closely in time.
_PIECE_M = 200.0
_PIECE_S = 30.0
#: Segments in a quarter circle of an outline. A chord polygon lies inside its circle, so the radius grows by this.
_QUARTER = 4
_OUTSIDE = 1.0 / math.cos(math.pi / (4 * _QUARTER))


def volumes_of(corridor: Corridor) -> tuple[Volume4D, ...]:
    """Prisms that together contain the corridor: for every point of it and every moment at which it may be used,
    one of them holds both. They overlap where they meet.
    """
    line = corridor.occupied
    found = []
    for index in range(len(line.t_s) - 1):
        (a, b), (start, end) = line.enu_m[index : index + 2], line.t_s[index : index + 2]
        pieces = max(
            1,
            math.ceil(float(np.hypot(*(b - a)[:2])) / _PIECE_M - 1e-9),
            math.ceil((end - start) / _PIECE_S - 1e-9),
        )
        cuts = np.linspace(0.0, 1.0, pieces + 1)
        for low, high in itertools.pairwise(cuts):
            found.append(_volume(corridor, a + low * (b - a), a + high * (b - a), start, end, low, high))
    return tuple(found)


def _volume(corridor: Corridor, a, b, start: float, end: float, low: float, high: float) -> Volume4D:
    axis = shapely.LineString([a[:2], b[:2]]) if np.hypot(*(b - a)[:2]) > 1e-9 else shapely.Point(a[:2])
    outline = shapely.orient_polygons(axis.buffer(corridor.half_width_m * _OUTSIDE, quad_segs=_QUARTER))
    tolerance = corridor.time_tolerance_s
    return Volume4D(
        outline_m=np.asarray(outline.exterior.coords)[:-1],
        floor_m=float(min(a[2], b[2])) - corridor.below_m,
        ceiling_m=float(max(a[2], b[2])) + corridor.above_m,
        start_s=start + low * (end - start) - tolerance,
        end_s=start + high * (end - start) + tolerance,
    )
