"""``utm init``, ``utm zone`` and ``utm airspace``: an airspace, its geo-zones, its map."""

from __future__ import annotations

from pathlib import Path

import click

from utm.cli.actors import actor_option
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
@actor_option
@airspace_option
@json_option
def add(file, actor, airspace_path, as_json) -> None:
    """Enter the geo-zones of a GeoJSON file; those of the same id are replaced. Granted flights that a zone touches get
    another way or time, and those for which there is none are withdrawn.

    \b
    Example:
      utm zone add works.geojson
    """
    from utm.airspace import Airspace, read_zones
    from utm.airspace.authority import CITY

    zones = read_zones(file)
    with Airspace.open(airspace_path) as airspace:
        moves = airspace.add_zones(zones, actor=actor or CITY)
    if as_json:
        write_json({"added": [zone.id for zone in zones], "touched": [move.document() for move in moves]})
        return
    say(f"entered {', '.join(zone.id for zone in zones)}", style="green", label="done")
    say_moves(moves)


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
@actor_option
@airspace_option
@json_option
def remove(zone_id, actor, airspace_path, as_json) -> None:
    """Take a zone out.

    \b
    Example:
      utm zone remove school
    """
    from utm.airspace import Airspace
    from utm.airspace.authority import CITY

    with Airspace.open(airspace_path) as airspace:
        airspace.remove_zone(zone_id, actor=actor or CITY)
    if as_json:
        write_json({"removed": zone_id})
    else:
        say(f"removed {zone_id}", style="green", label="done")


@click.group("airspace")
def airspace() -> None:
    """What concerns an airspace as a whole.

    \b
    Example:
      utm airspace rebase
    """


@airspace.command(short_help="Go on over the newest version of the map.")
@click.option("--version", "version", metavar="VERSION", help="Another version; `utm map versions` lists them.")
@actor_option
@airspace_option
@json_option
def rebase(version, actor, airspace_path, as_json) -> None:
    """Go on over the newest version of the map. Granted flights that the change touches get another way, and those for
    which there is none are withdrawn; all others stay as they are.

    \b
    Example:
      utm map update city new_survey.laz && utm airspace rebase
    """
    from utm.airspace import Airspace
    from utm.airspace.authority import CITY

    with Airspace.open(airspace_path) as opened:
        before = opened.city_map.version
        moves = opened.rebase(version, actor=actor or CITY)
        after = opened.city_map.version
    if as_json:
        write_json({"before": before, "after": after, "touched": [move.document() for move in moves]})
        return
    say(f"from version {before[:12]} of the map to {after[:12]}", style="green", label="done")
    say_moves(moves)


@airspace.command(short_help="What the clock asks for, once.")
@airspace_option
@json_option
def upkeep(airspace_path, as_json) -> None:
    """What the clock asks for: flights that did not depart end, those that overran keep their room, silent ones lose
    their state. `utm monitor --follow` does it all the time.

    \b
    Example:
      utm airspace upkeep
    """
    from utm.airspace import Airspace

    with Airspace.open(airspace_path) as opened:
        found = opened.upkeep()
    if as_json:
        write_json(
            {
                "no_shows": [one.id for one in found.ended],
                "extended": [one.id for one in found.extended],
                "displaced": [move.document() for move in found.moves],
            }
        )
        return
    say_upkeep(found)
    if found.effects.ids == frozenset():
        say("nothing to do", label="done")


def say_upkeep(found) -> None:
    """What the clock asked for, on stderr."""
    for one in found.ended:
        say(f"{one.id} did not depart; its slots are free", style="yellow", label="no-show")
    for one in found.extended:
        say(f"{one.id} keeps its room until it is told to have ended", style="yellow", label="overrun")
    say_moves(found.moves)


def say_moves(moves) -> None:
    """What became of flights that had to make way."""
    for move in moves:
        style = "red" if move.kind == "withdrawn" else "yellow"
        say(f"{move.before.id} ({move.before.plan.operator}): {move.sentence}", style=style, label=move.kind)


def _period(period) -> str:
    days = " ".join(("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")[day] for day in period.days)
    return f"{days} {period.start:%H:%M}-{period.end:%H:%M}"
