"""Conflict of timed flights: against rational arithmetic, against sampling, and on cases worked by hand."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles import conflict as oracle
from utm.core import closest_approach, forbidden_delays, in_conflict, least_delay, time_path
from utm.core.conflict import MARGIN_S
from utm.model import AIRCRAFT_CLASSES, Trajectory

pytestmark = pytest.mark.nojit

EPOCH = 1.8e9  # Unix seconds: where rounding would show

# The oracle gets a little more room than the margins when it is asked to confirm what was found.
ROOM_M = Fraction(3, 10**6)
ROOM_S = 1e-5


def flight(*knots, epoch=EPOCH):
    """A flight from (seconds, east, north, up), seconds from the epoch."""
    return Trajectory([epoch + k[0] for k in knots], [k[1:] for k in knots])


def check_against_rationals(a, b, horizontal, vertical, probes):
    """Nothing is missed, and nothing is claimed that is not so within the margins."""
    found = forbidden_delays(a, b, horizontal, vertical)
    assert found.shape[1:] == (2,)
    assert (found[:, 0] <= found[:, 1]).all()
    assert (found[1:, 0] > found[:-1, 1]).all()
    exact_a, exact_b = oracle.knots(a), oracle.knots(b)
    wide_a, wide_b = oracle.knots(a, ROOM_S), oracle.knots(b, ROOM_S)
    strict = Fraction(horizontal), Fraction(vertical)
    wide = strict[0] + ROOM_M, strict[1] + ROOM_M
    asked = [*probes]
    for low, high in found:
        asked += [low - 3 * MARGIN_S, low + MARGIN_S, (low + high) / 2, high - MARGIN_S, high + 3 * MARGIN_S]
    for delay in asked:
        inside = bool(((found[:, 0] <= delay) & (delay <= found[:, 1])).any())
        if oracle.too_near(exact_a, exact_b, Fraction(delay), *strict):
            assert inside, f"the delay {delay} is forbidden but was not found"
        if inside:
            assert oracle.too_near(wide_a, wide_b, Fraction(delay), *wide), f"the delay {delay} is not forbidden"
    return found


small = st.integers(-4, 4)
place = st.tuples(small, small, st.integers(-2, 2))


@st.composite
def lattice_flights(draw):
    """Few knots on a coarse lattice: parallel, hovering, meeting and grazing pieces are the rule, not the exception."""
    count = draw(st.integers(2, 4))
    gaps = draw(st.lists(st.sampled_from([1, 2, 3, 5]), min_size=count, max_size=count))
    places = draw(st.lists(place, min_size=count, max_size=count))
    start = draw(st.integers(-3, 3))
    times = start + np.cumsum(gaps)
    return Trajectory(EPOCH + times, np.array(places, float))


@st.composite
def float_flights(draw):
    """Knots anywhere, some nearly repeated: nearly parallel and nearly resting pieces."""
    count = draw(st.integers(2, 4))
    value = st.one_of(st.floats(-100, 100), st.sampled_from([0.0, 1e-9, -1e-9, 1e-6, 50.0, 50.000001]))
    gaps = draw(st.lists(st.floats(0.01, 60), min_size=count, max_size=count))
    places = draw(st.lists(st.tuples(value, value, value), min_size=count, max_size=count))
    return Trajectory(EPOCH + draw(st.floats(-50, 50)) + np.cumsum(gaps), np.array(places))


@settings(max_examples=250, deadline=None)
@given(
    a=lattice_flights(),
    b=lattice_flights(),
    horizontal=st.sampled_from([1, 2, 0.5, 5]),
    vertical=st.sampled_from([1, 2, 0.5]),
    probes=st.lists(st.integers(-60, 60), max_size=6),
)
def test_forbidden_delays_equal_the_rational_ones_on_a_lattice(a, b, horizontal, vertical, probes):
    check_against_rationals(a, b, horizontal, vertical, [p / 4 for p in probes])


@settings(max_examples=250, deadline=None)
@given(
    a=float_flights(),
    b=float_flights(),
    horizontal=st.floats(0.1, 60),
    vertical=st.floats(0.1, 60),
    probes=st.lists(st.floats(-150, 150), max_size=6),
)
def test_forbidden_delays_equal_the_rational_ones_anywhere(a, b, horizontal, vertical, probes):
    check_against_rationals(a, b, horizontal, vertical, probes)


@settings(max_examples=100, deadline=None)
@given(a=lattice_flights(), b=lattice_flights(), tolerance=st.sampled_from([0.0, 0.5, 1.0, 7.0]))
def test_in_conflict_is_a_forbidden_delay_within_the_tolerance(a, b, tolerance):
    forbidden = forbidden_delays(a, b, 1.0, 1.0)
    narrow = forbidden + np.array([MARGIN_S, -MARGIN_S])
    found = in_conflict(a, b, 1.0, 1.0, tolerance)
    assert found == in_conflict(b, a, 1.0, 1.0, tolerance)
    if ((narrow[:, 0] < tolerance - 1e-9) & (narrow[:, 1] > -tolerance + 1e-9)).any():
        assert found
    if not ((forbidden[:, 0] <= tolerance) & (forbidden[:, 1] >= -tolerance)).any():
        assert not found


@settings(max_examples=100, deadline=None)
@given(a=lattice_flights(), b=lattice_flights(), tolerance=st.sampled_from([0.0, 0.25, 3.0]))
def test_the_least_delay_separates_and_is_the_least(a, b, tolerance):
    forbidden = forbidden_delays(a, b, 1.5, 1.0)
    delay = least_delay(forbidden, tolerance)
    assert not in_conflict(a, b.delayed(delay), 1.5, 1.0, tolerance)
    for earlier in np.linspace(0, delay, 20, endpoint=False) if delay else []:
        near = (forbidden[:, 0] - tolerance < earlier) & (earlier < forbidden[:, 1] + tolerance)
        assert near.any()


@settings(max_examples=60, deadline=None)
@given(a=float_flights(), b=float_flights())
def test_swapping_the_flights_mirrors_the_delays(a, b):
    one, other = forbidden_delays(a, b, 20.0, 15.0), forbidden_delays(b, a, 20.0, 15.0)
    np.testing.assert_allclose(one, -other[::-1, ::-1], atol=1e-5, rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_nothing_that_sampling_sees_is_missed(seed):
    """Whole flights at city size, a second apart on the clock and centimetres on the ground."""
    rng = np.random.default_rng(seed)
    flights = []
    for _ in range(2):
        route = rng.uniform((0, 0, 40), (1500, 1500, 70), (5, 3))
        pads = route[[0, -1]] * (1, 1, 0)
        flights.append(time_path([pads[0], *route, pads[1]], AIRCRAFT_CLASSES["quad"], EPOCH + rng.uniform(0, 100)))
    a, b = flights
    forbidden = forbidden_delays(a, b, 60.0, 12.0)
    for delay in rng.uniform(a.start_s - b.end_s, a.end_s - b.start_s, 20):
        if oracle.sampled_too_near(a, b, delay, 60.0, 12.0, 0.25):
            assert ((forbidden[:, 0] <= delay) & (delay <= forbidden[:, 1])).any()


def test_crossing_at_a_right_angle():
    """Both at 10 m/s through one point: the distance is 10 |d| / sqrt(2), so 20 m means 2.828 s."""
    a, b = flight((0, 0, 0, 50), (100, 1000, 0, 50)), flight((0, 500, -500, 50), (100, 500, 500, 50))
    found = check_against_rationals(a, b, 20.0, 10.0, [0.0, 2.828427, 2.8285])
    np.testing.assert_allclose(found, [[-math.sqrt(8), math.sqrt(8)]], atol=1e-5)
    assert least_delay(found, 3.0) == pytest.approx(math.sqrt(8) + 3.0, abs=1e-5)


def test_following_on_one_line():
    """At 10 and at 5 m/s along one line: b, ahead by 100 m, is caught unless it leaves early enough."""
    a, b = flight((0, 0, 0, 0), (100, 1000, 0, 0)), flight((0, 100, 0, 0), (100, 600, 0, 0))
    # a is at 600 + 20 when it leaves b's last point behind: b may leave 100 - 58 s before a passes 580.
    found = check_against_rationals(a, b, 20.0, 10.0, [-42.1, -41.9, 11.9, 12.1])
    np.testing.assert_allclose(found, [[-42.0, 12.0]], atol=1e-5)


def test_head_on():
    a, b = flight((0, 0, 0, 0), (100, 1000, 0, 0)), flight((0, 1000, 0, 0), (100, 0, 0, 0))
    # They meet whenever both are on their way at once.
    found = check_against_rationals(a, b, 20.0, 10.0, [-99.9, 99.9, 100.1])
    np.testing.assert_allclose(found, [[-100.0, 100.0]], atol=1e-5)


@pytest.mark.parametrize("aside", [19.99, 20.0, 20.01])
def test_abreast_at_the_limit(aside):
    """Exactly at the limit counts as too near (by the margin); a centimetre more does not."""
    a, b = flight((0, 0, 0, 0), (100, 1000, 0, 0)), flight((0, 0, aside, 0), (100, 1000, aside, 0))
    found = check_against_rationals(a, b, 20.0, 10.0, [0.0, 1.0])
    assert (len(found) > 0) == (aside <= 20.0)
    if aside == 19.99:
        behind = math.sqrt(20.0**2 - 19.99**2) / 10
        np.testing.assert_allclose(found, [[-behind, behind]], atol=1e-5)


def test_crossing_that_ends_a_centimetre_before_the_limit():
    """b stops 20 m beside a's line, or a centimetre nearer."""
    a = flight((0, 0, 0, 0), (100, 1000, 0, 0))
    assert len(forbidden_delays(a, flight((0, 500, -500, 0), (50, 500, -20.01, 0)), 20.0, 10.0)) == 0
    found = check_against_rationals(a, flight((0, 500, -500, 0), (50, 500, -19.99, 0)), 20.0, 10.0, [0.0])
    assert found[0, 1] - found[0, 0] == pytest.approx(2 * math.sqrt(20.0**2 - 19.99**2) / 10, rel=0.1)


