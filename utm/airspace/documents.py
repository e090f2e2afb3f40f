"""The JSON that operators and cities write, and the model objects it becomes.

Pydantic stands at this edge only; inside are the frozen dataclasses of ``utm.model``. Every refusal is one line that
names the file, the field, the value and the mend. ``flight_plan_schema`` is the published JSON Schema
(``docs/flight-plan.schema.json`` is written from it).
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from utm.errors import InputError, PlanError, ZoneError
from utm.model import (
    AIRCRAFT_CLASSES,
    Aircraft,
    Datum,
    FlightPlan,
    GeoZone,
    Objective,
    Restriction,
    TimedWaypoint,
    Waypoint,
    WeeklyPeriod,
)

Finite = Annotated[float, Field(allow_inf_nan=False)]
#: Metres per second, and per second squared: what a multicopter can do, with room. Beyond, times lose their meaning.
Speed = Annotated[float, Field(ge=0.1, le=100, allow_inf_nan=False)]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False, description="WGS84 degrees")]
Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False, description="WGS84 degrees")]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


def _as_text(value: object) -> object:
    # Pydantic would take 1800 for half an hour past midnight, or for half past midnight of 1970.
    if not isinstance(value, str):
        raise ValueError("a time must be written as text")
    return value


def _of_our_days(moment: datetime.datetime) -> datetime.datetime:
    if not 1970 < moment.year < 2200:
        raise ValueError("a time must lie in the years 1971 to 2199")
    return moment


def _without_zone(time: datetime.time) -> datetime.time:
    if time.tzinfo is not None:
        raise ValueError("a period's clock time is read in the zone's own `timezone` and has none itself")
    return time


Moment = Annotated[AwareDatetime, BeforeValidator(_as_text), AfterValidator(_of_our_days)]
ClockTime = Annotated[datetime.time, BeforeValidator(_as_text), AfterValidator(_without_zone)]
DatumName = Literal["AGL", "AMSL", "WGS84", "JGD2011", "JGD2024", "NAP", "NAVD88"]

_DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_FIGURES = (
    "radius_m",
    "cruise_m_s",
    "climb_m_s",
    "descent_m_s",
    "landing_m_s",
    "acceleration_m_s2",
    "endurance_s",
    "max_airspeed_m_s",
    "mass_kg",
    "rotor_disc_m2",
    "drag_area_m2",
    "efficiency",
    "avionics_w",
    "battery_wh",
    "reserve_share",
)
#: Figures of an aircraft that have a value of their own where nothing is said.
_DEFAULTS = {"slow_below_m": 10.0} | {
    one.name: one.default
    for one in dataclasses.fields(Aircraft)
    if one.name in ("navigation_error_m", "height_error_m")
}

#: What to tell a person whose field failed, by the error's type or the field's last name.
_MENDS = {
    "datum": "Say what the height is measured from: AGL (above ground), AMSL (sea level by EGM96), WGS84 (ellipsoid), "
    "JGD2011, JGD2024, NAP or NAVD88.",
    "height": 'Give it as {"value_m": 0, "datum": "AGL"}.',
    "lat": "Latitude is a number from -90 to 90.",
    "lon": "Longitude is a number from -180 to 180.",
    "extra_forbidden": "Remove the field, or look up its name with `utm plan schema`.",
    "timezone_aware": "Write the time with its zone, for example 2026-10-20T10:00:00+09:00.",
    "finite_number": "Give a finite number.",
    "missing": "Add the field.",
}

#: Pydantic's words for programmers, in words for people.
_PLAIN = dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "must be a JSON object") | {
    "missing": "is missing",
    "extra_forbidden": "is no field of this file",
}


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class HeightDocument(_Document):
    """A height that says what it is measured from."""

    value_m: Finite
    datum: DatumName


class PlaceDocument(_Document):
    """A place on the globe."""

    lon: Longitude
    lat: Latitude
    height: HeightDocument

    def waypoint(self) -> Waypoint:
        """The model object."""
        return Waypoint(self.lon, self.lat, self.height.value_m, Datum(self.height.datum))


class TimedPlaceDocument(PlaceDocument):
    """A place on the globe, and when the flight is there."""

    time: Moment

    def timed_waypoint(self) -> TimedWaypoint:
        """The model object."""
        height = self.height
        return TimedWaypoint(self.lon, self.lat, height.value_m, Datum(height.datum), self.time.timestamp())


class AircraftDocument(_Document):
    """A known class, figures that replace some of it, or all figures."""

    aircraft_class: str | None = Field(None, alias="class", description=f"one of {', '.join(AIRCRAFT_CLASSES)}")
    radius_m: Annotated[float, Field(gt=0, le=6, description="a pad is kept clear for 6 m")] | None = None
    cruise_m_s: Speed | None = None
    climb_m_s: Speed | None = None
    descent_m_s: Speed | None = None
    landing_m_s: Speed | None = None
    slow_below_m: Annotated[float, Field(ge=0, le=1000)] | None = None
    acceleration_m_s2: Speed | None = None
    endurance_s: Annotated[float, Field(gt=0, le=86400)] | None = None
    max_airspeed_m_s: Speed | None = Field(None, description="through the air; at least the cruise speed")
    mass_kg: Annotated[float, Field(gt=0, le=1000, description="at take-off, payload included")] | None = None
    rotor_disc_m2: Annotated[float, Field(gt=0, le=200, description="all rotor discs together")] | None = None
    drag_area_m2: Annotated[float, Field(ge=0, le=20, description="drag coefficient times frontal area")] | None = None
    efficiency: Annotated[float, Field(gt=0, le=1, description="from the battery to the air")] | None = None
    avionics_w: Annotated[float, Field(ge=0, le=10000)] | None = None
    battery_wh: Annotated[float, Field(gt=0, le=1e6)] | None = None
    reserve_share: Annotated[float, Field(ge=0, le=0.9, description="of the battery, left untouched")] | None = None
    navigation_error_m: Annotated[float, Field(gt=0, le=50, description="level, 95 % (2.08 CEP)")] | None = None
    height_error_m: Annotated[float, Field(gt=0, le=20, description="95 %")] | None = None

    @model_validator(mode="after")
    def _known(self) -> AircraftDocument:
        if self.aircraft_class is not None and self.aircraft_class not in AIRCRAFT_CLASSES:
            raise ValueError(f"unknown aircraft class {self.aircraft_class!r}; known: {', '.join(AIRCRAFT_CLASSES)}")
        if self.aircraft_class is None:
            missing = [name for name in _FIGURES if getattr(self, name) is None]
            if missing:
                raise ValueError(f"without a class, all figures are needed; missing: {', '.join(missing)}")
        aircraft = self.aircraft()
        if aircraft.max_airspeed_m_s < aircraft.cruise_m_s:
            raise ValueError(
                f"max_airspeed_m_s {aircraft.max_airspeed_m_s:g} is below cruise_m_s {aircraft.cruise_m_s:g}"
            )
        return self

    def aircraft(self) -> Aircraft:
        """The model object."""
        base = AIRCRAFT_CLASSES.get(self.aircraft_class or "")
        figures = {name: getattr(self, name) for name in (*_FIGURES, *_DEFAULTS)}
        if base is None:
            figures |= {name: value for name, value in _DEFAULTS.items() if figures[name] is None}
            return Aircraft(name="custom", **figures)
        return Aircraft(
            name=base.name,
            **{name: getattr(base, name) if value is None else value for name, value in figures.items()},
        )


class FlightPlanDocument(_Document):
    """A flight plan file: what an operator asks for."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, title="Skyroad flight plan")

    id: Identifier | None = Field(None, description="unique in the airspace; made from the content when left out")
    operator: Annotated[str, Field(min_length=1, max_length=200)]
    aircraft: AircraftDocument
    origin: PlaceDocument = Field(description="the pad; its height is that of the surface the aircraft stands on")
    destination: PlaceDocument
    waypoints: tuple[PlaceDocument, ...] = Field((), max_length=50)
    earliest_departure: Moment = Field(description="the wish")
    latest_departure: Moment | None = Field(None, description="30 minutes after the earliest when left out")
    priority: Annotated[
        int,
        Field(ge=0, le=100, description="above 0 for rescue services and the city: flights of a lower one make way"),
    ] = 0
    authorisations: tuple[str, ...] = Field((), description="ids of geo-zones that this flight may enter")
    objective: Literal["length", "time", "energy"] = Field("length", description="what the way is to make least")
    trajectory: tuple[TimedPlaceDocument, ...] = Field(
        (),
        max_length=10_000,
        description="the very flight that is asked for, from pad to pad, straight and at constant speed between its "
        "points: it is granted as it stands or refused; left out, a way is sought",
    )

    @model_validator(mode="after")
    def _times(self) -> FlightPlanDocument:
        if self.latest_departure is not None and self.latest_departure < self.earliest_departure:
            raise ValueError("latest_departure is before earliest_departure")
        if len(self.trajectory) == 1:
            raise ValueError("a trajectory has two points or more")
        for number, (point, after) in enumerate(itertools.pairwise(self.trajectory)):
            if not point.time < after.time:
                raise ValueError(f"the times of the trajectory must increase, from point {number} to the next, too")
        return self

    def plan(self) -> FlightPlan:
        """The model object."""
        earliest = self.earliest_departure.timestamp()
        return FlightPlan(
            id=self.id or self._made_id(),
            operator=self.operator,
            aircraft=self.aircraft.aircraft(),
            origin=self.origin.waypoint(),
            destination=self.destination.waypoint(),
            waypoints=tuple(place.waypoint() for place in self.waypoints),
            earliest_departure_s=earliest,
            latest_departure_s=self.latest_departure.timestamp() if self.latest_departure else earliest + 1800.0,
            priority=self.priority,
            authorisations=self.authorisations,
            objective=Objective(self.objective),
            trajectory=tuple([point.timed_waypoint() for point in self.trajectory]),
        )

    def _made_id(self) -> str:
        content = json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True)
        return f"P-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


