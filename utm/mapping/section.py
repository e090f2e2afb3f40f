"""A cut through a map along a straight line: what stands there, what was seen of it, and how low one may fly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.core.columns import lowest_clear
from utm.errors import InputError, MapError
from utm.frames import check_lonlat
from utm.mapping.citymap import CityMap
from utm.mapping.mapfile import Status
from utm.model import Datum, RuleSet

#: The line is read in parts of this length, so that a line across a city needs the memory of a street.
_PART_M = 512.0
#: Stations of a line; 20 km in steps of 0.2 m.
MAX_STATIONS = 100_000

#: Something with air below it, where the line crosses one column: from start to end along the line, from low to high.
HANGING_DTYPE = np.dtype([("start_m", "f8"), ("end_m", "f8"), ("from_m", "f4"), ("to_m", "f4")])


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Stations along a line; station ``i`` speaks for all of the line from ``edges_m[i]`` to ``edges_m[i + 1]``.

    Heights are ``up`` in the map's vertical datum. Where the line crosses several columns between two edges, the
    highest surface, the lowest terrain and the narrowest room between the limits count.
    """

    version: str
    """Of the map."""
    datum: Datum
    """Of all heights."""
    rules: RuleSet
    start_deg: tuple[float, float]
    """Longitude and latitude."""
    end_deg: tuple[float, float]
    edges_m: NDArray[np.float64]
    """(n + 1,) distance from the start."""
    lonlat_deg: NDArray[np.float64]
    """(n, 2) middles of the stations."""
    terrain_m: NDArray[np.float32]
    """(n,) lowest ground."""
    base_m: NDArray[np.float32]
    """(n,) up to here it is solid without a gap; below ``surface_m`` where something hangs in the air."""
    surface_m: NDArray[np.float32]
    """(n,) highest thing; over unknown ground the height that is assumed there."""
    unknown: NDArray[np.bool_]
    """(n,) a column was not seen by any survey."""
    suspect: NDArray[np.bool_]
    """(n,) a column's height rests on returns that the outlier filter rejected; blocked until a person clears it."""
    lowest_m: NDArray[np.float64]
    """(n,) lowest centre line that keeps the clearance, to the sides as well, above everything; ``inf`` where the
    map ends within the clearance."""
    highest_m: NDArray[np.float64]
    """(n,) highest centre line: the ceiling less the half-height of a corridor."""
    hanging: NDArray
    """(m,) HANGING_DTYPE: what has air below it, column by column."""

    @property
    def length_m(self) -> float:
        """Along the ground."""
        return float(self.edges_m[-1])

    @property
    def ceiling_m(self) -> NDArray[np.float64]:
        """(n,) what no part of a corridor may exceed."""
        return self.terrain_m.astype(np.float64) + self.rules.ceiling_above_terrain_m

    @property
    def legal(self) -> NDArray[np.bool_]:
        """(n,) whether there is a height, above everything, at which a centre line may pass."""
        return self.lowest_m <= self.highest_m

    def share(self, mask: NDArray[np.bool_]) -> float:
        """Which part of the line's length a mask over the stations covers, 0 to 1."""
        return float(np.diff(self.edges_m)[mask].sum() / self.length_m)

    def stretches(self, mask: NDArray[np.bool_]) -> list[tuple[float, float]]:
        """Where along the line a mask over the stations is set: (from, to) in metres."""
        steps = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
        return [(float(self.edges_m[a]), float(self.edges_m[b])) for a, b in zip(steps[::2], steps[1::2], strict=True)]

    def to_dict(self) -> dict[str, object]:
        """For JSON: heights to the millimetre, ``None`` where the map is too near its end to say."""
        above = self.surface_m - self.terrain_m
        top = int(above.argmax())
        return {
            "map_version": self.version,
            "datum": str(self.datum),
            "from": {"lon": self.start_deg[0], "lat": self.start_deg[1]},
            "to": {"lon": self.end_deg[0], "lat": self.end_deg[1]},
            "length_m": round(self.length_m, 3),
            "rules": {
                "clearance_m": self.rules.clearance_m,
                "ceiling_above_terrain_m": self.rules.ceiling_above_terrain_m,
                "half_height_m": self.rules.half_height_m,
            },
            "legal_share": round(self.share(self.legal), 4),
            "not_legal_m": [[round(a, 3), round(b, 3)] for a, b in self.stretches(~self.legal)],
            "map_ends_m": [[round(a, 3), round(b, 3)] for a, b in self.stretches(np.isinf(self.lowest_m))],
            "unknown_share": round(self.share(self.unknown), 4),
            "unknown_m": [[round(a, 3), round(b, 3)] for a, b in self.stretches(self.unknown)],
            "suspect_m": [[round(a, 3), round(b, 3)] for a, b in self.stretches(self.suspect)],
            "tallest": {"at_m": _plain(self.edges_m[top : top + 1])[0], "above_terrain_m": _plain(above[[top]])[0]},
            "hanging": [
                dict(zip(HANGING_DTYPE.names, values, strict=True))
                for values in zip(*(_plain(self.hanging[name]) for name in HANGING_DTYPE.names), strict=True)
            ],
            "stations": {
                "edges_m": _plain(self.edges_m),
                "lon": np.round(self.lonlat_deg[:, 0], 7).tolist(),
                "lat": np.round(self.lonlat_deg[:, 1], 7).tolist(),
                "terrain_m": _plain(self.terrain_m),
                "base_m": _plain(self.base_m),
                "surface_m": _plain(self.surface_m),
                "lowest_m": _plain(np.ceil(self.lowest_m * 1000) / 1000),
                "highest_m": _plain(np.floor(self.highest_m * 1000) / 1000),
                "unknown": self.unknown.tolist(),
                "suspect": self.suspect.tolist(),
            },
        }