@pytest.mark.parametrize(("above", "expected"), [(9.99, True), (10.0, True), (10.01, False)])
def test_stacked_flights(above, expected):
    a = flight((0, 0, 0, 50), (100, 1000, 0, 50))
    b = Trajectory(a.t_s, a.enu_m + np.array([0, 0, above]))
    check_against_rationals(a, b, 20.0, 10.0, [0.0])
    assert in_conflict(a, b, 20.0, 10.0) is expected


def test_climbing_through_a_level_flight():
    """b climbs at 2 m/s on a's line: it is within 10 m of a's height for 10 s, as a passes for 4 s."""
    a, b = flight((0, 0, 0, 50), (100, 1000, 0, 50)), flight((0, 500, 0, 0), (50, 500, 0, 100))
    found = check_against_rationals(a, b, 20.0, 10.0, [])
    # a is near from 48 to 52 s, b from 20 to 30 s after its start.
    np.testing.assert_allclose(found, [[18.0, 32.0]], atol=1e-5)


def test_two_that_hover():
    a, b = flight((0, 0, 0, 0), (100, 0, 0, 0)), flight((0, 5, 0, 0), (10, 5, 0, 0))
    np.testing.assert_allclose(forbidden_delays(a, b, 20.0, 10.0), [[-10.0, 100.0]], atol=1e-5)
    assert len(forbidden_delays(a, flight((0, 25, 0, 0), (10, 25, 0, 0)), 20.0, 10.0)) == 0
    assert len(forbidden_delays(a, flight((0, 5, 0, 12), (10, 5, 0, 12)), 20.0, 10.0)) == 0


