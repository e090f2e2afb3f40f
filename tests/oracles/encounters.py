"""Encounters by looking at every hundredth of a slot: slow, obvious, blind between two looks."""

from __future__ import annotations

import itertools
import math

import numpy as np


def place(drone, t_s: float, back_s: float) -> np.ndarray:
    """Where a drone is predicted to be."""
    if drone.corridor is None:
        return np.asarray(drone.enu_m) + np.asarray(drone.velocity_m_s) * (t_s - drone.t_s)
    line = drone.corridor.centre_line
    off = np.asarray(drone.enu_m) - line.at(drone.t_s - drone.late_s)
    return line.at(t_s - drone.late_s) + off * min(max(1.0 - (t_s - drone.t_s) / back_s, 0.0), 1.0)


def uncertainty(drone, t_s: float) -> tuple[float, float]:
    """Horizontal and vertical, without bends."""
    age = max(t_s - drone.t_s, 0.0)
    room = (math.inf, math.inf)
    if drone.corridor is not None:
        room = drone.corridor.half_width_m, max(drone.corridor.below_m, drone.corridor.above_m)
    errors = drone.aircraft.navigation_error_m, drone.aircraft.height_error_m
    return tuple(
        min(error + drift * age**2 / 2, max(most, error))
        for error, drift, most in zip(errors, drone.drift_m_s2, room, strict=True)
    )


def nearest(path, reach, i: int, j: int, slots: int, horizontal: float, vertical: float, looks: int = 100):
    """(least measure without uncertainty, at which slot time, with uncertainty) over looks in every slot."""
    best, at, unsure = math.inf, 0.0, math.inf
    for k in range(slots):
        s = np.linspace(0.0, 1.0, looks + 1)[:, None]
        gap = (1 - s) * (path[i, k] - path[j, k]) + s * (path[i, k + 1] - path[j, k + 1])
        across, up = np.hypot(gap[:, 0], gap[:, 1]), np.abs(gap[:, 2])
        plain = np.maximum(across / horizontal, up / vertical)
        wide, tall = horizontal + reach[i, k, 0] + reach[j, k, 0], vertical + reach[i, k, 1] + reach[j, k, 1]
        unsure = min(unsure, np.maximum(across / wide, up / tall).min())
        if plain.min() < best - 1e-9:
            best, at = plain.min(), k + s[plain.argmin(), 0]
    return best, at, unsure


def every_pair(path, reach, slots: int, horizontal: float, vertical: float):
    """{(i, j): nearest} of all pairs."""
    return {
        (i, j): nearest(path, reach, i, j, slots, horizontal, vertical)
        for i, j in itertools.combinations(range(len(path)), 2)
    }
