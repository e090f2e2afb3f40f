"""Layers give factors of at least 1, of shapes that a planner takes, and say what they mean."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utm.core.costs import CostPlanner
from utm.core.layers import combined, covered, near_obstacles, off_roads, over_people, quiet

SHAPE = (4, 3, 5)


def test_people_below_cost_in_proportion():
    factor = over_people([[0.0, 5000.0], [20_000.0, 90_000.0]], 2.0)
    assert factor.shape == (2, 2, 1)
    assert factor[:, :, 0].tolist() == [[1.0, 1.5], [3.0, 3.0]]
    assert over_people([[50.0]], 1.0, full_per_km2=100.0) == pytest.approx(1.5)


def test_noise_falls_with_the_square_of_the_height():
    factor = quiet([-5.0, 0.0, 30.0, 60.0, 300.0], [[0.0, 0.5, 1.0]], 4.0)
    assert factor.shape == (1, 3, 5)
    assert factor[0, 0].tolist() == [1.0] * 5
    assert factor[0, 2] == pytest.approx([5.0, 5.0, 5.0, 2.0, 1.04])
    assert factor[0, 1] == pytest.approx([3.0, 3.0, 3.0, 1.5, 1.02])
    hilly = quiet(np.array([[[10.0, 60.0]], [[60.0, 120.0]]]), np.ones((2, 1)), 4.0)
    assert hilly[:, 0] == pytest.approx(np.array([[5.0, 2.0], [2.0, 1.25]]))


def test_radio_costs_where_there_is_none():
    assert covered([[1.0, 0.25]], 2.0)[:, :, 0].tolist() == [[1.0, 2.5]]
    assert covered(np.zeros(SHAPE), 2.0).shape == SHAPE


def test_roads_are_wanted():
    assert off_roads([[True, False]], 0.5)[:, :, 0].tolist() == [[1.0, 1.5]]
    assert off_roads(np.ones(SHAPE, bool), 0.5).max() == 1.0


def test_obstacles_are_wanted_far():
    factor = near_obstacles([[0.0, 5.0, 10.0, 11.0, math.inf]], 10.0, 2.0)
    assert factor[0, :, 0].tolist() == [3.0, 2.0, 1.0, 1.0, 1.0]


def test_layers_multiply():
    people = over_people(np.full((4, 3), 20_000.0), 1.0)
    noise = quiet(np.arange(5) * 10.0, np.ones((4, 3)), 1.0)
    both = combined(people, noise)
    assert both.shape == SHAPE
    assert both[0, 0] == pytest.approx(2 * noise[0, 0])
    assert combined().tolist() == [[[1.0]]]


@settings(max_examples=50, deadline=None)
@given(weight=st.floats(0, 20), seed=st.integers(0, 2**32 - 1))
def test_every_layer_is_from_one_to_one_plus_weight_and_a_planner_takes_it(weight, seed):
    rng = np.random.default_rng(seed)
    ground = rng.random(SHAPE[:2])
    made = [
        over_people(ground * 40_000, weight),
        quiet(rng.uniform(-10, 200, SHAPE), ground, weight),
        covered(rng.random(SHAPE), weight),
        off_roads(ground < 0.5, weight),
        near_obstacles(rng.uniform(0, 50, SHAPE), 20.0, weight),
    ]
    for factor in made:
        assert factor.min() >= 1.0
        assert factor.max() <= 1.0 + weight
    CostPlanner(np.zeros(SHAPE, bool), factor=combined(*(np.minimum(factor, 6.0) for factor in made)))


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (lambda: over_people([[-1.0]], 1.0), "negative"),
        (lambda: over_people([1.0], 1.0), r"\(nx, ny\)"),
        (lambda: over_people([[math.nan]], 1.0), "finite"),
        (lambda: over_people([[1.0]], -0.5), "weight"),
        (lambda: over_people([[1.0]], math.inf), "weight"),
        (lambda: over_people([[1.0]], 1.0, full_per_km2=0.0), "full_per_km2"),
        (lambda: quiet([1.0], [[1.5]], 1.0), "between 0 and 1"),
        (lambda: quiet([[1.0]], [[1.0]], 1.0), r"\(nz,\) or \(nx, ny, nz\)"),
        (lambda: quiet([math.inf], [[1.0]], 1.0), "finite"),
        (lambda: quiet(np.ones((2, 1, 3)), np.ones((3, 1)), 1.0), "do not fit"),
        (lambda: covered([[1.2]], 1.0), "between 0 and 1"),
        (lambda: covered([0.5], 1.0), r"\(nx, ny\)"),
        (lambda: off_roads([[1]], 1.0), "booleans"),
        (lambda: near_obstacles([[1.0]], 0.0, 1.0), "within_m"),
        (lambda: near_obstacles([[-1.0]], 5.0, 1.0), "negative"),
        (lambda: near_obstacles([[math.nan]], 5.0, 1.0), "NaN"),
        (lambda: combined([[0.5]]), "at least 1"),
        (lambda: combined(np.ones((2, 2)), np.ones((3, 2))), "one volume"),
    ],
)
def test_what_makes_no_sense_is_refused(layer, said):
    with pytest.raises(ValueError, match=said):
        layer()
