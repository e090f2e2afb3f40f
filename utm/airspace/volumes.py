"""A granted corridor as prisms in space and time, the form in which ASTM F3548-21 exchanges it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from utm.model import Corridor, Volume4D

#: Longest piece of centre line in one volume: shorter pieces follow the flight more closely in time.
_PIECE_M = 200.0
_PIECE_S = 30.0
#: Segments in a quarter circle of an outline. A chord polygon lies inside its circle, so the radius grows by this.
_QUARTER = 4
_OUTSIDE = 1.0 / math.cos(math.pi / (4 * _QUARTER))
#: A piece shorter than this over the ground is a point.
_POINT_M = 1e-9


def volumes_of(corridor: Corridor) -> tuple[Volume4D, ...]:
    """Prisms that together contain the corridor: for every point of it and every moment at which it may be used,
    one of them holds both. They overlap where they meet. Each stands on a capsule around a piece of the centre line (on
    a circle, where that rests or rises), drawn by chords around its round ends.
    """
    line = corridor.occupied
    steps, took = np.diff(line.enu_m, axis=0), np.diff(line.t_s)
    flat = np.hypot(steps[:, 0], steps[:, 1])
    counts = np.maximum(np.maximum(np.ceil(flat / _PIECE_M - 1e-9), np.ceil(took / _PIECE_S - 1e-9)), 1).astype(int)
    of = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
    low, high = number / counts[of], (number + 1) / counts[of]
    a, b = (line.enu_m[of] + share[:, None] * steps[of] for share in (low, high))
    outlines = _capsules(a[:, :2], b[:, :2], corridor.half_width_m * _OUTSIDE)
    floors = np.minimum(a[:, 2], b[:, 2]) - corridor.below_m
    ceilings = np.maximum(a[:, 2], b[:, 2]) + corridor.above_m
    starts = line.t_s[of] + low * took[of] - corridor.time_tolerance_s
    ends = line.t_s[of] + high * took[of] + corridor.time_tolerance_s
    columns = (column.tolist() for column in (floors, ceilings, starts, ends))
    return tuple(Volume4D(*each) for each in zip(outlines, *columns, strict=True))


def _capsules(a: NDArray[np.float64], b: NDArray[np.float64], radius: float) -> list[NDArray[np.float64]]:
    """Around each segment a-b (n, 2) its outline (k, 2), anticlockwise: half a circle around b, half a one around a; a
    whole one where both are one point."""
    along = b - a
    length = np.hypot(along[:, 0], along[:, 1])
    ahead = np.where(length > _POINT_M, np.arctan2(along[:, 1], along[:, 0]), 0.0)
    half = np.linspace(-math.pi / 2, math.pi / 2, 2 * _QUARTER + 1)
    angles = ahead[:, None] + np.concatenate([half, half + math.pi])
    ends = np.repeat(np.stack([b, a], axis=1), len(half), axis=1)
    corners = ends + radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    # Both halves of a circle have two points in common
    once = np.r_[0 : len(half), len(half) + 1 : 2 * len(half) - 1]
    return [each if long else each[once] for each, long in zip(corners, (length > _POINT_M).tolist(), strict=True)]
