"""From a granted corridor to what an autopilot is sent."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ops.made import KAGA, QUAD, START_S, intent
from utm.errors import CannotFly
from utm.frames import LocalFrame
from utm.model import Corridor, Datum, OperationalIntent, SkyRoad, Trajectory
from utm.ops.road import sky_road

WAY = [(500, 500, 20), (500, 500, 70), (800, 500, 70), (800, 900, 80), (1500, 900, 80), (1500, 900, 25)]


def fence_on_map(road: SkyRoad, frame: LocalFrame) -> shapely.Polygon:
    """The fence as the autopilot reads it: edges straight in degrees."""
    ring = shapely.LinearRing(road.fence_deg).segmentize(0.0005)
    return shapely.Polygon(np.column_stack(frame.to_map(*np.array(ring.coords).T)))


def check_fence(made: OperationalIntent, road: SkyRoad, frame: LocalFrame = KAGA) -> None:
    line = shapely.LineString(made.corridor.centre_line.enu_m[:, :2])
    fence, half = fence_on_map(road, frame), made.corridor.half_width_m
    assert 3 <= len(road.fence_deg) <= 64
    assert shapely.Polygon(road.fence_deg).is_valid
    assert fence.is_valid
    assert line.buffer(half, quad_segs=128).covers(fence)
    assert fence.contains(line)
    assert fence.exterior.distance(line) >= 0.5 * half - 1e-9
    corners = np.array(road.fence_deg)
    assert np.array_equal(corners, np.round(corners, 7))
    assert len(np.unique(corners, axis=0)) == len(corners)


def test_only_real_corners_become_waypoints() -> None:
    made = intent(WAY)
    assert len(made.corridor.centre_line.t_s) > 15  # the planner's knots, where the speed changes
    road = sky_road(made, KAGA)
    east, north = KAGA.to_map([leg.to.lon_deg for leg in road.legs], [leg.to.lat_deg for leg in road.legs])
    assert np.column_stack([east, north]) == pytest.approx(np.array(WAY)[2:5, :2], abs=1e-6)
    assert [leg.speed_m_s for leg in road.legs] == pytest.approx([10.0, 10.0, 10.0])
    assert road.depart_s == START_S
    check_fence(made, road)


def test_heights_are_above_mean_sea_level_in_absolute_numbers() -> None:
    """GSIGEO2011 lies 0.58 m above EGM96 at Kaga: the same point is 0.58 m higher above EGM96's zero."""
    lon, lat = 136.315, 36.305
    east, north = (float(v) for v in KAGA.to_map(lon, lat))
    made = intent([(east, north, 20), (east, north, 70), (east + 300, north, 70), (east + 300, north, 20)])
    road = sky_road(made, KAGA)
    assert (road.pad.lon_deg, road.pad.lat_deg) == pytest.approx((lon, lat), abs=1e-9)
    assert road.pad.datum is Datum.AMSL
    # Published undulations at the place: EGM96 36.70 m, GSIGEO2011 37.28 m.
    assert road.pad.height_m == pytest.approx(20 + 37.28 - 36.70, abs=0.05)
    assert road.takeoff_amsl_m == pytest.approx(70.58, abs=0.05)
    assert road.legs[-1].to.height_m == pytest.approx(70.58, abs=0.05)
    assert road.land.height_m == pytest.approx(20.58, abs=0.05)
    assert road.ceiling_amsl_m == pytest.approx(80.58, abs=0.05)
    assert road.ceiling_amsl_m >= max(road.takeoff_amsl_m, *(leg.to.height_m for leg in road.legs)) + 10


def test_a_map_in_ellipsoid_heights_loses_the_geoid() -> None:
    frame = dataclasses.replace(KAGA, vertical=Datum.WGS84)
    road = sky_road(intent(WAY, frame=frame), frame)
    assert road.takeoff_amsl_m == pytest.approx(70 - 36.7, abs=0.3)


def test_speeds_are_those_of_each_leg() -> None:
    steep = [(0, 0, 0), (0, 0, 40), (60, 0, 100), (700, 0, 100), (700, 0, 0)]
    road = sky_road(intent(steep), KAGA)
    # 60 m up on 60 m of way: 3 m/s of climb leave 3 m/s across; the next leg is flown at 10.
    assert [leg.speed_m_s for leg in road.legs] == pytest.approx([3.0, 10.0], rel=0.02)


def test_a_leg_too_short_to_reach_its_speed_gets_it_all_the_same() -> None:
    short = [(0, 0, 0), (0, 0, 40), (20, 0, 40), (20, 0, 0)]
    assert [leg.speed_m_s for leg in sky_road(intent(short), KAGA).legs] == [10.0]


def test_waiting_on_the_pad_is_not_flying() -> None:
    made = intent(WAY)
    line = made.corridor.centre_line
    waits = Trajectory(np.concatenate([[line.t_s[0] - 60], line.t_s]), np.vstack([line.enu_m[:1], line.enu_m]))
    made = dataclasses.replace(made, corridor=dataclasses.replace(made.corridor, centre_line=waits))
    assert sky_road(made, KAGA).depart_s == START_S


