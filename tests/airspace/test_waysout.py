"""A drone that fails at any moment stays in the room of its way out, and meets neither another drone nor a thing."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from tests.airspace.conftest import CELL_M, T0, TOWER_M, TOWER_UP_M, plan, zone
from utm.airspace.admission import decide
from utm.airspace.clearing import meet
from utm.airspace.failsafes import STAND_S, back, hold, onward, straight
from utm.airspace.records import way_out_document, way_out_from
from utm.airspace.situation import OfIntents, Situation
from utm.airspace.space import Skies
from utm.airspace.stretches import common, length_s, union
from utm.airspace.underway import Flight
from utm.airspace.waysout import crossings, summary, ways_out
from utm.core import time_path, tube_of
from utm.core.ramps import JERK_M_S3, ramp_m, ramp_s
from utm.model import (
    AIRCRAFT_CLASSES,
    CALM,
    Conditions,
    Corridor,
    Datum,
    RuleSet,
    Trajectory,
    Tube,
    WayOutKind,
    Waypoint,
    Wind,
)

QUAD = AIRCRAFT_CLASSES["quad"]
#: A flight with a step in height, turns of all kinds, and a short leg: metres east, north, up.
ROUGH = np.array(
    [
        (0, 0, 5), (0, 0, 45), (300, 0, 45), (300, 250, 45), (420, 330, 45), (420, 330, 62), (425, 560, 62),
        (700, 575, 62), (720, 585, 62), (730, 900, 62), (430, 905, 62), (430, 905, 8),
    ],
    float,
)  # fmt: skip


# -- what is flown, worked out without the code that makes the corridors


def stopped(flight: Flight, moment: float) -> tuple[float, np.ndarray]:
    """How long a drone brakes that begins to at a moment of its plan, and where it stops: straight on.

    While it speeds up it ends that first. Braking as the plan does, it passes the end of its leg no faster than that.
    """
    ends = flight.line.start_s + np.cumsum([sum(leg.phases_s) for leg in flight.legs])
    n = min(int(np.searchsorted(ends, moment, side="right")), len(flight.legs) - 1)
    leg, braking = flight.legs[n], flight.aircraft.acceleration_m_s2
    gone, speed, steep = (float(x) for x in leg.along(moment - ends[n] + sum(leg.phases_s)))
    ending = max(steep, 0.0) / JERK_M_S3
    top = speed + max(steep, 0.0) * ending / 2
    far = ending * (speed + top) / 2 + ramp_m(top, 0.0, braking)
    far = min(far, max(leg.length_m - gone, 0.0) + ramp_m(leg.final_m_s, 0.0, braking))
    return ending + ramp_s(top, braking), flight.line.at(moment) + far * leg.direction


def road_back(flight: Flight, moment: float, here: np.ndarray) -> np.ndarray:
    behind = [corner for corner, when in zip(flight.corners_m, flight.corner_s, strict=True) if when < moment]
    return np.array([here, *behind[::-1]])


def road_on(flight: Flight, moment: float, here: np.ndarray) -> np.ndarray:
    ahead = [corner for corner, when in zip(flight.corners_m, flight.corner_s, strict=True) if when > moment]
    return np.array([here, *ahead])


def failing(flight: Flight, moment: float, wait_s: float, way: np.ndarray | None, brakes: bool) -> Trajectory:
    """Where the drone is from the moment on: it brakes and stands, or neither, then flies a way from rest."""
    here = flight.line.at(moment)
    times, places = [moment], [here]
    if brakes:
        took, there = stopped(flight, moment)
        for share in np.linspace(0.05, 1.0, 20):
            times.append(moment + max(took, 1e-3) * share)
            places.append(here + (there - here) * (2 * share - share**2))
        if wait_s > 0:
            times.append(times[-1] + wait_s)
            places.append(there)
        here = there
    if way is not None:
        way = np.vstack([here[None], way])
        try:
            flown = time_path(way, dataclasses.replace(flight.aircraft, endurance_s=1e6), times[-1], flight.wind)
        except ValueError:  # it stands where it would go
            return Trajectory(np.array([*times, times[-1] + 1.0]), np.array([*places, places[-1]]))
        times = [*times, *flown.t_s[1:]]
        places = [*places, *flown.enu_m[1:]]
    if len(times) == 1:
        times, places = [moment, moment + max(wait_s, 1e-3)], [here, here]
    return Trajectory(np.array(times), np.array(places))


def off_by(room: Corridor, place: np.ndarray, t_s: float) -> float:
    """Horizontal distance to the nearest point of a corridor's line within the time tolerance and the room in height
    (infinite where there is none): every piece, exactly."""
    line, tolerance = room.centre_line, room.time_tolerance_s
    below = room.below_m + room.tube.vertical_m + 1e-6
    above = room.above_m + room.tube.vertical_m + 1e-6
    starts, ends = line.t_s[:-1], line.t_s[1:]
    begin, end = np.maximum(starts, t_s - tolerance), np.minimum(ends, t_s + tolerance)
    kept = begin <= end
    speed = (np.diff(line.enu_m, axis=0) / (ends - starts)[:, None])[kept]
    a = line.enu_m[:-1][kept] + speed * (begin - starts)[kept, None]
    b = line.enu_m[:-1][kept] + speed * (end - starts)[kept, None]
    # The part of each piece from share low to share high has the right height.
    rise = b[:, 2] - a[:, 2]
    least, most = place[2] - above - a[:, 2], place[2] + below - a[:, 2]
    level = np.abs(rise) <= 1e-12
    shares = np.sort([least / np.where(level, 1.0, rise), most / np.where(level, 1.0, rise)], axis=0)
    low, high = np.where(level, 0.0, np.maximum(shares[0], 0.0)), np.where(level, 1.0, np.minimum(shares[1], 1.0))
    fits = np.where(level, (least <= 0.0) & (most >= 0.0), low <= high)
    if not fits.any():
        return math.inf
    a, b = a + low[:, None] * (b - a), a + high[:, None] * (b - a)
    step, off = (b - a)[fits, :2], (place - a)[fits, :2]
    square = np.maximum((step**2).sum(axis=1), 1e-30)
    share = np.clip((off * step).sum(axis=1) / square, 0.0, 1.0)
    return float(np.hypot(*(off - share[:, None] * step).T).min())


def assert_inside(room: Corridor, flown: Trajectory, own_s: float) -> None:
    """All of it lies in the tube alone, with no use of the corridor's width."""
    cuts = np.union1d(np.linspace(flown.start_s, flown.end_s, 60), flown.t_s)
    for t in cuts:
        off = off_by(room, flown.at(t), t + own_s)
        assert off <= room.tube.horizontal_m + 1e-6, (t - flown.start_s, off, room.tube.horizontal_m)


