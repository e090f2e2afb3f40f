"""Conformance of a flight by the standard's clock: a pure state machine over its reports.

`judge` says of one position whether it is inside; `utm.core.excursions` what a flight's reports show together. Here is
what becomes of the flight, by the figures of ASTM F3548-21 (`Figures`) and these rules:

- **Nonconforming** at once when the newest report that counts shows the drone outside, and when nothing has been heard
  for more than ``silent_after_s`` (from its departure on, where it was never heard). The standard's 10 s are how long
  an excursion may be, not how long one may be kept quiet.
- **Activated** again when the newest report shows it inside, and is not older than ``silent_after_s``.
- **Contingent** when Nonconforming for more than ``contingent_after_s``; there is no way back.
- The clock runs by itself: a report first meets what silence has made of the flight until it was received. So the
  states do not depend on how often, or whether, somebody asks `silence`, and two processes come to the same.
- **Gaps**: between reports more than ``interval_s`` apart nothing is known; that time counts as not shown inside.
- **Jumps**: a position that the drone cannot have reached is counted and set aside; only the next report can
  confirm it.
- **Late and out of order**: reports count in the order of their own times, up to ``settle_s`` behind the newest; older
  ones are counted and left. The states follow the newest report: what a late one shows of the past goes into the
  record.
- **Duplicates** change nothing. Of two reports of the same moment in different places the one farther outside counts.
- **Clocks**: a report whose own time is within ``clock_s`` of the time it was received is judged by its own time. One
  from the future is a fault of the drone's clock, and judged by when it was received. One from the past is *late* (a
  link that held it back), judged by its own time. But where no report was ever on time, or none has been for more than
  ``silent_after_s`` of receiving, the clock is slow: then times are put right by the least lag of the last reports, for
  delay only ever adds (the minimum filter of NTP, Mills 1991).
- A drone that said it landed, inside, may fall silent.
"""

from __future__ import annotations

import bisect
import enum
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from utm.core._jit import point
from utm.core.conformance import judge
from utm.core.excursions import F3548, Figures, Sighting, Track, closed, followed
from utm.model import Corridor, IntentState

#: Of how many reports that were not on time the lag is remembered.
_LAGS = 10
#: Of a flight that was never heard.
_NOTHING = Track()


@dataclass(frozen=True, slots=True)
class Report:
    """What a drone says of itself.

    Raises:
        ValueError: numbers that are not finite.
    """

    t_s: float
    """When it was there, by its own clock: Unix seconds."""
    enu_m: tuple[float, float, float]
    """Where: metres east, north, up in the map's frame."""
    landed: bool = False
    """Whether it says that it stands on the ground."""

    def __post_init__(self) -> None:
        _finite(self.t_s, "t_s of a report")
        object.__setattr__(self, "t_s", float(self.t_s))
        object.__setattr__(self, "enu_m", tuple(point(self.enu_m, "enu_m of a report").tolist()))


class NewsKind(enum.StrEnum):
    """What there is to tell."""

    STATE = "state"
    """The flight's state changed."""
    EXCURSION = "excursion"
    """An excursion became longer than allowed."""
    GAP = "gap"
    JUMP = "jump"
    CONFIRMED = "confirmed"
    """A jump was true."""
    LATE = "late"
    """A report came out of order, and was put in its place."""
    TOO_OLD = "too-old"
    """A report came too late to count."""
    DUPLICATE = "duplicate"
    CLOCK = "clock"
    """The drone's clock is off, or right again."""


@dataclass(frozen=True, slots=True)
class News:
    """Something that happened to a flight."""

    kind: NewsKind
    at_s: float
    """When: Unix seconds."""
    sentence: str
    state: IntentState | None = None
    """The new state, of a change of state."""


