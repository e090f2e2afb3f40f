"""What a flight does when the airspace changes it, and when the airspace does not answer."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest

from tests.ops.fakes import FakeAirspace, FakeVehicle
from tests.ops.made import KAGA, START_S, intent
from utm.errors import OutsideError, StateError, StoreError
from utm.model import IntentState, OperationalIntent, SkyRoad, Trajectory
from utm.ops.change import Change, leaves_s
from utm.ops.fly import Conduct, Flight, Update, fly

WAY = [(500, 500, 20), (500, 500, 70), (800, 500, 70), (800, 700, 75), (800, 700, 22)]
MADE = intent(WAY)
LINE = MADE.corridor.centre_line
STEP_S = FakeVehicle.step_s
BRAKE_S = START_S + 45.0

Hook = Callable[[float], None]


def granted(line: Trajectory, *, version: int = 2, state: IntentState = IntentState.ACTIVATED) -> OperationalIntent:
    corridor = dataclasses.replace(MADE.corridor, centre_line=line)
    return dataclasses.replace(MADE, corridor=corridor, version=version, state=state)


def stopping(brake_s: float, hold_s: float = 60.0) -> Trajectory:
    """The granted line up to a moment, and then a rest."""
    before = LINE.t_s < brake_s
    times = np.concatenate([LINE.t_s[before], [brake_s, brake_s + hold_s]])
    return Trajectory(times, np.vstack([LINE.enu_m[before], LINE.at(brake_s), LINE.at(brake_s)]))


def told(intent: OperationalIntent, why: str = "119 closed fire", **more: bool) -> Change:
    return Change(intent.id, intent.version, intent.state, why, intent, **more)


def state_only(state: IntentState, version: int = 2) -> Change:
    return Change(MADE.id, version, state, "by the city")


class Watched(FakeVehicle):
    """Calls a hook with its clock before each report; flies what it has loaded last."""

    def __init__(self, hook: Hook, roads: tuple[OperationalIntent, ...] = (), **knobs: object) -> None:
        super().__init__(MADE, KAGA, **{"begin_s": START_S - 30.0, **knobs})
        self.hook, self.roads = hook, [MADE, *roads]

    async def load(self, road: SkyRoad) -> None:
        await super().load(road)
        [self.intent] = [one for one in self.roads if abs(one.corridor.centre_line.start_s - road.depart_s) < 1.0]

    async def states(self):  # type: ignore[no-untyped-def]
        async for state in super().states():
            self.hook(state.t_s)
            yield state


def at(when_s: float, airspace: FakeAirspace, *changes: Change) -> Hook:
    """Enter changes into the airspace's log as soon as it is so late."""
    left = list(changes)

    def hook(t_s: float) -> None:
        if t_s >= when_s and left:
            airspace.log += left
            left.clear()

    return hook


async def run(fake: FakeVehicle, airspace: FakeAirspace, **how: object):
    news: list[Update] = []
    conduct = Conduct(**{"look_every_s": 0.0, "retry_s": 0.0, "overdue_s": 5.0, **how})
    [log] = await fly([Flight(MADE, KAGA, fake)], airspace, on_update=news.append, conduct=conduct)
    return log, [update.sentence for update in news if update.sentence]


async def test_another_corridor_in_flight_is_held_in_and_judged_by() -> None:
    airspace, given = FakeAirspace(), stopping(BRAKE_S)
    fake = Watched(at(START_S + 30.0, airspace, told(granted(given))))
    log, said = await run(fake, airspace)
    assert fake.calls.count("hold") == 2  # and once more when it is given up
    assert BRAKE_S <= fake.times["hold"][0] <= BRAKE_S + 3 * STEP_S
    assert "was given another corridor in flight; 119 closed fire" in said
    assert log.inside[log.t_s < given.end_s].all()
    assert "still not landed 5 s after its time" in str(log.error)
    assert log.t_s[-1] == pytest.approx(given.end_s + 5.0, abs=1.0)


async def test_a_stop_that_is_due_already_is_told_at_once() -> None:
    airspace, entered_s = FakeAirspace(), START_S + 50.0
    fake = Watched(at(entered_s, airspace, told(granted(stopping(BRAKE_S)))))
    await run(fake, airspace)
    assert entered_s <= fake.times["hold"][0] <= entered_s + 3 * STEP_S


async def test_a_later_change_moves_the_stop() -> None:
    airspace = FakeAirspace()
    first, second = told(granted(stopping(BRAKE_S))), told(granted(stopping(BRAKE_S + 20.0), version=3), "city opened")
    fake = Watched(at(START_S + 30.0, airspace, first, second))
    log, said = await run(fake, airspace)
    assert BRAKE_S + 20.0 <= fake.times["hold"][0] <= BRAKE_S + 20.0 + 3 * STEP_S
    assert sum("another corridor" in sentence for sentence in said) == 2
    assert log.inside[log.t_s < BRAKE_S + 80.0].all()