def test_one_that_hovers():
    a, b = flight((0, 0, 0, 0), (100, 1000, 0, 0)), flight((0, 500, 12, 0), (10, 500, 12, 0))
    np.testing.assert_allclose(forbidden_delays(a, b, 20.0, 10.0), [[48.4 - 10.0, 51.6]], atol=1e-5)


def test_touching_in_time_only():
    """b appears at the very moment and place at which a ends."""
    a, b = flight((0, 0, 0, 0), (100, 1000, 0, 0)), flight((100, 1000, 0, 0), (200, 2000, 0, 0))
    assert in_conflict(a, b, 20.0, 10.0)
    assert not in_conflict(a, b.delayed(0.001), 20.0, 10.0)
    assert in_conflict(a, b.delayed(5.0), 20.0, 10.0, time_tolerance_s=5.0)
    found = check_against_rationals(a, b, 20.0, 10.0, [0.0, 1e-3])
    assert abs(found[-1, 1]) < 1e-5


def test_nearly_parallel_lines_that_cross_far_away():
    """An angle of a hundred nanoradians: the ellipse is kilometres long and decides nothing inside the pieces."""
    a = flight((0, 0, 0, 0), (1000, 10_000, 0, 0))
    b = flight((0, 0, 20.0005, 0), (1000, 10_000, 19.9995, 0))
    found = check_against_rationals(a, b, 20.0, 10.0, [0.0, 0.01, -0.01])
    assert len(found) == 1


