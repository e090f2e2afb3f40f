"""A vehicle and an airspace in memory, for the logic of flying alone."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Collection

import numpy as np

from utm.errors import LinkError, StateError, StoreError, UtmError, VehicleRefused
from utm.frames import LocalFrame
from utm.model import Datum, OperationalIntent, SkyRoad, VehicleState, Waypoint
from utm.ops.change import Change, News

Stray = Callable[[float], tuple[float, float, float]]


class FakeVehicle:
    """Flies its intent's centre line to the second, but for what it is told to do wrong.

    Args:
        begin_s: its clock when it is first followed.
        stray: metres east, north, up off the line, by time.
        lost_at_s: when the link breaks.
        refuses: method -> words with which it refuses.
        stands: never takes off.
    """

    step_s = 0.2

    def __init__(
        self,
        intent: OperationalIntent,
        frame: LocalFrame,
        *,
        begin_s: float,
        stray: Stray = lambda t_s: (0.0, 0.0, 0.0),
        lost_at_s: float = math.inf,
        refuses: dict[str, str] | None = None,
        stands: bool = False,
        airborne: bool = False,
    ) -> None:
        self.intent, self.frame, self.stray, self.lost_at_s = intent, frame, stray, lost_at_s
        self.refuses, self.stands = refuses or {}, stands
        self.t_s = begin_s
        self.said: list[str] = []
        self.calls: list[str] = []
        self.paces: list[float] = []
        self.times: dict[str, list[float]] = {}
        self.armed, self.landed, self.mode = airborne, not airborne, "HOLD"
        self.held: np.ndarray | None = None
        self.loaded: SkyRoad | None = None

    async def _do(self, name: str) -> None:
        self.calls.append(name)
        self.times.setdefault(name, []).append(self.t_s)
        await asyncio.sleep(0)
        if words := self.refuses.get(name):
            raise VehicleRefused(f"{name} refused", (words,))

    async def connect(self, timeout_s: float) -> None:
        await self._do("connect")

    async def ready(self, timeout_s: float) -> Waypoint:
        await self._do("ready")
        return self.frame.waypoint(self.intent.corridor.centre_line.enu_m[0], Datum.AMSL)

    async def load(self, road: SkyRoad) -> None:
        await self._do("load")
        self.loaded = road

    async def arm(self) -> None:
        await self._do("arm")
        self.armed = True

    async def start(self) -> None:
        await self._do("start")
        self.mode = "MISSION"

    async def pace(self, speed_m_s: float) -> None:
        self.paces.append(speed_m_s)

    async def hold(self) -> None:
        await self._do("hold")
        self.held, self.mode = self._enu(), "HOLD"

    async def return_home(self) -> None:
        await self._do("return_home")
        self.mode = "RTL"

    async def land(self) -> None:
        await self._do("land")
        self.mode = "LAND"

    async def disarm(self) -> None:
        await self._do("disarm")
        self.armed = False

    async def close(self) -> None:
        await self._do("close")

    def _enu(self) -> np.ndarray:
        if self.held is not None:
            return self.held
        line = self.intent.corridor.centre_line
        return line.at(self.t_s) + (0.0 if self.landed else np.array(self.stray(self.t_s)))

    async def states(self) -> AsyncIterator[VehicleState]:
        while True:
            line = self.intent.corridor.centre_line
            self.t_s += self.step_s
            if self.t_s >= self.lost_at_s:
                raise LinkError("the vehicle has been silent for 5 s")
            if self.mode == "MISSION" and not self.stands:
                self.landed = not line.start_s < self.t_s < line.end_s
            if self.armed and self.mode == "MISSION" and self.t_s > line.end_s + 2:
                self.armed = False
            place = self.frame.waypoint(self._enu(), Datum.AMSL)
            yield VehicleState(
                self.t_s, place.lon_deg, place.lat_deg, place.height_m, (0.0, 0.0, 0.0), self.mode, self.armed,
                self.landed, 0.9,
            )  # fmt: skip
            await asyncio.sleep(0)


class FakeAirspace:
    """Remembers what it was told, and tells what it is made to.

    Args:
        gone: whether it does not answer at all at the moment.
    """

    def __init__(self, *, refuses: bool = False, fails: bool = False, gone: Callable[[], bool] = lambda: False) -> None:
        self.refuses, self.fails, self.gone = refuses, fails, gone
        self.activated: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self.positions: list[tuple[str, float, np.ndarray]] = []
        self.landed: list[float] = []
        self.received_s: list[float] = []
        self.log: list[Change] = []

    def _answer(self) -> None:
        if self.gone():
            raise StoreError("the database does not answer")

    async def activate(self, intent_id: str, t_s: float) -> None:
        self._answer()
        if self.refuses:
            raise StateError(f"{intent_id} was pre-empted")
        self.activated[intent_id] = t_s

    async def position(
        self, intent_id: str, t_s: float, enu_m: np.ndarray, *, landed: bool = False, received_s: float
    ) -> None:
        self._answer()
        if self.fails:
            raise UtmError("it makes no sense")
        self.positions.append((intent_id, t_s, enu_m))
        self.received_s.append(received_s)
        if landed:
            self.landed.append(t_s)

    async def end(self, intent_id: str, t_s: float) -> None:
        self._answer()
        self.ended[intent_id] = t_s

    async def changes(self, intent_ids: Collection[str], after_seq: int | None) -> News:
        self._answer()
        return News(len(self.log), tuple(self.log[after_seq or 0 :]))
