"""The adapter against the simulated vehicle, over MAVLink on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import AsyncIterator

import numpy as np
import pytest

from sims.link import UdpLink
from tests.adapters.simulated import BEFORE_S, GROUND_M, LAT, LON, SPEED, fleet, free_port, here
from tests.ops.fakes import FakeAirspace
from tests.ops.made import KAGA, START_S, intent
from utm.adapters.px4 import Px4Vehicle, mission
from utm.adapters.px4.words import Words
from utm.core.conformance import judge
from utm.errors import LinkError, VehicleRefused
from utm.model import Datum, Leg, VehicleState
from utm.ops.fly import Flight, fly
from utm.ops.log import separation
from utm.ops.road import sky_road

WAY = [here(0, 0, 0), here(0, 0, 40), here(80, 0, 40), here(80, 60, 45), here(80, 60, 0)]
ROAD = sky_road(intent(WAY), KAGA)


@contextlib.asynccontextmanager
async def connected(port: int, **knobs: object) -> AsyncIterator[Px4Vehicle]:
    vehicle = Px4Vehicle(f"udpin://127.0.0.1:{port}", **{"patience_s": 2.0, **knobs})
    try:
        await vehicle.connect(5.0)
        yield vehicle
    finally:
        await vehicle.close()


async def until(vehicle: Px4Vehicle, true: object) -> VehicleState:
    async with contextlib.aclosing(vehicle.states()) as states:
        async for state in states:
            if true(state):
                return state
    raise AssertionError("the states ended")


async def test_it_knows_where_it_stands_and_what_time_it_is() -> None:
    with fleet((0, 0)) as (_, [port]):
        async with connected(port) as vehicle:
            home = await vehicle.ready(10.0)
            assert (home.lon_deg, home.lat_deg) == pytest.approx((LON, LAT), abs=3e-5)
            assert home.height_m == pytest.approx(GROUND_M, abs=1.0)
            assert home.datum is Datum.AMSL
            states = []
            async with contextlib.aclosing(vehicle.states()) as stream:
                async for state in stream:
                    states.append(state)
                    if len(states) == 20:
                        break
            # By its own clock, which began BEFORE_S before START_S, and runs as fast as its simulation.
            times = np.array([state.t_s for state in states])
            assert START_S - BEFORE_S < times[0] < START_S
            assert np.diff(times) == pytest.approx(0.2, abs=0.045)
            assert {state.mode for state in states} == {"HOLD"}
            assert not any(state.armed for state in states)
            assert all(state.landed for state in states)
            assert states[0].battery_fraction == pytest.approx(1.0, abs=0.1)


async def test_a_road_is_put_in_force_flown_and_followed() -> None:
    with fleet((0, 0)) as (flying, [port]):
        async with connected(port) as vehicle:
            await vehicle.ready(10.0)
            await vehicle.load(ROAD)
            stored = flying.vehicles[0].missions.lists
            assert [item.command for item in stored[mission.MISSION]] == [
                item.command for item in mission.mission_items(ROAD)
            ]
            assert len(stored[mission.FENCE]) == len(ROAD.fence_deg)
            assert flying.vehicles[0].params["GF_ACTION"] == 2
            assert flying.vehicles[0].params["RTL_TYPE"] == 4
            await vehicle.arm()
            await vehicle.start()
            await until(vehicle, lambda state: state.armed and not state.landed and state.mode == "MISSION")
            await until(vehicle, lambda state: state.amsl_m > GROUND_M + 20)
            await vehicle.hold()
            held = await until(vehicle, lambda state: state.mode == "HOLD" and abs(state.velocity_m_s[2]) < 0.3)
            assert held.armed
            await vehicle.land()
            await until(vehicle, lambda state: state.landed and not state.armed)
            assert "Disarmed by landing" in vehicle.said


async def test_returning_is_confirmed() -> None:
    with fleet((0, 0)) as (_, [port]):
        async with connected(port) as vehicle:
            await vehicle.ready(10.0)
            await vehicle.load(ROAD)
            await vehicle.arm()
            await vehicle.start()
            await until(vehicle, lambda state: state.amsl_m > GROUND_M + 20)
            await vehicle.return_home()
            assert (await until(vehicle, lambda state: True)).mode == "RTL"


async def test_two_drones_fly_at_once_inside_their_corridors() -> None:
    """From connection to landing, both judged by their own clocks."""
    first = intent(WAY)
    second = intent(
        [here(200, 0, 0), here(200, 0, 50), here(0, 80, 50), here(0, 80, 0)], id="inspection", start_s=START_S + 5
    )
    airspace = FakeAirspace()
    judge(first.corridor, START_S, first.corridor.centre_line.enu_m[0])  # compiled before clocks run
    with fleet((0, 0), (200, 0)) as (_, ports):
        vehicles = [Px4Vehicle(f"udpin://127.0.0.1:{port}") for port in ports]
        flights = [Flight(each, KAGA, vehicle) for each, vehicle in zip((first, second), vehicles, strict=True)]
        logs = await fly(flights, airspace)
    for log, made in zip(logs, (first, second), strict=True):
        assert log.error is None
        assert log.inside.all()
        assert log.conformed
        assert log.landed
        assert log.cross_track_m.max() < 10.0
        # It came down on the other pad.
        assert np.hypot(*(log.enu_m[-1] - made.corridor.centre_line.enu_m[-1])[:2]) < 5.0
        assert airspace.activated[log.intent_id] < airspace.ended[log.intent_id]
    apart = separation(*logs)
    assert len(apart.t_s) > 100
    assert (np.diff(apart.t_s) > 0).all()


async def test_words_refuse_what_was_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fence that does not contain home is acknowledged, can be read back, and is not in force."""
    monkeypatch.setattr(mission, "check_road", lambda road, home: None)
    away = dataclasses.replace(ROAD, fence_deg=tuple((lon + 0.01, lat) for lon, lat in ROAD.fence_deg))
    with fleet((0, 0)) as (flying, [port]):
        async with connected(port) as vehicle:
            await vehicle.ready(10.0)
            with pytest.raises(VehicleRefused, match="doesn't contain Home") as caught:
                await vehicle.load(away)
            assert caught.value.said
            assert len(flying.vehicles[0].missions.lists[mission.FENCE]) == len(away.fence_deg)