async def test_whoever_is_ended_in_flight_holds_at_once_and_reports_no_more() -> None:
    airspace, entered_s = FakeAirspace(), START_S + 50.0
    fake = Watched(at(entered_s, airspace, state_only(IntentState.ENDED)))
    log, said = await run(fake, airspace)
    assert entered_s <= fake.times["hold"][0] <= entered_s + 3 * STEP_S
    assert isinstance(log.error, StateError)
    assert "its intent was ended; it holds" in str(log.error)
    assert "its intent was ended; by the city" in said
    assert max(t_s for _, t_s, _ in airspace.positions) <= entered_s + 3 * STEP_S
    assert log.t_s[-1] > LINE.end_s  # it is watched and judged on
    assert not airspace.ended


async def test_whoever_has_no_way_left_holds_at_once() -> None:
    airspace, entered_s = FakeAirspace(), START_S + 50.0
    fake = Watched(at(entered_s, airspace, state_only(IntentState.CONTINGENT)))
    _, said = await run(fake, airspace)
    assert entered_s <= fake.times["hold"][0] <= entered_s + 3 * STEP_S
    assert "is Contingent; by the city" in said


async def test_whom_somebody_else_flies_is_not_overruled() -> None:
    airspace, entered_s = FakeAirspace(), START_S + 50.0

    class Returning(Watched):
        async def states(self):  # type: ignore[no-untyped-def]
            async for state in super().states():
                yield dataclasses.replace(state, mode="RTL") if state.t_s > START_S + 40.0 else state

    fake = Returning(at(entered_s, airspace, state_only(IntentState.CONTINGENT)))
    log, said = await run(fake, airspace)
    assert "hold" not in fake.calls
    assert "is in mode RTL, and left to that" in said
    assert log.landed


async def test_whose_mode_does_not_show_yet_that_it_starts_is_stopped() -> None:
    airspace, entered_s = FakeAirspace(), START_S - 3.0

    class Slow(Watched):
        async def states(self):  # type: ignore[no-untyped-def]
            async for state in super().states():
                yield dataclasses.replace(state, mode="READY") if state.landed else state

    fake = Slow(at(entered_s, airspace, state_only(IntentState.CONTINGENT)))
    log, _ = await run(fake, airspace, take_off_within_s=3.0)
    assert entered_s <= fake.times["hold"][0] < START_S
    assert len(log.t_s) == 0


async def test_who_is_late_stops_by_the_time_that_it_was_given() -> None:
    airspace, wait_s, from_s = FakeAirspace(), 20.0, START_S + 30.0
    before, after = LINE.t_s < from_s, LINE.t_s > from_s
    times = np.concatenate([LINE.t_s[before], [from_s, from_s + wait_s], LINE.t_s[after] + wait_s])
    late = Trajectory(times, np.vstack([LINE.enu_m[before], LINE.at(from_s), LINE.at(from_s), LINE.enu_m[after]]))
    brake_s = START_S + 65.0
    kept = late.t_s < brake_s
    stop = Trajectory(
        np.concatenate([late.t_s[kept], [brake_s, brake_s + 60.0]]),
        np.vstack([late.enu_m[kept], late.at(brake_s), late.at(brake_s)]),
    )
    longer, stopped = granted(late), granted(stop, version=3)
    first = at(START_S + 30.0, airspace, told(longer, "the clock: it is late", longer=True))
    second = at(START_S + 55.0, airspace, told(stopped))

    def hook(t_s: float) -> None:
        if t_s >= START_S + 30.0:
            fake.intent = longer
        first(t_s)
        second(t_s)

    fake = Watched(hook)
    log, _ = await run(fake, airspace)
    assert brake_s <= fake.times["hold"][0] <= brake_s + 3 * STEP_S
    assert log.inside[log.t_s < brake_s + 60.0].all()


async def test_who_is_landing_is_left_to_that() -> None:
    airspace = FakeAirspace()
    fake = Watched(at(LINE.end_s - 5.0, airspace, state_only(IntentState.CONTINGENT)))
    log, said = await run(fake, airspace)
    assert "hold" not in fake.calls
    assert "is landing, and left to that" in said
    assert log.landed


async def test_what_it_caused_itself_and_more_time_stop_nobody() -> None:
    airspace = FakeAirspace()
    longer = granted(LINE.held(0.0, 60.0), version=4)
    changes = (state_only(IntentState.ACTIVATED), told(longer, "the clock: it is late", longer=True))
    fake = Watched(at(START_S + 30.0, airspace, *changes))
    log, said = await run(fake, airspace)
    assert "hold" not in fake.calls
    assert log.conformed
    assert "the clock: it is late" in said
    assert not any("by the city" in sentence for sentence in said)


