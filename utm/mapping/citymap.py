"""Opening and asking a city map. Opening reads one small file; heights are read when asked for, window by window."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import ArrayLike, NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window

from utm.core.columns import Columns
from utm.errors import DatumError, InputError, MapError
from utm.frames import LocalFrame
from utm.mapping.mapfile import LAYERS, Status, content_hash, identity_of, read_meta
from utm.model import Datum

_TILE = 256


@dataclass(frozen=True, eq=False)
class CityMap:
    """A city as columns of ground and of what stands on it. Immutable: a new survey is a new map.

    East and north are metres from the map's south-west corner; ``up`` is the height in ``frame.vertical``.
    """

    path: Path
    meta: dict
    """The whole of ``map.json``."""
    frame: LocalFrame

    @classmethod
    def open(cls, path: str | Path) -> CityMap:
        """Open a map directory; no raster is read yet.

        Raises:
            MapError: no such directory, not a map, damaged, or of another format version.
        """
        path = Path(path)
        meta = read_meta(path)
        stated = meta["frame"]
        try:
            frame = LocalFrame(stated["crs"], stated["origin_x"], stated["origin_y"], Datum(stated["vertical"]))
        except (ValueError, RuntimeError, DatumError) as error:  # pyproj's CRSError is a RuntimeError
            raise MapError(
                f"the frame cannot be used: {error}", file=path / "map.json", mend="Build the map again."
            ) from None
        except InputError as error:
            raise error.at(path / "map.json") from None
        return cls(path, meta, frame)

    @property
    def resolution_m(self) -> float:
        """Edge of a cell."""
        return float(self.meta["resolution_m"])

    @property
    def size(self) -> tuple[int, int]:
        """Number of cells (nx, ny), east and north."""
        nx, ny = self.meta["size"]
        return nx, ny

    @property
    def extent_m(self) -> tuple[float, float]:
        """Width and height of the map in metres."""
        return self.size[0] * self.resolution_m, self.size[1] * self.resolution_m

    @property
    def version(self) -> str:
        """SHA-256 (hex) of the content: the same survey gives the same version, wherever and whenever it was built."""
        return self.meta["version"]

    def contains(self, east: float, north: float) -> bool:
        """Whether a place lies on the map (its edge included)."""
        width, height = self.extent_m
        return bool(0 <= east <= width and 0 <= north <= height)

    def window(self, east0: float, north0: float, east1: float, north1: float) -> Columns:
        """The columns of all cells that touch a box in metres, clipped to the map.

        Raises:
            MapError: no cell of the map touches the box, or the map's files are damaged.
        """
        ix0, iy0, ix1, iy1 = self._cells(east0, north0, east1, north1)
        layers = {name: self.layer(name, ix0, iy0, ix1, iy1) for name in LAYERS}
        try:
            return Columns(
                origin_m=np.array([ix0 * self.resolution_m, iy0 * self.resolution_m]),
                cell_m=self.resolution_m,
                terrain_m=layers["terrain"],
                surface_m=layers["surface"],
                unknown=(layers["status"] & Status.UNKNOWN) != 0,
            )
        except ValueError as error:
            raise MapError(f"damaged: {error}", file=self.path, mend="Build the map again from its survey.") from None

    def whole(self) -> Columns:
        """The columns of the whole map."""
        return self.window(0.0, 0.0, *self.extent_m)

    def terrain_up(self, east: ArrayLike, north: ArrayLike) -> NDArray[np.float64]:
        """``up`` of the lowest ground in the cell at each place; shape of the broadcast inputs.

        Raises:
            MapError: a place off the map.
        """
        return self._at("terrain", east, north)

    def surface_up(self, east: ArrayLike, north: ArrayLike) -> NDArray[np.float64]:
        """``up`` of the highest thing in the cell at each place (what is assumed, where nothing was seen).

        Raises:
            MapError: a place off the map.
        """
        return self._at("surface", east, north)

    def status_at(self, east: ArrayLike, north: ArrayLike) -> NDArray[np.uint8]:
        """The flags (:class:`~utm.mapping.mapfile.Status`) of the cell at each place."""
        return self._at("status", east, north).astype(np.uint8)

    def layer(self, name: str, ix0: int, iy0: int, ix1: int, iy1: int) -> NDArray:
        """Cells ``[ix0:ix1, iy0:iy1]`` of ``terrain``, ``surface`` or ``status``, indexed ``[ix, iy]``."""
        window = Window(ix0, self.size[1] - iy1, ix1 - ix0, iy1 - iy0)
        file = self.path / self.meta["rasters"][name]["file"]
        try:
            with rasterio.open(file) as raster:
                if (raster.width, raster.height) != self.size or raster.dtypes[0] != LAYERS[name]:
                    raise MapError("not the raster that map.json describes", file=file, mend="Build the map again.")
                rows = raster.read(1, window=window)
        except (RasterioError, OSError) as error:
            raise MapError(f"damaged: {error}", file=file, mend="Build the map again from its survey.") from None
        return np.ascontiguousarray(rows[::-1].T)

    def verify(self) -> None:
        """Read everything and compare with the version that ``map.json`` states.

        Raises:
            MapError: the content is not what it was when the map was built.
        """
        layers = {name: self.layer(name, 0, 0, *self.size) for name in LAYERS}
        found = content_hash(identity_of(self.meta), layers)
        if found != self.version:
            raise MapError(
                f"the content hashes to {found[:12]}, not to the version in map.json",
                file=self.path,
                field="version",
                value=self.version[:12],
                mend="Build the map again from its survey.",
            )

    def _cells(self, east0: float, north0: float, east1: float, north1: float) -> tuple[int, int, int, int]:
        box = np.array([east0, north0, east1, north1], np.float64)
        width, height = self.extent_m
        if not np.isfinite(box).all() or east0 > east1 or north0 > north1:
            raise MapError("a box needs finite west <= east, south <= north", value=tuple(box.tolist()))
        if east1 < 0 or north1 < 0 or east0 > width or north0 > height:
            raise MapError(
                f"the box lies off the map of {width:g} x {height:g} m", file=self.path, value=tuple(box.tolist())
            )
        low = np.floor(box[:2] / self.resolution_m)
        high = np.floor(box[2:] / self.resolution_m) + 1
        ix0, iy0 = np.clip(low, 0, np.array(self.size) - 1).astype(int)
        ix1, iy1 = np.clip(high, 1, self.size).astype(int)
        return int(ix0), int(iy0), int(ix1), int(iy1)

    def _at(self, name: str, east: ArrayLike, north: ArrayLike) -> NDArray[np.float64]:
        east, north = np.broadcast_arrays(np.asarray(east, np.float64), np.asarray(north, np.float64))
        width, height = self.extent_m
        good = (east >= 0) & (east <= width) & (north >= 0) & (north <= height)
        if not good.all():
            first = np.flatnonzero(~good.ravel())[0]
            lon, lat = self.frame.to_lonlat(east.ravel()[first], north.ravel()[first])
            raise MapError(
                f"lon {lon:.6f}, lat {lat:.6f} lies off the map of {width:g} x {height:g} m",
                file=self.path,
                value=(round(float(east.ravel()[first]), 2), round(float(north.ravel()[first]), 2)),
                mend="Choose a place on the map, or build one that reaches there.",
            )
        ix = np.minimum((east / self.resolution_m).astype(np.int64), self.size[0] - 1).ravel()
        iy = np.minimum((north / self.resolution_m).astype(np.int64), self.size[1] - 1).ravel()
        heights = np.empty(ix.size, np.float64)
        tiles = np.stack([ix // _TILE, iy // _TILE], axis=1)
        for tile in np.unique(tiles, axis=0):
            mine = (tiles == tile).all(axis=1)
            block = _tile(self, name, int(tile[0]), int(tile[1]))
            heights[mine] = block[ix[mine] - tile[0] * _TILE, iy[mine] - tile[1] * _TILE]
        return heights.reshape(east.shape)


@functools.lru_cache(maxsize=64)  # 16 MB: places are asked one after another along a way
def _tile(city_map: CityMap, name: str, tx: int, ty: int) -> NDArray:
    nx, ny = city_map.size
    ix, iy = tx * _TILE, ty * _TILE
    block = city_map.layer(name, ix, iy, min(ix + _TILE, nx), min(iy + _TILE, ny))
    block.setflags(write=False)
    return block
