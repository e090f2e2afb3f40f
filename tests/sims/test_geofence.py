"""The geofence in flight: reaction, overshoot, several areas, ceiling, and the fence's own arithmetic."""

from __future__ import annotations

import math

import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymavlink.dialects.v20 import common as mavlink

from sims.fence import Area, areas_of
from sims.mission import FENCE, take_in
from tests.sims.bench import Bench, square


def fenced(bench: Bench, items: list) -> Bench:
    bench.ready()
    assert bench.upload(items, FENCE) == mavlink.MAV_MISSION_ACCEPTED
    bench.run(1.0)
    return bench


@pytest.mark.parametrize(("speed", "overshoot_m"), [(5.0, 8.0), (10.0, 24.0)])
def test_the_default_reaction_is_hold_outside(bench: Bench, speed: float, overshoot_m: float):
    """A leg that cuts a corner of the fence is accepted, breached, and ends in a hold beyond the fence."""
    # An L: the way points are inside, the straight leg between them is not.
    corners = [(-30, -30), (230, -30), (230, 30), (30, 30), (30, 230), (-30, 230)]
    fenced(bench, bench.polygon(corners))
    bench.flying(bench.mission([(0, 200), (200, 0)], speed=speed))
    assert not bench.said("Geofence violation")
    bench.until(lambda: bench.vehicle.state.failsafe, 120.0)
    breach = bench.positions[-1][1]
    bench.run(20.0)
    assert bench.mode == "HOLD"
    assert bench.last("HEARTBEAT").system_status == mavlink.MAV_STATE_CRITICAL
    rest = bench.positions[-1][1]
    assert math.dist(breach[:2], rest[:2]) == pytest.approx(overshoot_m, rel=0.25)
    assert not bench.vehicle.autopilot.in_force.fence().allows(bench.vehicle.state.place, bench.vehicle.state.amsl_m)
    # Sent on, it goes on, and nothing reacts a second time while it is outside.
    seen = len(bench.texts)
    assert bench.set_mode("MISSION") == [0, 0]
    bench.run(3.0)
    assert bench.mode == "MISSION"
    assert not any("Failsafe" in text for text in bench.texts[seen:])


@pytest.mark.parametrize(("action", "mode"), [(3, "RTL"), (5, "LAND")])
def test_return_and_landing_wait_five_seconds_in_hold(bench: Bench, action: int, mode: str):
    bench.set_param("GF_ACTION", action)
    fenced(bench, bench.polygon(square(60)))
    bench.airborne()
    bench.vehicle.autopilot.navigator.enter_hold((0.0, 100.0, 20.0))
    bench.until(lambda: bench.vehicle.state.failsafe, 60.0)
    assert bench.mode == "HOLD"
    assert bench.until(lambda: bench.mode == mode, 10.0) == pytest.approx(5.0, abs=0.3)


def test_no_reaction_and_a_warning_only(bench: Bench):
    bench.set_param("GF_ACTION", 1)
    fenced(bench, bench.polygon(square(60)))
    bench.airborne()
    bench.vehicle.autopilot.navigator.enter_hold((0.0, 100.0, 20.0))
    bench.run(40.0)
    assert bench.said("Geofence violation")
    assert not bench.vehicle.state.failsafe
    assert bench.positions[-1][1][1] == pytest.approx(100.0, abs=1.0)


def test_termination_falls(bench: Bench):
    bench.set_param("GF_ACTION", 4)
    fenced(bench, bench.polygon(square(60)))
    bench.airborne()
    bench.vehicle.autopilot.navigator.enter_hold((0.0, 100.0, 20.0))
    bench.until(lambda: not bench.vehicle.state.armed, 40.0)
    assert bench.until(lambda: bench.vehicle.state.on_ground, 10.0) < 5.0


