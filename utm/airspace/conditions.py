"""The wind and the cost layers of an airspace: read, kept beside its database, and laid over a flight space."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.warp
from numpy.typing import NDArray

from utm.airspace.documents import read_wind_levels
from utm.airspace.space import Skies
from utm.core import Columns, FlightSpace, layers, lowest_clear
from utm.core.costs import MOST_FACTOR
from utm.errors import InputError, StoreError
from utm.mapping import CityMap
from utm.model import CALM, PLAIN, Conditions, CostLayer, Datum, LayerKind, Wind

#: How far from everything the air is no longer dearer for it, in clearances, and in how many steps it gets dearer.
_OBSTACLES_WITHIN = 2.0
_OBSTACLE_STEPS = 4
#: Rows of a layer that are looked up at once.
_ROWS = 256
_MOST_WEIGHT = 1000.0
#: Names are typed, listed and printed.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def wind_from(direction_deg: float, speed_m_s: float) -> Wind:
    """The same wind at every height, in the words of a weather report: the direction that it comes from, degrees
    clockwise from north, and metres per second."""
    return Wind.uniform(*_towards(direction_deg, speed_m_s))


def _towards(direction_deg: float, speed_m_s: float) -> NDArray[np.float64]:
    angle = np.radians(direction_deg)
    return -speed_m_s * np.array([np.sin(angle), np.cos(angle)])


def read_wind(path: Path, city_map: CityMap) -> Wind:
    """A forecast file: ``{"levels": [{"height": {"value_m": 50, "datum": "AGL"}, "from_deg": 270, "speed_m_s": 8}]}``.

    Heights above ground are taken over the terrain in the middle of the map.

    Raises:
        InputError: the file, or two levels of one height.
    """
    levels = read_wind_levels(path)
    frame = city_map.frame
    east, north = (extent / 2 for extent in city_map.extent_m)
    lon, lat = (float(value) for value in frame.to_lonlat(east, north))
    terrain = float(city_map.terrain_up(east, north))
    up = np.array(
        [float(frame.up(level.height.value_m, Datum(level.height.datum), lon, lat, terrain)) for level in levels]
    )
    if len(set(up)) < len(up):
        raise InputError("two levels have one height", file=path, field="levels", mend="Remove one of them.")
    order = np.argsort(up)
    velocity = np.array([_towards(level.from_deg, level.speed_m_s) for level in levels])
    return Wind(up[order], velocity[order])


def read_layer(
    path: Path, skies: Skies, name: str, kind: LayerKind, weight: float, fill: float | None = None
) -> CostLayer:
    """A raster in any CRS as a cost layer: the value of the raster cell under the centre of each planning voxel.

    Args:
        fill: the value where the raster has none.

    Raises:
        InputError: no raster, no CRS, values that the kind does not allow, or parts of the map without a value.
    """
    try:
        with rasterio.open(path) as raster:
            if raster.crs is None:
                raise InputError("has no coordinate reference system", file=path, mend="Assign one: gdal_edit -a_srs.")
            if raster.count != 1:
                raise InputError(
                    "has several bands", file=path, value=raster.count, mend="Give one of them: gdal_translate -b 1."
                )
            band = raster.read(1, masked=True).astype(np.float64).filled(np.nan)
            crs, inverse = raster.crs, ~raster.transform
    except rasterio.errors.RasterioError as error:
        raise InputError(f"is not a raster: {str(error).rstrip('.')}", file=path, mend="Give a GeoTIFF.") from error
    nx, ny = (int(extent // skies.cell_m) for extent in skies.city_map.extent_m)
    values = np.full((nx, ny), np.nan, np.float32)
    for x0 in range(0, nx, _ROWS):
        ix, iy = np.meshgrid(np.arange(x0, min(x0 + _ROWS, nx)), np.arange(ny), indexing="ij")
        lon, lat = skies.city_map.frame.to_lonlat((ix.ravel() + 0.5) * skies.cell_m, (iy.ravel() + 0.5) * skies.cell_m)
        x, y = (np.asarray(axis) for axis in rasterio.warp.transform("EPSG:4326", crs, lon, lat))
        column = np.floor(inverse.a * x + inverse.b * y + inverse.c).astype(int)
        row = np.floor(inverse.d * x + inverse.e * y + inverse.f).astype(int)
        inside = (row >= 0) & (row < band.shape[0]) & (column >= 0) & (column < band.shape[1])
        found = np.full(len(row), np.nan)
        found[inside] = band[row[inside], column[inside]]
        values[x0 : x0 + _ROWS] = found.reshape(ix.shape)
    missing = np.isnan(values)
    if missing.all():
        raise InputError("says nothing of the map", file=path, mend="Is it of this place, and its CRS the right one?")
    if missing.any():
        if fill is None:
            raise InputError(
                f"says nothing of {max(missing.mean(), 0.001):.1%} of the map",
                file=path,
                mend="Give a raster of the whole map, or the value that counts there (--fill).",
            )
        values[missing] = fill
    return checked_layer(name, kind, weight, values, skies.cell_m, path)


def checked_layer(
    name: str, kind: LayerKind, weight: float, values: NDArray[np.float32] | None, cell_m: float, file: object = None
) -> CostLayer:
    """A layer whose values are what its kind says. Raises InputError."""
    if not _NAME.fullmatch(name):
        raise InputError(
            "is not a name for a layer", field="name", value=name,
            mend="Letters, digits, '.', '_' and '-', 64 at most, a letter or digit first.",
        )  # fmt: skip
    if values is not None:
        highest = np.inf if kind is LayerKind.PEOPLE else 1.0
        wrong = ~((values >= 0) & (values <= highest))
        if kind is not LayerKind.ROADS and wrong.any():
            worst = float(max(values[wrong], key=abs))
            limits = "0 or more" if kind is LayerKind.PEOPLE else "from 0 to 1"
            raise InputError(f"a {kind} layer has values {limits}", file=file, value=worst)
        if not values.any() and kind is LayerKind.ROADS:
            raise InputError("shows no road on the map", file=file, mend="Is it in the right CRS?")
    if not 0 < weight <= _MOST_WEIGHT:
        raise InputError(f"must be a number above 0, {_MOST_WEIGHT:g} at most", field="weight", value=weight)
    content = "" if values is None else hashlib.sha256(values.tobytes()).hexdigest()[:16]
    return CostLayer(name, kind, float(weight), values, cell_m if values is not None else float("nan"), content)


def conditions_document(conditions: Conditions) -> dict[str, Any]:
    """What is kept in the database; the values of the layers lie beside it in files named by their content."""
    return {
        "wind": {
            "up_m": conditions.wind.up_m.tolist(),
            "velocity_m_s": conditions.wind.velocity_m_s.tolist(),
        },
        "layers": [
            {"name": layer.name, "kind": str(layer.kind), "weight": layer.weight}
            | ({} if layer.values is None else {"cell_m": layer.cell_m, "content": layer.content})
            for layer in conditions.layers
        ],
    }


def conditions_hash(conditions: Conditions) -> str:
    """Short content hash, for what a decision was judged against."""
    return hashlib.sha256(json.dumps(conditions_document(conditions), sort_keys=True).encode()).hexdigest()[:12]


def keep_values(folder: Path, layer: CostLayer) -> None:
    """Write a layer's values, whole or not at all."""
    if layer.values is None or (folder / f"{layer.content}.npy").exists():
        return
    folder.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as file:
        np.save(file, layer.values)
    os.replace(file.name, folder / f"{layer.content}.npy")


