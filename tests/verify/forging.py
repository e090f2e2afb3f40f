"""Approvals made to measure: documents of flights along given corners, timed and tubed as the engine does it."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.airspace.conftest import T0
from utm.airspace.documents import zone_feature
from utm.airspace.granting import ovn_of
from utm.airspace.limits import limits_of
from utm.airspace.records import intent_document, intent_from
from utm.airspace.space import Skies
from utm.airspace.zones import zone_hash
from utm.core import time_path, tube_of
from utm.mapping import CityMap
from utm.model import (
    AIRCRAFT_CLASSES,
    Corridor,
    Datum,
    FlightPlan,
    GeoZone,
    IntentState,
    OperationalIntent,
    Restriction,
    RuleSet,
    Waypoint,
)
from utm.verify import Report, verify

#: West, south, east, north of what stands on the plain, metres; and how high.
WALL_M, WALL_UP_M = (780.0, 360.0, 820.0, 840.0), 130.0
SHED_M, SHED_UP_M = (1300.0, 200.0, 1320.0, 220.0), 13.0
UNKNOWN_M = (300.0, 880.0, 340.0, 920.0)
PLAIN_UP_M = 10.0
#: Free air: nothing within 150 m of it below 150 m up.
OPEN = (1150.0, 600.0)
RULES = RuleSet()
QUAD = AIRCRAFT_CLASSES["quad"]

Document = dict[str, Any]


def plain_json(value: Any) -> Any:
    """What comes back from a log."""
    return json.loads(json.dumps(value))


def place(city: CityMap, at_m: Sequence[float]) -> Waypoint:
    """A place of the map as a plan names it."""
    lon, lat = city.frame.to_lonlat(at_m[0], at_m[1])
    return Waypoint(float(lon), float(lat), float(at_m[2]), Datum(city.frame.vertical))


def granted(
    city: CityMap,
    corners_m: Any,
    departure_s: float = T0,
    *,
    name: str = "F",
    zones: Sequence[GeoZone] = (),
    neighbours: Sequence[Document] = (),
    priority: int = 0,
    authorisations: tuple[str, ...] = (),
    rules: RuleSet = RULES,
) -> Document:
    """The document of an approval to fly along some corners, whether that is right or not."""
    corners = np.asarray(corners_m, np.float64)
    line = time_path(corners, QUAD, departure_s)
    corridor = Corridor(
        line,
        rules.half_width_m,
        rules.half_height_m,
        rules.half_height_m,
        rules.time_tolerance_s,
        rules.pad_hold_s,
        tube_of(corners, QUAD),
    )
    ends = place(city, corners[0]), place(city, corners[-1])
    plan = FlightPlan(
        name,
        f"{name} co",
        QUAD,
        *ends,
        departure_s,
        departure_s + 600.0,
        priority=priority,
        authorisations=authorisations,
    )
    intent = OperationalIntent(
        id=name,
        plan=plan,
        state=IntentState.ACCEPTED,
        version=1,
        ovn="",
        corridor=corridor,
        map_version=city.version,
        zones=tuple(f"{zone.id}@{zone_hash(zone)}" for zone in zones),
        neighbours=tuple(f"{other['id']}@{other['ovn']}" for other in neighbours),
        clearances={},
    )
    document = sealed(plain_json(intent_document(dataclasses.replace(intent, ovn="-"))))
    return certified(document, city, zones=zones, neighbours=neighbours)


@functools.cache
def _skies(city: CityMap) -> Skies:
    return Skies(city, RULES)


def certified(
    document: Document, city: CityMap, *, zones: Sequence[GeoZone] = (), neighbours: Sequence[Document] = ()
) -> Document:
    """With the names of its zones and neighbours and the certificate that the engine writes for it."""
    intent, others = intent_from(document), [intent_from(other) for other in neighbours]
    limits = limits_of(_skies(city), intent.plan, intent.corridor, tuple(zones), others)
    names = {
        "zones": [f"{zone.id}@{zone_hash(zone)}" for zone in zones],
        "neighbours": [f"{other.id}@{other.ovn}" for other in others],
    }
    return plain_json(intent_document(dataclasses.replace(intent, limits=limits))) | names


def sealed(document: Document) -> Document:
    """With the OVN that the engine gives its content."""
    return document | {"ovn": ovn_of(intent_from(document))}


def judged(
    document: Document,
    city: CityMap,
    *,
    zones: Sequence[GeoZone] = (),
    neighbours: Sequence[Document] = (),
    live: Sequence[Document] | None = None,
    now_s: float | None = None,
) -> Report:
    """The verifier's report on it."""
    features = plain_json([zone_feature(zone) for zone in zones])
    rules = dataclasses.asdict(RULES)
    return verify(document, city_map=city, rules=rules, zones=features, neighbours=neighbours, live=live, now_s=now_s)


