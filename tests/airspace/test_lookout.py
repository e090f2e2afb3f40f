"""Drones that are about to meet are seen half a minute ahead, and what they are told makes them miss."""

from __future__ import annotations

import numpy as np

from tests.airspace.conftest import T0, plan
from utm.airspace.lookout import look_ahead
from utm.core.encounters import Severity


def fly(airspace, intent_id, until_s, shift=(0.0, 0.0, 0.0)):
    line = airspace.intent(intent_id).corridor.centre_line
    airspace.activate(intent_id, line.start_s)
    for t_s in np.arange(line.start_s + 1.0, until_s, 2.0):
        airspace.position(intent_id, t_s, line.at(t_s))
    for t_s in (until_s - 1.0, until_s):
        airspace.position(intent_id, t_s, line.at(t_s) + shift)


def test_flights_as_granted_do_not_meet(airspace, town):
    airspace.submit(plan(town, "one", ("west", "east")))
    airspace.submit(plan(town, "two", ("north", "south")))
    for name in ("one", "two"):
        fly(airspace, name, T0 + 60.0)
    airspace.clock = lambda: T0 + 60.0
    assert airspace.look_ahead() == ()


def test_a_drone_that_strays_towards_another_is_seen_and_both_are_told(airspace, town):
    airspace.submit(plan(town, "one", ("west", "east")))
    airspace.submit(plan(town, "two", ("west", "north"), T0 + 200.0))
    one = airspace.intent("one").corridor.centre_line
    two = airspace.intent("two").corridor.centre_line
    fly(airspace, "one", T0 + 60.0)
    # The second is far ahead of its time, at the height of the first and towards it.
    place = one.at(T0 + 60.0) + [160.0, 0.0, 0.0]
    airspace.activate("two", two.start_s)
    for t_s, east in ((T0 + 59.0, 8.0), (T0 + 60.0, 0.0)):
        airspace.position("two", t_s, place + [east, 0.0, 0.0])
    airspace.clock = lambda: T0 + 60.0
    (advice,) = airspace.look_ahead()
    assert {advice.encounter.a, advice.encounter.b} == {"one", "two"}
    assert advice.encounter.severity is not Severity.LOST
    assert T0 + 60.0 < advice.encounter.at_s <= T0 + 90.0
    assert advice.exists, advice.sentence
    assert advice.sentence


def test_who_is_silent_for_a_minute_is_no_part_of_the_picture(airspace, town):
    airspace.submit(plan(town, "one", ("west", "east")))
    airspace.submit(plan(town, "two", ("north", "south")))
    fly(airspace, "one", T0 + 60.0)
    intents = [airspace.intent(name) for name in ("one", "two")]
    kept = airspace._database.positions()
    assert look_ahead(airspace._skies, intents, kept, T0 + 60.0) == ()
    assert look_ahead(airspace._skies, intents, {"one": kept["one"], "two": kept["one"]}, T0 + 130.0) == ()
