"""PX4 over MAVLink, through MAVSDK 4."""

from utm.adapters.px4.vehicle import Px4Vehicle

__all__ = ["Px4Vehicle"]