@dataclass(frozen=True, slots=True)
class Conformity:
    """A flight's history, as far as its conformance needs it. Survives a restart as `conformity_document`.

    Raises:
        ValueError: figures that make no sense, or a state of a flight that is not being flown.
    """

    fastest_m_s: float
    """The aircraft's highest speed over the ground: its airspeed and the wind together."""
    due_s: float | None = None
    """From when on it must be heard: its departure, Unix seconds. None: silence counts from its first report on."""
    state: IntentState = IntentState.ACTIVATED
    since_s: float | None = None
    """Since when it has been Nonconforming."""
    contingent_s: float | None = None
    """When it became Contingent."""
    now_s: float | None = None
    """The latest moment at which it was judged."""
    settled: Track = _NOTHING
    """What reports that are too old to be joined by others have shown."""
    recent: tuple[Sighting, ...] = ()
    """The later ones, in the order of their times."""
    track: Track = _NOTHING
    """What both together show."""
    on_time: bool = False
    """Whether a report ever came within the clocks' tolerance."""
    lags: tuple[float, ...] = ()
    """By how much too late each of the last reports was received; empty after one that was on time."""
    lagging_since_s: float | None = None
    """When the first of a run of such reports was received."""
    clock_off: bool = False
    """Whether the last report was judged by another time than its own."""
    received: int = 0
    late: int = 0
    too_old: int = 0
    duplicates: int = 0
    clock_faults: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.fastest_m_s) and self.fastest_m_s > 0):
            raise ValueError(f"fastest_m_s must be a finite number above zero, got {self.fastest_m_s!r}")
        if self.due_s is not None:
            _finite(self.due_s, "due_s")
        if self.state in (IntentState.ACCEPTED, IntentState.ENDED):
            raise ValueError(f"a flight that is {self.state} is not in the air")


def observe(
    conformity: Conformity, corridor: Corridor, report: Report, received_s: float, figures: Figures = F3548
) -> tuple[Conformity, tuple[News, ...]]:
    """The flight after one more report.

    Args:
        corridor: what is granted now; when it changes, `settled` comes first.
        received_s: Unix seconds by the clock of whoever judges. The flight's clock never goes back with it.

    Raises:
        ValueError: a time that is not finite.
    """
    _finite(received_s, "received_s")
    received_s = float(received_s)
    conformity, news = silence(conformity, received_s, figures)
    told = list(news)
    lag = received_s - report.t_s
    conformity = _lagging(conformity, lag, received_s, figures)
    t_s, off = _judged_time(conformity, report.t_s, received_s, figures)
    if off and not conformity.clock_off:
        told.append(News(NewsKind.CLOCK, t_s, f"its clock is {abs(lag):.1f} s {'slow' if lag > 0 else 'fast'}"))
    elif conformity.clock_off and not off:
        told.append(News(NewsKind.CLOCK, t_s, "its clock is right again"))
    conformity = replace(
        conformity,
        clock_off=off,
        received=conformity.received + 1,
        clock_faults=conformity.clock_faults + off,
    )
    before = conformity.track
    conformity, placed = _placed(conformity, corridor, Sighting(t_s, report.enu_m, report.landed, report.t_s), figures)
    told += placed
    told += _compared(before, conformity.track, figures)
    conformity, changed = _seen(conformity, figures)
    conformity, ran_out = _clock(conformity, figures)
    return conformity, (*told, *changed, *ran_out)


def silence(conformity: Conformity, now_s: float, figures: Figures = F3548) -> tuple[Conformity, tuple[News, ...]]:
    """The flight at a moment, with nothing more heard of it: asked now and then for every flight in the air.

    Raises:
        ValueError: a time that is not finite.
    """
    _finite(now_s, "now_s")
    if conformity.now_s is not None and now_s <= conformity.now_s:
        return conformity, ()
    return _clock(replace(conformity, now_s=float(now_s)), figures)


def settled(conformity: Conformity) -> Conformity:
    """The flight with all that was reported so far behind it: to be called before its corridor changes, so that no
    late report makes the old way be judged by the new corridor."""
    return replace(conformity, settled=conformity.track, recent=())


