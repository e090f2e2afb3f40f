"""``utm wind`` and ``utm layer``: the forecast and the cost layers by which ways are chosen."""

from __future__ import annotations

from pathlib import Path

import click

from utm.cli.output import airspace_option, json_option, say, table, write_json
from utm.cli.places import wind_option_value
from utm.errors import InputError

_KINDS = ("people", "noise", "radio", "roads", "obstacles")


@click.group("wind")
def wind() -> None:
    """The forecast wind, which ways, times and energy are worked out for.

    \b
    Example:
      utm wind set 270,8
    """


@wind.command("set", short_help="Replace the forecast.")
@click.argument("uniform", metavar="[DIRECTION,SPEED]", required=False, callback=wind_option_value)
@click.option("--file", type=click.Path(path_type=Path), help="A forecast file with a wind for each height.")
@airspace_option
@json_option
def set_wind(uniform, file, airspace_path, as_json) -> None:
    """Replace the forecast: the direction that the wind comes from in degrees and m/s, or a file of levels.

    What was granted before stays granted. 0,0 is calm air.

    \b
    Example:
      utm wind set 270,8
      utm wind set --file forecast.json
    """
    from utm.airspace import Airspace
    from utm.airspace.conditions import read_wind, wind_from

    if (uniform is None) == (file is None):
        raise click.UsageError("give either DIRECTION,SPEED or --file")
    with Airspace.open(airspace_path) as airspace:
        airspace.set_wind(wind_from(*uniform) if file is None else read_wind(file, airspace.city_map))
        rows = _levels(airspace)
    if as_json:
        write_json({"wind": rows})
    else:
        say(f"the wind is {wind_in_words(rows)}", style="green", label="done")


@wind.command("show")
@airspace_option
@json_option
def show_wind(airspace_path, as_json) -> None:
    """The forecast that ways are worked out for.

    \b
    Example:
      utm wind show --json
    """
    from utm.airspace import Airspace

    with Airspace.open(airspace_path) as airspace:
        rows = _levels(airspace)
    if as_json:
        write_json({"wind": rows})
    else:
        columns = ("up_m", "from_deg", "speed_m_s")
        table("", columns, [[row[name] for name in columns] for row in rows])


@click.group("layer")
def layer() -> None:
    """Cost layers: what makes some air dearer than other air.

    \b
    Example:
      utm layer add people population.tif --kind people --weight 4
    """


@layer.command(short_help="Enter a cost layer.")
@click.argument("name")
@click.argument("raster", required=False, type=click.Path(path_type=Path))
@click.option("--kind", type=click.Choice(_KINDS), required=True, help="What the raster's numbers are.")
@click.option("--weight", type=float, required=True, help="At its worst a metre costs 1 + WEIGHT metres.")
@click.option("--fill", type=float, help="The value where the raster has none.")
@airspace_option
@json_option
def add(name, raster, kind, weight, fill, airspace_path, as_json) -> None:
    """Enter a cost layer, replacing one of the same name. What was granted before stays granted.

    Kinds: people per square kilometre; noise, how much noise disturbs (0 to 1); radio, the share of time with a link
    (0 to 1); roads, above 0 on the sky roads that traffic should keep to; obstacles needs no raster.

    \b
    Example:
      utm layer add people population.tif --kind people --weight 4
      utm layer add walls --kind obstacles --weight 1
    """
    from utm.airspace import Airspace
    from utm.airspace.conditions import checked_layer
    from utm.model import LayerKind

    if (raster is None) != (kind == "obstacles"):
        raise click.UsageError("a layer of kind obstacles has no RASTER, every other one has")
    with Airspace.open(airspace_path) as airspace:
        try:
            made = (
                checked_layer(name, LayerKind(kind), weight, None, airspace.city_map.resolution_m)
                if raster is None
                else airspace.read_layer(raster, name, LayerKind(kind), weight, fill)
            )
        except InputError as error:
            raise (error if raster is None else error.at(raster)) from None
        airspace.set_layer(made)
        rows = _layers(airspace)
    if as_json:
        write_json({"layers": rows})
    else:
        say(f"entered {name} ({kind})", style="green", label="done")


@layer.command("list")
@airspace_option
@json_option
def list_layers(airspace_path, as_json) -> None:
    """The cost layers.

    \b
    Example:
      utm layer list
    """
    from utm.airspace import Airspace

    with Airspace.open(airspace_path) as airspace:
        rows = _layers(airspace)
    if as_json:
        write_json({"layers": rows})
    else:
        columns = ("name", "kind", "weight", "least", "mean", "most")
        table("", columns, [["" if row[name] is None else row[name] for name in columns] for row in rows])


@layer.command()
@click.argument("name")
@airspace_option
@json_option
def remove(name, airspace_path, as_json) -> None:
    """Take a cost layer out.

    \b
    Example:
      utm layer remove people
    """
    from utm.airspace import Airspace

    with Airspace.open(airspace_path) as airspace:
        airspace.remove_layer(name)
    if as_json:
        write_json({"removed": name})
    else:
        say(f"removed {name}", style="green", label="done")


def _levels(airspace) -> list[dict]:
    from utm.airspace.conditions import wind_rows

    return wind_rows(airspace.conditions.wind)


def wind_in_words(rows: list[dict]) -> str:
    """A forecast, as ``wind_rows`` gives it, in one line."""
    if not any(row["speed_m_s"] for row in rows):
        return "calm"
    first = rows[0]
    more = f" at {first['up_m']:g} m, and {len(rows) - 1} levels above" if len(rows) > 1 else ""
    return f"{first['speed_m_s']:g} m/s from {first['from_deg']:g} degrees{more}"


def _layers(airspace) -> list[dict]:
    from utm.airspace.conditions import layer_rows

    return layer_rows(airspace.conditions)
