"""Ports, streams, clocks, parameters, and vehicles in a thread."""

from __future__ import annotations

import itertools
import socket
import struct
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymavlink.dialects.v20 import common as mavlink

from sims.params import DEFAULTS, Parameters, UnknownParameter, WrongType
from sims.vehicle import Fleet, SimVehicle, VehicleConfig, run_fleet, side_by_side
from tests.sims.bench import CONFIG, GROUND, LAT, LON, Bench


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


@pytest.fixture
def listener():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.settimeout(10.0)
        yield one


def hear(listener: socket.socket, enough) -> list:
    """Receive until ``enough(messages)``; gives up after 20 s of wall time."""
    codec, messages, end_s = mavlink.MAVLink(None), [], time.monotonic() + 20.0
    while not enough(messages):
        assert time.monotonic() < end_s, f"heard only {len(messages)} messages"
        data, _ = listener.recvfrom(65535)
        messages.extend(codec.parse_buffer(data) or ())
    return messages


def test_streams_go_to_the_peer_from_the_start_and_answers_to_whoever_asks(bench: Bench):
    bench.run(1.0)
    assert bench.heard("HEARTBEAT")[0].get_srcSystem() == 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        other.settimeout(1.0)
        codec = mavlink.MAVLink(None, srcSystem=77, srcComponent=1)
        ask = mavlink.MAVLink_param_request_read_message(1, 1, b"RTL_TYPE", -1)
        other.sendto(ask.pack(codec), ("127.0.0.1", bench.vehicle.link.port))
        bench.run(1.0)
        answers = codec.parse_buffer(other.recv(65535))
        assert [answer.get_type() for answer in answers] == ["PARAM_VALUE"]
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.recv(65535)


def test_only_messages_for_this_vehicle_count(bench: Bench):
    bench.ready()
    bench.send(mavlink.MAVLink_command_long_message(9, 1, mavlink.MAV_CMD_COMPONENT_ARM_DISARM, 0, 1, 0, 0, 0, 0, 0, 0))
    bench.run(0.2)
    assert bench.heard("COMMAND_ACK") == []
    assert not bench.vehicle.state.armed


def test_garbage_is_survived(bench: Bench):
    bench.ready()
    for garbage in (b"", b"\xfd", b"\xfd" * 300, bytes(range(256)), b"\xfe\x09\x00"):
        bench.socket.sendto(garbage, ("127.0.0.1", bench.vehicle.link.port))
    bench.run(0.5)
    assert bench.command(mavlink.MAV_CMD_REQUEST_MESSAGE, 148) == [0]


def test_time_stamps_are_simulated_time(bench: Bench):
    bench.run(5.0)
    clock = bench.last("SYSTEM_TIME")
    assert clock.time_unix_usec / 1e6 == pytest.approx(1_800_000_000.0 + clock.time_boot_ms / 1e3, abs=1e-3)
    beats = [at_s for at_s, message in bench.log if message.get_type() == "HEARTBEAT"]
    assert [b - a for a, b in itertools.pairwise(beats)] == pytest.approx([1.0] * (len(beats) - 1), abs=0.03)


def test_rates_can_be_changed_but_not_the_heartbeats(bench: Bench):
    bench.ready()
    interval = mavlink.MAV_CMD_SET_MESSAGE_INTERVAL
    assert bench.command(interval, mavlink.MAVLINK_MSG_ID_GLOBAL_POSITION_INT, 100_000) == [0]
    assert bench.command(interval, mavlink.MAVLINK_MSG_ID_ATTITUDE, -1) == [0]
    assert bench.command(interval, mavlink.MAVLINK_MSG_ID_HEARTBEAT, 100_000) == [mavlink.MAV_RESULT_FAILED]
    assert bench.command(interval, 61234, 100_000) == [mavlink.MAV_RESULT_FAILED]
    start_s = bench.now_s
    bench.run(2.0)
    assert len(bench.heard("GLOBAL_POSITION_INT", start_s)) == pytest.approx(20, abs=1)
    assert bench.heard("ATTITUDE", start_s) == []
    bench.command(interval, mavlink.MAVLINK_MSG_ID_ATTITUDE, 0)
    bench.command(mavlink.MAV_CMD_GET_MESSAGE_INTERVAL, mavlink.MAVLINK_MSG_ID_ATTITUDE)
    assert bench.last("MESSAGE_INTERVAL").interval_us == 500_000