class WindLevelDocument(_Document):
    """The wind at one height, in the words of a weather report."""

    height: HeightDocument
    from_deg: Annotated[float, Field(ge=0, le=360, description="where it comes from, clockwise from true north")]
    speed_m_s: Annotated[float, Field(ge=0, le=100)]


class WindDocument(_Document):
    """A forecast file."""

    levels: Annotated[tuple[WindLevelDocument, ...], Field(min_length=1, max_length=200)]


class PeriodDocument(_Document):
    """Part of certain days."""

    days: Annotated[tuple[Literal["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"], ...], Field(min_length=1)]
    start: ClockTime
    end: ClockTime


class ZoneDocument(_Document):
    """The ``properties`` of a geo-zone Feature."""

    id: Identifier
    name: str
    restriction: Literal["PROHIBITED", "REQ_AUTHORISATION", "CONDITIONAL", "NO_RESTRICTION"]
    lower: HeightDocument
    upper: HeightDocument
    timezone: str = "UTC"
    periods: tuple[PeriodDocument, ...] = ()
    valid_from: Moment | None = None
    valid_to: Moment | None = None


class PolygonDocument(BaseModel):
    """A GeoJSON Polygon of one ring."""

    model_config = ConfigDict(frozen=True, defer_build=True)
    type: Literal["Polygon"]
    coordinates: Annotated[
        tuple[Annotated[tuple[tuple[Longitude, Latitude], ...], Field(min_length=4)], ...],
        Field(min_length=1, max_length=1),
    ]


