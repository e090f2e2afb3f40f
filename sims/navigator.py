"""Where the simulated autopilot flies next: mission, hold, take-off, return and landing as PX4's navigator does them.

One :class:`Navigator` lives in one vehicle. It turns the current mode into a :class:`~sims.trajectory.Target` at each
step, and says through its return values when something was reached. Positions are metres east, north, up from the
place where the vehicle was switched on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from sims.mission import CHANGE_SPEED, DELAY, LAND, LAND_START, LOITER_TIME, RETURN, TAKEOFF, WAYPOINT, Item
from sims.state import State
from sims.trajectory import Limits, Target, Vector, stopping_distance


@dataclass(slots=True)
class _Stage:
    """One step of a return: go there, then the next."""

    to: Vector
    land: bool = False


class Navigator:
    """The guidance of one vehicle."""

    def __init__(self, state: State, say: Callable[[str], None], straight_slopes: bool):
        """Args:
        say: sends a STATUSTEXT of severity info.
        straight_slopes: see :class:`sims.trajectory.Limits`.
        """
        self._state, self._body, self._params = state, state.copter.body, state.params
        self._say, self._straight_slopes = say, straight_slopes
        self.items: list[Item] = []
        self.current = 0
        self.reached = -1
        self.finished = False
        self.speed_override_m_s: float | None = None
        self._hold: Vector | None = None
        self._start: Vector | None = None
        """Where the present leg began."""
        self._inside_s: float | None = None
        """Since when the vehicle has been at the present item."""
        self._land_at: Vector | None = None
        self._stages: list[_Stage] = []
        self.climb_to: Vector | None = None
        """The point over the pad to which a take-off climbs, while one is under way."""

    # --- entering a mode -------------------------------------------------------------------------------------------

    def enter_hold(self, at: Vector | None = None) -> None:
        """Hold a place; without one, the place where the vehicle can stop."""
        self._forget()
        self._hold = at or self._stopping_point()

    def enter_takeoff(self, up_m: float) -> None:
        """Climb straight up to a height."""
        self._forget()
        here = self._body.position
        self.climb_to = (here[0], here[1], max(up_m, here[2]))

    def enter_land(self) -> None:
        """Come down where the vehicle can stop."""
        self._forget()
        self._land_at = self._stopping_point()

    def enter_return(self, way: list[Vector]) -> None:
        """Fly over the points of a way in order and land under the last one."""
        self._forget()
        self._stages = [_Stage(point) for point in way] + [_Stage(way[-1], land=True)]

    def enter_mission(self) -> None:
        """Fly the mission from the current item on; from the start where it was finished."""
        self._forget()
        if self.finished or self.current >= len(self.items):
            self.current = 0
        self.finished = False
        self._say("Executing Mission")
        self._begin_climb()

    def set_current(self, index: int) -> None:
        """Make another item the current one (MISSION_SET_CURRENT)."""
        self.current, self.finished = index, False
        self._land_at = self._inside_s = self.climb_to = None
        self._start = self._body.position

    def _forget(self) -> None:
        self._hold = self._land_at = self._inside_s = self.climb_to = self.speed_override_m_s = None
        self._stages = []
        self._start = self._body.position

    def _stopping_point(self) -> Vector:
        x, y, z = self._body.path
        vx, vy, vz = self._body.speed
        speed = math.hypot(vx, vy)
        jerk, acceleration = self._params["MPC_JERK_AUTO"], self._params["MPC_ACC_HOR"]
        ahead = stopping_distance(speed, jerk, acceleration) / speed if speed > 0.01 else 0.0
        rise = stopping_distance(abs(vz), jerk, self._params["MPC_ACC_DOWN_MAX"])
        return (x + vx * ahead, y + vy * ahead, z + math.copysign(rise, vz))

    # --- the limits of the moment ----------------------------------------------------------------------------------

    def limits(self) -> Limits:
        """What the controller may ask for now."""
        p = self._params
        low = self.climb_to is not None and self._body.position[2] - self._takeoff_floor() < p["MPC_LAND_ALT1"]
        acceptance = p["NAV_ACC_RAD"]
        if self.items and self.current < len(self.items) and self._hold is None and not self._stages:
            acceptance = self._acceptance(self.items[self.current])
        return Limits(
            cruise_m_s=min(self.cruise_m_s(), p["MPC_XY_VEL_MAX"]),
            up_m_s=p["MPC_TKO_SPEED"] if low else p["MPC_Z_V_AUTO_UP"],
            down_m_s=p["MPC_Z_V_AUTO_DN"],
            horizontal_m_s2=p["MPC_ACC_HOR"],
            up_m_s2=p["MPC_TKO_SPEED"] / p["MPC_TKO_RAMP_T"] if low else p["MPC_ACC_UP_MAX"],
            down_m_s2=p["MPC_ACC_DOWN_MAX"],
            jerk_m_s3=p["MPC_JERK_AUTO"],
            corner_gain=p["MPC_XY_TRAJ_P"],
            acceptance_m=acceptance,
            height_acceptance_m=p["NAV_MC_ALT_RAD"],
            straight_slopes=self._straight_slopes,
        )

    def _takeoff_floor(self) -> float:
        return self._start[2] if self._start is not None else 0.0

    def cruise_m_s(self) -> float:
        """Commanded speed, else the mission's last speed item before the current one, else MPC_XY_CRUISE."""
        if self.speed_override_m_s is not None:
            return self.speed_override_m_s
        if self._hold is None and not self._stages:
            for item in reversed(self.items[: self.current]):
                if item.command == CHANGE_SPEED and item.param2 > 0.0:
                    return item.param2
        return self._params["MPC_XY_CRUISE"]

    def _acceptance(self, item: Item) -> float:
        return item.param2 if item.command == WAYPOINT and item.param2 > 0.0 else self._params["NAV_ACC_RAD"]

    def _sink_m_s(self) -> float:
        """PX4's landing speed: from the descent speed at MPC_LAND_ALT1 to MPC_LAND_SPEED at MPC_LAND_ALT2."""
        p, height = self._params, self._state.landing_height_m()
        if height <= p["MPC_LAND_ALT3"]:
            return p["MPC_LAND_CRWL"]
        share = (height - p["MPC_LAND_ALT2"]) / (p["MPC_LAND_ALT1"] - p["MPC_LAND_ALT2"])
        slow, fast = p["MPC_LAND_SPEED"], p["MPC_Z_V_AUTO_DN"]
        return slow + (fast - slow) * max(0.0, min(1.0, share))

    # --- guidance, once a step -------------------------------------------------------------------------------------

    def hold(self) -> Target:
        """Guidance in hold."""
        if self._hold is None:
            self._hold = self._stopping_point()
        return Target(self._hold)

    def takeoff(self) -> tuple[Target, bool]:
        """Guidance in take-off, and whether the height is reached."""
        goal = self.climb_to or self._body.position
        return Target(goal), self._body.position[2] > goal[2] - self._params["NAV_MC_ALT_RAD"]

    def land(self) -> Target:
        """Guidance in a landing."""
        at = self._land_at or self._stopping_point()
        return Target(at, descend_m_s=self._sink_m_s())

    def back(self) -> Target:
        """Guidance in a return."""
        stage = self._stages[0]
        if not stage.land and self._is_at(stage.to, self._params["NAV_ACC_RAD"]):
            self._start = stage.to
            self._stages.pop(0)
            stage = self._stages[0]
            if stage.land:
                self._say("RTL: land at destination")
        if stage.land:
            return Target(stage.to, descend_m_s=self._sink_m_s())
        following = self._stages[1].to if not self._stages[1].land else None
        return Target(stage.to, self._start, following)

    @property
    def landing(self) -> bool:
        """Whether the vehicle is coming down to land."""
        return self._land_at is not None or bool(self._stages and self._stages[0].land)

    def mission(self, now_s: float) -> tuple[Target, bool]:
        """Guidance in a mission, and whether it asks for a return (NAV_RETURN_TO_LAUNCH)."""
        while not self.finished:
            item = self.items[self.current]
            if item.command == RETURN:
                return self.hold(), True
            if not self._item_done(item, now_s):
                return self._toward(item), False
            self._advance()
        return self.hold(), False

    def landed_in_mission(self) -> None:
        """The vehicle stands on the ground at a landing item: the mission is over."""
        self.reached = self.current
        self._advance()

    def _item_done(self, item: Item, now_s: float) -> bool:
        if item.command == CHANGE_SPEED:
            self.speed_override_m_s = None  # the mission's own word is the newer one
            return True
        if item.command == LAND_START:
            return True
        if item.command == TAKEOFF and self.climb_to is not None:
            return self._body.position[2] > self.climb_to[2] - self._params["NAV_MC_ALT_RAD"]
        if item.command == LAND:
            return False
        if self._inside_s is None:
            if item.command != DELAY and not self._is_at(self._state.position_of(item), self._acceptance(item)):
                return False
            self._inside_s = now_s
        wait = item.param1 if item.command in (DELAY, WAYPOINT, LOITER_TIME) else 0.0
        return now_s - self._inside_s >= wait

    def _is_at(self, point: Vector, radius_m: float) -> bool:
        x, y, z = self._body.position
        return (
            math.hypot(point[0] - x, point[1] - y) <= radius_m and abs(point[2] - z) <= self._params["NAV_MC_ALT_RAD"]
        )

    def _advance(self) -> None:
        item = self.items[self.current]
        self.reached = self.current
        if item.has_place:
            self._start = self.climb_to or self._state.position_of(item)
        self._inside_s = self.climb_to = self._land_at = self._hold = None
        if self.current + 1 < len(self.items):
            self.current += 1
        else:
            self.finished = True
            last = self._start if item.has_place and item.command != LAND else None
            self._hold = last or self._stopping_point()

    def _begin_climb(self) -> None:
        if not self._state.on_ground:
            return
        # On the ground the first thing is a climb, straight up, to the height of the first place.
        first = next((item for item in self.items[self.current :] if item.has_place), None)
        if first is None:
            return
        here, goal = self._body.position, self._state.position_of(first)
        self.climb_to = (here[0], here[1], max(goal[2], here[2]))
        height_m = goal[2] + self._state.plane.amsl_m - self._state.home_amsl_m
        self._say(f"Climb to {height_m:.1f} meters above home")

    def _toward(self, item: Item) -> Target:
        if item.command == DELAY:
            return self.hold()
        if self.climb_to is not None:
            if item.command != TAKEOFF and self._body.position[2] > self.climb_to[2] - self._params["NAV_MC_ALT_RAD"]:
                self._start, self.climb_to = self.climb_to, None
            else:
                return Target(self.climb_to)
        goal = self._state.position_of(item)
        if item.command == LAND:
            return self._toward_landing(goal)
        waits = item.command == LOITER_TIME or (item.command == WAYPOINT and item.param1 > 0.0)
        return Target(goal, self._start, None if waits else self._after(self.current))

    def _toward_landing(self, goal: Vector) -> Target:
        x, y, _ = self._body.position
        if self._land_at is None:
            if math.hypot(goal[0] - x, goal[1] - y) > self._params["NAV_ACC_RAD"]:
                # Too far to come down: first over there at the height of the moment.
                level = self._start[2] if self._start is not None else self._body.position[2]
                return Target((goal[0], goal[1], max(level, goal[2])), self._start)
            self._land_at = goal
        return Target(self._land_at, descend_m_s=self._sink_m_s())

    def _after(self, index: int) -> Vector | None:
        """The place after an item; None where the vehicle must stop first."""
        for item in self.items[index + 1 :]:
            if item.command in (DELAY, RETURN):
                return None
            if item.has_place:
                return self._state.position_of(item)
        return None
