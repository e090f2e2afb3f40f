"""Places on the command line."""

from __future__ import annotations

import click


def lon_lat(_ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, float] | None:
    """Click callback: ``LON,LAT`` in degrees, WGS84. Whether that is on Earth and on a map is asked later."""
    if value is None:
        return None
    try:
        lon, lat = (float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not LON,LAT, for example 136.315,36.305", param=parameter) from None
    return lon, lat
