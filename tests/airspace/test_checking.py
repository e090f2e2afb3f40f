"""A trajectory that the operator brings is granted as it stands, or refused with everything that is wrong."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.airspace.conftest import CELL_M, PADS, T0, TOWER_M, plan, zone
from utm.airspace import parse_plan, plan_document
from utm.airspace.admission import decide
from utm.airspace.checking import MOST_POINTS, check
from utm.airspace.granting import ovn_of
from utm.airspace.situation import OfIntents, Situation
from utm.airspace.space import Skies
from utm.airspace.trajectories import parse_trajectory
from utm.errors import PlanError
from utm.model import (
    AIRCRAFT_CLASSES,
    Conditions,
    Datum,
    Decision,
    IntentState,
    LimitKind,
    RuleSet,
    TimedWaypoint,
    Trajectory,
    Wind,
)

QUAD = AIRCRAFT_CLASSES["quad"]
NOW_S = T0 - 600.0
#: The plain lies at 10 m; with the quad's budget 30 m and more are kept, in voxels of 4 m.
UP = 60.0


@pytest.fixture(scope="module")
def skies(town) -> Skies:
    return Skies(town, RuleSet())


def flight(places, *, at_s: float = T0, speed: float = 7.0, up: float = UP) -> Trajectory:
    """Up from the first place, level by the others, down on the last, as slowly as the quad lands; metres."""
    flat = np.asarray(places, float)
    cruise = np.column_stack([flat, np.full(len(flat), up)])
    points = np.vstack([(*flat[0], 10.0), cruise, (*flat[-1], 20.0), (*flat[-1], 10.0)])
    steps = np.abs(np.diff(points, axis=0))
    took = np.maximum(np.hypot(steps[:, 0], steps[:, 1]) / speed, steps[:, 2] / 1.4)
    took[-1] = 10.0 / 0.65
    return Trajectory(at_s + np.concatenate([[0.0], np.cumsum(took)]), points)


def south_of_the_wall(**changes) -> Trajectory:
    return flight([PADS["west"], (800.0, 240.0), PADS["east"]], **changes)


def situation(skies, zones=(), live=(), **changes) -> Situation:
    return Situation(skies, tuple(zones), NOW_S, traffic=OfIntents(tuple(live), seq=7, digest="d" * 64), **changes)


def codes(decision: Decision) -> list[str]:
    assert decision.approved == (not decision.reasons)
    return [reason.code for reason in decision.reasons]


def checked(skies, town, line, *, way=("west", "east"), zones=(), live=(), **changes) -> Decision:
    return check(situation(skies, zones, live), plan(town, "p", way, **changes), line)


# --- granted


def test_a_clear_trajectory_is_granted_as_it_stands(skies, town):
    line = south_of_the_wall()
    decision = checked(skies, town, line)
    assert codes(decision) == []
    intent = decision.intent
    assert decision.change is None
    assert intent.corridor.centre_line is line
    assert intent.state is IntentState.ACCEPTED
    assert intent.ovn == ovn_of(intent)
    assert intent.judged == (7, "d" * 64)
    assert intent.map_version == town.version
    rules = skies.for_aircraft(QUAD).rules
    assert (intent.corridor.half_width_m, intent.corridor.above_m) == (rules.half_width_m, rules.half_height_m)
    assert {limit.kind for limit in intent.limits} >= {LimitKind.CEILING, LimitKind.TERRAIN, LimitKind.PAD}
    assert all(limit.margin_m >= 0.0 for limit in intent.limits)
    assert set(intent.clearances) == {"obstacle_m", "floor_m", "ceiling_m"}


def test_what_is_decided_is_granted_here_too(skies, town):
    zones = (zone(town, "west", (500.0, 900.0), 60.0), zone(town, "low", (1100.0, 400.0), 80.0, upper_m=15.0))
    live: list = []
    for number, way in enumerate(itertools.permutations(PADS, 2)):
        asked = plan(town, f"p{number:02}", way, T0 + 40.0 * number)
        before = situation(skies, zones, live)
        decided = decide(before, asked)
        if decided.intent is None:
            continue
        line = decided.intent.corridor.centre_line
        granted = check(before, asked, line)
        assert codes(granted) == []
        mine, theirs = (
            [limit for limit in decision.intent.limits if limit.kind is not LimitKind.SEPARATION]
            for decision in (granted, decided)
        )
        assert mine == theirs
        assert granted.intent.zones == decided.intent.zones
        # A millimetre or so off, as it is written to 1e-8 degrees and read again
        lon, lat = (np.round(values, 8) for values in town.frame.to_lonlat(*line.enu_m[:, :2].T))
        east, north = town.frame.to_map(lon, lat)
        again = Trajectory(line.t_s, np.column_stack([east, north, np.round(line.enu_m[:, 2], 3)]))
        assert "NOT_IN_FREE_AIR" not in codes(check(before, asked, again))
        live.append(decided.intent)
    assert len(live) > 6


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_whatever_is_decided_is_granted_here_too(skies, town, seed):
    rng = np.random.default_rng(seed)
    zones = tuple(
        zone(town, f"z{n}", tuple(rng.uniform((300, 250), (1300, 950))), float(rng.uniform(20, 80)),
             valid_from_s=T0 + float(rng.uniform(-400, 200)))
        for n in range(3)
    )  # fmt: skip
    live = []
    for number in range(3):
        way = tuple(rng.choice(list(PADS), 2, replace=False))
        asked = plan(town, f"p{number}", way, T0 + float(rng.uniform(0, 120)), priority=int(rng.integers(2)))
        before = situation(skies, zones, live)
        decided = decide(before, asked)
        if decided.intent is not None:
            line = decided.intent.corridor.centre_line
            granted = check(before, dataclasses.replace(asked, latest_departure_s=line.start_s + 1), line)
            assert codes(granted) == []
            assert granted.details.get("displaces", []) == decided.details.get("displaces", [])
            live = [one for one in live if one.id not in granted.details.get("displaces", [])]
            live.append(decided.intent)


# --- refused: each limit by a centimetre


def passing(skies, off_m: float, up: float = UP) -> Trajectory:
    """North past the wall's western side, so far from it."""
    east = TOWER_M[0] - 5 * CELL_M - off_m
    return flight([(east, 150.0), (east, 1000.0)], up=up)