async def test_an_older_version_is_no_news() -> None:
    airspace = FakeAirspace()
    airspace.log = [told(granted(stopping(BRAKE_S), version=1))]
    log, _ = await run(Watched(lambda t_s: None), airspace)
    assert log.conformed


async def test_ended_on_the_ground_it_stays_there() -> None:
    airspace = FakeAirspace()
    fake = Watched(at(START_S - 20.0, airspace, state_only(IntentState.ENDED)))
    log, _ = await run(fake, airspace)
    assert "it stays on its pad. File it again (by the city)" in str(log.error)
    assert "arm" not in fake.calls
    assert not airspace.activated
    assert not airspace.ended


async def test_planned_anew_on_the_ground_it_is_loaded_anew() -> None:
    airspace, later = FakeAirspace(), granted(LINE.delayed(50.0), state=IntentState.ACCEPTED)
    fake = Watched(at(START_S - 20.0, airspace, told(later, "makes way for doctor")), roads=(later,))
    log, said = await run(fake, airspace)
    assert fake.calls == ["connect", "ready", "load", "load", "arm", "start", "close"]
    assert airspace.activated[MADE.id] == pytest.approx(START_S + 42.0, abs=0.5)
    assert "was planned anew; makes way for doctor" in said
    assert log.conformed
    assert log.t_s[0] == pytest.approx(START_S + 50.0, abs=0.5)


async def test_planned_anew_when_armed_it_is_disarmed_and_loaded_anew() -> None:
    airspace, later = FakeAirspace(), granted(LINE.delayed(50.0))
    fake = Watched(at(START_S - 6.0, airspace, told(later, "makes way for doctor")), roads=(later,))
    log, _ = await run(fake, airspace)
    assert fake.calls == ["connect", "ready", "load", "arm", "disarm", "load", "arm", "start", "close"]
    assert airspace.activated[MADE.id] == pytest.approx(START_S - 8.0, abs=0.5)  # once
    assert log.conformed


async def test_while_the_airspace_is_gone_it_flies_on_and_nothing_is_missed() -> None:
    now = [0.0]
    airspace = FakeAirspace(gone=lambda: START_S + 30.0 < now[0] < START_S + 50.0)
    change = at(START_S + 40.0, airspace, told(granted(stopping(START_S + 62.0))))

    def hook(t_s: float) -> None:
        now[0] = t_s
        change(t_s)

    fake = Watched(hook)
    log, said = await run(fake, airspace)
    assert START_S + 62.0 <= fake.times["hold"][0] <= START_S + 62.0 + 3 * STEP_S
    assert log.inside[log.t_s < START_S + 122.0].all()
    assert sum("no news from the airspace" in sentence for sentence in said) == 1
    assert sum("cannot be told where it is" in sentence for sentence in said) == 1
    assert "there is news from the airspace again" in said
    times = np.array([t_s for _, t_s, _ in airspace.positions])
    assert np.diff(times[times < START_S + 122.0]) == pytest.approx(1.0, abs=1e-3)
    assert airspace.received_s == pytest.approx(times)


async def test_gone_before_anything_has_begun_no_vehicle_is_touched() -> None:
    fake = Watched(lambda t_s: None)
    with pytest.raises(StoreError):
        await run(fake, FakeAirspace(gone=lambda: True))
    assert fake.calls == []


async def test_gone_for_good_the_flight_lands_and_says_what_is_left_to_do() -> None:
    now = [0.0]
    fake = Watched(lambda t_s: now.__setitem__(0, t_s))
    log, said = await run(fake, FakeAirspace(gone=lambda: now[0] > START_S + 30.0), deliver_within_s=0.0)
    assert log.landed
    assert log.inside.all()
    assert isinstance(log.error, OutsideError)
    assert said[-1] == "the airspace could not be told all that happened; once it answers: utm plan end medicine"


def test_when_a_way_leaves_another() -> None:
    assert leaves_s(LINE, LINE) == math.inf
    assert leaves_s(LINE, LINE.delayed(30.0)) == -math.inf or leaves_s(LINE, LINE.delayed(30.0)) <= LINE.start_s
    for brake_s in np.linspace(LINE.start_s + 1.0, LINE.end_s - 10.0, 40):
        leaves = leaves_s(LINE, stopping(brake_s))
        assert leaves >= brake_s - 1e-9  # never before the stop ...
        if leaves < math.inf:  # ... and by then the two are still one
            assert np.linalg.norm(LINE.at(leaves) - LINE.at(brake_s)) <= 0.5
