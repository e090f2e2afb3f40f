"""The parameters of the simulated autopilot: PX4's names, types and defaults, and how MAVLink carries them.

Only parameters that the simulated vehicle obeys are here, with a few that ground stations ask every PX4 for and that
change nothing (MAV_*, SYS_AUTOSTART, COM_ARM_AUTH_ID/MET/TO, NAV_RCL_ACT, GF_PREDICT). A name that is not here does not
exist, and the vehicle says so.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from pymavlink.dialects.v20 import common as mavlink

INT32 = mavlink.MAV_PARAM_TYPE_INT32
REAL32 = mavlink.MAV_PARAM_TYPE_REAL32

#: Name -> default. A Python int is PX4's INT32, a float its FLOAT. Values are those of PX4's simulated quadrotor.
DEFAULTS: dict[str, int | float] = {
    "BAT_CRIT_THR": 0.07,
    "BAT_EMERGEN_THR": 0.05,
    "BAT_LOW_THR": 0.15,
    "COM_ARM_AUTH_ID": 10,
    "COM_ARM_AUTH_MET": 0,
    "COM_ARM_AUTH_REQ": 0,
    "COM_ARM_AUTH_TO": 1.0,
    "COM_DISARM_LAND": 2.0,
    "COM_DISARM_PRFLT": 10.0,
    "COM_DL_LOSS_T": 10,
    "COM_FAIL_ACT_T": 5.0,
    "COM_LOW_BAT_ACT": 3,
    "COM_SPOOLUP_TIME": 1.0,
    "GF_ACTION": 2,
    "GF_MAX_HOR_DIST": 0.0,
    "GF_MAX_VER_DIST": 0.0,
    "GF_PREDICT": 0,
    "MAV_COMP_ID": 1,
    "MAV_SYS_ID": 1,
    "MAV_TYPE": 2,
    "MIS_TAKEOFF_ALT": 2.5,
    "MPC_ACC_DOWN_MAX": 3.0,
    "MPC_ACC_HOR": 3.0,
    "MPC_ACC_UP_MAX": 4.0,
    "MPC_JERK_AUTO": 4.0,
    "MPC_LAND_ALT1": 10.0,
    "MPC_LAND_ALT2": 5.0,
    "MPC_LAND_ALT3": 1.0,
    "MPC_LAND_CRWL": 0.3,
    "MPC_LAND_SPEED": 0.7,
    "MPC_TKO_RAMP_T": 3.0,
    "MPC_TKO_SPEED": 1.5,
    "MPC_XY_CRUISE": 5.0,
    "MPC_XY_TRAJ_P": 0.5,
    "MPC_XY_VEL_MAX": 12.0,
    "MPC_Z_V_AUTO_DN": 1.5,
    "MPC_Z_V_AUTO_UP": 3.0,
    "NAV_ACC_RAD": 10.0,
    "NAV_DLL_ACT": 0,
    "NAV_MC_ALT_RAD": 0.8,
    "NAV_RCL_ACT": 2,
    "RTL_CONE_ANG": 45,
    "RTL_MIN_DIST": 10.0,
    "RTL_RETURN_ALT": 30.0,
    "RTL_TYPE": 0,
    "SYS_AUTOSTART": 10040,
}


class UnknownParameter(KeyError):
    """The autopilot has no parameter of that name or index."""


class WrongType(TypeError):
    """A parameter was written with another type than it has."""


class Parameters:
    """The parameter store of one vehicle. Values are Python ints (INT32) and floats (REAL32, kept as float32)."""

    def __init__(self, overrides: dict[str, int | float] | None = None):
        self._values = {name: _stored(value) for name, value in DEFAULTS.items()}
        self._names = sorted(self._values)
        for name, value in (overrides or {}).items():
            self.write(name, type(DEFAULTS[name])(value) if name in DEFAULTS else value)

    def __getitem__(self, name: str) -> int | float:
        try:
            return self._values[name]
        except KeyError:
            raise UnknownParameter(name) from None

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def name_at(self, index: int) -> str:
        """The name at an index of the sorted list; raises UnknownParameter."""
        if not 0 <= index < len(self._names):
            raise UnknownParameter(index)
        return self._names[index]

    def index_of(self, name: str) -> int:
        """The index of a name in the sorted list; raises UnknownParameter."""
        self[name]
        return self._names.index(name)

    def kind(self, name: str) -> int:
        """MAV_PARAM_TYPE of a parameter."""
        return INT32 if isinstance(self[name], int) else REAL32

    def write(self, name: str, value: int | float) -> None:
        """Set a value; raises UnknownParameter, or WrongType when an int meets a float."""
        if type(self[name]) is not type(value):
            raise WrongType(name)
        self._values[name] = _stored(value)

    def wire(self, name: str) -> float:
        """The value as PARAM_VALUE carries it: PX4 puts the four bytes of an int32 into the float field.

        Integers below -4194304 or above 2139095040 would be signalling NaNs, which Python cannot carry in a float.
        """
        value = self[name]
        return struct.unpack("<f", struct.pack("<i", value))[0] if isinstance(value, int) else value

    def write_wire(self, name: str, value: float, kind: int) -> None:
        """Set a value as PARAM_SET carries it; raises UnknownParameter or WrongType."""
        if kind != self.kind(name):
            raise WrongType(name)
        self.write(name, struct.unpack("<i", struct.pack("<f", value))[0] if kind == INT32 else value)


def _stored(value: int | float) -> int | float:
    return value if isinstance(value, int) else struct.unpack("<f", struct.pack("<f", value))[0]
