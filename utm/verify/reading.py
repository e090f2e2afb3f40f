"""The documents of an approval as the verifier reads them: plain JSON in, arrays out, and a sentence for what is wrong.

Written apart from `utm.airspace.documents` on purpose: two readers that share a misunderstanding would both be wrong.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utm.errors import UtmError
from utm.model import Aircraft, Datum, Restriction

#: Beyond these numbers nothing is reckoned: metres from a map's corner, Unix seconds (2200), metres or seconds of room.
_FARTHEST_M, _LATEST_S, _LARGEST = 1e7, 7.3e9, 1e5
_LARGEST_NUMBER = 1e10
_DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


class Malformed(UtmError):
    """A document that cannot be read; the message is the fault. Never leaves this package."""


@dataclass(frozen=True, slots=True)
class Room:
    """A granted corridor: where its centre line is when, and the room around it (metres, Unix seconds)."""

    t_s: NDArray[np.float64]
    """(n,) n >= 2, finite; whether they increase is for the verifier to say."""
    enu_m: NDArray[np.float64]
    """(n, 3) finite."""
    half_width_m: float
    below_m: float
    above_m: float
    time_tolerance_s: float
    pad_hold_s: float
    tube_horizontal_m: float
    tube_vertical_m: float

    @property
    def in_order(self) -> bool:
        """Whether the times increase strictly."""
        return bool((np.diff(self.t_s) > 0).all())


@dataclass(frozen=True, slots=True)
class Place:
    """A place of a plan."""

    lon_deg: float
    lat_deg: float
    height_m: float
    datum: Datum


@dataclass(frozen=True, slots=True)
class Volume:
    """A prism in space and time."""

    outline_m: NDArray[np.float64]
    floor_m: float
    ceiling_m: float
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Claim:
    """A line of a certificate, as it stands in the document."""

    kind: str
    subject: str
    found_m: float
    needed_m: float


@dataclass(frozen=True, slots=True)
class Intent:
    """What a document says of a granted flight."""

    id: str
    ovn: str
    priority: int
    state: str
    room: Room
    document: Mapping[str, Any]

    @property
    def name(self) -> str:
        """``id@ovn``, as certificates name it."""
        return f"{self.id}@{self.ovn}"


@dataclass(frozen=True, slots=True)
class Zone:
    """A geo-zone."""

    id: str
    hash: str
    restriction: Restriction
    outline_deg: NDArray[np.float64]
    """(k, 2) lon, lat, not closed."""
    lower: tuple[float, Datum]
    upper: tuple[float, Datum]
    timezone: str
    periods: tuple[tuple[tuple[int, ...], datetime.time, datetime.time], ...]
    valid_from_s: float
    valid_to_s: float

    @property
    def name(self) -> str:
        """``id@hash``, as certificates name it."""
        return f"{self.id}@{self.hash}"


def get(document: Any, path: str, kind: type | tuple[type, ...] = object) -> Any:
    """The value at a dotted path of a parsed JSON document. Raises Malformed where there is none of this kind."""
    value = document
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise Malformed(f"{path} is missing")
        value = value[part]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise Malformed(f"{path} is not what it should be: {str(value)[:60]!r}")
    return value


def number(document: Any, path: str) -> float:
    """The finite number at a path. Raises Malformed."""
    value = get(document, path, (int, float))
    if not abs(value) <= _LARGEST_NUMBER:  # nor is nan
        raise Malformed(f"{path} is not a number that makes sense: {str(value)[:40]}")
    return float(value)


def size(document: Any, path: str) -> float:
    """The finite number of 0 or more at a path. Raises Malformed."""
    value = number(document, path)
    if not 0 <= value <= _LARGEST:
        raise Malformed(f"{path} is below 0, or larger than any that makes sense: {value!r}")
    return value


def array(value: Any, path: str, columns: int | None) -> NDArray[np.float64]:
    """(n,) or (n, columns) finite numbers. Raises Malformed."""
    try:
        found = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise Malformed(f"{path} is not a list of numbers") from error
    if found.ndim != (1 if columns is None else 2) or (columns is not None and found.shape[1] != columns):
        raise Malformed(f"{path} has the shape {found.shape}")
    if not (np.abs(found) <= _LARGEST_NUMBER).all():
        raise Malformed(f"{path} holds numbers that are not finite, or too large to make sense")
    return found


def read_room(document: Any, path: str = "corridor") -> Room:
    """The corridor at a path. Raises Malformed."""
    t_s = array(get(document, f"{path}.t_s", Sequence), f"{path}.t_s", None)
    enu_m = array(get(document, f"{path}.enu_m", Sequence), f"{path}.enu_m", 3)
    if len(t_s) != len(enu_m) or len(t_s) < 2:
        raise Malformed(f"{path} has {len(t_s)} times and {len(enu_m)} points")
    names = ("half_width_m", "below_m", "above_m", "time_tolerance_s", "pad_hold_s")
    if not (np.abs(enu_m) <= _FARTHEST_M).all() or not ((t_s >= 0) & (t_s <= _LATEST_S)).all():
        raise Malformed(f"{path} leads to places or times that no flight of ours can reach")
    figures = [size(document, f"{path}.{name}") for name in names]
    tube = [size(document, f"{path}.tube.{name}") for name in ("horizontal_m", "vertical_m")]
    return Room(t_s, enu_m, *figures, *tube)


def read_intent(document: Any) -> Intent:
    """An intent document. Raises Malformed."""
    return Intent(
        id=get(document, "id", str),
        ovn=get(document, "ovn", str),
        priority=get(document, "plan.priority", int),
        state=get(document, "state", str),
        room=read_room(document),
        document=document,
    )


def read_aircraft(document: Any) -> Aircraft:
    """The aircraft of an intent document. Raises Malformed."""
    said = get(document, "plan.aircraft", Mapping)
    figures = {
        one.name: number(said, one.name)
        for one in dataclasses.fields(Aircraft)
        if one.name != "name" and (one.name in said or one.default is dataclasses.MISSING)
    }
    return Aircraft(name=get(said, "class", str) if "class" in said else "custom", **figures)


def seal(intent: Intent) -> str:
    """The OVN that a document's content gives: SHA-256 over the plan, the state and version, the map, the centre line
    and its room, texts apart from numbers. Raises Malformed."""
    document, room, aircraft = intent.document, intent.room, read_aircraft(intent.document)
    ways = [f"plan.{name}" for name in ("origin", "destination")]
    places = [read_place(document, name) for name in ways]
    between = [read_place({"place": one}, "place") for one in get(document, "plan.waypoints", Sequence)]
    places[1:1] = between
    plan = [get(document, f"plan.{name}", str) for name in ("id", "operator", "objective")]
    texts = (
        [*plan[:2], aircraft.name, plan[2], intent.state, get(document, "map_version", str)],
        [place.datum.value for place in places],
        list(get(document, "plan.authorisations", Sequence)),
    )
    times = array(get(document, "plan_times_s", Sequence), "plan_times_s", None)
    numbers = [
        *(get(document, "version", int), intent.priority, *times),
        *(room.half_width_m, room.below_m, room.above_m, room.time_tolerance_s, room.pad_hold_s),
        *(room.tube_horizontal_m, room.tube_vertical_m),
        *(value for name, value in dataclasses.asdict(aircraft).items() if name != "name"),
        *(value for place in places for value in (place.lon_deg, place.lat_deg, place.height_m)),
    ]
    whole = hashlib.sha256(repr(texts).encode())
    for part in (np.array(numbers, np.float64), room.t_s, room.enu_m):
        whole.update(np.ascontiguousarray(part, "<f8").tobytes())
    return whole.hexdigest()[:32]


def read_place(document: Any, path: str) -> Place:
    """A place of a plan. Raises Malformed."""
    datum = get(document, f"{path}.height.datum", str)
    if datum not in set(Datum):
        raise Malformed(f"{path}.height.datum is unknown: {datum!r}")
    figures = [number(document, f"{path}.{name}") for name in ("lon", "lat", "height.value_m")]
    return Place(*figures, Datum(datum))


def read_volume(document: Any) -> Volume:
    """A prism. Raises Malformed."""
    outline = array(get(document, "outline_m", Sequence), "volumes.outline_m", 2)
    if len(outline) < 3:
        raise Malformed(f"the outline of a volume has {len(outline)} corners")
    return Volume(outline, *(number(document, name) for name in ("floor_m", "ceiling_m", "start_s", "end_s")))


def read_claim(document: Any) -> Claim:
    """A line of a certificate. Raises Malformed."""
    return Claim(
        get(document, "kind", str),
        get(document, "subject", str),
        number(document, "found_m"),
        number(document, "needed_m"),
    )


def read_zone(feature: Any) -> Zone:
    """A geo-zone from its GeoJSON feature. Raises Malformed."""
    said = get(feature, "properties", Mapping)
    name = get(said, "id", str)
    try:
        rings = get(feature, "geometry.coordinates", Sequence)
        if get(feature, "geometry.type") != "Polygon" or len(rings) != 1:
            raise Malformed("it is not a polygon of one ring")
        ring = array(rings[0], "geometry.coordinates", 2)
        if len(ring) > 1 and (ring[0] == ring[-1]).all():
            ring = ring[:-1]
        if len(ring) < 3:
            raise Malformed(f"its outline has {len(ring)} corners")
        if not ((np.abs(ring) <= (180, 90)).all() and np.ptp(ring[:, 0]) <= 180):
            raise Malformed("its outline leaves the globe, or goes around it")
        periods = tuple(
            (
                tuple(_DAYS.index(day) for day in get(period, "days", Sequence)),
                datetime.time.fromisoformat(get(period, "start", str)),
                datetime.time.fromisoformat(get(period, "end", str)),
            )
            for period in get(said, "periods", Sequence)
        )
        return Zone(
            id=name,
            hash=hashlib.sha256(json.dumps(feature, sort_keys=True).encode()).hexdigest()[:12],
            restriction=Restriction(get(said, "restriction", str)),
            outline_deg=ring,
            lower=(number(said, "lower.value_m"), Datum(get(said, "lower.datum", str))),
            upper=(number(said, "upper.value_m"), Datum(get(said, "upper.datum", str))),
            timezone=get(said, "timezone", str),
            periods=periods,
            valid_from_s=_moment(said, "valid_from", -math.inf),
            valid_to_s=_moment(said, "valid_to", math.inf),
        )
    except (Malformed, ValueError, TypeError) as error:
        raise Malformed(f"zone {name} cannot be read: {error}") from error


def _moment(document: Any, path: str, missing: float) -> float:
    text = get(document, path)
    if text is None:
        return missing
    moment = datetime.datetime.fromisoformat(get(document, path, str))
    if moment.tzinfo is None:
        raise Malformed(f"{path} says no time zone: {text!r}")
    return moment.timestamp()