def ends(town, line: Trajectory, **changes):
    """A plan whose pads are the ends of a trajectory."""
    made = plan(town, "p", ("west", "east"), **changes)
    for name, place in (("origin", line.enu_m[0]), ("destination", line.enu_m[-1])):
        made = dataclasses.replace(made, **{name: town.frame.waypoint(place, Datum.JGD2011)})
    return made


def test_a_centimetre_too_near_to_the_wall(skies, town):
    needed = skies.for_aircraft(QUAD).rules.clearance_m
    for off, found in ((needed - 0.01, ["OBSTACLE_TOO_NEAR"]), (needed + CELL_M + 0.01, [])):
        line = passing(skies, off)
        decision = check(situation(skies), ends(town, line), line)
        assert codes(decision) == found
    # Far enough for the law, but in a voxel of which some part is not
    line = passing(skies, needed + 0.01)
    assert codes(check(situation(skies), ends(town, line), line)) in ([], ["NOT_IN_FREE_AIR"])
    line = passing(skies, needed - 0.01)
    refused = check(situation(skies), ends(town, line), line)
    (where,) = refused.details["where"]
    assert where["code"] == "OBSTACLE_TOO_NEAR"
    assert where["at_m"][0] == pytest.approx(line.enu_m[1, 0])
    assert line.start_s < where["at_s"] < line.end_s
    assert f"{needed - 0.01:.3f} m of an object" in refused.reasons[0].sentence
    assert " UTC at 36." in refused.reasons[0].sentence


def test_too_low_and_too_high(skies, town):
    rules = skies.for_aircraft(QUAD).rules
    assert "TERRAIN_TOO_NEAR" in codes(checked(skies, town, south_of_the_wall(up=10.0 + rules.clearance_m - 0.01)))
    top = 10.0 + rules.ceiling_above_terrain_m - rules.half_height_m
    line = south_of_the_wall(up=top + 0.01)
    assert codes(checked(skies, town, line)) == ["ABOVE_CEILING"]
    assert "0.010 m above the ceiling" in checked(skies, town, line).reasons[0].sentence


