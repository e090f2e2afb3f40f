"""``utm map``: build and look at city maps."""

from __future__ import annotations

from pathlib import Path

import click

from utm.cli.map_change import build, check, clear, print_facts, summary, update, warn, write_features
from utm.cli.output import json_option, progress, say, table, write_json
from utm.cli.places import lon_lat

FILE = click.Path(path_type=Path)


@click.group("map")
def group() -> None:
    """Build and look at city maps. MAP is a directory; MAP@VERSION an earlier version of it.

    \b
    Example:
      utm map build dsm.tif cloud.laz --terrain dtm.tif --out city
      utm map info city
      utm map view city --out city.html
    """


for command in (build, update, clear, check):
    group.add_command(command)


@group.command(short_help="What a map holds.")
@click.argument("city_map", metavar="MAP", type=FILE)
@json_option
def info(city_map, as_json) -> None:
    """What a map holds: extent, datum, coverage, age, sources, highest obstacles.

    \b
    Example:
      utm map info city --json
      utm map info city@3f9a21
    """
    from utm.mapping import CityMap
    from utm.mapping.describe import describe

    opened = CityMap.open(city_map)
    facts = describe(opened)
    if as_json:
        write_json(facts)
        return
    print_facts(facts)
    warn(opened.meta)


@group.command(short_help="Every version that is kept.")
@click.argument("city_map", metavar="MAP", type=FILE)
@json_option
def versions(city_map, as_json) -> None:
    """The versions of a map, the current one first; each can be opened as MAP@VERSION.

    \b
    Example:
      utm map versions city
    """
    from utm.mapping import CityMap

    rows = CityMap.open(city_map).versions()
    if as_json:
        write_json(rows)
        return
    shown = ("version", "parent", "surveyed", "sources", "current")
    table("", shown, [_version_row(row) for row in rows])


@group.command(short_help="What differs between two maps or versions.")
@click.argument("before", metavar="A", type=FILE)
@click.argument("after", metavar="B", type=FILE)
@click.option("--geojson", type=FILE, metavar="OUT", help="Write the places that differ as GeoJSON.")
@json_option
def diff(before, after, geojson, as_json) -> None:
    """What is newly blocked and newly clear from A to B, in cubic metres, and where.

    \b
    Example:
      utm map diff city@3f9a21 city --geojson changed.geojson
    """
    from utm.mapping import CityMap
    from utm.mapping.diff import difference

    found = difference(CityMap.open(before), CityMap.open(after))
    write_features(found.features, geojson)
    told = found.to_dict()
    if as_json:
        write_json(told)
    else:
        print_facts(summary(told))


@group.command(short_help="Is the map what it was when it was made?")
@click.argument("city_map", metavar="MAP", type=FILE)
@json_option
def verify(city_map, as_json) -> None:
    """Read everything and compare it with the version that the map states. Exit code 2 when it differs.

    \b
    Example:
      utm map verify city
    """
    from utm.mapping import CityMap

    opened = CityMap.open(city_map)
    opened.verify()
    if as_json:
        write_json({"map": str(city_map), "version": opened.version, "intact": True})
    else:
        say(f"{city_map}: version {opened.version[:12]} is intact", style="green", label="done")


@group.command(short_help="Terrain, surface and clearance along a line.")
@click.argument("city_map", metavar="MAP", type=FILE)
@click.option("--from", "start", required=True, metavar="LON,LAT", callback=lon_lat, help="Where the line begins.")
@click.option("--to", "goal", required=True, metavar="LON,LAT", callback=lon_lat, help="Where it ends.")
@click.option("--out", type=FILE, metavar="PNG", help="Draw it.")
@click.option(
    "--clearance",
    "clearance_m",
    type=click.FloatRange(0.0, 500.0, min_open=True),
    metavar="M",
    default=30.0,
    show_default=True,
    help="Metres to keep from everything that blocks.",
)
@json_option
def profile(city_map, start, goal, out, clearance_m, as_json) -> None:
    """What stands along a line, what was seen of it, and how low one may fly over it.

    \b
    Example:
      utm map profile city --from 136.2965,36.2977 --to 136.3272,36.3052 --out profile.png --clearance 30
    """
    from utm.mapping import CityMap
    from utm.mapping.profile import draw_profile
    from utm.mapping.profile import profile as cut_along
    from utm.model import RuleSet

    if out is None and not as_json:
        raise click.UsageError("say what to make of it: --out PNG or --json")
    if out is not None and out.suffix.lower() != ".png":
        raise click.BadParameter(f"{out} is not .png", param_hint="--out")
    cut = cut_along(CityMap.open(city_map), start, goal, RuleSet(clearance_m=clearance_m))
    if out is not None:
        draw_profile(cut, out)
        say(f"wrote {out}", style="green", label="done")
    if as_json:
        write_json(cut.to_dict())


@group.command(short_help="A picture (PNG) or a 3-D page (HTML).")
@click.argument("city_map", metavar="MAP", type=FILE)
@click.option("--out", required=True, type=FILE, help="city.png: plan view; city.html: 3-D page that opens offline.")
@click.option(
    "--layer",
    type=click.Choice(["height", "surface", "age", "source", "status"]),
    default="height",
    show_default=True,
    help="What colours mean: height above ground, top of everything, day and file of the survey, what is known.",
)
@click.option("--zones", type=FILE, help="GeoJSON of geo-zones to draw on top (PNG).")
@click.option("--title", help="Headline of the picture or page.")
@click.option(
    "--language", type=click.Choice(["en", "ja"]), default="en", show_default=True, help="First language of the page."
)
@json_option
def view(city_map, out, layer, zones, title, language, as_json) -> None:
    """Draw a map: in plan as a PNG, or in 3-D as one HTML file for any browser, without a network.

    \b
    Example:
      utm map view city --out city.html
      utm map view city --out city.png --zones data/sample_dsm/zones.geojson
      utm map view city --out unknown.png --layer status
    """
    from utm.mapping import CityMap

    kind = out.suffix.lower()
    if kind not in (".png", ".html", ".htm"):
        raise click.BadParameter(f"{out} is neither .png nor .html", param_hint="--out")
    if kind == ".png":
        from utm.mapping.view import plan_view

        drawn = ()
        if zones is not None:
            from utm.airspace import read_zones

            drawn = read_zones(zones)
        plan_view(CityMap.open(city_map), out, zones=drawn, layer=layer, title=title)
    else:
        if zones is not None:
            raise click.UsageError("zones are drawn on PNG only")
        from utm.mapping.view3d import view_3d

        with progress("view") as update:
            view_3d(CityMap.open(city_map), out, layer=layer, title=title, language=language, progress=update)
    if as_json:
        write_json({"picture": str(out), "bytes": out.stat().st_size})
    else:
        say(f"wrote {out}", style="green", label="done")


def _version_row(row: dict) -> tuple[str, ...]:
    days = sorted({day for day in row["survey_dates"].values() if day})
    return (
        row["version"][:12],
        (row["parent"] or "")[:12],
        " to ".join(days) or "not known",
        str(row["sources"]),
        "current" if row["current"] else "",
    )