def test_days_between_the_flights():
    a = flight((0, 0, 0, 50), (100, 1000, 0, 50))
    b = flight((0, 500, -500, 50), (100, 500, 500, 50)).delayed(10 * 86400.0)
    found = forbidden_delays(a, b, 20.0, 10.0)
    np.testing.assert_allclose(found + 10 * 86400.0, [[-math.sqrt(8), math.sqrt(8)]], atol=1e-5)
    assert not in_conflict(a, b, 20.0, 10.0, 3600.0)


def test_more_intervals_than_the_first_buffer_holds():
    """A saw tooth against itself."""
    knots = [(10.0 * n, 100.0 * (n % 2), 0.0, 0.0) for n in range(60)]
    a = flight(*knots)
    found = check_against_rationals(a, a, 3.0, 1.0, [0.0])
    # It ends 100 m from where it began, and was last within 3 m of there 580.3 s after the start.
    np.testing.assert_allclose(found[[0, -1], [0, 1]], [-580.3, 580.3], atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    a=st.one_of(lattice_flights(), float_flights()),
    b=st.one_of(lattice_flights(), float_flights()),
    vertical=st.sampled_from([0.5, 1.0, 3.0, 100.0]),
    tolerance=st.sampled_from([0.0, 0.5, 2.0, 30.0]),
)
def test_closest_approach_equals_the_rational_one(a, b, vertical, tolerance):
    distance, at = closest_approach(a, b, vertical, tolerance)
    exact = oracle.knots(a), oracle.knots(b)
    upper = oracle.least_squared_distance(*exact, Fraction(vertical), Fraction(tolerance))
    lower = oracle.least_squared_distance(*exact, Fraction(vertical) + ROOM_M, Fraction(tolerance) + Fraction(1, 10**8))
    assert distance <= (math.inf if upper is None else math.sqrt(upper)) + 1e-6
    assert distance >= (math.inf if lower is None else math.sqrt(lower)) - 1e-6
    assert math.isnan(at) == math.isinf(distance)
    if math.isfinite(at):
        assert a.start_s <= at <= a.end_s