def flight_of(points: np.ndarray, aircraft=QUAD, wind: Wind = CALM) -> Flight:
    line = time_path(points, aircraft, T0, wind)
    rules = RuleSet()
    tube = tube_of(points, aircraft, wind)
    corridor = Corridor(line, rules.half_width_m, 10.0, 10.0, rules.time_tolerance_s, rules.pad_hold_s, tube)
    return Flight(corridor, aircraft, wind)


FLIGHTS = {
    "quad": lambda: flight_of(ROUGH),
    "cargo in wind": lambda: flight_of(ROUGH, AIRCRAFT_CLASSES["quad-cargo"], Wind.uniform(6.0, -3.0)),
    "slow to stop": lambda: flight_of(ROUGH, dataclasses.replace(QUAD, acceleration_m_s2=0.8)),
    "quick to stop": lambda: flight_of(ROUGH, dataclasses.replace(QUAD, acceleration_m_s2=5.0)),
}


@pytest.fixture(scope="module", params=list(FLIGHTS))
def flight(request) -> Flight:
    return FLIGHTS[request.param]()


def moments(flight: Flight, count: int, seed: int):
    """(from, until, moment, own offset, wait, brakes), random, each stretch short or long."""
    random = np.random.default_rng(seed)
    line, own = flight.line, flight.corridor.time_tolerance_s
    for _ in range(count):
        begin = random.uniform(line.start_s, line.end_s - 1.0)
        end = min(begin + random.choice([0.5, 5.0, 20.0, 60.0]), line.end_s)
        moment = random.choice([begin, end, random.uniform(begin, end)])
        offset = random.choice([-own, own, random.uniform(-own, own)])
        wait = random.choice([0.0, STAND_S, random.uniform(0.0, STAND_S)])
        yield begin, end, float(moment), float(offset), float(wait), bool(random.random() < 0.8)


