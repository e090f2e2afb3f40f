"""``utm fly`` and ``utm monitor``: flights, live."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import sys
import time
from typing import TYPE_CHECKING

import click

from utm.cli.airspace import say_upkeep
from utm.cli.output import airspace_option, console, drawn, json_option, say, write_json
from utm.cli.places import warn_of_newer_map
from utm.errors import InputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from utm.ops.fly import Update

_COLUMNS = (
    "flight",
    "phase",
    "time",
    "height AMSL (m)",
    "cross-track (m)",
    "height error (m)",
    "in corridor",
    "battery",
)


@click.command()
@click.argument("plan_ids", nargs=-1, required=True, metavar="ID...")
@click.option(
    "--link",
    "links",
    multiple=True,
    required=True,
    help="MAVLink of the drone, one for each ID in the same order, for example udpin://127.0.0.1:14540.",
)
@airspace_option
@json_option
@click.pass_context
def fly(ctx, plan_ids, links, airspace_path, as_json) -> None:
    """Send approved sky roads to their drones, start them in time and follow them to the ground.

    The mission and the corridor's fence are uploaded, read back and confirmed in force before anything is armed. Times
    are the drones' own. Exit code 1 when a flight did not stay inside its corridor to the end.

    What others change in the airspace meanwhile is told, and a drone that is given another way in flight holds where
    that leaves the one it flies. While the airspace's database is gone the flights go on as they are known.

    \b
    Example:
      utm fly medicine --link udpin://127.0.0.1:14540
      utm fly med-1 insp-2 --link udpin://127.0.0.1:14540 --link udpin://127.0.0.1:14541
    """
    if len(links) != len(plan_ids):
        raise InputError(
            f"{len(plan_ids)} flights need as many links", field="--link", value=len(links), mend="Repeat --link."
        )
    if len(set(links)) < len(links):
        raise InputError(
            "two flights on one link", field="--link", value=", ".join(links), mend="Each drone has its own."
        )
    from utm.adapters.px4 import Px4Vehicle
    from utm.airspace import Airspace
    from utm.model import IntentState
    from utm.ops.authority import Authority
    from utm.ops.fly import Flight
    from utm.ops.fly import fly as run

    with Airspace.open(airspace_path) as airspace:
        warn_of_newer_map(airspace)
        flights = [
            Flight(airspace.intent(plan_id), airspace.city_map.frame, Px4Vehicle(link))
            for plan_id, link in zip(plan_ids, links, strict=True)
        ]
        try:
            with _live() as show:
                logs = asyncio.run(run(flights, Authority(airspace), on_update=show))
        except KeyboardInterrupt:
            for plan_id in plan_ids:
                try:
                    over = airspace.intent(plan_id).state in (IntentState.ACCEPTED, IntentState.ENDED)
                except StoreError:  # the database is gone, too
                    over = False
                if not over:
                    say(f"{plan_id} keeps its room in the air; once it has landed: utm plan end {plan_id}")
            raise
    documents = [
        {
            "id": log.intent_id,
            "conformed": log.conformed,
            "landed": log.landed,
            "reports": len(log.t_s),
            "inside": int(log.inside.sum()),
            "worst_cross_track_m": round(float(log.cross_track_m.max()), 2) if len(log.t_s) else None,
            "worst_height_error_m": round(float(abs(log.height_error_m).max()), 2) if len(log.t_s) else None,
            "error": str(log.error) if log.error else None,
            "vehicle_said": list(log.said),
        }
        for log in logs
    ]
    if as_json:
        write_json(documents)
    else:
        for document in documents:
            if document["reports"] == 0:
                say(
                    f"{document['id']}: {document['error']}".replace(f"{document['id']}: " * 2, f"{document['id']}: "),
                    style="red",
                    label="not flown",
                )
                continue
            say(
                f"{document['id']}: {document['inside']} of {document['reports']} positions inside the corridor"
                + (f"; {document['error'].removeprefix(document['id'] + ': ')}" if document["error"] else ""),
                style="green" if document["conformed"] else "red",
                label="conforming" if document["conformed"] else "NOT conforming",
            )
    # What the world did (a lost link, a vehicle that refused) is another exit than a flight that strayed.
    errors = [log.error for log in logs if log.error is not None]
    from utm.cli.app import exit_code

    ctx.exit(max([exit_code(error) for error in errors], default=0 if all(log.conformed for log in logs) else 1))


@contextlib.contextmanager
def _live():
    """A callback for updates: a live table on a terminal, a line for each change of phase otherwise."""
    if not sys.stderr.isatty():
        yield lambda update: say(_news(update)) if update.sentence else None
        return
    from rich.console import Console
    from rich.live import Live

    latest: dict[str, Update] = {}
    with Live(console=Console(stderr=True), refresh_per_second=5) as live:

        def show(update: Update) -> None:
            if update.sentence:
                live.console.print(_news(update), highlight=False, markup=False)
            if update.verdict is not None or update.intent_id not in latest:
                latest[update.intent_id] = update
            else:  # where it was last seen, and what became of it since
                latest[update.intent_id] = dataclasses.replace(latest[update.intent_id], phase=update.phase)
            live.update(_live_table(latest))

        yield show


def _news(update: Update) -> str:
    """The sentence of an update, with the flight's id before it once."""
    return f"{update.intent_id}: {update.sentence.removeprefix(update.intent_id + ': ')}"


