"""How the simulated vehicle answers commands and parameter messages, as PX4 answers them.

``DO_SET_MODE`` is acknowledged twice, with 0 at once and with the true result afterwards; a mode is what the heartbeat
says. A command that PX4 does not know is answered with UNSUPPORTED.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pymavlink.dialects.v20 import common as mavlink

from sims.autopilot import Autopilot
from sims.modes import Mode, mode_of
from sims.params import Parameters, UnknownParameter, WrongType
from sims.telemetry import Telemetry
from sims.trajectory import Vector

Address = tuple[str, int]
Send = Callable[[Any, Address | None], None]

_ACCEPTED = mavlink.MAV_RESULT_ACCEPTED
_REJECTED = mavlink.MAV_RESULT_TEMPORARILY_REJECTED
_DENIED = mavlink.MAV_RESULT_DENIED
_UNSUPPORTED = mavlink.MAV_RESULT_UNSUPPORTED
_FAILED = mavlink.MAV_RESULT_FAILED
_FORCE = 21196
_TYPE_MISMATCH = 7  # MAV_PARAM_ERROR_TYPE_MISMATCH, younger than pymavlink's table
_CRITICAL, _INFO = mavlink.MAV_SEVERITY_CRITICAL, mavlink.MAV_SEVERITY_INFO

#: Commands that work only as COMMAND_LONG or COMMAND_INT with a place in x and y.
_WITH_PLACE = (mavlink.MAV_CMD_DO_REPOSITION, mavlink.MAV_CMD_NAV_TAKEOFF, mavlink.MAV_CMD_NAV_LAND)


@dataclass(frozen=True, slots=True)
class Command:
    """COMMAND_LONG and COMMAND_INT made alike; latitude and longitude are degrees, NaN where not given."""

    id: int
    params: tuple[float, float, float, float]
    x: float
    y: float
    z: float
    """Height AMSL, whatever frame COMMAND_INT names: PX4 looks at the frame only to scale x and y."""


def command_of(message: Any) -> Command:
    """A received COMMAND_LONG or COMMAND_INT."""
    params = (message.param1, message.param2, message.param3, message.param4)
    if message.get_type() == "COMMAND_LONG":
        return Command(message.command, params, message.param5, message.param6, message.param7)
    x, y = float(message.x), float(message.y)
    if message.x == 0x7FFFFFFF and message.y == 0x7FFFFFFF:
        x = y = math.nan
    elif message.command in _WITH_PLACE:
        x, y = x * 1e-7, y * 1e-7
    return Command(message.command, params, x, y, message.z)


def _whole(value: float) -> int:
    """A parameter that stands for an integer; 0 where a ground station left it NaN."""
    return round(value) if math.isfinite(value) else 0


class Commands:
    """Answers one vehicle's commands."""

    def __init__(self, autopilot: Autopilot, telemetry: Telemetry, send: Send, say: Callable[[int, str], None]):
        """Args:
        send: sends a message to an address.
        say: sends a STATUSTEXT.
        """
        self._autopilot, self._telemetry, self._send, self._say = autopilot, telemetry, send, say
        self._handlers: dict[int, Callable[[Command], int]] = {
            mavlink.MAV_CMD_COMPONENT_ARM_DISARM: self._arm,
            mavlink.MAV_CMD_DO_SET_MODE: self._set_mode,
            mavlink.MAV_CMD_NAV_TAKEOFF: self._takeoff,
            mavlink.MAV_CMD_NAV_LAND: self._land,
            mavlink.MAV_CMD_NAV_RETURN_TO_LAUNCH: self._return,
            mavlink.MAV_CMD_DO_REPOSITION: self._reposition,
            mavlink.MAV_CMD_DO_CHANGE_SPEED: self._change_speed,
            mavlink.MAV_CMD_MISSION_START: self._mission_start,
            mavlink.MAV_CMD_DO_SET_MISSION_CURRENT: self._mission_current,
            mavlink.MAV_CMD_SET_MESSAGE_INTERVAL: self._set_interval,
        }

    def handle(self, message: Any, address: Address) -> None:
        """Carry out a COMMAND_LONG or COMMAND_INT and acknowledge it."""
        command = command_of(message)
        partner = (message.get_srcSystem(), message.get_srcComponent())

        def acknowledge(result: int) -> None:
            self._send(mavlink.MAVLink_command_ack_message(command.id, result, 0, 0, *partner), address)

        if command.id == mavlink.MAV_CMD_DO_SET_MODE:
            acknowledge(_ACCEPTED)
        requested = self._requested_message(command)
        if requested is not None:
            built = self._telemetry.build(requested)
            acknowledge(_ACCEPTED if built is not None else _DENIED)
            if built is not None:
                self._send(built, address)
            return
        if command.id == mavlink.MAV_CMD_GET_MESSAGE_INTERVAL:
            acknowledge(_ACCEPTED)
            asked = _whole(command.params[0])
            self._send(mavlink.MAVLink_message_interval_message(asked, self._telemetry.interval(asked)), address)
            return
        handler = self._handlers.get(command.id)
        acknowledge(handler(command) if handler else _UNSUPPORTED)

    def set_mode(self, message: Any) -> None:
        """The old SET_MODE message; PX4 answers it with nothing but the heartbeat."""
        main, sub = message.custom_mode >> 16 & 0xFF, message.custom_mode >> 24 & 0xFF
        self._change_mode(main, sub)

    @staticmethod
    def _requested_message(command: Command) -> int | None:
        if command.id == mavlink.MAV_CMD_REQUEST_MESSAGE:
            return _whole(command.params[0])
        return {
            mavlink.MAV_CMD_GET_HOME_POSITION: mavlink.MAVLINK_MSG_ID_HOME_POSITION,
            mavlink.MAV_CMD_REQUEST_AUTOPILOT_CAPABILITIES: mavlink.MAVLINK_MSG_ID_AUTOPILOT_VERSION,
        }.get(command.id)

    def _arm(self, command: Command) -> int:
        action, force = command.params[0], _whole(command.params[1]) == _FORCE
        if action not in (0.0, 1.0):
            self._say(_CRITICAL, f"Unsupported ARM_DISARM param: {action:.3f}")
            return _UNSUPPORTED
        autopilot = self._autopilot
        # A forced arming from outside is checked all the same.
        done = autopilot.arm() if action == 1.0 else autopilot.disarm(force=force)
        return _ACCEPTED if done else _REJECTED

    def _set_mode(self, command: Command) -> int:
        base, main, sub, _ = command.params
        if not _whole(base) & mavlink.MAV_MODE_FLAG_CUSTOM_MODE_ENABLED:
            self._say(_CRITICAL, "Unsupported base mode")
            return _REJECTED
        return self._change_mode(_whole(main), _whole(sub))

    def _change_mode(self, main: int, sub: int) -> int:
        mode = mode_of(main, sub)
        if mode is None or mode is Mode.READY:
            self._say(_CRITICAL, "Unsupported auto mode" if main == 4 else "Unsupported main mode")
            return _REJECTED
        if mode is Mode.TAKEOFF:
            self._autopilot.takeoff_amsl_m = None
        return self._switch(mode)

    def _switch(self, mode: Mode) -> int:
        if self._autopilot.change_mode(mode):
            return _ACCEPTED
        self._say(_CRITICAL, f"Switching to {mode.name.capitalize()} is currently not available")
        return _REJECTED

    def _takeoff(self, command: Command) -> int:
        self._autopilot.takeoff_amsl_m = command.z if math.isfinite(command.z) else None
        return self._switch(Mode.TAKEOFF)

    def _land(self, _command: Command) -> int:
        self._say(_INFO, "Landing at current position")
        return self._switch(Mode.LAND)

    def _return(self, _command: Command) -> int:
        result = self._switch(Mode.RTL)
        if result == _ACCEPTED:
            self._say(_INFO, "Returning to launch")
        return result

    def _reposition(self, command: Command) -> int:
        autopilot, state = self._autopilot, self._autopilot.state
        asks_mode = _whole(command.params[1]) & 1
        if not asks_mode and state.mode is not Mode.HOLD:
            return _DENIED
        if asks_mode and self._switch(Mode.HOLD) != _ACCEPTED:
            return _REJECTED
        if not state.armed or state.on_ground:
            return _ACCEPTED
        if not (math.isfinite(command.x) and math.isfinite(command.y)):
            autopilot.reposition(None, None, 0.0)
            return _ACCEPTED
        amsl = command.z if math.isfinite(command.z) else state.amsl_m
        x, y = state.plane.to_metres(command.y, command.x)
        to: Vector = (x, y, amsl - state.plane.amsl_m)
        autopilot.reposition(to, (command.y, command.x), amsl)
        if command.params[0] > 0.0:
            autopilot.navigator.speed_override_m_s = command.params[0]
        return _ACCEPTED

    def _change_speed(self, command: Command) -> int:
        speed = command.params[1]
        self._autopilot.navigator.speed_override_m_s = speed if speed > 0.0 else None
        return _ACCEPTED

    def _mission_start(self, _command: Command) -> int:
        autopilot = self._autopilot
        if not autopilot.in_force.mission_valid:
            self._say(_CRITICAL, "Mission start denied! No valid mission")
            return _DENIED
        if self._switch(Mode.MISSION) != _ACCEPTED:
            return _REJECTED
        return _ACCEPTED if autopilot.arm("mission start") else _REJECTED

    def _mission_current(self, command: Command) -> int:
        index = _whole(command.params[0])
        if not 0 <= index < len(self._autopilot.navigator.items):
            return _DENIED
        self._autopilot.navigator.set_current(index)
        return _ACCEPTED

    def _set_interval(self, command: Command) -> int:
        interval_us = command.params[1]
        known = math.isfinite(interval_us) and self._telemetry.set_interval(_whole(command.params[0]), interval_us)
        return _ACCEPTED if known else _FAILED


