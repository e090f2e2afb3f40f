"""Flights over a real airspace: what others write into its log reaches them."""

from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest

from tests.airspace.conftest import T0, plan, zone
from tests.ops.city import office
from tests.ops.conftest import ON_BOTH
from tests.ops.fakes import FakeVehicle
from utm.airspace import Airspace
from utm.airspace.emergency import HOLD_AFTER_S
from utm.errors import StateError
from utm.model import Actor, IntentState, Role
from utm.ops.authority import Authority
from utm.ops.fly import Conduct, Flight, Update, fly

RESCUE, CITY = Actor("119", Role.RESCUE), Actor("city", Role.CITY)
STEP_S = FakeVehicle.step_s
#: When the city acts, and the drone has been in the air for half a minute.
THEN_S = T0 + 30.0


class Prompt(Authority):
    """Says when it activates nothing: a vehicle in memory flies minutes while a thread writes to a disk."""

    def __init__(self, airspace: Airspace) -> None:
        super().__init__(airspace)
        self.idle = asyncio.Event()
        self.idle.set()

    async def activate(self, intent_id: str, t_s: float) -> None:
        self.idle.clear()
        await super().activate(intent_id, t_s)
        self.idle.set()


class Waiting(FakeVehicle):
    """Flies on only when the airspace has let it, and past a moment only when something has happened."""

    def __init__(self, *args, authority: Prompt, stop_s: float = math.inf, until=None, **knobs) -> None:
        super().__init__(*args, **knobs)
        self.authority, self.stop_s, self.until = authority, stop_s, until

    async def states(self):
        async for state in super().states():
            await self.authority.idle.wait()
            if self.stop_s <= state.t_s < self.stop_s + STEP_S:
                async with asyncio.timeout(60.0):
                    await self.until()
            yield state


@ON_BOTH
async def test_a_volume_that_another_process_closes_stops_a_drone(airspace, town):
    granted, authority = airspace.submit(plan(town, "one", ("west", "east"))).intent, Prompt(airspace)
    line = granted.corridor.centre_line
    ahead = line.at(T0 + 140.0)[:2]
    heard, said = asyncio.Event(), []

    def tell(update: Update) -> None:
        said.append(update.sentence)
        if "another corridor" in update.sentence:
            heard.set()

    with office(airspace.path, zone(town, "fire", tuple(ahead), 80.0), THEN_S) as city:

        async def closed() -> None:
            city.send("go")
            assert await asyncio.to_thread(city.recv) > 1
            await heard.wait()

        drone = Waiting(granted, town.frame, begin_s=T0 - 20.0, authority=authority, stop_s=THEN_S, until=closed)
        conduct = Conduct(overdue_s=0.0)
        [log] = await fly([Flight(granted, town.frame, drone)], authority, on_update=tell, conduct=conduct)

    assert airspace.intent("one").version >= 3  # granted, activated, stopped
    [sentence] = [one for one in said if "another corridor" in one]
    assert sentence.startswith("was given another corridor in flight; 119 closed fire: it is to hold before that")
    brake_s = THEN_S + HOLD_AFTER_S
    assert brake_s <= drone.times["hold"][0] <= brake_s + 3 * STEP_S
    given = airspace.intent("one").corridor.centre_line
    assert given.end_s < line.end_s
    assert log.inside[log.t_s <= given.end_s].all()
    assert np.linalg.norm(log.enu_m[-1, :2] - ahead) > 80.0
    reported = airspace.positions()["one"]
    assert reported["inside"]
    assert reported["t_s"] > brake_s


async def test_whoever_is_ended_by_the_city_hears_it(airspace, town):
    granted, authority = airspace.submit(plan(town, "one", ("west", "east"))).intent, Prompt(airspace)
    heard = asyncio.Event()

    async def ended() -> None:
        await asyncio.to_thread(airspace.end, "one", THEN_S, actor=CITY)
        await heard.wait()

    drone = Waiting(granted, town.frame, begin_s=T0 - 20.0, authority=authority, stop_s=THEN_S, until=ended)
    [log] = await fly(
        [Flight(granted, town.frame, drone)],
        authority,
        on_update=lambda update: heard.set() if "its intent was ended" in update.sentence else None,
        conduct=Conduct(overdue_s=0.0),
    )
    assert THEN_S <= drone.times["hold"][0] <= THEN_S + 3 * STEP_S
    assert isinstance(log.error, StateError)
    assert "(by city: it is Ended now)" in str(log.error)


