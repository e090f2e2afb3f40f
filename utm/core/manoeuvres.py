"""What one drone could be told to do instead of flying on as predicted, least first.

Every manoeuvre begins ``reaction_s`` from now, at the next end of a slot, and changes velocity by the aircraft's own
acceleration: the places at the ends of the slots lie on that very motion. In between it bends away from straight by
``a dt^2 / 8`` at most, and where it passes a corner of the predicted way by a quarter of the change of velocity times
the slot.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.core._jit import read_only
from utm.core.encounters import FASTER, Picture, error_m

Floats = NDArray[np.float64]

#: Heights to climb or descend by (metres), turns (degrees), and shares of the predicted speed.
HEIGHTS_M = (10.0, 20.0, 30.0, 45.0, 60.0)
TURNS_DEG = (15.0, 30.0, 60.0, 90.0)
SHARES = (0.75, 0.5, FASTER)
#: What moves a drone by less than this (metres) is no manoeuvre, and who is slower than this (m/s) cannot turn.
_LEAST_M = 1.0
_SLOWEST_M_S = 1.0

#: Heights between which a drone may manoeuvre: of boxes (k, 4) west, south, east, north (metres), the highest floor
#: (k,) and the lowest ceiling (k,) anywhere in each.
Band = Callable[[Floats], tuple[Floats, Floats]]


class Kind(enum.StrEnum):
    """What a drone is told."""

    CLIMB = "climb"
    DESCEND = "descend"
    LEFT = "left"
    RIGHT = "right"
    SLOWER = "slower"
    FASTER = "faster"
    HOLD = "hold"


@dataclass(frozen=True, slots=True, eq=False)
class Manoeuvre:
    """One way of flying on."""

    id: str
    kind: Kind
    amount: float
    """Metres of height, degrees of turn, share of the predicted speed; 0 for a hold."""
    from_s: float
    """Unix seconds at which it begins."""
    departure_m: float
    """How far it leads away from the predicted place, at most, up to the horizon: what makes it less or more."""
    path_m: Floats
    """(m + 1, 3) places at the ends of the slots."""
    reach_m: Floats
    """(m, 2) how far from straight the drone may be in a slot."""


@dataclass(frozen=True, slots=True, eq=False)
class HeightBand:
    """A `Band` from arrays over the ground; outside of them nothing may be flown."""

    origin_m: Floats
    """(2,) metres east and north of the south-west corner."""
    cell_m: float
    lowest_m: Floats
    """(nx, ny) lowest height ``up`` at which a drone may be."""
    highest_m: Floats
    """(nx, ny) highest."""

    def __call__(self, boxes: Floats) -> tuple[Floats, Floats]:
        floor, ceiling = np.full(len(boxes), np.inf), np.full(len(boxes), -np.inf)
        low = np.floor((boxes[:, :2] - self.origin_m) / self.cell_m).astype(np.int64)
        high = np.floor((boxes[:, 2:] - self.origin_m) / self.cell_m).astype(np.int64) + 1
        for n, ((i0, j0), (i1, j1)) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
            if min(i0, j0) >= 0 and i1 <= self.lowest_m.shape[0] and j1 <= self.lowest_m.shape[1]:
                floor[n] = self.lowest_m[i0:i1, j0:j1].max()
                ceiling[n] = self.highest_m[i0:i1, j0:j1].min()
        return floor, ceiling


def possible_manoeuvres(picture: Picture, drone_id: str, band: Band, reaction_s: float) -> tuple[Manoeuvre, ...]:
    """What a drone could do, the least departure first, and only where the air is its own.

    A manoeuvre must stay between floor and ceiling from its begin to the horizon. Slower, faster and hold of a drone on
    its granted line need not: they lead nowhere that it was not granted.

    Raises:
        KeyError: no such drone in the picture.
        ValueError: a reaction time that is not finite, or negative.
    """
    if not (math.isfinite(reaction_s) and reaction_s >= 0):
        raise ValueError(f"reaction_s must be a finite number of 0 or more, got {reaction_s!r}")
    row = picture.number[drone_id]
    begin = math.ceil(reaction_s / picture.step_s - 1e-9)
    if begin >= picture.slots:
        return ()
    growth = _growth(picture, row, begin)
    found = []
    for kind, amount, path, bend in _all(picture, row, begin):
        asked = slice(0, picture.slots + 1)
        departure = float(np.linalg.norm(path[asked] - picture.path_m[row, asked], axis=1).max())
        granted = picture.drones[row].corridor is not None and kind in (Kind.SLOWER, Kind.FASTER, Kind.HOLD)
        if departure < _LEAST_M or not (granted or _within(path, bend, band, begin, picture.slots)):
            continue
        at_s = picture.now_s + begin * picture.step_s
        found.append(Manoeuvre(drone_id, kind, amount, at_s, departure, read_only(path), read_only(growth + bend)))
    return tuple(sorted(found, key=lambda one: one.departure_m))


def _growth(picture: Picture, row: int, begin: int) -> Floats:
    """(m, 2) how far the drone may be off whatever way it is told: as predicted until then, and no farther than that or
    its errors afterwards, for it is being steered."""
    growth = picture.reach_m[row] - picture.bend_m[row]
    return np.minimum(growth, np.maximum(growth[max(begin - 1, 0)], error_m(picture.drones[row])))


def _all(picture: Picture, row: int, begin: int) -> Iterator[tuple[Kind, float, Floats, Floats]]:
    """Kind, amount, places at the ends of the slots and bends of every manoeuvre, whether it makes sense or not."""
    base, bend, step = picture.path_m[row], picture.bend_m[row], picture.step_s
    aircraft = picture.drones[row].aircraft
    pull = aircraft.acceleration_m_s2
    curve = np.where(np.arange(len(bend)) >= begin, pull * step**2 / 8, 0.0)
    after = np.maximum(step * (np.arange(len(base)) - begin), 0.0)

    for kind, rate, sign in ((Kind.CLIMB, aircraft.climb_m_s, 1.0), (Kind.DESCEND, aircraft.descent_m_s, -1.0)):
        for height in HEIGHTS_M:
            path = base.copy()
            path[:, 2] += sign * _ramp(after, height, rate, pull)
            yield kind, height, path, bend + np.column_stack([np.zeros_like(curve), curve])

    before = (base[begin] - base[begin - 1]) / step if begin else (base[1] - base[0]) / step
    if math.hypot(before[0], before[1]) >= _SLOWEST_M_S:
        own = np.where(np.arange(len(bend)) < begin, bend.T, 0.0).T  # it has left the corners of the old way
        for degrees in TURNS_DEG:
            for kind, sign in ((Kind.LEFT, 1.0), (Kind.RIGHT, -1.0)):
                path = base.copy()
                path[begin:] = base[begin] + _turned(after[begin:], before, sign * math.radians(degrees), pull)
                yield kind, degrees, path, own + np.column_stack([curve, np.zeros_like(curve)])

    speeds = np.linalg.norm(np.diff(base, axis=0), axis=1) / step
    fastest = float(speeds[begin:].max())
    for share in (*SHARES, 0.0):
        if fastest < _LEAST_M or share * fastest > aircraft.max_airspeed_m_s:
            continue
        kind = Kind.HOLD if share == 0.0 else Kind.SLOWER if share < 1.0 else Kind.FASTER
        # Of a second one is flown that has shrunk, or grown, from one to the share.
        change = abs(1.0 - share) * fastest / pull
        gone = np.minimum(after, change)
        flown = after + (share - 1.0) * (gone**2 / (2 * change) + (after - gone))
        clock = step * np.minimum(np.arange(len(base)), begin) + flown
        path = np.column_stack([np.interp(clock, step * np.arange(len(base)), base[:, axis]) for axis in range(3)])
        yield kind, share, path, _passed(base, bend, clock, step) + curve[:, None]


def _ramp(t: Floats, height: float, rate: float, pull: float) -> Floats:
    """How far up at times since the begin: at most ``rate``, starting and stopping by ``pull``."""
    top = min(rate, math.sqrt(height * pull))
    rise, whole = top / pull, height / top + top / pull
    up = pull * np.minimum(t, rise) ** 2 / 2 + top * np.clip(t - rise, 0.0, whole - 2 * rise)
    slowing = np.clip(t - (whole - rise), 0.0, rise)
    return up + top * slowing - pull * slowing**2 / 2


def _turned(t: Floats, velocity: Floats, angle: float, pull: float) -> Floats:
    """(k, 3) the way flown since the begin, the velocity changing evenly to the one turned to the left by an angle."""
    sine, cosine = math.sin(angle), math.cos(angle)
    wanted = np.array(
        [cosine * velocity[0] - sine * velocity[1], sine * velocity[0] + cosine * velocity[1], velocity[2]]
    )
    change = wanted - velocity
    lasts = float(np.linalg.norm(change)) / pull
    turning = np.minimum(t, lasts)[:, None]
    return velocity * turning + change * turning**2 / (2 * lasts) + wanted * (t[:, None] - turning)


def _passed(base: Floats, bend: Floats, clock: Floats, step: float) -> Floats:
    """(m, 2) how far a way along ``base``, in its slots, is from straight: by the bends and the corners it passes. A
    motion whose velocities in a slot differ by at most w is at most w dt / 4 from straight."""
    velocity = np.diff(base, axis=0) / step
    found = np.zeros_like(bend)
    last = len(bend) - 1
    for k in range(len(bend)):
        low, high = (min(int(np.floor(c / step + side)), last) for c, side in ((clock[k], 1e-9), (clock[k + 1], -1e-9)))
        passed = velocity[low : max(high, low) + 1]
        pace = max((clock[k + 1] - clock[k]) / step, 1.0)
        found[k] = bend[low : max(high, low) + 1].max(axis=0)
        if len(passed) > 1:
            gaps = np.abs(passed[:, None] - passed[None])
            found[k, 0] += pace * np.hypot(gaps[..., 0], gaps[..., 1]).max() * step / 4
            found[k, 1] += pace * gaps[..., 2].max() * step / 4
    return found


def _within(path: Floats, bend: Floats, band: Band, begin: int, slots: int) -> bool:
    """Whether a way is between floor and ceiling from a slot on, in every slot wherever in its box."""
    ends = np.stack([path[begin:slots], path[begin + 1 : slots + 1]])
    low, high = ends.min(axis=0), ends.max(axis=0)
    wide, tall = bend[begin:slots, :1], bend[begin:slots, 1]
    floor, ceiling = band(np.hstack([low[:, :2] - wide, high[:, :2] + wide]))
    return bool((low[:, 2] - tall >= floor).all() and (high[:, 2] + tall <= ceiling).all())
