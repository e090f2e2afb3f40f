"""The second opinion: every limit of one approval, proven again from the map and the documents."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from utm.errors import UtmError
from utm.mapping import CityMap
from utm.model import IntentState, LimitKind, RuleSet, rules_for
from utm.verify import papers
from utm.verify.apart import least_height, nearest
from utm.verify.between import between, when
from utm.verify.flight import (
    corners,
    faults_of_columns,
    faults_of_order,
    faults_of_speed,
    faults_of_tube,
    turns,
)
from utm.verify.geometry import Floats
from utm.verify.ground import Shape, edge_room_m, pad_room, under_pad
from utm.verify.reading import (
    Intent,
    Malformed,
    Zone,
    get,
    read_aircraft,
    read_claim,
    read_intent,
    read_place,
    read_volume,
    read_zone,
)
from utm.verify.report import ROUNDING_M, Line, Report
from utm.verify.zones import concerns, zone_distance

#: A pad may lie this much off the surface, and things around it may stand this much higher than it.
_PAD_TOLERANCE_M = 2.0
#: Nothing farther than so many clearances is looked for.
_REACH = 4.0
#: What lies this near to where certificates end may be in them or not.
_DOUBT_M = 0.01
#: Of a lower priority, these give way to a flight; others fly on where they are.
_ABLE = (IntentState.ACCEPTED, IntentState.ACTIVATED)
_NOUNS = {
    LimitKind.TERRAIN: "the ground",
    LimitKind.OBSTACLE: "anything that the survey saw",
    LimitKind.UNKNOWN: "what may stand where the survey saw nothing",
}


def verify(
    document: Any,
    *,
    city_map: CityMap,
    rules: Mapping[str, float],
    zones: Iterable[Any],
    neighbours: Iterable[Any],
    live: Iterable[Any] | None = None,
    now_s: float | None = None,
) -> Report:
    """Prove an approval again, from documents alone, sharing nothing with what granted it.

    Args:
        document: the intent as the airspace's log keeps it (plain JSON).
        city_map: the map of the version that it names.
        rules: the fields of a `RuleSet`.
        zones: GeoJSON features of all zones that the airspace had when it was judged.
        neighbours: documents of the intents that its certificate names.
        live: documents of all intents that were live when it was judged; none near may have been left out. Left out
            itself, that is not asked.
        now_s: when it was judged (Unix seconds), for how far ahead it reaches.

    Returns:
        The report. Raises nothing for what stands in documents: what cannot be read is a fault.
    """
    name = document.get("id") if isinstance(document, Mapping) else None
    case = _Case(str(name or ""))
    try:
        _check(case, document, city_map, RuleSet(**rules), zones, neighbours, live, now_s)
    except Malformed as error:
        case.faults.append(f"It cannot be read: {error}.")
    except (UtmError, TypeError, ValueError, OverflowError) as error:
        case.faults.append(f"It cannot be judged: {error}.")
    return Report(case.id, tuple(case.lines), tuple(case.faults))


@dataclass
class _Case:
    """What is found, as it is found."""

    id: str
    lines: list[Line] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    proven: dict[tuple[str, str], papers.Proven] = field(default_factory=dict)
    """What a certificate may say, by kind and subject."""

    def add(
        self,
        kind: LimitKind,
        subject: str,
        found: tuple[float, float],
        needed_m: float,
        at: tuple[float, Floats] | None,
        sentence: str,
        *,
        binding: bool = True,
        claimable_m: float | None = None,
        due_below_m: float = math.inf,
    ) -> None:
        """A limit with the interval of what was found; one that does not hold, and binds, is a fault. A certificate may
        claim ``claimable_m``, and must speak of it where that is less than ``due_below_m``."""
        low, high = found[0] - needed_m, found[1] - needed_m
        at_s, at_m = (None, None) if at is None else (float(at[0]), tuple(float(value) for value in at[1]))
        line = Line(kind, subject, low, high, needed_m, at_s, at_m, sentence)  # type: ignore[arg-type]
        self.lines.append(line)
        most = found[1] if claimable_m is None else claimable_m
        self.proven[str(kind), subject] = papers.Proven(most, needed_m, most < due_below_m - _DOUBT_M)
        if binding and not line.holds:
            self.faults.append(f"{sentence} {-low:.3f} m are missing.")


def _check(  # type: ignore[no-untyped-def]
    case: _Case, document: Any, city_map: CityMap, rules: RuleSet, zones, neighbours, live, now_s
) -> None:
    _of_rules(rules)
    intent, aircraft = read_intent(document), read_aircraft(document)
    rules = rules_for(rules, aircraft)  # the words of the model: how wide an aircraft's corridor must be
    places = {name: read_place(document, f"plan.{name}") for name in ("origin", "destination")}
    others = _read_all(case, neighbours, read_intent)
    around = None if live is None else _read_all(case, live, read_intent)
    known_zones = _read_all(case, zones, read_zone)
    room, line = intent.room, intent.room.enu_m
    if not room.in_order:
        case.faults += faults_of_order(room)
        return
    if (edge := edge_room_m(city_map, [Shape(line, 0)])) < 0:
        case.faults.append(f"It leads off the map, by {-edge:.1f} m.")
        return
    case.faults += papers.faults_of_map(intent, city_map, _REACH * rules.clearance_m)
    case.faults += papers.faults_of_names(intent, known_zones, others, around)
    case.faults += papers.faults_of_sizes(room, rules, now_s)
    case.faults += papers.faults_of_pads(room, city_map, places)
    case.faults += faults_of_speed(room, aircraft)
    at = corners(line)
    if crooked := list(faults_of_columns(line, at)):
        case.faults += crooked
    else:
        _ground(case, intent, city_map, rules, at)
        _pads(case, intent, city_map, rules)
    _zones(case, intent, city_map, known_zones, rules)
    _separation(case, intent, others, around, rules)
    if "volumes" in document:
        volumes = [read_volume(one) for one in get(document, "volumes", Sequence)]
        case.faults += papers.faults_of_volumes(room, volumes)
    claims = [read_claim(one) for one in get(document, "limits", Sequence)]
    case.faults += papers.faults_of_claims(claims, case.proven)


def _of_rules(rules: RuleSet) -> None:
    for name in RuleSet.__dataclass_fields__:
        value = getattr(rules, name)
        if not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
            raise Malformed(f"the rules' {name} is not a number of 0 or more: {value!r}")


def _read_all(case: _Case, documents: Iterable[Any], read: Callable[[Any], Any]) -> list[Any]:
    found = []
    for document in documents:
        try:
            found.append(read(document))
        except Malformed as error:
            case.faults.append(f"A document handed in beside it cannot be read: {error}.")
    return found


def _ground(case: _Case, intent: Intent, city_map: CityMap, rules: RuleSet, at: list[int]) -> None:
    """Terrain, obstacles, the unknown and the ceiling, between the columns: on the legs and inside the turns."""
    room = intent.room
    bends = turns(room.enu_m, at)
    case.faults += faults_of_tube(room, bends)
    reach = _REACH * rules.clearance_m
    flight = between(city_map, room.enu_m, at, bends, reach)
    if (edge := edge_room_m(city_map, flight.shapes) - rules.clearance_m) < -ROUNDING_M:
        case.faults.append(
            f"It comes {-edge:.3f} m nearer than {rules.clearance_m:g} m to the edge of the map, where knowledge ends."
        )
    for kind, noun in _NOUNS.items():
        found, rounded = flight.least(kind, reach)
        sentence = f"It keeps {found.metres:.3f} m from {noun} on its legs and inside its turns, "
        sentence += f"{rules.clearance_m:g} m are needed."
        where, distances = None, (reach, math.inf)
        if found.shape is None:
            sentence = f"It comes nowhere within {reach:g} m of {noun}."
        else:
            where, distances = when(room, found), (found.metres, found.metres)
        case.add(kind, "", distances, rules.clearance_m, where, sentence, claimable_m=rounded, due_below_m=reach)
    found, rounded = flight.ceiling(rules.ceiling_above_terrain_m - room.above_m)
    sentence = (
        f"The corridor's top stays {found.metres:.3f} m below {rules.ceiling_above_terrain_m:g} m over the terrain."
    )
    least = (found.metres, found.metres)
    case.add(LimitKind.CEILING, "", least, 0.0, when(room, found), sentence, claimable_m=rounded)


def _pads(case: _Case, intent: Intent, city_map: CityMap, rules: RuleSet) -> None:
    room = intent.room
    for name, n in (("origin", 0), ("destination", -1)):
        place = room.enu_m[n]
        highest, _ = pad_room(city_map, place, rules.pad_radius_m)
        lower = place[2] + _PAD_TOLERANCE_M - highest
        sentence = (
            f"Within {rules.pad_radius_m:g} m of the {name} nothing stands higher than {highest - place[2]:.3f} m, "
            f"{_PAD_TOLERANCE_M:g} m are allowed."
        )
        case.add(LimitKind.PAD, name, (lower, lower), 0.0, (room.t_s[n], place), sentence)
        surface, unknown = under_pad(city_map, place)
        if unknown:
            case.faults.append(f"The {name} stands where the survey saw nothing.")
        if abs(place[2] - surface) > _PAD_TOLERANCE_M + ROUNDING_M:
            case.faults.append(f"The {name} lies {abs(place[2] - surface):.2f} m off the surface.")


def _zones(case: _Case, intent: Intent, city_map: CityMap, zones: Sequence[Zone], rules: RuleSet) -> None:
    authorised = get(intent.document, "plan.authorisations", Sequence)
    reach = max(_REACH * rules.clearance_m, 2 * intent.room.half_width_m)
    for zone in zones:
        if not concerns(zone, authorised):
            continue
        found = zone_distance(city_map, intent.room, zone, reach)
        if found is None:
            continue
        sentence = (
            f"Its centre line keeps {found.low_m:.3f} m from zone {zone.id} while that is in force, "
            f"{intent.room.half_width_m:g} m are needed."
        )
        needed = max(intent.room.half_width_m, rules.half_width_m)
        distances, at = (found.low_m, found.high_m), (found.at_s, found.at_m)
        case.add(LimitKind.ZONE, zone.name, distances, needed, at, sentence, due_below_m=reach)


def _separation(
    case: _Case, intent: Intent, neighbours: Sequence[Intent], live: Sequence[Intent] | None, rules: RuleSet
) -> None:
    named = papers.named_neighbours(intent)
    for other in neighbours:
        if other.id != intent.id and _in_order(case, other):
            _apart(case, intent, other, rules, binding=other.name in named or not _yields(intent, other))
    told = {other.name for other in neighbours}
    for other in live or ():
        # Whoever has a lower priority gives way, and has a new version by now.
        if other.id == intent.id or other.name in told or other.name in named or _yields(intent, other):
            continue
        if _in_order(case, other) and _too_near(intent, other, rules):
            case.faults.append(f"Intent {other.name} was live and is too near, and it was not judged against it.")


def _yields(intent: Intent, other: Intent) -> bool:
    """Whether another flight gives way to this one."""
    return other.priority < intent.priority and other.state in _ABLE


def _in_order(case: _Case, other: Intent) -> bool:
    if other.room.in_order:
        return True
    case.faults.append(f"The times of intent {other.name}, handed in beside it, do not increase.")
    return False


def _needed(intent: Intent, other: Intent, rules: RuleSet) -> tuple[float, float, float]:
    """How far two centre lines must be apart, horizontally or else vertically (metres), at times so far apart (s)."""
    a, b = intent.room, other.room
    return (
        a.half_width_m + b.half_width_m + a.tube_horizontal_m + b.tube_horizontal_m + rules.separation_horizontal_m,
        max(a.below_m + b.above_m, a.above_m + b.below_m)
        + a.tube_vertical_m
        + b.tube_vertical_m
        + rules.separation_vertical_m,
        a.time_tolerance_s + b.time_tolerance_s,
    )


def _too_near(intent: Intent, other: Intent, rules: RuleSet) -> bool:
    across, up, tolerance = _needed(intent, other, rules)
    found = nearest(intent.room, other.room, up - ROUNDING_M, tolerance, across)
    return found is not None and found.low_m < across - ROUNDING_M


def _apart(case: _Case, intent: Intent, other: Intent, rules: RuleSet, *, binding: bool) -> None:
    across, up, tolerance = _needed(intent, other, rules)
    room = intent.room
    # Heights that only touch the limit are apart, as distances are.
    found = nearest(room, other.room, up - ROUNDING_M, tolerance)
    gives = "" if binding else " It gives way to this flight."
    if found is not None:
        at = _place(room.t_s, room.enu_m, found.at_s)
        sentence = (
            f"It keeps {found.low_m:.3f} m from {other.id} over the ground while the two are less than {up:.2f} m "
            f"apart in height and {tolerance:g} s in time; {across:.2f} m are needed.{gives}"
        )
        distances = (found.low_m, found.high_m)
        case.add(
            LimitKind.SEPARATION,
            other.name,
            distances,
            across,
            (found.at_s, at),
            sentence,
            binding=binding,
            due_below_m=max(_REACH * rules.clearance_m, across) if binding else 0.0,
        )
        return
    height = least_height(room, other.room, tolerance)
    if height is None:
        sentence = f"{other.id} is never in the air at the same times, {tolerance:g} s added."
        never = (math.inf, math.inf)
        case.add(LimitKind.SEPARATION, other.name, never, across, None, sentence, binding=False, due_below_m=0.0)
        return
    metres, at_s = height
    sentence = f"It keeps {metres:.3f} m from {other.id} in height, {up:.2f} m are needed where they are near."
    at = _place(room.t_s, room.enu_m, at_s)
    heights = (metres, metres)
    case.add(LimitKind.SEPARATION, other.name, heights, up, (at_s, at), sentence, binding=False, due_below_m=0.0)


def _place(t_s: Floats, line: Floats, at_s: float) -> Floats:
    return np.array([np.interp(at_s, t_s, line[:, axis]) for axis in range(3)])
