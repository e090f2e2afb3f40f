"""Which voxels a segment touches, in rational numbers: no rounding, no traversal, every voxel asked."""

from __future__ import annotations

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