class ZoneFeature(BaseModel):
    """One GeoJSON Feature."""

    model_config = ConfigDict(frozen=True, defer_build=True)
    type: Literal["Feature"]
    properties: ZoneDocument
    geometry: PolygonDocument

    def zone(self) -> GeoZone:
        """The model object."""
        said = self.properties
        ring = self.geometry.coordinates[0]
        return GeoZone(
            id=said.id,
            name=said.name,
            restriction=Restriction(said.restriction),
            outline_deg=ring[:-1] if ring[0] == ring[-1] else ring,
            lower_m=said.lower.value_m,
            lower_datum=Datum(said.lower.datum),
            upper_m=said.upper.value_m,
            upper_datum=Datum(said.upper.datum),
            timezone=said.timezone,
            periods=tuple(
                WeeklyPeriod(tuple(sorted(_DAYS.index(day) for day in period.days)), period.start, period.end)
                for period in said.periods
            ),
            valid_from_s=said.valid_from.timestamp() if said.valid_from else None,
            valid_to_s=said.valid_to.timestamp() if said.valid_to else None,
        )


class ZoneCollection(BaseModel):
    """A GeoJSON FeatureCollection of geo-zones."""

    type: Literal["FeatureCollection"]
    features: Annotated[tuple[ZoneFeature, ...], Field(min_length=1)]


def _one_line(error: ValidationError, raised: type[InputError], file: object) -> InputError:
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"]]
    field = ".".join(path) or None
    names = [part for part in reversed(path) if not part.isdigit()]
    mend = _MENDS.get(first["type"], "")
    if first["type"] not in ("extra_forbidden", "timezone_aware"):
        mend = next((_MENDS[name] for name in names[:1] if name in _MENDS), mend)
    value = first.get("input")
    shown = None if first["type"] == "missing" or isinstance(value, Mapping | list | tuple) else value
    message = first["msg"].removeprefix("Value error, ")
    message = _PLAIN.get(first["type"], message)
    return raised(message[:1].lower() + message[1:], file=file, field=field, value=shown, mend=mend)


def _read_json(path: Path, raised: type[InputError]) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise raised(f"cannot be read: {error.strerror}", file=path, mend="Check the path.") from error
    except UnicodeDecodeError as error:
        raise raised("is not a text file", file=path, mend="Give a JSON file in UTF-8.") from error
    if not text.strip():
        raise raised("is empty", file=path, mend="Give a JSON file.")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise raised(
            f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}",
            file=path,
            mend="Is the file complete?",
        ) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets without end
        raise raised(f"is not JSON that can be read: {error}", file=path, mend="Who wrote it?") from error


