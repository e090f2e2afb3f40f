"""Open ground on which a flight could land instead of where it meant to: known, bare, level, under legal sky."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from utm.airspace.places import PAD_TOLERANCE_M, Place
from utm.airspace.space import Skies
from utm.model import Datum, GeoZone, Waypoint

#: Counts, never clocks, so that a decision can be replayed.
_MOST = 24
#: Farther than this nothing is looked for.
_WITHIN_M = 600.0
#: Bare ground: the surface is no higher over the terrain than grass.
_COVER_M = 0.5


def landings(skies: Skies, near: Place, zones: Iterable[GeoZone]) -> Iterator[tuple[float, float, float]]:
    """Places to land (metres east, north, up), nearest first, at most 24, none farther than 600 m.

    Args:
        near: around which they are looked for.
        zones: those that they must stay out of.
    """
    rules = skies.rules
    columns, lowest, highest = skies.around((near,))
    nx, ny = columns.terrain_m.shape
    east = columns.origin_m[0] + (np.arange(nx) + 0.5) * columns.cell_m
    north = columns.origin_m[1] + (np.arange(ny) + 0.5) * columns.cell_m
    away = np.hypot(east[:, None] - near.east_m, north[None, :] - near.north_m)
    open_ground = (
        (away <= _WITHIN_M)
        & (lowest + skies.cell_m <= highest)
        & ~columns.unknown
        & (columns.surface_m - columns.terrain_m < _COVER_M)
    )
    for zone in zones:
        open_ground &= ~skies.kept_out(zone, (near,)).mask
    reach = math.ceil(rules.pad_radius_m / columns.cell_m) + 1
    taken: list[tuple[float, float]] = []
    order = np.argsort(away, axis=None, kind="stable")
    for flat in order[: np.count_nonzero(away <= _WITHIN_M)]:
        i, j = np.unravel_index(flat, away.shape)
        if not open_ground[i, j] or not (reach <= i < nx - reach and reach <= j < ny - reach):
            continue
        around = columns.surface_m[i - reach : i + reach + 1, j - reach : j + reach + 1]
        up = float(columns.surface_m[i, j])
        if float(around.max()) - up > PAD_TOLERANCE_M / 2:
            continue
        # Candidates side by side would fail alike: keep them a few pads apart.
        if any(math.hypot(east[i] - e, north[j] - n) < 4 * rules.pad_radius_m for e, n in taken):
            continue
        taken.append((float(east[i]), float(north[j])))
        yield float(east[i]), float(north[j]), up
        if len(taken) == _MOST:
            return


def written(skies: Skies, site_m: tuple[float, float, float]) -> Waypoint:
    """A place as an operator would write it into a plan: to 1e-7 degree and a centimetre."""
    frame = skies.city_map.frame
    lon, lat = (float(value) for value in frame.to_lonlat(*site_m[:2]))
    return Waypoint(round(lon, 7), round(lat, 7), round(site_m[2], 2), Datum(frame.vertical))
