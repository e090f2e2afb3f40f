"""Pairs made to be judged wrongly: the engine misses none, and is wrong to the safe side by a micrometre at most.

A million of them: `python -m benchmarks.adversarial_pairs`.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.adversarial_pairs import beyond_m, engine
from tests.oracles import adversarial
from tests.oracles import conflict as rational
from tests.oracles.adversarial import EPOCH_S, FAMILIES, UNIT_M, UNIT_S, Pairs
from utm.core.conflict import MARGIN_M
from utm.model import Trajectory


def made(family: str, count: int) -> Pairs:
    return FAMILIES[family](np.random.default_rng([17, list(FAMILIES).index(family)]), count)


@pytest.mark.parametrize("family", FAMILIES)
def test_none_is_missed_and_false_alarms_lie_at_the_limit(family: str):
    pairs = made(family, 290)
    true, said = adversarial.in_conflict(pairs), engine(pairs)
    assert 40 < true.sum() < 250  # both answers are asked for
    assert not np.flatnonzero(true & ~said).tolist()
    false = np.flatnonzero(said & ~true)
    # Where two flights only touch, the margin is taken twice.
    assert (beyond_m(pairs.taken(false)) <= 2 * MARGIN_M).all()


@pytest.mark.nojit
@pytest.mark.parametrize("family", FAMILIES)
def test_uncompiled_none_is_missed_either(family: str):
    pairs = made(family, 6)
    assert not (adversarial.in_conflict(pairs) & ~engine(pairs)).any()


def test_every_unit_is_a_float():
    """The engine is asked about the very numbers that the oracle reckons with."""
    for family in FAMILIES:
        pairs = made(family, 100)
        for whole in (pairs.ta, pairs.tb):
            times = EPOCH_S + whole * UNIT_S
            assert [Fraction(t) for t in times.ravel().tolist()] == [
                EPOCH_S + Fraction(int(n), 1 << 20) for n in whole.ravel()
            ]
        for whole in (pairs.pa, pairs.pb):
            assert [Fraction(v) for v in (whole * UNIT_M).ravel().tolist()] == [
                Fraction(int(n), 1 << 20) for n in whole.ravel()
            ]


small = st.integers(-4, 4)


@st.composite
def lattice_flight(draw, count):
    start, gaps = draw(st.integers(0, 4)), draw(st.lists(st.integers(1, 4), min_size=count - 1, max_size=count - 1))
    places = [(draw(small), draw(small), draw(st.integers(-2, 2))) for _ in range(count)]
    return np.cumsum([start, *gaps]), np.array(places)


@settings(max_examples=120, deadline=None)
@given(lattice_flight(3), lattice_flight(2), st.integers(1, 4), st.integers(1, 3), st.integers(0, 3))
def test_the_oracle_in_whole_numbers_agrees_with_the_one_in_fractions(a, b, horizontal, vertical, tolerance):
    limits = (np.array([value]) for value in (horizontal, vertical, tolerance))
    (found,) = adversarial.in_conflict(Pairs(a[0][None], a[1][None], b[0][None], b[1][None], *limits))
    knots = [rational.knots(Trajectory(times.astype(float), places.astype(float))) for times, places in (a, b)]
    # Less than the limit apart is a hair less for some hair; on a lattice this coarse one of a billionth tells.
    least = rational.least_squared_distance(*knots, Fraction(vertical) - Fraction(1, 10**9), Fraction(tolerance))
    assert found == (least is not None and least < horizontal**2)