def test_messages_on_request(bench: Bench):
    bench.ready()
    bench.command(mavlink.MAV_CMD_REQUEST_MESSAGE, mavlink.MAVLINK_MSG_ID_AUTOPILOT_VERSION)
    capabilities = bench.last("AUTOPILOT_VERSION").capabilities
    for capability in ("MISSION_INT", "MISSION_FENCE", "MISSION_RALLY", "PARAM_ENCODE_BYTEWISE", "MAVLINK2"):
        assert capabilities & getattr(mavlink, f"MAV_PROTOCOL_CAPABILITY_{capability}")
    assert bench.command(mavlink.MAV_CMD_GET_HOME_POSITION) == [0]
    home = bench.last("HOME_POSITION")
    assert (home.longitude / 1e7, home.latitude / 1e7) == pytest.approx((LON, LAT), abs=1e-6)
    assert home.altitude / 1e3 == pytest.approx(GROUND, abs=0.01)
    assert bench.command(mavlink.MAV_CMD_REQUEST_MESSAGE, 61234) == [mavlink.MAV_RESULT_DENIED]
    bench.command(mavlink.MAV_CMD_REQUEST_MESSAGE, mavlink.MAVLINK_MSG_ID_ATTITUDE_QUATERNION)
    assert bench.last("ATTITUDE_QUATERNION").q1 == pytest.approx(1.0)
    bench.send(mavlink.MAVLink_timesync_message(0, 4711))
    bench.run(0.1)
    assert bench.last("TIMESYNC").ts1 == 4711


def test_the_old_set_mode_message(bench: Bench):
    bench.airborne()
    bench.send(mavlink.MAVLink_set_mode_message(1, 1, 6 << 24 | 4 << 16))
    bench.run(0.2)
    assert bench.mode == "LAND"


# --- parameters


def test_parameters_are_listed_read_and_written(bench: Bench):
    bench.send(mavlink.MAVLink_param_request_list_message(1, 1))
    bench.run(0.2)
    values = bench.heard("PARAM_VALUE")
    assert [value.param_id for value in values] == sorted(DEFAULTS)
    assert {value.param_count for value in values} == {len(DEFAULTS)}
    # An int32 travels as its four bytes.
    wire = struct.unpack("<f", struct.pack("<i", 2))[0]
    bench.send(mavlink.MAVLink_param_set_message(1, 1, b"NAV_DLL_ACT", wire, mavlink.MAV_PARAM_TYPE_INT32))
    bench.send(mavlink.MAVLink_param_set_message(1, 1, b"RTL_RETURN_ALT", 55.5, mavlink.MAV_PARAM_TYPE_REAL32))
    bench.run(0.1)
    assert bench.vehicle.params["NAV_DLL_ACT"] == 2
    assert bench.vehicle.params["RTL_RETURN_ALT"] == 55.5
    assert bench.last("PARAM_VALUE").param_value == 55.5


def test_unknown_parameters_and_wrong_types_are_refused(bench: Bench):
    bench.send(mavlink.MAVLink_param_request_read_message(1, 1, b"NO_SUCH", -1))
    bench.send(mavlink.MAVLink_param_request_read_message(1, 1, b"", 999))
    bench.send(mavlink.MAVLink_param_set_message(1, 1, b"RTL_TYPE", 2.0, mavlink.MAV_PARAM_TYPE_REAL32))
    bench.run(0.1)
    assert [error.error for error in bench.heard("PARAM_ERROR")] == [1, 1, 7]
    assert bench.heard("PARAM_VALUE") == []
    assert bench.vehicle.params["RTL_TYPE"] == 0


