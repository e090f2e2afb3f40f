"""Simulated vehicles on loopback, on ports that are free."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from sims.vehicle import Fleet, VehicleConfig
from tests.ops.made import KAGA, START_S
from utm.model import Datum

#: A place in Kaga and the height of its ground, AMSL.
LON, LAT, GROUND_M = 136.315, 36.305, 30.0
SPEED = 20.0
#: Six seconds of wall time to connect and load.
BEFORE_S = 120.0


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def here(east_m: float, north_m: float, above_ground_m: float) -> tuple[float, float, float]:
    """A point of the map from the vehicle's pad."""
    east, north = KAGA.to_map(LON, LAT)
    up = KAGA.up(GROUND_M, Datum.AMSL, LON, LAT)
    return float(east) + east_m, float(north) + north_m, float(up) + above_ground_m


@contextlib.contextmanager
def fleet(
    *pads: tuple[float, float], speed: float = SPEED, one_port: bool = False
) -> Iterator[tuple[Fleet, list[int]]]:
    """Vehicles on pads (metres east and north of the place), and the ports that they send to.

    Their clocks begin ``BEFORE_S`` before ``START_S``.
    """
    ports = [free_port()] * len(pads) if one_port else [free_port() for _ in pads]
    configs = []
    for number, ((east, north), port) in enumerate(zip(pads, ports, strict=True)):
        place = KAGA.waypoint(here(east, north, 0.0), Datum.AMSL)
        configs.append(
            VehicleConfig(
                lon_deg=place.lon_deg,
                lat_deg=place.lat_deg,
                ground_amsl_m=place.height_m,
                instance=number,
                start_utc_s=START_S - BEFORE_S,
                seed=number,
                ports=(0, port),
            )
        )
    with Fleet(configs, speed=speed) as flying:
        yield flying, ports
