"""A survey held against a map: is every point of it blocked, or at least unknown, at its place?

Reads the files again and asks the map point by point; shares the readers with the build, but not the sorting into
cells, the merging or the finishing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.windows import Window

from utm.errors import SurveyError
from utm.mapping.citymap import CityMap
from utm.mapping.ingest import clouds, models
from utm.mapping.ingest.build import Files, Progress, look_at
from utm.mapping.ingest.finish import Parameters
from utm.mapping.ingest.placing import Placing
from utm.mapping.ingest.rasters import DRIVER
from utm.mapping.ingest.reading import reading
from utm.mapping.ingest.source import Source

_ROWS = 512
#: So many places are listed; all are counted.
_LISTED = 1000


@dataclass
class CheckReport:
    """What a survey says against a map."""

    points: int = 0
    """Returns, raster cells and vertices held against the map."""
    outside: int = 0
    """Of these lie off the map."""
    discarded: int = 0
    """Were rejected by the outlier filter and lie deep under the ground or alone far up in the air."""
    suspect: int = 0
    """Were rejected by the filter and count all the same."""
    cleared: int = 0
    """Suspects that a person took off the map; they may lie in free air."""
    in_free: int = 0
    """Count, and lie in air that the map calls free: the map must not be flown on."""
    places: list[dict[str, Any]] = field(default_factory=list)
    """GeoJSON features, one for each cell with such points, most points first."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        where = {"type": "FeatureCollection", "features": self.places}
        names = ("points", "outside", "discarded", "suspect", "cleared", "in_free")
        return {name: getattr(self, name) for name in names} | {"where": where}


@dataclass(frozen=True)
class _Block:
    east: NDArray[np.float64]
    north: NDArray[np.float64]
    up: NDArray[np.float64]
    rejected: NDArray[np.bool_]