def test_who_goes_onward_stays_inside(flight):
    for begin, _, moment, own, wait, brakes in moments(flight, 25, 1):
        room = onward(flight, begin)
        if brakes:
            flown = failing(flight, moment, wait, road_on(flight, moment, flight.line.at(moment))[1:], True)
        else:
            flown = flight.part(moment, flight.line.end_s) if moment < flight.line.end_s - 0.01 else None
        if flown is not None:
            assert_inside(room, flown, own)


def test_who_goes_back_stays_inside(flight):
    for begin, end, moment, own, wait, brakes in moments(flight, 25, 2):
        if moment - flight.line.start_s < 1.0:
            continue
        room = back(flight, begin, end)
        way = road_back(flight, moment, flight.line.at(moment))[1:]
        assert_inside(room, failing(flight, moment, wait, way, brakes), own)


@pytest.mark.parametrize("climbs", [False, True])
def test_who_goes_straight_stays_inside(flight, climbs):
    random = np.random.default_rng(3)
    for begin, end, moment, own, wait, brakes in moments(flight, 20, 4):
        site = (*random.uniform(-200.0, 900.0, 2).tolist(), 3.0)
        to = 80.0 if climbs else None
        made = straight(flight, begin, end, site, to)
        here = stopped(flight, moment)[1] if brakes else flight.line.at(moment)
        level = max(here[2], to or here[2])
        way = np.array([(*here[:2], level), (*site[:2], level), site])
        if brakes:
            flown = failing(flight, moment, wait, way, True)
        else:  # at once and at full speed, which no drone can
            far, up = float(np.hypot(*(here[:2] - site[:2]))), level - here[2]
            level_s = moment + max(far / flight.aircraft.cruise_m_s, 1e-3) + up / flight.aircraft.climb_m_s + 1e-6
            times, places = [moment, level_s], [here, np.array([*site[:2], level])]
            if up > 0:
                times.insert(1, moment + up / flight.aircraft.climb_m_s)
                places.insert(1, np.array([*here[:2], level]))
            down = time_path(np.array([(*site[:2], level), site]), flight.aircraft, level_s)
            flown = Trajectory(np.array([*times, *down.t_s[1:]]), np.array([*places, *down.enu_m[1:]]))
        assert_inside(made.corridor, flown, own)


def test_who_holds_stays_inside(flight):
    for begin, end, moment, own, _, _ in moments(flight, 15, 5):
        for wait_s in (10.0, 60.0):
            room = hold(flight, begin, end, wait_s)
            for stands in (0.0, wait_s):
                assert_inside(room, failing(flight, moment, stands, None, True), own)


def test_the_walk_can_fail():
    """A corridor that is a little too short in time is found out by the walks above."""
    flight = FLIGHTS["quad"]()
    begin, end = flight.line.start_s + 60.0, flight.line.start_s + 80.0
    room = back(flight, begin, end)
    tight = dataclasses.replace(room, time_tolerance_s=room.time_tolerance_s - 16.0)
    own = flight.corridor.time_tolerance_s
    flown = failing(flight, end, STAND_S, road_back(flight, end, flight.line.at(end))[1:], True)
    assert_inside(room, flown, own)
    with pytest.raises(AssertionError):
        assert_inside(tight, flown, own)


# -- in the small town


