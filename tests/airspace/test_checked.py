"""A plan that brings its trajectory goes through the whole airspace: granted as it stands or refused."""

from __future__ import annotations

import dataclasses
import json

import pytest

from tests.airspace.conftest import plan
from tests.airspace.test_replay import log_of, replayed
from utm.airspace import Airspace
from utm.airspace.answers import check_request, request_in
from utm.errors import PlanError, StateError
from utm.model import Actor, Datum, Role, TimedWaypoint, Trajectory


@pytest.fixture
def brought(airspace: Airspace, town):
    """A plan, and the trajectory that the airspace itself would find for it."""
    wish = plan(town, "one", ("west", "east"))
    return wish, airspace.route_answer(wish).line


def test_what_is_brought_is_granted_as_it_stands(airspace, brought):
    wish, line = brought
    decision = airspace.check(wish, line)
    assert decision.approved, decision.reasons
    granted = airspace.intent("one").corridor.centre_line
    assert (granted.t_s.tolist(), granted.enu_m.tolist()) == (line.t_s.tolist(), line.enu_m.tolist())
    assert decision.intent.limits
    assert airspace.decision("one")["as_asked"] is True
    with pytest.raises(StateError, match="granted already"):
        airspace.check(wish, line)


def test_a_granted_trajectory_stands_in_the_log_once(airspace, brought):
    wish, line = brought
    airspace.check(wish, line)
    (entry,) = log_of(airspace)
    asks = Actor(wish.operator, Role.OPERATOR)
    assert entry.body["request"] == {"granted": "one", "actor": {"name": wish.operator, "role": "operator"}}
    assert request_in(entry.body) == json.loads(json.dumps(check_request(wish, line, asks)))


def test_a_name_that_no_file_could_have_keeps_nobody_from_reading_the_log(airspace, brought):
    wish, line = brought
    wish = dataclasses.replace(wish, id="one & only", operator="")
    with Airspace.open(airspace.path, clock=airspace.clock) as other:
        assert airspace.check(wish, line).approved
        assert not other.check(dataclasses.replace(wish, id="two"), line).approved
        assert [one.plan for one in other.intents()] == [wish]
    with Airspace.open(airspace.path, clock=airspace.clock) as other:
        assert not other.check(dataclasses.replace(wish, id="three"), line).approved


def test_a_second_one_in_its_way_is_refused(airspace, town, brought):
    wish, line = brought
    airspace.check(wish, line)
    late = Trajectory(line.t_s + 5.0, line.enu_m)
    decision = airspace.check(dataclasses.replace(wish, id="two"), late)
    assert not decision.approved
    assert "CONFLICT" in {reason.code for reason in decision.reasons}
    assert [again.same for again in replayed(airspace, log_of(airspace))] == [True, True]


def test_written_in_degrees_it_is_the_same(airspace, town, brought):
    wish, line = brought
    lon, lat = town.frame.to_lonlat(*line.enu_m.T[:2])
    points = tuple(
        TimedWaypoint(float(x), float(y), float(up), Datum(town.frame.vertical), float(t_s))
        for x, y, up, t_s in zip(lon, lat, line.enu_m[:, 2], line.t_s, strict=True)
    )
    decision = airspace.submit(dataclasses.replace(wish, trajectory=points))
    assert decision.approved, decision.reasons
    assert abs(airspace.intent("one").corridor.centre_line.enu_m - line.enu_m).max() < 1e-3
    with pytest.raises(PlanError, match="File it alone"):
        airspace.submit_fleet([dataclasses.replace(wish, id="three", trajectory=points)])