def along(points: list[tuple[float, float, float]], times: list[float] | None = None) -> OperationalIntent:
    made = intent(WAY)
    line = Trajectory(np.array(times or range(len(points)), float) * 20 + START_S, np.array(points, float))
    return dataclasses.replace(made, corridor=Corridor(line, 25.0, 10.0, 10.0, 10.0))


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([(0, 0, 0), (100, 0, 60), (100, 0, 0)], "does not begin with a climb straight up"),
        ([(0, 0, 0), (0, 0, 60), (100, 0, 0)], "does not end with a descent straight down"),
        ([(0, 0, 0), (0, 0, 60), (0, 0, 0)], "there is no leg to fly"),
        ([(0, 0, 0), (0, 0, 60), (99, 0, 60), (99, 0, 60), (200, 0, 60), (200, 0, 0)], "hovers on the way"),
        (
            [(0, 0, 0), (0, 0, 60), (300, 0, 60), (300, 300, 60), (0, 300, 60), (0, 30, 60), (0, 30, 0)],
            "closes a ring",
        ),
    ],
)
def test_what_an_autopilot_cannot_be_told_is_refused_in_words(points: list, words: str) -> None:
    with pytest.raises(CannotFly, match=words):
        sky_road(along(points), KAGA)


def test_there_and_back_on_one_line_is_no_ring() -> None:
    made = along([(0, 0, 0), (0, 0, 60), (400, 0, 60), (0, 0, 60), (0, 0, 0)])
    road = sky_road(made, KAGA)
    assert len(road.legs) == 2
    check_fence(made, road)


def test_a_narrow_road_that_winds_too_much_is_refused() -> None:
    zigzag = [(i * 30.0, 100.0 * (i % 2), 60.0) for i in range(40)]
    made = along([(0, 0, 0), *zigzag, (zigzag[-1][0], zigzag[-1][1], 0)])
    made = dataclasses.replace(made, corridor=dataclasses.replace(made.corridor, half_width_m=3.0))
    with pytest.raises(CannotFly, match="winds too much for a fence of 60 corners"):
        sky_road(made, KAGA)


def test_a_long_straight_road_is_checked_as_its_edges_bend() -> None:
    """An edge straight in degrees leaves one straight on the map by 1.4 m over 10 km."""
    made = intent([(0, 0, 0), (0, 0, 60), (10000, 0, 60), (10000, 0, 0)], half_width_m=5.0)
    check_fence(made, sky_road(made, KAGA))


@st.composite
def ways(draw: st.DrawFn) -> list[tuple[float, float, float]]:
    """A pad, a column, one to eight legs that turn by at most 80 degrees and so do not close a ring, a pad."""
    height = draw(st.floats(30, 100))
    heading = draw(st.floats(0, 2 * math.pi))
    points = [(1000.0, 1000.0, 0.0), (1000.0, 1000.0, height)]
    turned = 0.0
    for _ in range(draw(st.integers(1, 8))):
        turn = draw(st.floats(-1.4, 1.4))
        if abs(turned + turn) > 1.5:
            turn = -turn
        turned += turn
        length = draw(st.floats(60, 900))
        rise = draw(st.floats(-0.3, 0.3)) * length
        east, north, up = points[-1]
        up = min(max(up + rise, 25.0), 140.0)
        way = (east + length * math.cos(heading + turned), north + length * math.sin(heading + turned), up)
        points.append(way)
    return [*points, (points[-1][0], points[-1][1], draw(st.floats(-10, 20)))]


@settings(max_examples=60, deadline=None)
@given(way=ways(), half_width=st.floats(10, 60))
def test_whatever_the_way_the_road_keeps_to_it(way: list[tuple[float, float, float]], half_width: float) -> None:
    slow_climber = dataclasses.replace(QUAD, endurance_s=1e6)
    made = intent(way, half_width_m=half_width, aircraft=slow_climber)
    road = sky_road(made, KAGA)
    check_fence(made, road)
    line = made.corridor.centre_line
    # The waypoints are points of the centre line, in order, and no point of it is off the straight lines between them.
    stops = [(*_map(leg.to), _up(leg.to)) for leg in road.legs]
    start = (*_map(road.pad), float(KAGA.up(road.takeoff_amsl_m, Datum.AMSL, road.pad.lon_deg, road.pad.lat_deg)))
    flown = shapely.LineString([(*_map(road.pad), _up(road.pad)), start, *stops, (*_map(road.land), _up(road.land))])
    for point in line.enu_m:
        assert _distance_3d(point, np.array(flown.coords)) < 0.011
    assert all(0 < leg.speed_m_s <= QUAD.cruise_m_s for leg in road.legs)
    assert _up_of_ceiling(road) >= line.enu_m[:, 2].max() + 10 - 1e-6


def _map(place: object) -> tuple[float, float]:
    east, north = KAGA.to_map(place.lon_deg, place.lat_deg)
    return float(east), float(north)


def _up(place: object) -> float:
    return float(KAGA.up(place.height_m, Datum.AMSL, place.lon_deg, place.lat_deg))


def _up_of_ceiling(road: SkyRoad) -> float:
    return float(KAGA.up(road.ceiling_amsl_m, Datum.AMSL, road.pad.lon_deg, road.pad.lat_deg)) + 0.05


def _distance_3d(point: np.ndarray, way: np.ndarray) -> float:
    best = math.inf
    for a, b in itertools.pairwise(way):
        step = b - a
        share = min(max(float((point - a) @ step) / max(float(step @ step), 1e-12), 0.0), 1.0)
        best = min(best, float(np.linalg.norm(point - a - share * step)))
    return best
