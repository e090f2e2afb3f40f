"""The vehicle says yes and does not do it, as PX4 does: one test for each of the known lies."""

from __future__ import annotations

import pytest
from pymavlink.dialects.v20 import common as mavlink

from sims.mission import FENCE, MISSION
from tests.sims.bench import GROUND, NAN, Bench, square

ACCEPTED = mavlink.MAV_RESULT_ACCEPTED
REJECTED = mavlink.MAV_RESULT_TEMPORARILY_REJECTED
HOME_OUTSIDE = "Geofence invalid, doesn't contain Home position"


def test_a_fence_without_home_is_acknowledged_readable_and_not_in_force(bench: Bench):
    bench.ready()
    assert bench.upload(bench.polygon(square(50, east=500)), FENCE) == mavlink.MAV_MISSION_ACCEPTED
    assert len(bench.download(FENCE)) == 4
    waited = bench.until(lambda: bench.said(HOME_OUTSIDE), 1.0)
    assert waited < 0.9
    assert bench.vehicle.autopilot.in_force.fence().areas == ()
    assert bench.arm() == [ACCEPTED]


def test_in_the_air_a_bad_fence_takes_the_good_one_with_it(bench: Bench):
    bench.ready()
    bench.upload(bench.polygon(square(100)), FENCE)
    bench.run(1.0)
    bench.airborne()
    assert len(bench.vehicle.autopilot.in_force.fence().areas) == 1
    # Home is inside, the vehicle is not: it hovers 60 m north by then.
    lon, lat = bench.place(0, 60)
    bench.command(mavlink.MAV_CMD_DO_REPOSITION, -1, 1, 0, NAN, lat, lon, GROUND + 20)
    bench.run(30.0)
    assert bench.upload(bench.polygon(square(20)), FENCE) == mavlink.MAV_MISSION_ACCEPTED
    bench.run(1.0)
    assert bench.said("Geofence invalid, doesn't contain current vehicle position")
    assert bench.vehicle.autopilot.in_force.fence().areas == ()


def test_a_fence_that_is_sent_again_unchanged_is_not_judged_again(bench: Bench):
    bench.ready()
    fence = bench.polygon(square(50, east=500))
    for _ in range(2):
        assert bench.upload(fence, FENCE) == mavlink.MAV_MISSION_ACCEPTED
        bench.run(1.5)
    assert bench.texts.count(HOME_OUTSIDE) == 1


def test_a_mission_outside_the_fence_is_acknowledged_and_then_cannot_be_armed(bench: Bench):
    bench.ready()
    bench.upload(bench.polygon(square(50)), FENCE)
    bench.run(1.0)
    assert bench.upload(bench.mission([(0, 30), (0, 80)])) == mavlink.MAV_MISSION_ACCEPTED
    bench.until(lambda: bench.said("Geofence violation for waypoint 4"), 1.0)
    assert bench.set_mode("MISSION")[-1] == ACCEPTED  # while disarmed PX4 lets any mode be chosen
    assert bench.arm() == [REJECTED]
    assert bench.said("Arming denied: Resolve system health failures first")


def test_a_mission_outside_the_fence_refuses_the_mode_in_the_air(bench: Bench):
    bench.ready()
    bench.upload(bench.polygon(square(50)), FENCE)
    bench.run(1.0)
    bench.airborne()
    bench.upload(bench.mission([(0, 30), (0, 80)]))
    bench.run(1.5)
    assert bench.set_mode("MISSION") == [ACCEPTED, REJECTED]
    assert bench.mode == "HOLD"


def test_a_mode_change_is_acknowledged_twice(bench: Bench):
    bench.airborne()
    assert bench.set_mode("RTL") == [ACCEPTED, ACCEPTED]
    assert bench.set_mode("MISSION") == [ACCEPTED, REJECTED]  # there is no mission
    bench.run(1.1)
    assert bench.last("HEARTBEAT").custom_mode == 5 << 24 | 4 << 16


def test_after_an_upload_the_mission_mode_is_refused_for_up_to_a_second(bench: Bench):
    bench.ready()
    bench.upload(bench.mission([(0, 30)]))
    assert bench.set_mode("MISSION")[-1] == REJECTED
    bench.run(1.0)
    assert bench.set_mode("MISSION")[-1] == ACCEPTED
    bench.run(1.1)
    assert bench.last("HEARTBEAT").custom_mode == 4 << 24 | 4 << 16


def test_a_reposition_outside_the_fence_is_acknowledged_and_not_flown(bench: Bench):
    bench.ready()
    bench.upload(bench.polygon(square(50)), FENCE)
    bench.run(1.0)
    bench.airborne()
    lon, lat = bench.place(0, 200)
    assert bench.command(mavlink.MAV_CMD_DO_REPOSITION, -1, 1, 0, NAN, lat, lon, GROUND + 20) == [ACCEPTED]
    bench.run(10.0)
    assert abs(bench.positions[-1][1][1]) < 2.0
    assert bench.said("Reposition is outside geofence")


@pytest.mark.parametrize("as_int", [False, True])
def test_a_reposition_inside_is_flown(bench: Bench, as_int: bool):
    bench.airborne()
    lon, lat = bench.place(30, 40)
    if as_int:
        bench.send(
            mavlink.MAVLink_command_int_message(
                1,
                1,
                5,
                mavlink.MAV_CMD_DO_REPOSITION,
                0,
                0,
                -1,
                1,
                0,
                NAN,
                round(lat * 1e7),
                round(lon * 1e7),
                GROUND + 25,
            )
        )
    else:
        bench.command(mavlink.MAV_CMD_DO_REPOSITION, -1, 1, 0, NAN, lat, lon, GROUND + 25)
    bench.run(30.0)
    assert bench.positions[-1][1] == pytest.approx((30, 40, 25), abs=1.0)


def test_statustexts_come_only_after_a_ground_stations_heartbeat(make_bench):
    bench = make_bench(heartbeats=False)
    bench.ready()
    bench.heartbeat(mavlink.MAV_TYPE_ONBOARD_CONTROLLER)
    bench.upload(bench.polygon(square(50, east=500)), FENCE)
    bench.run(2.0)
    assert bench.texts == []
    bench.heartbeat()
    bench.upload(bench.polygon(square(50, east=600)), FENCE)
    bench.run(2.0)
    assert bench.said(HOME_OUTSIDE)


def test_an_unknown_command_is_unsupported(bench: Bench):
    bench.ready()
    assert bench.command(mavlink.MAV_CMD_DO_PARACHUTE, 1) == [mavlink.MAV_RESULT_UNSUPPORTED]


def test_arming_needs_a_mission_in_mission_mode(bench: Bench):
    bench.ready()
    assert bench.set_mode("MISSION")[-1] == ACCEPTED
    assert bench.arm() == [REJECTED]
    assert bench.command(mavlink.MAV_CMD_MISSION_START, 0, 0) == [mavlink.MAV_RESULT_DENIED]
    assert bench.vehicle.missions.lists[MISSION] == []
