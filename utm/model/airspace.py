"""What the airspace knows, grants and refuses."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from utm.model.motion import Corridor
from utm.model.plan import Datum, FlightPlan


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The figures by which a flight is planned and judged. The defaults are Japan's, where Japan has one.

    The centre line keeps ``clearance_m`` from every object, so a corridor of 25 m half-width and 10 m half-height
    (whose far corner is 26.9 m away) holds no object anywhere.
    """

    clearance_m: float = 30.0
    """Least distance, in three dimensions, from the centre line to any object (Civil Aeronautics Act: 30 m)."""
    ceiling_above_terrain_m: float = 150.0
    """The whole corridor stays below this height above the terrain directly beneath (Civil Aeronautics Act)."""
    half_width_m: float = 25.0
    """Half-width of a granted corridor (drone-route guideline: 50 m wide at least, 100 m as standard)."""
    half_height_m: float = 10.0
    """Height of the corridor above and below its centre line."""
    time_tolerance_s: float = 10.0
    """How early or late a drone may be at any point of its corridor."""
    separation_horizontal_m: float = 20.0
    """Two drones are apart when they are at least this far from each other horizontally ..."""
    separation_vertical_m: float = 10.0
    """... or at least this far vertically. Kept between the edges of corridors, not only their centre lines."""
    pad_radius_m: float = 6.0
    """Around a take-off or landing column nothing within this distance may stand higher than the pad (by more than
    the 2 m that a survey may be off)."""
    pad_hold_s: float = 60.0
    """A pad counts as taken this long before take-off and after landing."""


class Role(enum.StrEnum):
    """In what capacity somebody asks something of the airspace."""

    OPERATOR = "operator"
    """Files, changes and ends the flights of its own."""
    CITY = "city"
    """Enters zones and works, watches, ends anything."""
    RESCUE = "rescue"
    """Files flights of priority, and closes volumes at once."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. Taken at its word: whoever speaks for an airspace to the outside makes sure of it."""

    name: str
    role: Role


class Restriction(enum.StrEnum):
    """What a geo-zone asks (EUROCAE ED-269)."""

    PROHIBITED = "PROHIBITED"
    REQ_AUTHORISATION = "REQ_AUTHORISATION"
    CONDITIONAL = "CONDITIONAL"
    NO_RESTRICTION = "NO_RESTRICTION"


@dataclass(frozen=True, slots=True)
class WeeklyPeriod:
    """A part of certain days, in the zone's own time zone. It ends before midnight or at 24:00."""

    days: tuple[int, ...]
    """0 is Monday, 6 is Sunday."""
    start: datetime.time
    end: datetime.time
    """``time(0, 0)`` as an end means midnight at the end of the day."""


@dataclass(frozen=True, slots=True)
class GeoZone:
    """A part of the airspace with a rule of its own."""

    id: str
    name: str
    restriction: Restriction
    outline_deg: tuple[tuple[float, float], ...]
    """Corners (lon, lat) in WGS84 degrees, not closed."""
    lower_m: float
    lower_datum: Datum
    upper_m: float
    upper_datum: Datum
    timezone: str = "UTC"
    """IANA name; weekdays and clock times are read in it."""
    periods: tuple[WeeklyPeriod, ...] = ()
    """When it applies within its dates; none means always."""
    valid_from_s: float | None = None
    valid_to_s: float | None = None


class IntentState(enum.StrEnum):
    """States of an operational intent (ASTM F3548-21)."""

    ACCEPTED = "Accepted"
    ACTIVATED = "Activated"
    NONCONFORMING = "Nonconforming"
    CONTINGENT = "Contingent"
    ENDED = "Ended"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a plan was not granted as asked: a code for programs, a sentence for people."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Change:
    """What a grant, or an alternative, changes in the wish."""

    kind: str
    """``delay``, ``height``, ``route`` or ``destination``."""
    sentence: str
    cost_s: float
    """How much later the flight arrives than it would have as asked."""
    energy_wh: float | None = None
    """How much more energy it takes than it would have as asked; None where the wish itself has no way."""
    length_m: float | None = None
    """How much longer it is, in space; None likewise."""


