"""Whether an aircraft can fly a way at all: endurance, energy and wind.

Speed, climb, descent, acceleration and turn are no reasons to refuse: `time_path` slows down until they are kept. The
limit of a turn is its lateral acceleration, half of ``acceleration_m_s2`` where the corner is passed (on a circle
tangent 10 m before and behind it), or a stop where there is no room for one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core.energy import power_w, usable_wh
from utm.core.trajectory import PlannedLeg, check_endurance, percent, planned_legs
from utm.errors import CannotFly
from utm.model import CALM, Aircraft, Wind

#: Abscissae and weights on [0, 1] (Gauss-Legendre): power is smooth within a phase of a leg.
_AT, _WEIGHT = (np.polynomial.legendre.leggauss(8) + np.array([[1.0], [0.0]])) / 2
_WH_PER_J = 1.0 / 3600.0


@dataclass(frozen=True, slots=True)
class Energy:
    """What a flight draws, beside what there is."""

    used_wh: float
    usable_wh: float
    """The battery less the reserve."""
    battery_wh: float
    reserve_wh: float

    @property
    def left_share(self) -> float:
        """What is left after the flight as a share of the battery, the reserve included; below 0 where it is short."""
        return 1.0 - self.used_wh / self.battery_wh


def flight_energy(points_m: ArrayLike, aircraft: Aircraft, wind: Wind = CALM) -> Energy:
    """What the flight of `time_path` draws from the battery.

    The power of steady flight (`power_w`) at each moment's airspeed and climb, integrated over the motion, hovering
    included where it slows down and stops. Speeding up adds the work that it takes, ``m a`` times the speed through the
    air; braking gives nothing back. The turn at a corner is taken as if it were flown through the corner itself.

    Args:
        points_m: (n, 3) metres east, north, up, as for `time_path`.
        aircraft: what flies.
        wind: the forecast.

    Raises:
        CannotFly: the wind is too strong for a leg.
        ValueError: as `time_path`.
    """
    return _energy(planned_legs(points_m, aircraft, wind), aircraft, wind)


def flyable(points_m: ArrayLike, aircraft: Aircraft, wind: Wind = CALM) -> Energy:
    """What it draws, where the aircraft can fly the way in this wind and keep its reserve.

    Raises:
        CannotFly: which limit is missed, and by how much; in ``limit``: ``wind``, ``endurance`` or ``energy``, in this
            order.
        ValueError: as `time_path`.
    """
    legs = planned_legs(points_m, aircraft, wind)
    check_endurance(sum(sum(leg.phases_s) for leg in legs), aircraft)
    energy = _energy(legs, aircraft, wind)
    if energy.used_wh > energy.usable_wh:
        over = percent(energy.used_wh / energy.usable_wh - 1) if energy.usable_wh > 0 else "all of it"
        raise CannotFly(
            f"the flight needs {energy.used_wh:.1f} Wh, {over} more than the {energy.usable_wh:.1f} Wh that leave the "
            f"reserve of a {aircraft.name} untouched",
            limit="energy",
            needed=energy.used_wh,
            allowed=energy.usable_wh,
        )
    return energy


def _energy(legs: tuple[PlannedLeg, ...], aircraft: Aircraft, wind: Wind) -> Energy:
    usable = usable_wh(aircraft)
    used = float(_pieces_wh(legs, aircraft, wind).sum())
    return Energy(used, usable, aircraft.battery_wh, aircraft.battery_wh - usable)


def _pieces_wh(legs: tuple[PlannedLeg, ...], aircraft: Aircraft, wind: Wind) -> NDArray[np.float64]:
    """Watt-hours of all legs, piece by piece: eight points of time in each phase, the level one cut at the heights of
    the forecast. The power of all pieces is worked out at once: a call for each took a third of a whole decision."""
    took, ups, motions, ways = [], [], [], []
    for leg in legs:
        rise, level, fall = leg.phases_s
        cuts = [0.0, rise, rise + level, rise + level + fall]
        way = leg.direction
        climb = way[2] * leg.peak_m_s
        if level > 0 and climb != 0:
            from_rise = leg.start_m[2] + way[2] * leg.along(rise)[0]
            crossed = rise + (wind.up_m - from_rise) / climb
            cuts = sorted([*cuts, *crossed[(crossed > rise) & (crossed < rise + level)].tolist()])
        begin, lasts = np.array(cuts[:-1]), np.diff(cuts)
        gone, speed, steep = leg.along(begin[:, None] + lasts[:, None] * _AT)
        took.append(lasts)
        ups.append(leg.start_m[2] + way[2] * gone)
        motions.append(np.stack([speed, steep]))
        ways.append(np.broadcast_to(way, (len(lasts), 3)))
    along, (speed, steep) = np.concatenate(ways), np.concatenate(motions, axis=1)
    air = speed[..., None] * along[:, None, :]
    air[..., :2] -= wind.at(np.concatenate(ups))
    steady = power_w(aircraft, np.hypot(air[..., 0], air[..., 1]), air[..., 2])
    pushing = aircraft.mass_kg * np.maximum(steep * (air * along[:, None, :]).sum(-1), 0.0) / aircraft.efficiency
    found: NDArray[np.float64] = np.concatenate(took) * ((steady + pushing) @ _WEIGHT) * _WH_PER_J
    return found