def _lagging(conformity: Conformity, lag: float, received_s: float, figures: Figures) -> Conformity:
    if abs(lag) <= figures.clock_s:
        return replace(conformity, on_time=True, lags=(), lagging_since_s=None)
    if lag < 0:
        return conformity
    since = received_s if conformity.lagging_since_s is None else conformity.lagging_since_s
    return replace(conformity, lags=(*conformity.lags, lag)[-_LAGS:], lagging_since_s=since)


def _judged_time(conformity: Conformity, own_s: float, received_s: float, figures: Figures) -> tuple[float, bool]:
    """By which time a report is judged, and whether that is because of its clock."""
    lag = received_s - own_s
    if abs(lag) <= figures.clock_s:
        return own_s, False
    if lag < 0:
        return received_s, True
    since = conformity.lagging_since_s
    if conformity.on_time and since is not None and received_s - since <= figures.silent_after_s:
        return own_s, False
    return received_s - (lag - min(conformity.lags)), True


def _placed(
    conformity: Conformity, corridor: Corridor, here: Sighting, figures: Figures
) -> tuple[Conformity, list[News]]:
    """Put a sighting where it belongs in time."""
    recent, fastest = conformity.recent, conformity.fastest_m_s
    if any(one.own_s == here.own_s and one.enu_m == here.enu_m and one.landed == here.landed for one in recent):
        sentence = "a report came twice"
        return replace(conformity, duplicates=conformity.duplicates + 1), [News(NewsKind.DUPLICATE, here.t_s, sentence)]
    track, told = conformity.track, []
    behind_it = [one.t_s for one in (conformity.settled.last, conformity.settled.pending) if one is not None]
    newest = recent[-1].t_s if recent else max(behind_it, default=-math.inf)
    if here.t_s < newest - figures.settle_s or here.t_s <= max(behind_it, default=-math.inf):
        behind = newest - here.t_s
        inside = judge(corridor, here.t_s, here.enu_m).inside
        sentence = f"a report from {behind:.1f} s before the newest, {'inside' if inside else 'outside'}, came too late"
        return replace(conformity, too_old=conformity.too_old + 1), [News(NewsKind.TOO_OLD, here.t_s, sentence)]
    if not recent or here.t_s > recent[-1].t_s:
        recent = (*recent, here)
        track = followed(track, corridor, here, fastest, figures)
    else:
        told.append(
            News(NewsKind.LATE, here.t_s, f"a report came {recent[-1].t_s - here.t_s:.1f} s behind a newer one")
        )
        recent = _inserted(recent, corridor, here)
        track = conformity.settled
        for one in recent:
            track = followed(track, corridor, one, fastest, figures)
        conformity = replace(conformity, late=conformity.late + 1)
    behind = conformity.settled
    kept = bisect.bisect_left(recent, recent[-1].t_s - figures.settle_s, key=lambda one: one.t_s)
    for one in recent[:kept]:
        behind = followed(behind, corridor, one, fastest, figures)
    return replace(conformity, settled=behind, recent=recent[kept:], track=track), told


def _inserted(recent: tuple[Sighting, ...], corridor: Corridor, here: Sighting) -> tuple[Sighting, ...]:
    index = bisect.bisect_left(recent, here.t_s, key=lambda one: one.t_s)
    if index < len(recent) and recent[index].t_s == here.t_s:
        worse = max(recent[index], here, key=lambda one: (*_outside(corridor, one), one.enu_m, not one.landed))
        return (*recent[:index], worse, *recent[index + 1 :])
    return (*recent[:index], here, *recent[index:])


def _outside(corridor: Corridor, one: Sighting) -> tuple[bool, float]:
    found = judge(corridor, one.t_s, one.enu_m)
    return not found.inside, found.outside_m