class ParameterServer:
    """Answers PARAM_REQUEST_LIST, PARAM_REQUEST_READ and PARAM_SET."""

    def __init__(self, params: Parameters, send: Send):
        """Args:
        send: sends a message to an address.
        """
        self._params, self._send = params, send

    def handle(self, message: Any, address: Address) -> bool:
        """Deal with a received message; whether it was a parameter message."""
        kind = message.get_type()
        if kind == "PARAM_REQUEST_LIST":
            for name in self._params:
                self._answer(name, address)
        elif kind == "PARAM_REQUEST_READ":
            self._guarded(message, address, lambda: self._asked_name(message))
        elif kind == "PARAM_SET":
            self._guarded(message, address, lambda: self._written_name(message))
        else:
            return False
        return True

    def _asked_name(self, message: Any) -> str:
        if message.param_index >= 0:
            return self._params.name_at(message.param_index)
        self._params[message.param_id]
        return message.param_id

    def _written_name(self, message: Any) -> str:
        self._params.write_wire(message.param_id, message.param_value, message.param_type)
        return message.param_id

    def _guarded(self, message: Any, address: Address, act: Callable[[], str]) -> None:
        try:
            name = act()
        except UnknownParameter:
            self._refuse(message, address, mavlink.MAV_PARAM_ERROR_DOES_NOT_EXIST)
        except WrongType:
            self._refuse(message, address, _TYPE_MISMATCH)
        else:
            self._answer(name, address)

    def _refuse(self, message: Any, address: Address, error: int) -> None:
        index = getattr(message, "param_index", -1)
        partner = (message.get_srcSystem(), message.get_srcComponent())
        name = message.param_id.encode()
        self._send(mavlink.MAVLink_param_error_message(*partner, name, index, error), address)

    def _answer(self, name: str, address: Address) -> None:
        params = self._params
        value = mavlink.MAVLink_param_value_message(
            name.encode(), params.wire(name), params.kind(name), len(params), params.index_of(name)
        )
        self._send(value, address)