def test_too_near_to_a_zone_while_it_is_in_force(skies, town):
    needed = skies.for_aircraft(QUAD).rules.half_width_m
    line = flight([PADS["west"], (200.0, 150.0), PADS["south"]])
    for nearer, found in ((0.01, ["IN_ZONE"]), (-0.01, [])):
        works = zone(town, "works", (200.0 + 40.0 + needed - nearer, 400.0), 40.0)
        assert codes(checked(skies, town, line, way=("west", "south"), zones=[works])) == found
    works = zone(town, "works", (230.0, 400.0), 40.0)
    passed = dataclasses.replace(works, valid_to_s=T0 + 20.0)
    assert codes(checked(skies, town, line, way=("west", "south"), zones=[passed])) == []
    refused = checked(skies, town, line, way=("west", "south"), zones=[works])
    assert "Zone works (works)" in refused.reasons[0].sentence


def test_a_centimetre_too_near_to_a_neighbour(skies, town):
    line = flight([(200.0, 200.0), (600.0, 200.0)])
    asked = ends(town, line)
    other = check(situation(skies), dataclasses.replace(asked, id="other", operator="them"), line).intent
    rules, corridor = skies.for_aircraft(QUAD).rules, other.corridor
    needed = 2 * corridor.half_width_m + rules.separation_horizontal_m + 2 * corridor.tube.horizontal_m
    for less, found in ((0.01, ["CONFLICT"]), (-0.01, [])):
        moved = Trajectory(line.t_s, line.enu_m + (0.0, needed - less, 0.0))
        beside = dataclasses.replace(other, corridor=dataclasses.replace(corridor, centre_line=moved))
        decision = check(situation(skies, live=[beside]), asked, line)
        assert codes(decision) == found
        if found:
            assert "them's other" in decision.reasons[0].sentence
        else:
            assert decision.intent.neighbours == (f"other@{other.ovn}",)
            assert decision.intent.clearances["separation_m"] == pytest.approx(needed + 0.01, abs=1e-3)


def test_lower_priorities_make_way_unless_they_cannot(skies, town):
    line = south_of_the_wall()
    other = checked(skies, town, line).intent
    urgent = plan(town, "rescue", ("west", "east"), priority=10)
    decision = check(situation(skies, live=[other]), urgent, line)
    assert codes(decision) == []
    assert decision.details["displaces"] == ["p"]
    assert decision.intent.neighbours == ()
    assert codes(check(situation(skies, live=[other]), dataclasses.replace(urgent, priority=0), line)) == ["CONFLICT"]
    # In the air already, just here: it flies on for some seconds before it can do anything.
    there = dataclasses.replace(
        other,
        state=IntentState.ACTIVATED,
        corridor=dataclasses.replace(other.corridor, centre_line=line.delayed(NOW_S + 5.0 - T0)),
    )
    late = Trajectory(line.t_s + NOW_S + 5.0 - T0, line.enu_m)
    soon = dataclasses.replace(urgent, earliest_departure_s=NOW_S, latest_departure_s=NOW_S + 60.0)
    flying = dataclasses.replace(
        there, corridor=dataclasses.replace(there.corridor, centre_line=line.delayed(NOW_S - 5.0 - T0))
    )
    assert codes(check(situation(skies, live=[there]), soon, late)) == []
    assert codes(check(situation(skies, live=[flying]), soon, late)) == ["CONFLICT"]
    lost = dataclasses.replace(other, state=IntentState.CONTINGENT)
    assert codes(check(situation(skies, live=[lost]), urgent, line)) == ["CONFLICT"]


# --- refused: the flight itself


def test_everything_that_is_wrong_is_said_at_once(skies, town):
    needed = skies.for_aircraft(QUAD).rules.clearance_m
    line = passing(skies, needed - 5.0, up=10.0 + needed - 1.0)
    fast = Trajectory(T0 + (line.t_s - T0) * 0.5, line.enu_m)
    decision = check(situation(skies), ends(town, line, at_s=T0 + 30.0), fast)
    assert set(codes(decision)) >= {
        "OUTSIDE_WINDOW",
        "TOO_FAST",
        "DESCENDS_TOO_FAST",
        "LANDS_TOO_FAST",
        "OBSTACLE_TOO_NEAR",
        "TERRAIN_TOO_NEAR",
    }
    assert [where["code"] for where in decision.details["where"]] == codes(decision)


def test_times(skies, town):
    line = south_of_the_wall()
    assert codes(checked(skies, town, line.delayed(-601.0), at_s=T0 - 700.0)) == ["DEPARTS_IN_THE_PAST"]
    assert codes(checked(skies, town, line.delayed(30 * 86400.0), at_s=T0 + 30 * 86400.0)) == ["TOO_FAR_AHEAD"]
    assert codes(checked(skies, town, line.delayed(-1.0))) == ["OUTSIDE_WINDOW"]
    assert codes(checked(skies, town, line.delayed(601.0))) == ["OUTSIDE_WINDOW"]
    assert codes(checked(skies, town, line.delayed(600.0))) == []


