"""A flight in the air makes way: continuous with what it flies already, apart from everybody, clear of everything."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.airspace.conftest import PADS, T0, plan, zone
from tests.airspace.test_admission import distance_to_tower_m
from tests.airspace.test_choices import apart, situation
from utm.airspace.admission import decide
from utm.airspace.braking import braking, first_at
from utm.airspace.case import until
from utm.airspace.inflight import replan_airborne
from utm.airspace.situation import REACTION_S, OfIntents
from utm.airspace.space import Skies
from utm.airspace.underway import part
from utm.model import Corridor, Datum, IntentState, OperationalIntent, RuleSet, Trajectory, Tube, Waypoint


@pytest.fixture(scope="module")
def skies(town) -> Skies:
    return Skies(town, RuleSet())


@pytest.fixture(scope="module")
def flying(town, skies) -> OperationalIntent:
    """Who flies from west to east."""
    intent = decide(situation(skies), plan(town, "one", ("west", "east"))).intent
    return dataclasses.replace(intent, state=IntentState.ACTIVATED, version=3)


def rest(intent: OperationalIntent, from_s: float) -> OperationalIntent:
    """What of an intent is still flown from a time on, its hold on the last pad included."""
    corridor, line = intent.corridor, intent.corridor.occupied
    left = dataclasses.replace(corridor, centre_line=part(line, from_s, line.end_s), pad_hold_s=0.0)
    return dataclasses.replace(intent, corridor=left)


def check(flying: OperationalIntent, found, from_s: float, others, rules: RuleSet) -> None:
    """By other means than those by which it was found."""
    old, new = flying.corridor.centre_line, found.intent.corridor.centre_line
    assert (found.intent.id, found.intent.state, found.intent.version) == (flying.id, flying.state, flying.version)
    assert found.intent.ovn != flying.ovn
    for t in np.linspace(old.start_s, from_s, 40):
        np.testing.assert_allclose(new.at(t), old.at(t), atol=1e-6)
    aircraft = flying.plan.aircraft
    steps, took = np.diff(new.enu_m, axis=0), np.diff(new.t_s)
    assert (np.hypot(steps[:, 0], steps[:, 1]) / took).max() <= aircraft.cruise_m_s + 1e-4
    assert (steps[:, 2] / took).max() <= aircraft.climb_m_s + 1e-4
    assert (-steps[:, 2] / took).max() <= aircraft.descent_m_s + 1e-4
    assert new.end_s - new.start_s <= aircraft.endurance_s
    for other in others:
        assert apart(rest(found.intent, from_s), other, rules)
    assert distance_to_tower_m(cruise(new), 1.0) >= rules.clearance_m - 1e-6
    # What is still flown; of what is behind it, a certificate may say that a new zone is broken.
    assert all(limit.margin_m >= -1e-6 for limit in found.intent.limits if limit.at_s >= from_s)
    assert {limit.kind for limit in found.intent.limits if limit.margin_m < -1e-6} <= {"zone"}
    assert {limit.subject for limit in found.intent.limits if limit.kind == "separation"} <= {
        f"{other.id}@{other.ovn}" for other in others
    }


def cruise(line: Trajectory) -> np.ndarray:
    """The points between the columns."""
    away = [np.flatnonzero(np.hypot(*(line.enu_m - pad)[:, :2].T) > 1e-3) for pad in (line.enu_m[0], line.enu_m[-1])]
    return line.enu_m[away[0][0] - 1 : away[1][-1] + 2]


def rescue(town, skies, flying, way, now_s: float, at_s: float):
    """A flight of priority that the flight in the air must make way for, and the situation after its grant."""
    before = dataclasses.replace(situation(skies, flying), now_s=now_s)
    decision = decide(before, plan(town, "rescue", way, at_s, priority=10))
    assert decision.details.get("displaces") == ["one"], decision.reasons
    return decision.intent, dataclasses.replace(before, traffic=OfIntents([decision.intent]))


def wall(flying, centre_m, reach_m: float, begin_s: float, end_s: float) -> OperationalIntent:
    """Somebody whose corridor takes a whole part of the town for some time."""
    place = np.array([*centre_m, 80.0])
    corridor = Corridor(Trajectory([begin_s, end_s], [place, place]), reach_m, 500.0, 500.0, 10.0, 0.0, Tube())
    return dataclasses.replace(flying, id="wall", ovn="w", corridor=corridor)


def test_it_flies_another_way(town, skies, flying):
    now = T0 + 30.0
    taken, after = rescue(town, skies, flying, ("east", "west"), now, T0 + 60.0)
    found = replan_airborne(after, flying, now + REACTION_S)
    assert found.kind == "rerouted"
    assert "another way" in found.sentence
    check(flying, found, now + REACTION_S, [taken], skies.rules)
    np.testing.assert_allclose(found.intent.corridor.centre_line.enu_m[-1], flying.corridor.centre_line.enu_m[-1])
    assert found.intent.corridor.pad_hold_s == skies.rules.pad_hold_s


@pytest.mark.parametrize("share", [0.02, 0.05, 0.5, 0.93])
def test_wherever_it_is(skies, flying, share):
    """In its first column, on its way, in its last column: without anybody there it stops, and flies on."""
    line = flying.corridor.centre_line
    from_s = line.start_s + share * (line.end_s - line.start_s)
    found = replan_airborne(situation(skies), flying, from_s)
    assert found.kind == "rerouted"
    check(flying, found, from_s, [], skies.rules)
    assert found.intent.corridor.centre_line.end_s < line.end_s + 120.0


def test_it_lands_nearby_where_its_destination_is_closed(town, skies, flying):
    from_s = T0 + 45.0
    closed = (zone(town, "fire", PADS["east"], 120.0),)
    found = replan_airborne(situation(skies, zones=closed), flying, from_s)
    assert found.kind == "landing"
    check(flying, found, from_s, [], skies.rules)
    end = found.intent.corridor.centre_line.enu_m[-1]
    lon, lat = (float(value) for value in town.frame.to_lonlat(*end[:2]))
    assert found.intent.plan.destination.lon_deg == pytest.approx(lon, abs=1e-6)
    assert found.intent.plan.destination.lat_deg == pytest.approx(lat, abs=1e-6)
    assert end[2] == pytest.approx(float(town.surface_up(*end[:2])), abs=0.1)
    stop = flying.corridor.centre_line.at(from_s)
    assert math.dist(end[:2], stop[:2]) < 200.0


def test_it_holds_where_nothing_else_helps(town, skies, flying):
    from_s = T0 + 45.0
    other = wall(flying, PADS["east"], 500.0, T0 + 100.0, T0 + 240.0)
    # Low over all the ground that is near: nobody lands there, and everybody flies over it.
    low = zone(town, "low", (450.0, 600.0), 700.0, lower_m=0.0, upper_m=5.0)
    after = situation(skies, other, zones=(low,))
    found = replan_airborne(after, flying, from_s)
    assert found.kind == "holding"
    assert found.sentence.startswith("Holds for ")
    check(flying, found, from_s, [other], skies.rules)
    line = found.intent.corridor.centre_line
    longest = int(np.diff(line.t_s).argmax())
    np.testing.assert_allclose(line.enu_m[longest], line.enu_m[longest + 1], atol=1e-6)
    # A second less of waiting would not do.
    sooner = Trajectory(np.where(np.arange(len(line.t_s)) > longest, line.t_s - 1.0, line.t_s), line.enu_m)
    hasty = dataclasses.replace(found.intent, corridor=dataclasses.replace(found.intent.corridor, centre_line=sooner))
    assert not apart(rest(hasty, from_s), other, skies.rules)


def test_where_there_is_no_way_there_is_none(skies, flying):
    other = wall(flying, (800.0, 600.0), 3000.0, T0 + 50.0, T0 + 9000.0)
    assert replan_airborne(situation(skies, other), flying, T0 + 45.0) is None


def test_it_leaves_a_zone_that_closes_around_it(town, skies, flying):
    from_s = T0 + 45.0
    place = tuple(float(value) for value in flying.corridor.centre_line.at(from_s)[:2])
    closed = (zone(town, "fire", place, 100.0),)
    found = replan_airborne(situation(skies, zones=closed), flying, from_s)
    assert found.kind == "rerouted"
    line, area = found.intent.corridor.centre_line, shapely.Point(place).buffer(100.0, cap_style="square")
    inside = [area.contains(shapely.Point(line.at(t)[:2])) for t in np.arange(from_s, line.end_s, 0.5)]
    # Inside, then out by a short way, and not in again.
    assert inside[0]
    assert [key for key, _ in itertools.groupby(inside)] == [True, False]
    assert sum(inside) * 0.5 < 60.0


def test_it_cannot_change_any_more_when_it_has_all_but_landed(skies, flying):
    line = flying.corridor.centre_line
    assert replan_airborne(situation(skies), flying, line.end_s - 0.1) is None
    assert replan_airborne(situation(skies), flying, line.end_s + 60.0) is None
    with pytest.raises(ValueError, match="has not taken off"):
        replan_airborne(situation(skies), flying, line.start_s - 1.0)


def test_way_points_that_are_still_ahead_are_flown_to(town, skies):
    via = [(400.0, 250.0), (1200.0, 250.0)]
    points = tuple(Waypoint(*(float(v) for v in town.frame.to_lonlat(*place)), 70.0, Datum.AGL) for place in via)
    flying = decide(situation(skies), plan(town, "one", ("west", "east"), waypoints=points)).intent
    line = flying.corridor.centre_line
    middle = (first_at(line, np.array([*via[0], 80.0]), T0) + first_at(line, np.array([*via[1], 80.0]), T0)) / 2
    for from_s, ahead in ((T0 + 30.0, 2), (middle, 1)):
        found = replan_airborne(situation(skies), flying, from_s)
        check(flying, found, from_s, [], skies.rules)
        after = found.intent.corridor.centre_line
        for place in via[2 - ahead :]:
            where = np.array([*place, 80.0])
            assert np.linalg.norm(after.at(first_at(after, where, from_s)) - where) < 0.01


def test_braking_follows_the_line_and_ends_at_rest(flying):
    line, a = flying.corridor.centre_line, flying.plan.aircraft.acceleration_m_s2
    track = shapely.LineString(line.enu_m)
    for brake_s in np.linspace(line.start_s + 1.0, line.end_s - 5.0, 60):
        stop, off = braking(line, float(brake_s), a)
        np.testing.assert_allclose(stop.enu_m[0], line.at(brake_s), atol=1e-4)
        speeds = np.linalg.norm(np.diff(stop.enu_m, axis=0), axis=1) / np.diff(stop.t_s)
        assert (np.diff(speeds) <= 1e-3).all()
        assert 0.0 <= off <= 2.0
        assert all(track.distance(shapely.Point(place)) < 1e-3 for place in stop.enu_m)
        # No drone stops within less than v^2 / 2a; jerk adds to that.
        length = np.linalg.norm(np.diff(stop.enu_m, axis=0), axis=1).sum()
        speed = np.linalg.norm(line.at(brake_s + 1e-3) - line.at(brake_s)) / 1e-3
        assert length >= 0.9 * speed**2 / (2 * a) - 0.1 or length == 0.0


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    share=st.floats(0.1, 0.7),
    way=st.permutations(sorted(PADS)).map(lambda names: tuple(names[:2])),
    later=st.floats(0.0, 120.0),
)
def test_whatever_it_makes_way_for(town, skies, flying, share, way, later):
    line = flying.corridor.centre_line
    now = line.start_s + share * (line.end_s - line.start_s)
    before = dataclasses.replace(situation(skies, flying), now_s=now)
    decision = decide(before, plan(town, "rescue", way, now + later, priority=10))
    assume(decision.approved and decision.details.get("displaces"))
    taken, from_s = decision.intent, now + REACTION_S
    found = replan_airborne(dataclasses.replace(before, traffic=OfIntents([taken])), flying, from_s)
    assert apart(dataclasses.replace(flying, corridor=until(flying.corridor, from_s)), taken, skies.rules)
    if found is not None:
        check(flying, found, from_s, [taken], skies.rules)