def granted(town, name, way, others=(), zones=(), at_s=T0, **changes):
    """(situation, intent) of a flight beside others."""
    situation = Situation(Skies(town, RuleSet()), tuple(zones), T0 - 600.0, traffic=OfIntents(others))
    decision = decide(situation, plan(town, name, way, at_s, **changes))
    assert decision.intent is not None, decision.reasons
    return situation, decision.intent


@pytest.fixture(scope="module")
def busy(town):
    """Four flights that cross, each with the situation in which it is live."""
    intents = []
    for name, way in {
        "one": ("west", "east"), "two": ("south", "north"), "three": ("east", "west"), "four": ("north", "south"),
    }.items():  # fmt: skip
        intents.append(granted(town, name, way, tuple(intents))[1])
    skies = Skies(town, RuleSet())
    live = OfIntents(intents)
    return [(Situation(skies, (), T0 - 600.0, traffic=live), intent) for intent in intents]


def above_wall_m(place: np.ndarray) -> float:
    """Distance in space to the wall in the middle of the town."""
    east, north = TOWER_M
    de = max(abs(place[0] - east) - 5 * CELL_M, 0.0)
    dn = max(abs(place[1] - north) - 60 * CELL_M, 0.0)
    return math.sqrt(de**2 + dn**2 + max(place[2] - TOWER_UP_M, 0.0) ** 2)


def fly(flight: Flight, way, moment: float, wait: float, brakes: bool) -> Trajectory:
    """What the drone flies that takes a way out."""
    site = np.array(way.site_m)
    here = stopped(flight, moment)[1] if brakes else flight.line.at(moment)
    match way.kind, way.settings.get("RTL_TYPE"):
        case WayOutKind.HOLD, _:
            return failing(flight, moment, wait / STAND_S * way.wait_s, None, True)
        case WayOutKind.RETURN, 2.0 | 4.0:
            homewards = np.allclose(site, flight.line.enu_m[0])
            road = road_back if homewards else road_on
            return failing(flight, moment, wait, road(flight, moment, here)[1:], brakes or not homewards)
        case WayOutKind.RETURN, _:
            level = max(here[2], flight.line.enu_m[0][2] + way.settings["RTL_RETURN_ALT"])
        case _:
            level = here[2]
    straight_there = np.array([(*here[:2], level), (*site[:2], level), site])
    return failing(flight, moment, wait, straight_there, brakes)


def test_a_drone_that_fails_meets_nobody_and_nothing(busy):
    random = np.random.default_rng(6)
    flown_out = 0
    for situation, intent in busy:
        found = ways_out(situation, intent)
        flight = Flight(intent.corridor, intent.plan.aircraft, CALM)
        own = intent.corridor.time_tolerance_s
        others = [other.corridor for _, other in busy if other.id != intent.id]
        rules = situation.skies.for_aircraft(intent.plan.aircraft).rules
        for way in found.ways:
            assert not any(
                meet(way.corridor, other, rules.separation_horizontal_m, rules.separation_vertical_m)
                for other in others
            )
            for _ in range(4):
                moment = random.uniform(way.from_s, way.until_s)
                if moment - flight.line.start_s < 1.0:
                    continue
                flown = fly(flight, way, moment, random.uniform(0.0, STAND_S), bool(random.random() < 0.7))
                offset = random.uniform(-own, own)
                assert_inside(way.corridor, flown, offset)
                flown_out += 1
                for t in np.arange(flown.start_s, flown.end_s, 2.0):
                    place = flown.at(t)
                    assert above_wall_m(place) >= rules.clearance_m - flight.overshoot_m
                    over_ground = place[2] - 10.0  # the hill begins north of 1120 m, beyond all ways
                    columns = [np.array(way.site_m[:2]), *(pad[:2] for pad in flight.line.enu_m[[0, -1]])]
                    if min(np.hypot(*(place[:2] - column)) for column in columns) > 15.0:
                        assert over_ground >= rules.clearance_m - 1e-6
                    for other in others:
                        shift = random.uniform(-other.time_tolerance_s, other.time_tolerance_s)
                        there = other.centre_line.at(t + offset - shift)
                        line = other.centre_line
                        if line.start_s <= t + offset - shift <= line.end_s:
                            apart = np.hypot(*(place - there)[:2]), abs(place[2] - there[2])
                            assert apart[0] >= rules.separation_horizontal_m or apart[1] >= rules.separation_vertical_m
    assert flown_out > 100


