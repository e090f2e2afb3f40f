"""The mission protocol seen from the ground station: whole or not at all, lost and doubled messages, refusals."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymavlink.dialects.v20 import common as mavlink

from sims.mission import FENCE, MISSION, RALLY, identity, take_in
from tests.sims.bench import NAN, Bench, square


def comparable(items: list[Any]) -> list[tuple]:
    return [
        (
            item.command,
            item.frame,
            item.x,
            item.y,
            item.z,
            *(str(float(p)) for p in (item.param1, item.param2, item.param4)),
        )
        for item in items
    ]


def test_a_mission_is_read_back_as_it_was_sent(bench: Bench):
    bench.ready()
    items = bench.mission([(0, 40), (40, 40)])
    items[0].param4 = NAN
    assert bench.upload(items) == mavlink.MAV_MISSION_ACCEPTED
    assert comparable(bench.download()) == comparable(items)


def test_fence_and_rally_are_read_back_to_the_last_digit(bench: Bench):
    bench.ready()
    fence = bench.polygon(square(77.7))
    rally = [bench.item(n, mavlink.MAV_CMD_NAV_RALLY_POINT, 5 * n, 9, 3.0, kind=RALLY) for n in range(8)]
    for sent, kind in ((fence, FENCE), (rally, RALLY)):
        assert bench.upload(sent, kind) == mavlink.MAV_MISSION_ACCEPTED
        assert [(i.x, i.y) for i in bench.download(kind)] == [(i.x, i.y) for i in sent]
    # PX4 forgets in which frame a fence's heights were given, and its heights mean nothing.
    assert {item.frame for item in bench.download(FENCE)} == {mavlink.MAV_FRAME_GLOBAL_INT}
    assert bench.upload([*rally, rally[0]], RALLY) == mavlink.MAV_MISSION_NO_SPACE


def test_a_lost_item_is_asked_for_again_and_a_doubled_one_does_no_harm(bench: Bench):
    bench.ready()
    items = bench.mission([(0, 40), (40, 40)])
    bench.send(mavlink.MAVLink_mission_count_message(1, 1, len(items), MISSION))
    bench.run(0.1)
    bench.run(0.6)  # the first request is left unanswered
    requests = bench.heard("MISSION_REQUEST_INT")
    assert [request.seq for request in requests] == [0, 0, 0]
    for item in (items[0], items[0], items[2], *items[1:]):
        bench.send(item)
    bench.run(0.1)
    assert bench.last("MISSION_ACK").type == mavlink.MAV_MISSION_ACCEPTED
    assert [item.command for item in bench.vehicle.missions.lists[MISSION]] == [item.command for item in items]
    bench.send(items[-1])  # the acknowledgement was lost: the ground station repeats itself
    bench.run(0.1)
    assert [ack.type for ack in bench.heard("MISSION_ACK")] == [0, 0]


def test_an_upload_that_dies_leaves_the_old_list(make_bench):
    bench = make_bench(transfer_timeout_s=1.0)
    bench.ready()
    old = bench.mission([(0, 40)])
    bench.upload(old)
    bench.send(mavlink.MAVLink_mission_count_message(1, 1, 9, MISSION))
    bench.send(old[0])
    bench.run(2.0)
    assert bench.said("Mission sync timeout")
    assert len(bench.download()) == len(old)


def test_a_ground_station_may_cancel(bench: Bench):
    bench.ready()
    bench.send(mavlink.MAVLink_mission_count_message(1, 1, 9, MISSION))
    bench.run(0.1)
    assert bench.vehicle.missions.busy
    bench.send(mavlink.MAVLink_mission_ack_message(1, 1, mavlink.MAV_MISSION_OPERATION_CANCELLED, MISSION))
    bench.run(0.1)
    assert not bench.vehicle.missions.busy


def test_a_second_upload_meanwhile_is_refused(bench: Bench):
    bench.ready()
    items = bench.mission([(0, 40)])
    bench.send(mavlink.MAVLink_mission_count_message(1, 1, len(items), MISSION))
    bench.send(items[0])
    bench.run(0.1)
    bench.send(mavlink.MAVLink_mission_count_message(1, 1, 4, FENCE))
    bench.run(0.1)
    assert bench.last("MISSION_ACK").type == mavlink.MAV_MISSION_ERROR
    assert bench.last("MISSION_ACK").mission_type == FENCE


@pytest.mark.parametrize("kind", [MISSION, FENCE, RALLY, mavlink.MAV_MISSION_TYPE_ALL])
def test_clearing(bench: Bench, kind: int):
    bench.ready()
    bench.upload(bench.mission([(0, 40)]))
    bench.upload(bench.polygon(square(100)), FENCE)
    bench.upload([bench.item(0, mavlink.MAV_CMD_NAV_RALLY_POINT, 5, 9, 3.0, kind=RALLY)], RALLY)
    bench.run(1.0)
    bench.send(mavlink.MAVLink_mission_clear_all_message(1, 1, kind))
    bench.run(0.1)
    assert bench.last("MISSION_ACK").type == mavlink.MAV_MISSION_ACCEPTED
    for one in (MISSION, FENCE, RALLY):
        assert (bench.download(one) == []) == (kind in (one, mavlink.MAV_MISSION_TYPE_ALL))
    bench.run(1.0)
    assert bench.vehicle.autopilot.in_force.mission_valid == (kind in (FENCE, RALLY))


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ({"frame": mavlink.MAV_FRAME_LOCAL_NED}, mavlink.MAV_MISSION_UNSUPPORTED_FRAME),
        ({"frame": mavlink.MAV_FRAME_GLOBAL_TERRAIN_ALT}, mavlink.MAV_MISSION_UNSUPPORTED_FRAME),
        ({"command": mavlink.MAV_CMD_NAV_SPLINE_WAYPOINT}, mavlink.MAV_MISSION_UNSUPPORTED),
        ({"command": mavlink.MAV_CMD_NAV_FENCE_CIRCLE_INCLUSION}, mavlink.MAV_MISSION_UNSUPPORTED),
        # PX4 takes a speed only with MAV_FRAME_MISSION, and a place only without it.
        ({"command": mavlink.MAV_CMD_DO_CHANGE_SPEED}, mavlink.MAV_MISSION_UNSUPPORTED),
        ({"frame": mavlink.MAV_FRAME_MISSION}, mavlink.MAV_MISSION_UNSUPPORTED),
        ({"x": 950000000}, mavlink.MAV_MISSION_INVALID_PARAM5_X),
        ({"y": 1850000000}, mavlink.MAV_MISSION_INVALID_PARAM6_Y),
        ({"z": math.nan}, mavlink.MAV_MISSION_INVALID_PARAM7),
    ],
)
def test_items_that_px4_cannot_read_are_refused_at_once(bench: Bench, change: dict[str, Any], result: int):
    bench.ready()
    items = bench.mission([(0, 40)])
    for name, value in change.items():
        setattr(items[2], name, value)
    assert bench.upload(items) == result
    assert bench.said("IGN MISSION_ITEM: Invalid item")
    assert bench.vehicle.missions.lists[MISSION] == []


def test_the_old_float_items_are_understood(bench: Bench):
    bench.ready()
    lon, lat = bench.place(0, 40)
    bench.send(mavlink.MAVLink_mission_count_message(1, 1, 1, MISSION))
    bench.run(0.1)
    bench.send(mavlink.MAVLink_mission_item_message(1, 1, 0, 3, 16, 0, 1, 0, 0, 0, 0, lat, lon, 20.0, MISSION))
    bench.run(0.1)
    assert bench.last("MISSION_ACK").type == mavlink.MAV_MISSION_ACCEPTED
    stored = bench.vehicle.missions.lists[MISSION][0]
    assert stored.lat_deg == pytest.approx(lat, abs=1e-5)  # float32
    bench.send(mavlink.MAVLink_mission_request_list_message(1, 1, MISSION))
    bench.run(0.1)
    bench.send(mavlink.MAVLink_mission_request_message(1, 1, 0, MISSION))
    bench.run(0.1)
    assert bench.last("MISSION_ITEM").x == pytest.approx(lat, abs=1e-5)


def test_a_download_that_asks_out_of_turn_is_ended(bench: Bench):
    bench.ready()
    bench.upload(bench.mission([(0, 40), (40, 40)]))
    bench.send(mavlink.MAVLink_mission_request_list_message(1, 1, MISSION))
    bench.run(0.1)
    bench.send(mavlink.MAVLink_mission_request_int_message(1, 1, 3, MISSION))
    bench.run(0.1)
    assert bench.last("MISSION_ACK").type == mavlink.MAV_MISSION_ERROR


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda b: [b.item(0, 21, 0, 0, 0.0)], "Mission rejected: starts with landing"),
        (lambda b: [b.item(0, 22, 0, 0, -1.0)], "Mission rejected: Takeoff altitude below home altitude!"),
        (
            lambda b: [b.item(0, 16, 0, 9, 9.0), b.item(1, 22, 0, 0, 9.0)],
            "Mission rejected: takeoff not first waypoint item",
        ),
    ],
)
def test_missions_that_are_stored_and_then_found_unfit(bench: Bench, wrong: Any, text: str):
    bench.ready()
    assert bench.upload(wrong(bench)) == mavlink.MAV_MISSION_ACCEPTED
    bench.until(lambda: bench.said(text), 1.0)
    assert not bench.vehicle.autopilot.in_force.mission_valid


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([mavlink.MAV_CMD_NAV_TAKEOFF, mavlink.MAV_CMD_NAV_WAYPOINT, mavlink.MAV_CMD_NAV_LAND]),
    st.sampled_from([5, 6]),
    st.integers(-900000000, 900000000),
    st.integers(-1800000000, 1800000000),
    st.floats(-1000, 9000, width=32),
    st.floats(0, 1000, width=32),
)
def test_what_is_taken_in_keeps_its_place(command: int, frame: int, x: int, y: int, z: float, radius: float):
    message = mavlink.MAVLink_mission_item_int_message(
        1, 1, 0, frame, command, 0, 1, 0, radius, 0, NAN, x, y, z, MISSION
    )
    item, result = take_in(message, MISSION)
    assert item is not None
    assert result == mavlink.MAV_MISSION_ACCEPTED
    assert (item.x, item.y, item.z, item.frame) == (x, y, z, frame)
    assert item.amsl_m(100.0) == (z if frame == 5 else z + 100.0)
    assert identity([item]) == identity([take_in(message, MISSION)[0]])
    assert identity([item]) != identity([item, item])
