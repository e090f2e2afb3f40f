"""Simulated vehicles: aircraft as MAVLink sees them, on loopback.

Instance N sends from UDP port 14580+N to 14540+N with system id N+1, as PX4's onboard link does (instances above 9 all
send to the last of the ten ports). Simulated time runs ``speed`` times as fast as the wall clock, and every time
stamp in a message is simulated time.

    with Fleet([VehicleConfig(lon_deg=136.445, lat_deg=36.325, ground_amsl_m=12.0)], speed=10.0) as fleet:
        ...  # connect to udpin://127.0.0.1:14540
"""

from __future__ import annotations

import logging
import random
import select
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pymavlink.dialects.v20 import common as mavlink

from sims.autopilot import Autopilot
from sims.commands import Commands, ParameterServer
from sims.dynamics import Multicopter
from sims.link import Address, UdpLink
from sims.mission import MISSION
from sims.mission_protocol import MissionServer
from sims.params import DEFAULTS, Parameters
from sims.plane import LocalPlane
from sims.state import State
from sims.telemetry import Telemetry

STEP_S = 0.02
"""Simulated seconds per step of the dynamics."""
PORTS = (14580, 14540)
"""PX4's first local port and first peer port."""
_TICK_S = 0.01
_MOST_BEHIND_S = 0.25
_SHARED_PEER_AFTER = 9
_TEXT_BYTES = 50


@dataclass(frozen=True, slots=True)
class VehicleConfig:
    """One vehicle and the world around it."""

    lon_deg: float
    lat_deg: float
    ground_amsl_m: float
    """Height above mean sea level (EGM96) of the ground on which it is switched on."""
    instance: int = 0
    start_utc_s: float | None = None
    """Unix seconds by the vehicle's clock when it is switched on; None for the wall clock's."""
    wind_m_s: tuple[float, float] = (0.0, 0.0)
    """Velocity of the air: east, north."""
    gust_m_s: float = 0.3
    """Standard deviation of the wind's changes."""
    seed: int = 0
    ground_amsl: Callable[[float, float], float] | None = None
    """Height AMSL of whatever one would land on, by longitude and latitude; flat where not given."""
    rangefinder: bool = True
    """Whether a landing slows down above the ground below; without, above home's height, as PX4 does without one."""
    straight_slopes: bool = True
    """False: sloping legs as the beta of PX4 1.18 flies them; see :class:`sims.trajectory.Limits`."""
    endurance_s: float = 1500.0
    params: dict[str, int | float] = field(default_factory=dict)
    """Parameters that differ from the defaults."""
    ports: tuple[int, int] | None = None
    """Local port and peer port; None for PX4's of this instance. A local port of 0 takes a free one."""
    transfer_timeout_s: float = 5.0
    """Wall seconds of silence after which a mission transfer is given up."""


