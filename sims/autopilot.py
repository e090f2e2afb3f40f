"""The simulated autopilot: arming, modes, and the step from one moment to the next.

It copies PX4 where PX4 surprises: a mode change while disarmed is nearly always accepted and the refusal comes with
arming; for up to a second after an upload the mission mode is refused; home moves to where the vehicle stands when it
is armed and when it has landed.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from pymavlink.dialects.v20 import common as mavlink

from sims.failsafes import Failsafes
from sims.inforce import InForce
from sims.mission import RALLY, Item
from sims.modes import Mode
from sims.navigator import Navigator
from sims.returning import return_way
from sims.state import State
from sims.trajectory import Target, Vector

_CRITICAL, _INFO = mavlink.MAV_SEVERITY_CRITICAL, mavlink.MAV_SEVERITY_INFO

#: Simulated seconds after switching on until home is set and all arming checks are good.
HOME_AFTER_S, ARMABLE_AFTER_S = 3.0, 4.0
_CHECK_EVERY_S = 0.2
#: From touching the ground to knowing it; and from there to disarming where a mission ends (measured on PX4).
_LANDED_AFTER_S, _MISSION_DISARM_S = 2.5, 0.1
#: Share of the thrust ramp (MPC_TKO_RAMP_T) after which the thrust carries the vehicle.
_RAMP_SHARE = 0.85


class Autopilot:
    """Flies one vehicle."""

    def __init__(
        self,
        state: State,
        lists: Callable[[int], list[Item]],
        say: Callable[[int, str], None],
        rng: random.Random,
        *,
        straight_slopes: bool = True,
    ):
        """Args:
        lists: the stored items of a mission type.
        say: sends a STATUSTEXT: severity, text.
        straight_slopes: see :class:`sims.trajectory.Limits`.
        """
        self.state, self._lists, self._say = state, lists, say
        self.navigator = Navigator(state, lambda text: say(_INFO, text), straight_slopes)
        self.in_force = InForce(state, self.navigator, lists, say, rng)
        self.failsafes = Failsafes(state, self.in_force, say, self._enter, self._terminate)
        self.takeoff_amsl_m: float | None = None
        """Height that NAV_TAKEOFF named; None for MIS_TAKEOFF_ALT above the ground."""
        self._next_check_s = 0.0
        self._armed_s = 0.0
        self._contact_s: float | None = None
        self._landed_s: float | None = None
        state.look_at_ground()

    # --- arming and modes ------------------------------------------------------------------------------------------

    @property
    def armable(self) -> bool:
        """Whether arming would be accepted now."""
        return self._why_not_arm() is None

    def _why_not_arm(self) -> str | None:
        state = self.state
        if state.now_s < ARMABLE_AFTER_S or state.home is None or not state.position_known:
            return "Preflight Fail: No valid position estimate"
        if state.params["NAV_DLL_ACT"] != 0 and not state.gcs_connected:
            return "Preflight Fail: No connection to the GCS"
        if state.params["COM_ARM_AUTH_REQ"] != 0:
            return "Arming denied: no arm authorisation in simulation"
        if state.intended.needs_pilot:
            return "Preflight Fail: No manual control input"
        if state.intended is Mode.MISSION and not self.in_force.mission_valid:
            return "Preflight Fail: No valid mission available"
        if state.battery <= state.params["BAT_CRIT_THR"]:
            return "Preflight Fail: Low battery"
        if self.failsafes.breached:
            return "Preflight Fail: Vehicle outside geofence"
        return None

    def arm(self, why: str = "external command") -> bool:
        """Arm; whether the vehicle is armed now."""
        state = self.state
        if state.armed:
            return True
        reason = self._why_not_arm()
        if reason is not None:
            self._say(_CRITICAL, reason)
            self._say(_CRITICAL, "Arming denied: Resolve system health failures first")
            return False
        state.armed, state.flown = True, False
        self._armed_s, self._landed_s = state.now_s, None
        state.set_home()
        self._say(_INFO, f"Armed by {why}")
        self._enter(state.intended)
        return True

    def disarm(self, why: str = "external command", force: bool = False) -> bool:
        """Disarm; refused in flight unless forced, and then the vehicle falls."""
        state = self.state
        if not state.armed:
            return True
        if not state.on_ground and not force:
            self._say(_CRITICAL, "Disarming denied: not landed")
            return False
        state.armed = state.descending_blind = False
        self.failsafes.clear()
        self._say(_INFO, f"Disarmed by {why}")
        if state.on_ground:
            if state.mode is not Mode.MISSION:
                state.intended = Mode.HOLD
            state.mode = state.intended
            state.set_home()
        return True

    def _terminate(self) -> None:
        self.disarm("failsafe", force=True)

    def change_mode(self, mode: Mode) -> bool:
        """A mode change that an operator asks for; whether it was accepted."""
        state = self.state
        if mode is Mode.MISSION and self.in_force.mission_unsettled:
            return False
        if state.armed and mode is not Mode.LAND and not self._can_fly(mode):
            return False
        state.intended = mode
        self.failsafes.clear()
        self._enter(mode)
        return True

    def _can_fly(self, mode: Mode) -> bool:
        if mode.needs_pilot or not self.state.position_known:
            return False
        return mode is not Mode.MISSION or self.in_force.mission_valid

    def _enter(self, mode: Mode) -> None:
        state, navigator = self.state, self.navigator
        state.mode = mode
        if not state.armed:
            return
        if mode is Mode.HOLD:
            navigator.enter_hold()
        elif mode is Mode.TAKEOFF:
            navigator.enter_takeoff(self._takeoff_up_m())
        elif mode is Mode.LAND:
            navigator.enter_land()
        elif mode is Mode.RTL:
            self._enter_return()
        elif mode is Mode.MISSION and navigator.items:
            navigator.enter_mission()

    def _takeoff_up_m(self) -> float:
        if self.takeoff_amsl_m is not None:
            return self.takeoff_amsl_m - self.state.plane.amsl_m
        height_m = self.state.params["MIS_TAKEOFF_ALT"]
        self._say(_INFO, f"Using default takeoff altitude: {height_m:.1f} m")
        return self.state.up_m + height_m

    def _enter_return(self) -> None:
        state, navigator = self.state, self.navigator
        if state.on_ground or state.home is None:
            navigator.enter_hold()
            return
        way, goal_amsl_m = return_way(state, state.home, navigator.items, navigator.current, self._lists(RALLY))
        amsl_m = way[-1][2] + state.plane.amsl_m
        above_m = math.ceil(amsl_m - goal_amsl_m)
        self._say(_INFO, f"RTL: start return at {math.ceil(amsl_m)} m ({above_m} m above destination)")
        navigator.enter_return(way)

    def reposition(self, to: Vector | None, place: tuple[float, float] | None, amsl_m: float) -> None:
        """Hold somewhere else, unless the fence forbids it: then nothing moves, and only a text says so."""
        if to is None or place is None:
            self.navigator.enter_hold()
        elif self.state.params["GF_ACTION"] > 1 and not self.in_force.fence().allows(place, amsl_m):
            self._say(_CRITICAL, "Reposition is outside geofence")
        else:
            self.navigator.enter_hold(to)

    # --- time ------------------------------------------------------------------------------------------------------

    def step(self, dt: float) -> None:
        """Move on by ``dt`` simulated seconds."""
        state = self.state
        state.now_s += dt
        self._watch_lists()
        if state.home is None and state.now_s >= HOME_AFTER_S and state.position_known:
            state.set_home()
            self.in_force.judge_mission()
        if state.armed:
            state.battery = max(0.0, state.battery - state.drain_per_s * dt)
        if state.now_s >= self._next_check_s:
            self._next_check_s = state.now_s + _CHECK_EVERY_S
            state.look_at_ground()
            self.failsafes.check()
        if not state.armed:
            if not state.on_ground:
                self._fall(dt)
        elif state.on_ground and not self._takes_off():
            self._stay()
        else:
            self._fly(dt)

    def _watch_lists(self) -> None:
        state, in_force = self.state, self.in_force
        in_force.tick()
        flying_it = state.mode is Mode.MISSION and state.armed and not self._landed_s
        if flying_it and not in_force.mission_valid:
            self._enter(Mode.HOLD)  # the mission that was being flown is no more
        elif flying_it and in_force.mission_renewed:
            self.navigator.enter_mission()
        in_force.mission_renewed = False

    def _fly(self, dt: float) -> None:
        state = self.state
        if state.on_ground:
            state.on_ground, state.flown = False, True
            self._say(_INFO, "Takeoff detected")
        if state.descending_blind:
            state.copter.drift(state.params["MPC_LAND_SPEED"], dt)
        elif self._contact_s is None or not self._coming_down:
            self._contact_s = None
            target = self._guide()
            state.copter.fly(target, self.navigator.limits(), dt)
        # Once on the ground it stays there, also where the ground is found a hair lower at the next look.
        if state.up_m <= state.ground_m or (self._contact_s is not None and self._coming_down):
            self._touch()

    def _guide(self) -> Target:
        state, navigator = self.state, self.navigator
        if state.mode is Mode.MISSION:
            target, wants_return = navigator.mission(state.now_s)
            if wants_return:
                state.intended = Mode.RTL
                self._say(_INFO, "Returning to launch")
                self._enter(Mode.RTL)
                return navigator.back()
            if navigator.finished:
                self._say(_INFO, "Mission finished, loitering")
                state.mode = state.intended = Mode.HOLD
            return target
        if state.mode is Mode.TAKEOFF:
            target, reached = navigator.takeoff()
            if reached:
                state.mode = state.intended = Mode.HOLD
                navigator.enter_hold(target.to)
            return target
        if state.mode is Mode.LAND:
            return navigator.land()
        if state.mode is Mode.RTL:
            return navigator.back()
        return navigator.hold()

    def _takes_off(self) -> bool:
        state = self.state
        wants = self.navigator.climb_to is not None and state.mode in (Mode.MISSION, Mode.TAKEOFF)
        spool_s = state.params["COM_SPOOLUP_TIME"] + _RAMP_SHARE * state.params["MPC_TKO_RAMP_T"]
        return wants and not state.flown and state.now_s - self._armed_s >= spool_s

    # --- the ground ------------------------------------------------------------------------------------------------

    @property
    def _coming_down(self) -> bool:
        return self.navigator.landing or self.state.descending_blind

    @property
    def landed_state(self) -> int:
        """MAV_LANDED_STATE."""
        if self.state.on_ground:
            return mavlink.MAV_LANDED_STATE_ON_GROUND
        if self.navigator.climb_to is not None:
            return mavlink.MAV_LANDED_STATE_TAKEOFF
        return mavlink.MAV_LANDED_STATE_LANDING if self._coming_down else mavlink.MAV_LANDED_STATE_IN_AIR

    def _stay(self) -> None:
        """On the ground with the motors running: disarm in time."""
        state = self.state
        p = state.params
        if self._landed_s is not None:
            wait_s = _MISSION_DISARM_S if state.mode is Mode.MISSION else p["COM_DISARM_LAND"]
            if p["COM_DISARM_LAND"] > 0 and state.now_s - self._landed_s >= wait_s:
                self.disarm("landing")
        elif p["COM_DISARM_PRFLT"] > 0 and state.now_s - self._armed_s >= p["COM_SPOOLUP_TIME"] + p["COM_DISARM_PRFLT"]:
            self.disarm("auto preflight disarming")

    def _touch(self) -> None:
        """Contact with the ground: a landing where the vehicle wants to go down, else it can only not go lower."""
        state = self.state
        body = state.copter.body
        if not self._coming_down:
            body.path[2] = state.ground_m - body.error[2]
            body.speed[2] = max(0.0, body.speed[2])
            return
        x, y, _ = body.position
        body.rest_at((x, y, state.ground_m))
        if self._contact_s is None:
            self._contact_s = state.now_s
        if state.now_s - self._contact_s < _LANDED_AFTER_S:
            return
        state.on_ground, self._landed_s, self._contact_s = True, state.now_s, None
        self._say(_INFO, "Landing detected")
        if state.mode is Mode.MISSION:
            self.navigator.landed_in_mission()
            self._say(_INFO, "Mission finished, landed")

    def _fall(self, dt: float) -> None:
        state = self.state
        body = state.copter.body
        body.speed[2] = max(-30.0, body.speed[2] - 9.81 * dt)
        for axis in range(3):
            body.path[axis] += body.speed[axis] * dt
        if state.up_m <= state.ground_m:
            x, y, _ = body.position
            body.rest_at((x, y, state.ground_m))
            state.on_ground = True
