"""What differs between two versions of a map: how much space is newly blocked, how much newly clear, and where."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import rasterio.features
import shapely
from numpy.typing import NDArray

from utm.errors import MapError
from utm.mapping.citymap import CityMap
from utm.mapping.mapfile import TILE, TileContent, identity_of
from utm.mapping.runs import changed_m

#: Columns that changed by less are counted, but drawn in no area: surveys differ by decimetres everywhere.
LEAST_M = 0.5


@dataclass(frozen=True)
class Difference:
    """From one version to another."""

    before: str
    after: str
    newly_blocked_m3: float
    """Space that was clear and is solid or unknown now, summed over all columns."""
    newly_clear_m3: float
    tiles_compared: int
    """Those whose content differs; the others were not read."""
    unknown_share_before: float
    unknown_share_after: float
    least_m: float
    """Columns that changed by less than this are in the sums, but in no feature."""
    features: list[dict[str, Any]]
    """GeoJSON in WGS84, one for each connected area (over edges and corners), most changed volume first; properties
    newly_blocked_m3, newly_clear_m3, area_m2, and of the surface highest_rise_m, deepest_drop_m."""

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def difference(before: CityMap, after: CityMap, *, least_m: float = LEAST_M) -> Difference:
    """Compare two maps over the same grid, column by column, with the air below wires and bridges.

    Args:
        least_m: metres of a column that must have changed for it to be drawn.

    Raises:
        MapError: the maps have different frames or grids, or one is damaged.
    """
    one, other = identity_of(before.meta), identity_of(after.meta)
    for field in ("frame", "resolution_m", "size"):
        if one[field] != other[field]:
            raise MapError(
                f"cannot be compared with {before.path}, whose {field} is {one[field]}",
                file=after.path, field=field, value=other[field], mend="Give two versions of one map.",
            )  # fmt: skip
    square = before.resolution_m**2
    tiles = [tile for tile in before.tiles() if before.hash_of(tile) != after.hash_of(tile)]
    blocked, clear, pieces = [], [], []
    for tile in tiles:
        old, new = before.tile_content(tile), after.tile_content(tile)
        solid_m, clear_m = changed_m(old.runs, old.layers["surface"], new.runs, new.layers["surface"])
        blocked.append(float(solid_m.sum()) * square)
        clear.append(float(clear_m.sum()) * square)
        pieces += _pieces(old, new, solid_m, clear_m, (tile[0] * TILE, tile[1] * TILE), least_m)
    features = [_feature(area, after) for area in _joined(pieces)]
    features.sort(key=_largest_first)
    return Difference(
        before.version, after.version, round(math.fsum(blocked), 3), round(math.fsum(clear), 3), len(tiles),
        _unknown_share(before), _unknown_share(after), least_m, features,
    )  # fmt: skip


@dataclass(frozen=True)
class _Piece:
    """A changed area within one tile, or several joined; lengths across in cells of the map, heights in metres."""

    outline: shapely.Geometry
    solid: float
    clear: float
    cells: int
    rise: float
    drop: float


def _pieces(
    old: TileContent,
    new: TileContent,
    solid_m: NDArray[np.float64],
    clear_m: NDArray[np.float64],
    corner: tuple[int, int],
    least_m: float,
) -> list[_Piece]:
    """Connected areas of one tile."""
    changed = (solid_m + clear_m) >= max(least_m, np.finfo(np.float32).tiny)
    if not changed.any():
        return []
    flat = np.ascontiguousarray(changed.T, np.uint8)  # a row of a raster runs east
    found = [shape for shape, _ in rasterio.features.shapes(flat, mask=flat.view(bool), connectivity=8)]
    # Outlines burnt back number the cells of each area
    number = rasterio.features.rasterize(
        [(shape, n + 1) for n, shape in enumerate(found)], out_shape=flat.shape, dtype="int32"
    ).T
    rise = new.layers["surface"].astype(np.float64) - old.layers["surface"]
    count = len(found) + 1
    solid, clear = (np.bincount(number.ravel(), part.ravel(), minlength=count) for part in (solid_m, clear_m))
    cells = np.bincount(number.ravel(), minlength=count)
    highest, deepest = np.zeros(count), np.zeros(count)
    np.maximum.at(highest, number.ravel(), rise.ravel())
    np.maximum.at(deepest, number.ravel(), 0.0 - rise.ravel())
    # An outline that touches itself at a corner is none to shapely until it is made valid
    outlines = shapely.make_valid(np.array([shapely.geometry.shape(shape) for shape in found]))
    outlines = shapely.transform(outlines, lambda xy: xy + corner)
    return [
        _Piece(outline, float(solid[n]), float(clear[n]), int(cells[n]), float(highest[n]), float(deepest[n]))
        for n, outline in enumerate(outlines, start=1)
    ]


def _joined(pieces: list[_Piece]) -> list[_Piece]:
    """Pieces that touch across the borders of tiles, put together. Within a tile none touch."""
    owner = list(range(len(pieces)))

    def first(n: int) -> int:
        while owner[n] != n:
            owner[n] = owner[owner[n]]
            n = owner[n]
        return n

    outlines = np.array([piece.outline for piece in pieces], object)
    for one, other in shapely.STRtree(outlines).query(outlines, predicate="intersects").T:
        low, high = sorted((first(int(one)), first(int(other))))
        owner[high] = low
    groups: dict[int, list[_Piece]] = {}
    for n, piece in enumerate(pieces):
        groups.setdefault(first(n), []).append(piece)
    return [
        group[0]
        if len(group) == 1
        else _Piece(
            shapely.union_all([piece.outline for piece in group]),
            math.fsum(piece.solid for piece in group),
            math.fsum(piece.clear for piece in group),
            sum(piece.cells for piece in group),
            max(piece.rise for piece in group),
            max(piece.drop for piece in group),
        )
        for group in groups.values()
    ]


def _feature(area: _Piece, city_map: CityMap) -> dict[str, Any]:
    cell = city_map.resolution_m

    def lonlat(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.round(np.column_stack(city_map.frame.to_lonlat(*(xy * cell).T)), 8)

    return {
        "type": "Feature",
        "geometry": shapely.geometry.mapping(shapely.transform(area.outline, lonlat)),
        "properties": {
            "newly_blocked_m3": round(area.solid * cell**2, 3),
            "newly_clear_m3": round(area.clear * cell**2, 3),
            "area_m2": area.cells * cell**2,
            "highest_rise_m": round(area.rise, 3),
            "deepest_drop_m": round(area.drop, 3),
        },
    }


def _largest_first(feature: Mapping[str, Any]) -> tuple:
    told = feature["properties"]
    return -(told["newly_blocked_m3"] + told["newly_clear_m3"]), shapely.geometry.shape(feature["geometry"]).bounds


def _unknown_share(city_map: CityMap) -> float:
    known = sum(city_map.facts(tile)["known"] for tile in city_map.tiles())
    return round(1 - known / math.prod(city_map.size), 6)
