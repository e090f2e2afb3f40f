"""What was granted, for people: the way, its certificate, its ways out, its energy, its wind."""

from __future__ import annotations

import click

from utm.cli.conditions import wind_in_words
from utm.cli.output import clock, table

#: What gives a flight another way or time than it was granted first.
_MOVED = ("replanned", "rerouted", "landing", "holding", "hold", "overrun")
#: So many characters of a hash tell two versions apart.
_HASH = 8


def print_papers(document: dict) -> None:
    """The papers of a grant on stdout.

    Args:
        document: the decision, as ``utm plan show --json`` prints it.
    """
    intent = document["intent"]
    _print_route(intent["route"])
    _print_certificate(intent["limits"])
    for kind in dict.fromkeys(way["kind"] for way in intent["ways_out"]):
        click.echo(f"  {_ways_in_words(kind, [way for way in intent['ways_out'] if way['kind'] == kind])}")
    if not intent["ways_out"]:
        click.echo("  ways out: none are kept for it")
    click.echo(f"  energy: {_energy_in_words(document)}")
    click.echo(f"  wind: {_wind_in_words(document['wind'])}")
    judged = intent["judged_against"]
    click.echo(
        f"  judged against entry {judged['entry'][0]} of the log, version {judged['map'][:12]} of the map, "
        f"{len(judged['zones'])} zones, {len(judged['intents'])} flights near it"
    )


def short(subject: str) -> str:
    """``id@hash`` with as much of the hash as a person needs."""
    name, at, version = subject.rpartition("@")
    return f"{name}@{version[:_HASH]}" if at else subject


def _print_route(points: list[dict]) -> None:
    shown = ("time", "lon", "lat", "agl_m", "amsl_m", "ellipsoid_m")
    rows = [
        [point["time"], f"{point['lon']:.7f}", f"{point['lat']:.7f}"]
        + [f"{point[name]:.1f}" for name in ("agl_m", "amsl_m", "ellipsoid_m")]
        for point in points
    ]
    table("", shown, rows)


def _print_certificate(limits: list[dict]) -> None:
    """The least of each kind of limit."""
    least: dict[str, dict] = {}
    for limit in limits:
        kind = limit["kind"]
        if kind not in least or limit["margin_m"] < least[kind]["margin_m"]:
            least[kind] = limit
    rows = [
        (
            kind,
            short(one["subject"]),
            f"{one['found_m']:.2f}",
            f"{one['needed_m']:.2f}",
            f"{one['margin_m']:+.2f}",
            clock(one["time"]),
            sum(limit["kind"] == kind for limit in limits),
        )
        for kind, one in least.items()
    ]
    table("", ("limit", "least is of", "found (m)", "needed (m)", "holds by (m)", "when", "of"), rows)


def _ways_in_words(kind: str, ways: list[dict]) -> str:
    first, last = min(way["from"] for way in ways), max(way["until"] for way in ways)
    sites = {(way["lon"], way["lat"]) for way in ways}
    where = {
        "return": "back to where it began",
        "land": f"to {len(sites)} landing site{'s' if len(sites) > 1 else ''}",
        "hold": f"for {min(way['wait_s'] for way in ways):.0f} s at least",
    }.get(kind, "")
    return f"way out, {kind}: {where}, if it fails from {clock(first)} to {clock(last)} ({len(ways)} kept free)"


def _energy_in_words(document: dict) -> str:
    energy = document["energy"]
    if energy is None:
        return "not worked out: it flies as its operator brought it"
    words = f"{energy['used_wh']:.0f} Wh of {energy['battery_wh']:.0f} Wh, {100 * energy['left_share']:.0f} % left"
    moved = any(later["kind"] in _MOVED for later in document["since"])
    return f"{words}, as it was first granted" if moved else words


def _wind_in_words(rows: list[dict] | None) -> str:
    if rows is None:
        return "of a forecast that is not in force any more"
    return wind_in_words(rows)
