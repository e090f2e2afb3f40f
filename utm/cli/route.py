"""``utm route``: find a way, say everything about it, draw it."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from utm.cli.moments import moment
from utm.cli.output import airspace_option, json_option, say, write_json
from utm.cli.places import lon_lat, warn_of_newer_map, wind_option_value
from utm.errors import InputError

if TYPE_CHECKING:
    from utm.airspace import Airspace
    from utm.airspace.answer import RouteAnswer
    from utm.model import FlightPlan

_PICTURES, _PAGES = (".png",), (".html", ".htm")
_OBJECTIVES = ("length", "time", "energy")
#: Units of what a way costs.
_UNITS = {"length": "m", "time": "s", "energy": "Wh"}


def lon_lat_height(
    _ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> list[tuple[float, float, float | None]]:
    """Click callback: ``LON,LAT`` or ``LON,LAT,HEIGHT``, several times."""
    places = []
    for value in values:
        parts = value.split(",")
        if len(parts) not in (2, 3):
            message = f"{value!r} is not LON,LAT or LON,LAT,HEIGHT, for example 136.315,36.305,80"
            raise click.BadParameter(message, param=parameter)
        lon, lat = lon_lat(_ctx, parameter, ",".join(parts[:2]))
        try:
            height = float(parts[2]) if len(parts) == 3 else None
        except ValueError:
            height = float("nan")
        if height is not None and not 0 < height < 10_000:
            message = f"{parts[2]!r} is not a height in metres above the ground"
            raise click.BadParameter(message, param=parameter)
        places.append((lon, lat, height))
    return places


def picture_file(_ctx: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """Click callback: a file whose ending says what is to be drawn, in a folder that is there."""
    if value is None:
        return None
    if value.suffix.lower() not in _PICTURES + _PAGES:
        raise click.BadParameter(f"{value} is neither .png nor .html", param=parameter)
    if not value.parent.is_dir():  # known before a way is looked for
        raise click.BadParameter(f"there is no folder {value.parent}", param=parameter)
    return value


@click.command()
@click.argument("plan_file", metavar="[PLAN.json]", required=False, type=click.Path(path_type=Path))
@click.option("--from", "start", metavar="LON,LAT", callback=lon_lat, help="Take-off place.")
@click.option("--to", "goal", metavar="LON,LAT", callback=lon_lat, help="Landing place.")
@click.option(
    "--via",
    multiple=True,
    metavar="LON,LAT[,HEIGHT]",
    callback=lon_lat_height,
    help="A place to fly through, HEIGHT in metres above ground, a little above the lowest allowed when left out; may "
    "repeat, in order.",
)
@click.option("--aircraft", metavar="CLASS", help="Aircraft class.  [default: quad, or the plan's]")
@click.option("--at", metavar="TIME", help="Departure, ISO 8601 with zone.  [default: now, or the plan's]")
@click.option("--authorise", multiple=True, metavar="ZONE", help="A geo-zone that may be entered; may repeat.")
@click.option("--minimise", type=click.Choice(_OBJECTIVES), help="What is least.  [default: length, or the plan's]")
@click.option(
    "--wind",
    metavar="DIRECTION,SPEED",
    callback=wind_option_value,
    help="Instead of the airspace's forecast: where the wind comes from in degrees (270: from the west), and m/s.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    callback=picture_file,
    help="Draw it: a picture (.png), or a page that opens offline and turns in 3-D (.html).",
)
@airspace_option
@json_option
@click.pass_context
def route(ctx, plan_file, airspace_path, as_json, out, wind, **asked) -> None:
    """Find a way between two places, from surface to surface, or the way of a PLAN. Asks nobody, changes nothing.

    Exit code 1 where there is no way: the reason, and what would open one.

    \b
    Example:
      utm route --from 136.3109,36.3063 --to 136.3272,36.3003
      utm route --from 136.3109,36.3063 --to 136.3272,36.3003 --via 136.314,36.300 --wind 270,8 --minimise energy
      utm route medicine.json --out way.html
    """
    from utm.airspace import Airspace
    from utm.airspace.answer import answer_document, no_way_document
    from utm.airspace.conditions import wind_from
    from utm.airspace.places import Refusal

    _check_words(plan_file, asked)
    with Airspace.open(airspace_path) as airspace:
        warn_of_newer_map(airspace)
        plan = _filed(plan_file, asked) if plan_file is not None else _wish(airspace, asked)
        _check_zones(airspace, asked["authorise"])
        try:
            answer = airspace.route_answer(plan, wind=None if wind is None else wind_from(*wind))
        except InputError as error:
            raise (error if plan_file is None else error.at(plan_file)) from None
        except Refusal as error:
            document = no_way_document(error)
        else:
            document = answer_document(airspace.city_map, answer)
            if out is not None:
                _draw(airspace, answer, document, out)
                document |= {"picture": str(out)}
    if as_json:
        write_json(document)
    if document["status"] == "no way":
        _print_no_way(document)
        ctx.exit(1)
    if not as_json:
        _print_way(document)
    if out is not None:
        say(f"wrote {out}", style="green", label="done")


def _check_words(plan_file: Path | None, asked: dict[str, Any]) -> None:
    if plan_file is None and (asked["start"] is None or asked["goal"] is None):
        raise click.UsageError("say --from and --to, or give a PLAN file")
    if plan_file is not None and (asked["start"] or asked["goal"] or asked["via"] or asked["aircraft"]):
        raise click.UsageError("the PLAN file says from where to where and with what; leave these options out")


def _check_zones(airspace: Airspace, authorised: tuple[str, ...]) -> None:
    """A zone that is misspelt would silently be flown around."""
    known = {zone.id for zone in airspace.zones()}
    for zone in authorised:
        if zone not in known:
            there = f"There are: {', '.join(sorted(known))}." if known else "There are none."
            raise InputError("there is no such geo-zone", field="--authorise", value=zone, mend=there)


def _filed(file: Path, asked: dict[str, Any]) -> FlightPlan:
    """A plan file's wish, with what the command line says instead."""
    from utm.airspace import read_plan
    from utm.model import Objective

    plan = read_plan(file)
    changes: dict[str, Any] = {"authorisations": (*plan.authorisations, *asked["authorise"])}
    if asked["minimise"] is not None:
        changes["objective"] = Objective(asked["minimise"])
    if asked["at"] is not None:
        departure = moment(asked["at"], "--at")
        open_s = plan.latest_departure_s - plan.earliest_departure_s
        changes |= {"earliest_departure_s": departure, "latest_departure_s": departure + open_s}
    return dataclasses.replace(plan, **changes)


