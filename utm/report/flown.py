"""What a demo or a fleet flight was: the input of every picture and of the page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.mapping import CityMap
from utm.model import FlightPlan, GeoZone, OperationalIntent, RuleSet, Waypoint

#: Told apart by people with any kind of colour vision (Okabe and Ito 2008, the darker ones), in the order in which
#: two of them differ most. Later flights begin again.
FLIGHT_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#AA3377", "#7A5C00", "#332288")
#: A place within this distance of a pad is that pad.
_NAMED_M = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class FlownFlight:
    """One flight as granted and as flown, from lift-off to touch-down, as the conformance monitor judged it.

    Raises:
        ValueError: arrays of different lengths, numbers that are not finite, times out of order.
    """

    intent: OperationalIntent
    t_s: NDArray[np.float64]
    """(n,) Unix seconds of the positions, strictly increasing. n is 0 for a flight that never left the ground."""
    enu_m: NDArray[np.float64]
    """(n, 3) positions, metres east, north, up in the map's frame."""
    cross_track_m: NDArray[np.float64]
    """(n,) horizontal distance from the centre line."""
    height_error_m: NDArray[np.float64]
    """(n,) height above (positive) or below the centre line."""
    inside: NDArray[np.bool_]
    """(n,) whether the drone was in its corridor."""
    decision_line: str
    """What the airspace said to the plan, in one line: ``approved as asked``, ``approved, departs 75 s later``."""
    trouble: str = ""
    """What ended the flight early, or kept it on the ground; empty for one that went to its end."""

    def __post_init__(self) -> None:
        n = len(self.t_s)
        shapes = {
            "t_s": (self.t_s, (n,)),
            "enu_m": (self.enu_m, (n, 3)),
            "cross_track_m": (self.cross_track_m, (n,)),
            "height_error_m": (self.height_error_m, (n,)),
            "inside": (self.inside, (n,)),
        }
        for name, (values, shape) in shapes.items():
            if np.shape(values) != shape:
                raise ValueError(f"{self.intent.id}: {name} must have shape {shape}, got {np.shape(values)}")
            if not np.isfinite(values).all():
                raise ValueError(f"{self.intent.id}: {name} must be finite numbers")
        if not (np.diff(self.t_s) > 0).all():
            raise ValueError(f"{self.intent.id}: the positions of a flown track must be in order of time")

    @property
    def flew(self) -> bool:
        """Whether it left the ground for longer than one report, so that there is a track."""
        return len(self.t_s) > 1


@dataclass(frozen=True, slots=True)
class Refused:
    """One plan that was not granted."""

    plan: FlightPlan
    reason: str
    """One or more sentences."""
    alternative: FlightPlan | None = None
    """The nearest plan that would be granted, if one was found."""
    alternative_line: str = ""
    """How it differs, in words."""


@dataclass(frozen=True, slots=True, eq=False)
class Flown:
    """All that was asked, granted and flown in one airspace at one time.

    Raises:
        ValueError: two flights of one plan.
    """

    city_map: CityMap
    zones: tuple[GeoZone, ...]
    flights: tuple[FlownFlight, ...]
    rules: RuleSet
    refused: tuple[Refused, ...]
    places: tuple[tuple[str, float, float], ...]
    """Pads to be labelled: name, longitude, latitude (WGS84 degrees)."""
    title: str
    water: tuple[tuple[tuple[float, float], ...], ...] = ()
    """Outlines (lon, lat) to be tinted as water; a map does not know water."""

    def __post_init__(self) -> None:
        ids = [flight.intent.plan.id for flight in self.flights]
        if len(set(ids)) < len(ids):
            raise ValueError(f"a plan is flown once, got {ids}")

    def colour(self, flight: FlownFlight) -> str:
        """The colour that stands for a flight in every picture and on the page."""
        return FLIGHT_COLOURS[self.flights.index(flight) % len(FLIGHT_COLOURS)]

    def place_name(self, point: Waypoint) -> str:
        """What people call a place: the nearest pad within 30 m, else its coordinates."""
        if self.places:
            lon, lat = np.array([place[1:] for place in self.places], np.float64).T
            east, north = self.city_map.frame.to_map(lon, lat)
            here = self.city_map.frame.to_map(point.lon_deg, point.lat_deg)
            away = np.hypot(east - here[0], north - here[1])
            if away.min() <= _NAMED_M:
                return self.places[int(np.argmin(away))][0]
        return f"{point.lat_deg:.5f}, {point.lon_deg:.5f}"
