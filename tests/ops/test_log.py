"""The distance between two flown tracks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utm.errors import LinkError
from utm.ops.log import FlightLog, separation


def log(t_s: object, enu_m: object, **changes: object) -> FlightLog:
    t = np.asarray(t_s, float)
    n = len(t)
    fields = {
        "intent_id": "a",
        "t_s": t,
        "enu_m": np.asarray(enu_m, float).reshape(-1, 3),
        "cross_track_m": np.zeros(n),
        "height_error_m": np.zeros(n),
        "late_s": np.zeros(n),
        "inside": np.ones(n, bool),
        "mode": ("MISSION",) * n,
        "landed": True,
        "said": (),
        "error": None,
    }
    return FlightLog(**(fields | changes))


def test_the_least_distance_between_two_reports_is_found() -> None:
    east = log([0, 10], [(0, 0, 50), (100, 0, 50)])
    north = log([0, 10], [(50, -40, 60), (50, 60, 60)])
    apart = separation(east, north)
    # Relative to the first, the second moves at (-10, 10) m/s from (50, -40): nearest after 4.5 s, at (5, 5).
    assert 4.5 in apart.t_s
    assert apart.horizontal_m.min() == pytest.approx(np.hypot(5, 5))
    assert apart.vertical_m == pytest.approx(10.0)


def test_only_while_both_are_in_the_air() -> None:
    apart = separation(log([0, 10], np.zeros((2, 3))), log([4, 20], np.ones((2, 3))))
    assert (apart.t_s[0], apart.t_s[-1]) == (4, 10)
    assert len(separation(log([0, 1], np.zeros((2, 3))), log([2, 3], np.zeros((2, 3)))).t_s) == 0
    assert len(separation(log([], []), log([2, 3], np.zeros((2, 3)))).t_s) == 0


def test_conformed() -> None:
    assert log([0, 1], np.zeros((2, 3))).conformed
    assert not log([], []).conformed
    assert not log([0, 1], np.zeros((2, 3)), landed=False).conformed
    assert not log([0, 1], np.zeros((2, 3)), inside=np.array([True, False])).conformed
    assert not log([0, 1], np.zeros((2, 3)), error=LinkError("silent")).conformed


steps = st.lists(st.floats(0.05, 3), min_size=2, max_size=12)


@given(steps, steps, st.floats(-3, 3), st.integers(0, 2**32 - 1))
def test_no_moment_is_nearer_than_the_nearest_entry(a: list, b: list, shift: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    one = log(np.cumsum(a), rng.uniform(-50, 50, (len(a), 3)))
    other = log(np.cumsum(b) + shift, rng.uniform(-50, 50, (len(b), 3)))
    apart = separation(one, other)
    if not len(apart.t_s):
        return
    assert (np.diff(apart.t_s) > 0).all()
    for t in rng.uniform(apart.t_s[0], apart.t_s[-1], 200):
        ours, theirs = (np.array([np.interp(t, each.t_s, each.enu_m[:, k]) for k in range(3)]) for each in (one, other))
        assert np.hypot(*(ours - theirs)[:2]) >= apart.horizontal_m.min() - 1e-6
        assert np.interp(t, apart.t_s, apart.vertical_m) >= abs((ours - theirs)[2]) - 1e-6