def profile(
    city_map: CityMap,
    start_lonlat: tuple[float, float],
    end_lonlat: tuple[float, float],
    rules: RuleSet,
    step_m: float | None = None,
) -> Profile:
    """Cut a map along the straight line (in the map's projection) between two places.

    Args:
        start_lonlat, end_lonlat: WGS84 degrees.
        rules: clearance, ceiling and half-height by which the limits are drawn.
        step_m: length of a station; a cell of the map by default.

    Raises:
        MapError: a place off the map, twice the same place, too many stations, damaged map files.
        InputError: no place on the globe, a step or a clearance that is not above zero.
    """
    for name, value in (("step_m", step_m), ("clearance_m", rules.clearance_m)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError("must be a number of metres above zero", field=name, value=value)
    a, b = (_on_map(city_map, *place) for place in (start_lonlat, end_lonlat))
    length = float(np.hypot(*(b - a)))
    step = city_map.resolution_m if step_m is None else float(step_m)
    if length < 1e-3:
        raise MapError("the line begins and ends at the same place", value=tuple(start_lonlat), mend="Give two places.")
    if length / step > MAX_STATIONS:
        raise MapError(
            f"{length / step:.0f} stations are more than the {MAX_STATIONS:,} of a profile",
            value=step, mend=f"Give a step of at least {length / MAX_STATIONS:.2g} m.",
        )  # fmt: skip
    edges, cells = _crossed(city_map, a, b, length, step)
    columns, hanging = _along(city_map, rules.clearance_m, edges, cells)

    # From pieces, one for each column and station, to stations
    station = np.floor((edges[:-1] + edges[1:]) / 2 / step).astype(np.int64)
    first = np.flatnonzero(np.diff(station, prepend=-1))
    at = np.append(edges[first], length)
    middle = a + np.outer((at[:-1] + at[1:]) / 2 / length, b - a)
    terrain = np.minimum.reduceat(columns["terrain"], first)
    return Profile(
        version=city_map.version,
        datum=city_map.frame.vertical,
        rules=rules,
        start_deg=(float(start_lonlat[0]), float(start_lonlat[1])),
        end_deg=(float(end_lonlat[0]), float(end_lonlat[1])),
        edges_m=at,
        lonlat_deg=np.column_stack(city_map.frame.to_lonlat(*middle.T)),
        terrain_m=terrain,
        base_m=np.maximum.reduceat(columns["base"], first),
        surface_m=np.maximum.reduceat(columns["surface"], first),
        unknown=np.logical_or.reduceat(columns["unknown"], first),
        suspect=np.logical_or.reduceat(columns["suspect"], first),
        lowest_m=np.maximum.reduceat(columns["lowest"], first).astype(np.float64),
        highest_m=terrain.astype(np.float64) + (rules.ceiling_above_terrain_m - rules.half_height_m),
        hanging=hanging,
    )


def _on_map(city_map: CityMap, lon: float, lat: float) -> NDArray[np.float64]:
    check_lonlat(lon, lat)
    place = np.array([float(value) for value in city_map.frame.to_map(lon, lat)])
    if not city_map.contains(*place):
        width, height = city_map.extent_m
        raise MapError(
            f"lon {lon:.6f}, lat {lat:.6f} lies off the map of {width:g} x {height:g} m",
            file=city_map.path,
            value=tuple(place.round(1).tolist()),
            mend="Choose a place on the map; `utm map info` prints its bounds.",
        )
    return place


def _crossed(
    city_map: CityMap, a: NDArray[np.float64], b: NDArray[np.float64], length: float, step: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The line cut at every line between two columns and at every step: edges (k + 1,), cells (k, 2)."""
    cell = city_map.resolution_m
    cuts = [np.array([0.0, length]), np.arange(1, math.ceil(length / step - 1e-9)) * step]
    for axis in range(2):
        low, high = sorted((a[axis], b[axis]))
        lines = np.arange(math.ceil(low / cell), math.floor(high / cell) + 1) * cell
        if high > low:
            cuts.append((lines - a[axis]) / (b[axis] - a[axis]) * length)
    edges = np.unique(np.clip(np.concatenate(cuts), 0.0, length))
    middle = a + np.outer((edges[:-1] + edges[1:]) / 2 / length, b - a)
    return edges, np.clip(np.floor(middle / cell).astype(np.int64), 0, np.array(city_map.size) - 1)


def _along(
    city_map: CityMap, clearance_m: float, edges: NDArray[np.float64], cells: NDArray[np.int64]
) -> tuple[dict[str, NDArray], NDArray]:
    """What the map says of each crossed cell (k,), read part by part with a halo of the clearance, and what hangs."""
    cell, size = city_map.resolution_m, np.array(city_map.size)
    halo = math.ceil(clearance_m / cell)
    found: list[dict[str, NDArray]] = []
    hanging = [np.empty(0, HANGING_DTYPE)]
    part = (edges[:-1] // _PART_M).astype(np.int64)
    for number in np.unique(part):
        mine = np.flatnonzero(part == number)
        low = np.maximum(cells[mine].min(axis=0) - halo, 0)
        high = np.minimum(cells[mine].max(axis=0) + halo + 1, size)
        box = (*low.tolist(), *high.tolist())
        surface = city_map.layer("surface", *box)
        ix, iy = (cells[mine] - low).T
        status = city_map.layer("status", *box)[ix, iy]
        here = {
            "terrain": city_map.layer("terrain", *box)[ix, iy],
            "surface": surface[ix, iy],
            "base": surface[ix, iy].copy(),
            "unknown": (status & Status.UNKNOWN) != 0,
            "suspect": (status & Status.SUSPECT) != 0,
            "lowest": lowest_clear(surface, cell, clearance_m)[ix, iy],
        }
        inner_low, inner_high = cells[mine].min(axis=0), cells[mine].max(axis=0)
        centres = (*((inner_low + 0.5) * cell).tolist(), *((inner_high + 0.5) * cell).tolist())
        hanging.append(_hung(city_map.runs(centres), cells[mine], edges[mine], edges[mine + 1], here["base"]))
        found.append(here)
    return {name: np.concatenate([here[name] for here in found]) for name in found[0]}, np.concatenate(hanging)


def _hung(
    runs: NDArray, cells: NDArray[np.int64], start: NDArray[np.float64], end: NDArray[np.float64], base: NDArray
) -> NDArray:
    """The runs of crossed cells that have air below them; lowers ``base`` of these cells to where the air begins."""
    if len(runs) == 0:
        return np.empty(0, HANGING_DTYPE)
    key = runs["ix"].astype(np.int64) << 32 | runs["iy"]
    wanted = cells[:, 0] << 32 | cells[:, 1]
    first, last = np.searchsorted(key, wanted, "left"), np.searchsorted(key, wanted, "right")
    hung = []
    for piece in np.flatnonzero(first < last):
        joined: list[list[float]] = []
        for run in runs[first[piece] : last[piece]]:
            if joined and run["from_m"] <= joined[-1][1]:
                joined[-1][1] = max(joined[-1][1], run["to_m"])
            else:
                joined.append([run["from_m"], run["to_m"]])
        base[piece] = joined[0][1]
        hung += [(start[piece], end[piece], low, high) for low, high in joined[1:]]
    return np.array(hung, HANGING_DTYPE)


def _plain(values: NDArray) -> list[float | None]:
    return [float(v) if math.isfinite(v) else None for v in np.round(np.asarray(values, np.float64), 3)]