def _wish(airspace: Airspace, asked: dict[str, Any]) -> FlightPlan:
    """What the command line asks for."""
    from utm.airspace.via import way_point_at
    from utm.model import AIRCRAFT_CLASSES, Datum, FlightPlan, Objective, Waypoint

    name = asked["aircraft"] or "quad"
    if name not in AIRCRAFT_CLASSES:
        raise InputError("unknown aircraft class", field="--aircraft", value=name, mend=", ".join(AIRCRAFT_CLASSES))
    departure = time.time() if asked["at"] is None else moment(asked["at"], "--at")
    return FlightPlan(
        id="route",
        operator="route",
        aircraft=AIRCRAFT_CLASSES[name],
        origin=airspace.pad_at(*asked["start"]),
        destination=airspace.pad_at(*asked["goal"]),
        earliest_departure_s=departure,
        latest_departure_s=departure,
        waypoints=tuple(
            way_point_at(airspace.city_map, airspace.rules, lon, lat)
            if height is None
            else Waypoint(lon, lat, height, Datum.AGL)
            for lon, lat, height in asked["via"]
        ),
        authorisations=asked["authorise"],
        objective=Objective(asked["minimise"] or "length"),
    )


def _draw(airspace: Airspace, answer: RouteAnswer, document: dict[str, Any], out: Path) -> None:
    """The picture or the page. matplotlib takes longer to import than a way to find."""
    from utm.report.way import Way

    plan = answer.plan
    ends = " to ".join(f"{place.lat_deg:.5f}, {place.lon_deg:.5f}" for place in (plan.origin, plan.destination))
    title = f"Way from {ends}" if plan.id == "route" else f"Way of {plan.id}"
    way = Way(
        city_map=airspace.city_map, rules=airspace.rules, plan=plan, line=answer.line, zones=airspace.zones(),
        wind=answer.conditions.wind, document=document, words=summary(document), title=title,
    )  # fmt: skip
    if out.suffix.lower() in _PICTURES:
        from utm.report.route_picture import route_picture

        route_picture(way, out)
    else:
        from utm.report.route_page import route_page

        route_page(way, out)


