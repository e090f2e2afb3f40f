"""Lost link, lost position, empty battery, and the way home."""

from __future__ import annotations

import math

import pytest
from pymavlink.dialects.v20 import common as mavlink

from sims.mission import RALLY
from tests.sims.bench import GROUND, NAN, Bench

REJECTED = mavlink.MAV_RESULT_TEMPORARILY_REJECTED


def test_with_nav_dll_act_a_ground_station_is_needed_to_arm_and_its_loss_means_return(make_bench):
    bench = make_bench(heartbeats=False, params={"NAV_DLL_ACT": 2})
    bench.run(6.0)
    assert bench.arm() == [REJECTED]
    bench.heartbeats = True
    bench.airborne()
    bench.heartbeats = False
    lost = bench.until(lambda: bench.vehicle.state.failsafe, 15.0)
    assert lost == pytest.approx(10.0, abs=1.3)
    assert bench.said("Connection to ground station lost")
    assert bench.mode == "HOLD"
    bench.until(lambda: bench.mode == "RTL", 6.0)
    bench.until(lambda: not bench.vehicle.state.armed, 120.0)


def test_without_it_a_lost_link_changes_nothing(bench: Bench):
    bench.airborne()
    bench.vehicle.link.dropped = True
    bench.run(30.0)
    assert (bench.mode, bench.vehicle.state.failsafe) == ("HOLD", False)
    silence_s = max(at_s for at_s, _ in bench.log)
    assert bench.now_s - silence_s > 29.0
    bench.vehicle.link.dropped = False
    bench.run(2.0)
    assert bench.said("GCS connection regained")


@pytest.mark.parametrize(
    ("action", "critical", "emergency"), [(0, "HOLD", "HOLD"), (2, "LAND", "LAND"), (3, "RTL", "LAND")]
)
def test_low_battery(bench: Bench, action: int, critical: str, emergency: str):
    bench.set_param("COM_LOW_BAT_ACT", action)
    bench.airborne(up=60.0)
    for level, mode, text in ((0.14, "HOLD", "Low"), (0.06, critical, "Critical"), (0.04, emergency, "Emergency")):
        bench.vehicle.state.battery = level
        bench.run(6.0)
        assert bench.said(f"{text} battery level")
        assert bench.mode == mode
    assert bench.last("SYS_STATUS").battery_remaining <= 4


def test_the_battery_drains_while_armed(make_bench):
    bench = make_bench(endurance_s=100.0)
    bench.ready()
    assert bench.vehicle.state.battery == 1.0
    bench.airborne(up=10.0)
    before, at_s = bench.vehicle.state.battery, bench.now_s
    bench.run(10.0)
    assert before - bench.vehicle.state.battery == pytest.approx((bench.now_s - at_s) / 100.0, abs=1e-6)
    bench.vehicle.state.battery, bench.vehicle.state.drain_per_s = 0.08, 0.003
    bench.until(lambda: bench.mode == "RTL", 15.0)


def test_without_satellites_it_lands_where_the_wind_takes_it(make_bench):
    bench = make_bench(wind_m_s=(3.0, 0.0))
    bench.airborne()
    assert bench.last("GPS_RAW_INT").fix_type == mavlink.GPS_FIX_TYPE_3D_FIX
    bench.vehicle.state.gps = False
    bench.run(3.0)
    at_s = bench.now_s
    bench.run(3.0)
    assert bench.heard("GLOBAL_POSITION_INT", at_s) == []
    assert bench.last("GPS_RAW_INT").fix_type == 0
    assert bench.last("HEARTBEAT").custom_mode == 6 << 24 | 4 << 16
    bench.until(lambda: not bench.vehicle.state.armed, 120.0)
    assert bench.positions[-1][1][0] > 20.0


def test_no_arming_without_position(bench: Bench):
    bench.ready()
    bench.vehicle.state.gps = False
    assert bench.arm() == [REJECTED]
    bench.run(1.1)
    health = bench.last("SYS_STATUS").onboard_control_sensors_health
    assert not health & (mavlink.MAV_SYS_STATUS_PREARM_CHECK | mavlink.MAV_SYS_STATUS_SENSOR_GPS)


def goto(bench: Bench, east: float, north: float, up: float) -> None:
    lon, lat = bench.place(east, north)
    bench.command(mavlink.MAV_CMD_DO_REPOSITION, 10, 1, 0, NAN, lat, lon, GROUND + up)
    bench.until(lambda: math.dist(bench.positions[-1][1], (east, north, up)) < 1.5, 120.0)
    bench.run(3.0)


def test_the_return_climbs_and_flies_a_direct_line_home(bench: Bench):
    bench.airborne()
    goto(bench, 120.0, 160.0, 20.0)
    start = len(bench.positions)
    assert bench.command(mavlink.MAV_CMD_NAV_RETURN_TO_LAUNCH) == [0]
    assert bench.said("RTL: start return at 42 m (30 m above destination)")
    bench.until(lambda: not bench.vehicle.state.armed, 200.0)
    way = [position for _, position in bench.positions[start:]]
    assert max(up for _, _, up in way) == pytest.approx(30.0, abs=1.0)
    # Nowhere further than the tracking error from the straight line to home.
    assert max(abs(east * 0.8 - north * 0.6) for east, north, _ in way) < 2.0
    assert math.hypot(*way[-1][:2]) < 1.5
    assert bench.mode == "HOLD"


def test_the_return_prefers_a_nearer_rally_point(bench: Bench):
    bench.ready()
    rally = [bench.item(0, mavlink.MAV_CMD_NAV_RALLY_POINT, 100, 100, 0.0, kind=RALLY)]
    bench.upload(rally, RALLY)
    bench.airborne()
    goto(bench, 120.0, 160.0, 20.0)
    bench.command(mavlink.MAV_CMD_NAV_RETURN_TO_LAUNCH)
    bench.until(lambda: not bench.vehicle.state.armed, 200.0)
    assert bench.positions[-1][1][:2] == pytest.approx((100, 100), abs=1.5)


def test_rtl_type_2_follows_the_mission_to_its_landing(bench: Bench):
    bench.set_param("RTL_TYPE", 2)
    bench.flying(bench.mission([(0, 80), (80, 80), (80, 160)]))
    bench.until(lambda: bench.positions[-1][1][1] > 40, 60.0)
    start = len(bench.positions)
    bench.set_mode("RTL")
    bench.until(lambda: not bench.vehicle.state.armed, 300.0)
    way = [position for _, position in bench.positions[start:]]
    assert min(math.hypot(east - 80, north - 80) for east, north, _ in way) < 10.0
    assert way[-1][:2] == pytest.approx((80, 160), abs=1.5)


def test_rtl_type_4_turns_back_where_that_is_shorter(bench: Bench):
    bench.set_param("RTL_TYPE", 4)
    bench.flying(bench.mission([(0, 80), (80, 80), (80, 260)]))
    bench.until(lambda: bench.positions[-1][1][0] > 20, 60.0)
    start = len(bench.positions)
    bench.set_mode("RTL")
    bench.until(lambda: not bench.vehicle.state.armed, 300.0)
    way = [position for _, position in bench.positions[start:]]
    assert min(math.hypot(east, north - 80) for east, north, _ in way) < 10.0
    assert way[-1][:2] == pytest.approx((0, 0), abs=1.5)


def test_near_home_the_return_stays_low(bench: Bench):
    bench.airborne(up=5.0)
    start = len(bench.positions)
    bench.set_mode("RTL")
    bench.until(lambda: not bench.vehicle.state.armed, 60.0)
    assert max(up for _, (_, _, up) in bench.positions[start:]) < 7.0
