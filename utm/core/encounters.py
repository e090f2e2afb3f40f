"""Which live drones come too near to each other in the next half minute.

Where a drone will be:

- A drone that conforms is taken to fly on along its granted line, as late or early as it is now. How far it is beside
  that line goes away within `BACK_S`: its autopilot steers back to it.
- Any other is taken to fly straight on.
- How far it may be from there is the error of its position, and what an acceleration that nobody foresaw makes of it
  since its report: ``error + drift * age^2 / 2``, horizontally and vertically. One that conforms, by definition, is not
  farther off than its corridor is wide.

Time goes in slots. In each the prediction is a straight and even motion; how far it bends away from that (a corner of
the line) is added to the uncertainty, which is taken at the end of the slot. So in every slot the question has a closed
form, and nothing is sampled.

How near two drones are is measured by the protected room, which is a cylinder: the horizontal distance as a share of
the horizontal separation, the vertical one of the vertical separation, the larger of the two. Below 1 separation is
lost. The **closest approach** is the moment at which this is least; of equal ones, the first.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from utm.core import _encounters
from utm.core._jit import read_only
from utm.model import Aircraft, Corridor, RuleSet, Trajectory

#: A drone beside its line is back on it this long after its report.
BACK_S = 10.0
#: Accelerations that nobody foresaw, horizontally and vertically: by half a minute 45 m and 13.5 m.
DRIFT_M_S2 = (0.1, 0.03)
#: Manoeuvres make a way up to this much longer in time: what is predicted reaches that much further.
FASTER = 1.25

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LiveDrone:
    """A drone in the air, as it last reported. One that stands on the ground is no part of the picture.

    Raises:
        ValueError: numbers that are not finite.
    """

    id: str
    t_s: float
    """When: Unix seconds."""
    enu_m: tuple[float, float, float]
    """Where: metres east, north, up."""
    velocity_m_s: tuple[float, float, float]
    """East, north, up."""
    aircraft: Aircraft
    priority: int = 0
    corridor: Corridor | None = None
    """What it was granted, while it conforms; None when it does not, or has no grant."""
    late_s: float = 0.0
    """How late it is on its corridor, as `judge` says."""
    drift_m_s2: tuple[float, float] = DRIFT_M_S2
    """Unforeseen acceleration, horizontally and vertically."""

    def __post_init__(self) -> None:
        numbers = (self.t_s, *self.enu_m, *self.velocity_m_s, self.late_s, *self.drift_m_s2)
        if len(self.enu_m) != 3 or len(self.velocity_m_s) != 3 or not all(map(math.isfinite, numbers)):
            raise ValueError(f"the state of {self.id} must be finite numbers, got {numbers}")


class Severity(enum.StrEnum):
    """How bad an encounter is, by the separation of the rule set."""

    LOST = "lost"
    """Separation is lost at this moment."""
    PREDICTED = "predicted"
    """It will be lost if both fly on as predicted."""
    POSSIBLE = "possible"
    """It may be lost, both being as far from their predictions as they may be."""


@dataclass(frozen=True, slots=True)
class Encounter:
    """Two drones that come too near to each other."""

    a: str
    b: str
    """Their ids, in order."""
    at_s: float
    """Unix seconds of their closest approach."""
    horizontal_m: float
    vertical_m: float
    """How far apart they then are."""
    severity: Severity
    share: float
    """How near they may come with the uncertainty of both: below 1, of separation and uncertainty together."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Where every drone will be: n drones in the order of their ids, over m slots of which the first ``slots`` are
    asked about."""

    drones: tuple[LiveDrone, ...]
    now_s: float
    step_s: float
    slots: int
    path_m: Floats
    """(n, m + 1, 3) metres at the ends of the slots."""
    bend_m: Floats
    """(n, m, 2) how far a motion bends away from straight in a slot."""
    reach_m: Floats
    """(n, m, 2) how far from straight it may be in a slot, horizontally and vertically, all in all."""
    number: Mapping[str, int] = field(repr=False, default_factory=dict)
    """Which row a drone has."""

    def trajectory(self, drone_id: str) -> Trajectory:
        """Where one drone is predicted to be up to the horizon. Raises KeyError for one that is not in the picture."""
        return self.timed(self.path_m[self.number[drone_id]])

    def timed(self, path_m: Floats) -> Trajectory:
        """Places (m + 1, 3) at the ends of the slots as a trajectory up to the horizon."""
        return Trajectory(self.now_s + self.step_s * np.arange(self.slots + 1), path_m[: self.slots + 1])

    def changed(self, ways: Mapping[str, tuple[Floats, Floats]]) -> Picture:
        """The picture in which some drones fly other ways: places (m + 1, 3) and reaches (m, 2) by id."""
        path, bend, reach = self.path_m.copy(), self.bend_m.copy(), self.reach_m.copy()
        for drone_id, (way, far) in ways.items():
            row = self.number[drone_id]
            path[row], reach[row], bend[row] = way, far, 0.0  # the reach holds its bends
        return replace(self, path_m=read_only(path), bend_m=read_only(bend), reach_m=read_only(reach))


def predict(drones: Iterable[LiveDrone], now_s: float, *, horizon_s: float = 30.0, step_s: float = 1.0) -> Picture:
    """Where all drones will be.

    Args:
        drones: in any order, each id once.
        now_s: Unix seconds.
        horizon_s: how far ahead is asked; taken for full slots.
        step_s: length of a slot.

    Raises:
        ValueError: an id that comes twice, or times that are not finite and above zero.
    """
    if not (math.isfinite(now_s) and 0 < step_s <= horizon_s < math.inf):
        raise ValueError(
            f"the horizon must be finite and at least a step, got now {now_s!r}, horizon {horizon_s!r}, step {step_s!r}"
        )
    ordered = tuple(sorted(drones, key=lambda drone: drone.id))
    if twice := [one for one, count in Counter(drone.id for drone in ordered).items() if count > 1]:
        raise ValueError(f"two drones have the id {twice[0]!r}")
    slots = math.ceil(horizon_s / step_s - 1e-9)
    far = math.ceil(slots * FASTER) + 1
    n = len(ordered)
    path, bend, reach = np.empty((n, far + 1, 3)), np.empty((n, far, 2)), np.empty((n, far, 2))
    if n:
        lines = [drone.corridor.centre_line if drone.corridor is not None else None for drone in ordered]
        first = np.cumsum([0, *(0 if line is None else len(line.t_s) for line in lines)])
        times = [line.t_s for line in lines if line is not None]
        _encounters.predict(
            np.array([drone.t_s - now_s for drone in ordered]),
            np.array([drone.enu_m for drone in ordered], np.float64),
            np.array([drone.velocity_m_s for drone in ordered], np.float64),
            first.astype(np.int64),
            np.concatenate(times) - now_s if times else np.empty(0),
            np.concatenate([line.enu_m for line in lines if line is not None]) if times else np.empty((0, 3)),
            np.array([drone.late_s for drone in ordered], np.float64),
            np.array([error_m(drone) for drone in ordered], np.float64),
            np.array([drone.drift_m_s2 for drone in ordered], np.float64),
            np.array([most_m(drone) for drone in ordered], np.float64),
            float(step_s),
            BACK_S,
            path,
            bend,
            reach,
        )
    number = {drone.id: row for row, drone in enumerate(ordered)}
    return Picture(ordered, now_s, step_s, slots, read_only(path), read_only(bend), read_only(reach), number)


def find_encounters(picture: Picture, rules: RuleSet) -> tuple[Encounter, ...]:
    """All pairs that come, or may come, too near to each other up to the horizon, by the time of closest approach.

    Cost grows with the number of drones and of pairs whose boxes of five slots of flight overlap.

    Raises:
        ValueError: separations that are not finite and above zero.
    """
    horizontal, vertical = limits(rules)
    if len(picture.drones) < 2:
        return ()
    room = np.empty((max(256, 4 * len(picture.drones)), 2), np.int64)
    while True:
        count = _encounters.pairs(picture.path_m, picture.reach_m, picture.slots, horizontal, vertical, room)
        if count <= len(room):
            break
        room = np.empty((count, 2), np.int64)
    found = np.unique(room[:count], axis=0)
    out = np.empty((len(found), 5))
    _encounters.details(
        picture.path_m, picture.reach_m, picture.slots, picture.step_s, horizontal, vertical, found, out
    )
    told = []
    for (i, j), (at, across, up, near, unsure) in zip(found.tolist(), out.tolist(), strict=True):
        if near >= 1.0:
            severity = Severity.POSSIBLE
        else:
            apart = picture.path_m[i, 0] - picture.path_m[j, 0]
            lost = math.hypot(apart[0], apart[1]) < horizontal and abs(apart[2]) < vertical
            severity = Severity.LOST if lost else Severity.PREDICTED
        ids = picture.drones[i].id, picture.drones[j].id
        told.append(Encounter(*ids, picture.now_s + at, across, up, severity, unsure))
    return tuple(sorted(told, key=lambda one: (one.at_s, one.a, one.b)))


def limits(rules: RuleSet) -> tuple[float, float]:
    """The separation, horizontal and vertical (metres). Raises ValueError where it is not finite and above zero."""
    found = rules.separation_horizontal_m, rules.separation_vertical_m
    if not all(math.isfinite(limit) and limit > 0 for limit in found):
        raise ValueError(f"separations must be finite and above zero, got {found}")
    return found


def error_m(drone: LiveDrone) -> tuple[float, float]:
    """How far a drone may be from where it says it is."""
    return drone.aircraft.navigation_error_m, drone.aircraft.height_error_m


def most_m(drone: LiveDrone) -> tuple[float, float]:
    """How far it may be from its prediction at most: the room of its corridor, while it conforms."""
    if drone.corridor is None:
        return math.inf, math.inf
    return drone.corridor.half_width_m, max(drone.corridor.below_m, drone.corridor.above_m)