async def test_reports_of_a_whole_flight_reach_the_airspace(airspace, town):
    granted, authority = airspace.submit(plan(town, "one", ("west", "east"))).intent, Prompt(airspace)
    drone = Waiting(granted, town.frame, begin_s=T0 - 20.0, authority=authority)
    [log] = await fly([Flight(granted, town.frame, drone)], authority, conduct=Conduct(look_every_s=0.0))
    assert log.conformed
    assert airspace.intent("one").state is IntentState.ENDED
    last = airspace.positions()["one"]
    assert last["landed"]
    assert last["inside"]
    received = last["conformity"]["received"]
    assert received == pytest.approx(log.t_s[-1] - log.t_s[0], abs=4.0)


async def test_what_the_log_says_of_a_flight(airspace, town):
    """Every kind of entry that may change a flight, in words."""
    authority, ids = Authority(airspace), ("one", "two")
    for name, way, at_s in (("one", ("west", "east"), T0), ("two", ("north", "south"), T0 + 3000.0)):
        assert airspace.submit(plan(town, name, way, at_s)).approved
    start = await authority.changes(ids, None)
    assert [(one.intent_id, one.version, one.state) for one in start.changes] == [
        ("one", 1, IntentState.ACCEPTED),
        ("two", 1, IntentState.ACCEPTED),
    ]
    assert (await authority.changes(ids, start.seq)).changes == ()

    airspace.submit(plan(town, "doctor", ("west", "east"), priority=80), actor=RESCUE)
    news = await authority.changes(ids, start.seq)
    [change] = news.changes
    assert (change.intent_id, change.version) == ("one", 2)
    assert change.why.startswith("makes way for doctor: ")
    assert change.intent is not None
    line = change.intent.corridor.centre_line

    middle = line.at((line.start_s + line.end_s) / 2)[:2]
    airspace.add_zones([zone(town, "works", tuple(middle), 30.0)])
    [change] = (await authority.changes(ids, news.seq)).changes
    assert change.why.startswith("city entered works: ")
    # Asked again from further back, nothing is lost and nothing is out of order.
    again = await authority.changes(ids, start.seq)
    assert [one.version for one in again.changes if one.intent_id == "one"] == [2, 3]

    airspace.cancel("two")
    [change] = (await authority.changes(ids, again.seq)).changes
    assert (change.intent_id, change.state, change.intent) == ("two", IntentState.ENDED, None)
    assert change.why == "by two co: it is Ended now"

    airspace.clock = lambda: airspace.intent("one").corridor.centre_line.start_s + 4000.0
    seq = again.seq + 1
    airspace.upkeep()
    [change] = (await authority.changes(ids, seq)).changes
    assert change.why == "the clock: it did not take off in its time"
    assert (await authority.changes(("nobody",), 0)).seq == airspace.head.seq


async def test_who_was_replanned_before_anybody_looked_is_loaded_with_that(airspace, town):
    granted, authority = airspace.submit(plan(town, "one", ("west", "east"))).intent, Prompt(airspace)
    airspace.submit(plan(town, "doctor", ("west", "east"), priority=80), actor=RESCUE)
    now = airspace.intent("one")
    assert now.version == 2
    drone = Waiting(now, town.frame, begin_s=T0 - 20.0, authority=authority)
    flight = Flight(granted, town.frame, drone)
    [log] = await fly([flight], authority, conduct=Conduct(look_every_s=0.0))
    assert log.conformed
    assert drone.loaded.depart_s == pytest.approx(now.corridor.centre_line.start_s, abs=1.0)
