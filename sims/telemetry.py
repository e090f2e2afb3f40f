"""What a simulated vehicle says of itself: the messages, and how often each is sent.

All time stamps are simulated time. Positions are the vehicle's own estimate: the truth plus a small slow error of the
satellite receiver, drawn from the generator handed in.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

from pymavlink.dialects.v20 import common as mavlink

from sims.autopilot import Autopilot
from sims.mission import MISSION
from sims.mission_protocol import MissionServer
from sims.modes import Mode
from utm.frames import geoid_m
from utm.model import Datum

#: Messages per simulated second by default. PX4's onboard link carries ten times as many; what is not here can be
#: asked for with SET_MESSAGE_INTERVAL or REQUEST_MESSAGE.
RATES_HZ: dict[str, float] = {
    "HEARTBEAT": 1.0,
    "SYS_STATUS": 1.0,
    "SYSTEM_TIME": 1.0,
    "GLOBAL_POSITION_INT": 5.0,
    "GPS_RAW_INT": 1.0,
    "ATTITUDE": 2.0,
    "ATTITUDE_QUATERNION": 0.0,
    "LOCAL_POSITION_NED": 0.0,
    "ALTITUDE": 1.0,
    "VFR_HUD": 1.0,
    "EXTENDED_SYS_STATE": 5.0,
    "BATTERY_STATUS": 0.5,
    "ESTIMATOR_STATUS": 0.5,
    "HOME_POSITION": 0.5,
    "MISSION_CURRENT": 1.0,
    "AUTOPILOT_VERSION": 0.0,
}

_REACHED_REPEATS = 10
_CELLS, _FULL_MV, _EMPTY_MV = 4, 4050, 3600
_SENSORS = (
    mavlink.MAV_SYS_STATUS_SENSOR_3D_GYRO
    | mavlink.MAV_SYS_STATUS_SENSOR_3D_ACCEL
    | mavlink.MAV_SYS_STATUS_SENSOR_3D_MAG
    | mavlink.MAV_SYS_STATUS_SENSOR_ABSOLUTE_PRESSURE
    | mavlink.MAV_SYS_STATUS_SENSOR_BATTERY
    | mavlink.MAV_SYS_STATUS_AHRS
    | mavlink.MAV_SYS_STATUS_SENSOR_MOTOR_OUTPUTS
)
_CAPABILITIES = (
    mavlink.MAV_PROTOCOL_CAPABILITY_MISSION_FLOAT
    | mavlink.MAV_PROTOCOL_CAPABILITY_MISSION_INT
    | mavlink.MAV_PROTOCOL_CAPABILITY_COMMAND_INT
    | mavlink.MAV_PROTOCOL_CAPABILITY_PARAM_ENCODE_BYTEWISE
    | mavlink.MAV_PROTOCOL_CAPABILITY_SET_POSITION_TARGET_GLOBAL_INT
    | mavlink.MAV_PROTOCOL_CAPABILITY_SET_POSITION_TARGET_LOCAL_NED
    | mavlink.MAV_PROTOCOL_CAPABILITY_MAVLINK2
    | mavlink.MAV_PROTOCOL_CAPABILITY_MISSION_FENCE
    | mavlink.MAV_PROTOCOL_CAPABILITY_MISSION_RALLY
)
#: Version 1.17.0, alpha: the PX4 whose behaviour is copied.
_VERSION = 1 << 24 | 17 << 16 | 0 << 8 | 64


class Telemetry:
    """Builds the messages of one vehicle and knows when each is due."""

    def __init__(self, autopilot: Autopilot, missions: MissionServer, start_utc_s: float, rng: random.Random):
        """Args:
        start_utc_s: Unix seconds at which the vehicle was switched on.
        """
        self._autopilot, self._state, self._missions = autopilot, autopilot.state, missions
        self._start_utc_s, self._rng = start_utc_s, rng
        self._interval_s = {name: 1.0 / hz if hz > 0 else math.inf for name, hz in RATES_HZ.items()}
        # Started apart, so that the messages of one second do not come in one burst.
        self._due_s = {name: 0.01 * number for number, name in enumerate(RATES_HZ)}
        self._gps_error = [0.0, 0.0, 0.0]
        self._gps_error_s = 0.0
        self._heading = 0.0
        self._reached_seq, self._reached_left, self._reached_due_s = -1, 0, 0.0
        self._builders: dict[str, Callable[[], Any]] = {name: getattr(self, f"_{name.lower()}") for name in RATES_HZ}

    def due(self) -> list[Any]:
        """The messages whose time has come, each at most once."""
        now_s, messages = self._state.now_s, []
        for name, at_s in self._due_s.items():
            interval_s = self._interval_s[name]
            if now_s < at_s or interval_s == math.inf:
                continue
            self._due_s[name] = max(at_s + interval_s, now_s)
            message = self._builders[name]()
            if message is not None:
                messages.append(message)
        messages.extend(self._reached())
        return messages

    def _reached(self) -> list[Any]:
        """MISSION_ITEM_REACHED at once and, as PX4 does, ten times more at intervals of a second."""
        now_s, seq = self._state.now_s, self._autopilot.navigator.reached
        if seq != self._reached_seq:
            self._reached_seq, self._reached_left, self._reached_due_s = seq, 1 + _REACHED_REPEATS, now_s
        if seq < 0 or self._reached_left == 0 or now_s < self._reached_due_s:
            return []
        self._reached_left -= 1
        self._reached_due_s = now_s + 1.0
        return [mavlink.MAVLink_mission_item_reached_message(seq)]

    def set_interval(self, message_id: int, interval_us: float) -> bool:
        """SET_MESSAGE_INTERVAL: microseconds, 0 for the default, -1 for never; False where PX4 would refuse.

        It refuses unknown messages and the heartbeat, which comes once a second whatever one asks.
        """
        name = _name(message_id)
        if name not in RATES_HZ or name == "HEARTBEAT":
            return False
        if interval_us < 0:
            self._interval_s[name] = math.inf
        elif interval_us == 0:
            self._interval_s[name] = 1.0 / RATES_HZ[name] if RATES_HZ[name] > 0 else math.inf
        else:
            self._interval_s[name] = interval_us * 1e-6
        self._due_s[name] = self._state.now_s
        return True

    def interval(self, message_id: int) -> int:
        """The present interval in microseconds; -1 for never, 0 for an unknown message."""
        interval_s = self._interval_s.get(_name(message_id), 0.0)
        return -1 if interval_s == math.inf else round(interval_s * 1e6)

    def build(self, message_id: int) -> Any | None:
        """One message now (REQUEST_MESSAGE); None where there is no such message or it has nothing to say."""
        builder = self._builders.get(_name(message_id))
        return builder() if builder else None

    def _boot_ms(self) -> int:
        return int(self._state.now_s * 1000.0)

    def _boot_us(self) -> int:
        return int(self._state.now_s * 1e6)

    def _estimate(self) -> tuple[float, float, float]:
        """Longitude, latitude, AMSL as the vehicle believes."""
        state = self._state
        elapsed = state.now_s - self._gps_error_s
        self._gps_error_s = state.now_s
        keep = math.exp(-elapsed / 20.0)
        kick = math.sqrt(max(0.0, 1.0 - keep * keep))
        for axis, spread in enumerate((0.15, 0.15, 0.2)):
            self._gps_error[axis] = self._gps_error[axis] * keep + spread * kick * self._rng.gauss(0.0, 1.0)
        x, y, _ = state.copter.body.position
        lon, lat = state.plane.to_lonlat(x + self._gps_error[0], y + self._gps_error[1])
        return lon, lat, state.amsl_m + self._gps_error[2]

    def _heading_deg(self) -> float:
        vx, vy, _ = self._state.copter.body.speed
        if math.hypot(vx, vy) > 0.5:
            self._heading = math.degrees(math.atan2(vx, vy)) % 360.0
        return self._heading

    def _heartbeat(self) -> Any:
        s = self._state
        status = mavlink.MAV_STATE_STANDBY
        if s.failsafe:
            status = mavlink.MAV_STATE_CRITICAL
        elif s.armed:
            status = mavlink.MAV_STATE_ACTIVE
        return mavlink.MAVLink_heartbeat_message(
            mavlink.MAV_TYPE_QUADROTOR,
            mavlink.MAV_AUTOPILOT_PX4,
            s.mode.base_mode(s.armed),
            s.mode.custom_mode,
            status,
            3,
        )

    def _sys_status(self) -> Any:
        s = self._state
        present = _SENSORS | mavlink.MAV_SYS_STATUS_SENSOR_GPS | mavlink.MAV_SYS_STATUS_PREARM_CHECK
        healthy = _SENSORS
        if s.position_known:
            healthy |= mavlink.MAV_SYS_STATUS_SENSOR_GPS
        if s.armed or self._autopilot.armable:
            healthy |= mavlink.MAV_SYS_STATUS_PREARM_CHECK
        return mavlink.MAVLink_sys_status_message(
            present, present, healthy, 200, self._cell_mv() * _CELLS, 1500 if s.armed else 50,
            round(s.battery * 100), 0, 0, 0, 0, 0, 0,
        )  # fmt: skip

    def _cell_mv(self) -> int:
        return round(_EMPTY_MV + (_FULL_MV - _EMPTY_MV) * self._state.battery)

    def _system_time(self) -> Any:
        unix_us = int((self._start_utc_s + self._state.now_s) * 1e6)
        return mavlink.MAVLink_system_time_message(unix_us, self._boot_ms())

    def _global_position_int(self) -> Any | None:
        s = self._state
        if not s.position_known:
            return None
        lon, lat, amsl = self._estimate()
        vx, vy, vz = s.copter.body.velocity
        home_amsl = s.home.amsl_m if s.home else amsl
        return mavlink.MAVLink_global_position_int_message(
            self._boot_ms(), round(lat * 1e7), round(lon * 1e7), round(amsl * 1e3), round((amsl - home_amsl) * 1e3),
            round(vy * 100), round(vx * 100), round(-vz * 100), round(self._heading_deg() * 100) % 36000,
        )  # fmt: skip

    def _gps_raw_int(self) -> Any:
        s = self._state
        if not s.position_known:
            return mavlink.MAVLink_gps_raw_int_message(self._boot_us(), 0, 0, 0, 0, 65535, 65535, 65535, 65535, 0)
        lon, lat, amsl = self._estimate()
        vx, vy, _ = s.copter.body.velocity
        ellipsoid = amsl + float(geoid_m(Datum.AMSL, lon, lat))
        return mavlink.MAVLink_gps_raw_int_message(
            self._boot_us(), mavlink.GPS_FIX_TYPE_3D_FIX, round(lat * 1e7), round(lon * 1e7), round(amsl * 1e3),
            70, 110, round(math.hypot(vx, vy) * 100), round(self._heading_deg() * 100) % 36000, 14,
            round(ellipsoid * 1e3), 700, 1100, 200, 0, 0,
        )  # fmt: skip

    def _lean(self) -> tuple[float, float, float]:
        """Roll, pitch and yaw in radians: as much lean as the horizontal acceleration needs."""
        ax, ay, _ = self._state.copter.body.acceleration
        yaw = math.radians(self._heading_deg())
        forward, right = ax * math.sin(yaw) + ay * math.cos(yaw), ax * math.cos(yaw) - ay * math.sin(yaw)
        yaw = (yaw + math.pi) % (2.0 * math.pi) - math.pi
        return math.atan2(right, 9.81), -math.atan2(forward, 9.81), yaw

    def _attitude(self) -> Any:
        return mavlink.MAVLink_attitude_message(self._boot_ms(), *self._lean(), 0.0, 0.0, 0.0)

    def _attitude_quaternion(self) -> Any:
        (cr, sr), (cp, sp), (cy, sy) = ((math.cos(angle / 2.0), math.sin(angle / 2.0)) for angle in self._lean())
        return mavlink.MAVLink_attitude_quaternion_message(
            self._boot_ms(),
            cr * cp * cy + sr * sp * sy,
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
            0.0, 0.0, 0.0,
        )  # fmt: skip

    def _local_position_ned(self) -> Any | None:
        s = self._state
        if not s.position_known:
            return None
        (x, y, z), (vx, vy, vz) = s.copter.body.position, s.copter.body.velocity
        return mavlink.MAVLink_local_position_ned_message(self._boot_ms(), y, x, -z, vy, vx, -vz)

    def _altitude(self) -> Any:
        s = self._state
        up = s.copter.body.position[2]
        relative = s.amsl_m - s.home.amsl_m if s.home else math.nan
        return mavlink.MAVLink_altitude_message(
            self._boot_us(), s.amsl_m, s.amsl_m, up, relative, s.ground_m + s.plane.amsl_m, up - s.ground_m
        )

    def _vfr_hud(self) -> Any:
        s = self._state
        vx, vy, vz = s.copter.body.velocity
        speed = math.hypot(vx, vy)
        wind_x, wind_y = s.copter.wind_m_s
        airspeed = math.hypot(vx - wind_x, vy - wind_y)
        return mavlink.MAVLink_vfr_hud_message(
            airspeed, speed, round(self._heading_deg()) % 360, 50 if s.armed else 0, s.amsl_m, vz
        )

    def _extended_sys_state(self) -> Any:
        return mavlink.MAVLink_extended_sys_state_message(
            mavlink.MAV_VTOL_STATE_UNDEFINED, self._autopilot.landed_state
        )

    def _battery_status(self) -> Any:
        s = self._state
        volts = [self._cell_mv()] * _CELLS + [65535] * (10 - _CELLS)
        return mavlink.MAVLink_battery_status_message(
            0, mavlink.MAV_BATTERY_FUNCTION_ALL, mavlink.MAV_BATTERY_TYPE_LIPO, 32767, volts,
            1500 if s.armed else 50, -1, -1, round(s.battery * 100),
        )  # fmt: skip

    def _estimator_status(self) -> Any:
        flags = mavlink.ESTIMATOR_ATTITUDE | mavlink.ESTIMATOR_VELOCITY_VERT | mavlink.ESTIMATOR_POS_VERT_ABS
        if self._state.position_known:
            flags |= mavlink.ESTIMATOR_VELOCITY_HORIZ | mavlink.ESTIMATOR_POS_HORIZ_ABS
        return mavlink.MAVLink_estimator_status_message(self._boot_us(), flags, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.5, 0.8)

    def _home_position(self) -> Any | None:
        s = self._state
        if s.home is None:
            return None
        x, y = s.plane.to_metres(s.home.lon_deg, s.home.lat_deg)
        z = s.plane.amsl_m - s.home.amsl_m
        return mavlink.MAVLink_home_position_message(
            round(s.home.lat_deg * 1e7), round(s.home.lon_deg * 1e7), round(s.home.amsl_m * 1e3), y, x, z,
            [1.0, 0.0, 0.0, 0.0], 0.0, 0.0, 0.0, self._boot_us(),
        )  # fmt: skip

    def _mission_current(self) -> Any:
        s, navigator = self._state, self._autopilot.navigator
        total = len(self._missions.lists[MISSION])
        active = s.mode in (Mode.MISSION, Mode.TAKEOFF, Mode.LAND)
        if total == 0 or not self._autopilot.in_force.mission_valid:
            state = mavlink.MISSION_STATE_NO_MISSION
        elif navigator.finished:
            state = mavlink.MISSION_STATE_COMPLETE
        elif active:
            state = mavlink.MISSION_STATE_ACTIVE
        elif navigator.current > 0:
            state = mavlink.MISSION_STATE_PAUSED
        else:
            state = mavlink.MISSION_STATE_NOT_STARTED
        return mavlink.MAVLink_mission_current_message(navigator.current, total or 65535, state, 1 if active else 2)

    def _autopilot_version(self) -> Any:
        return mavlink.MAVLink_autopilot_version_message(
            _CAPABILITIES, _VERSION, _VERSION, 0, 0, [0] * 8, [0] * 8, [0] * 8, 0, 0,
            self._state.params["MAV_SYS_ID"],
        )  # fmt: skip


def _name(message_id: int) -> str:
    known = mavlink.mavlink_map.get(message_id)
    return known.msgname if known else ""
