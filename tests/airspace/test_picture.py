"""The live picture as of any entry is what the entries up to it say, whatever was applied, reverted or forgotten."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.airspace.intents import straight
from utm.airspace.database import Loaded
from utm.airspace.ledger import GENESIS, Head
from utm.airspace.picture import Effects, Picture
from utm.airspace.states import next_version, state_effect
from utm.model import IntentState, RuleSet

NAMES = ("a", "b", "c", "d")


def picture(**options) -> Picture:
    return Picture(Loaded(GENESIS, (), None, (), "map"), RuleSet(), **options)


def head(seq: int) -> Head:
    return Head(seq, f"digest {seq}")


#: One step: an intent enters (or moves), changes its state, ends; or what was applied becomes durable, or is reverted;
#: or a view is opened, or closed.
step = st.one_of(
    st.tuples(st.sampled_from(["enter"]), st.sampled_from(NAMES), st.integers(0, 5)),
    st.tuples(st.sampled_from(["activate", "end"]), st.sampled_from(NAMES), st.just(0)),
    st.tuples(st.sampled_from(["commit", "revert", "open", "close"]), st.just(""), st.just(0)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(step, max_size=40), st.booleans())
def test_every_view_stays_as_it_was(steps, keep):
    made = picture(keep=keep)
    history = [{}]  # what is live after each entry
    durable = 0
    views = []
    with contextlib.ExitStack() as stack:
        for what, name, lane in steps:
            now = dict(history[-1])
            if what == "enter":
                old = now.get(name)
                fresh = straight(name, (0, 100.0 * lane, 50), (500, 100.0 * lane, 50), 1000.0)
                fresh = fresh if old is None else next_version(old, IntentState.ACCEPTED, corridor=fresh.corridor)
                now[name] = fresh
                effects = Effects(intents=(fresh,))
            elif what in ("activate", "end"):
                if name not in now:
                    continue
                state = IntentState.ACTIVATED if what == "activate" else IntentState.ENDED
                changed = next_version(now.pop(name), state)
                if what == "activate":
                    now[name] = changed
                effects = Effects(states=(state_effect(changed),))
            elif what == "commit":
                made.committed()
                durable = len(history) - 1
                continue
            elif what == "revert":
                made.revert()
                del history[durable + 1 :]
                continue
            elif what == "open":
                inner = stack.enter_context(contextlib.ExitStack())
                views.append((inner, inner.enter_context(made.view()), dict(history[durable])))
                continue
            else:
                if views:
                    views.pop(0)[0].close()
                continue
            history.append(now)
            made.apply(head(len(history) - 1), effects)
        for _, view, expected in [*views, (None, made.tentative(), history[-1])]:
            assert_same(view, expected)
        if keep:
            made.committed()
            for seq, expected in enumerate(history):
                with made.view(head(seq)) as view:
                    assert_same(view, expected)


def assert_same(view, expected):
    assert {one.id: (one.version, one.state, one.ovn) for one in view.live()} == {
        name: (one.version, one.state, one.ovn) for name, one in expected.items()
    }
    for name in NAMES:
        assert (found := view.get(name)) is expected.get(name) or found.ovn == expected[name].ovn
    probe = straight("probe", (0, 0, 50), (500, 0, 50), 1000.0).corridor
    met = {name for name, one in expected.items() if one.corridor.centre_line.enu_m[0, 1] <= 72.0}
    assert {one.id for one in view.conflicts(probe)} == met
    assert met <= {one.id for one in view.near(probe)}


def test_nothing_is_kept_for_views_that_are_closed():
    made = picture()
    for seq in range(1, 60):
        effects = Effects(intents=(straight("a", (0, seq, 50), (500, seq, 50), 1000.0, version=seq),))
        made.apply(head(seq), effects)
        made.committed()
    assert len(made._rooms) == len(made._traffic) == 1
    assert made._recent == [] or len(made._recent) == 1
    assert made._given_back == []


def test_what_changed_since_a_view():
    made = picture()
    with made.view() as view:
        made.apply(head(1), Effects(intents=(straight("a", (0, 0, 50), (500, 0, 50), 1000.0),)))
        assert [effects.ids for effects in made.since(view.seq)] == [{"a"}]
        made.committed()
        assert [effects.ids for effects in made.since(view.seq)] == [{"a"}]
        assert view.live() == ()
    assert [one.id for one in made.tentative().live()] == ["a"]


def test_entries_come_one_after_the_other():
    made = picture()
    with pytest.raises(ValueError, match="entry 2 does not follow 0"):
        made.apply(head(2), Effects())
    with pytest.raises(ValueError, match="changes a, which is not live"):
        made.apply(head(1), Effects(states=({"id": "a", "state": "Activated", "version": 2, "ovn": "x"},)))


def test_a_view_asks_for_the_separation_of_the_rules():
    made = picture()
    other = straight("a", (0, 0, 50), (500, 0, 50), 1000.0)
    made.apply(head(1), Effects(intents=(other,)))
    made.committed()
    with made.view() as view:
        # 25 m and 1 m of tube each, 20 m between them
        for apart, meets in ((71.9, True), (72.1, False)):
            beside = straight("b", (0, apart, 50), (500, apart, 50), 1000.0).corridor
            assert bool(view.conflicts(beside)) is meets
            above = straight("b", (0, 0, 50 + apart - 40), (500, 0, 50 + apart - 40), 1000.0).corridor
            assert bool(view.conflicts(above)) is meets
    assert np.isfinite(other.corridor.centre_line.enu_m).all()
