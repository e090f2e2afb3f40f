"""The adapter against a real PX4 in its own simulation (SIH): the truth that the simulated vehicle copies.

Run with ``pytest -m px4``. Set PX4_SITL to a build folder of PX4 (``make px4_sitl_sih``; it holds ``bin/px4`` and
``etc/``), or install the ``px4`` package of a PX4 release, which puts ``px4`` on the path.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import shapely

from tests.adapters.simulated import GROUND_M, LAT, LON, here
from tests.adapters.test_px4 import connected, until
from tests.ops.fakes import FakeAirspace
from tests.ops.made import KAGA, QUAD, intent
from utm.adapters.px4 import Px4Vehicle, mission
from utm.core.conformance import judge
from utm.errors import VehicleRefused
from utm.model import Leg, VehicleState
from utm.ops.fly import Flight, fly
from utm.ops.road import sky_road

FOLDER = Path(os.environ["PX4_SITL"]) if "PX4_SITL" in os.environ else None
BINARY = FOLDER / "bin" / "px4" if FOLDER else shutil.which("px4")
pytestmark = [
    pytest.mark.px4,
    pytest.mark.skipif(
        BINARY is None or not Path(BINARY).is_file(),
        reason="no PX4 here: install the px4 package of a PX4 release, or build one (make px4_sitl_sih) and set"
        " PX4_SITL to its build folder",
    ),
]
SPEED = 5.0
#: SIH's quadrotor swings by metres in height at 10 m/s.
SLOW = dataclasses.replace(QUAD, cruise_m_s=5.0)
WAY = [here(0, 0, 0), here(0, 0, 40), here(100, 0, 40), here(100, 60, 45), here(100, 60, 0)]
ROAD = sky_road(intent(WAY, aircraft=SLOW), KAGA)


def free_instance() -> int:
    for number in range(9, -1, -1):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in (14540 + number, 14580 + number):
                probe = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                probe.bind(("127.0.0.1", port))
            return number
    pytest.skip("all ten PX4 instances of this machine are taken")


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A PX4 standing at the place; the port to which its onboard link sends."""
    instance = free_instance()
    command = [str(BINARY), "-i", str(instance), "-d"]
    if FOLDER:
        command += ["-w", str(tmp_path), str(FOLDER.resolve() / "etc")]
    world = {
        "PX4_SIM_MODEL": "sihsim_quadx",
        "PX4_SIMULATOR": "sihsim",
        "PX4_SIM_SPEED_FACTOR": str(SPEED),
        "PX4_HOME_LAT": str(LAT),
        "PX4_HOME_LON": str(LON),
        "PX4_HOME_ALT": str(GROUND_M),
    }
    with (tmp_path / "px4.log").open("wb") as log:
        px4 = subprocess.Popen(
            command, cwd=tmp_path, env=os.environ | world, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield 14540 + instance
    finally:
        px4.terminate()
        px4.wait(10)


async def test_a_road_is_flown_inside_its_corridor(port: int) -> None:
    # PX4's simulation takes its calendar clock from this machine.
    # SIH swings in height and waits at every corner until that has settled: 13 s behind at the end of this road.
    made = intent(WAY, aircraft=SLOW, start_s=time.time() + 60.0, time_tolerance_s=25.0)
    judge(made.corridor, made.corridor.centre_line.start_s, made.corridor.centre_line.enu_m[0])
    vehicle, airspace = Px4Vehicle(f"udpin://127.0.0.1:{port}"), FakeAirspace()
    [log] = await fly([Flight(made, KAGA, vehicle)], airspace)
    assert log.error is None
    assert log.conformed
    assert log.cross_track_m.max() < 10.0
    assert np.hypot(*(log.enu_m[-1] - made.corridor.centre_line.enu_m[-1])[:2]) < 5.0
    assert made.id in airspace.ended


async def test_what_it_acknowledges_and_does_not_use_is_refused(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    away = dataclasses.replace(ROAD, fence_deg=tuple((lon + 0.01, lat) for lon, lat in ROAD.fence_deg))
    leg = Leg(dataclasses.replace(ROAD.legs[0].to, lon_deg=LON + 0.01), 5.0)
    outside = dataclasses.replace(ROAD, legs=(leg, *ROAD.legs))
    async with connected(port, patience_s=8.0) as vehicle:
        await vehicle.ready(30.0)
        await vehicle.load(ROAD)
        monkeypatch.setattr(mission, "check_road", lambda road, home: None)
        for _ in range(2):  # the second time PX4 holds the same fence already
            with pytest.raises(VehicleRefused, match="Geofence invalid, doesn't contain Home position"):
                await vehicle.load(away)
            with pytest.raises(VehicleRefused, match="Geofence violation for waypoint 4"):
                await vehicle.load(outside)
        await vehicle.load(ROAD)
        await vehicle.load(ROAD)


#: A road of six legs and right angles, metres from the pad.
STAIRS = np.array([(0, 0), (60, 0), (60, 60), (120, 60), (120, 120), (180, 120), (180, 180)], float)


@pytest.mark.parametrize(("beyond", "end"), [(1, 0), (3, 6)], ids=["back", "onward"])
async def test_a_return_follows_the_road_to_its_nearer_end(port: int, beyond: int, end: int) -> None:
    """Not the straight line, which nobody cleared. PX4 counts mission items to know which end is nearer."""
    tops = [here(east, north, 25) for east, north in STAIRS]
    road = sky_road(intent([here(0, 0, 0), *tops, here(*STAIRS[-1], 0)], aircraft=SLOW), KAGA)
    line = shapely.LineString(STAIRS)
    async with connected(port, patience_s=8.0) as vehicle:
        await vehicle.ready(30.0)
        await vehicle.load(road)
        await vehicle.arm()
        await vehicle.start()
        track: list[shapely.Point] = []

        def look(state: VehicleState) -> shapely.Point:
            place = np.array(KAGA.to_map(state.lon_deg, state.lat_deg)) - np.array(here(0, 0, 0)[:2])
            track.append(shapely.Point(place))
            return track[-1]

        # A third of the way along the leg after that corner.
        await until(vehicle, lambda state: line.project(look(state)) > 60.0 * beyond + 20.0)
        await vehicle.return_home()
        await until(vehicle, lambda state: look(state) is not None and state.landed and not state.armed)
    assert track[-1].distance(shapely.Point(STAIRS[end])) < 5.0
    assert max(line.distance(place) for place in track) < 8.0
