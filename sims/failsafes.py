"""The failsafes: lost link, lost position, breached fence, empty battery. They fly their own way, at once.

Hold is taken at once; a return or a landing after COM_FAIL_ACT_T seconds in hold. A mode change by the operator ends
a reaction, and only a new cause starts another: a vehicle that is sent on outside its fence is left alone.
"""

from __future__ import annotations

from collections.abc import Callable

from pymavlink.dialects.v20 import common as mavlink

from sims.inforce import InForce
from sims.modes import Mode
from sims.state import State

_CRITICAL, _INFO = mavlink.MAV_SEVERITY_CRITICAL, mavlink.MAV_SEVERITY_INFO
_RANK = (Mode.HOLD, Mode.RTL, Mode.LAND)
#: Without satellites the estimate still holds for about so long.
_DEAD_RECKONING_S = 1.0

_LINK_ACTIONS = {1: Mode.HOLD, 2: Mode.RTL, 3: Mode.LAND}
_FENCE_ACTIONS = {2: Mode.HOLD, 3: Mode.RTL, 5: Mode.LAND}
_FENCE_WARN, _FENCE_TERMINATE = 1, 4
#: COM_LOW_BAT_ACT -> what is done at the critical and at the emergency level.
_BATTERY_ACTIONS = {
    1: (Mode.RTL, Mode.RTL),
    2: (Mode.LAND, Mode.LAND),
    3: (Mode.RTL, Mode.LAND),
}
_BATTERY_LEVELS = (
    ("BAT_LOW_THR", "Low battery level"),
    ("BAT_CRIT_THR", "Critical battery level"),
    ("BAT_EMERGEN_THR", "Emergency battery level"),
)


class Failsafes:
    """Watches one vehicle."""

    def __init__(
        self,
        state: State,
        in_force: InForce,
        say: Callable[[int, str], None],
        enter: Callable[[Mode], None],
        terminate: Callable[[], None],
    ):
        """Args:
        say: sends a STATUSTEXT: severity, text.
        enter: flies another mode.
        terminate: stops the motors.
        """
        self._state, self._in_force, self._say = state, in_force, say
        self._enter, self._terminate = enter, terminate
        self.breached = False
        """Whether the vehicle is outside its fence."""
        self._waiting: tuple[float, Mode] | None = None
        self._battery_stage = 0
        self._gps_lost_s: float | None = None

    def clear(self) -> None:
        """The operator has taken over, or the flight is over."""
        self._waiting = None
        self._state.failsafe = False

    def check(self) -> None:
        """Look at everything once; meant for five times a second."""
        self._check_link()
        self._check_position()
        self._check_fence()
        self._check_battery()
        if self._waiting is not None and self._state.now_s >= self._waiting[0]:
            action, self._waiting = self._waiting[1], None
            self._say(_CRITICAL, "Failsafe activated")
            self._enter(action)

    def _check_link(self) -> None:
        state = self._state
        heard = state.gcs_heard_s
        connected = heard is not None and state.now_s - heard < state.params["COM_DL_LOSS_T"]
        was_connected, state.gcs_connected = state.gcs_connected, connected
        if connected and not was_connected:
            self._say(_INFO, "GCS connection regained")
        elif was_connected and not connected:
            self._say(_CRITICAL, "Connection to ground station lost")
            self._react(_LINK_ACTIONS.get(state.params["NAV_DLL_ACT"]))

    def _check_position(self) -> None:
        state = self._state
        if state.gps:
            self._gps_lost_s = None
            return
        if self._gps_lost_s is None:
            self._gps_lost_s = state.now_s
        lost = state.now_s - self._gps_lost_s > _DEAD_RECKONING_S
        if lost and state.armed and not state.on_ground and not state.descending_blind:
            state.descending_blind = state.failsafe = True
            self._waiting = None
            self._say(_CRITICAL, "Failsafe activated")
            state.mode = Mode.LAND  # PX4's descend mode, which MAVLink shows as a landing

    def _check_fence(self) -> None:
        state = self._state
        if not state.position_known or state.home is None:
            return
        breached = not self._in_force.fence().allows(state.place, state.amsl_m)
        crossed, self.breached = breached and not self.breached, breached
        if not crossed or not state.armed or state.on_ground:
            return
        action = state.params["GF_ACTION"]
        if action == _FENCE_WARN:
            self._say(_CRITICAL, "Geofence violation")
        elif action == _FENCE_TERMINATE:
            self._say(_CRITICAL, "Failsafe activated: flight termination")
            self._terminate()
        self._react(_FENCE_ACTIONS.get(action))

    def _check_battery(self) -> None:
        state = self._state
        stage = sum(state.battery <= state.params[name] for name, _ in _BATTERY_LEVELS)
        worse, self._battery_stage = stage > self._battery_stage, stage
        if not worse:
            return
        self._say(_CRITICAL, _BATTERY_LEVELS[stage - 1][1])
        actions = _BATTERY_ACTIONS.get(state.params["COM_LOW_BAT_ACT"])
        if stage >= 2 and actions is not None:
            self._react(actions[stage - 2])

    def _react(self, action: Mode | None) -> None:
        """Take over, unless something at least as strong is under way."""
        state = self._state
        if action is None or not state.armed or state.on_ground or state.descending_blind:
            return
        under_way = self._waiting[1] if self._waiting else state.mode
        by_failsafe = state.failsafe or state.mode is Mode.LAND
        if by_failsafe and under_way in _RANK and _RANK.index(under_way) >= _RANK.index(action):
            return
        state.failsafe = True
        self._enter(Mode.HOLD)
        if action is Mode.HOLD:
            self._say(_CRITICAL, "Failsafe activated")
            return
        wait_s = state.params["COM_FAIL_ACT_T"]
        self._say(_CRITICAL, f"Failsafe activated: entering Hold for {wait_s:.0f} seconds")
        self._waiting = (state.now_s + wait_s, action)
