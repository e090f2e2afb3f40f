"""``utm plan``: ask, and see what became of it."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import click

from utm.cli.actors import actor_option
from utm.cli.moments import moment
from utm.cli.output import airspace_option, clock, error_document, json_option, say, table, write_json
from utm.cli.places import warn_of_newer_map
from utm.errors import InputError, UtmError


@click.group("plan")
def group() -> None:
    """Submit flight plans and follow what became of them.

    \b
    Example:
      utm plan submit medicine.json
    """


@group.command(short_help="Ask for one flight, or for a fleet.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option(
    "--depart", metavar="TIME", help="Instead of the files' earliest departure: ISO 8601, or +SECONDS from now."
)
@click.option("--id", "new_id", metavar="ID", help="File the one plan under another id: every id is granted once.")
@click.option(
    "--choose",
    type=click.Choice(["any", "delay", "height", "route"]),
    default="any",
    show_default=True,
    help="The change that may be granted where the wish cannot; any takes the one that arrives first.",
)
@click.option("--rounds", type=click.IntRange(0), default=20, show_default=True, help="Of the search over a fleet.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the search over a fleet.")
@actor_option
@airspace_option
@json_option
@click.pass_context
def submit(ctx, files, depart, new_id, choose, rounds, seed, actor, airspace_path, as_json) -> None:
    """Ask for one flight, or for a fleet; each is granted, granted with the least change, or refused.

    Several FILEs are decided together: with less delay in all than one after the other, never with more. Exit code 1
    when any was refused; a plan that cannot be judged is an error, and does not keep the others from being decided.

    \b
    Example:
      utm plan submit medicine.json --json
      utm plan submit medicine.json --depart +120 --id medicine-2 --choose height
      utm plan submit a.json b.json c.json
    """
    from utm.airspace import Airspace, decision_document, read_plan
    from utm.airspace.documents import parse_plan, plan_document
    from utm.cli.app import exit_code

    if new_id is not None and len(files) > 1:
        raise click.UsageError("--id names one plan, and several files were given")

    plans = [read_plan(file) for file in files]  # all are read before any is filed
    if new_id is not None:
        plans = [parse_plan(plan_document(plan) | {"id": new_id}, "--id") for plan in plans]
    if depart is not None:
        plans = [_departing(plan, depart) for plan in plans]
    with Airspace.open(airspace_path) as airspace:
        warn_of_newer_map(airspace)
        if len(plans) == 1:
            try:
                decision = airspace.submit(plans[0], choose=choose, actor=actor)
            except InputError as error:
                raise error.at(files[0]) from None
            document = decision_document(airspace.city_map, decision)
            if as_json:
                write_json(document)
            else:
                _print_decision(document)
            ctx.exit(int(document["status"] == "refused"))
        fleet = airspace.submit_fleet(plans, choose=choose, seed=seed, rounds=rounds, actor=actor)
        documents, failed = [], []
        for file, plan, outcome in zip(files, plans, fleet.outcomes, strict=True):
            if isinstance(outcome, UtmError):
                failed.append(outcome.at(file))
                documents.append({"plan": plan.id, "status": "error", "error": error_document(failed[-1])})
            else:
                documents.append(decision_document(airspace.city_map, outcome))
    if as_json:
        write_json({"plans": documents, **_fleet_figures(fleet)})
    else:
        for document in documents:
            _print_decision(document)
        say(_fleet_words(fleet), label="together")
    codes = [exit_code(error) for error in failed]
    ctx.exit(max([*codes, *(int(document["status"] == "refused") for document in documents)]))


def _fleet_figures(fleet) -> dict:
    names = ("delay_s", "delay_in_turn_s", "refused", "refused_in_turn", "rounds", "better_rounds")
    return {name: getattr(fleet, name) for name in names}


def _fleet_words(fleet) -> str:
    words = f"{fleet.delay_s:.0f} s of delay in all"
    refused = f", {fleet.refused} refused" if fleet.refused else ""
    before = f"; one after the other it would be {fleet.delay_in_turn_s:.0f} s"
    return words + refused + before + (f" and {fleet.refused_in_turn} refused" if fleet.refused_in_turn else "")


@group.command("list")
@airspace_option
@json_option
def list_plans(airspace_path, as_json) -> None:
    """Every granted plan and its state.

    \b
    Example:
      utm plan list
    """
    from utm.airspace import Airspace, intent_summary

    with Airspace.open(airspace_path) as airspace:
        rows = [intent_summary(intent) for intent in airspace.intents()]
    if as_json:
        write_json(rows)
        return
    shown = ("id", "operator", "state", "departure", "arrival", "version")
    told = [row | {name: clock(row[name]) for name in ("departure", "arrival")} for row in rows]
    table("", shown, [[row[name] for name in shown] for row in told])


@group.command()
@click.argument("plan_id", metavar="ID")
@airspace_option
@json_option
def show(plan_id, airspace_path, as_json) -> None:
    """The decision on a plan, what became of it since, and its certificate: by how much every limit holds.

    \b
    Example:
      utm plan show medicine
      utm plan show medicine --json
    """
    from utm.airspace import Airspace, intent_detail
    from utm.cli.papers import print_papers

    with Airspace.open(airspace_path) as airspace:
        document = airspace.decision(plan_id)
        document["since"] = airspace.since(plan_id, document["receipt"]["seq"])
        if document["status"] == "approved":
            document["intent"] = intent_detail(airspace.city_map, airspace.intent(plan_id))
            document["wind"] = _wind_of(airspace, document["intent"])
    if as_json:
        write_json(document)
        return
    _print_decision(document, kept=False)
    if document["status"] == "approved":
        print_papers(document)


def _wind_of(airspace, intent: dict) -> list[dict] | None:
    """The forecast that a way was chosen by; None where that is not the one in force any more."""
    from utm.airspace.conditions import conditions_hash, wind_rows

    conditions = airspace.conditions
    if conditions_hash(conditions) != intent["judged_against"]["conditions"]:
        return None
    return wind_rows(conditions.wind)


def _state_command(name: str, method: str, help_text: str) -> None:
    @click.argument("plan_id", metavar="ID")
    @actor_option
    @airspace_option
    @json_option
    def command(plan_id, actor, airspace_path, as_json) -> None:
        from utm.airspace import Airspace, intent_summary

        with Airspace.open(airspace_path) as airspace:
            summary = intent_summary(getattr(airspace, method)(plan_id, actor=actor))
            summary["receipt"] = dataclasses.asdict(airspace.receipt)
        if as_json:
            write_json(summary)
        else:
            say(f"{plan_id} is {summary['state']}", style="green", label="done")

    group.command(name, help=f"{help_text}\n\n\b\nExample:\n  utm plan {name} medicine")(command)


_state_command("cancel", "cancel", "Take back a plan whose flight has not begun.")
_state_command("activate", "activate", "Say that the flight is about to begin.")
_state_command("end", "end", "Say that the flight is over; its room is free again.")


@group.command()
@click.argument("plan_id", metavar="ID")
@click.option("--lon", type=float, required=True, help="WGS84 longitude, degrees.")
@click.option("--lat", type=float, required=True, help="WGS84 latitude, degrees.")
@click.option("--height", "height_m", type=float, required=True, help="Metres above --datum.")
@click.option("--datum", type=click.Choice(["AGL", "AMSL", "WGS84", "JGD2011"]), required=True)
@click.option("--time", "at", help="When it was there, ISO 8601 with zone (default: now).")
@airspace_option
@json_option
@click.pass_context
def position(ctx, plan_id, lon, lat, height_m, datum, at, airspace_path, as_json) -> None:
    """Report where a drone is; it is judged against what was granted. Exit code 1 outside the corridor.

    \b
    Example:
      utm plan position medicine --lon 136.315 --lat 36.305 --height 60 --datum AGL
    """
    from utm.airspace import Airspace
    from utm.frames import check_lonlat
    from utm.model import Datum

    check_lonlat(lon, lat)
    t_s = time.time() if at is None else moment(at, "--time")
    with Airspace.open(airspace_path) as airspace:
        frame = airspace.city_map.frame
        east, north = frame.to_map(lon, lat)
        terrain = airspace.city_map.terrain_up(east, north) if datum == "AGL" else float("nan")
        up = frame.up(height_m, Datum(datum), lon, lat, terrain)
        judged = airspace.position(plan_id, t_s, [float(east), float(north), float(up)])
        state = airspace.intent(plan_id).state
    document = {
        "id": plan_id,
        "inside": judged.inside,
        "cross_track_m": round(judged.cross_track_m, 2),
        "height_error_m": round(judged.height_error_m, 2),
        "state": str(state),
    }
    if as_json:
        write_json(document)
    else:
        word = "inside" if judged.inside else "OUTSIDE"
        say(
            f"{plan_id} is {word} its corridor: {judged.cross_track_m:.1f} m across, "
            f"{judged.height_error_m:+.1f} m in height; {state}",
            style="green" if judged.inside else "red",
            label="judged",
        )
    ctx.exit(0 if judged.inside else 1)


@group.command(short_help="A granted sky road for other tools.")
@click.argument("plan_id", metavar="ID")
@click.option("--format", "form", type=click.Choice(["plan", "geojson", "kml"]), required=True)
@click.option("--out", type=click.Path(path_type=Path), help="File to write (default: stdout).")
@airspace_option
@json_option
def export(plan_id, form, out, airspace_path, as_json) -> None:
    """A granted sky road for other tools: QGroundControl .plan, GeoJSON or KML.

    \b
    Example:
      utm plan export medicine --format plan --out medicine.plan
    """
    from utm.adapters import geojson, kml, qgc_plan
    from utm.airspace import Airspace
    from utm.ops.road import sky_road

    with Airspace.open(airspace_path) as airspace:
        road = sky_road(airspace.intent(plan_id), airspace.city_map.frame)
    text = qgc_plan.dumps(road) if form == "plan" else {"geojson": geojson, "kml": kml}[form].dumps([road])
    if out is not None:
        out.write_text(text, encoding="utf-8")
    if as_json:
        where = {"text": text} if out is None else {"file": str(out)}
        write_json({"id": plan_id, "format": form, **where})
    elif out is None:
        click.echo(text, nl=False)
    else:
        say(f"wrote {out}", style="green", label="done")


@group.command()
@json_option
def schema(as_json) -> None:
    """The JSON Schema of a flight plan file.

    \b
    Example:
      utm plan schema > flight-plan.schema.json
    """
    from utm.airspace import flight_plan_schema

    write_json(flight_plan_schema())


def _departing(plan, depart: str):
    """The plan at another time, as long open as it was."""
    if depart.startswith("+"):
        try:
            start_s = round(time.time() + float(depart))
        except (ValueError, OverflowError) as error:
            raise InputError("is not a number of seconds", field="--depart", value=depart) from error
    else:
        start_s = moment(depart, "--depart")
    return plan.departing(start_s)


def _print_decision(document: dict, *, kept: bool = True) -> None:
    if document["status"] == "error":
        click.echo(f"{document['plan']}: {click.style('error', fg='red', bold=True)}: {document['error']['message']}")
        return
    approved, change = document["status"] == "approved", document["change"]
    verdict = click.style("approved" if approved else "refused", fg="green" if approved else "red", bold=True)
    click.echo(
        f"{document['plan']} ({document['operator']}): {verdict}" + (" as asked" if document["as_asked"] else "")
    )
    for reason in document["reasons"]:
        click.echo(f"  {'because' if change is None else 'asked for'}: {reason['sentence']} [{reason['code']}]")
    if change:
        click.echo(f"  change: {change['sentence']} ({change['kind']}, {_arrival(change)})")
    for other in document["other_changes"]:
        click.echo(f"  also possible: {other['sentence']} ({other['kind']}, {_arrival(other)})")
    if document.get("relaxation"):  # decisions before 0.3 have none
        click.echo(f"  would open: {document['relaxation']['sentence']}")
    for move in document.get("displaced", ()):  # decisions before 0.4 displaced nobody
        click.echo(f"  displaces {move['operator']}'s {move['id']} ({move['kind']}): {move['sentence']}")
    if document["alternative"]:
        click.echo(f"  instead: {document['alternative']['change']['sentence']}")
    for later in document.get("since", ()):
        click.echo(f"  {_for_whom(later)}")
    if document["intent"]:
        intent = document["intent"]
        click.echo(
            f"  {intent['state']}, departs {clock(intent['departure'])}, arrives {clock(intent['arrival'])}"
            f" (version {intent['version']})"
        )
        if kept:
            click.echo(f"  {_kept(intent['clearances'])}")


#: What each figure of ``clearances`` says.
_CLEARANCES = {
    "obstacle_m": "{:.0f} m from every object",
    "floor_m": "{:.0f} m of air under the corridor",
    "ceiling_m": "{:.0f} m below the ceiling",
    "separation_m": "{:.0f} m from other flights of its height",
}


def _kept(clearances: dict) -> str:
    said = [words.format(clearances[name]) for name, words in _CLEARANCES.items() if name in clearances]
    return f"keeps {', '.join(said)}"


def _for_whom(later: dict) -> str:
    """One thing that became of a flight, and on whose behalf."""
    style = "red" if later["kind"] in ("withdrawn", "Nonconforming", "Contingent") else "yellow"
    words = f"since {clock(later['time'])}, {click.style(later['kind'], fg=style)}: {later['sentence']}"
    cause = later["for"]
    if cause["kind"] in ("state", "upkeep"):
        return words
    by = f", {cause['actor']['role']} {cause['actor']['name']}" if cause["actor"] else ""
    return f"{words} (for {cause['kind']} {cause['subject'][:32]}{by}; entry {later['entry']})"


def _arrival(change: dict) -> str:
    words = f"arrives {abs(change['cost_s']):.0f} s {'later' if change['cost_s'] >= 0 else 'earlier'}"
    if change.get("energy_wh") is None:
        return words
    return f"{words}, {change['energy_wh']:+.1f} Wh, {change['length_m']:+.0f} m"
