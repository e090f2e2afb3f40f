"""What a document must say whatever is flown: what it was judged against, its sizes, its volumes, its claims."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from utm.errors import MapError
from utm.mapping import CityMap
from utm.mapping.mapfile import identity_of, tile_box, tile_hash, version_of
from utm.model import RuleSet
from utm.verify.apart import occupied
from utm.verify.geometry import Floats
from utm.verify.reading import Claim, Intent, Malformed, Place, Room, Volume, Zone, get, seal

#: ASTM F3548-21: how far ahead an intent may reach, how many corners it may have.
MOST_AHEAD_S = 30 * 86400.0
MOST_VERTICES = 10_000
#: A pad is where the plan says, to this.
_PAD_M = 2e-3
#: A certificate may be wrong by this much on the bright side.
_CLAIM_M = 2e-3
#: Rounding of heights and widths (metres), and of Unix times (seconds).
_HAIR_M, _HAIR_S = 1e-6, 1e-5
#: Tiles whose content was hashed already; a map never changes.
_proven: weakref.WeakKeyDictionary[CityMap, set[tuple[int, int]]] = weakref.WeakKeyDictionary()


def faults_of_map(intent: Intent, city_map: CityMap, around_m: float) -> Iterator[str]:
    """Another map than the document names, or content that is not the map's (of the tiles around the flight)."""
    named = get(intent.document, "map_version", str)
    if named != city_map.version:
        yield f"It was judged on map version {named[:12]}, this is version {city_map.version[:12]}."
    identity = identity_of(city_map.meta)
    if version_of(identity, {tile: city_map.hash_of(tile) for tile in city_map.tiles()}) != city_map.version:
        yield f"The map's tiles do not make up its version {city_map.version[:12]}."
    low, high = intent.room.enu_m[:, :2].min(axis=0) - around_m, intent.room.enu_m[:, :2].max(axis=0) + around_m
    proven = _proven.setdefault(city_map, set())
    try:
        ix0, iy0, ix1, iy1 = city_map.cells(*low, *high)
        for tile in city_map.tiles():
            west, south, east, north = tile_box(city_map.size, tile)
            if tile in proven or not (west < ix1 and south < iy1 and ix0 < east and iy0 < north):
                continue
            if tile_hash(identity, tile, city_map.tile_content(tile)) == city_map.hash_of(tile):
                proven.add(tile)
            else:
                yield f"The content of the map's tile {tile} is not what the map's version names."
    except MapError as error:
        yield f"The map cannot be read around the flight: {error}"


def faults_of_names(
    intent: Intent, zones: Sequence[Zone], neighbours: Sequence[Intent], live: Sequence[Intent] | None
) -> Iterator[str]:
    """OVNs and hashes that do not belong to the documents handed in, and documents that nobody named."""
    for one in (intent, *neighbours):
        if one.ovn != (sealed := seal(one)):
            yield f"The OVN of {one.id} is {one.ovn[:12]}, its content gives {sealed[:12]}."
    named = _names(intent, "zones")
    for name in sorted(named - {zone.name for zone in zones}):
        yield f"It was judged against zone {name}, which was not handed in as such."
    for name in sorted({zone.name for zone in zones} - named):
        yield f"Zone {name} was not among those that it was judged against."
    for name in sorted(_names(intent, "neighbours") - {one.name for one in neighbours}):
        yield f"It was judged against intent {name}, which was not handed in as such."
    if live is not None:
        for name in sorted(_names(intent, "neighbours") - {one.name for one in live}):
            yield f"It was judged against intent {name}, which was not live."


def _names(intent: Intent, field: str) -> set[str]:
    names = get(intent.document, field, Sequence)
    if not all(isinstance(name, str) for name in names):
        raise Malformed(f"{field} is not a list of names")
    return set(names)


def named_neighbours(intent: Intent) -> set[str]:
    """Names of the intents that the document says it was judged against. Raises Malformed."""
    return _names(intent, "neighbours")


def faults_of_sizes(room: Room, rules: RuleSet, now_s: float | None) -> Iterator[str]:
    """A corridor narrower than the rules', too far ahead, too long, or of too many points."""
    for name, stated, needed in (
        ("half-width", room.half_width_m, rules.half_width_m),
        ("depth", room.below_m, rules.half_height_m),
        ("height", room.above_m, rules.half_height_m),
        ("time tolerance", room.time_tolerance_s, rules.time_tolerance_s),
        ("hold on pads", room.pad_hold_s, rules.pad_hold_s),
    ):
        if stated < needed:
            yield f"The corridor's {name} is {stated:g}, the rules ask for {needed:g}."
    begin = float(room.t_s[0]) if now_s is None else now_s
    if (ahead := float(room.t_s[-1]) - begin) > MOST_AHEAD_S:
        yield f"It reaches {ahead / 86400:.2f} days ahead, ASTM F3548-21 allows 30."
    if len(room.t_s) > MOST_VERTICES:
        yield f"Its centre line has {len(room.t_s)} points, ASTM F3548-21 allows {MOST_VERTICES}."


def faults_of_pads(room: Room, city_map: CityMap, places: Mapping[str, Place]) -> Iterator[str]:
    """Ends of the centre line that are not where the plan's pads are."""
    for name, place, found in zip(places, places.values(), (room.enu_m[0], room.enu_m[-1]), strict=True):
        asked = place_up(city_map, place)
        off = float(np.linalg.norm(found - asked))
        if not off <= _PAD_M:
            yield f"The centre line ends {off:.3f} m from the plan's {name}."


