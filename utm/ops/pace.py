"""Keeping time on a sky road: how fast to fly, to be where the plan says when it says. Pure.

A road is granted in time as well as in space, and no autopilot keeps a timetable by itself: told to fly 10 m/s, PX4's
own simulation makes 8.7 to 9, and wind does the rest. So the speed follows the lateness.
"""

from __future__ import annotations

import math

import numpy as np

from utm.model import Trajectory

#: Five seconds late is a quarter faster.
_PER_SECOND = 0.05
_SLOWEST, _FASTEST = 0.7, 1.25
#: Around a corner the planned speed dips; what counts is that of the leg.
_WINDOW_S = 5.0
#: Less than this is climbing or landing.
_LEVEL_M_S = 0.5


def pace(line: Trajectory, t_s: float, late_s: float) -> float | None:
    """Ground speed to be told, m/s; None in the columns at both ends, where the autopilot's own speeds rule.

    Args:
        line: the planned centre line.
        t_s: now, Unix seconds.
        late_s: how far behind its time the drone is; negative for early.
    """
    if not (math.isfinite(late_s) and math.isfinite(t_s)):
        return None
    planned_s = t_s - late_s
    near = (line.t_s[1:] > planned_s - _WINDOW_S) & (line.t_s[:-1] < planned_s + _WINDOW_S)
    if not near.any():
        return None
    steps = np.diff(line.enu_m[:, :2], axis=0)
    planned_m_s = float((np.hypot(steps[:, 0], steps[:, 1]) / np.diff(line.t_s))[near].max())
    if planned_m_s < _LEVEL_M_S:
        return None
    return planned_m_s * min(max(1.0 + _PER_SECOND * late_s, _SLOWEST), _FASTEST)
