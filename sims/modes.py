"""PX4's flight modes and how a heartbeat spells them."""

from __future__ import annotations

from enum import Enum

from pymavlink.dialects.v20 import common as mavlink

_MANUAL, _ALTCTL, _POSCTL, _AUTO = 1, 2, 3, 4


class Mode(Enum):
    """A mode; the value is PX4's (main mode, sub mode)."""

    MANUAL = (_MANUAL, 0)
    ALTCTL = (_ALTCTL, 0)
    POSCTL = (_POSCTL, 0)
    READY = (_AUTO, 1)
    TAKEOFF = (_AUTO, 2)
    HOLD = (_AUTO, 3)
    MISSION = (_AUTO, 4)
    RTL = (_AUTO, 5)
    LAND = (_AUTO, 6)

    @property
    def custom_mode(self) -> int:
        """HEARTBEAT.custom_mode: main mode in the third byte, sub mode in the fourth."""
        main, sub = self.value
        return main << 16 | sub << 24

    @property
    def needs_pilot(self) -> bool:
        """Whether the mode flies by sticks, which the simulated vehicle does not have."""
        return self.value[0] != _AUTO

    def base_mode(self, armed: bool) -> int:
        """HEARTBEAT.base_mode."""
        flags = mavlink.MAV_MODE_FLAG_CUSTOM_MODE_ENABLED
        if self.needs_pilot:
            flags |= mavlink.MAV_MODE_FLAG_MANUAL_INPUT_ENABLED | mavlink.MAV_MODE_FLAG_STABILIZE_ENABLED
        else:
            flags |= (
                mavlink.MAV_MODE_FLAG_AUTO_ENABLED
                | mavlink.MAV_MODE_FLAG_GUIDED_ENABLED
                | mavlink.MAV_MODE_FLAG_STABILIZE_ENABLED
            )
        return flags | (mavlink.MAV_MODE_FLAG_SAFETY_ARMED if armed else 0)


def mode_of(main: int, sub: int) -> Mode | None:
    """The mode that a command asks for, None if there is no such mode. AUTO without a sub mode means MISSION."""
    if main == _AUTO and sub == 0:
        return Mode.MISSION
    if main != _AUTO:
        sub = 0
    try:
        return Mode((main, sub))
    except ValueError:
        return None