def test_closest_approach_by_hand():
    a, b = flight((0, 0, 0, 50), (100, 1000, 0, 50)), flight((0, 500, -500, 50), (100, 500, 500, 50))
    assert closest_approach(a, b, 10.0, 0.0) == (pytest.approx(0.0, abs=1e-6), pytest.approx(EPOCH + 50, abs=1e-5))
    late = b.delayed(10.0)
    assert closest_approach(a, late, 10.0, 0.0)[0] == pytest.approx(100 / math.sqrt(2), abs=1e-5)
    assert closest_approach(a, late, 10.0, 4.0)[0] == pytest.approx(60 / math.sqrt(2), abs=1e-5)
    assert closest_approach(a, late, 10.0, 10.0)[0] == pytest.approx(0.0, abs=1e-5)
    above = Trajectory(a.t_s, a.enu_m + np.array([0, 0, 10.01]))
    distance, at = closest_approach(a, above, 10.0, 5.0)
    assert math.isinf(distance)
    assert math.isnan(at)
    assert math.isinf(closest_approach(a, a.delayed(1000.0), 10.0, 5.0)[0])


@settings(max_examples=60, deadline=None)
@given(a=float_flights(), b=float_flights(), tolerance=st.sampled_from([0.0, 1.0, 20.0]))
def test_conflict_is_a_closest_approach_below_the_limit(a, b, tolerance):
    distance, _ = closest_approach(a, b, 12.0, tolerance)
    if abs(distance - 20.0) > 1e-5:
        assert in_conflict(a, b, 20.0, 12.0, tolerance) == (distance < 20.0)


@settings(max_examples=100, deadline=None)
@given(
    intervals=st.lists(st.tuples(st.integers(-20, 20), st.integers(0, 8)), max_size=6),
    tolerance=st.integers(0, 4),
)
def test_least_delay_equals_a_search_in_steps(intervals, tolerance):
    forbidden = [(low, low + span) for low, span in intervals]
    delay = 0.0
    while any(low - tolerance < delay < high + tolerance for low, high in forbidden):
        delay += 0.5
    assert least_delay(forbidden, tolerance) == delay


def test_held():
    a = flight((0, 0, 0, 5), (10, 100, 0, 5))
    longer = a.held(60.0, 30.0)
    assert (longer.t_s - EPOCH).tolist() == [-60.0, 0.0, 10.0, 40.0]
    assert longer.enu_m.tolist() == [[0, 0, 5], [0, 0, 5], [100, 0, 5], [100, 0, 5]]
    assert a.held(0.0, 0.0).t_s.tolist() == a.t_s.tolist()
    for times in ((-1.0, 0.0), (0.0, math.nan)):
        with pytest.raises(ValueError, match="_s must be"):
            a.held(*times)


def test_limits_that_are_none():
    a = flight((0, 0, 0, 5), (10, 100, 0, 5))
    for horizontal, vertical in ((0.0, 1.0), (1.0, 0.0), (math.nan, 1.0), (1.0, math.inf), (-1.0, 1.0)):
        with pytest.raises(ValueError, match="above zero"):
            forbidden_delays(a, a, horizontal, vertical)
        with pytest.raises(ValueError, match="above zero"):
            in_conflict(a, a, horizontal, vertical)
    for tolerance in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="tolerance"):
            in_conflict(a, a, 1.0, 1.0, tolerance)
        with pytest.raises(ValueError, match="tolerance"):
            closest_approach(a, a, 1.0, tolerance)
        with pytest.raises(ValueError, match="tolerance"):
            least_delay([], tolerance)
    with pytest.raises(ValueError, match="above zero"):
        closest_approach(a, a, 0.0, 1.0)
    for forbidden in ([1.0, 2.0], [[2.0, 1.0]], [[math.nan, 1.0]], [[1.0, 2.0, 3.0]]):
        with pytest.raises(ValueError, match="intervals"):
            least_delay(forbidden, 1.0)
    assert least_delay([], 5.0) == 0.0
    assert least_delay(np.empty((0, 2)), 5.0) == 0.0
