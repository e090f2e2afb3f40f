"""How long was a flight inside its corridor, and how often and how long outside? One report after the other.

What is known is only what reports show. Between two reports that are near enough in time the drone is taken to have
flown straight and evenly, and `spans_inside` says exactly when it was inside. Between two that are farther apart, and
where a drone cannot have flown from one place to the other, nothing is known: that time is *not shown* inside.

An **excursion** is a longest stretch of time not shown inside in which a report showed the drone outside, or which is
longer than ``silent_after_s``: nobody can say that such a stretch was not one long excursion. A report inside ends it.
Time on the ground between two reports that both say "landed" is no flight time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from utm.core.conformance import judge
from utm.core.within import spans_inside
from utm.model import Corridor


@dataclass(frozen=True, slots=True)
class Figures:
    """By what a flight is judged. The defaults are those of ASTM F3548-21, and four of our own where it has none."""

    inside_share: float = 0.95
    """Least share of flight time inside (F3548)."""
    excursion_s: float = 10.0
    """Longest excursion (F3548)."""
    excursions_per_hour: float = 18.0
    """Most excursions an hour of flight (F3548)."""
    contingent_after_s: float = 60.0
    """Nonconforming for longer becomes Contingent (F3548)."""
    judged_flight_s: float = 36_000.0
    """Fleets are judged over this much flight time ..."""
    judged_within_s: float = 7 * 86_400.0
    """... or this much time, whichever is reached first (F3548: 10 flight hours or 7 days)."""
    clock_s: float = 5.0
    """How far two clocks may be apart (F3548)."""
    interval_s: float = 3.0
    """Between reports at most this far apart the motion is taken for straight: telemetry of 1 Hz may lose one. A drone
    that accelerates by 2 m/s2 all the while is 2.25 m off that straight line."""
    silent_after_s: float = 10.0
    """Without a report for longer than the longest excursion allowed, a flight cannot be shown to conform any more."""
    settle_s: float = 30.0
    """Reports count in the order of their times, whatever the order they come in, up to this much behind the newest."""
    jump_slack_m: float = 15.0
    """Two positions may be this much farther apart than the drone can fly: the errors of both receivers' fixes."""


#: The standard's.
F3548 = Figures()

#: Unix time is a float64: a stretch is longer than a limit only when it is so by more than this (seconds).
_INSTANT_S = 1e-6


@dataclass(frozen=True, slots=True)
class Sighting:
    """A report, with the time that it is judged by."""

    t_s: float
    """Unix seconds by which it is judged."""
    enu_m: tuple[float, float, float]
    """Where: metres east, north, up."""
    landed: bool = False
    """Whether the drone said that it stands on the ground."""
    own_s: float = math.nan
    """The report's own time."""


@dataclass(frozen=True, slots=True)
class Track:
    """What sightings in the order of their times have shown so far."""

    last: Sighting | None = None
    """The newest that counts."""
    inside: bool = False
    """Whether that was inside."""
    pending: Sighting | None = None
    """One after it that the drone cannot have reached: it counts when the next one confirms it."""
    begun_s: float | None = None
    """Time of the first that counted."""
    inside_s: float = 0.0
    outside_s: float = 0.0
    """Flight time between reports during which the drone was outside."""
    unshown_s: float = 0.0
    """Flight time of which nothing is known."""
    since_s: float | None = None
    """Since when it has not been shown inside, up to now."""
    strayed: bool = False
    """Whether a report has shown it outside since then."""
    excursions: int = 0
    """How many have ended."""
    too_long: int = 0
    """How many of them were longer than allowed."""
    longest_s: float = 0.0
    gaps: int = 0
    jumps: int = 0
    """Positions that could not be reached."""
    confirmed: int = 0
    """Those of them that the next report confirmed."""

    @property
    def flight_s(self) -> float:
        """Flight time so far."""
        return self.inside_s + self.outside_s + self.unshown_s


