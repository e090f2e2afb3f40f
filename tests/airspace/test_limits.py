"""The certificate of a flight: each line of it true, and there when it should be."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest

from tests.airspace.conftest import CELL_M, PADS, T0, TOWER_M, TOWER_UP_M, plan, zone
from utm.airspace.admission import decide
from utm.airspace.limits import certificate_of, limits_of
from utm.airspace.places import resolve
from utm.airspace.routing import clearances_of, find_route
from utm.airspace.situation import OfIntents, Situation
from utm.airspace.space import Skies
from utm.core import closest_approach, in_conflict
from utm.core.traffic import apart
from utm.errors import CannotFly
from utm.model import Corridor, Datum, LimitKind, OperationalIntent, Restriction, RuleSet, Trajectory

UP = 60.0


@pytest.fixture(scope="module")
def skies(town) -> Skies:
    return Skies(town, RuleSet())


def corridor(points, *, at_s: float = T0, speed: float = 5.0, **changes) -> Corridor:
    """A corridor along some points of the map, metres."""
    points = np.asarray(points, float)
    took = np.maximum(np.linalg.norm(np.diff(points, axis=0), axis=1) / speed, 1.0)
    line = Trajectory(at_s + np.concatenate([[0.0], np.cumsum(took)]), points)
    return dataclasses.replace(Corridor(line, 25.0, 10.0, 10.0, 10.0, 60.0), **changes)


def over(east0, north0, east1, north1, up=UP):
    """Up, across, down; the plain lies at 10 m."""
    return [(east0, north0, 10.0), (east0, north0, up), (east1, north1, up), (east1, north1, 10.0)]


def limits(skies, town, made, zones=(), neighbours=(), **changes):
    found = limits_of(skies, plan(town, "p", ("west", "east"), **changes), made, tuple(zones), tuple(neighbours))
    return {(limit.kind, limit.subject.partition("@")[0]): limit for limit in found}


def intent(name: str, made: Corridor, town) -> OperationalIntent:
    asked = plan(town, name, ("west", "east"))
    return OperationalIntent(name, asked, "Accepted", 1, f"ovn-{name}", made, "map", (), (), {})  # type: ignore[arg-type]


def test_over_the_plain(skies, town):
    found = limits(skies, town, corridor(over(200, 200, 600, 200)))
    assert set(found) == {
        (LimitKind.CEILING, ""),
        (LimitKind.TERRAIN, ""),
        (LimitKind.PAD, "origin"),
        (LimitKind.PAD, "destination"),
    }
    assert found[LimitKind.TERRAIN, ""].found_m == pytest.approx(50.0, abs=1e-6)
    assert found[LimitKind.TERRAIN, ""].needed_m == 30.0
    assert found[LimitKind.CEILING, ""].found_m == pytest.approx(160.0 - 70.0, abs=1e-6)
    assert found[LimitKind.PAD, "origin"].found_m == pytest.approx(2.0)
    assert found[LimitKind.PAD, "origin"].at_s == T0


@pytest.mark.parametrize("off_m", [28.0, 30.0, 35.5, 119.0])
def test_beside_the_wall(skies, town, off_m):
    west = TOWER_M[0] - 5 * CELL_M
    found = limits(skies, town, corridor(over(west - off_m, 250, west - off_m, 900)))[LimitKind.OBSTACLE, ""]
    assert off_m - 1e-3 <= found.found_m <= off_m
    assert found.margin_m == pytest.approx(off_m - 30.0, abs=1e-3)
    assert found.at_m[0] == pytest.approx(west - off_m)
    assert TOWER_M[1] - 60 * CELL_M <= found.at_m[1] <= TOWER_M[1] + 60 * CELL_M


def test_what_is_farther_than_four_clearances_is_left_out(skies, town):
    west = TOWER_M[0] - 5 * CELL_M
    assert (LimitKind.OBSTACLE, "") not in limits(skies, town, corridor(over(west - 121.0, 250, west - 121.0, 900)))
    assert (LimitKind.TERRAIN, "") not in limits(skies, town, corridor(over(200, 200, 600, 200, 131.0)))


def test_a_turn_comes_nearer_than_its_legs(skies, town):
    """A turn of 20 degrees around the wall's end: its arc lies inside the legs."""
    end = np.array([TOWER_M[0] + 5 * CELL_M, TOWER_M[1] - 60 * CELL_M])
    outwards, half = np.array([1.0, -1.0]) / math.sqrt(2.0), math.radians(10.0)
    corner = end + 40.0 * outwards
    along = np.array([1.0, 1.0]) / math.sqrt(2.0)
    legs = [corner + 150.0 * (side * math.cos(half) * along - math.sin(half) * outwards) for side in (1.0, -1.0)]
    up = [(*place, UP) for place in (legs[0], corner, legs[1])]
    found = limits(skies, town, corridor([(*legs[0], 10.0), *up, (*legs[1], 10.0)]))[LimitKind.OBSTACLE, ""]
    radius = 10.0 / math.tan(half)
    arc = 40.0 - (radius / math.cos(half) - radius)
    assert arc < 40.0 * math.cos(half) - 0.2  # the legs
    assert arc - 0.05 - 1e-3 <= found.found_m <= arc + 1e-6  # its chords lie at most 5 cm inside
    assert np.hypot(*(np.array(found.at_m[:2]) - corner)) < 10.0