def test_endurance_and_energy(skies, town):
    line = south_of_the_wall()
    lasts = line.end_s - line.start_s
    for endurance, found in ((lasts - 0.1, ["ENDURANCE"]), (lasts + 0.1, [])):
        tired = dataclasses.replace(QUAD, endurance_s=endurance)
        assert codes(checked(skies, town, line, aircraft=tired)) == found
    for battery, found in ((10.0, ["ENERGY"]), (60.0, [])):
        assert codes(checked(skies, town, line, aircraft=dataclasses.replace(QUAD, battery_wh=battery))) == found


def test_wind(skies, town):
    line = south_of_the_wall()
    for wind, found in (
        (Wind.uniform(0.0, 5.0), []),
        (Wind.uniform(-9.0, 0.0), ["TOO_FAST"]),
        (Wind.uniform(16.0, 0.0), ["TOO_FAST", "WIND", "ENERGY"]),
    ):
        told = codes(check(situation(skies, conditions=Conditions(wind)), plan(town, "p", ("west", "east")), line))
        assert set(told) <= set(found)
        assert set(found) - set(told) <= {"ENERGY"}


def test_pads(skies, town):
    line = south_of_the_wall()
    assert codes(checked(skies, town, line, way=("north", "east"))) == ["NOT_AT_ORIGIN"]
    assert codes(checked(skies, town, line, way=("west", "south"))) == ["NOT_AT_DESTINATION"]
    moved = Trajectory(line.t_s, line.enu_m + (0.05, 0.0, 0.05))
    assert codes(checked(skies, town, moved)) == []
    assert codes(checked(skies, town, Trajectory(line.t_s, line.enu_m + (0.2, 0.0, 0.0)))) == [
        "NOT_AT_ORIGIN",
        "NOT_AT_DESTINATION",
    ]
    slanted = np.array(line.enu_m)
    slanted[1, 0] += 30.0  # leaves the pad on a slope, through air that is not free
    assert "TERRAIN_TOO_NEAR" in codes(checked(skies, town, Trajectory(line.t_s + np.arange(6) * 30.0, slanted)))
    dug = np.insert(line.enu_m, 1, (*PADS["west"], 9.0), axis=0)
    below = Trajectory(np.insert(line.t_s + 5.0, 0, T0), dug)
    assert codes(checked(skies, town, below)) == ["BELOW_PAD"]


def test_pads_beside_the_wall(skies, town):
    line = passing(skies, 4.0)
    told = codes(check(situation(skies), ends(town, line), line))
    assert "OBSTACLE_TOO_NEAR" in told
    start = (TOWER_M[0] - 5 * CELL_M - 4.0, 600.0)
    line = flight([start, PADS["west"]], up=120.0)
    assert "ORIGIN_OBSTRUCTED" in codes(check(situation(skies), ends(town, line), line))


def test_way_points_of_the_plan_are_passed(skies, town):
    line = south_of_the_wall()
    point = town.frame.waypoint(line.at(line.start_s + 120.0), Datum.WGS84)
    later = town.frame.waypoint(line.at(line.start_s + 140.0), Datum.WGS84)
    assert codes(checked(skies, town, line, waypoints=(point, later))) == []
    assert codes(checked(skies, town, line, waypoints=(later, point))) == ["MISSES_WAYPOINT"]
    high = dataclasses.replace(point, height_m=point.height_m + 0.2)
    assert codes(checked(skies, town, line, waypoints=(high,))) == ["MISSES_WAYPOINT"]


def test_nowhere_and_off_the_map(skies, town):
    hop = Trajectory([T0, T0 + 60.0, T0 + 200.0], [(*PADS["west"], 10.0), (*PADS["west"], 60.0), (*PADS["west"], 10.0)])
    assert codes(checked(skies, town, hop)) == ["NO_WAY"]
    line = flight([PADS["west"], (200.0, -100.0), PADS["east"]])
    assert codes(checked(skies, town, line)) == ["OFF_MAP"]
    many = Trajectory(T0 + np.arange(MOST_POINTS + 1.0), np.zeros((MOST_POINTS + 1, 3)))
    assert codes(checked(skies, town, many)) == ["ENDURANCE", "TOO_MANY_POINTS"]