# Outside this range the four bytes are those of a signalling NaN, which Python cannot carry in a float.
@settings(max_examples=40, deadline=None)
@given(st.integers(-(2**22), 2139095040), st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_values_survive_the_wire(whole: int, real: float):
    params = Parameters()
    for name, value in (("RTL_TYPE", whole), ("RTL_RETURN_ALT", real)):
        params.write(name, value)
        carried = struct.unpack("<f", struct.pack("<f", params.wire(name)))[0]
        other = Parameters()
        other.write_wire(name, carried, other.kind(name))
        assert other[name] == value


def test_overrides_must_be_known_and_of_the_right_kind():
    assert Parameters({"RTL_RETURN_ALT": 40})["RTL_RETURN_ALT"] == 40.0
    with pytest.raises(UnknownParameter):
        Parameters({"RTL_RETURN_ALTITUDE": 40})
    with pytest.raises(WrongType):
        Parameters().write("RTL_TYPE", 1.0)


# --- fleets


def test_ports_are_px4s(monkeypatch: pytest.MonkeyPatch):
    local, peer = 40000, 41000
    monkeypatch.setattr("sims.vehicle.PORTS", (local, peer))
    opened = []
    monkeypatch.setattr("sims.vehicle.UdpLink", lambda port, to, system: opened.append((port, to, system)))
    for instance in (0, 3, 9, 12):
        with pytest.raises(AttributeError):  # there is no link to go on with
            SimVehicle(VehicleConfig(LON, LAT, GROUND, instance=instance))
    assert opened == [(local, peer, 1), (local + 3, peer + 3, 4), (local + 9, peer + 9, 10), (local + 12, peer + 9, 13)]


def test_two_vehicles_in_a_thread(listener: socket.socket):
    port = listener.getsockname()[1]
    configs = [VehicleConfig(LON, LAT, GROUND, instance=n, ports=(0, port), start_utc_s=0.0) for n in range(2)]
    with Fleet(configs, speed=20.0) as fleet:
        heard = hear(listener, lambda messages: sum(m.get_type() == "HEARTBEAT" for m in messages) >= 8)
    assert {message.get_srcSystem() for message in heard} == {1, 2}
    assert all(vehicle.link.socket.fileno() == -1 for vehicle in fleet.vehicles)
    assert all(vehicle.state.now_s >= 3.0 for vehicle in fleet.vehicles)
    fleet.stop()  # a second time does no harm


def test_a_failure_in_the_thread_comes_out_where_it_is_stopped(listener: socket.socket, caplog):
    def no_ground(lon: float, lat: float) -> float:
        if threading.current_thread().name == "sims.Fleet":
            raise ZeroDivisionError("no ground here")
        return GROUND

    config = VehicleConfig(LON, LAT, GROUND, ports=(0, listener.getsockname()[1]), ground_amsl=no_ground)
    fleet = Fleet([config], speed=10.0).start()
    fleet._thread.join(20.0)
    with pytest.raises(ZeroDivisionError, match="no ground here"):
        fleet.stop()
    assert "the simulated vehicles stopped" in caplog.text


def test_a_port_that_is_taken_is_named_and_leaves_nothing_open(listener: socket.socket):
    port = listener.getsockname()[1]
    first = VehicleConfig(LON, LAT, GROUND, ports=(0, 9))
    with pytest.raises(OSError, match=f"UDP port {port} .* is taken"):
        Fleet([first, VehicleConfig(LON, LAT, GROUND, ports=(port, 9))])
    with pytest.raises(ValueError, match="speed must be positive"):
        Fleet([first], speed=0.0)


def test_instances_side_by_side(listener: socket.socket, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sims.vehicle.PORTS", (free_ports(1)[0], listener.getsockname()[1]))
    monkeypatch.setattr("sims.vehicle._SHARED_PEER_AFTER", 0)
    with Fleet(side_by_side(VehicleConfig(LON, LAT, GROUND, start_utc_s=0.0), 2), speed=20.0):
        heard = hear(
            listener,
            lambda messages: len({m.get_srcSystem() for m in messages if m.get_type() == "GLOBAL_POSITION_INT"}) == 2,
        )
    longitudes = {m.get_srcSystem(): m.lon / 1e7 for m in heard if m.get_type() == "GLOBAL_POSITION_INT"}
    assert longitudes[2] - longitudes[1] == pytest.approx(0.0002, abs=2e-5)


def test_simulated_time_does_not_jump_where_the_machine_is_slow(monkeypatch: pytest.MonkeyPatch):
    vehicle = SimVehicle(VehicleConfig(LON, LAT, GROUND, ports=(0, 9)))
    stop, clock = threading.Event(), iter([0.0, 0.0, 0.0, 100.0, 100.0, 100.0, 100.0])

    def monotonic() -> float:
        try:
            return next(clock)
        except StopIteration:
            stop.set()
            return 100.0

    monkeypatch.setattr("sims.vehicle.time.monotonic", monotonic)
    monkeypatch.setattr("sims.vehicle.select.select", lambda *_: None)
    try:
        run_fleet([vehicle], 1.0, stop)
    finally:
        vehicle.close()
    assert vehicle.state.now_s < 1.0


def test_the_same_seed_flies_the_same_way(make_bench):
    tracks = []
    for seed in (4, 4, 5):
        bench = make_bench(seed=seed, wind_m_s=(3.0, 2.0))
        bench.flying(bench.mission([(0, 30)]))
        bench.run(20.0)
        tracks.append([position for _, position in bench.positions])
    assert tracks[0] == tracks[1]
    assert tracks[0] != tracks[2]
    assert CONFIG.seed == 7
