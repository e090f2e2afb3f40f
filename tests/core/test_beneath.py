"""What lies below a way, and how near it comes to an outline: against looking everywhere."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.made_ground import bare, columns, examples, ground_of, heights
from utm.core import Columns, flight_space, height_profile, segment_clear, time_path, turns_clear
from utm.core.beneath import beneath, first_closed, pad_at, terrain_below
from utm.core.flown import flown
from utm.core.outline import nearest_beside, outline_of
from utm.core.tiles import Tiles
from utm.model import AIRCRAFT_CLASSES, Trajectory

pytestmark = pytest.mark.nojit

QUAD = AIRCRAFT_CLASSES["quad"]
T0 = 1.79e9
ALWAYS = np.array([(T0 - 1e4, T0 + 1e5)])


def flight(rng: np.random.Generator, corners: int, low: float, high: float, margin: float = 40.0):
    flat = np.column_stack([rng.uniform(margin, side - margin, corners) for side in (560.0, 320.0)])
    cruise = np.column_stack([flat, rng.uniform(low, high, corners)])
    points = np.vstack([cruise[0] - (0, 0, 30.0), cruise, cruise[-1] - (0, 0, 35.0)])
    return time_path(points, QUAD, T0)


@settings(max_examples=examples(30), deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_room_and_height_are_those_of_the_profile(seed):
    rng = np.random.default_rng(seed)
    made = columns(rng)
    line = flight(rng, int(rng.integers(2, 5)), 45.0, 80.0)
    way = flown(line)
    found, under = beneath(ground_of(made), line, way), height_profile(way.way_m, made)
    # A corner that is only touched counts here, too: never more than the profile, and what is less is such a corner.
    room, floor = float((under.terrain_m - under.high_m).min()), float((under.low_m - under.surface_m).min())
    assert found.room_m <= room + 1e-9
    assert found.floor_m <= floor + 1e-9
    assert (found.room_m, found.floor_m) == pytest.approx((room, floor), abs=1e-6)
    np.testing.assert_allclose(line.at(found.at_s), found.at_m, atol=1e-6)


@settings(max_examples=examples(60), deadline=None)
@given(seed=st.integers(0, 2**32 - 1), factor=st.sampled_from([1, 2]))
def test_free_is_what_is_free_in_the_dense_flight_space(seed, factor):
    rng = np.random.default_rng(seed)
    made = columns(rng)
    low = float(rng.choice([50.0, 62.0, 85.0]))
    line = flight(rng, int(rng.integers(2, 4)), low, low + 12.0, margin=float(rng.choice([10.0, 60.0])))
    way = flown(line)
    space = flight_space(made, *heights(made), [], factor * made.cell_m)
    cruise = space.to_grid(line.enu_m[way.climb : way.descent + 1])
    clear = all(segment_clear(space.blocked, a, b) for a, b in itertools.pairwise(cruise))
    clear &= bool(turns_clear(space, way.turns_m).all())
    below, above = first_closed(ground_of(made, factor), line, way)
    assert (below is None and above is None) == clear
    for found in (below, above):
        if found is not None:
            np.testing.assert_allclose(line.at(found[0]), found[1:], atol=1e-6)


def test_too_low_and_too_high_are_told_apart():
    made = bare()
    points = [(84, 84, 0), (84, 84, 50), (300, 84, 50), (300, 84, 10), (404, 204, 10), (404, 204, 0)]
    line = Trajectory(T0 + np.arange(6.0) * 60, points)
    below, above = first_closed(ground_of(made), line, flown(line))
    assert above is None
    assert below[0] == pytest.approx(T0 + 120 + 60 * (50 - 16) / 40, abs=0.1)  # 15 m clearance: the layer from 16 m on
    high = Trajectory(line.t_s, line.enu_m * (1, 1, 2.5))
    below, above = first_closed(ground_of(made), high, flown(high))
    assert below is None
    assert above[0] == T0 + 60


def test_what_is_not_held_or_off_the_map_is_an_error():
    made = bare((200, 70))
    line = Trajectory(T0 + np.arange(4.0) * 100, [(84, 164, 0), (84, 164, 50), (1000, 164, 50), (1000, 164, 0)])
    nothing = Tiles(made.shape, made.cell_m, 1).ground
    for asked in (lambda: beneath(nothing, line, flown(line)), lambda: first_closed(nothing, line, flown(line))):
        with pytest.raises(ValueError, match="not held"):
            asked()
    with pytest.raises(ValueError, match="off the map"):
        beneath(ground_of(bare()), line, flown(line))
    with pytest.raises(ValueError, match="off the map"):
        terrain_below(ground_of(bare()), np.array([(561.0, 5.0, 0.0)]))


# --- pads


@settings(max_examples=examples(60), deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_pad_is_looked_at_column_by_column(seed):
    rng = np.random.default_rng(seed)
    made = columns(rng, (64, 64))
    east, north = rng.uniform(0.0, 512.0, 2)
    radius = float(rng.uniform(0.0, 30.0))
    found = pad_at(ground_of(made), east, north, radius)
    square = np.arange(64)[:, None] * 8.0, np.arange(64)[None, :] * 8.0
    away = [
        np.maximum(np.maximum(low - at, at - low - 8.0), 0.0) for low, at in zip(square, (east, north), strict=True)
    ]
    near = np.hypot(*away) <= radius
    inside = radius <= min(east, north) and max(east, north) + radius < 512.0
    assert found.highest_m == (made.surface_m[near].max() if inside else np.inf)
    under = (away[0] <= 2.0) & (away[1] <= 2.0)
    assert found.surface_m == made.surface_m[under].min()
    assert found.unknown == made.unknown[under].any()
    i, j = int(east // 8), int(north // 8)
    assert found.terrain_m == made.terrain_m[i, j]
    assert terrain_below(ground_of(made), np.array([(east, north, 0.0)]))[0] == made.terrain_m[i, j]


# --- outlines


def beside(ground, line, ring, **changes):
    asked = {"below_m": 10.0, "above_m": 10.0, "lower": (0.0, False), "upper": (100.0, False), "spans_s": ALWAYS}
    return nearest_beside(ground, line, outline_of([ring]), within_m=200.0, **(asked | changes))


def square(east: float, north: float, half: float) -> np.ndarray:
    return np.array(shapely.box(east - half, north - half, east + half, north + half).exterior.coords)


def sampled(line, ring, made: Columns, lower, upper, spans, step_s: float = 0.2) -> float:
    """The least distance to a polygon at moments ``step_s`` apart: finds none that is not there."""
    polygon = shapely.Polygon(ring)
    times = np.arange(line.start_s, line.end_s + step_s, step_s)
    places = np.array([line.at(t) for t in times])
    i, j = (places[:, :2] // made.cell_m).astype(int).T
    ground = made.terrain_m[i, j].astype(float)
    low, high = ((value + ground if agl else np.full(len(ground), value)) for value, agl in (lower, upper))
    met = (places[:, 2] + 10.0 > low + 1e-5) & (places[:, 2] - 10.0 < high - 1e-5)
    met &= np.any([(times >= begin) & (times <= end) for begin, end in spans], axis=0)
    away = shapely.distance(polygon, shapely.points(places[met, :2]))
    return float(away.min()) if met.any() else np.inf


@settings(max_examples=examples(25), deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_nearest_to_an_outline_is_found(seed):
    rng = np.random.default_rng(seed)
    made = columns(rng)
    line = flight(rng, 3, 40.0, 70.0)
    corners = rng.uniform((60, 60), (500, 260), (int(rng.integers(3, 24)), 2))
    middle = corners.mean(axis=0)
    ring = corners[np.argsort(np.arctan2(*(corners - middle).T))]
    ring = np.vstack([ring, ring[:1]])
    if not shapely.Polygon(ring).is_valid:
        return
    lower, upper = (
        (float(rng.uniform(40, 60)), bool(rng.integers(2))),
        (float(rng.uniform(70, 90)), bool(rng.integers(2))),
    )
    spans = T0 + np.sort(rng.uniform(0.0, line.end_s - T0, (2, 2)), axis=1)
    found = beside(ground_of(made), line, ring, lower=lower, upper=upper, spans_s=spans)
    seen = sampled(line, ring, made, lower, upper, spans)
    if found is None:
        assert seen >= 200.0
        return
    assert found.distance_m <= seen + 1e-6  # looking from time to time can only miss the nearest moment
    np.testing.assert_allclose(line.at(found.at_s), found.at_m, atol=1e-6)
    polygon = shapely.Polygon(ring)
    assert polygon.distance(shapely.Point(found.at_m[:2])) == pytest.approx(found.distance_m, abs=1e-6)
    assert ((spans[:, 0] - 1e-6 <= found.at_s) & (found.at_s <= spans[:, 1] + 1e-6)).any()


def test_passing_an_outline_beside_above_and_afterwards():
    ground = ground_of(bare())
    line = Trajectory(
        T0 + np.array([0.0, 20.0, 70.0, 90.0]), [(80, 100, 0), (80, 100, 50), (480, 100, 50), (480, 100, 0)]
    )
    ring = square(280.0, 200.0, 40.0)
    found = beside(ground, line, ring)
    assert found.distance_m == pytest.approx(60.0)
    assert 240.0 <= found.at_m[0] <= 320.0
    # With what ends at 40 m it shares no height up there, for the corridor begins there and heights that touch share
    # nothing; but in its columns it does.
    low = beside(ground, line, ring, upper=(40.0, False))
    assert low.distance_m == pytest.approx(np.hypot(160.0, 60.0))
    # After 60 s it is at 400 m east.
    late = beside(ground, line, ring, spans_s=np.array([(T0 + 60.0, T0 + 1000.0)]))
    assert late.distance_m == pytest.approx(np.hypot(80.0, 60.0))
    assert late.at_s == pytest.approx(T0 + 60.0)
    assert beside(ground, line, ring, spans_s=np.array([(T0 + 200.0, T0 + 1000.0)])) is None


def test_inside_across_and_in_a_hole():
    ground = ground_of(bare())
    line = Trajectory(
        T0 + np.array([0.0, 20.0, 70.0, 90.0]), [(80, 100, 0), (80, 100, 50), (480, 100, 50), (480, 100, 0)]
    )
    crossed = beside(ground, line, square(280.0, 100.0, 40.0))
    assert crossed.distance_m == 0.0
    assert crossed.at_m[0] == pytest.approx(240.0)
    assert beside(ground, line, square(80.0, 100.0, 40.0)).at_s == T0
    rings = [square(280.0, 160.0, 280.0), square(280.0, 100.0, 230.0)]
    hole = nearest_beside(
        ground, line, outline_of(rings), below_m=10.0, above_m=10.0, lower=(0.0, False), upper=(100.0, False),
        spans_s=ALWAYS, within_m=200.0,
    )  # fmt: skip
    assert hole.distance_m == pytest.approx(30.0)


def test_a_limit_above_ground_follows_the_ground():
    made = bare()
    terrain = np.zeros(made.shape, np.float32)
    terrain[35:, :] = 30.0  # from 280 m east on
    made = Columns(made.origin_m, made.cell_m, terrain, terrain, made.unknown)
    line = Trajectory(
        T0 + np.array([0.0, 20.0, 70.0, 90.0]), [(80, 100, 0), (80, 100, 50), (480, 100, 50), (480, 100, 30)]
    )
    # Up to 25 m above ground: shared only where the ground is high.
    found = beside(ground_of(made), line, square(190.0, 200.0, 20.0), lower=(0.0, True), upper=(25.0, True))
    assert found.distance_m == pytest.approx(np.hypot(70.0, 80.0))
    assert found.at_m[0] == pytest.approx(280.0)


def test_ground_that_a_limit_needs_and_is_not_there():
    made = bare((200, 70))
    line = Trajectory(T0 + np.arange(4.0) * 100, [(84, 164, 0), (84, 164, 50), (1000, 164, 50), (1000, 164, 0)])
    nothing = Tiles(made.shape, made.cell_m, 1).ground
    with pytest.raises(ValueError, match="not held"):
        beside(nothing, line, square(500.0, 164.0, 40.0), lower=(0.0, True))
    assert beside(nothing, line, square(500.0, 164.0, 40.0)).distance_m == 0.0
