"""What was flown: one log for each flight, and the distance between two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.errors import UtmError


@dataclass(frozen=True, slots=True, eq=False)
class FlightLog:
    """One flight as it was seen and judged, while it was in the air. Arrays of one length n; n may be 0."""

    intent_id: str
    t_s: NDArray[np.float64]
    """(n,) Unix seconds by the vehicle's clock, strictly increasing."""
    enu_m: NDArray[np.float64]
    """(n, 3) metres east, north, up in the map's frame."""
    cross_track_m: NDArray[np.float64]
    """(n,) horizontal distance from the centre line."""
    height_error_m: NDArray[np.float64]
    """(n,) height above the centre line."""
    late_s: NDArray[np.float64]
    """(n,) how far behind its time it was; negative for early."""
    inside: NDArray[np.bool_]
    """(n,) whether it conformed."""
    mode: tuple[str, ...]
    """n flight modes, in the words of :class:`utm.model.VehicleState`."""
    landed: bool
    """Whether it was seen to stand on the ground, disarmed, after the flight."""
    said: tuple[str, ...]
    """The vehicle's own words."""
    error: UtmError | None
    """What ended the flight, or kept it from beginning; None for one that went to its end."""

    @property
    def conformed(self) -> bool:
        """Whether it flew to its end, inside its corridor all the way."""
        return self.error is None and self.landed and len(self.t_s) > 0 and bool(self.inside.all())


@dataclass(frozen=True, slots=True, eq=False)
class Separation:
    """How far apart two flights were, while both were in the air. Arrays of one length; may be empty."""

    t_s: NDArray[np.float64]
    """(n,) Unix seconds: the times of both logs, and between them the moments of least horizontal distance."""
    horizontal_m: NDArray[np.float64]
    vertical_m: NDArray[np.float64]


def separation(a: FlightLog, b: FlightLog) -> Separation:
    """Distances between two flown tracks, each taken as straight between its reports.

    Between two times on the common base both move uniformly, so the moment of least horizontal distance is known; it
    is put into the base, and no horizontal minimum falls between two entries.
    """
    if len(a.t_s) < 2 or len(b.t_s) < 2:
        return Separation(np.empty(0), np.empty(0), np.empty(0))
    start, end = max(a.t_s[0], b.t_s[0]), min(a.t_s[-1], b.t_s[-1])
    base = np.union1d(a.t_s, b.t_s)
    base = np.union1d(base[(base >= start) & (base <= end)], [start, end] if start <= end else [])
    if len(base) > 1:
        apart, step = _apart(a, b, base)[:, :2], np.diff(base)
        velocity = np.diff(apart, axis=0) / step[:, None]
        speed2 = (velocity**2).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            after = -(apart[:-1] * velocity).sum(axis=1) / speed2
        within = (speed2 > 0) & (after > 0) & (after < step)
        base = np.union1d(base, base[:-1][within] + after[within])
    apart = _apart(a, b, base)
    return Separation(base, np.hypot(apart[:, 0], apart[:, 1]), np.abs(apart[:, 2]))


def _apart(a: FlightLog, b: FlightLog, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3) from a to b."""
    columns = [np.interp(t_s, b.t_s, b.enu_m[:, k]) - np.interp(t_s, a.t_s, a.enu_m[:, k]) for k in range(3)]
    return np.column_stack(columns)
