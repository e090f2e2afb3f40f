"""How much of a random demand fits into one sky: `python -m benchmarks.random_demand [--quick]`.

Flights of 5 km between random places of 10 x 10 km of flat ground ask at random moments (Poisson) to leave at once:
straight up, level at a random height, straight down, vertically at the speeds of the aircraft class `quad`. The first
to ask is the first served. Four ways of answering are tried, each on the same requests and each with its own sky:

- ``boxes``: an open UTM of today. A request is refused while its box over the ground meets that of an active flight.
- ``unchanged``: exact 4-D checks, refused where anything meets.
- ``one change``: else a delay of at most 60 s, another height of the band, or a way of at most 5 % more through one
  point aside; one of the three.
- ``any change``: else the three combined.

The cheapest change is taken: the one that arrives the least later, or else changes the height least. Everything is
decided by a seed. Four sets of sizes are flown, see `SIZES`: the first is what the airspace grants to a `quad`, the
last comes nearest to the planning note, where exact checks accept 98, 88 and 70 % at 100, 300 and 1000 an hour.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from benchmarks.map_figures import ROOT, table
from benchmarks.planner_figures import machine
from utm.core import Traffic, apart, forbidden_delays, in_conflict, least_delay
from utm.model import AIRCRAFT_CLASSES, Corridor, RuleSet, Trajectory

RESULT = ROOT / "benchmarks" / "results" / "random_demand.json"
EPOCH, SIDE_M, WAY_M = 1.8e9, 10_000.0, 5_000.0
RATES = (100, 300, 1000)
LONGEST_DELAY_S, DETOUR = 60.0, 0.05
QUAD = AIRCRAFT_CLASSES["quad"]
RULES = RuleSet()


@dataclass(frozen=True)
class Sizes:
    """What is kept around a flight and between two."""

    half_width_m: float
    half_height_m: float
    tolerance_s: float
    hold_s: float
    across_m: float
    """Separation between corridors."""
    up_m: float
    cruise_m_s: float = QUAD.cruise_m_s
    lowest_m: float = 50.0
    highest_m: float = 130.0
    """Heights of cruise above the ground: corridors between 40 and 140 m."""
    step_m: float = 5.0
    """Heights that are tried instead lie so far apart."""


def _rules(tolerance_s: float, cruise_m_s: float) -> Sizes:
    return Sizes(
        RULES.half_width_m,
        RULES.half_height_m,
        tolerance_s,
        RULES.pad_hold_s,
        RULES.separation_horizontal_m,
        RULES.separation_vertical_m,
        cruise_m_s,
    )


#: Rooms, pad holds and separations are always those of `RuleSet`. What decides is for how long a flight is in the sky
#: and by how much it may be off its time.
SIZES = {
    "8 m/s, 10 s off": _rules(RULES.time_tolerance_s, QUAD.cruise_m_s),
    "15 m/s, 10 s off": _rules(RULES.time_tolerance_s, 15.0),
    "8 m/s, on time": _rules(0.0, QUAD.cruise_m_s),
    "15 m/s, on time": _rules(0.0, 15.0),
}


@dataclass(frozen=True)
class Request:
    """From where to where, how high, when."""

    from_m: tuple[float, float]
    to_m: tuple[float, float]
    height_m: float
    at_s: float


@dataclass(frozen=True)
class Way:
    """A way to fly a request: its cruise height, and the point aside that it passes, if any."""

    height_m: float
    via_m: tuple[float, float] | None = None


def demand(per_hour: float, count: int, sizes: Sizes, seed: int) -> list[Request]:
    """Random requests, in the order in which they come."""
    rng = np.random.default_rng([seed, int(per_hour)])
    moments = EPOCH + np.cumsum(rng.exponential(3600 / per_hour, count))
    made = []
    for moment in moments:
        while True:
            begin, angle = rng.uniform(0, SIDE_M, 2), rng.uniform(0, 2 * math.pi)
            end = begin + WAY_M * np.array([math.cos(angle), math.sin(angle)])
            if ((end >= 0) & (end <= SIDE_M)).all():
                break
        height = float(rng.uniform(sizes.lowest_m, sizes.highest_m))
        made.append(Request(tuple(begin.tolist()), tuple(end.tolist()), height, float(moment)))
    return made


def flown(request: Request, way: Way, sizes: Sizes, delay_s: float = 0.0) -> Corridor:
    """The corridor of a way."""
    places = [(*request.from_m, 0.0), (*request.from_m, way.height_m)]
    if way.via_m is not None:
        places.append((*way.via_m, way.height_m))
    places += [(*request.to_m, way.height_m), (*request.to_m, 0.0)]
    took = [way.height_m / QUAD.climb_m_s]
    took += [math.dist(p, q) / sizes.cruise_m_s for p, q in itertools.pairwise(places[1:-1])]
    took.append(way.height_m / QUAD.descent_m_s)
    times = request.at_s + delay_s + np.concatenate([[0.0], np.cumsum(took)])
    half = sizes.half_height_m
    return Corridor(
        Trajectory(times, np.array(places)), sizes.half_width_m, half, half, sizes.tolerance_s, sizes.hold_s
    )


def heights(request: Request, sizes: Sizes) -> list[float]:
    """Other heights of the band, in steps from that of the request, nearest first."""
    steps = range(1, math.ceil((sizes.highest_m - sizes.lowest_m) / sizes.step_m) + 1)
    tried = [request.height_m + sign * n * sizes.step_m for n in steps for sign in (-1, 1)]
    return [height for height in tried if sizes.lowest_m <= height <= sizes.highest_m]


def asides(request: Request) -> list[tuple[float, float]]:
    """Points aside: at five places along the way, to both sides, as far as the detour allows and parts of that."""
    begin, end = np.array(request.from_m), np.array(request.to_m)
    along = (end - begin) / WAY_M
    across = np.array([-along[1], along[0]])
    found = []
    for reach, share, side in itertools.product((0.25, 0.5, 0.75, 1.0), (0.5, 0.35, 0.65, 0.2, 0.8), (-1, 1)):
        point = begin + share * WAY_M * along + side * reach * _farthest(share) * across
        if ((point >= 0) & (point <= SIDE_M)).all():
            found.append(tuple(point.tolist()))
    return found


def _farthest(share: float) -> float:
    """How far aside a point at a share of the way may lie, by bisection: at the limit of the detour, less a hair."""
    low, high = 0.0, WAY_M
    for _ in range(40):
        middle = (low + high) / 2
        length = math.hypot(share * WAY_M, middle) + math.hypot((1 - share) * WAY_M, middle)
        low, high = (middle, high) if length <= (1 + DETOUR) * WAY_M else (low, middle)
    return low


def ways(request: Request, sizes: Sizes, combined: bool) -> Iterator[Way]:
    """What may be tried instead, likeliest to be cheap first; combined: heights and points aside together."""
    other, points = heights(request, sizes), asides(request)
    if not combined:
        yield from (Way(height) for height in other)
        yield from (Way(request.height_m, point) for point in points)
    else:
        yield from (Way(height, point) for point in points for height in other)


class Sky:
    """What was granted, as far as it still matters."""

    def __init__(self, sizes: Sizes):
        self.sizes, self.traffic = sizes, Traffic()
        self.granted: dict[int, Corridor] = {}
        self.separation = sizes.across_m, sizes.up_m

    def forget(self, before_s: float) -> None:
        """Drop who landed, pads and tolerances included."""
        late = self.sizes.hold_s + 2 * self.sizes.tolerance_s + 1
        for number in [n for n, one in self.granted.items() if one.centre_line.end_s + late < before_s]:
            self.traffic.remove(number)
            del self.granted[number]

    def grant(self, number: int, corridor: Corridor) -> None:
        """Take a flight in; it must meet nobody, and that is checked once more, one by one."""
        for other in self.granted.values():
            if in_conflict(corridor.occupied, other.occupied, *apart(corridor, other, *self.separation)):
                raise RuntimeError("granted into a conflict")
        self.traffic.add(number, corridor)
        self.granted[number] = corridor

    def wait(self, corridor: Corridor, longest_s: float) -> float:
        """The least delay up to the longest at which a corridor meets nobody; infinite where there is none."""
        shifts, tolerance = [np.empty((0, 2))], 0.0
        for number in self.traffic.near(corridor, *self.separation, later_s=longest_s).tolist():
            other = self.granted[number]
            across, up, tolerance = apart(corridor, other, *self.separation)
            shifts.append(forbidden_delays(other.occupied, corridor.occupied, across, up))
        delay = least_delay(np.vstack(shifts), tolerance)
        return delay if delay <= longest_s else math.inf

    def free(self, corridor: Corridor) -> bool:
        """Whether it meets nobody as it stands."""
        return len(self.traffic.conflicts(corridor, *self.separation)) == 0


def by_boxes(requests: list[Request], sizes: Sizes) -> list[str]:
    """Refused while boxes over the ground of active flights meet."""
    active: list[tuple[float, NDArray[np.float64]]] = []
    answers = []
    for request in requests:
        corridor = flown(request, Way(request.height_m), sizes)
        line = corridor.occupied
        early, late = line.start_s - sizes.tolerance_s, line.end_s + sizes.tolerance_s
        room = sizes.half_width_m + sizes.across_m / 2
        low, high = line.enu_m[:, :2].min(axis=0) - room, line.enu_m[:, :2].max(axis=0) + room
        active = [one for one in active if one[0] >= early]
        met = any((low <= box[1]).all() and (box[0] <= high).all() for _, box in active)
        if not met:
            active.append((late, np.array([low, high])))
        answers.append("refused" if met else "unchanged")
    return answers


def answered(requests: list[Request], sizes: Sizes, changes: int) -> list[tuple[str, float, float]]:
    """Exact checks, with no change, one, or any (0, 1, 2): of each request what was done, the seconds of delay that
    this costs at the arrival, and the change of height."""
    sky, answers = Sky(sizes), []
    for number, request in enumerate(requests):
        sky.forget(request.at_s - sizes.hold_s - 2 * sizes.tolerance_s)
        asked = flown(request, Way(request.height_m), sizes)
        if sky.free(asked):
            sky.grant(number, asked)
            answers.append(("unchanged", 0.0, 0.0))
            continue
        best = None if changes == 0 else _cheapest(sky, request, asked, sizes, changes)
        if best is None:
            answers.append(("refused", 0.0, 0.0))
            continue
        cost_s, rise_m, what, corridor = best
        sky.grant(number, corridor)
        answers.append((what, cost_s, rise_m))
    return answers


def _cheapest(sky: Sky, request: Request, asked: Corridor, sizes: Sizes, changes: int):
    """(seconds later at the arrival, metres of other height, what, the corridor) of the cheapest change, or None."""
    due = asked.centre_line.end_s
    found = []
    delay = sky.wait(asked, LONGEST_DELAY_S)
    if math.isfinite(delay):
        found.append((delay, 0.0, "delay", asked, delay, Way(request.height_m)))
    for way in ways(request, sizes, combined=False):
        corridor = flown(request, way, sizes)
        if sky.free(corridor):
            what = "height" if way.via_m is None else "detour"
            late, rise = corridor.centre_line.end_s - due, abs(way.height_m - request.height_m)
            found.append((max(late, 0.0), rise, what, corridor, 0.0, way))
    if not found and changes == 2:
        for way in (*ways(request, sizes, combined=False), *ways(request, sizes, combined=True)):
            corridor = flown(request, way, sizes)
            delay = sky.wait(corridor, LONGEST_DELAY_S)
            if math.isfinite(delay):
                late, rise = corridor.centre_line.end_s + delay - due, abs(way.height_m - request.height_m)
                found.append((max(late, 0.0), rise, "combined", corridor, delay, way))
    for cost, rise, what, corridor, delay, way in sorted(found, key=lambda one: one[:2]):
        # Unix time has a quarter of a microsecond: a flight that is written down later is checked as written.
        written = flown(request, way, sizes, math.ceil(delay * 1000) / 1000) if delay > 0 else corridor
        if sky.free(written):
            return cost, rise, what, written
    return None


def study(name: str, sizes: Sizes, count: int, seed: int) -> list[dict]:
    """One row for each rate: shares of the requests that came once the sky had filled."""
    rows = []
    for rate in RATES:
        requests = demand(rate, count, sizes, seed)
        begin = requests[0].at_s + 1800.0
        counted = [n for n, request in enumerate(requests) if request.at_s >= begin]

        def share(answers: list[str], counted=counted) -> float:
            return sum(answers[n] != "refused" for n in counted) / len(counted)

        row = {"sizes": name, "per_hour": rate, "counted": len(counted)}
        row["boxes"] = share(by_boxes(requests, sizes))
        for changes, what in enumerate(("unchanged", "one_change", "any_change")):
            answers = answered(requests, sizes, changes)
            row[what] = share([one[0] for one in answers])
            if changes == 2:
                kinds = ("unchanged", "delay", "height", "detour", "combined", "refused")
                row["kinds"] = {kind: sum(answers[n][0] == kind for n in counted) / len(counted) for kind in kinds}
                row["mean_late_s"] = float(np.mean([answers[n][1] for n in counted]))
                row["worst_late_s"] = float(np.max([answers[n][1] for n in counted]))
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def main() -> None:
    """Fly the demand, print, write."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--quick", action="store_true", help="fewer requests; writes nothing")
    arguments.add_argument("--seed", type=int, default=5)
    given = arguments.parse_args()
    where = machine()
    count = 900 if given.quick else 4000
    rows = [row for name, sizes in SIZES.items() for row in study(name, sizes, count, given.seed)]
    heads = ["sizes", "requests an hour", "2-D boxes", "exact, unchanged", "one change", "any change", "mean later, s"]
    shares = ("boxes", "unchanged", "one_change", "any_change")
    print(
        table(
            heads,
            [
                [row["sizes"], row["per_hour"], *(f"{row[name]:.1%}" for name in shares), f"{row['mean_late_s']:.1f}"]
                for row in rows
            ],
        )
    )
    if not given.quick:
        result = {
            "machine": where,
            "day": datetime.now(UTC).date().isoformat(),
            "seed": given.seed,
            "sizes": {name: asdict(sizes) for name, sizes in SIZES.items()},
            "rows": rows,
        }
        RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
