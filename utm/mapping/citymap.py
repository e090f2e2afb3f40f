"""Opening and asking a city map. Opening reads one small file; tiles are read when asked for, window by window."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.core.columns import Columns
from utm.core.voxels import Voxels, voxelise
from utm.errors import DatumError, InputError, MapError
from utm.frames import LocalFrame
from utm.mapping.facts import tile_facts
from utm.mapping.mapfile import (
    LAYERS,
    MAP_RUN_DTYPE,
    MEND,
    RUN_DTYPE,
    TILE,
    Box,
    Status,
    Tile,
    TileContent,
    check_runs,
    identity_of,
    read_meta,
    tile_box,
    tile_hash,
    tile_name,
)
from utm.mapping.runs import solid_at
from utm.mapping.tilecache import TileCache
from utm.mapping.tilefile import read_layer, read_runs, read_tile
from utm.mapping.versions import find_version, no_such_version, versions_of
from utm.model import Datum

#: The most that `CityMap.voxels` hands out at once (a byte each).
MAX_VOXELS = 1_000_000_000

#: Tiles are named by their content, so one cache serves all maps and versions.
_cache = TileCache(64_000_000)


@dataclass(frozen=True, eq=False)
class CityMap:
    """One version of a city, as columns of ground and of what stands on it. It never changes: a new survey makes a new
    version beside it.

    East and north are metres from the map's south-west corner; ``up`` is the height in ``frame.vertical``.
    """

    path: Path
    meta: dict
    """The whole of ``map.json``."""
    frame: LocalFrame

    @classmethod
    def open(cls, path: str | Path, version: str | None = None) -> CityMap:
        """Open a map directory; no tile is read yet.

        Args:
            path: the directory; ``city@3f2a`` is its version that begins with 3f2a.
            version: likewise; the current version by default.

        Raises:
            MapError: no such directory, not a map, damaged, of another format version; no such map version, or several.
        """
        path = Path(path)
        if version is None and not path.exists() and "@" in path.name:
            name, _, version = path.name.rpartition("@")
            path = path.with_name(name) if name else path.parent
        file = path / "map.json" if version is None else find_version(path, version)
        meta = read_meta(path, file)
        if version is not None and not meta["version"].startswith(version.lower()):
            raise no_such_version(path, version)
        stated = meta["frame"]
        try:
            frame = LocalFrame(
                stated["crs"], float(stated["origin_x"]), float(stated["origin_y"]), Datum(stated["vertical"])
            )
        except (ValueError, RuntimeError, DatumError) as error:  # pyproj's CRSError is a RuntimeError
            raise MapError(f"the frame cannot be used: {error}", file=file, field="frame", mend=MEND) from None
        except InputError as error:
            raise error.at(file) from None
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

    @property
    def sources(self) -> list[dict]:
        """What the map was made from; cells name a source by its place in this list, from 1 on."""
        return self.meta["sources"]

    @property
    def survey_dates(self) -> tuple[datetime.date | None, datetime.date | None]:
        """Days of the oldest and of the newest survey, where they are known.

        Raises:
            MapError: ``map.json`` names a day that is none.
        """
        days = self.meta["survey_dates"]
        try:
            oldest, newest = (
                datetime.date.fromisoformat(days[end]) if days.get(end) else None for end in ("oldest", "newest")
            )
        except ValueError as error:
            raise MapError(str(error), file=self.path, field="survey_dates", mend=MEND) from None
        return oldest, newest

    def versions(self) -> list[dict[str, object]]:
        """Every version in the directory (`versions_of`), the current one first, then back in time.

        Raises:
            MapError: one of them cannot be read.
        """
        return versions_of(self.path)

    def contains(self, east: float, north: float) -> bool:
        """Whether a place lies on the map (its edge included)."""
        width, height = self.extent_m
        return bool(0 <= east <= width and 0 <= north <= height)

    # --- rectangles ----------------------------------------------------------------------------------------

    def window(self, east0: float, north0: float, east1: float, north1: float) -> Columns:
        """The columns of all cells that touch a box in metres, clipped to the map, each solid up to its surface: air
        below wires and bridges is not told. Only tiles that the box touches are read.

        Raises:
            MapError: no cell of the map touches the box, or the map's files are damaged.
        """
        box = self.cells(east0, north0, east1, north1)
        terrain, surface, status = (self.layer(name, *box) for name in ("terrain", "surface", "status"))
        try:
            return Columns(
                origin_m=np.array([box[0] * self.resolution_m, box[1] * self.resolution_m]),
                cell_m=self.resolution_m,
                terrain_m=terrain,
                surface_m=surface,
                unknown=(status & Status.UNKNOWN) != 0,
            )
        except ValueError as error:
            raise MapError(f"damaged: {error}", file=self.path, mend=MEND) from None

    def whole(self) -> Columns:
        """The columns of the whole map, however large."""
        return self.window(0.0, 0.0, *self.extent_m)

    def layer(self, name: str, ix0: int, iy0: int, ix1: int, iy1: int) -> NDArray:
        """Cells ``[ix0:ix1, iy0:iy1]`` of one of `LAYERS`, indexed ``[ix, iy]``.

        Raises:
            MapError: the map's files are damaged.
            ValueError: no such cells.
        """
        if not (0 <= ix0 < ix1 <= self.size[0] and 0 <= iy0 < iy1 <= self.size[1]):
            raise ValueError(f"no cells [{ix0}:{ix1}, {iy0}:{iy1}] in a map of {self.size}")
        out = np.empty((ix1 - ix0, iy1 - iy0), LAYERS[name])
        for tile, here, there in self._pieces((ix0, iy0, ix1, iy1)):
            folder, shape = self._folder(tile), self._shape(tile)
            block = _cache.peek((folder, name))
            # A tile that is not in memory is read whole only if a good part of it is wanted
            if block is None and 16 * out[here].size >= shape[0] * shape[1]:
                block = self._block(tile, name)
            out[here] = block[there] if block is not None else read_layer(folder, name, shape, there)
        return out

    def runs(self, box_m: tuple[float, float, float, float]) -> NDArray:
        """ALL solid runs of the columns that hold air, among the cells that touch a box (west, south, east, north) in
        metres; the cells of the whole map are counted (`MAP_RUN_DTYPE`), sorted by ix, iy, from_m.

        Raises:
            MapError: as `window`.
        """
        return self._runs_in(self.cells(*box_m))

    def voxels(
        self, east0: float, north0: float, east1: float, north1: float, low_m: float, high_m: float, cell_m: float
    ) -> Voxels:
        """The space over a box in metres as voxels, with the air below wires and bridges free; unknown is blocked up
        to its assumed height, and what lies off the map everywhere.

        Voxels are counted from the map's corner, so the result may begin west and south of the box by less than one.

        Args:
            low_m, high_m: ``up`` of the lowest face, and a height that is reached.
            cell_m: edge of a voxel, a multiple of the map's cell.

        Raises:
            MapError: as `window`; heights or a cell that make no sense, or more than ``MAX_VOXELS``.
        """
        cell = self.resolution_m
        ratio = round(cell_m / cell) if math.isfinite(cell_m) and cell_m > 0 else 0
        if ratio < 1 or not math.isclose(ratio * cell, cell_m, rel_tol=1e-9):
            raise MapError(f"voxels must be a multiple of the map's cell of {cell:g} m", value=cell_m)
        if not (math.isfinite(low_m) and math.isfinite(high_m) and low_m < high_m):
            raise MapError("voxels need a finite height below another", value=(low_m, high_m))
        ix0, iy0, ix1, iy1 = self.cells(east0, north0, east1, north1)
        ix0, iy0 = ix0 // ratio * ratio, iy0 // ratio * ratio
        ix1, iy1 = min(-(-ix1 // ratio) * ratio, self.size[0]), min(-(-iy1 // ratio) * ratio, self.size[1])
        levels = math.ceil((high_m - low_m) / cell_m)
        if -(-(ix1 - ix0) // ratio) * -(-(iy1 - iy0) // ratio) * levels > MAX_VOXELS:
            raise MapError(
                f"more than {MAX_VOXELS:,} voxels", value=cell_m, mend="Ask for a smaller box or larger voxels."
            )
        runs = self._runs_in((ix0, iy0, ix1, iy1))
        return voxelise(
            self.layer("surface", ix0, iy0, ix1, iy1),
            (runs["ix"] - ix0, runs["iy"] - iy0, runs["from_m"], runs["to_m"]),
            origin_m=(ix0 * cell, iy0 * cell, low_m),
            column_m=cell,
            columns_per_voxel=ratio,
            levels=levels,
        )

    def overview(self, name: str, longest: int) -> NDArray:
        """A layer of the whole map in blocks of n x n cells, n the least with which neither side has more than
        ``longest`` blocks (`overview_factor`); read tile by tile.

        A block holds the lowest terrain, the highest surface, all flags of its status, the day of its oldest survey
        that is known, the source of its south-west cell.
        """
        factor = self.overview_factor(longest)
        nx, ny = self.size
        join = {"terrain": np.minimum, "surface": np.maximum, "status": np.bitwise_or, "age": np.minimum}.get(name)
        first: dict[str, float] = {"terrain": np.inf, "surface": -np.inf, "age": np.iinfo(np.uint16).max}
        out = np.full((-(-nx // factor), -(-ny // factor)), first.get(name, 0), LAYERS[name])
        for tile in self.tiles():
            block = read_layer(self._folder(tile), name, self._shape(tile))
            ix0, iy0, ix1, iy1 = tile_box(self.size, tile)
            x, y = np.arange(ix0, ix1) // factor, np.arange(iy0, iy1) // factor
            if join is None:
                west, south = np.arange(-ix0 % factor, ix1 - ix0, factor), np.arange(-iy0 % factor, iy1 - iy0, factor)
                out[np.ix_(x[west], y[south])] = block[np.ix_(west, south)]
                continue
            if name == "age":
                block = np.where(block == 0, first["age"], block).astype(np.uint16)
            starts = [np.flatnonzero(np.diff(axis, prepend=-1)) for axis in (x, y)]
            block = join.reduceat(join.reduceat(block, starts[0], axis=0), starts[1], axis=1)
            here = (slice(x[0], x[-1] + 1), slice(y[0], y[-1] + 1))
            out[here] = join(out[here], block)
        return np.where(out == first["age"], 0, out).astype(np.uint16) if name == "age" else out

    def overview_factor(self, longest: int) -> int:
        """Cells along the edge of a block of `overview`."""
        return max(1, -(-max(self.size) // longest))

    # --- places --------------------------------------------------------------------------------------------

    def terrain_up(self, east: ArrayLike, north: ArrayLike) -> NDArray[np.float64]:
        """``up`` of the lowest ground in the cell at each place; shape of the broadcast inputs.

        Raises:
            MapError: a place off the map.
        """
        return self._at("terrain", east, north).astype(np.float64)

    def surface_up(self, east: ArrayLike, north: ArrayLike) -> NDArray[np.float64]:
        """``up`` of the highest thing in the cell at each place (what is assumed, where nothing was seen).

        Raises:
            MapError: a place off the map.
        """
        return self._at("surface", east, north).astype(np.float64)

    def status_at(self, east: ArrayLike, north: ArrayLike) -> NDArray[np.uint8]:
        """The flags (:class:`~utm.mapping.mapfile.Status`) of the cell at each place."""
        return self._at("status", east, north)

    def source_at(self, east: ArrayLike, north: ArrayLike) -> NDArray[np.uint16]:
        """Which of `sources` decided the surface of the cell at each place, from 1 on; 0: it was assumed."""
        return self._at("source", east, north)

    def surveyed_at(self, east: ArrayLike, north: ArrayLike) -> NDArray[np.uint16]:
        """The day of that source's survey, counted from 1970-01-01; 0: not known."""
        return self._at("age", east, north)

    def blocked(self, east: ArrayLike, north: ArrayLike, up: ArrayLike) -> NDArray[np.bool_]:
        """Whether points lie in something solid or unknown; shape of the broadcast inputs.

        Ends of solids belong to them. A place on the line between two cells belongs to the eastern or northern one.

        Args:
            east, north, up: metres in the map's frame, any number of points.

        Raises:
            MapError: a place off the map, or a height that is not a number.
        """
        east, north, up = np.broadcast_arrays(*(np.asarray(axis, np.float64) for axis in (east, north, up)))
        if np.isnan(up).any():
            raise MapError("a height that is not a number", field="up")
        heights = np.ascontiguousarray(up).ravel()
        solid = np.empty(heights.size, np.bool_)
        for tile, points, ix, iy in self._by_tile(east, north):
            solid[points] = solid_at(self._runs(tile), self._block(tile, "surface"), ix, iy, heights[points])
        return solid.reshape(up.shape)

    # --- tiles ---------------------------------------------------------------------------------------------

    def tiles(self) -> list[Tile]:
        """Every tile, row by row from the south-west."""
        return sorted(self._entries, key=lambda tile: tile[::-1])

    def facts(self, tile: Tile) -> Mapping[str, Any]:
        """What ``map.json`` says of a tile (`tile_facts`)."""
        return self._entries[tile]["facts"]

    def hash_of(self, tile: Tile) -> str:
        """The hash of a tile's content."""
        return self._entries[tile]["hash"]

    def tile_content(self, tile: Tile) -> TileContent:
        """All that the map says of a tile.

        Raises:
            MapError: a file is missing or damaged.
        """
        return read_tile(self._folder(tile), self._shape(tile), runs=bool(self.facts(tile)["runs"]))

    def verify(self) -> None:
        """Read everything, tile by tile, and compare with the hashes and facts that ``map.json`` states.

        Raises:
            MapError: the content is not what it was when the map was built.
        """
        identity = identity_of(self.meta)
        for tile in self.tiles():
            content = self.tile_content(tile)
            found = tile_hash(identity, tile, content)
            if found != self.hash_of(tile):
                raise MapError(
                    f"the content hashes to {found[:12]}, not to what map.json says",
                    file=self._folder(tile), value=self.hash_of(tile)[:12], mend=MEND,
                )  # fmt: skip
            if tile_facts(content) != self.facts(tile):
                raise MapError(f"states false facts of tile {tile}", file=self.path / "map.json", mend=MEND)

    # --- inside --------------------------------------------------------------------------------------------

    def cells(self, east0: float, north0: float, east1: float, north1: float) -> Box:
        """The cells that touch a box in metres, clipped to the map.

        Raises:
            MapError: none does.
        """
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

    @cached_property
    def _entries(self) -> dict[Tile, dict]:
        return {tuple(entry["tile"]): entry for entry in self.meta["tiles"]}

    def _folder(self, tile: Tile) -> Path:
        return self.path / "tiles" / tile_name(tile, self.hash_of(tile))

    def _shape(self, tile: Tile) -> tuple[int, int]:
        ix0, iy0, ix1, iy1 = tile_box(self.size, tile)
        return ix1 - ix0, iy1 - iy0

    def _block(self, tile: Tile, name: str) -> NDArray:
        folder = self._folder(tile)
        return _cache.get((folder, name), lambda: read_layer(folder, name, self._shape(tile)))

    def _runs(self, tile: Tile) -> NDArray:
        if not self.facts(tile)["runs"]:
            return np.empty(0, RUN_DTYPE)
        folder = self._folder(tile)

        def read() -> NDArray:
            runs = read_runs(folder)
            try:
                check_runs(runs, self._block(tile, "surface"))
            except ValueError as error:
                raise MapError(f"damaged: {error}", file=folder, mend=MEND) from None
            return runs

        return _cache.get((folder, "runs"), read)

    def _runs_in(self, box: Box) -> NDArray:
        parts = [np.empty(0, MAP_RUN_DTYPE)]
        for tile, _, there in self._pieces(box):
            runs = self._runs(tile)
            (x, y) = there
            kept = runs[
                (runs["ix"] >= x.start) & (runs["ix"] < x.stop) & (runs["iy"] >= y.start) & (runs["iy"] < y.stop)
            ].astype(MAP_RUN_DTYPE)
            kept["ix"] += tile[0] * TILE
            kept["iy"] += tile[1] * TILE
            parts.append(kept)
        joined = np.concatenate(parts)
        return joined[np.lexsort((joined["from_m"], joined["iy"], joined["ix"]))]

    def _pieces(self, box: Box) -> Iterator[tuple[Tile, tuple[slice, slice], tuple[slice, slice]]]:
        """Each tile that a box of cells touches: where its part lies in the box, and where in the tile."""
        ix0, iy0, ix1, iy1 = box
        for ty in range(iy0 // TILE, (iy1 - 1) // TILE + 1):
            for tx in range(ix0 // TILE, (ix1 - 1) // TILE + 1):
                x, y = tx * TILE, ty * TILE
                west, east = max(ix0, x), min(ix1, x + TILE)
                south, north = max(iy0, y), min(iy1, y + TILE)
                here = (slice(west - ix0, east - ix0), slice(south - iy0, north - iy0))
                yield (tx, ty), here, (slice(west - x, east - x), slice(south - y, north - y))

    def _at(self, name: str, east: ArrayLike, north: ArrayLike) -> NDArray:
        east, north = np.broadcast_arrays(np.asarray(east, np.float64), np.asarray(north, np.float64))
        values = np.empty(east.size, LAYERS[name])
        for tile, points, ix, iy in self._by_tile(east, north):
            values[points] = self._block(tile, name)[ix, iy]
        return values.reshape(east.shape)

    def _by_tile(
        self, east: NDArray[np.float64], north: NDArray[np.float64]
    ) -> Iterator[tuple[Tile, NDArray, NDArray, NDArray]]:
        """Each tile that holds some of the places: which places (flat), and their cells within the tile."""
        width, height = self.extent_m
        good = (east >= 0) & (east <= width) & (north >= 0) & (north <= height)
        if not good.all():
            first = np.flatnonzero(~good.ravel())[0]
            e, n = float(east.ravel()[first]), float(north.ravel()[first])
            lon, lat = self.frame.to_lonlat(e, n)
            raise MapError(
                f"lon {lon:.6f}, lat {lat:.6f} lies off the map of {width:g} x {height:g} m",
                file=self.path,
                value=(round(e, 2), round(n, 2)),
                mend="Choose a place on the map, or build one that reaches there.",
            )
        ix = np.minimum((east / self.resolution_m).astype(np.int32), self.size[0] - 1).ravel()
        iy = np.minimum((north / self.resolution_m).astype(np.int32), self.size[1] - 1).ravel()
        across = -(-self.size[0] // TILE)
        number = ix // TILE + iy // TILE * across
        if number.size and (number == number[0]).all():
            order, found, begins = np.arange(number.size), number[:1], np.array([0])
        else:
            order = np.argsort(number, kind="stable")
            found, begins = np.unique(number[order], return_index=True)
        ends = [*begins[1:], number.size][: len(begins)]  # none for no points
        for tile_number, begin, end in zip(found, begins, ends, strict=True):
            points = order[begin:end]
            tx, ty = int(tile_number % across), int(tile_number // across)
            yield (tx, ty), points, ix[points] - tx * TILE, iy[points] - ty * TILE
