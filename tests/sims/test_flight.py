"""Missions flown from take-off to landing, compared with a flight of PX4's own simulated quadrotor."""

from __future__ import annotations

import math

import pytest
from pymavlink.dialects.v20 import common as mavlink

from tests.sims.bench import GROUND, NAN, Bench
from utm.frames import geoid_m
from utm.model import Datum


def test_a_mission_takes_as_long_as_on_px4(bench: Bench):
    """PX4 1.18 (SIH quadrotor, 10 m/s, legs of 200 m, 30 m up): seconds after arming at which each item was reached."""
    bench.set_param("NAV_ACC_RAD", 10.0)
    items = bench.mission([(0, 200), (200, 200), (400, 200)], up=30.0, speed=10.0, radius=0.0)
    bench.ready()
    bench.upload(items)
    bench.run(1.0)
    bench.set_mode("MISSION")
    bench.arm()
    armed_s = bench.now_s
    bench.until(lambda: not bench.vehicle.state.armed, 200.0)
    bench.run(2.5)
    first: dict[int, float] = {}
    for at_s, message in bench.log:
        if message.get_type() == "MISSION_ITEM_REACHED":
            first.setdefault(message.seq, at_s - armed_s)
    # Item 0 is never reported: the speed item after it runs at once. Its thrust and drag keep SIH from 10 m/s, so
    # that each of its legs takes 2 s more than here.
    px4 = {1: 21.0, 2: 45.7, 3: 69.8, 4: 92.3, 5: 122.8}
    assert first.keys() == px4.keys()
    for seq, legs in ((1, 0), (2, 1), (3, 2), (4, 3), (5, 3)):
        assert first[seq] == pytest.approx(px4[seq] - 2.0 * legs, abs=2.5)
    states = [message.landed_state for message in bench.heard("EXTENDED_SYS_STATE")]
    assert [a for a, b in zip(states, [None, *states], strict=False) if a != b] == [1, 3, 2, 4, 1]
    assert bench.mode == "MISSION"
    assert bench.last("MISSION_CURRENT").mission_state == mavlink.MISSION_STATE_COMPLETE
    told = iter(bench.texts)  # in this order
    assert all(
        text in told
        for text in (
            "Armed by external command",
            "Executing Mission",
            "Climb to 30.0 meters above home",
            "Takeoff detected",
            "Landing detected",
            "Mission finished, landed",
            "Disarmed by landing",
        )
    )
    assert bench.positions[-1][1] == pytest.approx((400, 200, 0), abs=1.5)
    home = bench.last("HOME_POSITION")
    lon, lat = bench.place(400, 200)
    assert (home.longitude / 1e7, home.latitude / 1e7) == pytest.approx((lon, lat), abs=2e-5)


def test_vertical_speeds_are_px4s(bench: Bench):
    bench.flying(bench.mission([(0, 40)], up=40.0))
    bench.until(lambda: not bench.vehicle.state.armed, 200.0)

    def rate(low: float, high: float, climbing: bool) -> float:
        times = [t for t, (_, north, up) in bench.positions if low < up < high and (north < 20) == climbing]
        return (high - low) / (max(times) - min(times))

    assert rate(3.0, 9.0, True) == pytest.approx(1.5, rel=0.1)  # MPC_TKO_SPEED below MPC_LAND_ALT1
    assert rate(15.0, 30.0, True) == pytest.approx(3.0, rel=0.1)  # MPC_Z_V_AUTO_UP
    assert rate(15.0, 30.0, False) == pytest.approx(1.5, rel=0.1)  # MPC_Z_V_AUTO_DN
    assert rate(1.5, 4.5, False) == pytest.approx(0.7, rel=0.15)  # MPC_LAND_SPEED
    assert rate(0.2, 0.8, False) == pytest.approx(0.3, rel=0.5)  # MPC_LAND_CRWL with a range finder


def test_it_lands_on_the_ground_that_is_there(make_bench):
    """The landing pad is 25 m higher than home, and the ground says so."""
    bench = make_bench(ground_amsl=lambda lon, lat: GROUND + (25.0 if lat > 36.3255 else 0.0))
    bench.flying(bench.mission([(0, 100)], up=60.0))
    bench.until(lambda: not bench.vehicle.state.armed, 200.0)
    assert bench.positions[-1][1] == pytest.approx((0, 100, 25), abs=1.5)
    speeds = [
        (a[1][2] - b[1][2]) / (b[0] - a[0])
        for a, b in zip(bench.positions[:-50], bench.positions[50:], strict=True)
        if 26.5 < b[1][2] < 29.5 and b[1][1] > 90
    ]
    assert sum(speeds) / len(speeds) == pytest.approx(0.7, abs=0.15)


