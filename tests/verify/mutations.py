"""Approvals moved until one limit is broken by a centimetre or a tenth of a second, and their twins on the good side.

Each family works out by hand where the limit lies, from what stands on the plain, and puts the flight beside it. It is
called twice with the same dice: once ``broken``, once not. Where no twin can be told, it returns None for it.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.airspace.conftest import T0
from tests.verify.forging import (
    OPEN,
    PLAIN_UP_M,
    RULES,
    SHED_M,
    SHED_UP_M,
    UNKNOWN_M,
    WALL_M,
    WALL_UP_M,
    Document,
    at_share,
    certified,
    granted,
    hop,
    passing,
    plain_json,
    room_needed,
    sealed,
    square_zone,
)
from utm.airspace.records import intent_from
from utm.airspace.volumes import volumes_of
from utm.mapping import CityMap
from utm.model import Datum, WeeklyPeriod

CM = 0.01
TENTH_S = 0.1


@dataclass
class Forged:
    """An approval to be judged, and what the verifier must find."""

    document: Document
    beside: dict[str, Any] = field(default_factory=dict)
    kinds: frozenset[str] = frozenset()
    """The limits that must not hold."""
    says: str = ""
    """What one of the faults must say where no limit is broken but the paper is wrong."""


Family = Callable[[CityMap, np.random.Generator, bool], Forged | None]
FAMILIES: dict[str, Family] = {}


def family(make: Family) -> Family:
    """Enter a family."""
    FAMILIES[make.__name__] = make
    return make


def _corner(
    box_m: tuple[float, float, float, float], dice: np.random.Generator, off: float = 0.15
) -> tuple[tuple[float, float], float]:
    """A corner of a box, and a direction that leads away from it, so far off those of the box's sides (radians)."""
    quarter = int(dice.integers(4))
    corner = (box_m[2] if quarter in (0, 3) else box_m[0], box_m[3] if quarter in (0, 1) else box_m[1])
    return corner, quarter * math.pi / 2 + float(dice.uniform(off, math.pi / 2 - off))


def _spans(dice: np.random.Generator) -> tuple[float, float]:
    return float(dice.uniform(60, 140)), float(dice.uniform(60, 140))


def _open_hop(dice: np.random.Generator, up_m: float, turn: float = 0.0) -> list:
    """A level leg of 300 m over open ground."""
    heading = float(dice.uniform(0, 2 * math.pi)) + turn
    reach = 150 * np.array([math.cos(heading), math.sin(heading)])
    return hop(np.array(OPEN) - reach, np.array(OPEN) + reach, up_m)


