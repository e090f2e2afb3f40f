"""Ways across a whole city, in bounded memory: coarse to fine over the slab, then piece by piece in dense space.

1. The slab of usable heights (`utm.airspace.slab`): two numbers a column of planning voxels.
2. `LongPlanner` finds the voxels of a way from station to station, at most 1 % longer than the shortest over voxels.
3. The way is pulled straight in dense flight spaces along it, each around some 1.2 km of it; then again in pieces that
   begin in the middle of those, so that no joint leaves a bend. What remains of joints on straight lines is dropped.
4. It becomes level legs and vertical steps, piece by piece and again across the joints.
5. Where the inside of a turn is not clear, all that again with less air around that turn.
6. Every piece of the result is proven clear by the rule of `utm.core.segment_clear`, in dense space.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from utm.airspace.places import Place, Refusal, check_room, check_zone, column_top, in_flight
from utm.airspace.slab import Slab, less_zones, with_room
from utm.airspace.space import Skies
from utm.airspace.zones import keep_out
from utm.core import Columns, FlightSpace, KeepOut, corners_only, level_legs, segment_clear
from utm.core.anyangle import AnyAnglePlanner
from utm.core.longways import LongPlanner
from utm.core.tube import corner_triangles
from utm.core.turns import turns_clear
from utm.errors import NoPath
from utm.model import Conditions, FlightPlan, GeoZone, Objective

#: Length of a piece in voxels (1.2 km at 4 m), and how far its dense space reaches beside it: with 600 m of relief
#: some 30 million voxels.
_PIECE = 300
_BESIDE = 40
#: What is proven clear at once, in voxels.
_PROOF = 200
#: How far from a place in voxels its surroundings are looked at.
_AT_PLACE = 3
#: Around a turn that is not clear, air within so many voxels becomes narrower by one; and how often that is tried.
_AT_TURN = 12
_MOST_ROUNDS = 12

_Way = NDArray[np.float64]


class LongAir:
    """The air over a window that is too large for one dense flight space, less some zones.

    Args:
        zones: those that the flight must stay out of.
        around: further parts to keep out of, over the columns of the window.
        raise_m: fly at least this much higher than the rules ask.

    Raises:
        Refusal: the plan or the conditions ask for more than a long way is searched for.
    """

    def __init__(
        self,
        skies: Skies,
        plan: FlightPlan,
        places: tuple[Place, ...],
        zones: Sequence[GeoZone],
        conditions: Conditions,
        around: Sequence[KeepOut],
        raise_m: float,
    ) -> None:
        _check_question(skies, plan, conditions)
        self.skies, self.plan, self.places, self.zones = skies, plan, places, tuple(zones)
        self.around, self.raise_m = tuple(around), raise_m
        self._wind = conditions.wind
        self._objects = skies.slab(places)

    def turns_clear(self, triangles_m: NDArray[np.float64]) -> NDArray[np.bool_]:
        """As `utm.core.turns.turns_clear`, of objects and ceiling alone."""
        clear = [turns_clear(self._objects.around(turn, 1), turn[None])[0] for turn in triangles_m]
        return np.array(clear, np.bool_)

    def way(self, grown_m: float) -> tuple[_Way, int, float]:
        """(corners, labels and voxels tried, metres between the columns) of a short way by all places in order.

        Where the inside of a turn is not clear, it is sought again with a voxel less of the air near that turn, which
        changes little elsewhere; what is still broken after some rounds is left for the caller to find.

        Args:
            grown_m: 0. More clearance everywhere does not help where room at a few turns did not.

        Raises:
            Refusal: a pad or way point from which no legal flight starts, or no way at all.
        """
        if grown_m > 0.0:
            raise Refusal("NO_ROUTE", "No way leads there with room for its turns.")
        allowed = self._objects if self.raise_m == 0.0 else self.skies.slab(self.places, self.raise_m)
        tight: list[NDArray[np.float64]] = []
        corners, tried, cost = self._through(self._less_zones(allowed), check=True)
        for _ in range(_MOST_ROUNDS):
            turns = corner_triangles(corners, self.plan.aircraft, self._wind)
            broken = turns[~self.turns_clear(turns)]
            if len(broken) == 0:
                break
            tight += list(broken[:, 1])
            try:
                corners, more, cost = self._through(self._less_zones(with_room(allowed, tight, _AT_TURN)), check=False)
            except Refusal:
                break  # the room that is missing is all there is: the way with the broken turn says so
            tried += more
        return corners, tried, cost

    def _less_zones(self, slab: Slab) -> Slab:
        skies = self.skies
        return less_zones(slab, skies.city_map, skies.box(self.places), skies.rules, self.zones, self.around)

    def _through(self, slab: Slab, *, check: bool) -> tuple[_Way, int, float]:
        if check:
            self._check_pads(slab)
        stations = []
        for place in self.places:
            pad = place is self.places[0] or place is self.places[-1]
            stations.append((column_top if pad else in_flight)(slab.around(place.enu_m, _AT_PLACE), place))
        planner = LongPlanner(slab.lowest, slab.highest)
        legs, tried = [], 0
        for start, goal in itertools.pairwise(stations):
            try:
                found = planner.path(*slab.voxel([start, goal]))
            except NoPath as error:
                raise Refusal(
                    "NO_ROUTE", "No way leads there: terrain, buildings, ceiling and zones close it off."
                ) from error
            tried += found.expansions
            cells = slab.centre(found.cells)
            straight = _straightened(slab, np.vstack([start, cells[1:-1], goal]))
            legs.append(_levelled(slab, straight, self.plan))
        cruise = corners_only(np.vstack(legs))
        _prove(slab, cruise)
        corners = corners_only(np.vstack([self.places[0].enu_m, cruise, self.places[-1].enu_m]))
        return corners, tried, float(np.linalg.norm(np.diff(cruise, axis=0), axis=1).sum())

    def _check_pads(self, slab: Slab) -> None:
        """Raise Refusal where the rules of themselves forbid a pad or a way point."""
        rules = self.skies.rules
        near = [_columns_at(self.skies, place) for place in self.places]
        outs = [[keep_out(z, columns, self.skies.city_map.frame, rules) for z in self.zones] for columns in near]
        for place, columns, kept in zip(self.places, near, outs, strict=True):
            for zone, out in zip(self.zones, kept, strict=True):
                check_zone(columns, place, place.up_m, zone, out)
        for place, columns in ((self.places[0], near[0]), (self.places[-1], near[-1])):
            check_room(columns, place, rules.pad_radius_m)
        # The columns are led through blocked voxels, which is right for roofs and trees nearby and wrong for a zone.
        for n in (0, -1):
            top = column_top(slab.around(self.places[n].enu_m, _AT_PLACE), self.places[n])
            for zone, out in zip(self.zones, outs[n], strict=True):
                check_zone(near[n], self.places[n], top[2], zone, out)


def _check_question(skies: Skies, plan: FlightPlan, conditions: Conditions) -> None:
    strongest = conditions.wind.strongest_m_s
    asked = None
    if plan.objective is not Objective.LENGTH:
        asked = f"the least {plan.objective}"
    elif conditions.layers:
        asked = "the cheapest way over cost layers"
    elif strongest >= plan.aircraft.max_airspeed_m_s:
        asked = f"ways in a wind ({strongest:.0f} m/s) that is stronger than the aircraft is fast"
    if asked is not None:
        raise Refusal(
            "TOO_FAR_TO_WEIGH",
            f"The places lie so far apart that only the shortest way can be sought, in little wind and without cost "
            f"layers; {asked} was asked for. Ask for the shortest way, or cut the flight into shorter ones.",
        )


def _columns_at(skies: Skies, place: Place) -> Columns:
    """The map around a place, as far as the rules for pads ask."""
    reach = skies.rules.pad_radius_m + 2 * skies.cell_m
    return skies.city_map.window(
        place.east_m - reach, place.north_m - reach, place.east_m + reach, place.north_m + reach
    )


# -- pieces


def columns_along(skies: Skies, way: _Way, reach_m: float) -> Iterator[tuple[Columns, _Way]]:
    """A way (n, 3) in parts, each with the map's columns within ``reach_m`` of the box around it."""
    for a, b in itertools.pairwise(way):
        for part in itertools.pairwise(_parts(a, b, _PROOF * skies.cell_m)):
            ends = np.stack(part)
            low, high = ends[:, :2].min(axis=0) - reach_m, ends[:, :2].max(axis=0) + reach_m
            yield skies.city_map.window(*low, *high), ends


