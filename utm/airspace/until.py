"""Until when a zone is in force, for people."""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Sequence

from utm.airspace.zones import active_intervals
from utm.model import GeoZone

#: Weekly hours repeat within this; what is in force all along has no end but its last date.
_WEEKS_S = 15 * 86400.0


def ends_s(zone: GeoZone, departure_s: float) -> float | None:
    """When a zone that is in force then, or is the next time, no longer is (Unix seconds); None if never."""
    if not zone.periods:
        return zone.valid_to_s
    horizon = departure_s + _WEEKS_S
    spans = active_intervals(zone, departure_s, horizon)
    if not spans or spans[0][1] >= horizon:
        return zone.valid_to_s
    return spans[0][1]


def clock(moment_s: float, zone: GeoZone, departure_s: float) -> str:
    """A moment as the zone's own clocks show it; with its date when it is not the day of departure."""
    local = zoneinfo.ZoneInfo(zone.timezone)
    shown, today = (datetime.datetime.fromtimestamp(value, local) for value in (moment_s, departure_s))
    words = f"{shown:%H:%M:%S}" if shown.second else f"{shown:%H:%M}"
    return words if shown.date() == today.date() else f"{shown:%Y-%m-%d} {words}"


def until_words(zone: GeoZone, departure_s: float) -> str:
    """``until 16:00 (Asia/Tokyo)``, or ``without an end``."""
    end = ends_s(zone, departure_s)
    return "without an end" if end is None else f"until {clock(end, zone, departure_s)} ({zone.timezone})"


def zone_words(zone: GeoZone, departure_s: float) -> str:
    """Name, id, and until when."""
    return f"{zone.name} ({zone.id}, {until_words(zone, departure_s)})"


def listed(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