def _live_table(latest: dict[str, Update]):
    from rich import box
    from rich.table import Table

    live_table = Table(box=box.SIMPLE_HEAD)
    for column in _COLUMNS:
        live_table.add_column(column)
    for update in latest.values():
        state, verdict = update.state, update.verdict
        if state is None or verdict is None:
            live_table.add_row(update.intent_id, update.phase, *[""] * (len(_COLUMNS) - 2))
            continue
        live_table.add_row(
            update.intent_id,
            update.phase,
            time.strftime("%H:%M:%S UTC", time.gmtime(state.t_s)),
            f"{state.amsl_m:.1f}",
            f"{verdict.cross_track_m:.1f}",
            f"{verdict.height_error_m:+.1f}",
            "[green]inside[/]" if verdict.inside else "[bold red]OUTSIDE[/]",
            f"{100 * state.battery_fraction:.0f} %",
        )
    return live_table


@click.command()
@click.option("--follow", is_flag=True, help="Look again every second until Ctrl-C, and show it in place.")
@airspace_option
@json_option
def monitor(follow, airspace_path, as_json) -> None:
    """The live flights of an airspace, where they were last seen, and how they conform.

    \b
    Example:
      utm monitor --follow
    """
    if follow and as_json:
        raise click.UsageError("--json prints one document and cannot follow")
    from utm.airspace import Airspace

    with Airspace.open(airspace_path) as airspace:
        rows = _sightings(airspace)
        if as_json:
            write_json(rows)
            return
        if not follow:
            console().print(_sightings_table(rows))
            return
        with contextlib.suppress(KeyboardInterrupt):
            _follow(lambda: _kept_up(airspace), lambda: time.sleep(1.0))


def _kept_up(airspace) -> list[dict]:
    """The sightings, once everything that the clock asks for is done."""
    say_upkeep(airspace.upkeep())
    return _sightings(airspace)


def _follow(look: Callable[[], list[dict]], pause: Callable[[], None]) -> None:
    """A table that changes in place on a terminal; what changes, one table after the other, elsewhere.

    While the airspace does not answer, what was last seen stays there, and says since when it is old. Raises StoreError
    where nothing was seen yet.
    """
    from rich.live import Live

    out, shown, rows, seen_s = console(), None, None, 0.0
    with Live(console=out, auto_refresh=False) if out.is_terminal else contextlib.nullcontext() as live:
        while True:
            old = ""
            try:
                rows, seen_s = look(), time.time()
            except StoreError as error:
                if rows is None:
                    raise
                old = f"OLD, as of {time.strftime('%H:%M:%S UTC', time.gmtime(seen_s))}: {error}"
            if (rows, old) != shown:
                shown = rows, old
                if live is None:
                    out.print(_sightings_table(rows, old))
                else:
                    live.update(_sightings_table(rows, old), refresh=True)
            pause()


#: How the monitor's fields are shown to people, and how each is worded.
_SHOWN = {
    "id": ("flight", str),
    "operator": ("operator", str),
    "state": ("state", str),
    "seen": ("seen", lambda text: f"{text[11:19]}Z"),
    "lon": ("lon", "{:.6f}".format),
    "lat": ("lat", "{:.6f}".format),
    "amsl_m": ("AMSL (m)", "{:.1f}".format),
    "cross_track_m": ("across (m)", "{:.1f}".format),
    "height_error_m": ("height (m)", "{:+.1f}".format),
    "inside": ("corridor", lambda inside: "inside" if inside else "OUTSIDE"),
    "advice": ("encounter", str),
}


def _sightings_table(rows: list[dict], title: str = "") -> RenderableType:
    if not rows:
        return f"{title}\nnothing is live".lstrip()
    shown = [["" if row[name] is None else word(row[name]) for name, (_, word) in _SHOWN.items()] for row in rows]
    return drawn(title, [heading for heading, _ in _SHOWN.values()], shown)


def _sightings(airspace) -> list[dict]:
    from utm.airspace.documents import iso
    from utm.model import Datum, IntentState

    positions, advised, rows = airspace.positions(), _advised(airspace), []
    for intent in airspace.intents():
        if intent.state is IntentState.ENDED:
            continue
        row = {"id": intent.id, "operator": intent.plan.operator, "state": str(intent.state)}
        seen = positions.get(intent.id)
        if seen is None:
            row |= dict.fromkeys(("seen", "lon", "lat", "amsl_m", "cross_track_m", "height_error_m", "inside"))
        else:
            place = airspace.city_map.frame.waypoint(seen["enu_m"], Datum.AMSL)
            row |= {
                "seen": iso(seen["t_s"]),
                "lon": round(place.lon_deg, 7),
                "lat": round(place.lat_deg, 7),
                "amsl_m": round(place.height_m, 1),
                "cross_track_m": round(seen["cross_track_m"], 1),
                "height_error_m": round(seen["height_error_m"], 1),
                "inside": seen["inside"],
            }
        rows.append(row | {"advice": advised.get(intent.id)})
    return rows


def _advised(airspace) -> dict[str, str]:
    """What drones that will come too near to each other are told, by id."""
    told: dict[str, str] = {}
    for advice in airspace.look_ahead():
        meeting = advice.encounter
        in_s = max(meeting.at_s - airspace.clock(), 0.0)
        words = f"{meeting.severity} in {in_s:.0f} s, {meeting.horizontal_m:.0f} m apart; {advice.sentence}"
        told |= {meeting.a: f"{meeting.b}: {words}", meeting.b: f"{meeting.a}: {words}"}
    return told
