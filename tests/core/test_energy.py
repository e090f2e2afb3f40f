"""Power and speed in a wind, against closed forms, bisection and plain sums."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utm.core.energy import ground_speed_m_s, leg_time_energy, level_rates, power_w, usable_wh, vertical_rates
from utm.model import AIRCRAFT_CLASSES, CALM, Wind

QUAD = AIRCRAFT_CLASSES["quad"]
WEIGHT_N = QUAD.mass_kg * 9.80665
HOVER_M_S = math.sqrt(WEIGHT_N / (2 * 1.225 * QUAD.rotor_disc_m2))

speeds = st.floats(0, 40)
winds = st.tuples(st.floats(-20, 20), st.floats(-20, 20))
angles = st.floats(0, 2 * math.pi)


def induced_by_bisection(speed, climb):
    """The root of v sqrt(speed^2 + (climb + v)^2) = v_h^2, by halving."""
    low, high = 0.0, HOVER_M_S
    for _ in range(100):
        middle = (low + high) / 2
        if middle * math.hypot(speed, climb + middle) > HOVER_M_S**2:
            high = middle
        else:
            low = middle
    return low


def test_hovering_is_what_momentum_theory_says():
    assert power_w(QUAD, 0.0, 0.0) == pytest.approx(WEIGHT_N * HOVER_M_S / 0.5 + 15.0)
    assert 255 < power_w(QUAD, 0.0, 0.0) < 270  # as the class says: about 260 W


def test_climbing_straight_up_has_a_closed_form():
    climb = 3.0
    induced = -climb / 2 + math.sqrt(climb**2 / 4 + HOVER_M_S**2)  # Leishman 2.13.1
    drag = 0.5 * 1.225 * QUAD.drag_area_m2 * climb**3
    assert power_w(QUAD, 0.0, climb) == pytest.approx((WEIGHT_N * (climb + induced) + drag) / 0.5 + 15.0)


@settings(deadline=None)
@given(speed=speeds, climb=st.floats(0, 10))
def test_induced_power_solves_glauerts_equation(speed, climb):
    induced = induced_by_bisection(speed, climb)
    drag = 0.5 * 1.225 * QUAD.drag_area_m2 * math.hypot(speed, climb) ** 3
    expected = (WEIGHT_N * (induced + climb) + drag) / QUAD.efficiency + QUAD.avionics_w
    assert power_w(QUAD, speed, climb) == pytest.approx(expected, rel=1e-9)


@settings(deadline=None)
@given(speed=speeds, descent=st.floats(0, 10))
def test_descending_earns_nothing(speed, descent):
    assert power_w(QUAD, speed, -descent) == power_w(QUAD, speed, 0.0)
    assert power_w(QUAD, speed, -descent) > QUAD.avionics_w


@pytest.mark.parametrize("aircraft", AIRCRAFT_CLASSES.values(), ids=lambda a: a.name)
def test_power_falls_from_hovering_and_rises_again_with_speed(aircraft):
    power = power_w(aircraft, np.arange(0.0, 30.0), 0.0)
    least = int(power.argmin())
    assert 5 <= least <= 15
    assert (np.diff(power[: least + 1]) < 0).all()
    assert (np.diff(power[least:]) > 0).all()


def test_power_takes_arrays():
    power = power_w(QUAD, np.zeros((3, 1)), np.zeros(4))
    assert power.shape == (3, 4)


@pytest.mark.parametrize(("speed", "climb"), [(-1.0, 0.0), (math.nan, 0.0), (0.0, math.inf)])
def test_power_refuses_what_is_no_speed(speed, climb):
    with pytest.raises(ValueError, match="finite"):
        power_w(QUAD, speed, climb)


@settings(deadline=None)
@given(angle=angles, wind=winds)
def test_ground_speed_is_the_most_that_the_airspeed_allows(angle, wind):
    track = np.array([math.cos(angle), math.sin(angle)])
    speed = ground_speed_m_s(QUAD, track, wind)
    assert 0.0 <= speed <= QUAD.cruise_m_s
    if math.hypot(*wind) > QUAD.max_airspeed_m_s:
        assert speed == 0.0
        return
    assert np.linalg.norm(speed * track - wind) <= QUAD.max_airspeed_m_s + 1e-9
    if speed < QUAD.cruise_m_s:
        beyond = speed + 1e-6 if speed > 0 else QUAD.cruise_m_s / 1000  # less is standing
        assert np.linalg.norm(beyond * track - wind) > QUAD.max_airspeed_m_s - 1e-12


@pytest.mark.parametrize(
    ("wind", "speed"),
    [
        ((0, 0), 8.0),
        ((7, 0), 8.0),
        ((-7, 0), 8.0),
        ((-10, 0), 5.0),
        ((-14.98, 0), 0.02),
        ((-14.999, 0), 0.0),
        ((-15, 0), 0.0),
        ((0, 9), 8.0),
        ((0, 14), math.sqrt(15**2 - 14**2)),
        ((3, 14), 8.0),
        ((0, 15.01), 0.0),
        ((15.01, 0), 0.0),
    ],
)
def test_ground_speed_in_plain_cases(wind, speed):
    assert ground_speed_m_s(QUAD, (1.0, 0.0), wind) == pytest.approx(speed)


def test_wind_that_cannot_be_held_takes_for_ever():
    for rates in (level_rates(QUAD, (1.0, 0.0), (-15.0, 0.0)), vertical_rates(QUAD, True, (0.0, 16.0))):
        assert np.isinf(rates).all()
    assert leg_time_energy(QUAD, (0, 0, 0), (9, 0, 0), Wind.uniform(-15, 0)) == (math.inf, math.inf)
    gusty_above = Wind([0, 50], [[0, 0], [16, 0]])
    assert leg_time_energy(QUAD, (0, 0, 0), (0, 0, 50), gusty_above) == (math.inf, math.inf)
    assert leg_time_energy(QUAD, (0, 0, 0), (0, 0, 40), gusty_above)[0] == pytest.approx(40 / 3)


def test_legs_in_calm_air():
    assert leg_time_energy(QUAD, (0, 0, 0), (0, 0, 0)) == (0.0, 0.0)
    level = leg_time_energy(QUAD, (0, 0, 50), (480, 640, 50))
    assert level == pytest.approx((100.0, 100.0 * power_w(QUAD, 8.0, 0.0) / 3600))
    up = leg_time_energy(QUAD, (0, 0, 0), (0, 0, 30))
    assert up == pytest.approx((10.0, 10.0 * power_w(QUAD, 0.0, 3.0) / 3600))
    down = leg_time_energy(QUAD, (0, 0, 30), (0, 0, 0))
    assert down == pytest.approx((20.0, 20.0 * power_w(QUAD, 0.0, 0.0) / 3600))
    slope = leg_time_energy(QUAD, (0, 0, 0), (480, 640, 30))
    assert slope == pytest.approx(np.add(level, up))


def test_flying_against_the_wind_costs_more_than_with_it():
    there = leg_time_energy(QUAD, (0, 0, 0), (900, 0, 0), Wind.uniform(10, 0))
    back = leg_time_energy(QUAD, (900, 0, 0), (0, 0, 0), Wind.uniform(10, 0))
    assert there[0] == pytest.approx(900 / 8)
    assert back[0] == pytest.approx(900 / 5)
    assert back[1] > 1.5 * there[1]


def test_a_leg_through_changing_wind_is_the_sum_of_its_parts():
    wind = Wind([10, 30, 80], [[0, 2], [-9, 1], [4, -6]])
    a, b = np.array([0.0, 0.0, 0.0]), np.array([300.0, 100.0, 95.0])
    parts = 4000
    total = np.zeros(2)
    for n in range(parts):
        middle = a[2] + (n + 0.5) / parts * (b[2] - a[2])
        total += leg_time_energy(QUAD, a, a + (b - a) / parts, Wind.uniform(*wind.at(middle)))
    assert leg_time_energy(QUAD, a, b, wind) == pytest.approx(total, rel=1e-3)
    # A step down passes through the same air as one up, at its own speed.
    assert leg_time_energy(QUAD, (0, 0, b[2]), (0, 0, 0), wind)[0] == pytest.approx(95 / 1.5)


def test_what_may_be_used_is_the_battery_less_the_reserve():
    assert usable_wh(QUAD) == pytest.approx(96.0)
    assert usable_wh(dataclasses.replace(QUAD, reserve_share=0.0)) == QUAD.battery_wh
    # The classes promise an endurance that the energy model can keep.
    for aircraft in AIRCRAFT_CLASSES.values():
        time, energy = leg_time_energy(aircraft, (0, 0, 0), (aircraft.cruise_m_s * aircraft.endurance_s, 0, 0), CALM)
        assert time == pytest.approx(aircraft.endurance_s)
        assert energy < usable_wh(aircraft)


def test_a_leg_needs_points():
    with pytest.raises(ValueError, match="b_m must be three finite numbers"):
        leg_time_energy(QUAD, (0, 0, 0), (0, math.nan, 0))
