"""What a flight draws against sums by hand and by small steps, what makes it draw more, and the words of refusals."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.test_tube import craft, step, way_of
from tests.core.test_tube import wind as any_wind
from tests.oracles.motion import phases, run
from utm.core import flight_energy, flight_time_s, flyable, time_path
from utm.core.energy import leg_time_energy, power_w
from utm.core.trajectory import planned_legs
from utm.errors import CannotFly
from utm.model import AIRCRAFT_CLASSES, CALM, Wind

QUAD = AIRCRAFT_CLASSES["quad"]


def there(length_m, up_m=60.0):
    return [(0, 0, 0), (0, 0, up_m), (0, length_m, up_m), (0, length_m, 0)]


def summed_wh(way, aircraft, wind, step_s=0.02):
    """Watt-hours by small steps of the motion of the oracle."""
    total = 0.0
    for leg in planned_legs(way, aircraft, wind):
        jerks = phases(leg)
        whole = sum(seconds for _, seconds in jerks)
        count = max(math.ceil(whole / step_s), 20)
        moved = np.array([run(jerks, leg.begin_m_s, t)[:3] for t in (np.arange(count) + 0.5) * whole / count])
        x, v, a = moved.T
        blown = wind.at(leg.start_m[2] + x * leg.direction[2])
        air = v[:, None] * leg.direction - np.column_stack([blown, np.zeros(count)])
        watts = power_w(aircraft, np.hypot(air[:, 0], air[:, 1]), air[:, 2])
        watts += np.maximum(aircraft.mass_kg * a * (air @ leg.direction), 0) / aircraft.efficiency
        total += float(watts.sum()) * whole / count / 3600
    return total


@pytest.mark.parametrize(
    "wind", [CALM, Wind.uniform(5, -9), Wind(np.array([0.0, 30.0, 50.0]), np.array([(0, 0), (9, 3), (-4, 8)]))]
)
def test_energy_is_the_sum_over_the_motion(wind):
    way = [(0, 0, 0), (0, 0, 60), (0, 150, 60), (100, 200, 60), (100, 200, 35), (160, 200, 35), (160, 200, 0)]
    found = flight_energy(way, QUAD, wind)
    assert found.used_wh == pytest.approx(summed_wh(way, QUAD, wind), rel=1e-3)
    assert found.usable_wh == pytest.approx(0.8 * QUAD.battery_wh)
    assert found.reserve_wh == pytest.approx(0.2 * QUAD.battery_wh)
    assert found.left_share == pytest.approx(1 - found.used_wh / QUAD.battery_wh)


def test_a_long_flight_draws_what_its_steady_legs_do():
    """Legs so long that speeding up and braking are nothing; the last 10 m of the landing are slower."""
    way = there(20_000.0, 100.0)
    steady = sum(leg_time_energy(QUAD, a, b)[1] for a, b in itertools.pairwise(way))
    landing = float(power_w(QUAD, 0, 0)) * (10 / 0.7 - 10 / 1.5) / 3600
    assert flight_energy(way, QUAD).used_wh == pytest.approx(steady + landing, rel=5e-3)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(step, min_size=1, max_size=4), aircraft=craft, wind=any_wind, more=st.floats(1.01, 3))
def test_more_mass_draws_more(steps, aircraft, wind, more):
    way = way_of(steps)
    heavier = dataclasses.replace(aircraft, mass_kg=aircraft.mass_kg * more)
    assert flight_energy(way, heavier, wind).used_wh > flight_energy(way, aircraft, wind).used_wh


@settings(max_examples=60, deadline=None)
@given(length=st.floats(20, 5000), further=st.floats(1, 500), aircraft=craft, wind=any_wind)
def test_further_draws_more(length, further, aircraft, wind):
    near, far = (flight_energy(there(metres), aircraft, wind).used_wh for metres in (length, length + further))
    assert far > near


@settings(max_examples=60, deadline=None)
@given(against=st.floats(0, 14), more=st.floats(0.1, 5))
def test_more_head_wind_draws_more_and_takes_no_less(against, more):
    """Beyond the speed of least power, which a quad at 8 m/s has passed with 4 m/s against it."""
    weaker, stronger = 4 + against / 2, min(4 + against / 2 + more, 14.9)
    way = there(1000.0)
    level = [(0, 0, 0), (0, 1000, 0)]  # without columns, in which some wind helps to hover
    assert flight_time_s(way, QUAD, Wind.uniform(0, -stronger)) >= flight_time_s(way, QUAD, Wind.uniform(0, -weaker))
    assert (
        flight_energy(level, QUAD, Wind.uniform(0, -stronger)).used_wh
        > flight_energy(level, QUAD, Wind.uniform(0, -weaker)).used_wh
    )


def test_head_wind_slows_and_cross_wind_is_held_off():
    """Of 15 m/s through the air 12 against leave 3; 12 across leave 9, of which 8 are flown."""
    level = 10_000.0
    patient = dataclasses.replace(QUAD, endurance_s=1e6)
    calm = flight_time_s(there(level), patient)
    assert flight_time_s(there(level), patient, Wind.uniform(12, 0)) == pytest.approx(calm)
    slow = flight_time_s(there(level), patient, Wind.uniform(0, -12))
    assert slow == pytest.approx(calm + level / 3 - level / 8, rel=1e-2)
    line = time_path(there(level), patient, 0.0, Wind.uniform(0, -12))
    assert (np.diff(line.enu_m[:, 1]) / np.diff(line.t_s)).max() == pytest.approx(3.0)


def test_the_worst_height_of_a_leg_counts():
    """A jet at 50 m on a slope from 20 m to 80 m, calm at both its ends: 10 m/s against leave 5 of 15."""
    jet = Wind(np.array([30.0, 50.0, 70.0]), np.array([(0, 0), (0, -10), (0, 0)]))
    way = [(0, 0, 0), (0, 0, 20), (0, 900, 80), (0, 900, 0)]
    line = time_path(way, dataclasses.replace(QUAD, climb_m_s=10.0), 0.0, jet)
    assert (np.diff(line.enu_m[:, 1]) / np.diff(line.t_s)).max() == pytest.approx(5.0)


def refusal(way, aircraft, wind=CALM):
    with pytest.raises(CannotFly) as caught:
        flyable(way, aircraft, wind)
    return caught.value


def test_the_words_for_too_much_wind():
    error = refusal([(0, 0, 0), (0, 0, 60), (0, 90, 60), (90, 90, 60), (90, 90, 0)], QUAD, Wind.uniform(0.0, -17.0))
    assert str(error) == (
        "the wind of 17 m/s against leg 2 exceeds the 15 m/s that a quad makes through the air, by 13 %"
    )
    assert (error.limit, error.needed, error.allowed) == ("wind", 17.0, 15.0)
    assert error.excess_share == pytest.approx(2 / 15)


@pytest.mark.parametrize(
    ("east", "north", "words"),
    [
        (17, 0, "the wind of 17 m/s across leg 2 exceeds the 15 m/s"),
        (0, 15.01, "the wind of 15.1 m/s along leg 2 exceeds the 15 m/s that a quad makes through the air, by 1 %"),
        (0, -15, "the wind of 15 m/s against leg 2 leaves nothing of the 15 m/s that a quad makes through the air"),
    ],
)
def test_which_way_the_wind_blows(east, north, words):
    assert str(refusal(there(500.0), QUAD, Wind.uniform(east, north))).startswith(words)


def test_wind_at_a_height_that_only_the_climb_passes():
    gale = Wind(np.array([20.0, 30.0, 40.0]), np.array([(0, 0), (20, 0), (0, 0)]))
    assert str(refusal(there(500.0), QUAD, gale)).startswith("the wind of 20 m/s at leg 1 exceeds the 15 m/s")


def test_the_words_for_too_little_energy():
    way = there(8000.0)
    used = flight_energy(way, QUAD).used_wh
    small = dataclasses.replace(QUAD, battery_wh=used / 1.12 / 0.8)
    error = refusal(way, small)
    assert str(error) == (
        f"the flight needs {used:.1f} Wh, 12 % more than the {used / 1.12:.1f} Wh that leave the reserve of a quad "
        "untouched"
    )
    assert error.limit == "energy"
    assert error.excess_share == pytest.approx(0.12)
    flyable(way, dataclasses.replace(small, battery_wh=used / 0.8 * 1.0001))


def test_the_words_for_too_long_a_flight():
    way = there(8000.0)
    takes = flight_time_s(way, QUAD)
    error = refusal(way, dataclasses.replace(QUAD, endurance_s=takes - 120))
    assert str(error) == (
        f"the flight takes {takes:.0f} s, 120 s more than the endurance of {takes - 120:.0f} s of a quad"
    )
    assert error.limit == "endurance"
    assert error.excess_share == pytest.approx(120 / (takes - 120))


def test_wind_is_named_before_endurance_and_that_before_energy():
    way = there(50_000.0)
    assert refusal(way, QUAD, Wind.uniform(16, 0)).limit == "wind"
    assert refusal(way, QUAD).limit == "endurance"
    assert refusal(way, dataclasses.replace(QUAD, endurance_s=1e6)).limit == "energy"


def test_a_refusal_without_figures():
    error = CannotFly("the road closes a ring")
    assert (error.limit, error.needed, error.allowed, error.excess_share) == (None, None, None, None)
