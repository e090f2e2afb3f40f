"""What an operator asks for."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace

from utm.model.aircraft import Aircraft


class Datum(enum.StrEnum):
    """What a height is measured from. A height without one is refused."""

    AGL = "AGL"
    """Above the ground (the terrain, never the roof) directly below."""
    AMSL = "AMSL"
    """Above mean sea level by the EGM96 geoid: what PX4 and MAVLink call AMSL."""
    WGS84 = "WGS84"
    """Above the WGS84 ellipsoid: what ASTM F3548 and a raw GNSS receiver speak."""
    JGD2011 = "JGD2011"
    """Orthometric height in Japan, JGD2011 (vertical), EPSG:6695, by the geoid GSIGEO2011."""
    JGD2024 = "JGD2024"
    """Orthometric height in Japan since April 2025, by the geoid JPGEO2024 and its corrections for islands."""
    NAP = "NAP"
    """Normaal Amsterdams Peil, the Netherlands, EPSG:5709, by the quasi-geoid NLGEO2018."""
    NAVD88 = "NAVD88"
    """North American Vertical Datum of 1988, EPSG:5703, by the geoid GEOID18 (conterminous United States)."""


class Objective(enum.StrEnum):
    """What a way is chosen to make least."""

    LENGTH = "length"
    TIME = "time"
    ENERGY = "energy"


@dataclass(frozen=True, slots=True)
class Waypoint:
    """A place on the globe with a height that says what it is measured from."""

    lon_deg: float
    """WGS84 longitude, -180 to 180."""
    lat_deg: float
    """WGS84 latitude, -90 to 90."""
    height_m: float
    datum: Datum


@dataclass(frozen=True, slots=True)
class TimedWaypoint:
    """A place on the globe, and when a flight is there."""

    lon_deg: float
    """WGS84 longitude, -180 to 180."""
    lat_deg: float
    """WGS84 latitude, -90 to 90."""
    height_m: float
    datum: Datum
    t_s: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class FlightPlan:
    """A wish: from here to there, not before, not after."""

    id: str
    """Chosen by the operator, unique in an airspace."""
    operator: str
    aircraft: Aircraft
    origin: Waypoint
    """The pad; its height is the height of the pad's surface, where the wheels stand."""
    destination: Waypoint
    """The pad at the other end, likewise."""
    earliest_departure_s: float
    """Unix seconds: the wish. A grant that departs then is a grant as asked."""
    latest_departure_s: float
    """Unix seconds: the latest that is still of use."""
    waypoints: tuple[Waypoint, ...] = ()
    """Places to fly through between the two, in order."""
    priority: int = 0
    """0 is ordinary, higher more urgent: flights of a lower priority make way. First come, first served within one."""
    authorisations: tuple[str, ...] = field(default=())
    """Ids of geo-zones that this operator may enter although they ask for an authorisation."""
    objective: Objective = Objective.LENGTH
    """What the way between the places is to make least, each voxel weighed by the airspace's cost layers."""
    trajectory: tuple[TimedWaypoint, ...] = ()
    """The very flight that is asked for, straight and at constant speed in the map's frame between its points, from pad
    to pad: it is granted as it stands or refused. Empty: the way is sought."""

    def departing(self, at_s: float) -> FlightPlan:
        """The same wish at another time (Unix seconds), as long open as it was."""
        open_s = self.latest_departure_s - self.earliest_departure_s
        return replace(self, earliest_departure_s=at_s, latest_departure_s=at_s + open_s)
