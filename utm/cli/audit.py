"""``utm audit`` and ``utm verify``: what was decided, whether it still stands so, and whether it was right."""

from __future__ import annotations

import json
from pathlib import Path

import click

from utm.cli.output import airspace_option, json_option, progress, say, table, write_json
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
        (entry.seq, iso(entry.at_s), entry.kind, entry.subject, _asked_by(entry), _said(entry)) for entry in entries
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
    if as_json:
        write_json({"id": plan_id, **report.document()})
    else:
        rows = [
            (
                line.kind,
                line.subject,
                f"{line.margin_low_m:+.2f}",
                "" if line.needed_m is None else f"{line.needed_m:.2f}",
            )
            for line in report.lines
        ]
        table("", ("limit", "of", "holds by (m)", "needed (m)"), rows)
        for fault in report.faults:
            say(fault, style="red", label="fault")
        word = ("every limit is proven", "green", "holds") if report.holds else ("see above", "red", "does NOT hold")
        say(word[0], style=word[1], label=word[2])
    ctx.exit(0 if report.holds else 1)


def _receipt(path: Path):  # type: ignore[no-untyped-def]
    from utm.airspace.ledger import Head

    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        found = document.get("receipt", document)
        return Head(int(found["seq"]), str(found["digest"]), str(found["signature"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError("holds no receipt", file=path, mend="Keep what `utm plan submit --json` printed.") from error


def _asked_by(entry) -> str:  # type: ignore[no-untyped-def]
    actor = entry.body["request"].get("actor")
    return f"{actor['role']} {actor['name']}" if actor else ""


def _said(entry) -> str:  # type: ignore[no-untyped-def]
    said = entry.body["answer"]
    if said.get("status") == "error":
        return said["error"]["sentence"]
    return str(said.get("status") or said.get("to") or "done")
