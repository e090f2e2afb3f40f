"""The page that tells the whole flight: one HTML file that needs nothing else, not even a network."""

from __future__ import annotations

import base64
import datetime
import functools
import json
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np

from utm.report.figures import Check, FlightFigures, Pair, checks, flight_figures, pairs
from utm.report.flown import Flown, FlownFlight
from utm.report.templates import template_environment

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG inlined in the page."""

    source: str
    """As a data URI."""
    width: int
    height: int
    alt: str


@dataclass(frozen=True, slots=True)
class FlightRow:
    """One flight as the page shows it."""

    flight: FlownFlight
    figures: FlightFigures | None
    colour: str
    origin: str
    destination: str
    profile: Picture | None


def report_html(
    flown: Flown, pictures: Mapping[str, str | Path], result: Mapping[str, object], out_html: str | Path
) -> None:
    """Write the page: verdict, decisions, flights, pictures, what it was judged against, how to repeat it.

    The verdict is conforming only when ``result["conforming"]`` says so and every track bears it out.

    Args:
        pictures: PNG files by what they show: ``plan``, ``separation``, ``profile:<plan id>``; each may be absent.
        result: what goes into ``result.json``, shown as it is at the foot of the page. Read from it: ``conforming``
            (bool) and, where given, ``reproduce`` (a sequence of command lines) and ``proofs`` (whether each grant
            ``holds``, and the ``sentence`` of whoever proved it again).
        out_html: written whole or not at all.

    Raises:
        TypeError: a result that JSON cannot hold.
        ValueError: a picture under an unknown name, or one that is not a PNG; no ``conforming`` in the result.
        MapError: a track left the map.
        OSError: a picture cannot be read or the page cannot be written.
    """
    if not isinstance(result.get("conforming"), bool):
        raise ValueError(f"the result must say whether it is conforming, got {result.get('conforming')!r}")
    reproduce = result.get("reproduce", ())
    if isinstance(reproduce, str) or not all(isinstance(line, str) for line in reproduce):
        raise ValueError(f"the result's `reproduce` must be a sequence of command lines, got {reproduce!r}")
    profiles = {f"profile:{flight.intent.plan.id}" for flight in flown.flights}
    unknown = set(pictures) - profiles - {"plan", "separation"}
    if unknown:
        raise ValueError(
            f"no place on the page for {sorted(unknown)}; known: {sorted(profiles | {'plan', 'separation'})}"
        )
    two = pairs(flown)
    found = (*checks(flown, two), *_proofs(result.get("proofs", ())))
    rows = [_row(flown, flight, pictures) for flight in flown.flights]
    page = _template().render(
        flown=flown,
        conforming=result["conforming"] and all(check.held for check in found),
        checks=_with_the_result(found, result["conforming"]),
        rows=rows,
        refused=[
            (refused, flown.place_name(refused.plan.origin), flown.place_name(refused.plan.destination))
            for refused in flown.refused
        ],
        pairs=two,
        plan=_picture(pictures.get("plan"), _plan_alt(flown)),
        separation=_picture(pictures.get("separation"), _separation_alt(two)),
        zones_in_force=sorted({zone for flight in flown.flights for zone in flight.intent.zones}),
        neighbours=sorted({other for flight in flown.flights for other in flight.intent.neighbours}),
        reproduce=reproduce,
        result_json=json.dumps(result, indent=2, ensure_ascii=False),
    )
    out = Path(out_html)
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        beside.write_text(page, encoding="utf-8")
        beside.replace(out)
    finally:
        beside.unlink(missing_ok=True)


def _proofs(proofs: object) -> Iterator[Check]:
    """What an independent verifier said of the grants."""
    if not isinstance(proofs, Sequence):
        raise ValueError(f"the result's `proofs` must be a sequence, got {proofs!r}")
    for proof in proofs:
        yield Check(bool(proof["holds"]), str(proof["sentence"]))


def _with_the_result(found: tuple[Check, ...], conforming: bool) -> tuple[Check, ...]:
    """The tracks' checks; where they find no fault and the result does, that is a finding too."""
    if not conforming and all(check.held for check in found):
        return (
            *found,
            Check(False, "The tracks show no fault, but the run was judged as not conforming: see the result"),
        )
    return found


def _row(flown: Flown, flight: FlownFlight, pictures: Mapping[str, str | Path]) -> FlightRow:
    plan = flight.intent.plan
    origin, destination = flown.place_name(plan.origin), flown.place_name(plan.destination)
    figures = flight_figures(flown, flight)
    alt = f"Height profile of {plan.id} from {origin} to {destination}: terrain, surface, ceiling and corridor"
    if figures is None:
        alt += "; it was not flown."
    elif figures.height_error_m is not None:
        low, high = (_signed(value) for value in figures.height_error_m)
        alt += f", and the flown height, {low} to {high} m off the planned one on the way."
    else:
        alt += "; it never was on its way."
    picture = _picture(pictures.get(f"profile:{plan.id}"), alt)
    return FlightRow(flight, figures, flown.colour(flight), origin, destination, picture)


def _plan_alt(flown: Flown) -> str:
    ways = [
        f"{flight.intent.plan.id} from {flown.place_name(flight.intent.plan.origin)}"
        f" to {flown.place_name(flight.intent.plan.destination)}"
        for flight in flown.flights
    ]
    refused = [f"{refused.plan.id} was refused" for refused in flown.refused]
    return "; ".join(["Plan view of the city with its geo-zones and sky roads", *ways, *refused]) + "."


def _separation_alt(two: Sequence[Pair]) -> str:
    closest = [
        f"{pair.a.intent.plan.id} and {pair.b.intent.plan.id} were {pair.closest.horizontal_m:.0f} m apart horizontally"
        f" and {pair.closest.vertical_m:.0f} m vertically at their least separation"
        for pair in two[:3]
        if pair.closest is not None
    ]
    return "; ".join(["Horizontal and vertical distance between the drones over time", *closest]) + "."


def _picture(file: str | Path | None, alt: str) -> Picture | None:
    if file is None:
        return None
    content = Path(file).read_bytes()
    if not content.startswith(_PNG) or len(content) < 24:
        raise ValueError(f"{file}: not a PNG picture")
    width, height = struct.unpack(">II", content[16:24])
    return Picture(f"data:image/png;base64,{base64.b64encode(content).decode()}", width, height, alt)


@functools.cache
def _template() -> jinja2.Template:
    environment = template_environment()
    environment.filters.update(utc=_utc, clock=_clock, iso=_iso, signed=_signed)
    environment.globals.update(duration=_duration, share=_share)
    return environment.get_template("report.html.j2")


def _when(t_s: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(t_s, datetime.UTC)


def _utc(t_s: float) -> str:
    return f"{_when(t_s):%Y-%m-%d %H:%M:%S} UTC"


def _clock(t_s: float) -> str:
    return f"{_when(t_s):%H:%M:%S}"


def _iso(t_s: float) -> str:
    return _when(t_s).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _signed(value: float) -> str:
    """One decimal with its sign, with a true minus."""
    return f"{np.round(value, 1) + 0.0:+.1f}".replace("-", "\N{MINUS SIGN}")


def _duration(start_s: float, end_s: float) -> str:
    minutes, seconds = divmod(round(end_s - start_s), 60)
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


def _share(share: float) -> str:
    """Per cent with one decimal, cut rather than rounded: 100 % means all of it."""
    return "100 %" if share == 1.0 else f"{np.floor(share * 1000) / 10:.1f} %"
