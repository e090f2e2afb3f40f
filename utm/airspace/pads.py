"""Who holds a pad, and for how long: no-shows let go, overruns hold on.

A grant ends by the clock; a drone does not. Until the flight is ended by somebody, its room follows the drone:

- **Landed on its pad**: the pad stays reserved, ever on.
- **Landed anywhere else**, on the pad it never left for instance, and too late for its road to be of use: the place
  where it stands stays reserved, and the road is given back.
- **Late in the air**, by more than its tolerance and its room allow, or at all once it should have landed: from where
  it is, the rest of the road is shifted later, so that it is on time again.
- **Not heard of, or astray, past its end**: the road from where it was last seen (the last piece of the road, where
  that is not known) and the pad stay reserved all at once, ever on.

All are pure functions, asked again and again: they answer None until there is something to extend, and every answer
lasts for `LEAD_S` at least, so that a flight does not get a new version every second.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from utm.core import F3548, Judgement, Report, judge
from utm.model import Corridor, IntentState, OperationalIntent, Trajectory

#: What is held on is held this much further than now ...
AHEAD_S = 120.0
#: ... and again when less than this is left of it.
LEAD_S = 30.0
#: A road of which any part may be in use is written as one that is flown in no more than this (see `_all_at_once`).
_AT_ONCE_S = 10.0
#: Who is late by less than this is not (seconds).
_AT_ALL_S = 0.01

_FLYING = (IntentState.ACTIVATED, IntentState.NONCONFORMING, IntentState.CONTINGENT)


def is_no_show(intent: OperationalIntent, now_s: float) -> bool:
    """Whether an accepted flight has let its departure pass: to be ended, its slots are free.

    It may be late by the time tolerance of its corridor, and say so by a clock that is off by as much as the standard
    allows (5 s, ASTM F3548-21). Who leaves later than that is outside the corridor anyway.

    Args:
        now_s: Unix seconds.
    """
    corridor = intent.corridor
    latest = corridor.centre_line.start_s + corridor.time_tolerance_s + F3548.clock_s
    return intent.state is IntentState.ACCEPTED and now_s > latest


def overdue(intent: OperationalIntent, now_s: float, last_report: Report | None) -> Corridor | None:
    """The room that a flight needs beyond what it was granted, or None while what it has will do.

    The new corridor takes the place of the old one. What it holds of the past is of no consequence to what comes; it
    may meet others in the future, and what then becomes of them is for the caller.

    Args:
        now_s: Unix seconds.
        last_report: the newest that there is of this flight, by a time that counts; None where it was never heard.

    Raises:
        ValueError: a time that is not finite.
    """
    if not np.isfinite(now_s):
        raise ValueError(f"now_s must be finite, got {now_s!r}")
    if intent.state not in _FLYING:
        return None
    corridor = intent.corridor
    if last_report is None:
        return _all_at_once(corridor, None, now_s) if now_s > corridor.centre_line.end_s else None
    own_s = _own_time(corridor, last_report)
    if last_report.landed:
        return _landed(corridor, now_s, last_report, own_s)
    return _airborne(corridor, now_s, last_report, own_s)


def _landed(corridor: Corridor, now_s: float, report: Report, own_s: float | None) -> Corridor | None:
    line = corridor.centre_line
    if _at(corridor, line.enu_m[-1], report) and (own_s is None or own_s > line.start_s):
        return _held_on(corridor, now_s)
    if own_s is not None and report.t_s - own_s <= corridor.time_tolerance_s and now_s <= line.end_s:
        return None
    place = np.array(report.enu_m) if own_s is None else line.at(own_s)
    until_s = max(now_s, report.t_s) + AHEAD_S - min(corridor.pad_hold_s, AHEAD_S / 2)
    return dataclasses.replace(corridor, centre_line=Trajectory([report.t_s, until_s], [place, place]))


def _airborne(corridor: Corridor, now_s: float, report: Report, own_s: float | None) -> Corridor | None:
    line = corridor.centre_line
    fresh = now_s - report.t_s <= F3548.silent_after_s
    behind = own_s is not None and own_s < line.end_s and report.t_s - own_s > 2 * _AT_ALL_S
    if behind and ((now_s > line.end_s and fresh) or not judge(corridor, report.t_s, report.enu_m).inside):
        late = _later(corridor, own_s, report.t_s)
        return late if now_s <= late.centre_line.end_s or fresh else _all_at_once(late, report.t_s, now_s)
    if own_s is not None and own_s >= line.end_s and fresh:
        return _held_on(corridor, now_s)
    if now_s <= line.end_s or (fresh and own_s is not None):
        return None
    return _all_at_once(corridor, own_s, now_s)


def _own_time(corridor: Corridor, report: Report) -> float | None:
    """The time at which the corridor has room for a drone where it was reported; None where it never has.

    It is the least late or early one (to `_AT_ALL_S`), for a road may pass a place twice, or wait there. Of who is late
    that is the moment at which the drone comes into the room, at its very edge: of the half tolerance before, the time
    counts at which the drone is nearest.
    """

    def judged(t_s: float, tolerance: float) -> Judgement:
        return judge(dataclasses.replace(corridor, time_tolerance_s=tolerance), t_s, report.enu_m)

    if judged(report.t_s, 0.0).inside:
        return report.t_s
    line = corridor.occupied
    farthest = max(abs(report.t_s - line.start_s), abs(report.t_s - line.end_s))
    off, reach = 0.0, 1.0
    while not (found := judged(report.t_s, reach)).inside:
        if reach >= farthest:
            return None
        off, reach = reach, 2.0 * reach
    while reach - off > _AT_ALL_S:
        middle = (off + reach) / 2
        if (nearer := judged(report.t_s, middle)).inside:
            found, reach = nearer, middle
        else:
            off = middle
    own_s, spare = report.t_s - found.late_s, corridor.time_tolerance_s / 4
    if found.late_s < 0:
        return own_s
    return own_s - spare - judged(own_s - spare, spare).late_s


def _at(corridor: Corridor, place: np.ndarray, report: Report) -> bool:
    """Whether a drone is in the room around a place."""
    east, north, up = np.array(report.enu_m) - place
    return bool(np.hypot(east, north) <= corridor.half_width_m and -corridor.below_m <= up <= corridor.above_m)


def _held_on(corridor: Corridor, now_s: float) -> Corridor | None:
    """The corridor at rest on its last point for longer; None while there is enough left."""
    line = corridor.centre_line
    if now_s <= line.end_s + corridor.pad_hold_s - LEAD_S:
        return None
    end_s = max(now_s + AHEAD_S - corridor.pad_hold_s, line.end_s + LEAD_S)
    resting = bool((line.enu_m[-1] == line.enu_m[-2]).all())  # one rest, however often it is made longer
    times, places = (line.t_s[:-1], line.enu_m[:-1]) if resting else (line.t_s, line.enu_m)
    return dataclasses.replace(
        corridor, centre_line=Trajectory(np.append(times, end_s), np.vstack([places, line.enu_m[-1:]]))
    )


def _later(corridor: Corridor, own_s: float, at_s: float) -> Corridor:
    """The corridor with everything from its own time ``own_s`` on shifted to ``at_s``; in between it waits there."""
    line = corridor.centre_line
    own_s = max(own_s, line.start_s)
    place = line.at(own_s)
    before, after = line.t_s < own_s, line.t_s > own_s
    times = np.concatenate([line.t_s[before], [own_s, at_s], line.t_s[after] + (at_s - own_s)])
    places = np.vstack([line.enu_m[before], place, place, line.enu_m[after]])
    distinct = np.append(True, np.diff(times) > 0)  # a knot a rounding after ``own_s``
    return dataclasses.replace(corridor, centre_line=Trajectory(times[distinct], places[distinct]))


def _all_at_once(corridor: Corridor, own_s: float | None, now_s: float) -> Corridor:
    """The road from ``own_s`` on, or its last piece, and the pad, every point of it reserved from now to `AHEAD_S`.

    Such a reservation is a road in the middle of that time, flown in a moment, with a tolerance that reaches to both
    ends of it: no drone flies like that, but wherever on it one is, it is inside.
    """
    line = corridor.centre_line
    begin_s = line.t_s[-2] if own_s is None else min(max(own_s, line.start_s), line.t_s[-2])
    after = line.t_s > begin_s
    times = np.append(begin_s, line.t_s[after]) - begin_s
    times *= min(1.0, _AT_ONCE_S / times[-1])
    places = np.vstack([line.at(begin_s), line.enu_m[after]])
    middle = now_s + AHEAD_S / 2
    return dataclasses.replace(
        corridor,
        centre_line=Trajectory(middle - times[-1] / 2 + times, places),
        time_tolerance_s=max(corridor.time_tolerance_s, AHEAD_S / 2 + times[-1] / 2),
    )
