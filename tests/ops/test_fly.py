"""The logic of flying, with a vehicle and an airspace in memory."""

from __future__ import annotations

import asyncio
import dataclasses

import numpy as np
import pytest

from tests.ops.fakes import FakeAirspace, FakeVehicle
from tests.ops.made import KAGA, QUAD, START_S, intent
from utm.errors import LinkError, StateError, VehicleRefused
from utm.ops.fly import Conduct, Flight, Phase, Reaction, Update, fly

WAY = [(500, 500, 20), (500, 500, 70), (800, 500, 70), (800, 700, 75), (800, 700, 22)]
MADE = intent(WAY)
LINE = MADE.corridor.centre_line


def vehicle(made=MADE, **knobs: object) -> FakeVehicle:
    return FakeVehicle(made, KAGA, **{"begin_s": made.corridor.centre_line.start_s - 30, **knobs})


async def run(fake: FakeVehicle, airspace: FakeAirspace | None = None, **how: object):
    news: list[Update] = []
    [log] = await fly(
        [Flight(fake.intent, KAGA, fake)], airspace or FakeAirspace(), on_update=news.append, conduct=Conduct(**how)
    )
    return log, news


async def test_a_flight_goes_from_pad_to_pad_inside_its_corridor() -> None:
    fake, airspace = vehicle(), FakeAirspace()
    log, news = await run(fake, airspace)
    assert fake.calls == ["connect", "ready", "load", "arm", "start", "close"]
    assert log.conformed
    assert log.landed
    assert log.error is None
    assert log.t_s[0] == pytest.approx(LINE.start_s, abs=0.5)
    assert log.t_s[-1] == pytest.approx(LINE.end_s, abs=0.5)
    assert log.enu_m.shape == (len(log.t_s), 3)
    # What was heard in degrees and AMSL is where it was in the map (1e-7 degree, and no rounding of heights here).
    assert np.abs(log.enu_m - [LINE.at(t) for t in log.t_s]).max() < 1e-3
    assert log.cross_track_m.max() < 1e-3
    assert np.abs(log.height_error_m).max() < 1e-3
    phases = [update.phase for update in news if update.sentence]
    assert phases[:3] == [Phase.CONNECTED, Phase.LOADED, Phase.ARMED]
    assert phases[-1] is Phase.LANDED


async def test_it_arms_and_starts_in_time_by_the_clock_of_the_vehicle() -> None:
    fake, airspace = vehicle(), FakeAirspace()
    await run(fake, airspace, arm_lead_s=8.0, start_lead_s=4.0)
    assert airspace.activated[MADE.id] == pytest.approx(START_S - 8, abs=0.3)
    assert fake.times["arm"][0] == pytest.approx(START_S - 8, abs=0.5)
    assert fake.times["start"][0] == pytest.approx(START_S - 4, abs=0.5)


async def test_the_airspace_hears_once_a_second_and_when_it_ends() -> None:
    airspace = FakeAirspace()
    log, _ = await run(vehicle(), airspace)
    times = np.array([t_s for _, t_s, _ in airspace.positions])
    assert np.diff(times) == pytest.approx(1.0, abs=1e-3)
    assert len(times) - len(airspace.landed) == pytest.approx(LINE.end_s - LINE.start_s, abs=2)
    assert airspace.landed == list(times[-len(airspace.landed) :])
    assert LINE.end_s <= airspace.landed[0] < LINE.end_s + 1.5
    assert airspace.ended[MADE.id] == pytest.approx(log.t_s[-1], abs=3)


async def test_leaving_the_corridor_means_hold_and_the_airspace_is_told_at_once() -> None:
    out_s = START_S + 40.33
    fake, airspace = vehicle(stray=lambda t_s: (0.0, -60.0 if t_s > out_s else 0.0, 0.0)), FakeAirspace()
    log, news = await run(fake, airspace, overdue_s=10.0)
    assert fake.times["hold"][0] - out_s <= 2 * FakeVehicle.step_s
    first_outside = log.t_s[~log.inside][0]
    assert first_outside - out_s <= FakeVehicle.step_s
    told = next(t_s for _, t_s, enu in airspace.positions if enu[1] < 470)
    assert told == first_outside
    assert MADE.id not in airspace.ended
    assert not log.conformed
    assert not log.landed
    assert isinstance(log.error, VehicleRefused)
    assert "not landed" in str(log.error)
    left = next(update for update in news if update.phase is Phase.OUTSIDE)
    assert left.sentence == "left its corridor: 60.0 m beside and +0.0 m above its centre line, +0.0 s late"
    assert any(update.phase is Phase.HOLDING for update in news)