class LimitKind(enum.StrEnum):
    """What an approval keeps away from."""

    CEILING = "ceiling"
    """Room between the corridor's top and the ceiling over the terrain; 0 is needed."""
    TERRAIN = "terrain"
    """Distance in space from the centre line between the columns to the ground; the rules' clearance is needed."""
    OBSTACLE = "obstacle"
    """The same to anything that the survey saw on the ground or above it."""
    UNKNOWN = "unknown"
    """The same to anything that may stand where the survey saw nothing."""
    ZONE = "zone"
    """Horizontal distance from the centre line to a zone in force, while the corridor shares a height with it; the
    half-width is needed."""
    PAD = "pad"
    """How much lower than allowed the highest thing around a pad stands; 0 is needed."""
    SEPARATION = "separation"
    """Horizontal distance between two centre lines, at times within both tolerances, while they are too near
    vertically; the room of both corridors, both tubes and the separation are needed."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One line of a certificate: the least that was found of something, where and when."""

    kind: LimitKind
    subject: str
    """``id@hash`` of a zone, ``id@ovn`` of a neighbour, ``origin`` or ``destination``; empty otherwise."""
    found_m: float
    """A lower bound of the true value, and at most a millimetre below it."""
    needed_m: float
    at_s: float
    """When the flight is there (Unix seconds, on its centre line)."""
    at_m: tuple[float, float, float]
    """Where the flight is then: metres east, north, up."""

    @property
    def margin_m(self) -> float:
        """By how much it holds; negative when it does not."""
        return self.found_m - self.needed_m


class WayOutKind(enum.StrEnum):
    """What a drone does of its own accord when something fails."""

    RETURN = "return"
    LAND = "land"
    HOLD = "hold"


@dataclass(frozen=True, slots=True, eq=False)
class WayOut:
    """The room that a failsafe would use, for as long as it might be used."""

    kind: WayOutKind
    from_s: float
    """The failsafe may begin at any moment from here ..."""
    until_s: float
    """... to here, with the flight on its centre line."""
    corridor: Corridor
    """Where the drone then is, from first to last; disjoint from every granted corridor when it was granted."""
    site_m: tuple[float, float, float]
    """Where it comes to the ground, metres east, north, up; of a hold, the middle of where it may wait."""
    wait_s: float = 0.0
    """How long it may stand in the air before it sets off; of a hold, how long it may wait at all."""
    settings: Mapping[str, float] = field(default_factory=dict)
    """The autopilot's parameters (PX4) by which the failsafe flies this path, and no other; empty where none bears on
    it."""


@dataclass(frozen=True, slots=True, eq=False)
class OperationalIntent:
    """What the airspace granted, and what it was judged against."""

    id: str
    plan: FlightPlan
    state: IntentState
    version: int
    """Grows by one with every change."""
    ovn: str
    """Opaque version number: changes with every change, and proves that its holder saw this version."""
    corridor: Corridor
    map_version: str
    """Content hash of the map."""
    zones: tuple[str, ...]
    """``id@hash`` of every zone that the airspace had when it was judged, in force at that time or not."""
    neighbours: tuple[str, ...]
    """``id@ovn`` of every live intent near enough in space and time to matter; ``judged`` names all others."""
    clearances: Mapping[str, float]
    """What was found: ``obstacle_m`` (least distance to any object between the columns), ``floor_m`` (least height of
    the corridor's underside over the surface), ``ceiling_m`` (least room left under the ceiling), ``separation_m``
    (least horizontal distance to a neighbour's centre line while both share a height band; absent without one)."""
    conditions: str = ""
    """Short content hash of the forecast and the cost layers that its way was chosen by."""
    limits: tuple[Limit, ...] = ()
    """Its certificate, line by line: what it keeps from everything near, where and when."""
    judged: tuple[int, str] = (0, "")
    """Sequence number and digest of the last entry of the airspace's log that it was judged against."""
    ways_out: tuple[WayOut, ...] = ()
    """Where its drone goes when something fails."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the airspace hands back for every request: the entry of its log that holds request and answer."""

    seq: int
    """Sequence number of the entry."""
    digest: str
    """SHA-256 (hex) over the entry and the digest of the one before, hence over the whole log up to it."""
    signature: str
    """The airspace's Ed25519 signature (hex) of the digest."""


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """The answer to a plan: the intent, or the reasons and the nearest thing that would be granted."""

    plan: FlightPlan
    intent: OperationalIntent | None
    reasons: tuple[Reason, ...] = ()
    """Why not as asked; empty for a grant as asked."""
    change: Change | None = None
    """What the grant changed; None for a grant as asked or a refusal."""
    alternative: FlightPlan | None = None
    """With a refusal: the nearest plan that would be granted, if one was found."""
    alternative_change: Change | None = None
    """How the alternative differs."""
    details: Mapping[str, object] = field(default_factory=dict)
    receipt: Receipt | None = None
    """Where it stands in the airspace's log; None while it is only worked out."""

    @property
    def approved(self) -> bool:
        """Whether an intent was granted."""
        return self.intent is not None