def _print_no_way(document: dict[str, Any]) -> None:
    say(document["reason"]["sentence"], style="red", label="no way")
    if document["relaxation"] is not None:
        say(document["relaxation"]["sentence"], style="yellow", label="would open")


def _print_way(document: dict[str, Any]) -> None:
    """The points, then what a person wants to know of them, one thing a line."""
    click.echo(f"{'time':<24}  {'lon':>13} {'lat':>12} {'agl_m':>8} {'amsl_m':>8} {'ellipsoid_m':>11}")
    for point in document["route"]:
        click.echo(
            f"{point['time']:<24}  {point['lon']:13.8f} {point['lat']:12.8f} {point['agl_m']:8.2f} "
            f"{point['amsl_m']:8.2f} {point['ellipsoid_m']:11.2f}"
        )
    click.echo()
    for name, words in summary(document).items():
        click.echo(f"{click.style(f'{name:<8}', bold=True)} {words}")


def summary(document: dict[str, Any]) -> dict[str, str]:
    """The way in words, by what each line is about."""
    energy, kept, tube, search = (document[name] for name in ("energy", "clearances", "tube", "search"))
    avoided, least = document["zones_avoided"], document["objective"]
    longer = document["over_ground_m"] / document["straight_m"] - 1
    minutes, seconds = divmod(round(document["flight_s"]), 60)
    return {
        "length": f"{document['length_m']:,.0f} m; over the ground {document['over_ground_m']:,.0f} m, {longer:+.1%} "
        f"against the straight line of {document['straight_m']:,.0f} m",
        "time": f"{minutes} min {seconds:02d} s, from {_clock(document['departure'])} to "
        f"{_clock(document['arrival'])} UTC",
        "energy": f"{energy['used_wh']:.1f} of {energy['usable_wh']:.1f} Wh usable; {energy['left_share']:.0%} of the "
        f"battery left at the end, {energy['reserve_wh'] / energy['battery_wh']:.0%} is the reserve",
        "keeps": f"{kept['obstacle_m']:.0f} m from every object, {kept['floor_m']:.0f} m of air under the corridor, "
        f"{kept['ceiling_m']:.0f} m below the ceiling",
        "flown": f"within {tube['horizontal_m']:.1f} m across and {tube['vertical_m']:.1f} m in height of these points",
        "zones": f"kept out of {', '.join(avoided)}" if avoided else "none in force",
        "wind": _wind_words(document["wind"]),
        "least": least + _layer_words(document),
        "search": f"{search['expansions']:,} voxels of {search['voxel_m']:g} m opened",
    }


def _clock(moment_iso: str) -> str:
    return f"{moment_iso[:10]} {moment_iso[11:19]}"


def _wind_words(wind: dict[str, Any] | None) -> str:
    if wind is None:
        return "calm"
    levels = f" at the highest point, of {len(wind['levels'])} levels" if len(wind["levels"]) > 1 else ""
    return f"{wind['speed_m_s']:g} m/s from {wind['from_deg']:g} degrees{levels}"


def _layer_words(document: dict[str, Any]) -> str:
    """What was weighed, and what came of it; without layers the lines above say it all."""
    names = [f"{layer['name']} ({layer['weight']:g})" for layer in document["layers"]]
    if not names:
        return ""
    figure = f"{document['cost']:,.1f} {_UNITS[document['objective']]}"
    return f", weighed by {', '.join(names)}: {figure} between the columns"
