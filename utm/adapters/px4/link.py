"""The MAVLink link to one PX4: what was last heard, and requests that are answered or fail.

On MAVSDK 4 (asyncio). The link is a ground station's: PX4 sends no STATUSTEXT before it has seen one's heartbeat.
Messages arrive as JSON through the ``mavlink_direct`` plugin, of which only the latest of each kind is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import mavsdk
from mavsdk.asyncio import ComponentType, Configuration, Mavsdk, MavsdkConnectionError, System
from mavsdk.asyncio.plugins.geofence import GeofenceAsync
from mavsdk.asyncio.plugins.mavlink_direct import MavlinkDirectAsync
from mavsdk.asyncio.plugins.mission_raw import MissionRawAsync
from mavsdk.asyncio.plugins.param import ParamAsync
from mavsdk.plugins.geofence import GeofenceError
from mavsdk.plugins.mavlink_direct import MavlinkDirectError, MavlinkMessage
from mavsdk.plugins.mission_raw import MissionItem, MissionRawError
from mavsdk.plugins.param import ParamError, ParamResult

from utm.adapters.px4.mission import FENCE, Item
from utm.adapters.px4.words import Words
from utm.errors import LinkError, VehicleRefused

log = logging.getLogger(__name__)

AUTOPILOT = 1
"""MAVLink component id of an autopilot."""

SET_MESSAGE_INTERVAL = 511

#: What judgement needs, by message id, with its interval in seconds of the vehicle's time.
WANTED_S = {33: 0.2, 245: 0.2, 1: 1.0, 2: 1.0, 242: 1.0}  # position, landed, status, clock, home

#: What PX4 streams by itself on an onboard link and nobody here reads: four messages in five. Attitude, IMU, odometry,
#: set points, servos, ESCs, estimator, vibration ...
UNWANTED = (24, 27, 29, 30, 31, 32, 36, 74, 83, 85, 87, 105, 111, 132, 141, 147, 230, 241, 290, 291, 331, 340, 375, 380)

_TRIES = 3
T = TypeVar("T")


class Link:
    """One vehicle on one port.

    ``latest`` holds the newest message of each kind as a dictionary of its fields, ``count`` how many came.
    """

    def __init__(self, url: str, system_id: int | None, silent_s: float) -> None:
        self.url, self.system_id, self.silent_s = url, system_id, silent_s
        self._chosen = system_id is not None
        self.latest: dict[str, Mapping[str, Any]] = {}
        self.count: dict[str, int] = {}
        self.words = Words()
        self.on_message: dict[str, Callable[[Mapping[str, Any]], None]] = {}
        self._news = asyncio.Event()
        self._heard_s = -math.inf
        self._fault: BaseException | None = None
        self._asked: list[tuple[int, list[int]]] = []
        self._mavsdk: Mavsdk | None = None
        self._pumps: list[asyncio.Task[None]] = []
        self._requests: set[asyncio.Future[Any]] = set()
        self._direct: MavlinkDirectAsync | None = None
        self._missions: MissionRawAsync | None = None
        self._fences: GeofenceAsync | None = None
        self._params: ParamAsync | None = None

    # --- opening and closing

    async def open(self, timeout_s: float, messages: Sequence[str]) -> None:
        """Find the vehicle, follow these messages of it, and cut the streams that nobody reads.

        Raises:
            LinkError: the port cannot be opened, or no vehicle answers in time.
            VehicleRefused: it does not send positions.
        """
        if self._mavsdk is not None:
            raise LinkError(f"{self.url}: already connected")
        mavsdk.log_subscribe(_to_logging)  # MAVSDK would print to stdout
        self._mavsdk = instance = Mavsdk(Configuration.create_with_component_type(ComponentType.GROUND_STATION))
        try:
            async with asyncio.timeout(timeout_s):
                await self._open(instance, messages)
        except TimeoutError:
            await self.close()
            who = "no vehicle" if self.system_id is None else f"no vehicle with system id {self.system_id}"
            raise LinkError(
                f"{self.url}: {who} answered within {timeout_s:g} s. Is it running, and does it send to this port?"
            ) from None
        except BaseException:
            await self.close()
            raise

    async def _open(self, instance: Mavsdk, messages: Sequence[str]) -> None:
        try:
            await instance.add_any_connection(self.url)
        except MavsdkConnectionError as error:
            raise LinkError(
                f"{self.url}: the link cannot be opened ({error}). Is the port free, and is it written like"
                " udpin://127.0.0.1:14540?"
            ) from error
        system = await self._find(instance)
        self.system_id = await system.get_system_id()
        self._direct = direct = MavlinkDirectAsync(system)
        self._missions = MissionRawAsync(system)
        self._params, self._fences = ParamAsync(system), GeofenceAsync(system)
        for name in dict.fromkeys(("HEARTBEAT", "STATUSTEXT", "COMMAND_ACK", *messages)):
            self._pumps.append(asyncio.create_task(self._pump(direct, name), name=f"{self.url} {name}"))
        await self.wait_until(lambda: "HEARTBEAT" in self.latest, math.inf)
        await self.greet()
        for message_id, interval_s in WANTED_S.items():
            result = await self.command(SET_MESSAGE_INTERVAL, message_id, interval_s * 1e6)
            if result != 0:
                raise VehicleRefused(
                    f"{self.url}: the vehicle does not send message {message_id} every {interval_s:g} s"
                    f" (MAV_RESULT {result})"
                )
        for message_id in UNWANTED:
            await self.command(SET_MESSAGE_INTERVAL, message_id, -1)  # unknown there: nothing to cut

    async def _find(self, instance: Mavsdk) -> System:
        while True:
            for number, system in (await self._autopilots(instance)).items():
                if self.system_id in (None, number):
                    return system
            await asyncio.sleep(0.05)

    async def _autopilots(self, instance: Mavsdk) -> dict[int, System]:
        systems = await instance.get_systems()
        return {await system.get_system_id(): system for system in systems if await system.has_autopilot()}

    async def check_alone(self) -> None:
        """Raise LinkError when it was left to chance which of several vehicles this is."""
        ids = sorted(await self._autopilots(self._need(self._mavsdk)))
        if not self._chosen and len(ids) > 1:
            raise LinkError(f"{self.url}: vehicles {', '.join(map(str, ids))} answer on this link; say which one")

    async def close(self) -> None:
        """Free the port, the threads and the tasks. May be called twice."""
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        self._pumps.clear()
        # A request still running inside MAVSDK must end before what it runs on goes away; its time is bounded there.
        while self._requests:
            await asyncio.gather(*self._requests, return_exceptions=True)
        instance, self._mavsdk = self._mavsdk, None
        self._direct = self._missions = self._params = self._fences = None
        if instance is not None:
            # Off the loop: it waits for callbacks, which wait for the interpreter.
            await asyncio.shield(asyncio.to_thread(instance.destroy))

    # --- hearing

    async def _pump(self, direct: MavlinkDirectAsync, name: str) -> None:
        try:
            async with contextlib.aclosing(direct.subscribe_message(name)) as messages:
                async for message in messages:
                    if message.system_id == self.system_id and message.component_id == AUTOPILOT:
                        self._hear(name, json.loads(message.fields_json))
        except Exception as error:  # noqa: BLE001 - for whoever waits on this link: a dead pump must not go unnoticed
            self.fail(error)

    def _hear(self, name: str, fields: Mapping[str, Any]) -> None:
        self._heard_s = asyncio.get_running_loop().time()
        self.latest[name] = fields
        self.count[name] = self.count.get(name, 0) + 1
        if name == "STATUSTEXT":
            self.words.hear(fields)
        elif name == "COMMAND_ACK":
            for command, results in self._asked:
                if command == fields["command"]:
                    results.append(int(fields["result"]))
        if handler := self.on_message.get(name):
            handler(fields)
        self._news.set()

    @contextlib.contextmanager
    def acknowledgements(self, command: int) -> Iterator[list[int]]:
        """Every MAV_RESULT with which the vehicle answers a command from now on."""
        asked: tuple[int, list[int]] = (command, [])
        self._asked.append(asked)
        try:
            yield asked[1]
        finally:
            self._asked[:] = [each for each in self._asked if each is not asked]

    def fail(self, error: BaseException) -> None:
        """Every wait on this link, now and later, ends with this error."""
        self._fault = error
        self._news.set()

    async def wait_until(self, true: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until something heard makes this true; False after the time.

        Raises:
            LinkError: nothing at all was heard for ``silent_s``.
        """
        loop = asyncio.get_running_loop()
        deadline_s, started_s = loop.time() + timeout_s, loop.time()
        while True:
            if self._fault is not None:
                raise self._fault
            if true():
                return True
            now_s = loop.time()
            if now_s >= deadline_s:
                return False
            silent_at_s = max(self._heard_s, started_s) + self.silent_s
            if now_s >= silent_at_s:
                raise LinkError(f"{self.url}: the vehicle has been silent for {self.silent_s:g} s")
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min(deadline_s, silent_at_s)):
                    await self._news.wait()

    # --- asking

    async def _request(self, call: Coroutine[Any, Any, T]) -> T:
        """Run a request of MAVSDK that cannot be cancelled; whoever waits for it can."""
        future = asyncio.ensure_future(call)
        self._requests.add(future)
        future.add_done_callback(self._requests.discard)
        return await asyncio.shield(future)

    async def greet(self) -> None:
        """Send a ground station's heartbeat now. MAVSDK sends one a second, and until the first PX4 says nothing."""
        fields = {"type": 6, "autopilot": 8, "base_mode": 0, "custom_mode": 0, "system_status": 4, "mavlink_version": 3}
        try:
            await self._request(
                self._need(self._direct).send_message(
                    MavlinkMessage(message_name="HEARTBEAT", fields_json=json.dumps(fields))
                )
            )
        except MavlinkDirectError as error:
            raise LinkError(f"{self.url}: nothing can be sent ({error.result.name})") from error

    def require_open(self) -> None:
        """Raises LinkError when it is not open."""
        self._need(self._direct)

    async def command(self, command: int, *params: float) -> int:
        """Send a COMMAND_LONG; the MAV_RESULT of its first final acknowledgement.

        Raises:
            LinkError: none came, after the repeats that MAVSDK makes.
        """
        fields = {"target_system": self.system_id, "target_component": AUTOPILOT, "command": command, "confirmation": 0}
        fields |= {f"param{i + 1}": float(params[i]) if i < len(params) else 0.0 for i in range(7)}
        message = MavlinkMessage(
            message_name="COMMAND_LONG",
            target_system_id=self.system_id,
            target_component_id=AUTOPILOT,
            fields_json=json.dumps(fields),
        )
        direct = self._need(self._direct)
        try:
            ack = await self._request(direct.send_command(message))
        except MavlinkDirectError as error:
            raise LinkError(f"{self.url}: command {command} was not acknowledged ({error.result.name})") from error
        return int(json.loads(ack.fields_json)["result"])

    async def set_parameter(self, name: str, value: int | float, *, if_there: bool = False) -> None:
        """Set a parameter and read it back. ``if_there``: its absence is no error.

        Raises:
            VehicleRefused: it does not exist there, or came back as something else.
            LinkError: no answer.
        """
        params = self._need(self._params)
        kind = "int" if isinstance(value, int) else "float"
        write, read = getattr(params, f"set_param_{kind}"), getattr(params, f"get_param_{kind}")
        try:
            await self._again(lambda: write(name, value), ParamError)
            found = await self._again(lambda: read(name), ParamError)
        except ParamError as error:
            if if_there and error.result is ParamResult.DOES_NOT_EXIST:
                return
            if error.result in (ParamResult.TIMEOUT, ParamResult.CONNECTION_ERROR):
                raise LinkError(f"{self.url}: parameter {name} was not answered ({error.result.name})") from error
            raise VehicleRefused(f"{self.url}: parameter {name} = {value} was refused: {error.result.name}") from error
        if not math.isclose(found, value, rel_tol=1e-6, abs_tol=1e-6):
            raise VehicleRefused(f"{self.url}: parameter {name} was set to {value} and read back as {found}")

    async def clear(self) -> None:
        """Forget the mission and the fence that are stored there."""
        missions, fences = self._need(self._missions), self._need(self._fences)
        await self._transfer("clearing the old mission", missions.clear_mission)
        await self._transfer("clearing the old fence", fences.clear_geofence)

    async def upload(self, items: Sequence[Item]) -> None:
        """Send a mission or a fence. An acknowledgement means stored, not in force.

        Raises:
            VehicleRefused, LinkError
        """
        missions = self._need(self._missions)
        raw = [
            MissionItem(
                i, item.frame, item.command, int(i == 0), 1, *item.params, item.x, item.y, item.z, item.mission_type
            )
            for i, item in enumerate(items)
        ]
        if items[0].mission_type == FENCE:
            await self._transfer("sending the fence", lambda: missions.upload_geofence(raw))
        else:
            await self._transfer("sending the mission", lambda: missions.upload_mission(raw))

    async def download(self, mission_type: int) -> tuple[Item, ...]:
        """Read a mission or a fence back."""
        missions = self._need(self._missions)
        if mission_type == FENCE:
            raw = await self._transfer("reading the fence back", missions.download_geofence)
        else:
            raw = await self._transfer("reading the mission back", missions.download_mission)
        return tuple(
            Item(r.command, r.frame, (r.param1, r.param2, r.param3, r.param4), r.x, r.y, r.z, r.mission_type)
            for r in raw
        )

    async def _transfer(self, what: str, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        with self.words.listening() as words:
            try:
                return await self._again(call, MissionRawError, GeofenceError)
            except (MissionRawError, GeofenceError) as error:
                if error.result.name in ("TIMEOUT", "NO_SYSTEM"):
                    raise LinkError(f"{self.url}: {what} was not answered ({error.result.name})") from error
                raise VehicleRefused(f"{self.url}: {what} failed: {error.result.name}", tuple(words)) from error

    async def _again(self, call: Callable[[], Coroutine[Any, Any, T]], *errors: type[Exception]) -> T:
        """A busy vehicle drops a transfer now and then; what is refused thrice is refused."""
        for _ in range(_TRIES - 1):
            with contextlib.suppress(*errors):
                return await self._request(call())
        return await self._request(call())

    def _need(self, plugin: T | None) -> T:
        if plugin is None:
            raise LinkError(f"{self.url}: not connected")
        return plugin


def _to_logging(level: mavsdk.LogLevel, message: str, _file: str | None, _line: int) -> bool:
    log.log(logging.WARNING if level >= mavsdk.LogLevel.WARN else logging.DEBUG, "MAVSDK: %s", message)
    return True  # and nothing on stdout
