"""The return of a flight: the way PX4 flies home, or on, of its own accord; chosen before take-off, for it keeps one.

What RTL_TYPE makes it do (PX4 1.18, navigator/rtl.cpp), with a mission whose landing is marked (DO_LAND_START):

- 4: back along the road, or onward, whichever is nearer by the count of mission items. By the items of a mission (up
  to two for the lift-off, one or two a leg, the marker) it turns back on no leg past two thirds of all, and goes on
  on none of the first third; between, only what is clear both ways counts.
- 2: onward along the road to its end.
- 0: straight home at RTL_RETURN_ALT, or at the drone's own height where that is higher; no rally points may be loaded.

The first of these that is clear at every moment of the flight is taken, else the one that is clear for longest. In this
order: 4 is down soonest by a way that is known, 2 stays in the flight's own room, and 0 leaves the road.
"""

from __future__ import annotations

import dataclasses
import math

from utm.airspace.clearing import STRETCH_S, Clearing, LeftOut
from utm.airspace.failsafes import back, onward
from utm.airspace.stretches import Stretch, common, cut, length_s
from utm.model import WayOut, WayOutKind

#: Counts: with the way onward, 8 at most. A stretch that is not clear back splits the way onward, and is one less.
_MOST_BACK = 6
_MOST_HOME = 8
#: From so many moments on the way onward is tried.
_MOST_ONWARD = 12

_Found = tuple[list[WayOut], list[LeftOut]]


def returns(clearing: Clearing) -> _Found:
    """The ways of the best return, and what is left out of it."""
    line = clearing.flight.line
    best: _Found = [], []
    longest = -1.0
    for option in (_nearer_end, _far_end, _home):
        ways, left_out = option(clearing)
        covered = length_s((way.from_s, way.until_s) for way in ways)
        if covered > longest + 1e-6:
            best, longest = (ways, left_out), covered
        if longest >= line.end_s - line.start_s - 1e-6:
            break
    return best


def _nearer_end(clearing: Clearing) -> _Found:
    line, corner_s = clearing.flight.line, clearing.flight.corner_s
    legs = max(len(corner_s) - 3, 1)
    back_until = float(corner_s[min(2 * legs // 3 + 1, len(corner_s) - 1)])
    onward_from = float(corner_s[min(legs // 3 + 1, len(corner_s) - 1)])
    ways: list[WayOut] = []
    left_out: list[LeftOut] = []
    for stretch in cut(line.start_s, back_until, STRETCH_S, _MOST_BACK):
        made = clearing.on_road(
            WayOutKind.RETURN, stretch, lambda stretch=stretch: back(clearing.flight, *stretch), left_out
        )
        if made is not None:
            ways.append(clearing.way(WayOutKind.RETURN, stretch, made, line.enu_m[0], RTL_TYPE=4.0))
    both = [*((way.from_s, way.until_s) for way in ways), (back_until, line.end_s)]
    ahead, missing = _onward(clearing, onward_from, 4.0)
    left_out += missing
    clear_ahead = [(line.start_s, onward_from), *((way.from_s, way.until_s) for way in ahead)]
    both = common(both, clear_ahead)
    return [part for way in (*ways, *ahead) for part in _within(way, both)], left_out


def _far_end(clearing: Clearing) -> _Found:
    return _onward(clearing, clearing.flight.line.start_s, 2.0)


def _onward(clearing: Clearing, from_s: float, kind: float) -> _Found:
    """Onward from as early as it is clear: what lies behind a drone cannot be met any more."""
    line = clearing.flight.line
    missing: list[LeftOut] = []
    for begin, _ in cut(from_s, line.end_s, STRETCH_S, _MOST_ONWARD):
        stretch = (begin, line.end_s)
        made = clearing.on_road(
            WayOutKind.RETURN, stretch, lambda begin=begin: onward(clearing.flight, begin), tried := []
        )
        if made is not None:
            way = clearing.way(WayOutKind.RETURN, stretch, made, line.enu_m[-1], RTL_TYPE=kind)
            return [way], [dataclasses.replace(gap, from_s=from_s, until_s=begin) for gap in missing[-1:]]
        missing += tried
    return [], [dataclasses.replace(gap, from_s=from_s, until_s=line.end_s) for gap in missing[-1:]]


def _home(clearing: Clearing) -> _Found:
    line = clearing.flight.line
    home = line.enu_m[0]
    above = float(math.ceil(line.enu_m[:, 2].max() - home[2]))
    ways: list[WayOut] = []
    left_out: list[LeftOut] = []
    for stretch in clearing.stretches(_MOST_HOME):
        made = clearing.straight(
            WayOutKind.RETURN, stretch, tuple(home.tolist()), left_out, climb_to_m=float(home[2]) + above
        )
        if made is not None:
            settings = {"RTL_TYPE": 0.0, "RTL_CONE_ANG": 0.0, "RTL_RETURN_ALT": above}
            ways.append(clearing.way(WayOutKind.RETURN, stretch, made, home, **settings))
    return ways, left_out


def _within(way: WayOut, stretches: list[Stretch]) -> list[WayOut]:
    """A way out for those of its moments only that lie in some stretches."""
    parts = common([(way.from_s, way.until_s)], stretches)
    return [dataclasses.replace(way, from_s=begin, until_s=end) for begin, end in parts]