def test_every_moment_of_a_flight_alone_has_its_ways_out(town):
    situation, intent = granted(town, "one", ("west", "east"))
    found, line = ways_out(situation, intent), intent.corridor.centre_line
    assert found.none == ()
    assert len(found.ways) <= 24
    told = summary(found, line, town.frame)
    assert told["covered_share"] == told["return"]["share"] == told["hold"]["share"] == 1.0
    assert told["land"]["share"] > 0.9
    assert told["return"]["settings"] == {"RTL_TYPE": 4.0, "COM_FAIL_ACT_T": 5.0, "MPC_XY_CRUISE": 8.0}
    # The first part back, the last onward, and what may go either way cleared both ways.
    home = [way for way in found.ways if way.kind is WayOutKind.RETURN and way.site_m[0] < 700.0]
    away = [way for way in found.ways if way.kind is WayOutKind.RETURN and way.site_m[0] > 700.0]
    assert union((way.from_s, way.until_s) for way in home)[0][0] == line.start_s
    assert away[-1].until_s == line.end_s
    assert common([(w.from_s, w.until_s) for w in home], [(w.from_s, w.until_s) for w in away]) != []
    assert told["open_below_share"] == 1.0  # a plain: the way leads around the only thing that stands there
    json.dumps(told)


def test_documents_lose_nothing(town):
    situation, intent = granted(town, "one", ("west", "east"))
    for way in ways_out(situation, intent).ways:
        document = json.loads(json.dumps(way_out_document(way)))
        again = way_out_from(document)
        assert way_out_document(again) == document
        assert (again.kind, again.site_m, again.settings) == (way.kind, way.site_m, way.settings)
        assert (again.wait_s, again.corridor.tube) == (way.wait_s, way.corridor.tube)
        np.testing.assert_array_equal(again.corridor.centre_line.t_s, way.corridor.centre_line.t_s)
    del document["corridor"]["t_s"]
    with pytest.raises(KeyError):
        way_out_from(document)


def test_the_same_question_has_the_same_answer(busy):
    situation, intent = busy[0]
    fresh = dataclasses.replace(situation, skies=Skies(situation.skies.city_map, situation.skies.rules))
    one, other = ([way_out_document(way) for way in ways_out(each, intent).ways] for each in (situation, fresh))
    assert one == other


def in_the_air(town, intent, name: str, place, begin_s: float, end_s: float):
    """Somebody who stands in the air at a place from one time to another: a neighbour made up for a test."""
    line = Trajectory([begin_s, end_s], [place, place])
    corridor = dataclasses.replace(intent.corridor, centre_line=line, pad_hold_s=0.0, tube=Tube())
    return dataclasses.replace(intent, id=name, plan=dataclasses.replace(intent.plan, id=name), corridor=corridor)


def test_who_stands_behind_closes_the_way_back_and_ends_the_hold(town):
    """Somebody comes to the road, 100 m behind the start, a minute after the flight has passed."""
    situation, intent = granted(town, "one", ("west", "east"))
    line = intent.corridor.centre_line
    passed = line.start_s + 30.0
    there = line.at(passed)
    other = in_the_air(town, intent, "other", there, passed + 75.0, passed + 2000.0)
    beside = dataclasses.replace(situation, traffic=OfIntents([intent, other]))
    found = ways_out(beside, intent)
    returns = [way for way in found.ways if way.kind is WayOutKind.RETURN]
    # Not back, where it would be met: onward, from all of the flight.
    assert {way.settings["RTL_TYPE"] for way in returns} == {2.0}
    assert length_s((way.from_s, way.until_s) for way in returns) == line.end_s - line.start_s
    # Who holds there would be met before a minute is over; who holds elsewhere would not.
    holds = [way for way in found.ways if way.kind is WayOutKind.HOLD]
    here = [way for way in holds if way.from_s <= passed <= way.until_s]
    assert [way.wait_s < 60.0 for way in here] == [True]
    assert max(way.wait_s for way in holds) == 60.0
    rules = situation.skies.rules
    room = hold(Flight(intent.corridor, intent.plan.aircraft, CALM), here[0].from_s, here[0].until_s, here[0].wait_s)
    longer = hold(
        Flight(intent.corridor, intent.plan.aircraft, CALM), here[0].from_s, here[0].until_s, here[0].wait_s + 2.0
    )
    limits = rules.separation_horizontal_m, rules.separation_vertical_m
    assert not meet(room, other.corridor, *limits)
    assert meet(longer, other.corridor, *limits)  # to the second, as long as it can be
    assert all(not meet(way.corridor, other.corridor, *limits) for way in found.ways)