async def test_a_mission_outside_the_fence_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mission, "check_road", lambda road, home: None)
    outside = Leg(dataclasses.replace(ROAD.legs[0].to, lon_deg=LON + 0.01), 10.0)
    with fleet((0, 0)) as (_, [port]):
        async with connected(port) as vehicle:
            await vehicle.ready(10.0)
            with pytest.raises(VehicleRefused, match="Geofence violation for waypoint"):
                await vehicle.load(dataclasses.replace(ROAD, legs=(outside, *ROAD.legs)))


async def test_the_mission_of_yesterday_is_not_mistaken_for_ours() -> None:
    """The vehicle judges the mission that it still holds against a new fence, and says so."""
    with fleet((0, 0)) as (_, [port]):
        async with connected(port) as vehicle:
            await vehicle.ready(10.0)
            far = intent([here(0, 0, 0), here(0, 0, 40), here(900, 0, 40), here(900, 0, 0)])
            await vehicle.load(sky_road(far, KAGA))
            await vehicle.load(ROAD)


async def test_a_road_from_another_place_is_refused_before_anything_is_sent() -> None:
    with fleet((0, 30)) as (flying, [port]):
        async with connected(port) as vehicle:
            await vehicle.ready(10.0)
            with pytest.raises(VehicleRefused, match=r"stands (29|30|31)\.\d m from its pad"):
                await vehicle.load(ROAD)
            assert flying.vehicles[0].missions.lists[mission.FENCE] == []


async def test_arming_that_is_refused_says_why() -> None:
    with fleet((0, 0)) as (flying, [port]):
        async with connected(port, patience_s=0.5) as vehicle:
            await vehicle.ready(10.0)
            await vehicle.load(ROAD)
            flying.vehicles[0].state.gps = False
            await asyncio.sleep(0.3)
            with pytest.raises(VehicleRefused, match="arming did not come about"):
                await vehicle.arm()


async def test_a_vehicle_left_in_mission_mode_does_not_take_off_when_armed() -> None:
    with fleet((0, 0)) as (_, [port]):
        async with connected(port) as vehicle:
            await vehicle.ready(10.0)
            await vehicle.load(ROAD)
            await vehicle.start()
            await vehicle.arm()
            state = await until(vehicle, lambda state: state.armed)
            assert (state.mode, state.landed) == ("HOLD", True)
            await vehicle.disarm()
            assert not (await until(vehicle, lambda state: True)).armed


async def test_a_refusal_right_after_the_upload_is_asked_again() -> None:
    """For up to a second after an upload the mode is refused although it was acknowledged."""
    with fleet((0, 0), speed=5.0) as (_, [port]):
        async with connected(port, verdict_s=0.0) as vehicle:
            await vehicle.ready(10.0)
            await vehicle.load(ROAD)
            await vehicle.start()
            assert (await until(vehicle, lambda state: True)).mode == "MISSION"