async def test_a_drone_behind_its_time_is_told_to_fly_faster() -> None:
    class Late(FakeVehicle):
        def _enu(self) -> np.ndarray:
            line = self.intent.corridor.centre_line
            return self.held if self.held is not None else line.at(self.t_s - 4.0 * (self.t_s > line.start_s))

    fake = Late(MADE, KAGA, begin_s=START_S - 30)
    await run(fake)
    assert max(fake.paces) == pytest.approx(10 * 1.2, rel=0.01)
    assert min(fake.paces) > 2.0
    in_time = vehicle()
    await run(in_time)
    assert max(in_time.paces) <= 10.0 + 1e-6


async def test_late_over_its_own_pad_it_may_land() -> None:
    """Outside its time, and told to nobody's good to hover: the airspace hears of it, the drone does not."""

    class Slow(FakeVehicle):
        late_s = 12.0

        def _enu(self) -> np.ndarray:
            line = self.intent.corridor.centre_line
            gate_s = line.end_s - 10.0  # in the landing column
            return line.at(self.t_s if self.t_s < gate_s else max(gate_s, self.t_s - self.late_s))

        async def states(self):  # type: ignore[no-untyped-def]
            end_s = self.intent.corridor.centre_line.end_s
            async for state in super().states():
                if end_s <= state.t_s < end_s + self.late_s and state.mode == "MISSION":
                    state = dataclasses.replace(state, armed=True, landed=False)
                yield state

    fake, airspace = Slow(MADE, KAGA, begin_s=START_S - 30), FakeAirspace()
    log, news = await run(fake, airspace)
    assert log.landed
    assert not log.inside.all()
    assert log.inside[log.t_s < LINE.end_s].all()
    assert "hold" not in fake.calls
    assert any(update.phase is Phase.OUTSIDE for update in news)
    assert any(t_s > LINE.end_s + 10.0 for _, t_s, _ in airspace.positions)


async def test_hold_is_told_once_and_at_once() -> None:
    """After a hold the drone drifts in and out; who took it over is not overruled."""

    class Drifts(FakeVehicle):
        def _enu(self) -> np.ndarray:
            self.held = None
            return super()._enu()

    made = MADE
    fake = Drifts(
        made, KAGA, begin_s=START_S - 30,
        stray=lambda t_s: (0.0, 60.0 if t_s > START_S + 30 and int(t_s / 5) % 2 else 0.0, 0.0),
    )  # fmt: skip
    hold_at: list[float] = []
    hold = fake.hold

    async def counted() -> None:
        hold_at.append(fake.t_s)
        await hold()
        fake.mode = "MISSION"

    fake.hold = counted  # type: ignore[method-assign]
    log, _ = await run(fake)
    assert len(hold_at) == 1
    assert hold_at[0] - log.t_s[~log.inside][0] < 1.0
    assert log.landed
    assert 0 < log.inside.sum() < len(log.inside)


@pytest.mark.parametrize(
    ("reaction", "call"), [(Reaction.RETURN, "return_home"), (Reaction.LAND, "land"), (Reaction.WATCH, None)]
)
async def test_other_reactions(reaction: Reaction, call: str | None) -> None:
    fake = vehicle(stray=lambda t_s: (0.0, 0.0, 15.0 if t_s > START_S + 40 else 0.0))
    log, _ = await run(fake, reaction=reaction, overdue_s=5.0)
    orders = [each for each in fake.calls if each in ("hold", "return_home", "land")]
    assert not log.conformed
    # A flight that is given up in the air is told to hold at its end.
    assert [each for each in orders if each != "hold"] == ([call] if call else [])


async def test_a_refused_reaction_is_said_and_the_watch_goes_on() -> None:
    fake = vehicle(
        stray=lambda t_s: (0.0, 0.0, 15.0 if t_s > START_S + 40 else 0.0), refuses={"hold": "Hold not possible"}
    )
    log, news = await run(fake)
    assert log.landed
    assert log.t_s[-1] == pytest.approx(LINE.end_s, abs=0.5)
    assert "Hold not possible" in str(log.error)
    assert any("did not" in update.sentence for update in news)


async def test_link_lost_in_flight() -> None:
    fake, airspace = vehicle(lost_at_s=START_S + 40), FakeAirspace()
    log, news = await run(fake, airspace)
    assert isinstance(log.error, LinkError)
    assert not log.landed
    assert log.t_s[-1] == pytest.approx(START_S + 40, abs=0.5)
    assert log.inside.all()
    assert not log.conformed
    assert MADE.id not in airspace.ended
    assert "hold" not in fake.calls  # nobody would hear it, and its failsafes keep to the road
    assert fake.calls[-1] == "close"
    assert "last seen at lon 136." in news[-1].sentence


async def test_cancelled_in_flight_the_drone_is_told_to_hold() -> None:
    fake, news = vehicle(), []
    flying = asyncio.Event()

    def watch(update: Update) -> None:
        news.append(update)
        if update.phase is Phase.FLYING and update.state and update.state.t_s > START_S + 40:
            flying.set()

    task = asyncio.create_task(fly([Flight(MADE, KAGA, fake)], FakeAirspace(), on_update=watch))
    await flying.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert fake.calls[-2:] == ["hold", "close"]
    assert fake.mode == "HOLD"
    assert news[-1].sentence == "told to hold, and does"


