"""The torture test in small, on both stores; and its oracle, which finds what is broken on purpose."""

from __future__ import annotations

import copy
import dataclasses
import json

import pytest

from benchmarks import torture, torture_oracle
from tests.airspace.conftest import plan
from utm.model import RuleSet


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_every_promise_is_kept(store, request):
    if store == "postgresql":
        request.getfixturevalue("postgresql_server")  # skips with the reason where there is none
    found = torture.run(store, 6.0, processes=3, kill_every_s=2.0)
    assert found["faults"] == []
    assert found["failed"] == []
    assert found["holds"]


@pytest.fixture
def evidence(airspace, town):
    """What an airspace of two flights at the same time leaves, and what its client was told."""
    told = []
    for name, way in (("one", ("west", "east")), ("two", ("north", "south"))):
        decision = airspace.submit(plan(town, name, way))
        told.append({"id": name, "seq": decision.receipt.seq, "digest": decision.receipt.digest})
    log, intents = torture_oracle.read(f"sqlite:///{airspace.path / 'airspace.db'}")
    return log, intents, told


def judged(log, intents, told):
    return torture_oracle.faults(log, intents, told, dataclasses.asdict(RuleSet()))[0]


def test_a_sound_airspace_has_no_faults(evidence):
    assert judged(*evidence) == []


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda log, intents, told: log.pop(), "was acknowledged"),
        (lambda log, intents, told: intents.pop(), "the table None"),
        (lambda log, intents, told: intents[0].update(state="Activated"), "the table"),
        (lambda log, intents, told: log[0].update(subject="else"), "not as its digest says"),
        (lambda log, intents, told: told.append({"seq": 9, "digest": "0", "id": "nobody"}), "is lost"),
        (lambda log, intents, told: told.append({**told[0], "id": "nobody"}), "not in the log"),
    ],
)
def test_what_is_broken_is_found(evidence, damage, words):
    log, intents, told = copy.deepcopy(evidence)
    damage(log, intents, told)
    assert any(words in sentence for sentence in judged(log, intents, told))


def test_two_in_one_place_are_found(evidence):
    log, intents, told = copy.deepcopy(evidence)
    bodies = [json.loads(row["body"]) for row in log]
    bodies[1]["intents"][0]["corridor"] = bodies[0]["intents"][0]["corridor"]
    log[1]["body"] = json.dumps(bodies[1])
    assert any("come within 0.000 m" in sentence for sentence in judged(log, intents, told))
    # One after the other, never reserved at once, is no fault.
    bodies[1]["states"] = [{"id": "one", "state": "Ended", "version": 2, "ovn": "x"}]
    log[1]["body"] = json.dumps(bodies[1])
    assert not any("come within" in sentence for sentence in judged(log, intents, told))