def check(
    city_map: CityMap,
    sources: Files,
    *,
    crs: str | None = None,
    vertical_datum: str | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Hold surveys (rasters, clouds, models) against a map: the ones it was built from, or newer ones.

    Returns are judged by the filter as in a build. The survey error that was stated for the map is in its surfaces.

    Raises:
        SurveyError, DatumError: as `build_map`.
        MapError: the map is damaged.
    """
    report = CheckReport()
    cells: dict[tuple[int, int], list[float]] = {}
    seen = look_at(sources, (), progress, crs=crs, vertical=vertical_datum)
    for source in seen:
        if source.kind == "obstacles":
            raise SurveyError(
                "obstacles are no survey to hold against a map", file=source.path,
                mend="Name what surveyed: rasters, clouds, models.",
            )  # fmt: skip
    for source in seen:
        placing = Placing(source.stated, city_map.frame)
        for done, total, block in _blocks(city_map, source, placing):
            _count(city_map, block, report, cells)
            if progress:
                progress(f"check {source.path.name}", done, total)
    report.places = _features(city_map, cells)
    return report


def _blocks(city_map: CityMap, source: Source, placing: Placing) -> Iterator[tuple[int, int, _Block]]:
    if source.kind == "cloud":
        parts = clouds.parts(source)
        for number, part in enumerate(parts):
            east, north, up, noise = clouds.points_of(source, part, placing)
            rejected = noise
            if city_map.meta["parameters"]["outliers"]:
                rejected = noise | clouds.reject(np.column_stack([east, north, up]))
            yield number + 1, len(parts), _Block(east, north, up, rejected)
    elif source.kind == "raster":
        yield from _raster(source, placing)
    elif source.kind == "model":
        east, north, up = models.vertices(source, placing)
        yield 1, 1, _Block(east, north, up, np.zeros(len(up), bool))


def _raster(source: Source, placing: Placing) -> Iterator[tuple[int, int, _Block]]:
    with reading(source.path, "GeoTIFF"), rasterio.open(source.path, driver=DRIVER) as raster:
        for row in range(0, raster.height, _ROWS):
            rows = min(_ROWS, raster.height - row)
            band = raster.read(1, window=Window(0, row, raster.width, rows), masked=True)
            heights = band.data.astype(np.float64) * raster.scales[0] + raster.offsets[0]
            r, c = np.nonzero(np.isfinite(heights) & ~np.ma.getmaskarray(band))
            x, y = raster.transform * (c + 0.5, r + row + 0.5)
            east, north, up = placing.place(x, y, heights[r, c])
            yield row + rows, raster.height, _Block(east, north, up, np.zeros(len(up), bool))


def _count(city_map: CityMap, block: _Block, report: CheckReport, cells: dict[tuple[int, int], list[float]]) -> None:
    width, height = city_map.extent_m
    on = (block.east >= 0) & (block.east <= width) & (block.north >= 0) & (block.north <= height)
    report.points += len(on)
    report.outside += int((~on).sum())
    east, north, up, rejected = (values[on] for values in (block.east, block.north, block.up, block.rejected))
    discarded = np.zeros(len(up), bool)
    discarded[rejected] = _discarded(city_map, east[rejected], north[rejected], up[rejected])
    report.discarded += int(discarded.sum())
    report.suspect += int((rejected & ~discarded).sum())
    free = ~city_map.blocked(east, north, up) & ~discarded
    cleared = free & rejected
    cleared[cleared] = _cleared(city_map, east[cleared], north[cleared])
    report.cleared += int(cleared.sum())
    free &= ~cleared
    report.in_free += int(free.sum())
    over = up[free] - city_map.surface_up(east[free], north[free])
    cell_m = city_map.resolution_m
    for ix, iy, above in zip(
        (east[free] // cell_m).astype(int), (north[free] // cell_m).astype(int), over, strict=True
    ):
        entry = cells.setdefault((int(ix), int(iy)), [0, -np.inf])
        entry[0] += 1
        entry[1] = max(entry[1], float(above))


def _discarded(city_map: CityMap, east: NDArray, north: NDArray, up: NDArray) -> NDArray[np.bool_]:
    """Which rejected returns a build would discard."""
    rules = Parameters()
    below = up < city_map.terrain_up(east, north) - rules.discard_below_m
    alone = np.zeros(len(up), bool)
    near = rules.nearby_m
    # A return that is not far above its own ground is not alone; the others are few
    for k in np.flatnonzero(up > city_map.terrain_up(east, north) + rules.alone_m):
        around = city_map.window(east[k] - near, north[k] - near, east[k] + near, north[k] + near)
        # What is only assumed is no company
        highest = np.where(around.unknown, around.terrain_m, around.surface_m).max()
        alone[k] = up[k] > highest + rules.alone_m
    return below | alone


def _cleared(city_map: CityMap, east: NDArray, north: NDArray) -> NDArray[np.bool_]:
    """Which places lie in a cell whose suspects a person cleared."""
    inside = np.zeros(len(east), bool)
    if not len(east):
        return inside
    cell = city_map.resolution_m
    west, south = np.floor(east / cell) * cell, np.floor(north / cell) * cell
    cells = shapely.box(west, south, west + cell, south + cell)
    for record in city_map.meta["cleared"]:
        area = shapely.from_geojson(json.dumps(record["area"]))
        on_map = shapely.transform(area, lambda xy: np.column_stack(city_map.frame.to_map(xy[:, 0], xy[:, 1])))
        shapely.prepare(on_map)
        inside |= shapely.intersects(on_map, cells)
    return inside


def _features(city_map: CityMap, cells: dict[tuple[int, int], list[float]]) -> list[dict[str, Any]]:
    features = []
    for (ix, iy), (count, over) in sorted(cells.items(), key=lambda item: (-item[1][0], item[0]))[:_LISTED]:
        lon, lat = city_map.frame.to_lonlat((ix + 0.5) * city_map.resolution_m, (iy + 0.5) * city_map.resolution_m)
        features.append({
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [round(float(lon), 8), round(float(lat), 8)]},
            "properties": {"points": int(count), "highest_above_surface_m": round(over, 3)},
        })  # fmt: skip
    return features
