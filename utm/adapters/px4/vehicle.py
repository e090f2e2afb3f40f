"""A drone that runs PX4, as the engine sees one: loaded, confirmed in force, flown, followed.

An acknowledgement of PX4 says "stored" or "heard", never "in force"; so what is sent is read back, the vehicle's words
are waited for, and a mode counts when HEARTBEAT shows it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from utm.adapters.px4 import mission
from utm.adapters.px4.link import Link
from utm.errors import LinkError, VehicleRefused
from utm.model import Datum, SkyRoad, VehicleState, Waypoint

DO_SET_MODE, COMPONENT_ARM_DISARM = 176, 400
ARMED_FLAG = 128
CUSTOM_MODE = 1.0
AUTO = 4
PREARM_CHECK = 0x10000000
ON_GROUND = 1
SETTLE_S = 1.0
PER_CORNER_S = 0.15
_RESULTS = {0: "accepted", 1: "temporarily rejected", 2: "denied", 3: "unsupported", 4: "failed"}

#: PX4's sub-modes of AUTO.
SUB_MODES = {1: "READY", 2: "TAKEOFF", 3: "HOLD", 4: "MISSION", 5: "RTL", 6: "LAND"}
_SUB_MODE = {name: number for number, name in SUB_MODES.items()}

#: Before this a clock has not been set (1 January 2020).
_CLOCK_SET_S = 1577836800.0
#: Reports that may wait for a slow reader; after that the oldest go.
_QUEUE = 256


class Px4Vehicle:
    """One PX4 on one link; implements :class:`utm.ops.ports.Vehicle`.

    Args:
        link: as MAVSDK writes it, for example ``udpin://127.0.0.1:14540``.
        system_id: which vehicle, where several answer on one link.
        verdict_s: seconds by the vehicle's clock to wait for its words after each upload; for a fence 0.15 s more for
            each corner. PX4 takes 0.1 s to read a corner, and says 0.4 to 2.6 s (4 corners) or 5.6 to 7.8 s (60)
            after its acknowledgement that a fence is not in force (measured, 1.17 alpha in simulation).
        patience_s: seconds for a mode to show after it was commanded.
        silent_s: seconds without any message after which the link counts as lost.

    Changes these parameters of the vehicle, and leaves them so: see
    :func:`utm.adapters.px4.mission.failsafe_parameters`. Needs PX4 1.14 or newer.
    """

    def __init__(
        self,
        link: str,
        system_id: int | None = None,
        *,
        verdict_s: float = 2.5,
        patience_s: float = 8.0,
        silent_s: float = 5.0,
    ) -> None:
        self._link = Link(link, system_id, silent_s)
        self._verdict_s, self._patience_s = verdict_s, patience_s
        self._home: Waypoint | None = None
        self._epoch_s = math.nan
        self._epoch_final = False
        self._boot_ms = -1
        self._readers: list[asyncio.Queue[VehicleState]] = []
        self._link.on_message = {"GLOBAL_POSITION_INT": self._hear_position, "SYSTEM_TIME": self._hear_clock}

    @property
    def said(self) -> list[str]:
        """The vehicle's words (STATUSTEXT) so far, oldest first; the last thousand."""
        return self._link.words.said

    async def connect(self, timeout_s: float) -> None:
        """Find the vehicle and ask it for the messages that judgement needs.

        Raises:
            LinkError: the port cannot be opened, or nobody answers in time.
        """
        await self._link.open(
            timeout_s, ("GLOBAL_POSITION_INT", "SYSTEM_TIME", "HOME_POSITION", "EXTENDED_SYS_STATE", "SYS_STATUS")
        )

    async def close(self) -> None:
        """Free the link. The vehicle goes on with what it was told last."""
        await self._link.close()

    async def ready(self, timeout_s: float) -> Waypoint:
        """Wait until it knows where and when it is, and would arm; its home, AMSL.

        From here on the vehicle's clock is counted from its boot, so that a later correction of its calendar clock
        does not jump.

        Raises:
            VehicleRefused: it talks, but something is missing; says what.
            LinkError: silence; or several vehicles answer on the link and none was chosen.
        """
        seen = self._link.latest
        missing: dict[str, Callable[[], bool]] = {
            "a position": lambda: "GLOBAL_POSITION_INT" in seen,
            "a home position": lambda: "HOME_POSITION" in seen,
            "a clock": lambda: math.isfinite(self._epoch_s),
            "whether it stands on the ground": lambda: "EXTENDED_SYS_STATE" in seen,
            "its own checks before arming": self._would_arm,
        }
        if not await self._link.wait_until(lambda: all(true() for true in missing.values()), timeout_s):
            lacking = ", ".join(what for what, true in missing.items() if not true())
            raise VehicleRefused(
                f"{self._link.url}: not ready after {timeout_s:g} s; it lacks {lacking}", self._words()
            )
        await self._link.check_alone()
        self._epoch_final = True
        home = seen["HOME_POSITION"]
        self._home = Waypoint(home["longitude"] / 1e7, home["latitude"] / 1e7, home["altitude"] / 1e3, Datum.AMSL)
        return self._home

    async def load(self, road: SkyRoad) -> None:
        """Put a sky road in force: fence, failsafe parameters, mission.

        All three are read back and compared (places to 1e-7 degree, heights to 1 cm), and the vehicle's words are
        waited for, because PX4 acknowledges a fence or a mission that it then does not use.

        Raises:
            VehicleRefused: with the vehicle's words, or why it was not even sent.
            LinkError: silence.
        """
        if self._home is None:
            raise VehicleRefused(f"{self._link.url}: load() needs ready() first, to know where home is")
        mission.check_road(road, self._home)
        fence_items, mission_items = mission.fence_items(road), mission.mission_items(road)
        # An old mission would be judged against the new fence, and its verdict taken for ours. And a fence like the one
        # that is stored is not judged again, but for the moment of having none.
        await self._link.clear()
        await self._pass(SETTLE_S)
        await self._link.greet()
        with self._link.words.listening() as words:
            await self._link.upload(fence_items)
            await self._verdict(road, words, self._verdict_s + len(fence_items) * PER_CORNER_S)
            for name, value in mission.failsafe_parameters(road, self._home).items():
                await self._link.set_parameter(name, value, if_there=name in mission.NOT_EVERYWHERE)
            await self._link.upload(mission_items)
            await self._verdict(road, words, self._verdict_s)
            for what, sent in (("fence", fence_items), ("mission", mission_items)):
                read = await self._link.download(sent[0].mission_type)
                if fault := mission.difference(sent, read):
                    raise VehicleRefused(f"{road.intent_id}: the {what} was not stored as sent: {fault}", tuple(words))
            self._refuse(road, words)

    async def _verdict(self, road: SkyRoad, words: list[str], wait_s: float) -> None:
        await self._pass(wait_s, lambda: bool(mission.refusals(words)))
        self._refuse(road, words)

    async def _pass(self, wait_s: float, enough: Callable[[], bool] = lambda: False) -> None:
        """Let time pass by the vehicle's clock: a simulation may run faster than life, or slower."""
        due_ms = self._boot_ms + 1000 * wait_s
        if not await self._link.wait_until(lambda: self._boot_ms >= due_ms or enough(), 10.0 + 5.0 * wait_s):
            raise LinkError(f"{self._link.url}: the vehicle's clock stands still")

    def _refuse(self, road: SkyRoad, words: list[str]) -> None:
        if refusals := mission.refusals(words):
            raise VehicleRefused(f"{road.intent_id}: acknowledged, but not in force", refusals)

    async def arm(self) -> None:
        """Arm, standing in HOLD: a vehicle still in MISSION from its last flight would take off at once."""
        if self._mode() != "HOLD":
            await self._set_mode("HOLD")
        await self._insist("arming", (COMPONENT_ARM_DISARM, 1.0), self._armed)

    async def start(self) -> None:
        """Fly the mission that is loaded."""
        await self._set_mode("MISSION")

    async def pace(self, speed_m_s: float) -> None:
        """Fly on at another ground speed; the next change of speed in the mission, or of mode, ends it.

        Nothing that PX4 reports would show it but the flight itself, so here the acknowledgement has to do.
        """
        result = await self._link.command(mission.DO_CHANGE_SPEED, 1.0, speed_m_s, -1.0)
        if result != 0:
            raise VehicleRefused(f"{self._link.url}: speed {speed_m_s:.1f} m/s: {_RESULTS.get(result, result)}")

    async def hold(self) -> None:
        """Stop and hover."""
        await self._set_mode("HOLD")

    async def return_home(self) -> None:
        """Return, along the road, to its nearer end."""
        await self._set_mode("RTL")

    async def land(self) -> None:
        """Land where it is."""
        await self._set_mode("LAND")

    async def disarm(self) -> None:
        """Stop the motors of a vehicle that stands on the ground; in the air PX4 refuses."""
        await self._insist("disarming", (COMPONENT_ARM_DISARM, 0.0), lambda: not self._armed())

    async def states(self) -> AsyncIterator[VehicleState]:
        """Each position report from now on, stamped by the vehicle's clock.

        A reader more than 256 reports behind loses the oldest.

        Raises:
            LinkError: no position for ``silent_s``, or the vehicle restarted.
        """
        queue: asyncio.Queue[VehicleState] = asyncio.Queue(_QUEUE)
        self._readers.append(queue)
        try:
            while True:
                if not await self._link.wait_until(lambda: not queue.empty(), self._link.silent_s):
                    raise LinkError(f"{self._link.url}: no position for {self._link.silent_s:g} s")
                yield queue.get_nowait()
        finally:
            self._readers[:] = [each for each in self._readers if each is not queue]

    # --- what is heard

    def _hear_clock(self, fields: Mapping[str, Any]) -> None:
        boot_ms, unix_s = int(fields["time_boot_ms"]), fields["time_unix_usec"] / 1e6
        if unix_s > _CLOCK_SET_S and not self._epoch_final:
            self._epoch_s = unix_s - boot_ms / 1e3

    def _hear_position(self, fields: Mapping[str, Any]) -> None:
        boot_ms = int(fields["time_boot_ms"])
        if boot_ms + 1000 < self._boot_ms:
            self._link.fail(LinkError(f"{self._link.url}: the vehicle restarted"))
            return
        if boot_ms <= self._boot_ms or math.isnan(self._epoch_s):
            return
        self._boot_ms = boot_ms
        state = self._state(fields)
        for queue in self._readers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(state)

    def _state(self, position: Mapping[str, Any]) -> VehicleState:
        battery = self._link.latest.get("SYS_STATUS", {}).get("battery_remaining", -1)
        return VehicleState(
            t_s=self._epoch_s + position["time_boot_ms"] / 1e3,
            lon_deg=position["lon"] / 1e7,
            lat_deg=position["lat"] / 1e7,
            amsl_m=position["alt"] / 1e3,
            velocity_m_s=(position["vy"] / 100.0, position["vx"] / 100.0, -position["vz"] / 100.0),
            mode=self._mode(),
            armed=self._armed(),
            landed=self._link.latest.get("EXTENDED_SYS_STATE", {}).get("landed_state") == ON_GROUND,
            battery_fraction=battery / 100.0 if battery >= 0 else math.nan,
        )

    def _mode(self) -> str:
        custom = int(self._link.latest["HEARTBEAT"]["custom_mode"])
        main_mode, sub_mode = custom >> 16 & 255, custom >> 24 & 255
        return SUB_MODES.get(sub_mode, "OTHER") if main_mode == AUTO else "OTHER"

    def _armed(self) -> bool:
        return bool(int(self._link.latest["HEARTBEAT"]["base_mode"]) & ARMED_FLAG)

    def _would_arm(self) -> bool:
        return bool(
            int(self._link.latest.get("SYS_STATUS", {}).get("onboard_control_sensors_health", 0)) & PREARM_CHECK
        )

    def _words(self) -> tuple[str, ...]:
        return tuple(self.said[-5:])

    # --- what is asked

    async def _set_mode(self, name: str) -> None:
        command = (DO_SET_MODE, CUSTOM_MODE, float(AUTO), float(_SUB_MODE[name]))
        await self._insist(f"mode {name}", command, lambda: self._mode() == name)

    async def _insist(self, what: str, command: tuple[float, ...], shown: Callable[[], bool]) -> None:
        """Command until a heartbeat sent afterwards shows it.

        PX4 acknowledges a mode twice, first "accepted" and then the truth, and refuses MISSION for up to a second
        after an upload. So an acknowledgement that accepts is not trusted, and after one that refuses it is asked
        again.
        """
        self._link.require_open()
        loop = asyncio.get_running_loop()
        deadline_s, number = loop.time() + self._patience_s, int(command[0])
        answer = "none"
        with self._link.words.listening() as words, self._link.acknowledgements(number) as results:
            while (left_s := deadline_s - loop.time()) > 0:
                results.clear()
                heartbeats = self._link.count["HEARTBEAT"]

                def changed(heartbeats: int = heartbeats) -> bool:
                    return self._link.count["HEARTBEAT"] > heartbeats and shown()

                # Not awaited: the acknowledgement may be lost, and its repeats take seconds.
                sending = asyncio.create_task(self._link.command(number, *command[1:]))
                try:
                    # A heartbeat comes once a second.
                    await self._link.wait_until(lambda: changed() or any(results), min(left_s, 2.2))
                finally:
                    sending.cancel()
                    await asyncio.gather(sending, return_exceptions=True)
                if changed():
                    return
                answer = _RESULTS.get(max(results), str(max(results))) if results else "none"
                if any(results):
                    await self._link.wait_until(changed, min(left_s, 0.3))
            raise VehicleRefused(
                f"{self._link.url}: {what} did not come about within {self._patience_s:g} s (last answer: {answer};"
                f" mode {self._mode()}, {'armed' if self._armed() else 'not armed'})",
                tuple(words),
            )
