"""``utm audit`` and ``utm verify``: what was decided, whether it still stands so, and whether it was right."""

from __future__ import annotations

import json
import math
from pathlib import Path

import click

from utm.cli.output import airspace_option, clock, json_option, progress, say, table, write_json
from utm.cli.papers import short
from utm.errors import InputError


@click.group()
def audit() -> None:
    """The log of everything that was asked of an airspace, and what it answered.

    \b
    Example:
      utm audit verify
    """


@audit.command("log", short_help="The entries of the log.")
@click.option("--after", type=click.IntRange(min=0), default=0, help="Only those after this one.")
@click.option("--subject", metavar="ID", help="Only those of one plan, zone or layer.")
@airspace_option
@json_option
def show_log(after, subject, airspace_path, as_json) -> None:
    """The entries of the log: what was asked, by whom, and what was answered.

    \b
    Example:
      utm audit log --subject medicine --json
    """
    from utm.airspace import Airspace
    from utm.airspace.documents import iso

    with Airspace.open(airspace_path) as airspace:
        entries = [entry for entry in airspace.events(after) if subject in (None, entry.subject)]
    if as_json:
        fields = ("seq", "at_s", "kind", "subject", "body", "previous", "digest", "signature")
        write_json([{name: getattr(entry, name) for name in fields} for entry in entries])
        return
    rows = [
        (entry.seq, clock(iso(entry.at_s)), entry.kind, _subject(entry), _asked_by(entry), _said(entry))
        for entry in entries
    ]
    table("", ("entry", "time", "kind", "subject", "asked by", "answer"), rows)


@audit.command(short_help="Whether the log is what was written.")
@click.option(
    "--receipt",
    "receipts",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A decision that somebody kept (plan submit --json): the log must still hold it.",
)
@airspace_option
@json_option
@click.pass_context
def verify(ctx, receipts, airspace_path, as_json) -> None:
    """Whether the log is what was written: finds entries that were edited, dropped, reordered or cut off, and those
    that were not signed by the airspace. Exit code 1 when there are any.

    That the end was cut off, or all was written anew, shows only against a receipt that somebody kept.

    \b
    Example:
      utm audit verify --receipt decision.json
    """
    from utm.airspace import Airspace

    kept = [_receipt(path) for path in receipts]
    with Airspace.open(airspace_path) as airspace:
        faults, checked = airspace.audit(kept)
    if as_json:
        rows = [{"seq": fault.seq, "sentence": fault.sentence} for fault in faults]
        write_json({"entries": checked, "receipts": len(kept), "holds": not faults, "faults": rows})
    else:
        for fault in faults:
            say(fault.sentence, style="red", label=f"entry {fault.seq}")
        if not faults:
            say(f"{checked} entries, each as it was written and signed", style="green", label="holds")
    ctx.exit(1 if faults else 0)


@audit.command(short_help="Decide the whole log again.")
@airspace_option
@json_option
@click.pass_context
def replay(ctx, airspace_path, as_json) -> None:
    """Decide the whole log again, every request on what it was judged against then. Exit code 1 when an answer is not
    the same to the byte.

    \b
    Example:
      utm audit replay
    """
    from utm.airspace import Airspace

    differing, done = [], 0
    with Airspace.open(airspace_path) as airspace, progress("decided again") as update:
        last = airspace.head.seq
        for again in airspace.replay():
            done += 1
            if update is not None:
                update("entries", done, last)
            if not again.same:
                differing.append(again)
    if as_json:
        rows = [{"seq": one.entry.seq, "kind": one.entry.kind, "difference": one.difference} for one in differing]
        write_json({"entries": done, "same": not differing, "differing": rows})
    else:
        for one in differing:
            say(one.difference, style="red", label=f"entry {one.entry.seq} ({one.entry.kind})")
        if not differing:
            say(f"{done} entries decided again, all the same to the byte", style="green", label="same")
    ctx.exit(1 if differing else 0)


