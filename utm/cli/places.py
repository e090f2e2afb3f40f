"""Places and maps on the command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from utm.cli.output import say
from utm.errors import MapError

if TYPE_CHECKING:
    from utm.airspace import Airspace


def lon_lat(_ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, float] | None:
    """Click callback: ``LON,LAT`` in degrees, WGS84. Whether that is on a map is asked later."""
    if value is None:
        return None
    try:
        lon, lat = (float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not LON,LAT, for example 136.315,36.305", param=parameter) from None
    for name, degrees, most in (("longitude", lon, 180), ("latitude", lat, 90)):
        if not -most <= degrees <= most:
            message = f"{name} must lie between -{most} and {most} (got {degrees:g}); write LON,LAT, longitude first"
            raise click.BadParameter(message, param=parameter)
    return lon, lat


def wind_option_value(_ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, float] | None:
    """Click callback: ``DIRECTION,SPEED``: where the wind comes from, degrees, and metres per second."""
    if value is None:
        return None
    try:
        direction, speed = (float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not DIRECTION,SPEED, for example 270,8", param=parameter) from None
    if not (0 <= direction <= 360 and 0 <= speed <= 100):
        message = f"the direction must lie between 0 and 360 degrees, the speed between 0 and 100 m/s (got {value})"
        raise click.BadParameter(message, param=parameter)
    return direction, speed


def whole_map(_ctx: click.Context, parameter: click.Parameter, value: Path) -> Path:
    """Click callback: a map that is to be written, which an older version of it cannot be."""
    if "@" in value.name and not value.exists():
        mend = "leave out @VERSION" if parameter.name == "city_map" else "@ in a name stands for a version"
        raise click.BadParameter(f"{str(value)!r} names a version, and versions never change: {mend}", param=parameter)
    return value


def warn_of_newer_map(airspace: Airspace) -> None:
    """Say, on stderr, when the map of an airspace was updated since: the airspace keeps the version it began with."""
    from utm.mapping import CityMap

    old = airspace.city_map
    path = os.path.relpath(old.path)
    try:
        newest = CityMap.open(old.path).version
    except MapError as error:  # the airspace's own version has opened, and stays good
        say(f"whether the map has a newer version cannot be said: {error}", style="yellow", label="attention")
        return
    if newest != old.version:
        say(
            f"this airspace plans over version {old.version[:12]} of {path}. The map has moved on to {newest[:12]}; "
            f"what that found is not kept clear of: `utm map diff {path}@{old.version[:8]} {path}` shows it, and "
            f"`utm init NEW --map {path}` makes an airspace over it.",
            style="yellow",
            label="attention",
        )