def _compared(before: Track, after: Track, figures: Figures) -> list[News]:
    """What a sighting made known of the track."""
    at = after.last.t_s if after.last is not None else math.nan
    told = []
    if after.jumps > before.jumps and after.pending is not None:
        told.append(News(NewsKind.JUMP, after.pending.t_s, "a position that it cannot have reached is set aside"))
    if after.confirmed > before.confirmed:
        told.append(News(NewsKind.CONFIRMED, at, "a position that it cannot have reached is confirmed by the next"))
    if after.gaps > before.gaps:
        told.append(News(NewsKind.GAP, at, f"no report for more than {figures.interval_s:g} s: not shown inside"))
    ended_before, ended_after = closed(before, None, figures), closed(after, None, figures)
    if ended_after.too_long > ended_before.too_long:
        sentence = f"an excursion of {ended_after.longest_s:.1f} s, {figures.excursion_s:g} s are allowed"
        told.append(News(NewsKind.EXCURSION, at, sentence))
    return told


def _seen(conformity: Conformity, figures: Figures) -> tuple[Conformity, list[News]]:
    """The state by the newest sighting that counts."""
    track, now = conformity.track, conformity.now_s
    if track.last is None or now is None or conformity.state is IntentState.CONTINGENT:
        return conformity, []
    at = track.last.t_s
    if conformity.state is IntentState.ACTIVATED and not track.inside:
        changed = replace(conformity, state=IntentState.NONCONFORMING, since_s=at)
        return changed, [News(NewsKind.STATE, at, "it is outside its corridor", changed.state)]
    fresh = track.last.landed or now - at <= figures.silent_after_s
    if conformity.state is IntentState.NONCONFORMING and track.inside and fresh:
        changed = replace(conformity, state=IntentState.ACTIVATED, since_s=None)
        return changed, [News(NewsKind.STATE, at, "it is inside its corridor again", changed.state)]
    return conformity, []


def _clock(conformity: Conformity, figures: Figures) -> tuple[Conformity, tuple[News, ...]]:
    """The state by the time alone."""
    now, last = conformity.now_s, conformity.track.last
    if now is None:
        return conformity, ()
    told = []
    if conformity.state is IntentState.ACTIVATED and not (last is not None and last.landed):
        heard = conformity.due_s if last is None else last.t_s
        if heard is not None and now - heard > figures.silent_after_s:
            at = heard + figures.silent_after_s
            conformity = replace(conformity, state=IntentState.NONCONFORMING, since_s=at)
            told.append(News(NewsKind.STATE, at, f"nothing heard for {figures.silent_after_s:g} s", conformity.state))
    since = conformity.since_s
    if conformity.state is IntentState.NONCONFORMING and since is not None and now - since > figures.contingent_after_s:
        at = since + figures.contingent_after_s
        conformity = replace(conformity, state=IntentState.CONTINGENT, contingent_s=at)
        sentence = f"Nonconforming for more than {figures.contingent_after_s:g} s"
        told.append(News(NewsKind.STATE, at, sentence, conformity.state))
    return conformity, tuple(told)


def conformity_document(conformity: Conformity) -> dict[str, Any]:
    """As JSON keeps it: every number comes back to the bit."""
    return asdict(conformity) | {"state": str(conformity.state)}


def conformity_from(document: Mapping[str, Any]) -> Conformity:
    """The reverse of `conformity_document`.

    Raises:
        KeyError, TypeError, ValueError: it is not one.
    """
    values = dict(document)
    values["state"] = IntentState(values["state"])
    values["settled"], values["track"] = _track_from(values["settled"]), _track_from(values["track"])
    values["recent"] = tuple(_sighting_from(one) for one in values["recent"])
    values["lags"] = tuple(values["lags"])
    return Conformity(**values)


def _track_from(document: Mapping[str, Any]) -> Track:
    values = dict(document)
    for name in ("last", "pending"):
        values[name] = None if values[name] is None else _sighting_from(values[name])
    return Track(**values)


def _sighting_from(document: Mapping[str, Any]) -> Sighting:
    return Sighting(**(dict(document) | {"enu_m": tuple(document["enu_m"])}))


def _finite(value: float, name: str) -> None:
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value!r}")