def followed(track: Track, corridor: Corridor, sighting: Sighting, fastest_m_s: float, figures: Figures) -> Track:
    """The track after one more sighting, later than all before.

    A position that cannot be reached from the last one is set aside. The next one decides: can it be reached from the
    last one, the jump was an error; can it only be reached from the jump, the jump was true, and how the drone came
    there is not known; from neither, it is set aside in its place.

    Args:
        fastest_m_s: the aircraft's highest speed over the ground.
    """
    if track.last is None:
        return _counted(replace(track, begun_s=sighting.t_s), corridor, sighting, figures, reached=True)
    if _reachable(track.last, sighting, fastest_m_s, figures):
        return _counted(replace(track, pending=None), corridor, sighting, figures, reached=True)
    jump = track.pending
    if jump is not None and _reachable(jump, sighting, fastest_m_s, figures):
        track = replace(track, pending=None, confirmed=track.confirmed + 1)
        track = _counted(track, corridor, jump, figures, reached=False)
        return _counted(track, corridor, sighting, figures, reached=True)
    return replace(track, pending=sighting, jumps=track.jumps + 1)


def closed(track: Track, until_s: float | None, figures: Figures) -> Track:
    """The track with its last stretch counted; what comes after the last report, up to a time, is not shown inside.

    Args:
        until_s: when the flight was over; None where only reports count.
    """
    last = track.last
    if last is None:
        return track
    end = last.t_s
    if until_s is not None and until_s > end and not last.landed:
        track = _spent(track, end, until_s, "unshown")
        end = until_s
    return _ended(track, end, figures)


def _reachable(a: Sighting, b: Sighting, fastest_m_s: float, figures: Figures) -> bool:
    return math.dist(a.enu_m, b.enu_m) <= fastest_m_s * (b.t_s - a.t_s) + figures.jump_slack_m


def _counted(track: Track, corridor: Corridor, here: Sighting, figures: Figures, *, reached: bool) -> Track:
    inside = judge(corridor, here.t_s, here.enu_m).inside
    last = track.last
    if last is not None:
        if last.landed and here.landed:
            track = _ended(track, last.t_s, figures)
        elif not reached or here.t_s - last.t_s > figures.interval_s:
            track = replace(_spent(track, last.t_s, here.t_s, "unshown"), gaps=track.gaps + reached)
        else:
            at = last.t_s
            for begin, end in spans_inside(corridor, last.t_s, last.enu_m, here.t_s, here.enu_m).tolist():
                track = _ended(_spent(track, at, begin, "outside"), begin, figures)
                track = replace(track, inside_s=track.inside_s + (end - begin))
                at = end
            track = _spent(track, at, here.t_s, "outside")
    if inside:
        track = _ended(track, here.t_s, figures)
    else:
        since = here.t_s if track.since_s is None else track.since_s
        track = replace(track, since_s=since, strayed=True)
    return replace(track, last=here, inside=inside)


def _spent(track: Track, begin_s: float, end_s: float, kind: str) -> Track:
    """Time not shown inside: ``outside`` or ``unshown``."""
    if end_s <= begin_s:
        return track
    since = begin_s if track.since_s is None else track.since_s
    if kind == "outside":
        return replace(track, since_s=since, strayed=True, outside_s=track.outside_s + (end_s - begin_s))
    return replace(track, since_s=since, unshown_s=track.unshown_s + (end_s - begin_s))


def _ended(track: Track, at_s: float, figures: Figures) -> Track:
    """The stretch not shown inside is over, if there was one."""
    if track.since_s is None:
        return track
    lasted = at_s - track.since_s
    if track.strayed or lasted > figures.silent_after_s + _INSTANT_S:
        track = replace(
            track,
            excursions=track.excursions + 1,
            too_long=track.too_long + (lasted > figures.excursion_s + _INSTANT_S),
            longest_s=max(track.longest_s, lasted),
        )
    return replace(track, since_s=None, strayed=False)
