"""Keeping time on a sky road."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.made import QUAD, intent
from utm.ops.pace import pace

LINE = intent([(0, 0, 0), (0, 0, 50), (600, 0, 50), (600, 600, 50), (600, 600, 0)]).corridor.centre_line
#: In the middle of the first leg.
CRUISE_S = LINE.start_s + 45.0


@pytest.mark.parametrize(("late_s", "speed"), [(0, 10), (2, 11), (-2, 9), (5, 12.5), (60, 12.5), (-6, 7), (-60, 7)])
def test_the_speed_follows_the_lateness(late_s: float, speed: float) -> None:
    assert pace(LINE, CRUISE_S + late_s, late_s) == pytest.approx(speed)


def test_nothing_in_the_columns() -> None:
    assert pace(LINE, LINE.start_s + 2, 0.0) is None
    assert pace(LINE, LINE.end_s - 2, 0.0) is None
    assert pace(LINE, LINE.end_s + 100, 0.0) is None


def test_nothing_without_a_number() -> None:
    assert pace(LINE, CRUISE_S, math.nan) is None


@given(t=st.floats(-50, 400), late=st.floats(-100, 100))
def test_it_stays_near_what_was_planned(t: float, late: float) -> None:
    speed = pace(LINE, LINE.start_s + t, late)
    assert speed is None or 0.3 < speed <= 1.25 * QUAD.cruise_m_s * (1 + 1e-6)
