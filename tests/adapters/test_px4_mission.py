"""A sky road in the words of PX4, and whether a polygon can hold it. No vehicle here."""

from __future__ import annotations

import dataclasses
import math

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from utm.adapters.px4 import fence, mission
from utm.adapters.px4.mission import Item
from utm.errors import VehicleRefused
from utm.model import Datum, Leg, SkyRoad, Waypoint


def place(lon: float, lat: float, height: float) -> Waypoint:
    return Waypoint(lon, lat, height, Datum.AMSL)


ROAD = SkyRoad(
    intent_id="medicine",
    depart_s=1893456000.0,
    pad=place(136.315, 36.305, 30.0),
    takeoff_amsl_m=90.0,
    legs=(
        Leg(place(136.317, 36.305, 90.0), 10.0),
        Leg(place(136.317, 36.307, 100.5), 10.0),
        Leg(place(136.318, 36.307, 100.5), 6.0),
    ),
    land=place(136.318, 36.307, 32.0),
    fence_deg=((136.3145, 36.3045), (136.3185, 36.3045), (136.3185, 36.3075), (136.3145, 36.3075)),
    ceiling_amsl_m=110.6,
)
HOME = place(136.315002, 36.305001, 30.4)


def test_the_mission_item_by_item() -> None:
    items = mission.mission_items(ROAD)
    assert [item.command for item in items] == [22, 16, 178, 16, 16, 178, 16, 189, 21]
    assert [item.z for item in items if item.frame == mission.FRAME_GLOBAL_INT] == [35, 90, 90, 100.5, 100.5, 32]
    assert [item.params[:3] for item in items if item.command == 178] == [(1, 10, -1), (1, 6, -1)]
    assert (items[0].x, items[0].y) == (363050000, 1363150000)
    assert all(item.frame == mission.FRAME_MISSION for item in items if item.command in (178, 189))
    assert all(item.mission_type == mission.MISSION for item in items)


def test_it_stops_where_the_height_changes_and_rolls_through_other_corners() -> None:
    step = (
        Leg(place(136.317, 36.305, 90.0), 10.0),
        Leg(place(136.317, 36.305, 102.0), 10.0),
        Leg(place(136.317, 36.306, 102.0), 10.0),
        Leg(place(136.318, 36.307, 102.0), 10.0),
    )
    ways = [item for item in mission.mission_items(dataclasses.replace(ROAD, legs=step)) if item.command == 16]
    # Top of the take-off column, before and after the step, a plain corner, above the landing pad.
    stop = mission.STOP_S
    assert [item.params[0] for item in ways] == [stop, stop, stop, 0.0, stop]
    assert {item.params[1] for item in ways} == {mission.CORNER_RADIUS_M}


def test_a_low_take_off_needs_no_second_climb() -> None:
    low = dataclasses.replace(ROAD, takeoff_amsl_m=33.0)
    assert [item.command for item in mission.mission_items(low)][:3] == [22, 178, 16]
    assert mission.mission_items(low)[0].z == 33.0


def test_the_fence_is_one_polygon() -> None:
    items = mission.fence_items(ROAD)
    assert {item.command for item in items} == {5001}
    assert {item.params[0] for item in items} == {4.0}
    assert [(item.y, item.x) for item in items] == [fence.to_e7(*corner) for corner in ROAD.fence_deg]
    assert {item.mission_type for item in items} == {mission.FENCE}


def test_failsafes_keep_to_what_was_cleared() -> None:
    parameters = mission.failsafe_parameters(ROAD, HOME)
    assert parameters["GF_ACTION"] == 2
    assert parameters["GF_MAX_VER_DIST"] == 81.0  # 110.6 - 30.4 = 80.2, up
    assert parameters["RTL_TYPE"] == 4
    assert parameters["RTL_RETURN_ALT"] == 71.0  # 100.5 - 30.4 = 70.1, up
    assert parameters["NAV_DLL_ACT"] == 0
    assert parameters["COM_LOW_BAT_ACT"] == 3
    # PX4 has them as FLOAT, the others as INT32; a wrong type is refused.
    floats = {name for name, value in parameters.items() if isinstance(value, float)}
    assert floats == {"GF_MAX_VER_DIST", "NAV_MC_ALT_RAD", "RTL_RETURN_ALT"}
    # Half of the height that a corridor has on either side.
    assert parameters["NAV_MC_ALT_RAD"] == 5.0