def parse_plan(document: Any, file: object = None) -> FlightPlan:
    """A flight plan document (parsed JSON) as a model object.

    Raises:
        PlanError: one line naming ``file``, the field, its value and the mend.
    """
    try:
        return FlightPlanDocument.model_validate(document).plan()
    except ValidationError as error:
        raise _one_line(error, PlanError, file) from error


def read_plan(path: str | Path) -> FlightPlan:
    """A flight plan file as a model object. Raises PlanError."""
    return parse_plan(_read_json(Path(path), PlanError), path)


def parse_zones(document: Any, file: object = None) -> tuple[GeoZone, ...]:
    """A GeoJSON FeatureCollection of geo-zones as model objects. Raises ZoneError."""
    try:
        return tuple(feature.zone() for feature in ZoneCollection.model_validate(document).features)
    except ValidationError as error:
        raise _one_line(error, ZoneError, file) from error


def read_zones(path: str | Path) -> tuple[GeoZone, ...]:
    """A geo-zone file (GeoJSON) as model objects. Raises ZoneError."""
    return parse_zones(_read_json(Path(path), ZoneError), path)


def iso(t_s: float) -> str:
    """Unix seconds as ISO 8601 in UTC, to the millisecond."""
    moment = datetime.datetime.fromtimestamp(round(t_s, 3), datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _place_document(place: Waypoint) -> dict[str, Any]:
    return {
        "lon": place.lon_deg,
        "lat": place.lat_deg,
        "height": {"value_m": place.height_m, "datum": str(place.datum)},
    }


def plan_document(plan: FlightPlan) -> dict[str, Any]:
    """A flight plan as the JSON it would be read from; ``parse_plan`` gives the same plan back."""
    aircraft = plan.aircraft
    return {
        "id": plan.id,
        "operator": plan.operator,
        "aircraft": ({"class": aircraft.name} if aircraft.name in AIRCRAFT_CLASSES else {})
        | {name: getattr(aircraft, name) for name in (*_FIGURES, *_DEFAULTS)},
        "origin": _place_document(plan.origin),
        "destination": _place_document(plan.destination),
        "waypoints": [_place_document(place) for place in plan.waypoints],
        "earliest_departure": iso(plan.earliest_departure_s),
        "latest_departure": iso(plan.latest_departure_s),
        "priority": plan.priority,
        "authorisations": list(plan.authorisations),
        "objective": str(plan.objective),
    } | ({"trajectory": [_timed_document(point) for point in plan.trajectory]} if plan.trajectory else {})


def _timed_document(point: TimedWaypoint) -> dict[str, Any]:
    """To the microsecond, in which a time that was read is read again."""
    moment = datetime.datetime.fromtimestamp(round(point.t_s, 6), datetime.UTC)
    return {
        "lon": point.lon_deg,
        "lat": point.lat_deg,
        "height": {"value_m": point.height_m, "datum": str(point.datum)},
        "time": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
    }


def zone_feature(zone: GeoZone) -> dict[str, Any]:
    """A geo-zone as the GeoJSON Feature it would be read from."""
    ring = [list(corner) for corner in zone.outline_deg]
    return {
        "type": "Feature",
        "properties": {
            "id": zone.id,
            "name": zone.name,
            "restriction": str(zone.restriction),
            "lower": {"value_m": zone.lower_m, "datum": str(zone.lower_datum)},
            "upper": {"value_m": zone.upper_m, "datum": str(zone.upper_datum)},
            "timezone": zone.timezone,
            "periods": [
                {
                    "days": [_DAYS[day] for day in period.days],
                    "start": period.start.isoformat(),
                    "end": period.end.isoformat(),
                }
                for period in zone.periods
            ],
            "valid_from": None if zone.valid_from_s is None else iso(zone.valid_from_s),
            "valid_to": None if zone.valid_to_s is None else iso(zone.valid_to_s),
        },
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
    }


def flight_plan_schema() -> dict[str, Any]:
    """The published JSON Schema (draft 2020-12) of a flight plan file."""
    schema = FlightPlanDocument.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def read_wind_levels(path: str | Path) -> tuple[WindLevelDocument, ...]:
    """A forecast file: ``{"levels": [{"height": {...}, "from_deg": 270, "speed_m_s": 8}]}``. Raises InputError."""
    path = Path(path)
    try:
        return WindDocument.model_validate(_read_json(path, InputError)).levels
    except ValidationError as error:
        raise _one_line(error, InputError, path) from error