def place_up(city_map: CityMap, place: Place) -> Floats:
    """(3,) a place of a plan in the map's metres. Raises MapError off the map."""
    east, north = (float(value) for value in city_map.frame.to_map(place.lon_deg, place.lat_deg))
    terrain = float(city_map.terrain_up(east, north))
    up = city_map.frame.up(place.height_m, place.datum, place.lon_deg, place.lat_deg, terrain)
    return np.array([east, north, float(up)])


def faults_of_volumes(room: Room, volumes: Sequence[Volume]) -> Iterator[str]:
    """Moments of the flight that no volume holds with the whole corridor around them.

    All that a convex volume asks of a place on a straight piece is linear in the share of the piece: so it holds one
    interval of shares, and the intervals of all volumes must cover the piece.
    """
    if (count := sum(len(volume.outline_m) for volume in volumes)) > MOST_VERTICES:
        yield f"Its volumes have {count} corners, ASTM F3548-21 allows {MOST_VERTICES}."
    for n, volume in enumerate(volumes):
        if not _convex(volume.outline_m):
            yield f"Volume {n} is not a convex outline drawn anticlockwise; nothing is proven of it."
            return
    times, places = occupied(room)
    for n in range(len(times) - 1):
        (t0, t1), (a, b) = times[n : n + 2], places[n : n + 2]
        covered = 0.0
        spans = [_held(volume, room, t0, t1, a, b) for volume in volumes]
        hair = _HAIR_S / (t1 - t0)
        for begin, end in sorted(span for span in spans if span[0] <= span[1]):
            if begin <= covered + hair:
                covered = max(covered, end)
        if covered < 1.0 - hair:
            at = t0 + covered * (t1 - t0)
            yield f"No volume holds the corridor from {at - room.t_s[0]:.1f} s after departure on."


def _convex(outline: Floats) -> bool:
    edges = np.roll(outline, -1, axis=0) - outline
    onward = np.roll(edges, -1, axis=0)
    turn = edges[:, 0] * onward[:, 1] - edges[:, 1] * onward[:, 0]
    angles = np.arctan2(turn, (edges * onward).sum(axis=1))
    return bool((turn >= -_HAIR_M).all() and abs(angles.sum() - 2 * math.pi) < 1e-3)


def _held(volume: Volume, room: Room, t0: float, t1: float, a: Floats, b: Floats) -> tuple[float, float]:
    """The shares of a piece at which a volume holds the corridor around the place at all times that it may be used."""
    edges = np.roll(volume.outline_m, -1, axis=0) - volume.outline_m
    length = np.linalg.norm(edges, axis=1)
    edges, corners = edges[length > 0], volume.outline_m[length > 0]
    inwards = np.column_stack([-edges[:, 1], edges[:, 0]]) / length[length > 0][:, None]
    low, high = 0.0, 1.0
    conditions = [
        (at_a, at_b, _HAIR_M)
        for at_a, at_b in zip(
            ((a[:2] - corners) * inwards).sum(axis=1) - room.half_width_m,
            ((b[:2] - corners) * inwards).sum(axis=1) - room.half_width_m,
            strict=True,
        )
    ]
    conditions += [
        (a[2] - room.below_m - volume.floor_m, b[2] - room.below_m - volume.floor_m, _HAIR_M),
        (volume.ceiling_m - a[2] - room.above_m, volume.ceiling_m - b[2] - room.above_m, _HAIR_M),
        (t0 - room.time_tolerance_s - volume.start_s, t1 - room.time_tolerance_s - volume.start_s, _HAIR_S),
        (volume.end_s - t0 - room.time_tolerance_s, volume.end_s - t1 - room.time_tolerance_s, _HAIR_S),
    ]
    for at_a, at_b, hair in conditions:
        first, last = at_a + hair, at_b + hair
        if first < 0 and last < 0:
            return 1.0, 0.0
        if first < 0:
            low = max(low, first / (first - last))
        elif last < 0:
            high = min(high, first / (first - last))
    return low, high


@dataclass(frozen=True, slots=True)
class Proven:
    """What a certificate may say of one limit."""

    high_m: float
    """The most that can be true."""
    needed_m: float
    due: bool
    """Whether the certificate must speak of it: the thing is near."""


def faults_of_claims(claims: Sequence[Claim], proven: Mapping[tuple[str, str], Proven]) -> Iterator[str]:
    """Lines of a certificate that promise more than is proven, and lines that it lacks; ``proven`` by kind and
    subject."""
    for claim in claims:
        of = f"{claim.kind} {claim.subject}".strip()
        known = proven.get((claim.kind, claim.subject))
        if known is None:
            yield f"The certificate claims {claim.found_m:.2f} m of {of}, of which nothing is near."
            continue
        if claim.found_m > known.high_m + _CLAIM_M:
            yield f"The certificate claims {claim.found_m:.3f} m of {of}, proven are {known.high_m:.3f} m."
        if claim.needed_m < known.needed_m - _HAIR_M:
            yield f"The certificate needs {claim.needed_m:.3f} m of {of}, the rules ask for {known.needed_m:.3f} m."
    told = {(claim.kind, claim.subject) for claim in claims}
    for kind, subject in proven.keys() - told:
        if proven[kind, subject].due:
            yield f"The certificate does not speak of {kind} {subject}".rstrip() + ", which is near."