def test_where_nothing_is_clear_the_grant_says_so(town):
    """Neighbours close on all sides, from when the flight has passed on."""
    situation, intent = granted(town, "one", ("west", "east"))
    line = intent.corridor.centre_line
    middle = line.start_s + 60.0
    crowd = [
        in_the_air(town, intent, f"behind {n}", line.at(middle - 25.0), middle + after, middle + 900.0)
        for n, after in enumerate((16.0,))
    ] + [in_the_air(town, intent, "ahead", line.at(middle + 40.0), middle + 68.0, middle + 900.0)]
    found = ways_out(dataclasses.replace(situation, traffic=OfIntents([intent, *crowd])), intent)
    assert found.left_out
    covered = union((way.from_s, way.until_s) for way in found.ways)
    assert length_s(covered) + length_s(found.none) == pytest.approx(line.end_s - line.start_s)
    for gap in found.none:
        kinds = {out.kind for out in found.left_out if out.from_s < gap[1] and gap[0] < out.until_s}
        assert kinds == set(WayOutKind)  # for each kind, why not


def test_a_zone_that_comes_into_force_later_closes_the_way_back(town):
    situation, intent = granted(town, "one", ("west", "east"))
    line = intent.corridor.centre_line
    over = line.at(line.start_s + 40.0)
    later = zone(town, "later", (over[0], over[1]), 30.0, valid_from_s=line.end_s + 60.0)
    decided = dataclasses.replace(situation, zones=(later,))
    found = ways_out(decided, intent)
    assert all(way.settings["RTL_TYPE"] == 2.0 for way in found.ways if way.kind is WayOutKind.RETURN)
    sites = [way for way in found.ways if way.kind is WayOutKind.LAND]
    for way in sites:
        assert max(abs(way.site_m[0] - over[0]), abs(way.site_m[1] - over[1])) > 30.0 + 25.0


def test_in_a_gale_nothing_goes_straight(town):
    situation, intent = granted(town, "one", ("west", "east"))
    stormy = dataclasses.replace(situation, conditions=Conditions(wind=Wind.uniform(0.0, 14.5)))
    found = ways_out(stormy, intent)
    assert all(
        "wind" in gap.sentence or "blows" in gap.sentence for gap in found.left_out if gap.kind is WayOutKind.LAND
    )
    assert not [way for way in found.ways if way.kind is WayOutKind.LAND]


def test_endurance_bounds_the_way_back_and_the_hold(town):
    tired = dataclasses.replace(QUAD, endurance_s=225.0)
    situation, intent = granted(town, "one", ("west", "east"), aircraft=tired)
    found = ways_out(situation, intent)
    assert not [way for way in found.ways if way.kind is WayOutKind.HOLD]
    assert any("endurance" in gap.sentence for gap in found.left_out if gap.kind is WayOutKind.HOLD)
    for way in found.ways:
        if way.kind is not WayOutKind.HOLD:
            pad_s = intent.corridor.pad_hold_s
            end = way.corridor.centre_line.end_s - pad_s + way.corridor.time_tolerance_s
            assert end - intent.corridor.centre_line.start_s <= 225.0 + 25.0  # the own tolerance, and what is flown on


