"""``utm map build|update|clear|check``: from surveys to maps, and surveys held against maps."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from utm.cli.output import json_option, progress, say, table, write_json
from utm.cli.places import lon_lat, whole_map

FILE = click.Path(path_type=Path)


def _past(_ctx: click.Context, parameter: click.Parameter, value: datetime.datetime | None) -> datetime.datetime | None:
    """Click callback: a day that has begun somewhere on Earth."""
    if value is not None and value.date() > (datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=14)).date():
        raise click.BadParameter(f"{value:%Y-%m-%d} is yet to come", param=parameter)
    return value


def survey_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What may be said of survey files, for every command that reads them into a map."""
    options = (
        click.option("--crs", help="Coordinate reference system of files that state none, for example EPSG:6675."),
        click.option("--terrain", multiple=True, type=FILE, help="Bare ground (DTM) as GeoTIFF; may repeat."),
        click.option("--vertical-datum", help="Datum of heights where files state none: JGD2011, EGM96, WGS84, ..."),
        click.option(
            "--surveyed",
            type=click.DateTime(["%Y-%m-%d"]),
            callback=_past,
            metavar="DATE",
            help="Day of the survey, where files do not say: 2026-05-01.",
        ),
        click.option(
            "--survey-error",
            "error_m",
            type=click.FloatRange(0.0, 100.0),
            default=0.0,
            metavar="M",
            help="Metres that the survey may be off in height; every surface is raised by it.",
        ),
        click.option(
            "--as-of",
            type=click.DateTime(["%Y-%m-%d"]),
            metavar="DATE",
            help="Leave out obstacles that are gone by that day.",
        ),
        click.option("--workers", type=click.IntRange(1, 1024), help="Threads (default: one for each core)."),
        click.option("--scheduler", metavar="ADDRESS", help="Dask cluster to work on, for example tcp://host:8786."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command(short_help="Survey files to a city map.")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...", type=FILE)
@click.option("--out", required=True, type=FILE, callback=whole_map, help="Directory of the new map.")
@survey_options
@click.option("--map-crs", help="CRS of the map, projected, in metres (default: the first such of the sources).")
@click.option(
    "--resolution",
    "resolution_m",
    type=click.FloatRange(0.1, 25.0),
    help="Cell of the map in metres (default: the finest source).",
)
@click.option(
    "--unknown",
    type=click.Choice(["nearby", "open"]),
    default="nearby",
    show_default=True,
    help="What nobody saw: blocked as high as anything nearby, or taken for bare ground.",
)
@click.option(
    "--unknown-margin",
    "unknown_margin_m",
    type=click.FloatRange(0.0, 1000.0),
    default=10.0,
    show_default=True,
    metavar="M",
    help="Metres above the highest thing nearby that unknown ground is blocked.",
)
@click.option(
    "--ground",
    type=click.Choice(["auto", "filter"]),
    default="auto",
    show_default=True,
    help="auto: DTM, else classified ground of clouds, else a filter; filter: ignore the clouds' classes.",
)
@click.option("--no-outlier-filter", is_flag=True, help="Believe every return of the clouds.")
@click.option("--replace", is_flag=True, help="Put the new map in the place of an old one.")
@json_option
def build(sources, out, surveyed, as_of, no_outlier_filter, as_json, terrain, **stated) -> None:
    """Turn surveys (DSM GeoTIFF, LAS/LAZ/PLY/PCD clouds, CityGML, CityJSON, obstacles as GeoJSON) into a city map.

    \b
    Example:
      utm map build data/sample_dsm/dsm.tif data/sample_dsm/survey_centre.laz \\
          --terrain data/sample_dsm/dtm.tif --resolution 2 --out city
      utm map build 'plateau/*.gml' wires.geojson --out town --surveyed 2026-05-01
    """
    from utm.mapping.describe import describe
    from utm.mapping.ingest import build_map

    with progress("map") as update:
        city_map = build_map(
            list(sources),
            out,
            terrain=list(terrain) or None,
            surveyed=_day(surveyed),
            as_of=_day(as_of),
            outliers=not no_outlier_filter,
            progress=update,
            **stated,
        )
    warn(city_map.meta)
    facts = describe(city_map)
    if as_json:
        write_json(facts)
        return
    say(f"built {out}: version {city_map.version[:12]}", style="green", label="done")
    print_facts(facts)


@click.command("update", short_help="A new survey of a part, as a new version.")
@click.argument("city_map", metavar="MAP", type=FILE, callback=whole_map)
@click.argument("sources", nargs=-1, metavar="[SOURCE]...", type=FILE)
@survey_options
@click.option("--withdraw", multiple=True, metavar="NAME", help="A model or obstacle file that no longer holds.")
@click.option("--geojson", type=FILE, metavar="OUT", help="Write where the map changed as GeoJSON.")
@json_option
def update(city_map, sources, surveyed, as_of, withdraw, geojson, as_json, terrain, **stated) -> None:
    """Bring a map up to date: re-reads only the tiles that the new survey touches, and says what changed.

    The version before stays openable, as MAP@VERSION.

    \b
    Example:
      utm map update city centre_2026.laz --surveyed 2026-10-01 --geojson changed.geojson
      utm map update city --withdraw cranes.geojson
    """
    if not (sources or terrain or withdraw):
        raise click.UsageError("nothing to update with: name a SOURCE, a --terrain or a --withdraw")
    from utm.mapping.ingest.update import update_map

    with progress("update") as report:
        updated = update_map(
            city_map,
            list(sources),
            terrain=list(terrain) or None,
            surveyed=_day(surveyed),
            as_of=_day(as_of),
            withdraw=list(withdraw),
            progress=report,
            **stated,
        )
    meta = updated.city_map.meta
    warn(meta)
    if updated.off_map:
        say(f"{updated.off_map:,} points of the new survey lie off the map.", style="yellow", label="note")
    for name in updated.replaced:
        say(f"{name} takes the place of the file of that name; what only the old one held is gone.", style="yellow",
            label="note")  # fmt: skip
    for name in updated.older:
        say(f"{name} is older than the map's newest survey, and replaced what stood there all the same.",
            style="yellow", label="note")  # fmt: skip
    write_features(updated.difference.features, geojson)
    told = {
        "version": meta["version"],
        "parent": meta["parent"],
        "tiles_made": updated.tiles,
        "points_off_map": updated.off_map,
        "replaced": list(updated.replaced),
        "older": list(updated.older),
        "difference": updated.difference.to_dict(),
    }
    if as_json:
        write_json(told)
        return
    follows = f" follows {meta['parent'][:12]}" if meta["parent"] else ": nothing changed"  # the only version there is
    say(f"{city_map}: version {meta['version'][:12]}{follows}", style="green", label="done")
    print_facts({"tiles made again": updated.tiles} | summary(told["difference"]))


@click.command(short_help="Take away suspects that a person looked at.")
@click.argument("city_map", metavar="MAP", type=FILE, callback=whole_map)
@click.option("--at", "place", metavar="LON,LAT", callback=lon_lat, help="Middle of a circle; with --radius.")
@click.option("--radius", "radius_m", type=click.FloatRange(0.0, 1e5, min_open=True), metavar="M", help="In metres.")
@click.option("--area", type=FILE, help="Instead of a circle: GeoJSON with polygons.")
@click.option("--by", required=True, metavar="NAME", help="Who answers for it.")
@click.option("--reason", required=True, metavar="TEXT", help="What that person saw.")
@json_option
def clear(city_map, place, radius_m, area, by, reason, as_json) -> None:
    """Say that the suspects of an area are not there: birds, reflections, noise. Recorded in the new version.

    Suspects are returns that the outlier filter doubts. They block until a person answers for it that nothing is there.

    \b
    Example:
      utm map clear city --at 136.3111,36.3022 --radius 15 --by "A. Sato" --reason "birds, seen on photo 118"
    """
    circle = place is not None and radius_m is not None
    if circle == (area is not None) or (place is None) != (radius_m is None):
        raise click.UsageError("say where: --at with --radius, or --area")
    from utm.mapping.ingest.clear import clear_suspects

    where = area if area is not None else (*place, radius_m)
    cleared = clear_suspects(city_map, area=where, by=by, reason=reason, when=datetime.datetime.now(datetime.UTC))
    version = cleared.city_map.version
    if as_json:
        write_json({"version": version, "cells_cleared": cleared.cells, "difference": cleared.difference.to_dict()})
        return
    say(f"{city_map}: {cleared.cells:,} cells cleared, version {version[:12]}", style="green", label="done")


@click.command(short_help="Hold a survey against a map.")
@click.argument("city_map", metavar="MAP", type=FILE)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...", type=FILE)
@click.option("--crs", help="Coordinate reference system of files that state none.")
@click.option("--vertical-datum", help="Datum of heights where files state none.")
@click.option("--geojson", type=FILE, metavar="OUT", help="Write where points lie in free space as GeoJSON.")
@json_option
def check(city_map, sources, crs, vertical_datum, geojson, as_json) -> int:
    """Is every surveyed point blocked, or at least unknown, at its place? Exit code 1 when one lies in free space, or
    none on the map.

    Hold the survey that a map was built from against it (nothing may be free), or a newer one (what was built since?).

    \b
    Example:
      utm map check city data/sample_dsm/survey_centre.laz --json
    """
    from utm.mapping import CityMap
    from utm.mapping.ingest.check import check as hold_against

    opened = CityMap.open(city_map)
    with progress("check") as report:
        found = hold_against(opened, list(sources), crs=crs, vertical_datum=vertical_datum, progress=report)
    held = found.points - found.outside
    told = found.to_dict()
    where = told.pop("where")
    write_features(where["features"], geojson)
    if as_json:
        write_json({"map": str(city_map), "version": opened.version} | told | {"where": where})
    else:
        print_facts(told)
        if not held:
            say("no point of it lies on the map: nothing was held against it", style="red", label="FAILED")
        elif found.in_free:
            say(
                f"{found.in_free:,} surveyed points lie in what the map calls free: do not fly on it before you know "
                "why. Update the map with this survey if it is newer; an older one may show what is gone.",
                style="red",
                label="FAILED",
            )
        else:
            say("no surveyed point lies in free space", style="green", label="passed")
        if found.cleared:
            say(
                f"{found.cleared:,} returns lie where a person cleared suspects: `utm map info` says who.",
                style="yellow",
                label="note",
            )
    return 1 if found.in_free or not held else 0


def warn(meta: dict) -> None:
    """What a person should know of a new map, on stderr."""
    from utm.mapping.concerns import concerns

    for sentence in concerns(meta):
        say(sentence, style="yellow", label="note")


def write_features(features: list, out: Path | None) -> None:
    """A GeoJSON file, where one was asked for."""
    if out is not None:
        document = {"type": "FeatureCollection", "features": list(features)}
        out.write_text(json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def summary(difference: dict) -> dict:
    """A difference without its list of places."""
    return {name: value for name, value in difference.items() if name not in ("features", "where")}


def print_facts(facts: dict) -> None:
    """Facts as rows; a list of things takes a row for each."""
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
        return "none" if not value else " ".join(_flat(item) for item in value)
    return "not known" if value is None else str(value)


def _day(moment: datetime.datetime | None) -> datetime.date | None:
    return None if moment is None else moment.date()
