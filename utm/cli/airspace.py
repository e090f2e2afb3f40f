"""``utm init`` and ``utm zone``: an airspace and its geo-zones."""

from __future__ import annotations

from pathlib import Path

import click

from utm.cli.output import airspace_option, json_option, say, table, write_json


@click.command("init")
@click.argument("airspace_path", metavar="[AIRSPACE]", required=False, envvar="UTM_AIRSPACE", default="airspace")
@click.option("--map", "map_path", required=True, type=click.Path(path_type=Path), help="The city map it lies over.")
@click.option("--database", metavar="URL", help="SQLAlchemy URL; SQLite inside the directory when left out.")
@json_option
def init(airspace_path, map_path, database, as_json) -> None:
    """Make an airspace over a map. AIRSPACE is its directory: $UTM_AIRSPACE or ./airspace when left out.

    \b
    Example:
      utm init --map city
      utm init kaga --map city --database sqlite:////srv/kaga.db
    """
    from utm.airspace import Airspace
    from utm.mapping import CityMap

    with Airspace.create(airspace_path, CityMap.open(map_path), database=database) as airspace:
        if as_json:
            write_json({"airspace": str(airspace.path), "map": airspace.city_map.version, "database": database})
        else:
            say(f"airspace {airspace.path} over map {airspace.city_map.version[:12]}", style="green", label="done")


@click.group("zone")
def zone() -> None:
    """Enter, list and remove geo-zones.

    \b
    Example:
      utm zone add data/sample_dsm/zones.geojson
    """


@zone.command(short_help="Enter the geo-zones of a GeoJSON file.")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@airspace_option
@json_option
def add(file, airspace_path, as_json) -> None:
    """Enter the geo-zones of a GeoJSON file; those of the same id are replaced.

    \b
    Example:
      utm zone add works.geojson
    """
    from utm.airspace import Airspace, read_zones

    zones = read_zones(file)
    with Airspace.open(airspace_path) as airspace:
        touched = airspace.add_zones(zones)
    if as_json:
        write_json({"added": [zone.id for zone in zones], "in_the_way_of": [intent.id for intent in touched]})
        return
    say(f"entered {', '.join(zone.id for zone in zones)}", style="green", label="done")
    for intent in touched:
        say(f"{intent.id} ({intent.state}) now leads through a new zone", style="yellow", label="attention")


@zone.command("list")
@airspace_option
@json_option
def list_zones(airspace_path, as_json) -> None:
    """The zones of an airspace.

    \b
    Example:
      utm zone list --json
    """
    from utm.airspace import Airspace
    from utm.airspace.documents import zone_feature

    with Airspace.open(airspace_path) as airspace:
        zones = airspace.zones()
    if as_json:
        write_json({"type": "FeatureCollection", "features": [zone_feature(zone) for zone in zones]})
        return
    rows = [
        (
            zone.id,
            zone.name,
            zone.restriction,
            f"{zone.lower_m:g} {zone.lower_datum} to {zone.upper_m:g} {zone.upper_datum}",
            "; ".join(_period(period) for period in zone.periods) + f" {zone.timezone}" if zone.periods else "always",
        )
        for zone in zones
    ]
    table("", ("id", "name", "restriction", "heights (m)", "in force"), rows)


@zone.command()
@click.argument("zone_id", metavar="ID")
@airspace_option
@json_option
def remove(zone_id, airspace_path, as_json) -> None:
    """Take a zone out.

    \b
    Example:
      utm zone remove school
    """
    from utm.airspace import Airspace

    with Airspace.open(airspace_path) as airspace:
        airspace.remove_zone(zone_id)
    if as_json:
        write_json({"removed": zone_id})
    else:
        say(f"removed {zone_id}", style="green", label="done")


def _period(period) -> str:
    days = " ".join(("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")[day] for day in period.days)
    return f"{days} {period.start:%H:%M}-{period.end:%H:%M}"