def conditions_from(document: Mapping[str, Any] | None, folder: Path) -> Conditions:
    """The reverse of `conditions_document`. Raises StoreError when values are gone."""
    if document is None:
        return PLAIN
    layers_ = []
    for row in document["layers"]:
        values = None
        if "content" in row:
            try:
                values = np.load(folder / f"{row['content']}.npy", mmap_mode="r")
            except (OSError, ValueError) as error:
                raise StoreError(f"the values of layer {row['name']} are gone or damaged: {error}") from error
        layers_.append(
            CostLayer(
                row["name"],
                LayerKind(row["kind"]),
                row["weight"],
                values,
                row.get("cell_m", float("nan")),
                row.get("content", ""),
            )
        )
    wind = document["wind"]
    return Conditions(Wind(wind["up_m"], wind["velocity_m_s"]) if wind else CALM, tuple(layers_))


def wind_rows(wind: Wind) -> list[dict[str, float]]:
    """A wind in the words of a weather report, level by level; ``up_m`` is in the map's datum."""
    rows = []
    for up, (east, north) in zip(wind.up_m, wind.velocity_m_s, strict=True):
        speed = float(np.hypot(east, north))
        direction = float(np.degrees(np.arctan2(-east, -north)) % 360.0) if speed > 0 else 0.0
        # Rounding may not make a full circle of a north wind.
        rows.append(
            {
                "up_m": round(float(up), 2),
                "from_deg": round(direction, 1) % 360.0,
                "speed_m_s": round(speed, 2),
            }
        )
    return rows


