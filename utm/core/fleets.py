"""Has a fleet conformed as the standard asks? From the records of its flights.

ASTM F3548-21 asks this of an operator, over 10 flight hours or 7 days, not of one flight: a single excursion in three
minutes is 20 an hour.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from utm.core.conforming import Conformity
from utm.core.excursions import F3548, Figures, closed
from utm.model import IntentState


@dataclass(frozen=True, slots=True)
class FlightRecord:
    """What is kept of a flight, in seconds."""

    begun_s: float | None
    """Unix seconds of its first report; None where it was never heard."""
    until_s: float | None
    """When it was over, or its last report; None where there is neither."""
    flight_s: float
    """Inside, outside and not shown together."""
    inside_s: float
    outside_s: float
    unshown_s: float
    excursions: int
    too_long: int
    """Excursions that were longer than allowed."""
    longest_s: float
    """The longest excursion."""
    contingent: bool


@dataclass(frozen=True, slots=True)
class Tally:
    """Several flights together."""

    flights: int
    flight_s: float
    inside_s: float
    excursions: int
    too_long: int
    longest_s: float
    contingent: int
    """Flights that became Contingent."""

    @property
    def inside_share(self) -> float:
        """Share of flight time inside; NaN without any."""
        return self.inside_s / self.flight_s if self.flight_s > 0 else math.nan

    @property
    def excursions_per_hour(self) -> float:
        """Excursions an hour of flight; NaN without any flight time."""
        return self.excursions * 3600.0 / self.flight_s if self.flight_s > 0 else math.nan

    def breaches(self, figures: Figures = F3548) -> tuple[str, ...]:
        """What of the standard's figures does not hold, a sentence each; empty where all of them do."""
        told = []
        if self.flight_s > 0 and self.inside_s < figures.inside_share * self.flight_s:
            told.append(
                f"inside for {100 * self.inside_share:.2f} % of flight time, {100 * figures.inside_share:g} % are asked"
            )
        if self.excursions * 3600.0 > figures.excursions_per_hour * self.flight_s:
            told.append(
                f"{self.excursions} excursions in {self.flight_s / 3600:.2f} flight hours, "
                f"{figures.excursions_per_hour:g} an hour are allowed"
            )
        if self.too_long:
            told.append(
                f"{self.too_long} excursions of more than {figures.excursion_s:g} s, the longest {self.longest_s:.1f} s"
            )
        return tuple(told)


def flight_record(conformity: Conformity, until_s: float | None = None, figures: Figures = F3548) -> FlightRecord:
    """What a flight's history comes to.

    Args:
        until_s: when it was ended; the time after its last report, if that was not of a landed drone, was not shown
            inside. None for a flight in the air: up to its last report.

    Raises:
        ValueError: an end that is not finite.
    """
    if until_s is not None and not math.isfinite(until_s):
        raise ValueError(f"until_s must be finite, got {until_s!r}")
    track = closed(conformity.track, until_s, figures)
    ends = [one for one in (until_s, track.last.t_s if track.last is not None else None) if one is not None]
    return FlightRecord(
        begun_s=track.begun_s,
        until_s=max(ends, default=None),
        flight_s=track.flight_s,
        inside_s=track.inside_s,
        outside_s=track.outside_s,
        unshown_s=track.unshown_s,
        excursions=track.excursions,
        too_long=track.too_long,
        longest_s=track.longest_s,
        contingent=conformity.state is IntentState.CONTINGENT,
    )


def tally(records: Iterable[FlightRecord], now_s: float, figures: Figures = F3548) -> Tally:
    """An operator's flights, newest first, until there are 10 flight hours of them, and none that ended more than 7
    days ago. A flight counts whole or not at all: the one that completes the hours does, with all of it. One that was
    never heard has no flight time, and counts for nothing here.

    Args:
        now_s: Unix seconds.
    """
    counted: list[FlightRecord] = []
    hours = 0.0
    heard = [(one.until_s, one.begun_s, one) for one in records if one.until_s is not None and one.begun_s is not None]
    for until_s, _, one in sorted(heard, key=lambda known: known[:2], reverse=True):
        if until_s < now_s - figures.judged_within_s or hours >= figures.judged_flight_s:
            break
        counted.append(one)
        hours += one.flight_s
    return Tally(
        flights=len(counted),
        flight_s=math.fsum(one.flight_s for one in counted),
        inside_s=math.fsum(one.inside_s for one in counted),
        excursions=sum(one.excursions for one in counted),
        too_long=sum(one.too_long for one in counted),
        longest_s=max((one.longest_s for one in counted), default=0.0),
        contingent=sum(one.contingent for one in counted),
    )
