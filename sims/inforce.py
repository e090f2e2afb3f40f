"""Which of the stored lists are in force.

Stored is not in force: a mission or a fence is judged up to 0.9 s after it was acknowledged, and the verdict is a
STATUSTEXT. A fence that fails is gone, and so is the one before it. Rally points are used as they are.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from pymavlink.dialects.v20 import common as mavlink

from sims.fence import Area, Fence, areas_of, into_force
from sims.mission import FENCE, MISSION, Item, fault
from sims.navigator import Navigator
from sims.state import State

_SETTLE_S = (0.2, 0.9)
_NO_HOME_YET_S = 0.5


class InForce:
    """Judges what was stored, for one vehicle."""

    def __init__(
        self,
        state: State,
        navigator: Navigator,
        lists: Callable[[int], list[Item]],
        say: Callable[[int, str], None],
        rng: random.Random,
    ):
        """Args:
        lists: the stored items of a mission type.
        say: sends a STATUSTEXT: severity, text.
        """
        self._state, self._navigator, self._lists = state, navigator, lists
        self._say, self._rng = say, rng
        self._due: dict[int, float] = {}
        self.mission_valid = False
        self.mission_renewed = False
        """Set when another mission came into force; whoever flies it clears the flag."""
        self._areas: tuple[Area, ...] = ()

    @property
    def mission_unsettled(self) -> bool:
        """Whether a stored mission still waits for its verdict."""
        return MISSION in self._due

    def fence(self) -> Fence:
        """The fence in force."""
        state = self._state
        centre = (state.home.lon_deg, state.home.lat_deg) if state.home else state.place
        p = state.params
        return Fence(self._areas, centre, state.home_amsl_m, p["GF_MAX_HOR_DIST"], p["GF_MAX_VER_DIST"])

    def stored(self, kind: int) -> None:
        """A list was replaced: it will be judged."""
        if kind in (MISSION, FENCE):
            self._due[kind] = self._state.now_s + self._rng.uniform(*_SETTLE_S)

    def tick(self) -> None:
        """Judge what is due."""
        for kind in [kind for kind, at_s in self._due.items() if self._state.now_s >= at_s]:
            del self._due[kind]
            if kind == MISSION:
                self._take_mission()
            else:
                self._take_fence()

    def _take_mission(self) -> None:
        navigator = self._navigator
        navigator.items = list(self._lists(MISSION))
        navigator.current, navigator.reached, navigator.finished = 0, -1, False
        self.judge_mission()
        self.mission_renewed = self.mission_valid

    def _take_fence(self) -> None:
        state = self._state
        if state.home is None:
            self._due[FENCE] = state.now_s + _NO_HOME_YET_S
            return
        flying = not state.on_ground and state.params["GF_ACTION"] != 0
        self._areas = into_force(
            areas_of(self._lists(FENCE)),
            (state.home.lon_deg, state.home.lat_deg),
            state.place if flying else None,
            lambda text: self._say(mavlink.MAV_SEVERITY_CRITICAL, text),
        )
        self.judge_mission()

    def judge_mission(self) -> None:
        """Judge the mission again: home or the fence has changed."""
        state, items = self._state, self._navigator.items
        self.mission_valid = False
        if not items:
            return
        if state.home is None:
            self._say(mavlink.MAV_SEVERITY_INFO, "Not yet ready for mission, no position lock.")
            return
        wrong = fault(items, state.home.amsl_m, state.on_ground, self.fence().allows)
        if wrong is not None:
            self._say(mavlink.MAV_SEVERITY_CRITICAL, wrong)
        self.mission_valid = wrong is None
