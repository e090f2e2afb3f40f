"""Whether the room of a failsafe is clear: of the ground, of zones, of every live flight; and why not."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from utm.airspace.failsafes import STAND_S, Straight, straight
from utm.airspace.landingsites import Site, Surroundings
from utm.airspace.places import Place
from utm.airspace.situation import Situation
from utm.airspace.stretches import Stretch, cut
from utm.airspace.underway import Flight
from utm.airspace.zones import in_the_way
from utm.core import apart, in_conflict
from utm.errors import CannotFly
from utm.model import Corridor, GeoZone, OperationalIntent, WayOut, WayOutKind

#: A stretch is no longer than this, as far as the counts allow (seconds).
STRETCH_S = 20.0
#: Beside half of the flight's own time, zones are looked at so long after its end: a failsafe is over by then.
_AFTER_S = 300.0


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A failsafe that has no cleared room for a stretch of the flight."""

    kind: WayOutKind
    from_s: float
    until_s: float
    sentence: str


class Clearing:
    """One flight before one situation."""

    def __init__(self, situation: Situation, intent: OperationalIntent) -> None:
        skies = situation.skies.for_aircraft(intent.plan.aircraft)
        self.situation, self.intent, self.rules = situation, intent, skies.rules
        self.flight = Flight(intent.corridor, intent.plan.aircraft, situation.conditions.wind)
        line, tolerance = self.flight.line, intent.corridor.time_tolerance_s
        begin, end = line.start_s - tolerance, line.end_s + tolerance
        zones = in_the_way(situation.zones, intent.plan, begin, end + _AFTER_S + (end - begin) / 2)
        held = {zone.id for zone in in_the_way(situation.zones, intent.plan, begin, end)}
        #: The road was cleared of the zones in force while the flight lasts; these come later.
        self._later = tuple(zone for zone in zones if zone.id not in held)
        self.around = Surroundings(skies, _places(situation, intent), self.flight.corners_m, zones)

    def stretches(self, most: int) -> list[Stretch]:
        """The flight in stretches: the columns over its pads, and between them equal ones."""
        line, (up_s, down_s) = self.flight.line, self.flight.in_columns_s
        return [
            *([(line.start_s, up_s)] if line.start_s < up_s else []),
            *cut(up_s, down_s, STRETCH_S, most - 2),
            *([(down_s, line.end_s)] if down_s < line.end_s else []),
        ]

    def on_road(
        self, kind: WayOutKind, stretch: Stretch, make: Callable[[], Corridor], left_out: list[LeftOut]
    ) -> Corridor | None:
        """A failsafe along the flight's own road, which is clear of the ground; None, and why, where it is not."""
        try:
            made = make()
        except CannotFly as error:
            left_out.append(LeftOut(kind, *stretch, _said(error)))
            return None
        zone = self.later_zone(made)
        if zone is not None:
            left_out.append(LeftOut(kind, *stretch, f"{zone.name} ({zone.id}) takes a part of the road by then."))
            return None
        return self._apart(kind, stretch, made, left_out)

    def straight(
        self, kind: WayOutKind, stretch: Stretch, site: Site, left_out: list[LeftOut], climb_to_m: float | None = None
    ) -> Corridor | None:
        """A failsafe straight to a site; None, and why, where it is not clear."""
        try:
            made = straight(self.flight, *stretch, site, climb_to_m)
        except CannotFly as error:
            left_out.append(LeftOut(kind, *stretch, _said(error)))
            return None
        if not self._has_room(stretch, made, site):
            left_out.append(LeftOut(kind, *stretch, "Something stands, or a zone lies, on the straight way there."))
            return None
        return self._apart(kind, stretch, made.corridor, left_out)

    def later_zone(self, corridor: Corridor) -> GeoZone | None:
        """A zone that takes a part of the road, but not yet while the flight itself lasts."""
        return self.around.crossed(corridor.centre_line.enu_m, self._later) if self._later else None

    def near(self, corridor: Corridor) -> tuple[OperationalIntent, ...]:
        """The live intents that might come too near to a corridor, the flight itself left out."""
        return tuple(other for other in self.situation.traffic.near(corridor) if other.id != self.intent.id)

    def way(
        self,
        kind: WayOutKind,
        stretch: Stretch,
        corridor: Corridor,
        site_m: Sequence[float] | np.ndarray,
        *,
        wait_s: float = STAND_S,
        **settings: float,
    ) -> WayOut:
        """A cleared failsafe, with the parameters that it takes beside those of its kind."""
        east, north, up = (float(value) for value in site_m)
        if kind is not WayOutKind.HOLD:
            settings |= {"COM_FAIL_ACT_T": STAND_S, "MPC_XY_CRUISE": self.intent.plan.aircraft.cruise_m_s}
        return WayOut(kind, *stretch, corridor, (east, north, up), wait_s, settings)

    def _apart(self, kind: WayOutKind, stretch: Stretch, made: Corridor, left_out: list[LeftOut]) -> Corridor | None:
        for other in self.near(made):
            if meet(made, other.corridor, self.rules.separation_horizontal_m, self.rules.separation_vertical_m):
                left_out.append(LeftOut(kind, *stretch, meeting(other)))
                return None
        return made

    def _has_room(self, stretch: Stretch, made: Straight, site: Site) -> bool:
        up_s, down_s = self.flight.in_columns_s
        goal = np.array(site[:2])
        if float(np.hypot(*(made.from_m - goal).T).max()) < 1e-6:
            return self.around.down(site, made.level_m)  # over its own pad: only what comes later is to be asked
        if not self.around.down(site, made.level_m):
            return False
        if not made.climbs:
            return self.around.clear(made.from_m, goal, made.low_m, made.level_m)
        # In a column over a pad, nearer to things than else, it may go up again as it may go on.
        in_column = stretch[1] <= up_s or stretch[0] >= down_s
        return self.around.clear(made.from_m, goal, made.level_m, made.level_m) and (
            in_column
            or all(
                self.around.clear(np.stack([a, b]), b, made.low_m, made.level_m)
                for a, b in itertools.pairwise(made.from_m)
            )
        )


def meet(a: Corridor, b: Corridor, horizontal_m: float, vertical_m: float) -> bool:
    """Whether two corridors come nearer than a separation, time tolerances and tubes included."""
    return in_conflict(a.occupied, b.occupied, *apart(a, b, horizontal_m, vertical_m))


def meeting(other: OperationalIntent) -> str:
    """Why a failsafe is not clear, where another flight is met."""
    return f"It would meet {other.plan.operator}'s {other.id}."


def _said(error: CannotFly) -> str:
    text = str(error)
    return f"{text[0].upper()}{text[1:]}."


def _places(situation: Situation, intent: OperationalIntent) -> tuple[Place, ...]:
    """By which the window of the flight is known (`Skies.box`), where no height is asked."""
    frame, way = situation.skies.city_map.frame, intent.corridor.centre_line.enu_m
    between = [frame.to_map(point.lon_deg, point.lat_deg) for point in intent.plan.waypoints]
    return (
        Place("origin", *way[0].tolist()),
        *(Place(f"waypoints.{n}", float(east), float(north), 0.0) for n, (east, north) in enumerate(between)),
        Place("destination", *way[-1].tolist()),
    )
