"""Vehicles standing where granted flights begin, on the ground that the map knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sims.vehicle import VehicleConfig
from utm.mapping import CityMap
from utm.model import Datum, OperationalIntent


def on_their_pads(
    city_map: CityMap,
    intents: Sequence[OperationalIntent],
    *,
    start_utc_s: float | None = None,
    wind_m_s: tuple[float, float] = (0.0, 0.0),
    seed: int = 0,
    ports: Sequence[tuple[int, int]] | None = None,
) -> list[VehicleConfig]:
    """One vehicle for each flight, on its pad, switched on.

    Args:
        start_utc_s: Unix seconds by the vehicles' clocks; None for the wall clock's.
        wind_m_s: velocity of the air, east and north.
        seed: of noise and gusts; each vehicle gets its own from it.
        ports: (local, peer) UDP ports of each; None for PX4's of its instance.
    """
    ground = ground_amsl(city_map)
    pads = [city_map.frame.waypoint(intent.corridor.centre_line.enu_m[0], Datum.AMSL) for intent in intents]
    return [
        VehicleConfig(
            lon_deg=pad.lon_deg,
            lat_deg=pad.lat_deg,
            ground_amsl_m=ground(pad.lon_deg, pad.lat_deg),
            instance=number,
            start_utc_s=start_utc_s,
            wind_m_s=wind_m_s,
            seed=seed + number,
            ground_amsl=ground,
            ports=None if ports is None else ports[number],
        )
        for number, pad in enumerate(pads)
    ]


def ground_amsl(city_map: CityMap) -> Callable[[float, float], float]:
    """Height AMSL of whatever a drone would land on, by longitude and latitude (degrees); off the map, of its edge."""
    nx, ny = city_map.size
    cell, frame = city_map.resolution_m, city_map.frame
    surface = city_map.window(0.0, 0.0, nx * cell, ny * cell).surface_m

    def amsl_m(lon_deg: float, lat_deg: float) -> float:
        east, north = frame.to_map(lon_deg, lat_deg)
        i, j = min(max(int(east // cell), 0), nx - 1), min(max(int(north // cell), 0), ny - 1)
        return float(frame.height(float(surface[i, j]), Datum.AMSL, lon_deg, lat_deg))

    return amsl_m