def layer_rows(conditions: Conditions) -> list[dict[str, Any]]:
    """The cost layers, line by line."""
    return [
        {"name": layer.name, "kind": str(layer.kind), "weight": layer.weight}
        | {
            name: None if layer.values is None else round(float(figure(layer.values)), 3)
            for name, figure in (("least", np.min), ("mean", np.mean), ("most", np.max))
        }
        for layer in conditions.layers
    ]


def factor_for(conditions: Conditions, skies: Skies, columns: Columns, space: FlightSpace) -> NDArray | None:
    """What a metre costs in each voxel of a flight space, broadcastable to (nx, ny, nz); None where it is 1 everywhere.

    Args:
        columns: those under the flight space.

    Raises:
        InputError: the layers multiply to more than a metre may cost.
        StoreError: a layer was made for another map.
    """
    if not conditions.layers:
        return None
    factor = layers.combined(*(_factor(layer, skies, columns, space) for layer in conditions.layers))
    most = float(factor.max())
    if most > MOST_FACTOR:
        raise InputError(
            f"the cost layers together make a metre cost up to {most:,.0f} metres, {MOST_FACTOR:,.0f} at most",
            mend="Enter one of them again with a lower weight; `utm layer list` shows them.",
        )
    return factor


def _factor(layer: CostLayer, skies: Skies, columns: Columns, space: FlightSpace) -> NDArray:
    if layer.kind is LayerKind.OBSTACLES:
        return layers.near_obstacles(
            _distance_at_least(skies, columns, space), skies.rules.clearance_m * _OBSTACLES_WITHIN, layer.weight
        )
    i0, j0 = np.rint(space.origin_m[:2] / layer.cell_m).astype(int)
    nx, ny, _ = space.blocked.shape
    values = np.asarray(layer.values[i0 : i0 + nx, j0 : j0 + ny])
    if values.shape != (nx, ny) or layer.cell_m != space.cell_m:
        raise StoreError(f"layer {layer.name} was made for another map or voxel size; enter it again")
    match layer.kind:
        case LayerKind.PEOPLE:
            return layers.over_people(values, layer.weight)
        case LayerKind.NOISE:
            terrain = _at_voxels(columns, columns.terrain_m, space, np.max)
            above = space.origin_m[2] + np.arange(space.blocked.shape[2]) * space.cell_m - terrain[:, :, None]
            return layers.quiet(np.maximum(above, 0.0), values, layer.weight)
        case LayerKind.RADIO:
            return layers.covered(values, layer.weight)
        case LayerKind.ROADS:
            return layers.off_roads(values > 0, layer.weight)
    raise AssertionError(layer.kind)


def _at_voxels(columns: Columns, cells: NDArray, space: FlightSpace, choose: Callable[..., NDArray]) -> NDArray:
    """A figure of map cells (nx, ny) as one per voxel column, chosen among the cells that it covers."""
    nx, ny, _ = space.blocked.shape
    factor = round(space.cell_m / columns.cell_m)
    return choose(cells[: nx * factor, : ny * factor].reshape(nx, factor, ny, factor), axis=(1, 3))


def _distance_at_least(skies: Skies, columns: Columns, space: FlightSpace) -> NDArray[np.float32]:
    """A lower bound (nx, ny, nz) of the distance to every object, in steps from the clearance of the rules on."""
    bottom = space.origin_m[2] + np.arange(space.blocked.shape[2]) * space.cell_m
    clearance = skies.rules.clearance_m
    distance = np.zeros(space.blocked.shape, np.float32)
    for step in range(_OBSTACLE_STEPS + 1):
        metres = clearance * (1 + (_OBSTACLES_WITHIN - 1) * step / _OBSTACLE_STEPS)
        lowest = _at_voxels(columns, lowest_clear(columns.surface_m, columns.cell_m, metres), space, np.max)
        distance[bottom >= lowest[:, :, None]] = metres
    return distance


def wind_for(conditions: Conditions, space: FlightSpace) -> NDArray[np.float32] | None:
    """The wind (1, 1, nz, 2) at the layers of a flight space; None in calm air."""
    if conditions.calm:
        return None
    up = space.origin_m[2] + (np.arange(space.blocked.shape[2]) + 0.5) * space.cell_m
    return conditions.wind.at(up)[None, None].astype(np.float32)