def test_a_good_road_passes() -> None:
    mission.check_road(ROAD, HOME)


far = place(136.3152, 36.305, 30.0)
bow_tie = tuple(ROAD.fence_deg[i] for i in (0, 2, 1, 3))
l_shape = (
    (136.3145, 36.3045),
    (136.3185, 36.3045),
    (136.3185, 36.3075),
    (136.3165, 36.3075),
    (136.3165, 36.3055),
    (136.3145, 36.3055),
)
cuts_corner = dataclasses.replace(
    ROAD, fence_deg=l_shape, legs=(Leg(place(136.3166, 36.3074, 90.0), 10.0), Leg(ROAD.legs[2].to, 10.0))
)


@pytest.mark.parametrize(
    ("road", "home", "words"),
    [
        (ROAD, far, r"stands 17\.9 m from its pad"),
        (ROAD, place(136.315, 36.305, 36.0), r"\+6\.0 m above it"),
        (ROAD, dataclasses.replace(HOME, datum=Datum.WGS84), "AMSL"),
        (dataclasses.replace(ROAD, legs=()), HOME, "without legs"),
        (dataclasses.replace(ROAD, legs=(Leg(ROAD.legs[0].to, 0.0),)), HOME, "speed must be greater than 0"),
        (dataclasses.replace(ROAD, takeoff_amsl_m=math.nan), HOME, "not a finite number"),
        (dataclasses.replace(ROAD, ceiling_amsl_m=100.0), HOME, "climbs to 100.5 m, above its ceiling"),
        (dataclasses.replace(ROAD, fence_deg=ROAD.fence_deg[:2]), HOME, "needs 3 corners or more"),
        (dataclasses.replace(ROAD, fence_deg=bow_tie), HOME, "crosses itself"),
        (dataclasses.replace(ROAD, fence_deg=(*ROAD.fence_deg, ROAD.fence_deg[0])), HOME, "same corner twice"),
        (
            dataclasses.replace(
                ROAD,
                fence_deg=tuple(
                    (136.3165 + 0.003 * math.cos(a / 65 * 2 * math.pi), 36.306 + 0.003 * math.sin(a / 65 * 2 * math.pi))
                    for a in range(65)
                ),
            ),
            HOME,
            "has 65 corners and the vehicle takes 64",
        ),
        (
            dataclasses.replace(ROAD, fence_deg=tuple((lon + 0.0008, lat) for lon, lat in ROAD.fence_deg)),
            HOME,
            "does not contain home",
        ),
        (
            dataclasses.replace(ROAD, fence_deg=tuple((lon, lat - 0.0003) for lon, lat in ROAD.fence_deg)),
            HOME,
            None,
        ),
        (
            dataclasses.replace(ROAD, fence_deg=tuple((lon, lat - 0.0006) for lon, lat in ROAD.fence_deg)),
            HOME,
            "does not contain leg 2",
        ),
        (cuts_corner, HOME, "does not contain leg 1"),
    ],
)
def test_a_bad_road_is_refused_in_words(road: SkyRoad, home: Waypoint, words: str | None) -> None:
    if words is None:
        mission.check_road(road, home)
        return
    with pytest.raises(VehicleRefused, match=words):
        mission.check_road(road, home)


