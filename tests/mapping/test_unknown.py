import numpy as np
import pytest

from tests.mapping.states import INF, entered, far_of, flat, rejected
from utm.errors import InputError
from utm.mapping.ingest.nearby import seen_heights
from utm.mapping.ingest.parameters import Parameters
from utm.mapping.ingest.unknown import assumed_surface


def assumed(state, p=None, cell_m=1.0):
    seen = seen_heights(state)
    return assumed_surface(
        seen, state.ground_high, state.ground_high, np.isneginf(seen), state.box, far_of(state), cell_m,
        p or Parameters(),
    )  # fmt: skip


def test_the_highest_surface_within_30_m_and_10_m_more():
    state = flat(100, 10, ground=10.0)
    state.base[0, 0] = 50.0
    found = assumed(state)
    assert (found[1:31] == 60).all()
    # Beyond, the search goes on by blocks: something is known within twice the distance
    assert (found[31:64] == 60).all()
    assert found.max() == 60


def test_high_ground_nearby_counts_and_ground_alone_answers_nothing():
    state = flat(300, 10, ground=10.0)
    state.ground_high[250:] = 90.0
    state.base[0:20] = 40.0
    found = assumed(state)
    assert (found[230:] == 100).all()
    assert (found[100:200] == 50).all(), "the only surface that is known stands far away, and yet it counts"


def test_wires_and_suspects_do_not_lift_the_city_and_roofs_of_models_do():
    state = flat(40, 10, ground=10.0)
    state.base[0:2] = 12.0
    state.entered = entered((1, 1, 80.0, 81.0, 2, False))
    state.rejected = rejected((1, 1, 70.0, 2))
    assert assumed(state)[20, 5] == 22
    state.entered = entered((1, 1, -INF, 33.0, 2, True))
    assert assumed(state)[20, 5] == 43


def test_open_is_bare_ground():
    state = flat(40, 10, ground=10.0)
    state.base[0:2] = 12.0
    assert (assumed(state, Parameters(unknown="open"))[2:] == 10).all()


def test_nothing_seen_on_the_whole_map_is_ground_and_margin():
    assert (assumed(flat(40, 10, ground=10.0)) == 20).all()


def test_the_reach_is_in_metres():
    state = flat(64, 8, ground=0.0)
    state.base[0, 0], state.base[63, 0] = 50.0, 20.0
    assert assumed(state, cell_m=5.0)[6, 0] == 60
    assert assumed(state, cell_m=5.0)[60, 0] == 30


def test_a_word_that_is_none_of_the_rules_is_refused():
    with pytest.raises(InputError, match="--unknown: must be nearby or open"):
        Parameters(unknown="closed")
    with pytest.raises(InputError, match="--ground: must be auto or filter"):
        Parameters(ground="class 2")
