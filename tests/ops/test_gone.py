"""What each process does when the database is gone: docs/operations.md, line by line."""

from __future__ import annotations

import asyncio
import json
import re
import sys

import pytest

from tests.airspace.conftest import T0, plan
from tests.ops.conftest import ON_BOTH
from tests.ops.fakes import FakeVehicle
from utm.airspace.documents import plan_document
from utm.cli.app import run
from utm.cli.fly import _follow, _kept_up
from utm.core.conforming import F3548
from utm.errors import StoreError
from utm.model import IntentState
from utm.ops.authority import Authority
from utm.ops.fly import Conduct, Flight, Update, fly


@ON_BOTH
async def test_a_flight_goes_on_without_it_and_tells_everything_later(airspace, town, gone, away):
    granted = airspace.submit(plan(town, "one", ("west", "east"))).intent
    said, was_gone, activated, noticed = [], [], asyncio.Event(), asyncio.Event()

    def tell(update: Update) -> None:
        said.append(update.sentence)
        if update.sentence == "armed":
            activated.set()
        if all(any(words in one for one in said) for words in ("no news from", "cannot be told")):
            noticed.set()

    class Drone(FakeVehicle):
        async def states(self):
            async for state in super().states():
                async with asyncio.timeout(60.0):
                    if state.t_s >= granted.corridor.centre_line.start_s - 6.0:
                        await activated.wait()
                    if state.t_s >= T0 + 30.0 and not noticed.is_set():
                        if not was_gone:
                            was_gone.append(away.enter_context(gone()))
                        if state.t_s >= T0 + 60.0:
                            await noticed.wait()
                    if state.t_s >= T0 + 90.0:
                        away.close()
                yield state

    drone = Drone(granted, town.frame, begin_s=T0 - 20.0)
    conduct = Conduct(look_every_s=0.0, retry_s=0.01)
    [log] = await fly([Flight(granted, town.frame, drone)], Authority(airspace), on_update=tell, conduct=conduct)
    assert log.conformed
    assert "hold" not in drone.calls
    assert sum("no news from the airspace" in one for one in said) == 1
    assert sum("cannot be told where it is" in one for one in said) == 1
    assert "there is news from the airspace again" in said
    assert airspace.intent("one").state is IntentState.ENDED
    last = airspace.positions()["one"]
    assert last["landed"]
    assert last["conformity"]["received"] == pytest.approx(log.t_s[-1] - log.t_s[0], abs=4.0)
    assert last["conformity"]["track"]["gaps"] == 0


async def test_a_flight_that_was_never_told_to_start_is_not_started(airspace, town, gone):
    granted = airspace.submit(plan(town, "one", ("west", "east"))).intent
    drone = FakeVehicle(granted, town.frame, begin_s=T0 - 20.0)
    with gone(), pytest.raises(StoreError):
        await fly([Flight(granted, town.frame, drone)], Authority(airspace))
    assert drone.calls == []
    assert airspace.intent("one").state is IntentState.ACCEPTED


def test_whose_ground_station_died_keeps_its_room_and_loses_its_state(airspace, town):
    granted = airspace.submit(plan(town, "one", ("west", "east"))).intent
    line = granted.corridor.centre_line
    airspace.activate("one", T0)
    at_s = T0 + 40.0
    airspace.position("one", at_s, line.at(at_s))
    # ... and here it died: nothing is heard any more, and whoever watches keeps the clock.
    airspace.upkeep(at_s + F3548.silent_after_s - 1.0)
    assert airspace.intent("one").state is IntentState.ACTIVATED
    airspace.upkeep(at_s + F3548.silent_after_s + 1.0)
    assert airspace.intent("one").state is IntentState.NONCONFORMING
    airspace.upkeep(at_s + F3548.silent_after_s + F3548.contingent_after_s + 2.0)
    assert airspace.intent("one").state is IntentState.CONTINGENT
    other = airspace.submit(plan(town, "two", ("west", "east"), T0 + 1.0))
    assert other.intent is None or other.change is not None  # its room is still taken
    airspace.end("one")


def test_a_plan_is_not_promised_anything(airspace, town, gone, tmp_path, monkeypatch, capfd):
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plan_document(plan(town, "one", ("west", "east")))), encoding="utf-8")
    words = ["utm", "plan", "submit", str(file), "--airspace", str(airspace.path), "--json"]
    monkeypatch.setattr(sys, "argv", words)
    before = airspace.head
    with gone(), pytest.raises(SystemExit) as left:
        run()
    out, err = capfd.readouterr()
    assert left.value.code == 3
    assert json.loads(out)["error"]["kind"] == "StoreError"
    assert "is gone" in err
    assert airspace.head == before
    assert airspace.intents() == ()


def test_a_monitor_says_that_what_it_shows_is_old(airspace, town, gone, away, capfd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    airspace.submit(plan(town, "one", ("west", "east")))
    turns = iter(range(3))

    def pause() -> None:
        match next(turns):
            case 0:
                away.enter_context(gone())
            case 1:
                away.close()
            case _:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _follow(lambda: _kept_up(airspace), pause)
    out = capfd.readouterr().out
    first, old, again = (part.start() for part in re.finditer("one co", out))
    assert out.count("OLD, as of ") == 1
    assert first < out.index("OLD, as of ") < old < again
    assert "is gone" in out


def test_a_monitor_that_never_saw_anything_shows_nothing(airspace, gone):
    with gone(), pytest.raises(StoreError):
        _follow(lambda: _kept_up(airspace), lambda: None)