def test_what_comes_back_is_compared() -> None:
    sent = mission.mission_items(ROAD)
    # As PX4 gives it back: no parameters on the take-off, heights as float32.
    back = list(sent)
    back[0] = back[0]._replace(params=(0.0, 0.0, 0.0, math.nan))
    back[4] = back[4]._replace(z=back[4].z + 0.004, x=back[4].x + 1)
    assert mission.difference(sent, back) is None
    assert "9 items were sent and 8 came back" in mission.difference(sent, back[:-1])
    for number, change, words in (
        (3, {"x": sent[3].x + 2}, "came back"),
        (3, {"z": sent[3].z + 0.02}, "came back"),
        (3, {"z": math.nan}, "came back"),
        (3, {"command": 17}, "command 16 was sent and 17"),
        (3, {"frame": 6}, "frame 5 was sent and 6"),
        (2, {"params": (1.0, 9.0, -1.0, 0.0)}, "parameter 2 10 came back as 9"),
    ):
        wrong = list(sent)
        wrong[number] = wrong[number]._replace(**change)
        assert words in mission.difference(sent, wrong)
        assert f"item {number}" in mission.difference(sent, wrong)
    corners = mission.fence_items(ROAD)
    assert mission.difference(corners, [item._replace(frame=5) for item in corners]) is None
    assert mission.difference(corners, [Item(*corners[1]), *corners[1:]]) is not None


@pytest.mark.parametrize(
    "said",
    [
        "Geofence invalid, doesn't contain Home position",
        "Geofence invalid, doesn't contain current vehicle position",
        "Geofence requires valid home position",
        "Geofence violation for waypoint 3",
        "Mission rejected: takeoff not first waypoint item",
        "First waypoint far away from home: 1200m. Correct mission loaded?",
        "No valid mission available, refusing takeoff",
    ],
)
def test_words_that_refuse(said: str) -> None:
    assert mission.refusals(["Armed by external command", said]) == (said,)


def test_words_that_do_not() -> None:
    said = [
        "Preflight Fail: no heading reference",
        "GCS connection regained",
        "[logger] ./log/1.ulg",
        "Takeoff detected",
    ]
    assert mission.refusals(said) == ()


points = st.tuples(st.integers(-12, 12), st.integers(-12, 12))


@given(a=points, b=points, c=points, d=points)
def test_segments_touch_as_shapely_says(a: tuple, b: tuple, c: tuple, d: tuple) -> None:
    one, other = (
        shapely.LineString(ends) if ends[0] != ends[1] else shapely.Point(ends[0]) for ends in ((a, b), (c, d))
    )
    assert fence.segments_touch(a, b, c, d) == one.intersects(other)


@given(corners=st.lists(points, min_size=3, max_size=9), where=points, to=points)
def test_polygons_as_shapely_says(corners: list, where: tuple, to: tuple) -> None:
    distinct = len(set(corners)) == len(corners)
    polygon = shapely.Polygon(corners)
    spikes = any(
        shapely.LineString([a, b]).intersection(shapely.LineString([b, c])).length > 0
        for a, b, c in zip(corners, corners[1:] + corners[:1], corners[2:] + corners[:2], strict=True)
    )
    good = distinct and polygon.is_valid and polygon.area > 0 and not spikes
    assert (fence.shape_fault(corners) is None) == good
    if good:
        assert fence.contains(corners, where) == polygon.contains(shapely.Point(where))
        inside = (
            polygon.contains_properly(shapely.LineString([where, to])) if where != to else fence.contains(corners, to)
        )
        assert fence.contains_leg(corners, where, to) == inside


def test_distance() -> None:
    assert mission.distance_m(place(136.0, 36.0, 0), place(136.0, 36.001, 0)) == pytest.approx(111.0, abs=0.6)
    assert mission.distance_m(place(180.0, 0, 0), place(-180.0, 0, 0)) == pytest.approx(0, abs=1e-6)


def test_every_height_datum_is_checked() -> None:
    for name in ("pad", "land"):
        wrong = dataclasses.replace(getattr(ROAD, name), datum=Datum.JGD2011)
        with pytest.raises(VehicleRefused, match="AMSL"):
            mission.check_road(dataclasses.replace(ROAD, **{name: wrong}), HOME)