async def test_lost_answers_are_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of each kind is lost; of arming, every acknowledgement: the heartbeat shows it all the same."""
    lost: list[str] = []
    send = UdpLink.send

    def lossy(self: UdpLink, message: object, address: object = None) -> None:
        kind = message.get_type()
        arming = kind == "COMMAND_ACK" and message.command == 400
        first = kind in ("MISSION_ACK", "MISSION_REQUEST_INT", "PARAM_VALUE", "COMMAND_ACK") and kind not in lost
        if arming or first:
            lost.append(kind)
        else:
            send(self, message, address)

    monkeypatch.setattr(UdpLink, "send", lossy)
    with fleet((0, 0), speed=5.0) as (_, [port]):
        async with connected(port, patience_s=4.0) as vehicle:
            await vehicle.ready(10.0)
            await vehicle.load(ROAD)
            await vehicle.arm()
            assert (await until(vehicle, lambda state: True)).armed
    assert len(lost) >= 5


async def test_nobody_answers() -> None:
    vehicle = Px4Vehicle(f"udpin://127.0.0.1:{free_port()}")
    with pytest.raises(LinkError, match=r"no vehicle answered within 0\.3 s"):
        await vehicle.connect(0.3)
    await vehicle.close()


async def test_the_vehicle_asked_for_is_not_there() -> None:
    with fleet((0, 0)) as (_, [port]):
        vehicle = Px4Vehicle(f"udpin://127.0.0.1:{port}", system_id=77)
        with pytest.raises(LinkError, match="no vehicle with system id 77"):
            await vehicle.connect(1.0)


async def test_two_vehicles_on_one_link_must_be_told_apart() -> None:
    with fleet((0, 0), (50, 0), one_port=True) as (_, [port, _]):
        async with connected(port, system_id=2) as vehicle:
            home = await vehicle.ready(10.0)
            assert mission.distance_m(home, KAGA.waypoint(here(50, 0, 0), Datum.AMSL)) < 3.0
        async with connected(port) as vehicle:
            await asyncio.sleep(2.0 / SPEED)  # both have sent a heartbeat
            with pytest.raises(LinkError, match="vehicles 1, 2 answer on this link"):
                await vehicle.ready(10.0)


@pytest.mark.parametrize("link", ["udpin://127.0.0.1:99999", "carrier-pigeon://", ""])
async def test_a_link_that_is_none(link: str) -> None:
    vehicle = Px4Vehicle(link)
    with pytest.raises(LinkError, match="cannot be opened"):
        await vehicle.connect(1.0)


async def test_a_port_that_is_taken() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        vehicle = Px4Vehicle(f"udpin://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(LinkError, match="Is the port free"):
            await vehicle.connect(1.0)


async def test_a_link_that_falls_silent() -> None:
    with fleet((0, 0)) as (flying, [port]):
        async with connected(port, silent_s=0.5) as vehicle:
            await vehicle.ready(10.0)
            await until(vehicle, lambda state: True)
            flying.stop()
            with pytest.raises(LinkError, match=r"(no position|silent) for 0\.5 s"):
                await until(vehicle, lambda state: False)
            with pytest.raises(LinkError):
                await vehicle.hold()


async def test_a_vehicle_that_lacks_something_says_what() -> None:
    with fleet((0, 0), speed=1.0) as (_, [port]):
        async with connected(port) as vehicle:
            with pytest.raises(VehicleRefused, match=r"it lacks .*checks before arming"):
                await vehicle.ready(0.1)


async def test_closing_twice_and_asking_afterwards() -> None:
    with fleet((0, 0)) as (_, [port]):
        async with connected(port) as vehicle:
            await vehicle.close()
            with pytest.raises(LinkError, match="not connected"):
                await vehicle.arm()
    await Px4Vehicle("udpin://127.0.0.1:1").close()


async def test_cancelled_while_it_loads_it_closes_cleanly() -> None:
    with fleet((0, 0)) as (_, [port]):
        async with connected(port) as vehicle:
            await vehicle.ready(10.0)
            loading = asyncio.create_task(vehicle.load(ROAD))
            await asyncio.sleep(0.02)
            loading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await loading


async def test_load_needs_a_home() -> None:
    with pytest.raises(VehicleRefused, match=r"needs ready\(\) first"):
        await Px4Vehicle("udpin://127.0.0.1:1").load(ROAD)


def test_texts_in_pieces_are_put_together() -> None:
    words = Words()
    whole = "Geofence invalid, doesn't contain Home position " + "x" * 20
    with words.listening() as heard:
        for seq in range(2):
            words.hear({"id": 7, "chunk_seq": seq, "severity": 2, "text": whole[seq * 50 : seq * 50 + 50]})
    words.hear({"id": 0, "chunk_seq": 0, "severity": 6, "text": "Takeoff detected\t"})
    words.hear({"id": 8, "chunk_seq": 0, "severity": 6, "text": "y" * 50})
    words.hear({"id": 0, "chunk_seq": 0, "severity": 6, "text": "its end was lost"})
    assert words.said == [whole, "Takeoff detected", "y" * 50, "its end was lost"]
    assert heard == [whole]


def test_modes_of_px4() -> None:
    vehicle = Px4Vehicle("udpin://nowhere")
    for custom, name in ((0x04040000, "MISSION"), (0x03040000, "HOLD"), (0x05040000, "RTL"), (0x00030000, "OTHER")):
        vehicle._link.latest["HEARTBEAT"] = {"custom_mode": custom, "base_mode": 157}
        assert (vehicle._mode(), vehicle._armed()) == (name, True)
