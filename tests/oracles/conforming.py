"""Conformance by looking at every millisecond: slow, obvious, and only as sharp as its step."""

from __future__ import annotations

import itertools
import math

import numpy as np

from utm.model import Corridor

STEP_S = 0.001


def inside_at(corridor: Corridor, t_s: float, enu_m, tries: int = 400) -> bool:
    """Whether a place conforms: many points of the occupied line within the tolerance are tried."""
    line = corridor.occupied
    begin = max(line.start_s, t_s - corridor.time_tolerance_s)
    end = min(line.end_s, t_s + corridor.time_tolerance_s)
    if begin > end:
        return False
    times = np.concatenate([np.linspace(begin, end, tries), line.t_s[(line.t_s >= begin) & (line.t_s <= end)]])
    place = np.stack([np.interp(times, line.t_s, line.enu_m[:, axis]) for axis in range(3)], axis=1)
    gap = np.asarray(enu_m) - place
    return bool(
        (
            (np.hypot(gap[:, 0], gap[:, 1]) <= corridor.half_width_m)
            & (gap[:, 2] >= -corridor.below_m)
            & (gap[:, 2] <= corridor.above_m)
        ).any()
    )


def stepped(corridor: Corridor, reports, interval_s: float, step_s: float = STEP_S) -> list[tuple[float, str]]:
    """(time, ``inside`` | ``outside`` | ``unshown``) at the middle of every step between the first and last report.

    reports: (time, place), in order, none of them a jump.
    """
    found = []
    for (t0, p0), (t1, p1) in itertools.pairwise(reports):
        count = max(round((t1 - t0) / step_s), 1)
        for n in range(count):
            share = (n + 0.5) / count
            t = t0 + share * (t1 - t0)
            if t1 - t0 > interval_s:
                found.append((t, "unshown"))
            else:
                place = np.asarray(p0) + share * (np.asarray(p1) - np.asarray(p0))
                found.append((t, "inside" if inside_at(corridor, t, place) else "outside"))
    return found


def stretches(steps, shown, silent_s: float) -> list[tuple[float, float]]:
    """Excursions (begin, end): runs of steps not inside that hold one outside, or a report outside, or last longer
    than ``silent_s``.

    shown: (time, whether inside) of every report; one inside ends a run.
    """
    events = [(t, 1, kind) for t, kind in steps]
    events += [(t, 0, "shown inside" if inside else "outside") for t, inside in shown]
    runs, current = [], []
    for t, _, kind in sorted(events):
        if kind in ("inside", "shown inside"):
            if current:
                runs.append(current)
            current = []
        else:
            current.append((t, kind))
    if current:
        runs.append(current)
    spans = [(run[0][0], run[-1][0], any(kind == "outside" for _, kind in run)) for run in runs]
    return [(a, b) for a, b, strayed in spans if strayed or b - a > silent_s]


def states(reports, inside, now_s: float, *, due_s: float, silent_s: float, contingent_s: float, step_s: float = 0.1):
    """The state at every moment up to now, by asking at each what is known: [(time, state)] at every step.

    reports: (own time = time received), in order; inside: of each, whether it was.
    """
    state, since, out = "Activated", None, []
    heard, newest, n = due_s, None, 0
    count = round((now_s - due_s) / step_s)
    for k in range(count + 1):
        t = round(due_s + k * step_s, 3)
        # What the clock has done comes before what a report of this very moment says.
        if state == "Activated" and t - heard > silent_s + 1e-9:
            state, since = "Nonconforming", heard + silent_s
        if state == "Nonconforming" and t - since > contingent_s + 1e-9:
            state = "Contingent"
        while n < len(reports) and reports[n] <= t + 1e-9:
            heard, newest = reports[n], inside[n]
            if state != "Contingent":
                if newest:
                    state, since = "Activated", None
                elif state == "Activated":
                    state, since = "Nonconforming", heard
            n += 1
        out.append((t, state))
    return out


def share_inside(steps) -> float:
    """Share of the steps that are inside."""
    return sum(kind == "inside" for _, kind in steps) / len(steps) if steps else math.nan