def test_a_plan_that_cannot_be_judged(skies, town):
    line = south_of_the_wall()
    with pytest.raises(PlanError, match="no zone of this id"):
        checked(skies, town, line, authorisations=("nowhere",))
    origin = plan(town, "p", ("west", "east")).origin
    for change, problem in (({"height_m": 5.0}, "hangs"), ({"lon_deg": 130.0}, "off the map")):
        with pytest.raises(PlanError, match=problem):
            checked(skies, town, line, origin=dataclasses.replace(origin, **change))


def test_ten_thousand_points_are_held(skies, town):
    line = south_of_the_wall(speed=1.5)
    times = np.linspace(line.start_s, line.end_s, MOST_POINTS - len(line.t_s))
    times = np.unique(np.concatenate([line.t_s, times]))[:MOST_POINTS]
    dense = Trajectory(times, np.array([line.at(t) for t in times]))
    decision = checked(skies, town, dense, aircraft=dataclasses.replace(QUAD, endurance_s=1e5, battery_wh=1e5))
    assert codes(decision) == []


# --- trajectories as they are written


def written(town, line: Trajectory, datum: Datum) -> tuple[TimedWaypoint, ...]:
    lon, lat = town.frame.to_lonlat(*line.enu_m[:, :2].T)
    terrain = town.terrain_up(*line.enu_m[:, :2].T)
    heights = town.frame.height(line.enu_m[:, 2], datum, lon, lat, terrain)
    rows = zip(lon, lat, heights, line.t_s, strict=True)
    return tuple(TimedWaypoint(float(a), float(b), float(c), datum, float(t)) for a, b, c, t in rows)


@pytest.mark.parametrize("datum", [Datum.AGL, Datum.WGS84, Datum.AMSL, Datum.JGD2011, Datum.JGD2024])
def test_a_trajectory_is_written_and_read(skies, town, datum):
    line = south_of_the_wall()
    asked = dataclasses.replace(plan(town, "p", ("west", "east")), trajectory=written(town, line, datum))
    again = parse_plan(plan_document(asked))
    read = parse_trajectory(skies, again.trajectory)
    np.testing.assert_allclose(read.enu_m, line.enu_m, atol=1e-6)
    np.testing.assert_allclose(read.t_s, line.t_s, atol=1e-6)
    decision = check(situation(skies), dataclasses.replace(again, earliest_departure_s=T0 - 1.0), read)
    assert codes(decision) == []
    assert decision.intent.plan.trajectory == ()  # it stands in the corridor
    assert parse_plan(plan_document(again)) == again


def test_datums_may_differ_from_point_to_point(skies, town):
    line = south_of_the_wall()
    mixed = [written(town, line, datum)[n] for n, datum in enumerate([Datum.AGL, Datum.WGS84, Datum.AGL] * 2)]
    np.testing.assert_allclose(parse_trajectory(skies, mixed).enu_m, line.enu_m, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"lon_deg": 181.0}, "no place on the globe"),
        ({"lat_deg": float("nan")}, "no place on the globe"),
        ({"height_m": float("inf")}, "not a finite number"),
        ({"lat_deg": 35.0, "datum": Datum.AGL}, "off the map"),
        ({"t_s": T0 + 1e6}, "does not come after"),
    ],
)
def test_points_that_make_no_sense(skies, town, change, problem):
    points = list(written(town, south_of_the_wall(), Datum.WGS84))
    points[2] = dataclasses.replace(points[2], **change)
    with pytest.raises(PlanError, match=problem) as raised:
        parse_trajectory(skies, points)
    assert raised.value.field == ("trajectory.3" if "t_s" in change else "trajectory.2")


def test_documents_that_make_no_sense(town):
    document = plan_document(
        dataclasses.replace(
            plan(town, "p", ("west", "east")), trajectory=written(town, south_of_the_wall(), Datum.AMSL)
        )
    )
    points = document["trajectory"]
    for wrong, problem in (
        (points[:1], "two points or more"),
        ([points[1], points[0]], "must increase"),
        ([points[0], points[1] | {"height": {"value_m": 5.0}}], "datum"),
        ([points[0], points[1] | {"speed": 5.0}], "no field of this file"),
    ):
        with pytest.raises(PlanError, match=problem):
            parse_plan(document | {"trajectory": wrong})
    with pytest.raises(PlanError, match="two points or more"):
        parse_trajectory(None, ())  # type: ignore[arg-type]
