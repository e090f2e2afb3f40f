"""Intents as the JSON of the airspace's log: nothing is lost, floats read back the same."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from utm.airspace.documents import plan_document
from utm.errors import StoreError
from utm.model import (
    Aircraft,
    Corridor,
    Datum,
    FlightPlan,
    IntentState,
    Limit,
    LimitKind,
    Objective,
    OperationalIntent,
    TimedWaypoint,
    Trajectory,
    Tube,
    WayOut,
    WayOutKind,
    Waypoint,
)


def corridor_document(corridor: Corridor) -> dict[str, Any]:
    """A corridor as JSON."""
    line = corridor.centre_line
    return {
        "t_s": line.t_s.tolist(),
        "enu_m": line.enu_m.tolist(),
        "half_width_m": corridor.half_width_m,
        "below_m": corridor.below_m,
        "above_m": corridor.above_m,
        "time_tolerance_s": corridor.time_tolerance_s,
        "pad_hold_s": corridor.pad_hold_s,
        "tube": {"horizontal_m": corridor.tube.horizontal_m, "vertical_m": corridor.tube.vertical_m},
    }


def corridor_from(document: Mapping[str, Any]) -> Corridor:
    """The reverse of :func:`corridor_document`. Raises KeyError, TypeError or ValueError when it is not one."""
    rest = dict(document)
    line = Trajectory(rest.pop("t_s"), rest.pop("enu_m"))
    return Corridor(line, tube=Tube(**rest.pop("tube")), **rest)


def way_out_document(way: WayOut) -> dict[str, Any]:
    """A way out as JSON."""
    return {
        "kind": str(way.kind),
        "from_s": way.from_s,
        "until_s": way.until_s,
        "site_m": list(way.site_m),
        "wait_s": way.wait_s,
        "settings": dict(way.settings),
        "corridor": corridor_document(way.corridor),
    }


def way_out_from(document: Mapping[str, Any]) -> WayOut:
    """The reverse of :func:`way_out_document`. Raises KeyError, TypeError or ValueError when it is not one."""
    rest = dict(document)
    kind, corridor, site = WayOutKind(rest.pop("kind")), corridor_from(rest.pop("corridor")), rest.pop("site_m")
    return WayOut(kind=kind, corridor=corridor, site_m=tuple(site), **rest)


def intent_document(intent: OperationalIntent) -> dict[str, Any]:
    """An intent as it stands in the log. Its volumes are left out: they follow from the corridor."""
    return {
        "id": intent.id,
        "plan": plan_document(intent.plan),
        "plan_times_s": [intent.plan.earliest_departure_s, intent.plan.latest_departure_s],
        "state": str(intent.state),
        "version": intent.version,
        "ovn": intent.ovn,
        "corridor": corridor_document(intent.corridor),
        "map_version": intent.map_version,
        "zones": list(intent.zones),
        "neighbours": list(intent.neighbours),
        "clearances": dict(intent.clearances),
        "conditions": intent.conditions,
        "limits": [
            {
                "kind": str(limit.kind),
                "subject": limit.subject,
                "found_m": limit.found_m,
                "needed_m": limit.needed_m,
                "at_s": limit.at_s,
                "at_m": list(limit.at_m),
            }
            for limit in intent.limits
        ],
        "judged": list(intent.judged),
        "ways_out": [way_out_document(way) for way in intent.ways_out],
    }


def plan_from(document: Mapping[str, Any], times_s: Sequence[float]) -> FlightPlan:
    """A plan out of what ``plan_document`` wrote, with its times to the last bit, which the written form rounds.

    The same as ``parse_plan`` gives of what it would accept. Nothing is checked again: a plan that was let in by other
    doors than a file must not keep everybody from reading the log.

    Raises:
        KeyError, TypeError, ValueError: it is not one.
    """
    figures = dict(document["aircraft"])
    name = figures.pop("class", "custom")
    return FlightPlan(
        id=document["id"],
        operator=document["operator"],
        aircraft=Aircraft(name=name, **{figure: float(value) for figure, value in figures.items()}),
        origin=_place_from(document["origin"]),
        destination=_place_from(document["destination"]),
        earliest_departure_s=times_s[0],
        latest_departure_s=times_s[1],
        waypoints=tuple([_place_from(place) for place in document["waypoints"]]),
        priority=document["priority"],
        authorisations=tuple(document["authorisations"]),
        objective=Objective(document["objective"]),
        trajectory=tuple([_timed_from(point) for point in document.get("trajectory", ())]),
    )


def _place_from(document: Mapping[str, Any]) -> Waypoint:
    height = document["height"]
    return Waypoint(float(document["lon"]), float(document["lat"]), float(height["value_m"]), Datum(height["datum"]))


def _timed_from(document: Mapping[str, Any]) -> TimedWaypoint:
    place, moment = _place_from(document), datetime.datetime.fromisoformat(document["time"])
    return TimedWaypoint(place.lon_deg, place.lat_deg, place.height_m, place.datum, moment.timestamp())


def intent_from(document: Mapping[str, Any]) -> OperationalIntent:
    """The reverse of :func:`intent_document`.

    Raises:
        StoreError: the document is not one.
    """
    try:
        plan = plan_from(document["plan"], document["plan_times_s"])
        return OperationalIntent(
            id=document["id"],
            plan=plan,
            state=IntentState(document["state"]),
            version=document["version"],
            ovn=document["ovn"],
            corridor=corridor_from(document["corridor"]),
            map_version=document["map_version"],
            zones=tuple(document["zones"]),
            neighbours=tuple(document["neighbours"]),
            clearances=document["clearances"],
            conditions=document["conditions"],
            limits=tuple(
                Limit(**{**limit, "kind": LimitKind(limit["kind"]), "at_m": tuple(limit["at_m"])})
                for limit in document["limits"]
            ),
            judged=tuple(document["judged"]),
            ways_out=tuple(way_out_from(way) for way in document["ways_out"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"an intent in the database cannot be read: {error}") from error
