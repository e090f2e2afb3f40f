"""How fast a volume is closed among many live intents: `python -m benchmarks.emergency [--live 10000]`.

The town and the flights of `benchmarks.admission_load`, through the whole engine and durable in SQLite. An hour into
the day a square of 400 m over the busiest place is closed, for two hours and without an end; whoever is in the air
there is Activated before. Warm: another volume elsewhere is closed first. Timed by the wall: until `close_volume` has
answered (volume entered, holds commanded, time until it is empty known), then for each flight until its new way is
granted. Writes benchmarks/results/emergency.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.admission_load import FIRST_S, PER_HOUR, SIDE_M, fill
from benchmarks.demand import town
from benchmarks.planner_figures import RESULTS, machine
from utm.airspace import Airspace
from utm.airspace.rejudging import touched
from utm.model import Actor, Datum, GeoZone, IntentState, Restriction, Role

RESCUE = Actor("119", Role.RESCUE)
HALF_M, LASTS_S = 200.0, 7200.0


def square(airspace: Airspace, name: str, centre_m, until_s: float | None) -> GeoZone:  # type: ignore[no-untyped-def]
    """A zone from the ground up."""
    corners = [(centre_m[0] + x * HALF_M, centre_m[1] + y * HALF_M) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    frame = airspace.city_map.frame
    outline = tuple(tuple(float(v) for v in frame.to_lonlat(*corner)) for corner in corners)
    return GeoZone(
        name, name, Restriction.PROHIBITED, outline, 0.0, Datum.AGL, 200.0, Datum.AGL, valid_to_s=until_s
    )  # fmt: skip


def closing(airspace: Airspace, zone: GeoZone) -> dict[str, object]:
    """Close a zone, and lead everybody out of its way."""
    began = time.perf_counter()
    closed = airspace.close_volume([zone], actor=RESCUE)
    took = time.perf_counter() - began
    each, kinds = [], {}
    for intent in closed.touched:
        began = time.perf_counter()
        for move in airspace.make_way([intent.id], actor=RESCUE):
            kinds[move.kind] = kinds.get(move.kind, 0) + 1
        each.append(time.perf_counter() - began)
    with airspace._journal.picture.view() as view:
        left = touched(airspace._world.situation(view, airspace.clock()), [zone])
    return {
        "zone": zone.id,
        "closed_in_s": round(took, 3),
        "affected": len(closed.touched),
        "in_the_air_holding": len(closed.holds),
        "in_the_air_leaving": len(closed.leaving_s),
        "empty_after_s": round(closed.empty_s - airspace.clock(), 1),
        "new_way_ms_median": round(float(np.median(each)) * 1e3, 1) if each else None,
        "new_way_ms_p95": round(float(np.quantile(each, 0.95)) * 1e3, 1) if each else None,
        "moves": kinds,
        "still_in_the_way": [one.id for one in left if one.state is not IntentState.CONTINGENT],
    }


def measured(live: int) -> dict[str, object]:
    """The figures of one airspace."""
    with tempfile.TemporaryDirectory(prefix="emergency-") as name:
        folder, begin = Path(name), 1_900_000_000.0
        now = begin
        with Airspace.create(folder / "airspace", town(folder, SIDE_M), clock=lambda: now) as airspace:
            fill(airspace, live, live / PER_HOUR * 3600.0, begin)
            now = begin + FIRST_S + 3600.0
            with airspace._journal.picture.view() as view:
                every = view.live()
            flying = [one for one in every if one.corridor.centre_line.start_s <= now < one.corridor.centre_line.end_s]
            for intent in flying:
                airspace.activate(intent.id, intent.corridor.centre_line.start_s)
            places = np.array([one.corridor.centre_line.at(now)[:2] for one in flying])
            onward = [one.corridor.centre_line for one in flying if one.corridor.centre_line.end_s > now + 90.0]
            ahead = np.array([line.at(now + 60.0)[:2] for line in onward]).reshape(-1, 2)
            near = [(np.abs(ahead - place).max(axis=1) < HALF_M).sum() for place in ahead]
            centre = ahead[int(np.argmax(near))] if len(ahead) else np.full(2, SIDE_M / 2)
            far = places[int(np.argmax(np.hypot(*(places - centre).T)))] if len(flying) else centre + 1500.0
            closing(airspace, square(airspace, "warm", far, now + LASTS_S))
            rows = [closing(airspace, square(airspace, "two-hours", centre, now + LASTS_S))]
            now += 600.0
            rows.append(closing(airspace, square(airspace, "without-an-end", centre + (2.5 * HALF_M, 0.0), None)))
        return {"live": live, "in_the_air": len(flying), "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--live", type=int, default=10_000)
    found = measured(parser.parse_args().live)
    result = {"machine": machine(), "day": datetime.now(UTC).date().isoformat(), **found}
    print(json.dumps(result, indent=2))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "emergency.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