def hop(start_m: Sequence[float], end_m: Sequence[float], up_m: float, ground_m: float = PLAIN_UP_M) -> list:
    """Corners of a flight from pad to pad on one level leg."""
    (a, b), (c, d) = start_m[:2], end_m[:2]
    return [(a, b, ground_m), (a, b, up_m), (c, d, up_m), (c, d, ground_m)]


def passing(
    corner_m: Sequence[float], heading: float, away_m: float, before_m: float, after_m: float
) -> tuple[np.ndarray, np.ndarray]:
    """Ends (2,), (2,) of a straight way that passes a corner at a distance; ``heading`` (radians from east) is the
    direction from the corner to the nearest place of the way."""
    normal = np.array([math.cos(heading), math.sin(heading)])
    along = np.array([-normal[1], normal[0]])
    foot = np.asarray(corner_m) + away_m * normal
    return foot - before_m * along, foot + after_m * along


def square_zone(
    city: CityMap, name: str, centre_m: Sequence[float], half_m: float, turned: float = 0.0, **changes: Any
) -> GeoZone:
    """A square zone, turned by an angle, from the ground to above the ceiling."""
    spokes = turned + math.pi / 4 + math.pi / 2 * np.arange(4)
    reach = half_m * math.sqrt(2)
    east, north = centre_m[0] + reach * np.cos(spokes), centre_m[1] + reach * np.sin(spokes)
    outline = tuple((float(lon), float(lat)) for lon, lat in zip(*city.frame.to_lonlat(east, north), strict=True))
    made = GeoZone(name, f"Zone {name}", Restriction.PROHIBITED, outline, 0.0, Datum.AGL, 200.0, Datum.AGL)
    return dataclasses.replace(made, timezone="Asia/Tokyo", **changes)


def at_share(document: Document, point_m: Sequence[float]) -> float:
    """When the centre line is nearest to a place over the ground."""
    t, p = np.array(document["corridor"]["t_s"]), np.array(document["corridor"]["enu_m"])[:, :2]
    step = np.diff(p, axis=0)
    square = np.maximum((step * step).sum(axis=1), 1e-12)
    share = np.clip(((np.asarray(point_m) - p[:-1]) * step).sum(axis=1) / square, 0.0, 1.0)
    away = np.linalg.norm(p[:-1] + share[:, None] * step - point_m, axis=1)
    n = int(away.argmin())
    return float(t[n] + share[n] * (t[n + 1] - t[n]))


def room_needed(a: Document, b: Document) -> tuple[float, float]:
    """What two approvals must keep between their centre lines, horizontally or else vertically."""
    (a, b) = a["corridor"], b["corridor"]
    return (
        a["half_width_m"]
        + b["half_width_m"]
        + a["tube"]["horizontal_m"]
        + b["tube"]["horizontal_m"]
        + RULES.separation_horizontal_m,
        max(a["below_m"] + b["above_m"], a["above_m"] + b["below_m"])
        + a["tube"]["vertical_m"]
        + b["tube"]["vertical_m"]
        + RULES.separation_vertical_m,
    )
