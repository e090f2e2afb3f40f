"""``utm map``: build and look at city maps."""

from __future__ import annotations

from pathlib import Path

import click

from utm.cli.output import json_option, progress, say, table, write_json


@click.group("map")
def group() -> None:
    """Build and look at city maps.

    \b
    Example:
      utm map build dsm.tif cloud.laz --terrain dtm.tif --out city
      utm map info city
    """


@group.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Directory of the new map.")
@click.option("--crs", help="Coordinate reference system of sources that state none, for example EPSG:6675.")
@click.option(
    "--terrain", multiple=True, type=click.Path(path_type=Path), help="Bare ground (DTM) as GeoTIFF; may repeat."
)
@click.option(
    "--resolution",
    "resolution_m",
    type=click.FloatRange(0.1, 25.0),
    help="Cell of the map in metres (default: the finest source).",
)
@click.option("--vertical-datum", help="Datum of heights where the sources state none: JGD2011, EGM96 or WGS84.")
@click.option("--replace", is_flag=True, help="Put the new map in the place of an old one.")
@json_option
def build(sources, out, crs, terrain, resolution_m, vertical_datum, replace, as_json) -> None:
    """Turn survey files (DSM GeoTIFF, LAS/LAZ clouds) into a city map.

    \b
    Example:
      utm map build data/sample_dsm/dsm.tif data/sample_dsm/survey_centre.laz \\
          --terrain data/sample_dsm/dtm.tif --resolution 2 --out city
    """
    from utm.mapping.describe import describe
    from utm.mapping.ingest import build_map

    with progress("map") as update:
        city_map = build_map(
            list(sources),
            out,
            crs=crs,
            terrain=list(terrain) or None,
            resolution_m=resolution_m,
            vertical_datum=vertical_datum,
            replace=replace,
            progress=update,
        )
    facts = describe(city_map)
    if as_json:
        write_json(facts)
        return
    say(f"built {out}: version {city_map.version[:12]}", style="green", label="done")
    _print_facts(facts)


@group.command(short_help="What a map holds.")
@click.argument("city_map", metavar="MAP", type=click.Path(path_type=Path))
@json_option
def info(city_map, as_json) -> None:
    """What a map holds: extent, datum, coverage, sources, highest obstacles.

    \b
    Example:
      utm map info city --json
    """
    from utm.mapping import CityMap
    from utm.mapping.describe import describe

    facts = describe(CityMap.open(city_map))
    if as_json:
        write_json(facts)
    else:
        _print_facts(facts)


@group.command()
@click.argument("city_map", metavar="MAP", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="PNG to write.")
@click.option("--zones", type=click.Path(path_type=Path), help="GeoJSON of geo-zones to draw on top.")
@json_option
def view(city_map, out, zones, as_json) -> None:
    """Draw a map in plan view.

    \b
    Example:
      utm map view city --out city.png --zones data/sample_dsm/zones.geojson
    """
    from utm.mapping import CityMap
    from utm.mapping.view import plan_view

    drawn = ()
    if zones is not None:
        from utm.airspace import read_zones

        drawn = read_zones(zones)
    plan_view(CityMap.open(city_map), out, zones=drawn)
    if as_json:
        write_json({"picture": str(out)})
    else:
        say(f"wrote {out}", style="green", label="done")


def _print_facts(facts: dict) -> None:
    rows = []
    for name, value in facts.items():
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            rows += [(name if index == 0 else "", _flat(item)) for index, item in enumerate(value)]
        else:
            rows.append((name, _flat(value)))
    table("", ("", ""), rows)


def _flat(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_flat(item)}" for key, item in value.items())
    if isinstance(value, float):
        return f"{value:.7g}"
    if isinstance(value, list | tuple):
        return " ".join(_flat(item) for item in value)
    return str(value)
