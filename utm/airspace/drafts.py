"""What a search for another way and time is made of: blocks of voxels, an even speed, stretches, spans. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from utm.airspace.case import Option
from utm.core import FlightSpace
from utm.core.levels import STOP_S
from utm.model import Aircraft


def blocks(space: FlightSpace, points_m: NDArray[np.float64], side: int, aside_m: float) -> FlightSpace:
    """The space up to ``aside_m`` from a way (n, 3), in blocks of ``side`` voxels, free where all of these are."""
    low, high = (np.floor(space.to_grid(ends)) for ends in (points_m.min(axis=0), points_m.max(axis=0)))
    beside = math.ceil(aside_m / space.cell_m)
    shape = np.array(space.blocked.shape)
    first = np.array([*np.clip(low[:2] - beside, 0, shape[:2] - 1), 0]).astype(int)
    last = np.array([*np.clip(high[:2] + beside + 1, 1, shape[:2]), shape[2]]).astype(int)
    cut = space.blocked[tuple(slice(a, b) for a, b in zip(first, last, strict=True))]
    more = [(0, -n % side) for n in cut.shape]
    if any(after for _, after in more):
        cut = np.pad(cut, more, constant_values=True)
    nx, ny, nz = (n // side for n in cut.shape)
    blocked = cut.reshape(nx, side, ny, side, nz, side).any(axis=(1, 3, 5))
    return FlightSpace(space.to_enu(first), side * space.cell_m, blocked)


def pace(asked: Option, aircraft: Aircraft) -> float:
    """Metres a second over the ground between the columns, steps and their stops apart, as the asked way has it."""
    legs = np.diff(asked.route.points_m, axis=0)[1:-1]
    across, rise = np.hypot(legs[:, 0], legs[:, 1]), legs[:, 2]
    ends = asked.route.points_m[[0, 1, -2, -1]]
    line = asked.line
    at_top = [int(np.flatnonzero((line.enu_m == end).all(axis=1))[n]) for end, n in ((ends[1], 0), (ends[2], -1))]
    took = float(line.t_s[at_top[1]] - line.t_s[at_top[0]]) - STOP_S
    steps = across == 0.0
    took -= float(np.where(rise > 0, rise / aircraft.climb_m_s, -rise / aircraft.descent_m_s)[steps].sum())
    took -= STOP_S * np.count_nonzero(steps)
    if took <= 0.0:
        return aircraft.cruise_m_s
    return min(max(float(across.sum()) / took, aircraft.cruise_m_s / 2), aircraft.cruise_m_s)


def stretches(points: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Level stretches of a way, one after the other; each begins over or under the end of the one before."""
    cuts = [0, *(np.flatnonzero(np.diff(points[:, 2]) != 0.0) + 1), len(points)]
    for begin, end in itertools.pairwise(cuts):
        part = points[begin:end]
        yield part if len(part) > 1 else np.vstack([part, part])


def off(stretch: NDArray[np.float64]) -> tuple[float, int]:
    """How far the points between the ends are off the straight line at most (metres), and which of them is."""
    way = (stretch[-1] - stretch[0])[:2]
    inner = stretch[1:-1, :2] - stretch[0, :2]
    square = float(way @ way)
    share = np.clip(inner @ way / square, 0.0, 1.0) if square > 0.0 else np.zeros(len(inner))
    off = np.hypot(*(inner - share[:, None] * way).T)
    worst = int(off.argmax())
    return float(off[worst]), worst + 1


def merged(spans: Iterable[tuple[float, float]]) -> NDArray[np.float64]:
    """(k, 2) the same times as spans that are apart."""
    merged: list[list[float]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([begin, end])
    return np.array(merged).reshape(-1, 2)
