"""A ground station and a simulated vehicle in one thread, over a real UDP socket, without waiting for the clock.

The vehicle is stepped by hand, and what it sends is read after every step; so the tests are as fast as the machine
and always go the same way.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pymavlink.dialects.v20 import common as mavlink

from sims.mission import MISSION
from sims.vehicle import STEP_S, SimVehicle, VehicleConfig

LON, LAT, GROUND = 136.445, 36.325, 12.0
CONFIG = VehicleConfig(lon_deg=LON, lat_deg=LAT, ground_amsl_m=GROUND, start_utc_s=1_800_000_000.0, seed=7)
NAN = math.nan
ME = (255, mavlink.MAV_COMP_ID_MISSIONPLANNER)

AUTO = {"TAKEOFF": 2, "HOLD": 3, "MISSION": 4, "RTL": 5, "LAND": 6}


class Bench:
    """One vehicle and one ground station."""

    def __init__(self, heartbeats: bool = True, **changes: Any):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        changes.setdefault("ports", (0, self.socket.getsockname()[1]))
        self.vehicle = SimVehicle(replace(CONFIG, **changes))
        self.system = self.vehicle.config.instance + 1
        self.heartbeats = heartbeats
        self.log: list[tuple[float, Any]] = []
        """Simulated time and message of everything received."""
        self.positions: list[tuple[float, tuple[float, float, float]]] = []
        """The truth at each step: simulated time; east, north, up of the start."""
        self._codec = mavlink.MAVLink(None, srcSystem=ME[0], srcComponent=ME[1])
        self._next_heartbeat_s = 0.0
        self._wall_s = 0.0

    def close(self) -> None:
        self.vehicle.close()
        self.socket.close()

    # --- time

    @property
    def now_s(self) -> float:
        return self.vehicle.state.now_s

    def step(self) -> None:
        if self.heartbeats and self.now_s >= self._next_heartbeat_s:
            self._next_heartbeat_s = self.now_s + 1.0
            self.heartbeat()
        self._wall_s += STEP_S
        self.vehicle.listen(self._wall_s)
        self.vehicle.step()
        self.positions.append((self.now_s, self.vehicle.state.copter.body.position))
        self._read()

    def run(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.step()

    def until(self, holds: Callable[[], object], limit_s: float = 300.0) -> float:
        """Run until something holds; simulated seconds it took."""
        start_s = self.now_s
        while not holds():
            assert self.now_s - start_s < limit_s, f"did not happen within {limit_s} s; the vehicle said {self.texts}"
            self.step()
        return self.now_s - start_s

    def ready(self) -> Bench:
        self.until(lambda: self.vehicle.autopilot.armable, 10.0)
        return self

    # --- hearing and speaking

    def _read(self) -> None:
        while True:
            try:
                data = self.socket.recv(65535)
            except BlockingIOError:
                return
            self.log.extend((self.now_s, message) for message in self._codec.parse_buffer(data) or ())

    def send(self, message: Any) -> None:
        data = message.pack(self._codec)
        self._codec.seq = (self._codec.seq + 1) % 256
        self.socket.sendto(data, ("127.0.0.1", self.vehicle.link.port))

    def heartbeat(self, kind: int = mavlink.MAV_TYPE_GCS) -> None:
        self.send(mavlink.MAVLink_heartbeat_message(kind, mavlink.MAV_AUTOPILOT_INVALID, 0, 0, 0, 3))

    def heard(self, name: str, since_s: float = 0.0) -> list[Any]:
        return [message for at_s, message in self.log if at_s >= since_s and message.get_type() == name]

    def last(self, name: str) -> Any:
        return self.heard(name)[-1]

    @property
    def texts(self) -> list[str]:
        """What the vehicle has said, chunks put together."""
        whole: dict[int, str] = {}
        for message in self.heard("STATUSTEXT"):
            whole[message.id] = whole.get(message.id, "") + message.text
        return [text.rstrip("\t") for text in whole.values()]

    def said(self, text: str) -> bool:
        return any(text in one for one in self.texts)

    @property
    def mode(self) -> str:
        return self.vehicle.state.mode.name

    # --- commands

    def command(self, command: int, *params: float, seconds: float = 0.1) -> list[int]:
        """Send a COMMAND_LONG; the results of its acknowledgements."""
        padded = [*params, *[NAN] * (7 - len(params))]
        mark = len(self.log)
        self.send(mavlink.MAVLink_command_long_message(self.system, 1, command, 0, *padded))
        self.run(seconds)
        acks = [message for _, message in self.log[mark:] if message.get_type() == "COMMAND_ACK"]
        return [ack.result for ack in acks if ack.command == command]

    def set_mode(self, name: str) -> list[int]:
        return self.command(mavlink.MAV_CMD_DO_SET_MODE, 1, 4, AUTO[name])

    def arm(self) -> list[int]:
        return self.command(mavlink.MAV_CMD_COMPONENT_ARM_DISARM, 1, 0)

    def set_param(self, name: str, value: int | float) -> None:
        self.vehicle.params.write(name, value)

    # --- lists

    def upload(self, items: list[Any], kind: int = MISSION) -> int:
        """Upload items as a well-behaved ground station does; the type of the MISSION_ACK."""
        mark = len(self.log)
        self.send(mavlink.MAVLink_mission_count_message(self.system, 1, len(items), kind))
        for _ in range(50 * (len(items) + 5)):
            self.step()
            for _, message in self.log[mark:]:
                if message.get_type() == "MISSION_REQUEST_INT":
                    self.send(items[message.seq])
                elif message.get_type() == "MISSION_ACK":
                    return message.type
            mark = len(self.log)
        raise AssertionError("the upload was never acknowledged")

    def download(self, kind: int = MISSION) -> list[Any]:
        mark = len(self.log)
        self.send(mavlink.MAVLink_mission_request_list_message(self.system, 1, kind))
        self.run(0.1)
        count = next(m for _, m in self.log[mark:] if m.get_type() == "MISSION_COUNT").count
        items = []
        for seq in range(count):
            self.send(mavlink.MAVLink_mission_request_int_message(self.system, 1, seq, kind))
            self.run(0.06)
            items.append(self.last("MISSION_ITEM_INT"))
        self.send(mavlink.MAVLink_mission_ack_message(self.system, 1, mavlink.MAV_MISSION_ACCEPTED, kind))
        self.run(0.06)
        return items

    def place(self, east: float, north: float) -> tuple[float, float]:
        """Longitude and latitude of a point in metres from the start."""
        return self.vehicle.state.plane.to_lonlat(east, north)

    def item(
        self,
        seq: int,
        command: int,
        east: float,
        north: float,
        z: float,
        *params: float,
        kind: int = MISSION,
        frame: int = 6,
    ) -> Any:
        lon, lat = self.place(east, north)
        p = [*params, *[0.0] * (4 - len(params))]
        return mavlink.MAVLink_mission_item_int_message(
            self.system, 1, seq, frame, command, 0, 1, *p, round(lat * 1e7), round(lon * 1e7), z, kind
        )

    def plain(self, seq: int, command: int, *params: float) -> Any:
        p = [*params, *[0.0] * (4 - len(params))]
        return mavlink.MAVLink_mission_item_int_message(self.system, 1, seq, 2, command, 0, 1, *p, 0, 0, 0.0, MISSION)

    def mission(
        self,
        points: list[tuple[float, float]],
        up: float = 20.0,
        speed: float = 5.0,
        radius: float = 2.0,
        land: bool = True,
    ) -> list[Any]:
        """Take off, fly over points, land under the last."""
        items = [
            self.item(0, mavlink.MAV_CMD_NAV_TAKEOFF, 0, 0, up),
            self.plain(1, mavlink.MAV_CMD_DO_CHANGE_SPEED, 1, speed, -1),
        ]
        items += [
            self.item(n, mavlink.MAV_CMD_NAV_WAYPOINT, *point, up, 0, radius) for n, point in enumerate(points, start=2)
        ]
        if land:
            items.append(self.item(len(items), mavlink.MAV_CMD_NAV_LAND, *points[-1], 0.0))
        return items

    def polygon(self, corners: list[tuple[float, float]], inclusion: bool = True, first: int = 0) -> list[Any]:
        command = (
            mavlink.MAV_CMD_NAV_FENCE_POLYGON_VERTEX_INCLUSION
            if inclusion
            else mavlink.MAV_CMD_NAV_FENCE_POLYGON_VERTEX_EXCLUSION
        )
        return [
            self.item(first + n, command, *corner, 0.0, len(corners), kind=mavlink.MAV_MISSION_TYPE_FENCE)
            for n, corner in enumerate(corners)
        ]

    def circle(self, east: float, north: float, radius: float, inclusion: bool = True, seq: int = 0) -> Any:
        command = (
            mavlink.MAV_CMD_NAV_FENCE_CIRCLE_INCLUSION if inclusion else mavlink.MAV_CMD_NAV_FENCE_CIRCLE_EXCLUSION
        )
        return self.item(seq, command, east, north, 0.0, radius, kind=mavlink.MAV_MISSION_TYPE_FENCE)

    # --- short ways to a situation

    def airborne(self, up: float = 20.0) -> Bench:
        """Hover above the start."""
        self.ready()
        assert self.command(mavlink.MAV_CMD_NAV_TAKEOFF, NAN, NAN, NAN, NAN, NAN, NAN, GROUND + up) == [0]
        assert self.arm() == [0]
        self.until(lambda: self.mode == "HOLD", 60.0)
        self.run(5.0)
        return self

    def flying(self, items: list[Any]) -> Bench:
        """Start a mission; returns when it has left the ground."""
        self.ready()
        assert self.upload(items) == mavlink.MAV_MISSION_ACCEPTED
        self.run(1.0)
        self.set_mode("MISSION")
        assert self.arm() == [0], self.texts
        self.until(lambda: not self.vehicle.state.on_ground, 20.0)
        return self


def square(half: float, east: float = 0.0, north: float = 0.0) -> list[tuple[float, float]]:
    """Corners of a square around a point."""
    return [
        (east - half, north - half),
        (east + half, north - half),
        (east + half, north + half),
        (east - half, north + half),
    ]
