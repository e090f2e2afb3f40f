"""The flat metres in which a simulated vehicle moves, around the place where it was switched on."""

from __future__ import annotations

import functools

import pyproj


class LocalPlane:
    """Azimuthal equidistant projection of the WGS84 ellipsoid: true distance and direction from the origin."""

    def __init__(self, lon_deg: float, lat_deg: float, amsl_m: float):
        """Args:
        amsl_m: height above mean sea level at which ``up`` is zero.
        """
        self.lon_deg, self.lat_deg, self.amsl_m = lon_deg, lat_deg, amsl_m
        self._projection = pyproj.Proj(proj="aeqd", lat_0=lat_deg, lon_0=lon_deg, ellps="WGS84")
        # Guidance asks for the same few way points at every step.
        self.to_metres = functools.lru_cache(maxsize=256)(self._to_metres)

    def _to_metres(self, lon_deg: float, lat_deg: float) -> tuple[float, float]:
        """East and north of the origin, metres."""
        return self._projection(lon_deg, lat_deg)

    def to_lonlat(self, east_m: float, north_m: float) -> tuple[float, float]:
        """Longitude and latitude, degrees."""
        return self._projection(east_m, north_m, inverse=True)