def test_straight_home_where_the_road_is_taken(town):
    """South, then east. Somebody comes to the first leg and somebody to the end, each when the flight has passed: what
    remains is RTL_TYPE 0, at the height that it was cleared for."""
    corners = [(200.0, 150.0), (650.0, 150.0), (700.0, 500.0)]
    lonlat = [town.frame.to_lonlat(*corner) for corner in corners]
    by = tuple(Waypoint(float(lon), float(lat), 60.0, Datum.AGL) for lon, lat in lonlat)
    situation, intent = granted(town, "one", ("west", "south"), waypoints=by)
    line = intent.corridor.centre_line
    crowd = []
    for name, place in {"behind": (200.0, 250.0), "ahead": (750.0, 320.0)}.items():
        passed = min(np.linspace(line.start_s, line.end_s, 2000), key=lambda t: np.hypot(*(line.at(t)[:2] - place)))
        crowd.append(in_the_air(town, intent, name, line.at(passed), passed + 45.0, passed + 900.0))
    rules = situation.skies.rules
    limits = rules.separation_horizontal_m, rules.separation_vertical_m
    assert not any(meet(intent.corridor, other.corridor, *limits) for other in crowd)
    found = ways_out(dataclasses.replace(situation, traffic=OfIntents([intent, *crowd])), intent)
    returns = [way for way in found.ways if way.kind is WayOutKind.RETURN]
    highest = line.enu_m[:, 2].max()
    above = math.ceil(highest - line.enu_m[0, 2])
    assert len(returns) > 2
    for way in returns:
        assert way.settings["RTL_TYPE"] == way.settings["RTL_CONE_ANG"] == 0.0
        assert way.settings["RTL_RETURN_ALT"] == above
        assert way.corridor.centre_line.enu_m[0, 2] == line.enu_m[0, 2] + above >= highest
        assert way.site_m == tuple(line.enu_m[0])
        assert not any(meet(way.corridor, other.corridor, *limits) for other in crowd)


def test_a_long_flight_is_looked_at_in_parts(town, monkeypatch):
    """The same flight, with a window that counts as too large to be held: the same ways out but for the sites' squares,
    which begin where each part does."""
    situation, intent = granted(town, "one", ("west", "east"))
    whole = ways_out(situation, intent)
    monkeypatch.setattr("utm.airspace.space.MOST_VOXELS", 1000)
    monkeypatch.setattr("utm.airspace.landingsites._PART_M", 300.0)
    monkeypatch.setattr("utm.airspace.landingsites._REACH_M", 200.0)
    parts = ways_out(dataclasses.replace(situation, skies=Skies(town, RuleSet())), intent)
    assert parts.none == ()
    assert parts.open_below == whole.open_below
    assert len(parts.sites) >= 5
    for kind in (WayOutKind.RETURN, WayOutKind.HOLD):
        one, other = ([way_out_document(way) for way in found.ways if way.kind is kind] for found in (whole, parts))
        assert one == other
    shares = [summary(found, intent.corridor.centre_line, town.frame)["land"]["share"] for found in (whole, parts)]
    assert min(shares) > 0.8


def test_crossings_name_whose_way_out_and_which(town):
    situation, intent = granted(town, "one", ("west", "east"))
    found = ways_out(situation, intent)
    held = dataclasses.replace(intent, ways_out=found.ways)
    rules = situation.skies.rules
    limits = rules.separation_horizontal_m, rules.separation_vertical_m
    away = dataclasses.replace(intent.corridor, centre_line=intent.corridor.centre_line.delayed(3600.0))
    assert crossings(away, [held], *limits) == ()
    soon = dataclasses.replace(intent.corridor, centre_line=intent.corridor.centre_line.delayed(40.0))
    crossed = crossings(soon, [held], *limits)
    assert {way.kind for _, way in crossed} == set(WayOutKind)
    assert all(other is held for other, _ in crossed)
    assert [way for _, way in crossed] == [way for way in found.ways if meet(soon, way.corridor, *limits)]