def test_areas_are_anded_and_exclusions_exclude(bench: Bench):
    items = [
        *bench.polygon(square(100)),
        *bench.polygon([(-50, -100), (150, -100), (150, 100), (-50, 100)], first=4),
        *bench.polygon(square(10, east=40, north=40), inclusion=False, first=8),
        bench.circle(0, 0, 90, seq=12),
        bench.circle(-30, 0, 5, inclusion=False, seq=13),
    ]
    fenced(bench, items)
    fence = bench.vehicle.autopilot.in_force.fence()
    assert len(fence.areas) == 5

    def allowed(east: float, north: float) -> bool:
        return fence.allows(bench.place(east, north), 30.0)

    assert allowed(0, 0)
    assert allowed(80, 0)
    assert not allowed(-70, 0)  # outside the second
    assert not allowed(40, 40)  # in the excluded square
    assert not allowed(-30, 0)  # in the excluded circle
    assert not allowed(80, 80)  # outside the circle


def test_a_fence_change_that_cuts_the_mission_makes_it_hold_within_a_second(bench: Bench):
    bench.flying(bench.mission([(0, 200), (200, 200)]))
    bench.until(lambda: bench.positions[-1][1][1] > 50, 60.0)
    bench.upload(bench.polygon(square(150)), FENCE)
    assert bench.until(lambda: bench.mode == "HOLD", 2.0) < 1.0
    assert bench.said("Geofence violation for waypoint 3")


def test_the_ceiling_is_relative_to_home(bench: Bench):
    bench.set_param("GF_MAX_VER_DIST", 15.0)
    bench.ready()
    bench.upload(bench.mission([(0, 50)], up=20.0))
    bench.run(1.0)
    assert bench.said("Geofence violation for waypoint 1")
    bench.upload(bench.mission([(0, 50)], up=14.0))
    bench.run(1.0)
    assert bench.vehicle.autopilot.in_force.mission_valid


def test_capacity_and_malformed_areas(bench: Bench):
    bench.ready()
    many = [bench.circle(0, 0, 1000, seq=n) for n in range(65)]
    assert bench.upload(many, FENCE) == mavlink.MAV_MISSION_NO_SPACE
    assert bench.upload(many[:64], FENCE) == mavlink.MAV_MISSION_ACCEPTED
    line = [bench.item(n, 5001, 10 * n, 0, 0, 2, kind=FENCE) for n in range(2)]
    assert bench.upload(line, FENCE) == mavlink.MAV_MISSION_ERROR
    assert len(bench.download(FENCE)) == 64  # what was there stays


def test_a_polygon_that_crosses_itself_is_taken_without_a_word(bench: Bench):
    fenced(bench, bench.polygon([(-50, -50), (50, 50), (50, -50), (-50, 50)]))
    bench.run(1.0)
    assert bench.texts == ["GCS connection regained"] or not bench.said("invalid, self")


def test_a_circle_before_a_polygon_garbles_the_polygon(bench: Bench):
    items = [bench.circle(0, 0, 500, seq=0), *bench.polygon(square(100), first=1)]
    stored = []
    for message in items:
        item, result = take_in(message, FENCE)
        assert item is not None
        assert result == mavlink.MAV_MISSION_ACCEPTED
        stored.append(item)
    assert [len(area.corners) for area in areas_of(stored)] == [1, 1, 1, 1, 1]
    assert areas_of(stored)[1].radius_m == 4.0


coordinate = st.floats(-1.0, 1.0, allow_nan=False).map(lambda value: round(value, 4))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=9), st.tuples(coordinate, coordinate))
def test_inside_a_polygon_agrees_with_shapely(corners: list[tuple[float, float]], point: tuple[float, float]):
    polygon = shapely.Polygon(corners)
    assume(polygon.is_valid and polygon.area > 1e-6)
    assume(polygon.boundary.distance(shapely.Point(point)) > 1e-9)
    assert Area(tuple(corners), inclusion=True).allows(point) == polygon.contains(shapely.Point(point))
    assert Area(tuple(corners), inclusion=False).allows(point) != polygon.contains(shapely.Point(point))