@family
def obstacle(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged:
    """Past a corner of the wall, below its top or above."""
    corner, heading = _corner(WALL_M, dice)
    rise = float(dice.uniform(-60, 18))
    away = math.sqrt((RULES.clearance_m - CM if broken else RULES.clearance_m + CM) ** 2 - max(rise, 0.0) ** 2)
    ends = passing(corner, heading, away, *_spans(dice))
    return Forged(granted(city, hop(*ends, WALL_UP_M + rise)), kinds=frozenset({"obstacle"}))


@family
def inside_a_turn(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged:
    """Around a corner of the wall: the legs are far enough, the chord of the turn is not."""
    corner, heading = _corner(WALL_M, dice, 0.45)  # the legs lead back past the sides
    half = float(dice.uniform(0.08, 0.25))
    away = RULES.clearance_m + (-CM if broken else CM) + 10.0 * math.sin(half)
    normal = np.array([math.cos(heading), math.sin(heading)])
    along = np.array([-normal[1], normal[0]])
    bend = np.asarray(corner) + away * normal
    lengths = _spans(dice)
    start = bend - lengths[0] * (along * math.cos(half) + normal * math.sin(half))
    end = bend + lengths[1] * (along * math.cos(half) - normal * math.sin(half))
    up = float(dice.uniform(60, WALL_UP_M))
    corners = [(*start, PLAIN_UP_M), (*start, up), (*bend, up), (*end, up), (*end, PLAIN_UP_M)]
    return Forged(granted(city, corners), kinds=frozenset({"obstacle"}))


@family
def terrain(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged:
    """Low over the plain, where the ground is all that the survey saw."""
    up = PLAIN_UP_M + RULES.clearance_m + (-CM if broken else CM)
    return Forged(granted(city, _open_hop(dice, up)), kinds=frozenset({"terrain"}))


@family
def terraces(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged:
    """Low along the terraces: the nearest step may be above the way or beside it."""
    north = float(dice.uniform(1050, 1165))
    steps = [(1120.0 + 4.0 * n, 10.0 + 0.5 * n) for n in range(20)] + [(0.0, 10.0)]
    wanted = RULES.clearance_m + (-CM if broken else CM)
    up = max(
        top + math.sqrt(max(wanted**2 - max(edge - north, 0.0) ** 2, 0.0))
        for edge, top in steps
        if edge - north < wanted
    )
    ground = 10.0 + 0.5 * max(math.floor((north - 1120.0) / 4.0), 0)
    west = float(dice.uniform(700, 1000))
    return Forged(granted(city, hop((west, north), (west + 300.0, north), up, ground)), kinds=frozenset({"terrain"}))


@family
def unknown(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged:
    """Past a corner of the patch that nobody surveyed, over the height that is assumed there."""
    top = float(city.surface_up(320.0, 900.0))
    corner, heading = _corner(UNKNOWN_M, dice)
    lowest = PLAIN_UP_M + RULES.clearance_m + 0.1 - top
    rise = float(dice.uniform(max(lowest, -5.0), 25.0))
    away = math.sqrt((RULES.clearance_m + (-CM if broken else CM)) ** 2 - max(rise, 0.0) ** 2)
    ends = passing(corner, heading, away, *_spans(dice))
    return Forged(granted(city, hop(*ends, top + rise)), kinds=frozenset({"unknown"}))


@family
def ceiling(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged:
    """High over the plain, or over a terrace, or along the edge between two: the lower one counts."""
    room = RULES.ceiling_above_terrain_m - RULES.half_height_m + (CM if broken else -CM)
    if dice.random() < 0.5:
        return Forged(granted(city, _open_hop(dice, PLAIN_UP_M + room)), kinds=frozenset({"ceiling"}))
    step = int(dice.integers(1, 11))
    edge = dice.random() < 0.5
    north = 1120.0 + 4.0 * step + (0.0 if edge else 2.0)
    ground = 10.0 + 0.5 * (step - 1 if edge else step)
    west = float(dice.uniform(700, 1000))
    corners = hop((west, north), (west + 300.0, north), ground + room, ground)
    return Forged(granted(city, corners), kinds=frozenset({"ceiling"}))


@family
def zone_beside(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged:
    """Past a corner of a zone."""
    turned = float(dice.uniform(0, math.pi / 2))
    zone = square_zone(city, "Z", OPEN, 40.0, turned)
    quarter = int(dice.integers(4))
    out = turned + math.pi / 4 + quarter * math.pi / 2
    corner = np.array(OPEN) + 40.0 * math.sqrt(2) * np.array([math.cos(out), math.sin(out)])
    heading = out + float(dice.uniform(-0.6, 0.6))
    ends = passing(corner, heading, RULES.half_width_m + (-CM if broken else CM), *_spans(dice))
    return Forged(
        granted(city, hop(*ends, float(dice.uniform(50, 120))), zones=[zone]), {"zones": [zone]}, frozenset({"zone"})
    )


@family
def zone_above_or_below(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged:
    """Over a zone's upper limit, or under its lower one, above ground or in the map's heights."""
    up = float(dice.uniform(70, 110))
    touch = CM if broken else -CM
    over = dice.random() < 0.5
    limit = up - RULES.half_height_m + touch if over else up + RULES.half_height_m - touch
    datum = Datum.AGL if dice.random() < 0.5 else city.frame.vertical
    value = limit - (PLAIN_UP_M if datum is Datum.AGL else 0.0)
    changes = {"upper_m": value, "upper_datum": datum} if over else {"lower_m": value, "lower_datum": datum}
    zone = square_zone(city, "Z", OPEN, 40.0, float(dice.uniform(0, 1)), **changes)
    return Forged(granted(city, _open_hop(dice, up), zones=[zone]), {"zones": [zone]}, frozenset({"zone"}))


def _times_in_zone(city: CityMap, dice: np.random.Generator, departure_s: float) -> tuple[Document, float, float]:
    """A flight straight across a zone, and when it comes within the half-width of it and leaves that."""
    heading = float(dice.uniform(0, 2 * math.pi))
    along = np.array([math.cos(heading), math.sin(heading)])
    reach = 40.0 + RULES.half_width_m
    document = granted(city, hop(OPEN - 150 * along, OPEN + 150 * along, 80.0), departure_s)
    document["heading"] = heading
    return document, at_share(document, OPEN - reach * along), at_share(document, OPEN + reach * along)


@family
def zone_in_time(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged:
    """Across a zone just before it begins or just after it ends, by its dates."""
    document, enters, leaves = _times_in_zone(city, dice, T0)
    late = TENTH_S if broken else -TENTH_S
    if dice.random() < 0.5:
        changes = {"valid_from_s": round(leaves + RULES.time_tolerance_s - late, 3), "valid_to_s": T0 + 9e4}
    else:
        changes = {"valid_from_s": T0 - 9e4, "valid_to_s": round(enters - RULES.time_tolerance_s + late, 3)}
    return _with_zone(city, document, changes)


@family
def zone_on_certain_days(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged:
    """The same by weekday and clock: the flight is moved, in the zone's own time zone."""
    day = int(dice.integers(7))
    first = datetime.datetime.fromisoformat("2026-10-19T00:00:00+09:00") + datetime.timedelta(days=day)
    begin = dice.random() < 0.5
    start, end = datetime.time(11, 30), datetime.time(0, 0) if dice.random() < 0.5 else datetime.time(14, 0)
    seed = int(dice.integers(1 << 31))
    _, enters, leaves = _times_in_zone(city, np.random.default_rng(seed), T0)
    edge = first.timestamp() + (11.5 if begin else 24.0 if end == datetime.time(0, 0) else 14.0) * 3600
    late = TENTH_S if broken else -TENTH_S
    departure = T0 + (
        edge - RULES.time_tolerance_s - leaves + late if begin else edge + RULES.time_tolerance_s - enters - late
    )
    document, _, _ = _times_in_zone(city, np.random.default_rng(seed), departure)
    return _with_zone(city, document, {"periods": (WeeklyPeriod((day,), start, end),)})


def _with_zone(city: CityMap, document: Document, changes: dict[str, Any]) -> Forged:
    zone = square_zone(city, "Z", OPEN, 40.0, document.pop("heading"), **changes)
    return Forged(certified(document, city, zones=[zone]), {"zones": [zone]}, frozenset({"zone"}))


def _meeting(city: CityMap, mine: Document, other: Document) -> Forged:
    document = certified(mine, city, neighbours=[other])
    return Forged(document, {"neighbours": [other], "live": [other]}, frozenset({"separation"}))


@family
def beside_a_neighbour(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged:
    """Beside a flight on the same way."""
    up = float(dice.uniform(50, 140))
    corners = np.array(_open_hop(dice, up))
    mine = granted(city, corners)
    along = (corners[2] - corners[1]) / np.linalg.norm(corners[2] - corners[1])
    aside = np.array([-along[1], along[0], 0.0])
    needed = room_needed(mine, mine)[0] + (-CM if broken else CM)
    late = float(dice.uniform(-15, 15))
    return _meeting(city, mine, granted(city, corners + needed * aside, T0 + late, name="N"))


@family
def above_a_neighbour(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged:
    """Across a flight on another height."""
    up = float(dice.uniform(60, 80))
    seed, turn = int(dice.integers(1 << 31)), float(dice.uniform(1.2, 1.9))
    lower = granted(city, _open_hop(np.random.default_rng(seed), up))
    other, height = lower, 0.0
    for _ in range(4):  # its tube belongs to what is needed
        height = up + room_needed(lower, other)[1] + (-CM if broken else CM)
        other = granted(city, _open_hop(np.random.default_rng(seed), height, turn), name="N")
    late = at_share(lower, OPEN) - at_share(other, OPEN) + float(dice.uniform(-8, 8))
    other = granted(city, _open_hop(np.random.default_rng(seed), height, turn), T0 + late, name="N")
    if dice.random() < 0.5:
        return _meeting(city, lower, other)
    upper = granted(city, _open_hop(np.random.default_rng(seed), height, turn), T0 + late, name="M")
    return _meeting(city, upper, lower)


@family
def across_a_neighbour_in_time(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged:
    """Across a flight on the same height, behind it: at right angles both fly away from the meeting evenly."""
    up = float(dice.uniform(60, 120))
    seed = int(dice.integers(1 << 31))
    mine = granted(city, _open_hop(np.random.default_rng(seed), up))
    other = granted(city, _open_hop(np.random.default_rng(seed), up, math.pi / 2), name="N")
    needed = room_needed(mine, other)[0]
    speed = 8.0  # of the quad, at the middle of a leg of 300 m
    wait = 2 * RULES.time_tolerance_s + needed * math.sqrt(2) / speed + (-TENTH_S if broken else TENTH_S)
    wait = wait if dice.random() < 0.5 else -wait
    return _meeting(
        city, mine, granted(city, _open_hop(np.random.default_rng(seed), up, math.pi / 2), T0 + wait, name="N")
    )


@family
def after_a_neighbour_on_its_pad(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged:
    """From the pad on which another has landed: both hold it, and both may be off their times."""
    corners = np.array(_open_hop(dice, 80.0))
    first = granted(city, corners)
    free = first["corridor"]["t_s"][-1] + 2 * RULES.pad_hold_s + 2 * RULES.time_tolerance_s
    onward = corners[-1, :2] + (np.array([200.0, 120.0]) if dice.random() < 0.5 else np.array([0.0, 250.0]))
    flight = hop(corners[-1], onward, 80.0)
    second = granted(city, flight, free + (-TENTH_S if broken else TENTH_S), name="N")
    return _meeting(city, first, second) if dice.random() < 0.5 else _meeting(city, second, first)


@family
def left_out(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged:
    """A live flight beside it that the certificate does not name."""
    made = beside_a_neighbour(city, dice, broken)
    (other,) = made.beside["neighbours"]
    return Forged(certified(made.document, city), {"live": [other]}, says="was not judged against it")


@family
def pad(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged:
    """A pad beside the shed: within 6 m of it, or lower than its roof by more than 2 m."""
    away = RULES.pad_radius_m
    lift = SHED_UP_M - 3.0
    if dice.random() < 0.5:
        away += -CM if broken else CM
    else:
        away -= 1.0
        lift = SHED_UP_M - 2.0 + (-CM if broken else CM)
    corner, heading = _corner(SHED_M, dice)
    start = np.asarray(corner) + away * np.array([math.cos(heading), math.sin(heading)])
    if dice.random() < 0.3:  # beside an edge of it
        start = np.array([SHED_M[2] + away, float(dice.uniform(SHED_M[1], SHED_M[3]))])
    end = start + float(dice.uniform(120, 200)) * np.array([math.cos(heading), math.sin(heading)])
    corners = np.array(hop(start, end, 60.0))
    corners[0, 2] = lift
    if dice.random() < 0.5:
        corners = corners[::-1].copy()
    return Forged(granted(city, corners), kinds=frozenset({"pad"}))


@family
def off_its_pad(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged:
    """A column beside the pad of the plan; a millimetre is let pass."""
    document = granted(city, _open_hop(dice, 80.0))
    aside = (CM if broken else 0.001) * np.array([math.cos(angle := float(dice.uniform(0, 7))), math.sin(angle)])
    for point in document["corridor"]["enu_m"]:
        point[0] += float(aside[0])
        point[1] += float(aside[1])
    return Forged(sealed(document), says="from the plan's")


@family
def speed(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged:
    """One piece flown a tenth of a second faster than the aircraft is, or slower."""
    document = granted(city, _open_hop(dice, float(dice.uniform(50, 140))))
    t, p = np.array(document["corridor"]["t_s"]), np.array(document["corridor"]["enu_m"])
    step, took = np.diff(p, axis=0), np.diff(t)
    at_limit = np.maximum(np.hypot(step[:, 0], step[:, 1]) / 8.0, step[:, 2] / 3.0) >= took * (1 - 1e-6)
    n = int(dice.choice(np.flatnonzero(at_limit)))
    t[n + 1 :] += -TENTH_S if broken else TENTH_S
    document["corridor"]["t_s"] = t.tolist()
    return Forged(sealed(document), says="m/s")


@family
def order_of_times(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged | None:
    """A point a tenth of a second before the one that it comes after."""
    if not broken:
        return None
    document = granted(city, _open_hop(dice, 80.0))
    t = document["corridor"]["t_s"]
    n = int(dice.integers(1, len(t)))
    t[n] = t[n - 1] - TENTH_S
    return Forged(document, says="do not increase")


@family
def tube(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged:
    """A tube narrower than a turn cuts its corner."""
    turn = float(dice.uniform(0.5, 2.0))
    start = np.array(OPEN)
    bend, heading = start + np.array([150.0, 0.0]), np.array([math.cos(turn), math.sin(turn)])
    end = bend + 120.0 * heading
    corners = [(*start, PLAIN_UP_M), (*start, 80.0), (*bend, 80.0), (*end, 80.0), (*end, PLAIN_UP_M)]
    document = granted(city, corners)
    cut = 10.0 * math.tan(turn / 4)
    document["corridor"]["tube"]["horizontal_m"] = cut + (-CM if broken else CM)
    return Forged(sealed(document), says="The turn")


@family
def sizes(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged:
    """A corridor a centimetre or a tenth of a second smaller than the rules ask, or larger."""
    document = granted(city, _open_hop(dice, 80.0))
    names = ("half_width_m", "below_m", "above_m", "time_tolerance_s", "pad_hold_s")
    name = str(dice.choice(names))
    step = TENTH_S if name.endswith("_s") else CM
    document["corridor"][name] += -step if broken else step
    return Forged(certified(sealed(document), city), says="The corridor's")


@family
def volumes(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged:
    """One of the exchanged prisms pulled in by a centimetre or a tenth of a second, or out."""
    document = granted(city, _open_hop(dice, 80.0))
    document["volumes"] = plain_json(
        [
            dataclasses.asdict(volume) | {"outline_m": volume.outline_m.tolist()}
            for volume in volumes_of(intent_from(document).corridor)
        ]
    )
    # Of the level leg: each is needed, for no other reaches as far around its middle.
    level = [n for n, one in enumerate(document["volumes"]) if one["floor_m"] == 70.0 and one["ceiling_m"] == 90.0]
    one = document["volumes"][int(dice.choice(level[1:-1] or level))]
    side = str(dice.choice(["floor_m", "ceiling_m"]))
    outwards = -1 if side == "floor_m" else 1
    one[side] += outwards * (-CM if broken else CM)
    return Forged(document, says="No volume holds")


def _past_the_wall(city: CityMap, dice: np.random.Generator) -> Document:
    """A flight with something in every line but those of zones and neighbours, its certificate by hand."""
    corner, heading = _corner(WALL_M, dice)
    away, up = float(dice.uniform(31, 60)), float(dice.uniform(80, 110))
    document = granted(city, hop(*passing(corner, heading, away, *_spans(dice)), up))
    room = PLAIN_UP_M + RULES.ceiling_above_terrain_m - up - RULES.half_height_m
    truth = [
        ("terrain", "", up - PLAIN_UP_M, RULES.clearance_m),
        ("obstacle", "", away, RULES.clearance_m),
        ("ceiling", "", room, 0.0),
        ("pad", "origin", 2.0, 0.0),
        ("pad", "destination", 2.0, 0.0),
    ]
    document["limits"] = [
        {"kind": kind, "subject": subject, "found_m": found - 0.0005, "needed_m": needed, "at_s": T0, "at_m": [0, 0, 0]}
        for kind, subject, found, needed in truth
    ]
    return document


def _with_everything(city: CityMap, dice: np.random.Generator) -> Forged:
    """A flight past the wall, by hand, or one beside a neighbour and a zone, as the engine certifies it."""
    if dice.random() < 0.5:
        return Forged(_past_the_wall(city, dice))
    made = beside_a_neighbour(city, dice, False)
    start, end = (np.array(made.document["corridor"]["enu_m"][n])[:2] for n in (0, -1))
    zone = square_zone(city, "Z", start + 110.0 * (start - end) / np.linalg.norm(start - end), 40.0)  # behind it
    others = made.beside["neighbours"]
    document = certified(made.document, city, zones=[zone], neighbours=others)
    return Forged(document, {"zones": [zone], "neighbours": others, "live": others})


@family
def claims(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged:
    """A certificate that promises a centimetre more than there is, or asks for one less."""
    made = _with_everything(city, dice)
    lines = made.document["limits"]
    wrong = lines[int(dice.integers(len(lines)))]
    less = dice.random() < 0.3
    if broken:
        wrong["found_m"] += 0.0 if less else CM
        wrong["needed_m"] -= CM if less else 0.0
    return Forged(made.document, made.beside, says="The certificate needs" if less else "The certificate claims")


@family
def silence(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged:
    """A certificate that leaves a line out."""
    made = _with_everything(city, dice)
    if broken:
        made.document["limits"].pop(int(dice.integers(len(made.document["limits"]))))
    return Forged(made.document, made.beside, says="does not speak of")


@family
def horizon(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged:
    """Thirty days ahead and a tenth of a second."""
    document = granted(city, _open_hop(dice, 80.0))
    ends = document["corridor"]["t_s"][-1]
    return Forged(document, {"now_s": ends - 30 * 86400 + (-TENTH_S if broken else TENTH_S)}, says="days ahead")


@family
def names(city: CityMap, dice: np.random.Generator, broken: bool) -> Forged | None:
    """A digit of an OVN, of a zone's hash, of the map's version, changed."""
    if not broken:
        return None
    made = beside_a_neighbour(city, dice, False)
    zone = square_zone(city, "Z", (400.0, 300.0), 40.0)
    document = certified(made.document, city, zones=[zone], neighbours=made.beside["neighbours"])
    what = str(dice.choice(["neighbours", "zones", "map_version", "ovn"]))
    text = document[what][0] if isinstance(document[what], list) else document[what]
    n = len(text) - 1 - int(dice.integers(10))
    changed = text[:n] + ("0" if text[n] != "0" else "1") + text[n + 1 :]
    document[what] = [changed] if isinstance(document[what], list) else changed
    if what == "map_version":
        document = sealed(document)
    says = {"neighbours": "It was judged against intent", "zones": "zone", "map_version": "map version", "ovn": "OVN"}
    return Forged(document, made.beside | {"zones": [zone]}, says=says[what])