def test_a_zone_counts_while_it_is_in_force_and_shares_a_height(skies, town):
    made = corridor(over(200, 200, 600, 200), speed=5.0)  # 10 s up, 80 s across
    square = zone(town, "works", (400.0, 300.0), 40.0)
    always = limits(skies, town, made, [square])[LimitKind.ZONE, "works"]
    assert 60.0 - 1e-3 <= always.found_m <= 60.0
    assert always.needed_m == 25.0
    assert 360.0 <= always.at_m[0] <= 440.0
    # It ends before the flight comes by, the tolerance of 10 s included: what is nearest is where it was last there.
    early = dataclasses.replace(square, valid_to_s=T0 + 20.0)
    there = limits(skies, town, made, [early])[LimitKind.ZONE, "works"]
    assert there.at_s == pytest.approx(T0 + 30.0, abs=1e-3)
    assert there.found_m == pytest.approx(math.hypot(360.0 - there.at_m[0], 60.0), abs=1e-3)
    over_by_then = dataclasses.replace(square, valid_to_s=T0 - 11.0)
    assert (LimitKind.ZONE, "works") not in limits(skies, town, made, [over_by_then])
    # Below the corridor's underside (50 m up, 40 m above ground), and from its top on (70 m): not shared.
    for lower, upper in ((0.0, 40.0), (60.0, 200.0)):
        flat = dataclasses.replace(square, lower_m=lower, upper_m=upper)
        found = limits(skies, town, made, [flat])
        assert (LimitKind.ZONE, "works") not in found
        shared = dataclasses.replace(square, lower_m=max(lower - 0.01, 0.0), upper_m=upper + 0.01)
        assert limits(skies, town, made, [shared])[LimitKind.ZONE, "works"].found_m == pytest.approx(60.0, abs=1e-3)


def test_a_zone_in_another_datum_is_where_it_is(skies, town):
    made = corridor(over(200, 200, 600, 200))
    square = zone(town, "works", (400.0, 300.0), 40.0)
    lon, lat = square.outline_deg[0]
    for datum in (Datum.WGS84, Datum.AMSL, Datum.JGD2011):
        underside, top = (float(town.frame.height(up, datum, lon, lat)) for up in (50.0, 70.0))
        for lower, upper, there in (
            (underside - 50.0, underside - 0.1, False),
            (underside - 50.0, underside + 0.1, True),
            (top - 0.1, top + 50.0, True),
            (top + 0.1, top + 50.0, False),
        ):
            other = dataclasses.replace(square, lower_m=lower, lower_datum=datum, upper_m=upper, upper_datum=datum)
            assert ((LimitKind.ZONE, "works") in limits(skies, town, made, [other])) == there


def test_zones_that_it_may_enter_have_no_line(skies, town):
    made = corridor(over(200, 200, 600, 200))
    asks = dataclasses.replace(zone(town, "works", (400.0, 300.0), 40.0), restriction=Restriction.REQ_AUTHORISATION)
    assert (LimitKind.ZONE, "works") in limits(skies, town, made, [asks])
    assert (LimitKind.ZONE, "works") not in limits(skies, town, made, [asks], authorisations=("works",))
    free = dataclasses.replace(asks, restriction=Restriction.NO_RESTRICTION)
    assert (LimitKind.ZONE, "works") not in limits(skies, town, made, [free])


def test_a_zone_entered_and_crossed_is_no_distance(skies, town):
    made = corridor(over(200, 200, 600, 200))
    assert limits(skies, town, made, [zone(town, "z", (400.0, 200.0), 40.0)])[LimitKind.ZONE, "z"].found_m == 0.0


