"""A log decided again gives the same bytes; one that was changed, or decided by other rules, does not."""

from __future__ import annotations

import dataclasses
import json
import threading

import pytest

from tests.airspace.conftest import T0, plan, zone
from utm.airspace import Airspace
from utm.airspace.conditions import wind_from
from utm.airspace.ledger import Entry
from utm.airspace.replay import replay
from utm.errors import PlanError, StateError
from utm.model import Actor, Role, RuleSet


def log_of(airspace: Airspace) -> list[Entry]:
    return list(airspace.events())


def replayed(airspace: Airspace, entries: list[Entry]):
    return list(replay(entries, airspace._world, airspace.city_map.version))


@pytest.fixture
def busy(airspace, town):
    """An airspace in which every kind of request was made, some in vain."""
    airspace.submit(plan(town, "one", ("west", "east")))
    airspace.submit(plan(town, "two", ("east", "west")))
    airspace.set_wind(wind_from(270, 3))
    airspace.submit(plan(town, "three", ("north", "south")))
    airspace.add_zones([zone(town, "works", (1500.0, 1100.0), 40.0), zone(town, "school", (100.0, 1100.0), 40.0)])
    airspace.submit(plan(town, "four", ("west", "east")))
    airspace.activate("three", T0)
    with pytest.raises(PlanError, match="in the past"):
        airspace.submit(plan(town, "late", ("west", "east"), T0 - 5000.0))
    with pytest.raises(StateError, match="may not change it"):
        airspace.end("three", actor=Actor("somebody", Role.OPERATOR))
    airspace.remove_zone("school")
    airspace.cancel("two")
    airspace.submit(plan(town, "rescue", ("west", "east"), priority=50), actor=Actor("119", Role.RESCUE))
    airspace.end("three")
    return airspace


def test_every_entry_is_decided_the_same_again(busy):
    entries = log_of(busy)
    assert [entry.kind for entry in entries].count("plan") == 6
    for again in replayed(busy, entries):
        assert again.same, (again.entry.seq, again.entry.kind, again.difference)


def test_what_is_answered_in_parallel_is_decided_the_same_again(airspace, town):
    ways = [("west", "east"), ("east", "west"), ("north", "south"), ("south", "north"), ("west", "north")]
    failed = []

    def file(number):
        try:
            airspace.submit(plan(town, f"p{number}", ways[number % 5], T0 + 400.0 * (number % 3)))
        except Exception as error:  # noqa: BLE001 - a thread's error would be lost
            failed.append(error)

    threads = [threading.Thread(target=file, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    entries = log_of(airspace)
    assert len(entries) == 6
    assert all(again.same for again in replayed(airspace, entries))


def test_a_decision_that_was_not_made_by_the_rules_is_found(busy):
    entries = log_of(busy)
    body = json.loads(entries[0].text)
    body["intents"][0]["corridor"]["enu_m"][1][0] += 0.01
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    entries[0] = dataclasses.replace(entries[0], text=text)
    first = replayed(busy, entries)[0]
    assert not first.same
    assert "the log says" in first.difference


def test_other_rules_decide_otherwise(busy):
    other = busy._world.__class__(lambda _version: busy.city_map, RuleSet(separation_horizontal_m=60.0), busy.path)
    again = list(replay(log_of(busy)[:2], other, busy.city_map.version))
    assert not all(one.same for one in again)
