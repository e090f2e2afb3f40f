"""How near a way comes to columns, the slow and obvious way: every piece, every column, ternary search."""

from __future__ import annotations

import itertools
import math

import numpy as np

from utm.core import Columns

#: Thirds that a search leaves of a piece: 0.667^90 of 10 km is less than a femtometre.
_STEPS = 90


def tops_of(columns: Columns) -> dict[str, np.ndarray]:
    """(nx, ny) tops of the three kinds of things, -inf where there is none."""
    none = np.full(columns.shape, -np.inf)
    seen = ~columns.unknown & (columns.surface_m > columns.terrain_m)
    return {
        "terrain": columns.terrain_m.astype(float),
        "obstacle": np.where(seen, columns.surface_m, none),
        "unknown": np.where(columns.unknown, columns.surface_m, none),
    }


def least(points_m, tops: np.ndarray, cell_m: float) -> float:
    """Least distance in space from a way (n, 3) to the boxes below tops (nx, ny) of columns from (0, 0) on."""
    there = np.argwhere(np.isfinite(tops))
    low, high = there * cell_m, (there + 1) * cell_m
    top = tops[tuple(there.T)]
    found = math.inf
    for a, b in itertools.pairwise(np.asarray(points_m, float)):
        if len(there):
            found = min(found, float(_least(a, b, low, high, top).min()))
    return found


def _least(a, b, low, high, top) -> np.ndarray:
    """(k,) distance of a segment to each box: convex in the share of the segment."""
    begin, end = np.zeros(len(top)), np.ones(len(top))
    for _ in range(_STEPS):
        one, two = begin + (end - begin) / 3, end - (end - begin) / 3
        nearer = _to_boxes(a, b, one, low, high, top) <= _to_boxes(a, b, two, low, high, top)
        end = np.where(nearer, two, end)
        begin = np.where(nearer, begin, one)
    ends = [_to_boxes(a, b, share, low, high, top) for share in (begin, end, np.zeros(len(top)), np.ones(len(top)))]
    return np.min(ends, axis=0)


def _to_boxes(a, b, share, low, high, top) -> np.ndarray:
    place = a + share[:, None] * (b - a)
    aside = np.maximum(np.maximum(low - place[:, :2], place[:, :2] - high), 0.0)
    return np.sqrt((aside**2).sum(axis=1) + np.maximum(place[:, 2] - top, 0.0) ** 2)
