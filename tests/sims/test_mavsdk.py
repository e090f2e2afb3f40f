"""The vehicle as MAVSDK sees it: another library at the other end, found, healthy, loaded, flown and landed."""

from __future__ import annotations

import asyncio
import math
import socket

import pytest
from mavsdk.asyncio import ComponentType, Configuration, Mavsdk
from mavsdk.asyncio.plugins.action import ActionAsync
from mavsdk.asyncio.plugins.mission_raw import MissionItem, MissionRawAsync
from mavsdk.asyncio.plugins.param import ParamAsync
from mavsdk.asyncio.plugins.telemetry import TelemetryAsync

from sims.plane import LocalPlane
from sims.vehicle import Fleet, VehicleConfig
from tests.sims.bench import GROUND, LAT, LON

SPEED = 25.0


def square_mission() -> list[MissionItem]:
    plane = LocalPlane(LON, LAT, GROUND)

    def at(seq: int, command: int, east: float, north: float, up: float, radius: float = 0.0) -> MissionItem:
        lon, lat = plane.to_lonlat(east, north)
        x, y = round(lat * 1e7), round(lon * 1e7)
        return MissionItem(seq, 6, command, int(seq == 0), 1, 0.0, radius, 0.0, math.nan, x, y, up, 0)

    speed = MissionItem(1, 2, 178, 0, 1, 1.0, 5.0, -1.0, 0.0, 0, 0, 0.0, 0)
    corners = [at(n, 16, *corner, 12.0, 2.0) for n, corner in enumerate([(0, 25), (25, 25), (25, 0), (0, 0)], start=2)]
    return [at(0, 22, 0, 0, 12.0), speed, *corners, at(6, 21, 0, 0, 0.0)]


async def first(stream, holds):
    """The first of a subscription's values of which something holds."""
    try:
        async for value in stream:
            if holds(value):
                return value
    finally:
        await stream.aclose()
    raise AssertionError("the subscription ended")


@pytest.fixture
def port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_mavsdk_flies_a_square(port: int):
    # In the air for half a minute, with MAVSDK's one heartbeat per wall second far apart in simulated time.
    with Fleet([VehicleConfig(LON, LAT, GROUND, ports=(0, port))], SPEED) as fleet:
        async with Mavsdk(Configuration.create_with_component_type(ComponentType.GROUND_STATION)) as mavsdk:
            await mavsdk.add_any_connection(f"udpin://127.0.0.1:{port}")
            system = await mavsdk.first_autopilot(timeout_s=20.0)
            assert system is not None
            assert await system.get_system_id() == 1
            telemetry, action, mission = TelemetryAsync(system), ActionAsync(system), MissionRawAsync(system)
            async with asyncio.timeout(60.0):
                health = await first(telemetry.subscribe_health(), lambda health: health.is_armable)
                assert health.is_global_position_ok
                assert health.is_home_position_ok
                params = ParamAsync(system)
                await params.set_param_int("NAV_DLL_ACT", 0)
                assert await params.get_param_int("COM_LOW_BAT_ACT") == 3
                assert await params.get_param_float("RTL_RETURN_ALT") == 30.0

                items = square_mission()
                await mission.upload_mission(items)
                back = await mission.download_mission()
                assert [(i.command, i.frame, i.x, i.y, i.z) for i in back] == [
                    (i.command, i.frame, i.x, i.y, i.z) for i in items
                ]
                await asyncio.sleep(1.0 / SPEED)  # until then PX4 may refuse the mission mode
                await action.arm()
                await mission.start_mission()
                await first(telemetry.subscribe_in_air(), lambda in_air: in_air)
                reached = await first(
                    telemetry.subscribe_position(), lambda position: position.relative_altitude_m > 11.0
                )
                assert reached.absolute_altitude_m == pytest.approx(GROUND + reached.relative_altitude_m, abs=0.5)
                await first(mission.subscribe_mission_progress(), lambda progress: progress.current >= 6)
                await first(telemetry.subscribe_armed(), lambda armed: not armed)
        vehicle = fleet.vehicles[0]
        assert vehicle.state.on_ground
        assert vehicle.state.copter.body.position == pytest.approx((0, 0, 0), abs=1.5)