def _parts(a: NDArray[np.float64], b: NDArray[np.float64], most_m: float) -> _Way:
    """The ends of a segment, with points between them at most so far apart along each axis."""
    count = max(math.ceil(float(np.abs(b - a).max()) / most_m), 1)
    way = a + np.linspace(0.0, 1.0, count + 1)[:, None] * (b - a)
    way[-1] = b
    return way


def _lengths(way: _Way) -> NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])


def _pieces(way: _Way, first: float, each: float) -> list[_Way]:
    """A way cut at its length ``first`` and then every ``each``, at a corner where one is near; metres."""
    at = _lengths(way)
    # Nothing is cut off that is shorter than a quarter of a piece: a joint needs room on both sides.
    cuts = np.arange(first, at[-1] - each / 4, each)
    pieces, begin = [], 0
    for cut in cuts:
        at = _lengths(way)
        nearest = int(np.abs(at - cut).argmin())
        if not abs(at[nearest] - cut) <= each / 8:
            nearest = int(np.searchsorted(at, cut))
            share = (cut - at[nearest - 1]) / (at[nearest] - at[nearest - 1])
            way = np.insert(way, nearest, way[nearest - 1] + share * (way[nearest] - way[nearest - 1]), axis=0)
        if nearest > begin:
            pieces.append(way[begin : nearest + 1])
            begin = nearest
    rest = way[begin:]
    return [*pieces, rest] if len(rest) > 1 else pieces