async def test_cancelled_on_the_ground_it_is_disarmed_and_its_room_given_back() -> None:
    fake, airspace, armed = vehicle(), FakeAirspace(), asyncio.Event()

    def watch(update: Update) -> None:
        if update.phase is Phase.ARMED:
            armed.set()

    task = asyncio.create_task(fly([Flight(MADE, KAGA, fake)], airspace, on_update=watch))
    await armed.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert fake.calls[-2:] == ["disarm", "close"]
    assert MADE.id in airspace.ended


@pytest.mark.parametrize("step", ["connect", "ready", "load", "arm", "start"])
async def test_a_refusal_before_flight_keeps_the_words(step: str) -> None:
    fake, airspace = vehicle(refuses={step: "Geofence invalid, doesn't contain Home position"}), FakeAirspace()
    log, news = await run(fake, airspace)
    assert isinstance(log.error, VehicleRefused)
    assert "Geofence invalid" in str(log.error)
    assert len(log.t_s) == 0
    assert log.enu_m.shape == (0, 3)
    assert not log.conformed
    assert fake.calls[-1] == "close"
    assert any(update.phase is Phase.FAILED for update in news)
    assert (MADE.id in airspace.activated) == (step in ("arm", "start"))


async def test_not_activated_is_not_armed() -> None:
    fake = vehicle()
    log, _ = await run(fake, FakeAirspace(refuses=True))
    assert isinstance(log.error, StateError)
    assert "arm" not in fake.calls


async def test_too_late_is_not_flown() -> None:
    fake, airspace = vehicle(begin_s=START_S + 12), FakeAirspace()
    log, _ = await run(fake, airspace)
    assert "16 s too late to start for its departure" in str(log.error)
    assert "arm" not in fake.calls
    assert not airspace.activated


@pytest.mark.parametrize("late_s", [1.0, 45.0])
async def test_a_start_that_would_be_late_all_the_way_is_not_flown(late_s: float) -> None:
    """Also where the vehicle's clock has run far past the departure before anything could be armed."""
    fake, airspace = vehicle(begin_s=START_S + late_s), FakeAirspace()
    log, _ = await run(fake, airspace)
    assert isinstance(log.error, StateError)
    assert "too late to start" in str(log.error)
    assert "arm" not in fake.calls


async def test_a_vehicle_in_the_air_already_is_left_alone() -> None:
    fake = vehicle(airborne=True)
    log, _ = await run(fake)
    assert "in the air already" in str(log.error)
    assert fake.calls == ["connect", "ready", "load", "close"]


async def test_a_vehicle_that_does_not_take_off_is_called_off() -> None:
    fake = vehicle(stands=True)
    log, _ = await run(fake)
    assert "not in the air 30 s after its departure" in str(log.error)
    assert fake.mode == "HOLD"


async def test_an_airspace_that_says_no_does_not_stop_the_watch() -> None:
    log, news = await run(vehicle(), FakeAirspace(fails=True))
    assert log.landed
    assert log.inside.all()
    assert not log.conformed
    assert "makes no sense" in str(log.error)
    assert any("could not be told" in update.sentence for update in news)


async def test_a_broken_callback_is_a_bug_and_the_drone_holds() -> None:
    fake = vehicle()

    def broken(update: Update) -> None:
        if update.verdict is not None and update.state.t_s > START_S + 40:
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as caught:
        await fly([Flight(MADE, KAGA, fake)], FakeAirspace(), on_update=broken)
    assert caught.group_contains(ZeroDivisionError)
    assert fake.calls[-2:] == ["hold", "close"]


async def test_one_flight_that_fails_leaves_the_other_alone() -> None:
    other = dataclasses.replace(intent([(x, y + 300, up) for x, y, up in WAY], id="inspection"))
    good, bad = vehicle(), vehicle(other, refuses={"load": "Mission rejected: takeoff is missing"})
    logs = await fly([Flight(MADE, KAGA, good), Flight(other, KAGA, bad)], FakeAirspace())
    assert [log.intent_id for log in logs] == ["medicine", "inspection"]
    assert [log.conformed for log in logs] == [True, False]


async def test_the_same_intent_twice_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="flown once"):
        await fly([Flight(MADE, KAGA, vehicle()), Flight(MADE, KAGA, vehicle())], FakeAirspace())


async def test_an_intent_that_cannot_be_a_road_is_refused_before_the_vehicle_is_touched() -> None:
    ring = [(0, 0, 0), (0, 0, 60), (400, 0, 60), (400, 400, 60), (0, 400, 60), (0, 30, 60), (0, 30, 0)]
    made = intent(ring, aircraft=QUAD)
    fake = vehicle(made)
    log, _ = await run(fake)
    assert "closes a ring" in str(log.error)
    assert fake.calls == ["close"]