@click.command("verify", short_help="Prove an approval again, by other means.")
@click.argument("plan_id", metavar="ID")
@airspace_option
@json_option
@click.pass_context
def verify_plan(ctx, plan_id, airspace_path, as_json) -> None:
    """Prove an approval again with the independent verifier, which shares no code with what granted it: by how much
    every limit holds, where and when. Exit code 1 when one does not.

    \b
    Example:
      utm verify medicine
    """
    from utm.airspace import Airspace
    from utm.airspace.proof import papers_of
    from utm.verify import verify as prove

    with Airspace.open(airspace_path) as airspace:
        papers = papers_of(airspace, plan_id)
        report = prove(papers.intent, **papers.rest)
    seq = papers.intent["judged"][0]
    if as_json:
        beside = {"zones": len(papers.zones), "live": len(papers.live), "named": len(papers.neighbours)}
        map_version = papers.city_map.version
        write_json({**report.document(), "judged_against": {"entry": seq, "map": map_version, **beside}})
    else:
        _print_report(report)
        for fault in report.faults:
            say(fault, style="red", label="fault")
        against = f"{len(papers.zones)} zones and the {len(papers.live)} flights that were live then (entry {seq})"
        if report.holds:
            say(f"every limit is proven, against the map, {against}", style="green", label="holds")
        elif papers.holding:
            say("it is told to wait in the air, and is proven once it has its new way", style="red", label="NOT proven")
        else:
            say(f"judged against the map, {against}", style="red", label="does NOT hold")
    ctx.exit(0 if report.holds else 1)


def _print_report(report) -> None:  # type: ignore[no-untyped-def]
    """Every limit on stdout; margins are lower bounds, and what is broken is marked."""
    from rich.text import Text

    from utm.airspace.documents import iso

    rows = []
    for line in report.lines:
        margin = f"{line.margin_low_m:+.3f}" if math.isfinite(line.margin_high_m) else f"over {line.margin_low_m:+.0f}"
        rows.append(
            (
                line.kind,
                short(line.subject),
                Text(margin, style="green" if line.holds else "bold red"),
                f"{line.needed_m:.2f}",
                "" if line.at_s is None else clock(iso(line.at_s)),
                "" if line.at_m is None else " ".join(f"{value:.1f}" for value in line.at_m),
            )
        )
    if rows:
        table("", ("limit", "of", "holds by (m)", "needed (m)", "when", "where (m east, north, up)"), rows)


def _receipt(path: Path):  # type: ignore[no-untyped-def]
    from utm.airspace.ledger import Head

    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        found = document.get("receipt", document)
        return Head(int(found["seq"]), str(found["digest"]), str(found["signature"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError("holds no receipt", file=path, mend="Keep what `utm plan submit --json` printed.") from error


def _subject(entry) -> str:  # type: ignore[no-untyped-def]
    """A version of the map as short as everywhere else."""
    return entry.subject[:12] if entry.kind == "map" else entry.subject


def _asked_by(entry) -> str:  # type: ignore[no-untyped-def]
    actor = entry.body["request"].get("actor")
    if not actor:
        return "the clock"
    return actor["role"] if actor["name"] == actor["role"] else f"{actor['role']} {actor['name']}"


def _said(entry) -> str:  # type: ignore[no-untyped-def]
    """The answer in a few words, with how many others it moved."""
    said = entry.body["answer"]
    if said.get("status") == "error":
        return said["error"]["sentence"]
    if "plans" in said:
        granted = sum(one["status"] == "approved" for one in said["plans"])
        words = f"{granted} of {len(said['plans'])} approved"
    elif entry.kind == "upkeep":
        words = f"{len(said['no_shows'])} no-shows, {len(said['extended'])} overruns"
    else:
        words = str(said.get("status") or said.get("to") or "done")
    if entry.kind == "emergency":
        return f"{len(said['touched'])} flights in its way, {len(said['holds'])} to hold"
    kinds = [move["kind"] for name in ("touched", "moved", "displaced") for move in said.get(name, ())]
    return ", ".join([words, *(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))])
