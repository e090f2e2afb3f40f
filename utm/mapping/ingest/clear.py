"""A person has looked at suspects and says that nothing is there."""

from __future__ import annotations

import datetime
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry

from utm.errors import InputError, MapError
from utm.mapping.citymap import CityMap
from utm.mapping.diff import Difference, difference
from utm.mapping.ingest.build import days_of, summed
from utm.mapping.ingest.content import counted, without_suspects
from utm.mapping.ingest.grid import Grid
from utm.mapping.ingest.store import MapWriter, write_tile
from utm.mapping.mapfile import Status, identity_of


@dataclass(frozen=True)
class Cleared:
    """The map after suspects were cleared."""

    city_map: CityMap
    cells: int
    difference: Difference


def clear_suspects(
    path: str | Path, *, area: str | Path | tuple[float, float, float], by: str, reason: str, when: datetime.datetime
) -> Cleared:
    """Take the suspects of an area off the map; a new version, which says who did it and why.

    Args:
        area: a GeoJSON file with one or more polygons, or (longitude, latitude, radius in metres).
        by: who answers for it.
        reason: what that person saw.
        when: for the record.

    Raises:
        MapError: no suspect lies there, or the map cannot be written.
        InputError: the area is none, or nobody answers for it.
    """
    for field, text in (("--by", by), ("--reason", reason)):
        if not text.strip():
            raise InputError("must say something: a person answers for what is cleared", field=field, value=text)
    before = CityMap.open(path)
    shape = _outline(before, area)
    grid = Grid(before.frame.origin_x, before.frame.origin_y, before.resolution_m, *before.size)
    days = np.array(days_of(before.meta["sources"]), np.uint16)
    entries = {tuple(entry["tile"]): entry for entry in before.meta["tiles"]}
    cells = 0
    with MapWriter(before.path, update=True, follows=before.version) as writer:
        for tile in grid.touching(*shape.bounds):
            content = before.tile_content(tile)
            where = ((content.layers["status"] & Status.SUSPECT) != 0) & _inside(shape, grid, tile)
            if not where.any():
                continue
            cells += int(where.sum())
            content = without_suspects(content, where, days)
            entries[tile] = write_tile(before.path, identity_of(before.meta), tile, content)
        if not cells:
            raise MapError(
                "no suspect lies there",
                file=before.path,
                mend="`utm map view MAP --layer status` shows where they are.",
            )
        record = {"by": by, "reason": reason, "when": when.isoformat(timespec="seconds"), "cells": cells,
                  "area": json.loads(shapely.to_geojson(_lonlat(before, shape)))}  # fmt: skip
        points = {name: value for name, value in before.meta["counts"].items() if name.startswith("points_")}
        after = writer.publish(dict(before.meta) | {
            "tiles": list(entries.values()),
            "counts": summed([points, *(counted(entry["facts"]) for entry in entries.values())]),
            "cleared": [*before.meta["cleared"], record],
        })  # fmt: skip
    return Cleared(after, cells, difference(before, after))


def _inside(shape: BaseGeometry, grid: Grid, tile: tuple[int, int]) -> NDArray[np.bool_]:
    """Which cells of a tile touch the shape."""
    ix0, iy0, ix1, iy1 = grid.box(tile)
    east, north = np.meshgrid(np.arange(ix0, ix1) * grid.cell_m, np.arange(iy0, iy1) * grid.cell_m, indexing="ij")
    shapely.prepare(shape)
    return shapely.intersects(shape, shapely.box(east, north, east + grid.cell_m, north + grid.cell_m))


def _outline(city_map: CityMap, area: str | Path | tuple[float, float, float]) -> BaseGeometry:
    """The area in metres of the map."""
    if isinstance(area, tuple):
        lon, lat, radius_m = area
        if not (math.isfinite(radius_m) and radius_m > 0):
            raise InputError("must be a number of metres above zero", field="--radius", value=radius_m)
        east, north = city_map.frame.to_map(lon, lat)
        shape: BaseGeometry = shapely.Point(float(east), float(north)).buffer(radius_m)
    else:
        file = Path(area)
        try:
            found = shapely.from_geojson(file.read_bytes())
            polygons = [part for part in shapely.get_parts([found]) if part.geom_type in ("Polygon", "MultiPolygon")]
            shape = shapely.union_all(polygons)
        except (OSError, ShapelyError, UnicodeDecodeError) as error:
            raise InputError(f"not readable as GeoJSON: {error}", file=file, field="--area") from error
        shape = shapely.transform(shape, lambda xy: np.column_stack(city_map.frame.to_map(xy[:, 0], xy[:, 1])))
    if shape.is_empty or not shape.is_valid:
        raise InputError("holds no usable polygon", field="--area", mend="Draw polygons in WGS84, longitude first.")
    return shape


def _lonlat(city_map: CityMap, shape: BaseGeometry) -> BaseGeometry:
    return shapely.transform(
        shape, lambda xy: np.round(np.column_stack(city_map.frame.to_lonlat(xy[:, 0], xy[:, 1])), 8)
    )