def _joined(pieces: Sequence[_Way]) -> _Way:
    return corners_only(np.vstack(pieces))


def _straightened(slab: Slab, way: _Way) -> _Way:
    """The same way with few corners, each piece at any angle."""
    each = _PIECE * slab.cell_m

    def shortest(piece: _Way) -> _Way:
        space = slab.around(piece, _BESIDE)
        return _at_any_angle(space, piece[0], piece[-1])

    pieces = [shortest(piece) for piece in _pieces(way, each, each)]
    if len(pieces) > 1:
        pieces = [shortest(piece) for piece in _pieces(_joined(pieces), each / 2, each)]
    return _without_joints(slab, _joined(pieces), [piece[-1] for piece in pieces[:-1]])


def _at_any_angle(space: FlightSpace, start_m: _Way, goal_m: _Way) -> _Way:
    way = space.to_enu(AnyAnglePlanner(space.blocked).path(space.to_grid(start_m), space.to_grid(goal_m)).points)
    way[0], way[-1] = start_m, goal_m
    return way


def _without_joints(slab: Slab, way: _Way, joints: Sequence[_Way]) -> _Way:
    """The way less the joints between neighbours that see each other."""
    for joint in joints:
        here = np.flatnonzero((way[1:-1] == joint).all(axis=1)) + 1
        if len(here) and _seen(slab, way[here[0] - 1], way[here[0] + 1]):
            way = np.delete(way, here[0], axis=0)
    return way


def _levelled(slab: Slab, way: _Way, plan: FlightPlan) -> _Way:
    """The same way over ground in level legs and vertical steps (`utm.core.level_legs`).

    A joint of two pieces has the height of the way, for which both may have to climb. So the pieces are levelled again
    from the middle of one to the middle of the next, from and to the heights that the first turn found there. Between
    a height of the one way and of the other all is free, because a column of a slab is one stretch.
    """
    each = _PIECE * slab.cell_m

    def level(piece: _Way) -> _Way:
        return level_legs(slab.around(piece, _AT_PLACE), piece, plan.aircraft)

    once = _pieces(way, each, each)
    first = [level(piece) for piece in once]
    if len(once) == 1:
        return first[0]
    height = _heights(_joined(first))
    again, ground = [], 0.0
    for piece in _pieces(way, each / 2, each):
        length = float(np.hypot(*np.diff(piece[:, :2], axis=0).T).sum())
        ends = [np.array([*end[:2], height(s)]) for end, s in ((piece[0], ground), (piece[-1], ground + length))]
        again.append(np.vstack([ends[0], piece, ends[1]]))
        ground += length
    again[0], again[-1] = again[0][1:], again[-1][:-1]
    return _joined([level(piece) for piece in again])


def _heights(levels: _Way) -> Callable[[float], float]:
    """At which height level legs pass, over the length along the ground."""
    at = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(levels[:, :2], axis=0).T))])
    legs = np.flatnonzero(np.diff(at) > 1e-6)

    def height(ground_m: float) -> float:
        index = legs[min(int(np.searchsorted(at[legs + 1], ground_m)), len(legs) - 1)]
        return float(levels[index, 2])

    return height


# -- proof


def _seen(slab: Slab, a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    """Whether every voxel that a segment touches is free, by the rule of `utm.core.segment_clear`."""
    for one, other in itertools.pairwise(_parts(a, b, _PROOF * slab.cell_m)):
        space = slab.around(np.stack([one, other]), 1)
        if not segment_clear(space.blocked, space.to_grid(one), space.to_grid(other)):
            return False
    return True


def _prove(slab: Slab, way: _Way) -> None:
    for a, b in itertools.pairwise(way):
        if not _seen(slab, a, b):
            raise RuntimeError(
                f"the way that was found is not clear from {a.round(2).tolist()} to {b.round(2).tolist()} m: this is a "
                "mistake in the planner; please report it with the plan"
            )
