"""One flight, from its connection to its landing: load, activate, arm, start in time, follow, judge, react, end.

Every time here is the vehicle's own; only waits for a connection and for the airspace are measured on the ground.

What the airspace changes while it flies. Who is given another corridor is judged by that from then on, and told to
hold at the moment at which the new way leaves the one that the vehicle has loaded. Up to there both are the same: who
stopped before it would soon stand where it has no room. Every new way begins with a stop there. To upload it in flight,
and go on, is not built yet: the drone holds until somebody takes it over. Who has no room left at all, because its
intent was ended or is Contingent, is told to hold at once. Who is still on the ground is loaded anew, with its new road
and time.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable

import numpy as np
from numpy.typing import NDArray

from utm.errors import LinkError, StateError, UtmError, VehicleRefused
from utm.frames import LocalFrame
from utm.model import Datum, IntentState, OperationalIntent, SkyRoad, VehicleState
from utm.ops.change import Change, is_another, leaves_s
from utm.ops.clock import VehicleClock
from utm.ops.flight import Conduct, Flight, OnUpdate, Phase, Reaction, Update
from utm.ops.log import FlightLog
from utm.ops.pace import pace
from utm.ops.ports import Airspace, Verdict
from utm.ops.road import sky_road
from utm.ops.telling import Telling


class Run:
    """One flight from connection to landing."""

    def __init__(self, flight: Flight, airspace: Airspace, on_update: OnUpdate, conduct: Conduct) -> None:
        self.flight, self.airspace, self.on_update, self.conduct = flight, airspace, on_update, conduct
        self.id, self.intent, self.vehicle = flight.intent.id, flight.intent, flight.vehicle
        self.corridor = flight.intent.corridor
        self.mission = flight.intent.corridor.centre_line  # what the vehicle has loaded, in its time
        self.version = flight.intent.version
        self.renewed = False  # there is another road than the one that is loaded
        self.revoked: StateError | None = None
        self.hold_s = math.inf
        self.telling = Telling(self.note, self._refused, conduct.retry_s)
        self.clock = VehicleClock()
        self.phase = Phase.CONNECTED
        self.last: VehicleState | None = None
        self.arming = self.activated = self.started = self.in_mission = self.outside = self.landed = False
        self.reported_s = -math.inf
        self.reaction: asyncio.Task[None] | None = None
        self.pacing: asyncio.Task[None] | None = None
        self.paced_s, self.pace_m_s = -math.inf, math.nan
        self.error: UtmError | None = None
        self.track: list[tuple[VehicleState, NDArray[np.float64], Verdict]] = []

    async def run(self) -> FlightLog:
        """Fly it; never raises UtmError: what went wrong stands in the log."""
        telling = asyncio.create_task(self.telling.run())
        try:
            try:
                await self._fly(telling)
            except UtmError as error:
                self.error = self.error or error
                self._tell(Phase.FAILED, str(error))
                await self._make_safe(link_lost=isinstance(error, LinkError))
            except BaseException:
                await self._make_safe(link_lost=False)
                raise
            await self._deliver()
        finally:
            orders = [order for order in (telling, self.reaction, self.pacing) if order is not None]
            for order in orders:
                order.cancel()
            await asyncio.gather(*orders, return_exceptions=True)
            await self.vehicle.close()
        return self._log()

    async def _deliver(self) -> None:
        """A flight that is over keeps its room until the airspace knows."""
        missing = await self.telling.delivered(self.conduct.deliver_within_s)
        if missing is not None:
            self.error = self.error or missing
            over = f"; once it answers: utm plan end {self.id}" if self.landed else ""
            self._tell(self.phase, f"the airspace could not be told all that happened{over}")

    async def _fly(self, telling: asyncio.Task[None]) -> None:
        road = self._road()
        line = self.mission
        # Once before anything moves: a judge may have to be compiled, which would stop the watch over other flights.
        self.flight.judge(self.corridor, line.start_s, line.enu_m[0])
        await self.vehicle.connect(self.conduct.connect_timeout_s)
        await self.vehicle.ready(self.conduct.ready_timeout_s)
        self._tell(Phase.CONNECTED, "connected and ready")
        await self.vehicle.load(road)
        self._tell(Phase.LOADED, f"fence and mission of {len(road.legs)} legs are in force")
        launch = asyncio.create_task(self._launch(road))
        try:
            async with contextlib.aclosing(self.vehicle.states()) as states:  # type: ignore[type-var]
                async for state in states:
                    self.clock.show(state.t_s)
                    for task in (launch, telling):
                        if task.done():
                            task.result()
                    self._follow(state)
                    if self.landed:
                        return
            raise LinkError(f"{self.id}: the vehicle's reports ended in flight")
        finally:
            launch.cancel()
            await asyncio.gather(launch, return_exceptions=True)

    def _road(self) -> SkyRoad:
        """What the vehicle is to load, as it was granted last."""
        self.renewed, self.mission = False, self.corridor.centre_line
        return sky_road(self.intent, self.flight.frame)

    async def _launch(self, road: SkyRoad) -> None:
        """Activate, arm and start at the right moments; from the beginning when it is planned anew meanwhile."""
        while not await self._launched(road):
            if self.arming:
                await self.vehicle.disarm()
            road = self._road()
            await self.vehicle.load(road)
            self._tell(Phase.LOADED, f"fence and mission of its new road, {len(road.legs)} legs, are in force")

    async def _launched(self, road: SkyRoad) -> bool:
        """Whether this road is being flown; False as soon as there is another."""
        if not await self._reached(road.depart_s - self.conduct.arm_lead_s):
            return False
        self._check_in_time(road)
        if not self.activated:
            await self.airspace.activate(self.id, self.clock.t_s)
            self.activated = True
            if self.renewed:
                return False
        self.arming = True
        await self.vehicle.arm()
        self._tell(Phase.ARMED, "armed")
        if not await self._reached(road.depart_s - self.conduct.start_lead_s):
            return False
        self._check_in_time(road)
        self.started = True
        await self.vehicle.start()
        if not self.track:
            self._tell(Phase.STARTED, "started")
        return True

    async def _reached(self, t_s: float) -> bool:
        """Wait for a time by the vehicle's clock; False as soon as there is another road."""
        if not self.renewed:
            await self.clock.reach(t_s)
        return not self.renewed

    def _check_in_time(self, road: SkyRoad) -> None:
        """A flight that starts late is late all the way, and what it may be late is meant for the way."""
        late_s = self.clock.t_s - (road.depart_s - self.conduct.start_lead_s)
        if late_s > self.conduct.start_late_s:
            raise StateError(
                f"{self.id}: by the vehicle's clock it is {late_s:.0f} s too late to start for its departure;"
                " plan it again for a later time"
            )

    def _follow(self, state: VehicleState) -> None:
        before, self.last = self.last, state
        if self.revoked is not None and not self.track:
            raise self.revoked
        if state.armed and not state.landed:
            if not self.arming:
                raise VehicleRefused(f"{self.id}: the vehicle is in the air already; another flight is not over")
            self._judge(state, before)
        elif self.track and state.landed and not state.armed:
            self.landed = True
            self._tell(Phase.LANDED, f"landed and disarmed after {state.t_s - self.track[0][0].t_s:.0f} s in the air")
            if self.revoked is None:
                self.telling.put(lambda: self.airspace.end(self.id, state.t_s))
            self.activated = False
            return
        elif self.track and state.landed:
            self._report(state, _place(self.flight.frame, state))
        line = self.corridor.centre_line
        if self.started and not self.track and state.t_s > line.start_s + self.conduct.take_off_within_s:
            raise VehicleRefused(
                f"{self.id}: not in the air {self.conduct.take_off_within_s:g} s after its departure",
                tuple(self.vehicle.said[-5:]),
            )
        if state.t_s > line.end_s + self.conduct.overdue_s:
            raise VehicleRefused(
                f"{self.id}: still not landed {self.conduct.overdue_s:g} s after its time, in mode {state.mode}",
                tuple(self.vehicle.said[-5:]),
            )

    def _judge(self, state: VehicleState, before: VehicleState | None) -> None:
        enu_m = _place(self.flight.frame, state)
        verdict = self.flight.judge(self.corridor, state.t_s, enu_m)
        if not self.track:
            self._tell(Phase.FLYING, "in the air")
        elif before is not None and before.mode != state.mode and self.in_mission:
            self._tell(self.phase, f"mode {before.mode} became {state.mode}")
        self.in_mission |= state.mode == "MISSION"
        self.track.append((state, enu_m, verdict))
        turned = self.outside == verdict.inside
        self.outside = not verdict.inside
        if turned:
            self._turn(verdict, enu_m)
        elif state.mode == "MISSION" and state.t_s - self.paced_s >= self.conduct.pace_every_s:
            self._keep_time(state.t_s, verdict)
        if state.t_s >= self.hold_s:
            self._hold()
        self.on_update(Update(self.id, self.phase, "", state, enu_m, verdict))
        self._report(state, enu_m, at_once=turned)

    def _report(self, state: VehicleState, enu_m: NDArray[np.float64], *, at_once: bool = False) -> None:
        if self.revoked is not None:
            return  # an airspace follows nobody whose intent has ended
        if at_once or state.t_s - self.reported_s >= self.conduct.report_every_s - 1e-3:
            self.reported_s, heard_s = state.t_s, self.clock.t_s
            self.telling.put(
                lambda: self.airspace.position(self.id, state.t_s, enu_m, landed=state.landed, received_s=heard_s)
            )

    # --- news of the airspace ------------------------------------------------------------------------------

    def changed(self, change: Change) -> None:
        """The airspace has another version of the intent, whoever caused it."""
        if change.version <= self.version or self.landed:
            return
        self.version = change.version
        if change.state is IntentState.ENDED:
            self._ended(change)
        elif change.intent is not None and is_another(change.intent.corridor, self.corridor):
            self._moved(change, change.intent)
        elif change.state is IntentState.CONTINGENT:
            self.note(f"is Contingent; {change.why}")
            self._hold()
        elif change.state is IntentState.NONCONFORMING and not self.outside:
            self.note(f"counts as Nonconforming; {change.why}")

    def _ended(self, change: Change) -> None:
        what = "it holds" if self.track else "it stays on its pad"
        self.revoked = StateError(f"{self.id}: its intent was ended; {what}. File it again ({change.why})")
        self.activated = False  # there is nothing left to end
        if self.track:
            if self.error is None or isinstance(self.error, StateError):  # a report may have been refused before this
                self.error = self.revoked
            self.note(f"its intent was ended; {change.why}")
            self._hold()

    def _moved(self, change: Change, intent: OperationalIntent) -> None:
        self.intent, self.corridor = intent, intent.corridor
        if not self.started:
            self.note(f"was planned anew; {change.why}")
            self.renewed = True
            self.clock.interrupt()
        elif change.longer:  # the same road, in its own time: what comes next leaves that
            self.mission = intent.corridor.centre_line
            self.note(change.why)
        elif change.state is IntentState.CONTINGENT:
            self.note(f"is Contingent; {change.why}")
            self._hold()
        else:
            self.hold_s = leaves_s(self.mission, intent.corridor.centre_line)
            self.note(f"was given another corridor in flight; {change.why}")
            if self.clock.t_s >= self.hold_s:
                self._hold()

    def _hold(self) -> None:
        """Stop what flies its mission. Who does anything else was told to, or took over, and is not overruled."""
        self.hold_s = math.inf
        if self.reaction is not None or self.last is None:
            return
        if self.in_mission and self.last.mode != "MISSION":  # a mode shows up to a second late: not before it was one
            self.note(f"is in mode {self.last.mode}, and left to that")
        elif self.track and self._is_landing(self.track[-1][1]):
            self.note("is landing, and left to that")
        else:
            self.reaction = asyncio.create_task(self._react(Reaction.HOLD))

    # --- keeping to the corridor ---------------------------------------------------------------------------

    def _keep_time(self, t_s: float, verdict: Verdict) -> None:
        self.paced_s = t_s
        speed_m_s = pace(self.corridor.centre_line, t_s, verdict.late_s)
        if speed_m_s is None or abs(speed_m_s - self.pace_m_s) < 0.02 * speed_m_s:
            return
        if self.pacing is None or self.pacing.done():
            self.pace_m_s = speed_m_s
            self.pacing = asyncio.create_task(self._set_pace(speed_m_s))

    async def _set_pace(self, speed_m_s: float) -> None:
        try:
            await self.vehicle.pace(speed_m_s)
        except UtmError as error:  # the next one is due in a moment, and being late shows
            self._tell(self.phase, f"told to fly {speed_m_s:.1f} m/s, and did not: {error}")

    def _is_landing(self, enu_m: NDArray[np.float64]) -> bool:
        """Whether it is in the column above its landing pad."""
        line = self.mission.enu_m
        over_pad = np.hypot(*(line[:, :2] - line[-1, :2]).T) < 0.01
        top_m = line[over_pad, 2].max()
        away_m = float(np.hypot(*(enu_m[:2] - line[-1, :2])))
        return away_m <= self.corridor.half_width_m and bool(enu_m[2] < top_m - 1.0)

    def _turn(self, verdict: Verdict, enu_m: NDArray[np.float64]) -> None:
        if not self.outside:
            self._tell(Phase.HOLDING if self.reaction else Phase.FLYING, "inside its corridor again")
            return
        self._tell(
            Phase.OUTSIDE,
            f"left its corridor: {verdict.cross_track_m:.1f} m beside and {verdict.height_error_m:+.1f} m above its"
            f" centre line, {round(verdict.late_s, 1) + 0.0:+.1f} s late",
        )
        if self._is_landing(enu_m):
            return  # late above its own pad: to hover there would help nobody
        # Told once: who takes it over from here is not to be overruled at the next crossing of the edge.
        if self.reaction is None and self.conduct.reaction is not Reaction.WATCH:
            self.reaction = asyncio.create_task(self._react(self.conduct.reaction))

    async def _react(self, wish: Reaction) -> None:
        orders = {Reaction.HOLD: self.vehicle.hold, Reaction.RETURN: self.vehicle.return_home}
        try:
            await orders.get(wish, self.vehicle.land)()
        except UtmError as error:
            self.error = self.error or error
            self._tell(self.phase, f"told to {wish}, and did not: {error}")
        else:
            self._tell(Phase.HOLDING if wish is Reaction.HOLD else self.phase, f"told to {wish}, and does")

    async def _make_safe(self, *, link_lost: bool) -> None:
        """Leave the vehicle as harmless as the link allows."""
        last = self.last
        if not self.arming or last is None:
            pass
        elif link_lost:
            where = f"lon {last.lon_deg:.6f}, lat {last.lat_deg:.6f}, {last.amsl_m:.0f} m AMSL"
            self._tell(Phase.FAILED, f"link lost; last seen at {where}, in mode {last.mode}; its failsafes fly it now")
        elif self.started or not last.landed:
            # Started and seen on the ground still: it may be lifting off just now.
            await self._order("hold", self.vehicle.hold(), Phase.HOLDING)
        else:
            await self._order("disarm", self.vehicle.disarm(), self.phase)
            if self.activated:
                self.telling.put(lambda: self.airspace.end(self.id, last.t_s))
                await self.telling.delivered(self.conduct.deliver_within_s)

    async def _order(self, what: str, order: Awaitable[None], phase: Phase) -> None:
        try:
            await order
        except UtmError as error:
            self._tell(Phase.FAILED, f"told to {what}, and did not: {error}")
        else:
            self._tell(phase, f"told to {what}, and does")

    def _refused(self, error: UtmError) -> None:
        """An airspace that says no must not make anybody stop watching a drone in the air."""
        if self.revoked is None:
            self.error = self.error or error
            self.note(f"the airspace could not be told: {error}")

    def note(self, sentence: str) -> None:
        """Tell the operator something that does not change how far the flight has come."""
        self._tell(self.phase, sentence)

    def _tell(self, phase: Phase, sentence: str) -> None:
        self.phase = phase
        self.on_update(Update(self.id, phase, sentence, self.last))

    def _log(self) -> FlightLog:
        states = [state for state, _, _ in self.track]
        verdicts = [verdict for _, _, verdict in self.track]
        return FlightLog(
            intent_id=self.id,
            t_s=np.array([state.t_s for state in states], np.float64),
            enu_m=np.array([enu for _, enu, _ in self.track], np.float64).reshape(-1, 3),
            cross_track_m=np.array([verdict.cross_track_m for verdict in verdicts], np.float64),
            height_error_m=np.array([verdict.height_error_m for verdict in verdicts], np.float64),
            late_s=np.array([verdict.late_s for verdict in verdicts], np.float64),
            inside=np.array([verdict.inside for verdict in verdicts], np.bool_),
            mode=tuple(state.mode for state in states),
            landed=self.landed,
            said=tuple(self.vehicle.said),
            error=self.error,
        )


def _place(frame: LocalFrame, state: VehicleState) -> NDArray[np.float64]:
    """(3,) metres in the map's frame."""
    east, north = frame.to_map(state.lon_deg, state.lat_deg)
    up = frame.up(state.amsl_m, Datum.AMSL, state.lon_deg, state.lat_deg)
    return np.array([float(east), float(north), float(up)])
