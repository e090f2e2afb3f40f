"""What is flown around corners is part of every separation, and stays with the intent that it was granted with."""

from __future__ import annotations

import dataclasses
import itertools
import json

import numpy as np

from tests.airspace.conftest import plan
from tests.oracles.motion import flown
from utm.airspace.admission import decide
from utm.airspace.granting import ovn_of
from utm.airspace.records import intent_document, intent_from
from utm.airspace.situation import OfIntents, Situation
from utm.airspace.space import Skies
from utm.core import corners_only, in_conflict
from utm.core.trajectory import planned_legs
from utm.model import Tube


def granted(airspace, town):
    ways = {"one": ("west", "east"), "two": ("south", "north"), "three": ("east", "west")}
    intents = [airspace.submit(plan(town, name, way)).intent for name, way in ways.items()]
    assert None not in intents
    return intents


def test_granted_flights_are_apart_by_their_tubes_too(airspace, town):
    rules = airspace.rules
    for one, two in itertools.combinations(granted(airspace, town), 2):
        a, b = one.corridor, two.corridor
        assert a.tube.horizontal_m > 1.0  # they turn around the wall
        assert not in_conflict(
            a.occupied,
            b.occupied,
            2 * rules.half_width_m + rules.separation_horizontal_m + a.tube.horizontal_m + b.tube.horizontal_m - 1e-3,
            2 * rules.half_height_m + rules.separation_vertical_m + a.tube.vertical_m + b.tube.vertical_m - 1e-3,
            2 * rules.time_tolerance_s - 1e-3,
        )


def test_the_corridor_holds_what_is_flown(airspace, town):
    for intent in granted(airspace, town):
        line, tube = intent.corridor.centre_line, intent.corridor.tube
        times, places = flown(planned_legs(corners_only(line.enu_m), intent.plan.aircraft))
        off = places - np.array([line.at(line.start_s + t) for t in times])
        assert np.hypot(off[:, 0], off[:, 1]).max() <= tube.horizontal_m
        assert np.abs(off[:, 2]).max() <= tube.vertical_m


def test_a_neighbour_with_a_wider_tube_is_given_more_room(airspace, town):
    """Two flights on either side of the wall: neither meets the other, unless one asks for hundreds of metres."""
    first = airspace.submit(plan(town, "one", ("west", "north"))).intent
    second = airspace.submit(plan(town, "two", ("south", "east")))
    assert second.change is None
    skies, wish = Skies(town, airspace.rules), second.plan
    assert decide(Situation(skies, (), airspace.clock(), traffic=OfIntents((first,))), wish).change is None
    wide = dataclasses.replace(first, corridor=dataclasses.replace(first.corridor, tube=Tube(900.0, 500.0)))
    decision = decide(Situation(skies, (), airspace.clock(), traffic=OfIntents((wide,))), wish)
    assert not decision.approved or decision.change is not None
    assert decision.reasons[0].code == "CONFLICT"
    assert ovn_of(wide) != ovn_of(first)


def test_the_log_keeps_the_tube(airspace, town):
    intent = airspace.submit(plan(town, "one", ("west", "east"))).intent
    assert intent.corridor.tube != Tube(0.0, 0.0)
    document = json.loads(json.dumps(intent_document(intent)))
    assert intent_from(document).corridor.tube == intent.corridor.tube