class SimVehicle:
    """One simulated vehicle: its autopilot, its body and its link. Not safe for use by several threads at once.

    Fault hooks, to be set from any thread: ``state.gps``, ``state.battery``, ``state.drain_per_s``,
    ``state.copter.wind_m_s``, ``link.dropped``.
    """

    def __init__(self, config: VehicleConfig, speed: float = 1.0):
        """Args:
        speed: simulated seconds per wall second; it only lengthens COM_DL_LOSS_T, as PX4's simulation does, because
            the ground station's heartbeat comes by the wall clock.

        Raises:
            OSError: the port is taken.
        """
        self.config = config
        system_id = config.instance + 1
        params = {"COM_DL_LOSS_T": round(DEFAULTS["COM_DL_LOSS_T"] * max(1.0, speed)), "MAV_SYS_ID": system_id}
        self.params = Parameters({**params, **config.params})
        port, peer_port = config.ports or (
            PORTS[0] + config.instance,
            PORTS[1] + min(config.instance, _SHARED_PEER_AFTER),
        )
        rng = random.Random(config.seed)
        start_utc_s = time.time() if config.start_utc_s is None else config.start_utc_s
        self._gcs_seen = False
        self._text_id = 0
        self.link = UdpLink(port, peer_port, system_id)
        self.missions = MissionServer(
            self.link.send, self.say, lambda kind: self.autopilot.in_force.stored(kind), config.transfer_timeout_s
        )
        self.state = State(
            Multicopter(random.Random(rng.random()), config.wind_m_s, config.gust_m_s),
            LocalPlane(config.lon_deg, config.lat_deg, config.ground_amsl_m),
            self.params,
            config.ground_amsl or (lambda _lon, _lat: config.ground_amsl_m),
            config.rangefinder,
            1.0 / config.endurance_s,
        )
        self.autopilot = Autopilot(
            self.state,
            lambda kind: self.missions.lists[kind],
            self.say,
            random.Random(rng.random()),
            straight_slopes=config.straight_slopes,
        )
        self.telemetry = Telemetry(self.autopilot, self.missions, start_utc_s, random.Random(rng.random()))
        self._commands = Commands(self.autopilot, self.telemetry, self.link.send, self.say)
        self._parameters = ParameterServer(self.params, self.link.send)

    def say(self, severity: int, text: str) -> None:
        """Send a STATUSTEXT, in chunks if need be; lost until a ground station's heartbeat has been seen."""
        if not self._gcs_seen:
            return
        data = f"{text}\t".encode()  # PX4 ends its texts with a tab
        self._text_id = self._text_id % 65535 + 1
        for number, start in enumerate(range(0, len(data), _TEXT_BYTES)):
            chunk = data[start : start + _TEXT_BYTES]
            self.link.send(mavlink.MAVLink_statustext_message(severity, chunk, self._text_id, number))

    def step(self, dt: float = STEP_S) -> None:
        """Move on by ``dt`` simulated seconds and send what is due."""
        self.autopilot.step(dt)
        self.missions.current = self.autopilot.navigator.current
        for message in self.telemetry.due():
            self.link.send(message)

    def listen(self, now_s: float) -> None:
        """Deal with everything that has arrived. ``now_s`` is the wall clock (monotonic)."""
        for message, address in self.link.receive():
            self._handle(message, address, now_s)
        self.missions.tick(now_s)

    def _handle(self, message: Any, address: Address, now_s: float) -> None:
        kind = message.get_type()
        if kind == "HEARTBEAT":
            if message.type == mavlink.MAV_TYPE_GCS:
                self._gcs_seen = True
                self.state.gcs_heard_s = self.state.now_s
            return
        if not self._for_me(message):
            return
        if kind in ("COMMAND_LONG", "COMMAND_INT"):
            self._commands.handle(message, address)
        elif kind == "SET_MODE":
            self._commands.set_mode(message)
        elif kind == "MISSION_SET_CURRENT":
            self._set_current(message.seq)
        elif kind == "TIMESYNC" and message.tc1 == 0:
            boot_ns = int(self.state.now_s * 1e9)
            self.link.send(mavlink.MAVLink_timesync_message(boot_ns, message.ts1), address)
        elif kind == "PING" and message.target_system == 0:
            partner = (message.get_srcSystem(), message.get_srcComponent())
            self.link.send(mavlink.MAVLink_ping_message(message.time_usec, message.seq, *partner), address)
        elif not self._parameters.handle(message, address):
            self.missions.handle(message, address, now_s)

    def _for_me(self, message: Any) -> bool:
        system = getattr(message, "target_system", 0)
        component = getattr(message, "target_component", 0)
        return system in (0, self.config.instance + 1) and component in (
            mavlink.MAV_COMP_ID_ALL,
            mavlink.MAV_COMP_ID_AUTOPILOT1,
            mavlink.MAV_COMP_ID_MISSIONPLANNER,
        )

    def _set_current(self, index: int) -> None:
        if index < len(self.missions.lists[MISSION]) and index < len(self.autopilot.navigator.items):
            self.autopilot.navigator.set_current(index)
        else:
            self.say(mavlink.MAV_SEVERITY_CRITICAL, "WPM: WP CURR CMD: Not in list")

    def close(self) -> None:
        """Close the link."""
        self.link.close()


def run_fleet(vehicles: Sequence[SimVehicle], speed: float, stop: threading.Event) -> None:
    """Run vehicles until ``stop`` is set, simulated time going ``speed`` times as fast as the wall clock.

    Where the machine cannot keep up for a while, simulated time falls behind and does not jump.
    """
    sockets = [vehicle.link.socket for vehicle in vehicles]
    origin_s, done_s = time.monotonic(), 0.0
    while not stop.is_set():
        now_s = time.monotonic()
        if (now_s - origin_s) * speed - done_s > _MOST_BEHIND_S * speed:
            origin_s = now_s - done_s / speed - _MOST_BEHIND_S
        for vehicle in vehicles:
            vehicle.listen(now_s)
        while done_s + STEP_S <= (now_s - origin_s) * speed and not stop.is_set():
            for vehicle in vehicles:
                vehicle.step(STEP_S)
            done_s += STEP_S
        next_s = max(_TICK_S, STEP_S / speed)
        select.select(sockets, [], [], max(0.0, next_s - (time.monotonic() - now_s)))


class Fleet:
    """Vehicles in a thread of this process; a context manager.

    An exception in the thread is raised again by :meth:`stop` and on leaving the context.
    """

    def __init__(self, configs: Sequence[VehicleConfig], speed: float = 1.0):
        """Raises:
        OSError: a port is taken.
        ValueError: a speed that is not positive.
        """
        if not speed > 0.0:
            raise ValueError(f"speed must be positive, got {speed}")
        self.speed = speed
        self.vehicles: list[SimVehicle] = []
        try:
            for config in configs:
                self.vehicles.append(SimVehicle(config, speed))
        except BaseException:
            self._close()
            raise
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="sims.Fleet", daemon=True)

    def start(self) -> Fleet:
        """Switch the vehicles on; returns self."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Switch the vehicles off and close their links; may be called again."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._close()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _run(self) -> None:
        try:
            run_fleet(self.vehicles, self.speed, self._stop)
        except BaseException as error:
            # Handed over to the thread that calls stop(); said at once, because that may be a long time from now.
            logging.getLogger(__name__).exception("the simulated vehicles stopped")
            self._failure = error

    def _close(self) -> None:
        for vehicle in self.vehicles:
            vehicle.close()

    def __enter__(self) -> Fleet:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def side_by_side(first: VehicleConfig, instances: int, spacing_deg: float = 0.0002) -> list[VehicleConfig]:
    """``instances`` vehicles in a row, ``spacing_deg`` of longitude apart to the east, each with its own seed."""
    return [
        replace(
            first,
            instance=first.instance + number,
            lon_deg=first.lon_deg + number * spacing_deg,
            seed=first.seed + number,
        )
        for number in range(instances)
    ]