def test_neighbours_beside_above_and_at_another_time(skies, town):
    made = corridor(over(200, 200, 600, 200))

    def beside(other: Corridor):
        return limits(skies, town, made, neighbours=[intent("other", other, town)]).get((LimitKind.SEPARATION, "other"))

    near = beside(corridor(over(200, 290, 600, 290)))
    assert 90.0 - 1e-3 <= near.found_m <= 90.0
    assert near.needed_m == 25.0 + 25.0 + 20.0
    assert near.subject == "other@ovn-other"
    wider = dataclasses.replace(made.tube, horizontal_m=3.0)
    assert beside(corridor(over(200, 290, 600, 290), tube=wider)).needed_m == 73.0
    assert beside(corridor(over(200, 340, 600, 340))) is None  # farther than four clearances
    # 20 m of room and 10 m of separation: from 30 m above on they share no height, but with its column.
    above = beside(corridor(over(230, 260, 600, 260, 91.0)))
    assert above.found_m == pytest.approx(60.0, abs=1e-3)
    assert above.at_m[0] == pytest.approx(230.0)
    # Another 61 s of held pads and 20 s of tolerance later there is nobody.
    assert beside(corridor(over(200, 290, 600, 290), at_s=made.occupied.end_s + 81.0)) is None
    # Held pads count.
    held = beside(corridor(over(600, 290, 200, 290), at_s=made.centre_line.end_s + 90.0))
    assert held is not None


def test_pads_that_are_too_tight(skies, town):
    west = TOWER_M[0] - 5 * CELL_M
    near = limits(skies, town, corridor(over(west - 3.0, 600, 400, 600)))
    assert near[LimitKind.PAD, "origin"].found_m == pytest.approx(10.0 + 2.0 - TOWER_UP_M)
    edge = limits(skies, town, corridor(over(3.0, 300, 400, 300)))
    assert edge[LimitKind.PAD, "origin"].found_m == -math.inf


def test_a_flight_over_its_pad_has_none(skies, town):
    with pytest.raises(ValueError, match="never leaves"):
        limits(skies, town, corridor([(200, 200, 10.0), (200, 200, 60.0), (200, 200, 10.0)]))
    with pytest.raises(ValueError, match="map"):
        limits(skies, town, corridor(over(200, 200, 1700, 200)))


# --- what is granted


@pytest.fixture(scope="module")
def granted(town, skies):
    """Some flights between all pads, one after the other, among zones."""
    zones = (
        zone(town, "west", (500.0, 900.0), 60.0),
        zone(town, "low", (1100.0, 400.0), 80.0, upper_m=15.0),
    )
    live, found = [], []
    for number, way in enumerate(itertools.permutations(PADS, 2)):
        situation = Situation(skies, zones, T0 - 600.0, traffic=OfIntents(live))
        decision = decide(situation, plan(town, f"p{number:02}", way, T0 + 40.0 * number))
        if decision.intent is not None:
            found.append((situation, decision))
            live.append(decision.intent)
    assert len(found) > 6
    return found


def test_every_line_of_a_grant_holds(granted):
    for _, decision in granted:
        assert decision.intent.limits
        for limit in decision.intent.limits:
            assert limit.margin_m >= 0.0, limit
        kinds = [limit.kind for limit in decision.intent.limits]
        assert kinds == sorted(kinds, key=list(LimitKind).index)


def test_clearances_are_what_they_were(town, granted):
    """As the route and `closest_approach` say it."""
    for situation, decision in granted:
        asked, found = decision.plan, decision.intent
        case_skies = situation.skies.for_aircraft(asked.aircraft)
        if decision.change is None:
            places = resolve(town, asked)
            zones = tuple(z for z in situation.zones)
            try:
                route = find_route(case_skies, asked, places, zones)
            except CannotFly:
                continue
            for name, value in clearances_of(case_skies, asked, places, route).items():
                assert found.clearances[name] == pytest.approx(value, abs=1e-3)
        rules, distances = case_skies.rules, []
        for other in situation.traffic.near(found.corridor):
            across, up, tolerance = apart(
                found.corridor, other.corridor, rules.separation_horizontal_m, rules.separation_vertical_m
            )
            lines = found.corridor.occupied, other.corridor.occupied
            assert not in_conflict(*lines, across, up, tolerance)
            distances.append(closest_approach(*lines, up, tolerance)[0])
        least = min(distances, default=math.inf)
        if least < 4 * rules.clearance_m:
            assert found.clearances["separation_m"] == pytest.approx(least, abs=1e-3)
        else:
            assert "separation_m" not in found.clearances


def test_a_certificate_depends_on_the_corridor_alone(granted):
    for situation, decision in granted[:3]:
        found = decision.intent
        again = certificate_of(
            situation.skies.for_aircraft(found.plan.aircraft),
            found.plan,
            found.corridor,
            situation.zones,
            situation.traffic.near(found.corridor),
        )
        assert again.limits == found.limits
        assert again.clearances == found.clearances


def test_what_the_skies_hold_is_bounded(town):
    made = Skies(town, RuleSet())
    for number in range(40):
        made._long.get((float(number), 0.0, 0.0, 0.0), lambda: True)
        made._windows.get((float(number), 0.0, 0.0, 0.0), lambda: town.window(0, 0, 40, 40))
    assert len(made._windows) == 16
    assert len(made._long) == 40
    assert made._long.get((0.0, 0.0, 0.0, 0.0), lambda: False)  # still held
