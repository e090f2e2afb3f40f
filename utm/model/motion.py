"""Motion in a map: where something is when, and the room it is given.

Everything here is float64, SI, in the frame of one map: metres east, north and up, ``up`` being the height in the
map's vertical datum (so ``up`` is never a height above ground). Times are seconds of Unix time (UTC).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_sum, _all = np.add.reduce, np.logical_and.reduce  # `np.sum` and `all` take three times as long for a few numbers


def _frozen(values: object, columns: int | None) -> NDArray[np.float64]:
    array = np.array(values, dtype=np.float64)  # always a copy: a frozen object must not share its memory
    shape = array.shape
    if len(shape) != 1 if columns is None else len(shape) != 2 or shape[1] != columns:
        raise ValueError(f"expected shape {'(n,)' if columns is None else f'(n, {columns})'}, got {shape}")
    # A sum is finite only if all of its terms are; one that overflowed is looked at again term by term.
    if not math.isfinite(_sum(array, axis=None)) and not np.isfinite(array).all():
        raise ValueError("expected finite numbers")
    array.flags.writeable = False
    return array


def _unchecked(t_s: NDArray[np.float64], enu_m: NDArray[np.float64]) -> Trajectory:
    """A trajectory of arrays that nobody else holds and that are known to be right."""
    t_s.flags.writeable = False
    enu_m.flags.writeable = False
    made = object.__new__(Trajectory)
    object.__setattr__(made, "t_s", t_s)
    object.__setattr__(made, "enu_m", enu_m)
    return made


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """Piecewise-linear motion: straight between points, at constant speed on each piece."""

    t_s: NDArray[np.float64]
    """(n,) Unix seconds, strictly increasing, n >= 2."""
    enu_m: NDArray[np.float64]
    """(n, 3) metres east, north, up in the map's frame."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "t_s", _frozen(self.t_s, None))
        object.__setattr__(self, "enu_m", _frozen(self.enu_m, 3))
        if len(self.t_s) != len(self.enu_m) or len(self.t_s) < 2:
            raise ValueError(
                f"a trajectory needs two or more points, got {len(self.t_s)} times, {len(self.enu_m)} points"
            )
        if not _all(self.t_s[1:] > self.t_s[:-1]):
            raise ValueError("the times of a trajectory must increase strictly")

    @property
    def start_s(self) -> float:
        """Time of the first point."""
        return float(self.t_s[0])

    @property
    def end_s(self) -> float:
        """Time of the last point."""
        return float(self.t_s[-1])

    def at(self, t_s: float) -> NDArray[np.float64]:
        """Position (3,) at a time; before the start and after the end it rests at the first and the last point."""
        return np.array([np.interp(t_s, self.t_s, self.enu_m[:, axis]) for axis in range(3)])

    def held(self, before_s: float, after_s: float) -> Trajectory:
        """The same way, at rest on its first point for a while before, and on its last for a while after."""
        for name, value in (("before_s", before_s), ("after_s", after_s)):
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be a finite number of 0 or more, got {value!r}")
        times, places = [self.t_s], [self.enu_m]
        if self.start_s - before_s < self.start_s:
            times.insert(0, np.array([self.start_s - before_s]))
            places.insert(0, self.enu_m[:1])
        if self.end_s + after_s > self.end_s:
            times.append(np.array([self.end_s + after_s]))
            places.append(self.enu_m[-1:])
        return _unchecked(np.concatenate(times), np.concatenate(places))

    def delayed(self, delay_s: float) -> Trajectory:
        """The same way, ``delay_s`` later."""
        return Trajectory(self.t_s + delay_s, self.enu_m)


@dataclass(frozen=True, slots=True)
class Tube:
    """How far what is flown on purpose (rounded corners, limited jerk) is from a trajectory of straight pieces.

    At every moment both distances hold at once, from the trajectory's place at that very moment.
    """

    horizontal_m: float = 0.0
    vertical_m: float = 0.0


class _Once:
    """Room for what follows from the fields and is worked out when it is first asked for."""

    __slots__ = ("_occupied",)


@dataclass(frozen=True, slots=True, eq=False)
class Corridor(_Once):
    """A sky road granted to one flight: a timed centre line and the room around it.

    A drone conforms at time ``t`` when some point of the occupied line (below) whose own time lies within
    ``time_tolerance_s`` of ``t`` is at most ``half_width_m`` away horizontally, with the drone at most ``below_m``
    below and ``above_m`` above that point. Two corridors are disjoint when no such points can coincide.
    """

    centre_line: Trajectory
    half_width_m: float
    below_m: float
    above_m: float
    time_tolerance_s: float
    pad_hold_s: float = 0.0
    """The pads at both ends are part of it this long before the flight and after it."""
    tube: Tube = Tube()
    """Around the centre line; added to the room when two corridors are kept apart."""

    @property
    def occupied(self) -> Trajectory:
        """The centre line, at rest on its pads for ``pad_hold_s`` before and after."""
        try:
            return self._occupied
        except AttributeError:
            object.__setattr__(self, "_occupied", self.centre_line.held(self.pad_hold_s, self.pad_hold_s))
            return self._occupied


@dataclass(frozen=True, slots=True, eq=False)
class Volume4D:
    """A prism in space and time, as ASTM F3548-21 exchanges it (there with WGS84 ellipsoid heights)."""

    outline_m: NDArray[np.float64]
    """(k, 2) corners, metres east and north, anticlockwise, not closed."""
    floor_m: float
    """Lower limit, height in the map's datum."""
    ceiling_m: float
    """Upper limit, height in the map's datum."""
    start_s: float
    end_s: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "outline_m", _frozen(self.outline_m, 2))
