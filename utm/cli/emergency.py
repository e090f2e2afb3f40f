"""``utm emergency``: close a volume at once, and lead everybody out of its way."""

from __future__ import annotations

import datetime
import time
from pathlib import Path

import click

from utm.cli.actors import actor_option
from utm.cli.airspace import say_moves
from utm.cli.output import airspace_option, json_option, progress, say, write_json


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@actor_option
@airspace_option
@json_option
def emergency(file, actor, airspace_path, as_json) -> None:
    """Close the zones of a GeoJSON file now. Drones that would fly into them are told to hold before them; those that
    are in them fly out, and it is said by when. Then every flight in the way gets another way, a landing or, on the
    ground, another time, one after the other; what cannot be flown any more is withdrawn.

    \b
    Example:
      utm emergency fire.geojson --as rescue:119
    """
    from utm.airspace import Airspace, read_zones
    from utm.airspace.authority import CITY

    zones = read_zones(file)
    with Airspace.open(airspace_path) as airspace:
        actor = actor or CITY
        begun = time.perf_counter()
        closed = airspace.close_volume(zones, actor=actor)
        took_s = time.perf_counter() - begun
        if not as_json:
            _say_closed(closed, took_s)
        ids, moves = [intent.id for intent in closed.touched], []
        with progress("new ways") as update:
            for number, intent_id in enumerate(ids):
                moves += airspace.make_way([intent_id], actor=actor)
                if update is not None:
                    update("flights", number + 1, len(ids))
    if as_json:
        write_json(
            {
                **closed.document(),
                "zones": [zone.id for zone in zones],
                "closed_in_s": round(took_s, 3),
                "moved": [move.document() for move in moves],
            }
        )
        return
    say_moves(moves)


def _say_closed(closed, took_s: float) -> None:  # type: ignore[no-untyped-def]
    say(f"after {took_s:.2f} s; {len(closed.touched)} flights are in its way", style="red", label="closed")
    for held in closed.holds:
        east, north, up = held.corridor.centre_line.enu_m[-1]
        say(f"{held.id} is to hold at {east:.0f} m east, {north:.0f} m north, {up:.0f} m up", label="hold")
    for intent_id, out_s in closed.leaving_s.items():
        say(f"{intent_id} is out at {_clock(out_s)}", style="yellow", label="leaving")
    say(f"from {_clock(closed.empty_s)} on, if all do as they are told", label="empty")


def _clock(moment_s: float) -> str:
    return f"{datetime.datetime.fromtimestamp(moment_s, datetime.UTC):%H:%M:%S} UTC"