def test_without_a_range_finder_the_landing_slows_above_homes_height(make_bench):
    bench = make_bench(rangefinder=False, ground_amsl=lambda lon, lat: GROUND - (20.0 if lat > 36.3255 else 0.0))
    bench.flying(bench.mission([(0, 100)], up=20.0))
    took = bench.until(lambda: not bench.vehicle.state.armed, 300.0)
    assert took > 20.0 / 0.3  # MPC_LAND_CRWL from home's height on
    assert bench.positions[-1][1][2] == pytest.approx(-20.0, abs=0.1)


def test_waits_returns_and_speeds_of_a_mission(bench: Bench):
    points = bench.mission([(0, 40)], land=False)
    items = [
        *points,
        bench.item(3, mavlink.MAV_CMD_NAV_LOITER_TIME, 0, 40, 20, 6.0),
        bench.plain(4, mavlink.MAV_CMD_NAV_DELAY, 5.0, -1, -1, -1),
        bench.item(5, mavlink.MAV_CMD_NAV_WAYPOINT, 40, 40, 20, 4.0, 2.0),
        bench.plain(6, mavlink.MAV_CMD_NAV_RETURN_TO_LAUNCH),
    ]
    bench.flying(items)
    at: dict[int, float] = {}

    def watch() -> bool:
        at.setdefault(bench.vehicle.autopilot.navigator.current, bench.now_s)
        return bench.mode == "RTL"

    bench.until(watch, 120.0)
    assert at[4] - at[3] >= 6.0
    assert at[5] - at[4] == pytest.approx(5.0, abs=0.2)
    assert at[6] - at[5] >= 4.0 + 38 / 5.0
    bench.until(lambda: not bench.vehicle.state.armed, 120.0)
    assert math.hypot(*bench.positions[-1][1][:2]) < 1.5


def test_a_mission_without_a_landing_ends_in_hold(bench: Bench):
    bench.flying(bench.mission([(0, 40)], land=False))
    bench.until(lambda: bench.mode == "HOLD", 60.0)
    assert bench.said("Mission finished, loitering")
    bench.run(10.0)
    assert bench.positions[-1][1] == pytest.approx((0, 40, 20), abs=1.0)


def test_hold_and_on_again_and_another_item(bench: Bench):
    bench.flying(bench.mission([(0, 100), (100, 100), (100, 0), (0, 0)]))
    bench.until(lambda: bench.positions[-1][1][1] > 50, 60.0)
    bench.set_mode("HOLD")
    bench.run(10.0)
    resting = bench.positions[-1][1]
    assert resting[1] == pytest.approx(58, abs=4.0)
    bench.set_mode("MISSION")
    bench.until(lambda: bench.vehicle.autopilot.navigator.current == 3, 60.0)
    bench.send(mavlink.MAVLink_mission_set_current_message(1, 1, 5))
    bench.run(0.2)
    assert bench.last("MISSION_CURRENT") is not None
    bench.until(lambda: not bench.vehicle.state.armed, 120.0)
    assert max(east for _, (east, _, _) in bench.positions) < 40.0


def test_a_speed_command_counts_until_the_mission_says_otherwise(bench: Bench):
    bench.flying(bench.mission([(0, 300)], speed=5.0))
    bench.until(lambda: bench.positions[-1][1][1] > 30, 60.0)
    assert bench.command(mavlink.MAV_CMD_DO_CHANGE_SPEED, 1, 9.0, -1) == [0]
    bench.run(8.0)
    assert bench.last("VFR_HUD").groundspeed == pytest.approx(9.0, abs=0.7)


def test_arming_for_nothing_ends_by_itself_and_disarming_in_the_air_is_refused(bench: Bench):
    bench.ready()
    assert bench.arm() == [0]
    bench.until(lambda: not bench.vehicle.state.armed, 15.0)
    assert bench.said("Disarmed by auto preflight disarming")
    bench.airborne(up=10.0)
    assert bench.command(mavlink.MAV_CMD_COMPONENT_ARM_DISARM, 0, 0) == [mavlink.MAV_RESULT_TEMPORARILY_REJECTED]
    assert bench.command(mavlink.MAV_CMD_COMPONENT_ARM_DISARM, 0, 21196) == [0]
    bench.until(lambda: bench.vehicle.state.on_ground, 5.0)


def test_take_off_without_a_height_and_land(bench: Bench):
    bench.ready()
    bench.command(mavlink.MAV_CMD_NAV_TAKEOFF)
    bench.arm()
    bench.until(lambda: bench.mode == "HOLD", 30.0)
    bench.run(5.0)
    assert bench.positions[-1][1][2] == pytest.approx(2.5, abs=0.7)  # MIS_TAKEOFF_ALT
    assert bench.command(mavlink.MAV_CMD_NAV_LAND) == [0]
    bench.until(lambda: bench.vehicle.state.on_ground, 30.0)
    landed_s = bench.now_s
    bench.until(lambda: not bench.vehicle.state.armed, 5.0)
    assert bench.now_s - landed_s == pytest.approx(2.0, abs=0.1)  # COM_DISARM_LAND
    assert bench.mode == "HOLD"


