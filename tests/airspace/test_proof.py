"""Whatever was granted, and however: its papers come out of the log, and the independent verifier proves it again."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.airspace.conftest import PADS, T0, plan, zone
from utm.airspace import Airspace
from utm.airspace.proof import papers_of
from utm.errors import StateError
from utm.model import Actor, Role
from utm.verify import Report, verify

RESCUE = Actor("119", Role.RESCUE)


def proven(airspace: Airspace, intent_id: str) -> Report:
    """The second opinion on an intent; that it holds is asserted."""
    papers = papers_of(airspace, intent_id)
    json.dumps([papers.intent, papers.zones, papers.neighbours, papers.live])  # plain, for whoever is handed them
    report = verify(papers.intent, **papers.rest)
    assert report.holds, (intent_id, report.faults)
    return report


def of_kind(report: Report, kind: str) -> set[str]:
    return {line.subject.partition("@")[0] for line in report.lines if line.kind == kind}


def at(airspace, seconds):
    airspace.clock = lambda: T0 + seconds
    return airspace


def along(airspace, intent_id, seconds):
    """Where a flight is, east and north, so long after T0."""
    return tuple(airspace.intent(intent_id).corridor.centre_line.at(T0 + seconds)[:2])


def test_as_asked_and_with_every_change(airspace, town):
    airspace.add_zones([zone(town, "park", (1100.0, 950.0), 60.0)])
    airspace.submit(plan(town, "one", ("west", "east")))
    assert of_kind(proven(airspace, "one"), "separation") == set()
    for choose in ("delay", "height", "route"):
        decision = airspace.submit(plan(town, choose, ("west", "east")), choose=choose)
        if decision.approved:
            proven(airspace, choose)
    assert "one" in of_kind(proven(airspace, "delay"), "separation")


def test_a_fleet(airspace, town):
    ways = [("west", "east"), ("east", "west"), ("north", "south")]
    fleet = airspace.submit_fleet([plan(town, f"f{n}", way, operator="fleet") for n, way in enumerate(ways)])
    assert fleet.refused == 0
    named = [of_kind(proven(airspace, f"f{n}"), "separation") for n in range(3)]
    assert any(named), "no two of them are near each other"


def test_led_around_a_zone(airspace, town):
    airspace.submit(plan(town, "one", ("west", "east")))
    airspace.submit(plan(town, "two", ("east", "west"), T0 + 300.0))
    (move, *_) = airspace.add_zones([zone(town, "works", along(airspace, "one", 60.0), 30.0)])
    assert (move.before.id, move.kind) == ("one", "replanned")
    assert any(name.startswith("works@") for name in airspace.intent("one").zones)
    proven(airspace, "one")
    proven(airspace, "two")


def test_displaced_on_the_ground(airspace, town):
    airspace.submit(plan(town, "one", ("west", "east")))
    airspace.submit(plan(town, "doctor", ("west", "east"), priority=80), actor=RESCUE)
    assert airspace.intent("one").version == 2
    proven(airspace, "doctor")
    assert "doctor" in of_kind(proven(airspace, "one"), "separation")


def test_displaced_in_the_air(airspace, town):
    airspace.submit(plan(town, "one", ("west", "east")))
    airspace.activate("one", T0)
    at(airspace, 40.0)
    decision = airspace.submit(plan(town, "doctor", ("east", "west"), T0 + 60.0, priority=80), actor=RESCUE)
    assert [(move.before.id, move.kind in ("rerouted", "landing")) for move in decision.details["displaced"]] == [
        ("one", True)
    ]
    proven(airspace, "doctor")
    proven(airspace, "one")


@pytest.mark.parametrize("later_s", [0.5, 2.0, 30.0], ids="{:g} s later".format)
def test_held_before_a_closed_volume_and_led_around_it(airspace, town, later_s):
    airspace.submit(plan(town, "one", ("west", "east")))
    airspace.submit(plan(town, "two", ("east", "west"), T0 + 1200.0))
    airspace.activate("one", T0)
    ahead = along(airspace, "one", 140.0)
    at(airspace, 30.0)
    found = airspace.close_volume([zone(town, "fire", ahead, 80.0)], actor=RESCUE)
    assert [one.id for one in found.holds] == ["one"]
    held = papers_of(airspace, "one")
    assert held.holding
    # It waits in the air, for its new way: whatever else is wrong with it would be wrong.
    assert all("destination" in fault for fault in verify(held.intent, **held.rest).faults)
    at(airspace, 30.0 + later_s)
    moves = airspace.make_way([one.id for one in found.touched], actor=RESCUE)
    assert "rerouted" in {move.kind for move in moves}
    assert not papers_of(airspace, "one").holding
    proven(airspace, "one")
    proven(airspace, "two")


def test_an_overrun_that_keeps_its_pad(airspace, town):
    airspace.submit(plan(town, "late", ("west", "east")))
    airspace.activate("late", T0)
    line = airspace.intent("late").corridor.centre_line
    for t_s in np.arange(line.start_s + 2.0, line.end_s, 8.0):
        airspace.position("late", t_s, line.at(t_s))
    airspace.position("late", line.end_s, line.enu_m[-1], landed=True)
    at(airspace, line.end_s - T0 + 50.0)
    assert [one.id for one in airspace.upkeep().extended] == ["late"]
    proven(airspace, "late")


def test_papers_of_a_flight_that_was_never_granted(airspace, town):
    airspace.add_zones([zone(town, "works", PADS["east"], 60.0)])
    assert not airspace.submit(plan(town, "one", ("west", "east"))).approved
    with pytest.raises(StateError, match="no plan one has been granted"):
        papers_of(airspace, "one")
