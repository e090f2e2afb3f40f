"""Which voxels a segment touches, in rational numbers: no rounding, no traversal, every voxel asked."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray


def touches(a, b, cell, grown: Fraction = Fraction(0)) -> bool:
    """Whether the closed segment a b meets the closed box of a voxel, grown on every side."""
    begin, end = Fraction(0), Fraction(1)
    for p, q, c in zip(a, b, cell, strict=True):
        p, d = Fraction(p), Fraction(q) - Fraction(p)
        low, high = Fraction(int(c)) - grown, Fraction(int(c) + 1) + grown
        if d == 0:
            if not low <= p <= high:
                return False
            continue
        enter, leave = sorted(((low - p) / d, (high - p) / d))
        begin, end = max(begin, enter), min(end, leave)
    return begin <= end


def segment_clear(blocked: NDArray[np.bool_], a, b, grown: Fraction = Fraction(0)) -> bool:
    """Whether no blocked voxel is touched, and nothing outside the grid (its ends decide: the grid is convex)."""
    for end in (a, b):
        if any(not grown < Fraction(c) < n - grown for c, n in zip(end, blocked.shape, strict=True)):
            return False
    return not any(touches(a, b, cell, grown) for cell in np.argwhere(blocked))


def least_along(values: NDArray[np.floating], points, grown: Fraction = Fraction(0)) -> float:
    """The least value among all voxels that any segment between consecutive points touches."""
    pairs = list(itertools.pairwise(points)) or [(points[0], points[0])]
    return min(
        float(values[cell]) for cell in np.ndindex(values.shape) if any(touches(a, b, cell, grown) for a, b in pairs)
    )


def shortest_in_the_plane(blocked: NDArray[np.bool_], start, goal, seen, off: float = 1e-6) -> float:
    """Length of the shortest way among blocked cells (nx, ny) of a plane, inf when there is none: Dijkstra over start,
    goal and the four corners of each blocked cell that is a corner of what is blocked, moved off it, where
    ``seen(a, b)``. A shortest way bends nowhere else."""
    padded = np.pad(blocked, 1)
    along_x = padded[:-2, 1:-1] & padded[2:, 1:-1]
    along_y = padded[1:-1, :-2] & padded[1:-1, 2:]
    places = [tuple(map(float, start)), tuple(map(float, goal))]
    for i, j in np.argwhere(blocked & ~along_x & ~along_y):
        places += [(float(x), float(y)) for x in (i - off, i + 1 + off) for y in (j - off, j + 1 + off)]
    lengths, done = {0: 0.0}, set()
    while lengths.keys() - done:
        here = min(lengths.keys() - done, key=lengths.__getitem__)
        if here == 1:
            return lengths[1]
        done.add(here)
        for there, place in enumerate(places):
            total = lengths[here] + math.dist(places[here], place)
            if there not in done and total < lengths.get(there, math.inf) and seen(places[here], place):
                lengths[there] = total
    return math.inf