def test_heights_differ_by_the_geoid(bench: Bench):
    bench.airborne(up=30.0)
    gps = bench.last("GPS_RAW_INT")
    undulation = float(geoid_m(Datum.AMSL, gps.lon / 1e7, gps.lat / 1e7))
    assert undulation > 30.0
    assert (gps.alt_ellipsoid - gps.alt) / 1e3 == pytest.approx(undulation, abs=0.01)
    assert gps.alt / 1e3 == pytest.approx(GROUND + 30.0, abs=1.5)
    position = bench.last("GLOBAL_POSITION_INT")
    assert position.relative_alt / 1e3 == pytest.approx(30.0, abs=1.5)


def test_a_wind_is_felt_and_withstood(make_bench):
    bench = make_bench(wind_m_s=(6.0, -4.0), gust_m_s=1.0)
    bench.flying(bench.mission([(0, 120), (120, 120)], speed=8.0))
    bench.until(lambda: not bench.vehicle.state.armed, 200.0)
    assert bench.positions[-1][1] == pytest.approx((120, 120, 0), abs=2.0)


def test_a_reposition_ignores_the_frame_of_its_height(bench: Bench):
    """PX4 takes the height of DO_REPOSITION for AMSL, whatever frame COMMAND_INT names."""
    bench.airborne()
    lon, lat = bench.place(0, 0)
    bench.send(
        mavlink.MAVLink_command_int_message(
            1, 1, 6, mavlink.MAV_CMD_DO_REPOSITION, 0, 0, -1, 1, 0, NAN, round(lat * 1e7), round(lon * 1e7), GROUND + 30
        )
    )
    bench.run(20.0)
    assert bench.positions[-1][1][2] == pytest.approx(30.0, abs=1.0)


def heights_at(bench: Bench, norths: list[float]) -> list[float]:
    return [next(up for _, (_, north, up) in bench.positions if north >= at) for at in norths]


def sloping_mission(bench: Bench) -> list:
    """20 m up, 40 m higher over the next 200 m, 40 m lower over the next 200 m, level on, land."""
    waypoint, land = mavlink.MAV_CMD_NAV_WAYPOINT, mavlink.MAV_CMD_NAV_LAND
    return [
        bench.item(0, mavlink.MAV_CMD_NAV_TAKEOFF, 0, 0, 20),
        bench.plain(1, mavlink.MAV_CMD_DO_CHANGE_SPEED, 1, 10, -1),
        bench.item(2, waypoint, 0, 200, 60),
        bench.item(3, waypoint, 0, 400, 20),
        bench.item(4, waypoint, 0, 600, 20),
        bench.item(5, land, 0, 600, 0),
    ]


def test_slopes_are_straight_by_default(bench: Bench):
    bench.flying(sloping_mission(bench))
    bench.until(lambda: not bench.vehicle.state.armed, 300.0)
    assert heights_at(bench, [50, 100, 150]) == pytest.approx([30, 40, 50], abs=1.5)
    assert heights_at(bench, [250, 300, 350, 500]) == pytest.approx([49, 40, 30, 20], abs=1.5)


def test_slopes_as_the_beta_of_px4_1_18_flies_them(make_bench):
    """The same mission on PX4 1.18.0 beta (SIH quadrotor): height first, swings, and then past the way point for good.

    It passes the first way point 2.8 m too high, more than NAV_MC_ALT_RAD, and flies on along the leg's prolongation.
    """
    bench = make_bench(straight_slopes=False)
    bench.flying(sloping_mission(bench))
    bench.until(lambda: bench.positions[-1][1][1] > 525, 300.0)
    assert bench.vehicle.autopilot.navigator.current == 2
    seen_on_px4 = {42: 35.7, 81: 47.5, 122: 59.8, 162: 59.2, 184: 63.8, 203: 62.1, 301: 81.3, 402: 101.3, 505: 121.4}
    assert heights_at(bench, list(seen_on_px4)) == pytest.approx(list(seen_on_px4.values()), abs=3.5)


def test_before_a_landing_px4_1_18_swings(make_bench):
    """On PX4 1.18.0 beta a level leg before LAND swings between 29.0 and 32.1 m; with straight slopes nothing does."""
    spans = []
    for straight in (False, True):
        bench = make_bench(straight_slopes=straight)
        bench.flying(bench.mission([(0, 200)], up=30.0, speed=10.0, radius=10.0))
        bench.until(lambda bench=bench: bench.positions[-1][1][1] > 185, 100.0)
        heights = [up for _, (_, north, up) in bench.positions if 80 < north < 185]
        spans.append((min(heights), max(heights)))
    assert spans[0] == pytest.approx((29.0, 32.1), abs=1.0)
    assert spans[1] == pytest.approx((30.0, 30.0), abs=0.8)
