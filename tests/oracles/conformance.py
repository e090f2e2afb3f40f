"""Conformance by trying points of the centre line, many per second, as the corridor's definition says it."""

from __future__ import annotations

import math

import numpy as np

from utm.model import Corridor


def tried(corridor: Corridor, t_s: float, enu_m, tries: int = 4001) -> tuple[bool, float, float]:
    """(inside, least distance among the points in whose room it is, least distance outside the room)."""
    line = corridor.occupied
    begin = max(line.start_s, t_s - corridor.time_tolerance_s)
    end = min(line.end_s, t_s + corridor.time_tolerance_s)
    if begin > end:
        return False, math.inf, math.inf
    times = np.unique(
        np.concatenate([np.linspace(begin, end, tries), line.t_s[(line.t_s >= begin) & (line.t_s <= end)]])
    )
    place = np.stack([np.interp(times, line.t_s, line.enu_m[:, axis]) for axis in range(3)], axis=1)
    gap = np.asarray(enu_m) - place
    across, up = np.hypot(gap[:, 0], gap[:, 1]), gap[:, 2]
    in_room = (up >= -corridor.below_m) & (up <= corridor.above_m) & (across <= corridor.half_width_m)
    nearest = np.hypot(across, up)[in_room].min() if in_room.any() else math.inf
    outside = np.hypot(
        np.maximum(across - corridor.half_width_m, 0),
        np.maximum(np.maximum(up - corridor.above_m, -up - corridor.below_m), 0),
    )
    return bool(in_room.any()), float(nearest), float(outside.min())
