"""The simulated autopilot: arming, modes, what is in force, and the failsafes that fly their own way.

It copies PX4 where PX4 surprises: a stored fence or mission is judged up to 0.9 s later, and the verdict is a text;
a fence that fails is gone together with the one before; a mode change while disarmed is nearly always accepted and
the refusal comes with arming; after a breach the vehicle holds outside, and goes on without a second reaction when
it is told to.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from pymavlink.dialects.v20 import common as mavlink

from sims.dynamics import Multicopter, Target, Vector
from sims.fence import Area, Fence, areas_of, distance_m, into_force
from sims.mission import FENCE, LAND, MISSION, RALLY, Item, fault
from sims.modes import Mode
from sims.navigator import Navigator
from sims.params import Parameters
from sims.plane import LocalPlane

_CRITICAL, _INFO = mavlink.MAV_SEVERITY_CRITICAL, mavlink.MAV_SEVERITY_INFO
_RESOLVE_FIRST = "Arming denied: Resolve system health failures first"

#: Simulated seconds after switching on until position, home and all arming checks are good.
POSITION_AFTER_S, HOME_AFTER_S, ARMABLE_AFTER_S = 2.0, 3.0, 4.0
_CHECK_EVERY_S = 0.2
_LANDED_AFTER_S = 1.0
_SETTLE_S = (0.2, 0.9)
#: Share of the thrust ramp (MPC_TKO_RAMP_T) after which the thrust carries the vehicle.
_RAMP_SHARE = 0.85


@dataclass(frozen=True, slots=True)
class Home:
    """Where the vehicle would return to."""

    lon_deg: float
    lat_deg: float
    amsl_m: float


class Autopilot:
    """One vehicle's brain and body. Times are simulated seconds since it was switched on."""

    def __init__(
        self,
        copter: Multicopter,
        plane: LocalPlane,
        params: Parameters,
        lists: Callable[[int], list[Item]],
        ground_amsl: Callable[[float, float], float],
        say: Callable[[int, str], None],
        rng: random.Random,
        *,
        rangefinder: bool,
        endurance_s: float,
    ):
        """Args:
        lists: the stored items of a mission type.
        ground_amsl: height of the ground at a longitude and latitude.
        rangefinder: whether landings reckon with the ground below; without one PX4 reckons with home's height.
        endurance_s: flying time from full to empty.
        """
        self.copter, self.plane, self.params = copter, plane, params
        self._lists, self._ground_amsl, self._say, self._rng = lists, ground_amsl, say, rng
        self._rangefinder = rangefinder
        self.now_s = 0.0
        self.mode = Mode.HOLD
        self.intended = Mode.HOLD
        self.armed = False
        self.on_ground = True
        self.flown = False
        """Whether the vehicle has left the ground since it was armed."""
        self.failsafe = False
        self.home: Home | None = None
        self.battery = 1.0
        self.drain_per_s = 1.0 / endurance_s
        """Share of the battery used per second with motors running; a fault hook."""
        self.gps = True
        """False: no position from satellites; a fault hook."""
        self.gcs_heard_s: float | None = None
        self.gcs_connected = False
        self.mission_valid = False
        self._mission_unsettled = False
        self.fence_areas: tuple[Area, ...] = ()
        self.fence_breached = False
        self.takeoff_amsl_m: float | None = None
        """Height that NAV_TAKEOFF named; None for MIS_TAKEOFF_ALT above the ground."""
        self.ground_m = 0.0
        """``up`` of the ground below."""
        self.navigator = Navigator(
            copter.body, params, self._place, self._landing_height, lambda text: say(_INFO, text)
        )
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._next_check_s = 0.0
        self._armed_s = 0.0
        self._contact_s: float | None = None
        self._landed_s: float | None = None
        self._reaction: tuple[float, Mode] | None = None
        self._battery_stage = 0
        self._gps_lost_s: float | None = None
        self._descending_blind = False
        self._observe_ground()

    # --- what others ask -------------------------------------------------------------------------------------------

    @property
    def position_known(self) -> bool:
        return self.gps and self.now_s >= POSITION_AFTER_S

    @property
    def armable(self) -> bool:
        """Whether arming would be accepted now."""
        return self._why_not_arm() is None

    @property
    def place(self) -> tuple[float, float]:
        """True longitude and latitude."""
        x, y, _ = self.copter.body.position
        return self.plane.to_lonlat(x, y)

    @property
    def amsl_m(self) -> float:
        """True height above mean sea level."""
        return self.copter.body.position[2] + self.plane.amsl_m

    @property
    def landed_state(self) -> int:
        """MAV_LANDED_STATE."""
        if self.on_ground:
            return mavlink.MAV_LANDED_STATE_ON_GROUND
        if self.navigator.climb_to is not None:
            return mavlink.MAV_LANDED_STATE_TAKEOFF
        if self._coming_down:
            return mavlink.MAV_LANDED_STATE_LANDING
        return mavlink.MAV_LANDED_STATE_IN_AIR

    def fence(self) -> Fence:
        """The fence in force."""
        home = self.home
        centre = (home.lon_deg, home.lat_deg) if home else self.place
        amsl = home.amsl_m if home else self.amsl_m
        p = self.params
        return Fence(self.fence_areas, centre, amsl, p["GF_MAX_HOR_DIST"], p["GF_MAX_VER_DIST"])

    # --- lists that were stored ------------------------------------------------------------------------------------

    def stored(self, kind: int) -> None:
        """A list was replaced: judge it in a while."""
        wait_s = self._rng.uniform(*_SETTLE_S)
        if kind == MISSION:
            self._mission_unsettled = True
            self._later(wait_s, kind, self._judge_new_mission)
        elif kind == FENCE:
            self._later(wait_s, kind, self._judge_new_fence)

    def _later(self, wait_s: float, kind: int, action: Callable[[], None]) -> None:
        self._due = [due for due in self._due if due[1] != kind]  # a newer list makes the older verdict pointless
        self._due.append((self.now_s + wait_s, kind, action))

    def _judge_new_mission(self) -> None:
        self._mission_unsettled = False
        navigator = self.navigator
        navigator.items = list(self._lists(MISSION))
        navigator.current, navigator.reached, navigator.finished = 0, -1, False
        self._judge_mission()
        if self.mode is Mode.MISSION and self.armed and self.mission_valid:
            navigator.enter_mission(self.on_ground)

    def _judge_new_fence(self) -> None:
        home = self.home
        if home is None:
            self._later(0.5, FENCE, self._judge_new_fence)
            return
        flying = not self.on_ground and self.params["GF_ACTION"] != 0
        self.fence_areas = into_force(
            areas_of(self._lists(FENCE)),
            (home.lon_deg, home.lat_deg),
            self.place if flying else None,
            lambda text: self._say(_CRITICAL, text),
        )
        self._judge_mission()

    def _judge_mission(self) -> None:
        items = self.navigator.items
        if not items:
            self.mission_valid = False
        elif self.home is None:
            self.mission_valid = False
            self._say(_INFO, "Not yet ready for mission, no position lock.")
        else:
            wrong = fault(items, self.home.amsl_m, self.on_ground, self.fence().allows)
            if wrong is not None:
                self._say(_CRITICAL, wrong)
            self.mission_valid = wrong is None
        if self.mode is Mode.MISSION and self.armed and not self.mission_valid:
            self._enter(Mode.HOLD)  # the mission that was being flown is no more

    # --- arming and modes ------------------------------------------------------------------------------------------

    def _why_not_arm(self) -> str | None:
        if self.now_s < ARMABLE_AFTER_S or self.home is None or not self.position_known:
            return "Preflight Fail: No valid position estimate"
        if self.params["NAV_DLL_ACT"] != 0 and not self.gcs_connected:
            return "Preflight Fail: No connection to the ground control station"
        if self.intended.needs_pilot:
            return "Preflight Fail: No manual control input"
        if self.intended is Mode.MISSION and not self.mission_valid:
            return "Preflight Fail: No valid mission available"
        if self.battery <= self.params["BAT_CRIT_THR"]:
            return "Preflight Fail: Low battery"
        if self.fence_breached:
            return "Preflight Fail: Vehicle outside geofence"
        return None

    def arm(self, why: str = "external command") -> bool:
        """Arm; whether the vehicle is armed now."""
        if self.armed:
            return True
        reason = self._why_not_arm()
        if reason is not None:
            self._say(_CRITICAL, reason)
            self._say(_CRITICAL, _RESOLVE_FIRST)
            return False
        self.armed, self.flown, self._armed_s = True, False, self.now_s
        self._set_home()
        self._say(_INFO, f"Armed by {why}")
        self._enter(self.intended)
        return True

    def disarm(self, why: str = "external command", force: bool = False) -> bool:
        """Disarm; refused in flight unless forced, and then the vehicle falls."""
        if not self.armed:
            return True
        if not self.on_ground and not force:
            self._say(_CRITICAL, "Disarming denied: not landed")
            return False
        self.armed = self.failsafe = self._descending_blind = False
        self._reaction, self._landed_s = None, None
        self._say(_INFO, f"Disarmed by {why}")
        if self.on_ground:
            self.mode = self.intended
            self._set_home()
        return True

    def change_mode(self, mode: Mode) -> bool:
        """A mode change that an operator asks for; whether it was accepted."""
        if mode is Mode.MISSION and self._mission_unsettled:
            return False
        if self.armed and mode is not Mode.LAND and not self._can_fly(mode):
            return False
        self.intended = mode
        self._reaction, self.failsafe = None, False  # a mode change by the operator ends a failsafe's reaction
        self._enter(mode)
        return True

    def _can_fly(self, mode: Mode) -> bool:
        if mode.needs_pilot or mode is Mode.READY or not self.position_known:
            return False
        return mode is not Mode.MISSION or self.mission_valid

    def _enter(self, mode: Mode) -> None:
        self.mode = mode
        navigator = self.navigator
        if not self.armed:
            return
        if mode is Mode.HOLD:
            navigator.enter_hold()
        elif mode is Mode.TAKEOFF:
            if self.takeoff_amsl_m is None:
                navigator.enter_takeoff(self.copter.body.position[2] + self.params["MIS_TAKEOFF_ALT"])
            else:
                navigator.enter_takeoff(self.takeoff_amsl_m - self.plane.amsl_m)
        elif mode is Mode.LAND:
            navigator.enter_land()
        elif mode is Mode.RTL:
            self._return()
        elif mode is Mode.MISSION and navigator.items:
            navigator.enter_mission(self.on_ground)

    def reposition(self, to: Vector | None, place: tuple[float, float] | None, amsl_m: float) -> None:
        """Hold somewhere else, unless the fence forbids it: then nothing moves, and only a text says so."""
        if to is None or place is None:
            self.navigator.enter_hold()
        elif self.params["GF_ACTION"] > 1 and not self.fence().allows(place, amsl_m):
            self._say(_CRITICAL, "Reposition is outside geofence")
        else:
            self.navigator.enter_hold(to)

    def _set_home(self) -> None:
        lon, lat = self.place
        self.home = Home(lon, lat, self.amsl_m)

    # --- the return ------------------------------------------------------------------------------------------------

    def _return(self) -> None:
        if self.on_ground or self.home is None:
            self.navigator.enter_hold()
            return
        kind = self.params["RTL_TYPE"]
        mission = self._mission_return() if kind in (2, 4) else None
        way = mission or self._direct_return(with_mission_landing=kind in (1, 3))
        self.navigator.enter_return(way)

    def _direct_return(self, with_mission_landing: bool) -> list[Vector]:
        """RTL_TYPE 0: up, then straight to home or the nearest rally point; 1 and 3 know the mission's landing too."""
        assert_home = self.home or Home(*self.place, self.amsl_m)
        goals = [(assert_home.lon_deg, assert_home.lat_deg, assert_home.amsl_m)]
        goals += [(i.lon_deg, i.lat_deg, i.amsl_m(assert_home.amsl_m)) for i in self._lists(RALLY)]
        if with_mission_landing:
            landings = [i for i in self.navigator.items if i.command == LAND]
            goals += [(i.lon_deg, i.lat_deg, i.amsl_m(assert_home.amsl_m)) for i in landings]
        here = self.place
        lon, lat, amsl = min(goals, key=lambda goal: distance_m(here, goal[:2]))
        x, y = self.plane.to_metres(lon, lat)
        up = max(self._return_height(distance_m(here, (lon, lat))) + amsl - self.plane.amsl_m, self._up())
        height = up + self.plane.amsl_m
        self._say(_INFO, f"RTL: start return at {math.ceil(height)} m ({math.ceil(height - amsl)} m above destination)")
        px, py, _ = self.copter.body.position
        climb = [(px, py, up)] if up - self._up() > 0.1 else []
        return [*climb, (x, y, up)]

    def _up(self) -> float:
        return self.copter.body.position[2]

    def _return_height(self, distance: float) -> float:
        """Height above the destination: RTL_RETURN_ALT, less inside the cone around it (RTL_CONE_ANG)."""
        p = self.params
        acceptance, height = p["NAV_ACC_RAD"], p["RTL_RETURN_ALT"]
        if p["RTL_CONE_ANG"] <= 0:
            return height
        if distance <= acceptance:
            return 2.0 * distance
        if distance <= p["RTL_MIN_DIST"]:
            height = min(height, distance / math.tan(math.radians(max(1.0, min(89.0, p["RTL_CONE_ANG"])))))
        return max(height, 2.0 * acceptance)

    def _mission_return(self) -> list[Vector] | None:
        """RTL_TYPE 2: on along the mission to its landing, or back along it; 4: whichever is shorter. No rally."""
        navigator = self.navigator
        places = [(index, item) for index, item in enumerate(navigator.items) if item.has_place]
        onward = [self._place(item) for index, item in places if index >= navigator.current]
        ends_in_landing = bool(places) and places[-1][1].command == LAND
        back = [self._place(item) for index, item in reversed(places) if index < navigator.current]
        home = self.home
        if not places or home is None:
            return None
        if ends_in_landing and len(onward) > 1:
            onward[-1] = (onward[-1][0], onward[-1][1], onward[-2][2])
        elif ends_in_landing and onward:
            onward[-1] = (onward[-1][0], onward[-1][1], self._up())
        x, y = self.plane.to_metres(home.lon_deg, home.lat_deg)
        back.append((x, y, back[-1][2] if back else self._up()))
        if not ends_in_landing or not onward:
            return back
        shorter_back = _length(self.copter.body.position, back) < _length(self.copter.body.position, onward)
        return back if self.params["RTL_TYPE"] == 4 and shorter_back else onward

    # --- time ------------------------------------------------------------------------------------------------------

    def step(self, dt: float) -> None:
        """Move on by ``dt`` simulated seconds."""
        self.now_s += dt
        if self._due and min(entry[0] for entry in self._due) <= self.now_s:
            due = [entry for entry in self._due if entry[0] <= self.now_s]
            self._due = [entry for entry in self._due if entry[0] > self.now_s]
            for _, _, action in due:
                action()
        if self.home is None and self.now_s >= HOME_AFTER_S and self.position_known:
            self._set_home()
            self._judge_mission()
        if self.armed:
            self.battery = max(0.0, self.battery - self.drain_per_s * dt)
        if self.now_s >= self._next_check_s:
            self._next_check_s = self.now_s + _CHECK_EVERY_S
            self._check()
        self._move(dt)

    def _move(self, dt: float) -> None:
        body, navigator = self.copter.body, self.navigator
        if not self.armed:
            if not self.on_ground:
                self._fall(dt)
            return
        if self.on_ground and not self._takes_off():
            self._stay()
            return
        if self.on_ground:
            self.on_ground, self.flown = False, True
            self._say(_INFO, "Takeoff detected")
        if self._descending_blind:
            self.copter.drift(self.params["MPC_LAND_SPEED"], dt)
        elif self._contact_s is None or not self._coming_down:
            self._contact_s = None
            target = self._guide()
            self.copter.fly(target, navigator.limits(), dt)
        if body.position[2] <= self.ground_m:
            self._touch()

    def _guide(self) -> Target:
        navigator = self.navigator
        if self.mode is Mode.MISSION:
            target, wants_return = navigator.mission(self.now_s)
            if wants_return:
                self.intended = Mode.RTL
                self._enter(Mode.RTL)
                return navigator.back()
            if navigator.finished:
                self._say(_INFO, "Mission finished, loitering")
                self.intended = Mode.HOLD
                self.mode = Mode.HOLD
            return target
        if self.mode is Mode.TAKEOFF:
            target, reached = navigator.takeoff()
            if reached:
                self.intended = Mode.HOLD
                self.mode = Mode.HOLD
                navigator.enter_hold(target.to)
            return target
        if self.mode is Mode.LAND:
            return navigator.land()
        if self.mode is Mode.RTL:
            return navigator.back()
        return navigator.hold()

    def _takes_off(self) -> bool:
        wants = self.navigator.climb_to is not None and self.mode in (Mode.MISSION, Mode.TAKEOFF)
        spool_s = self.params["COM_SPOOLUP_TIME"] + _RAMP_SHARE * self.params["MPC_TKO_RAMP_T"]
        return wants and not self.flown and self.now_s - self._armed_s >= spool_s

    def _stay(self) -> None:
        """On the ground with the motors running: disarm in time."""
        p = self.params
        if self.flown:
            if self._landed_s is not None and self.now_s - self._landed_s >= p["COM_DISARM_LAND"] > 0:
                self.disarm("landing")
        elif self.now_s - self._armed_s >= p["COM_SPOOLUP_TIME"] + p["COM_DISARM_PRFLT"] > p["COM_SPOOLUP_TIME"]:
            self.disarm("auto preflight disarming")

    @property
    def _coming_down(self) -> bool:
        return self.navigator.landing or self._descending_blind

    def _touch(self) -> None:
        """Contact with the ground. It becomes a landing after a second of wanting to go down."""
        body = self.copter.body
        body.path[2] = self.ground_m - body.error[2]
        body.speed[2] = max(0.0, body.speed[2])
        if not self._coming_down:
            return
        x, y, _ = body.position
        body.rest_at((x, y, self.ground_m))
        if self._contact_s is None:
            self._contact_s = self.now_s
        if self.now_s - self._contact_s < _LANDED_AFTER_S:
            return
        self.on_ground, self._landed_s, self._contact_s = True, self.now_s, None
        self._say(_INFO, "Landing detected")
        if self.mode is Mode.MISSION:
            self.navigator.landed_in_mission()
            self._say(_INFO, "Mission finished, landed")

    def _fall(self, dt: float) -> None:
        body = self.copter.body
        body.speed[2] = max(-30.0, body.speed[2] - 9.81 * dt)
        for axis in range(3):
            body.path[axis] += body.speed[axis] * dt
        if body.position[2] <= self.ground_m:
            x, y, _ = body.position
            body.rest_at((x, y, self.ground_m))
            self.on_ground = True

    # --- failsafes -------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        self._observe_ground()
        self._check_link()
        self._check_gps()
        self._check_fence()
        self._check_battery()
        reaction = self._reaction
        if reaction is not None and self.now_s >= reaction[0]:
            self._reaction = None
            self._say(_CRITICAL, "Failsafe activated")
            self._enter(reaction[1])

    def _observe_ground(self) -> None:
        self.ground_m = self._ground_amsl(*self.place) - self.plane.amsl_m

    def _landing_height(self) -> float:
        home = self.home
        if self._rangefinder or home is None:
            return self._up() - self.ground_m
        return self.amsl_m - home.amsl_m

    def _check_link(self) -> None:
        heard = self.gcs_heard_s
        connected = heard is not None and self.now_s - heard < self.params["COM_DL_LOSS_T"]
        if connected and not self.gcs_connected:
            self._say(_INFO, "GCS connection regained")
        lost = self.gcs_connected and not connected
        self.gcs_connected = connected
        if lost:
            self._say(_CRITICAL, "Connection to ground station lost")
            self._react({1: Mode.HOLD, 2: Mode.RTL, 3: Mode.LAND}.get(self.params["NAV_DLL_ACT"]))

    def _check_gps(self) -> None:
        if self.gps:
            self._gps_lost_s = None
            return
        if self._gps_lost_s is None:
            self._gps_lost_s = self.now_s
        # For a second the vehicle still reckons where it is; then it comes down where the wind takes it.
        if self.now_s - self._gps_lost_s > 1.0 and not self.on_ground and self.armed and not self._descending_blind:
            self._descending_blind, self.failsafe, self._reaction = True, True, None
            self._say(_CRITICAL, "Failsafe activated")
            self.mode = Mode.LAND

    def _check_fence(self) -> None:
        if not self.position_known or self.home is None:
            return
        breached = not self.fence().allows(self.place, self.amsl_m)
        entered = breached and not self.fence_breached
        self.fence_breached = breached
        # Only crossing outwards triggers: a vehicle that is sent on while outside is left alone.
        if entered and self.armed and not self.on_ground:
            action = self.params["GF_ACTION"]
            if action == 1:
                self._say(_CRITICAL, "Geofence violation")
            elif action == 4:
                self._say(_CRITICAL, "Failsafe activated: flight termination")
                self.disarm("failsafe", force=True)
            self._react({2: Mode.HOLD, 3: Mode.RTL, 5: Mode.LAND}.get(action))

    def _check_battery(self) -> None:
        p = self.params
        stage = sum(self.battery <= p[name] for name in ("BAT_LOW_THR", "BAT_CRIT_THR", "BAT_EMERGEN_THR"))
        if stage <= self._battery_stage:
            self._battery_stage = stage
            return
        self._battery_stage = stage
        self._say(_CRITICAL, ("Low battery level", "Critical battery level", "Emergency battery level")[stage - 1])
        action = p["COM_LOW_BAT_ACT"]
        if stage == 2:
            self._react({1: Mode.RTL, 2: Mode.LAND, 3: Mode.RTL}.get(action))
        elif stage == 3:
            self._react({1: Mode.RTL, 2: Mode.LAND, 3: Mode.LAND}.get(action))

    def _react(self, action: Mode | None) -> None:
        """Take over: hold at once, return or land after COM_FAIL_ACT_T in hold. The weaker never ends the stronger."""
        if action is None or not self.armed or self.on_ground or self._descending_blind:
            return
        rank = (Mode.HOLD, Mode.RTL, Mode.LAND)
        now = self._reaction[1] if self._reaction else self.mode
        if now is not Mode.LAND and not self.failsafe:
            now = None
        if now in rank and rank.index(now) >= rank.index(action):
            return
        self.failsafe = True
        self._enter(Mode.HOLD)
        if action is Mode.HOLD:
            self._say(_CRITICAL, "Failsafe activated")
            return
        wait_s = self.params["COM_FAIL_ACT_T"]
        self._say(_CRITICAL, f"Failsafe activated: entering Hold for {wait_s:.0f} seconds")
        self._reaction = (self.now_s + wait_s, action)

    def _place(self, item: Item) -> Vector:
        x, y = self.plane.to_metres(item.lon_deg, item.lat_deg)
        home_amsl = self.home.amsl_m if self.home else self.plane.amsl_m
        return (x, y, item.amsl_m(home_amsl) - self.plane.amsl_m)


def _length(start: Vector, way: list[Vector]) -> float:
    points = [start, *way]
    return sum(math.dist(a, b) for a, b in itertools.pairwise(points))
