"""How a city map lies on disk: one directory that QGIS and xarray open without us.

    map.json                         the current version: frame, grid, tiles with their hashes, sources, counts
    versions/<version[:16]>.json     every version, likewise
    tiles/<tx>_<ty>-<hash[:16]>/     a tile of 512 x 512 cells: five COGs and, where two rasters cannot say it,
                                     voxels.zarr; named by its content, so that versions share it; never changed
    terrain.vrt ...                  mosaics of the current version, for QGIS

Inside the program arrays over the ground are ``[ix, iy]``, east and north ascending; on disk row 0 is north.
"""

from __future__ import annotations

import enum
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from utm.errors import MapError

FORMAT = "skyroad-citymap"
FORMAT_VERSION = 2
#: Cells along the edge of a tile. Tiles are counted from the map's south-west corner.
TILE = 512
MAX_CELLS = 2_000_000_000  # 7,600 tiles
#: float32 metres in the map's datum: LOWEST ground, highest blocked height (assumed where nothing was seen); flags of
#: `Status`; 1-based number of the source that decided the surface (0: assumed); days since 1970-01-01 of that source's
#: survey (0: not known).
LAYERS = {"terrain": "float32", "surface": "float32", "status": "uint8", "source": "uint16", "age": "uint16"}

#: What the entry of a tile says of it, beside ``ages`` (see `facts.tile_facts`).
FACT_COUNTS = (
    "cells", "known", "suspect", "from_raster", "from_cloud", "from_model", "terrain_assumed", "terrain_filtered",
    "runs", "columns_with_air",
)  # fmt: skip
FACT_HEIGHTS = ("terrain_low_m", "terrain_high_m", "surface_low_m", "surface_high_m", "highest_m")

MEND = "Build the map again from its survey, or restore it from a backup."

#: Which column and row of tiles, counted from the south-west.
Tile = tuple[int, int]
#: Cells ix0, iy0, ix1, iy1; the last two are one past the end.
Box = tuple[int, int, int, int]


class Status(enum.IntFlag):
    """What is known of a cell. Every cell is either KNOWN or UNKNOWN."""

    KNOWN = 1
    """Some source saw the surface here."""
    UNKNOWN = 2
    """No source did; the surface is an assumption that blocks."""
    FROM_RASTER = 4
    """A surface model covers the cell."""
    FROM_CLOUD = 8
    """Returns of a point cloud lie in the cell."""
    SUSPECT = 16
    """The height rests on a return that the outlier filter rejected; it blocks all the same."""
    TERRAIN_ASSUMED = 32
    """No ground is known here; the lowest terrain nearby stands in."""
    FROM_MODEL = 64
    """Something was entered here: a 3-D model, a power line, a mast, a crane."""
    TERRAIN_FILTERED = 128
    """The ground here was found by a ground filter, not given by a surveyor."""


class RunKind(enum.IntEnum):
    """What a solid run of a column is."""

    BASE = 0
    """What stands on the ground, down to it and below."""
    SEEN = 1
    """Returns with air below them: a wire, a jib, a bridge."""
    SUSPECT = 2
    """Reaches down to the base from a return that the outlier filter rejected; blocked until a person clears it."""
    ENTERED = 3
    """A 3-D model or a vector: what photogrammetry cannot see, or did not."""


#: A solid run of a column: cell within its tile, from and to in metres ``up``, kind, source (1-based).
RUN_DTYPE = np.dtype([("ix", "u2"), ("iy", "u2"), ("from_m", "f4"), ("to_m", "f4"), ("kind", "u1"), ("source", "u2")])
#: Likewise, but with cells counted over the whole map.
MAP_RUN_DTYPE = np.dtype([("ix", "i4"), ("iy", "i4"), *RUN_DTYPE.descr[2:]])
#: No tile holds more runs than this: a hundred in every fourth column.
MAX_RUNS = TILE * TILE * 25


@dataclass(frozen=True, eq=False)
class TileContent:
    """All that a map says of one tile."""

    layers: Mapping[str, NDArray]
    """One array (nx, ny) for each of `LAYERS`, clipped to the map."""
    runs: NDArray = field(default_factory=lambda: np.empty(0, RUN_DTYPE))
    """RUN_DTYPE, sorted by ix, iy, from_m: ALL solid runs of the columns that are listed; the lowest of a column has
    ``from_m`` = -inf, the highest ``to_m`` is its surface. A column that is not listed is solid up to its surface."""

    def check(self, shape: tuple[int, int]) -> None:
        """Raise ValueError unless this is the content of a tile of (nx, ny) cells, as the fields say."""
        for name, dtype in LAYERS.items():
            layer = self.layers.get(name)
            if layer is None or layer.shape != shape or layer.dtype != dtype:
                found = "nothing" if layer is None else f"{layer.dtype} {layer.shape}"
                raise ValueError(f"{name} must be {dtype} {shape}, is {found}")
        terrain, surface, status = (self.layers[name] for name in ("terrain", "surface", "status"))
        if not (np.isfinite(terrain).all() and np.isfinite(surface).all()):
            raise ValueError("a height is not a finite number")
        if (surface < terrain).any():
            raise ValueError("a surface lies below its terrain")
        if (((status & Status.KNOWN) != 0) == ((status & Status.UNKNOWN) != 0)).any():
            raise ValueError("a cell is neither known nor unknown, or both")
        check_runs(self.runs, surface)


def check_runs(runs: NDArray, surface: NDArray) -> None:
    """Raise ValueError unless runs are as `TileContent.runs` says, for a tile of this surface (nx, ny)."""
    shape = surface.shape
    if runs.dtype != RUN_DTYPE or runs.ndim != 1 or len(runs) > MAX_RUNS:
        raise ValueError(f"runs must be a table of at most {MAX_RUNS} rows, is {runs.dtype} {runs.shape}")
    if len(runs) == 0:
        return
    low, high = runs["from_m"], runs["to_m"]
    if (runs["ix"] >= shape[0]).any() or (runs["iy"] >= shape[1]).any() or runs["kind"].max() > max(RunKind):
        raise ValueError("a run lies outside the tile, or is of no kind")
    if not (np.isfinite(high).all() and (low <= high).all()):
        raise ValueError("a run ends below its beginning, or nowhere")
    cell = runs["ix"].astype(np.int64) * shape[1] + runs["iy"]
    same = np.diff(cell) == 0
    if (np.diff(cell) < 0).any() or (low[1:] < low[:-1])[same].any():
        raise ValueError("the runs are not sorted")
    first = np.flatnonzero(np.concatenate([[True], ~same]))
    if not np.isneginf(low[first]).all():
        raise ValueError("the lowest run of a column has an end below")
    if (np.maximum.reduceat(high, first) != surface.reshape(-1)[cell[first]]).any():
        raise ValueError("the highest run of a column does not end at its surface")


def _plain(identity: Mapping[str, object]) -> bytes:
    return json.dumps(identity, sort_keys=True, separators=(",", ":")).encode()


def tile_hash(identity: Mapping[str, object], tile: Tile, content: TileContent) -> str:
    """SHA-256 (hex) of what a map says of one tile: frame, grid, every height, flag and run; not paths or times.

    The arrays are hashed, not the files, so that another version of GDAL does not make another map.
    """
    digest = hashlib.sha256(_plain(identity))
    digest.update(f"tile {tile[0]} {tile[1]}".encode())
    for name, dtype in LAYERS.items():
        layer = np.ascontiguousarray(content.layers[name], np.dtype(dtype).newbyteorder("<"))
        digest.update(f"{name} {layer.shape}".encode())
        # adding 0 makes -0.0 and 0.0, which are one height, one content
        digest.update((layer + layer.dtype.type(0)).data if dtype == "float32" else layer.data)
    digest.update(f"runs {len(content.runs)}".encode())
    for name in RUN_DTYPE.names or ():
        column = np.ascontiguousarray(content.runs[name], RUN_DTYPE[name].newbyteorder("<"))
        digest.update((column + column.dtype.type(0)).data if column.dtype.kind == "f" else column.data)
    return digest.hexdigest()


def version_of(identity: Mapping[str, object], hashes: Mapping[Tile, str]) -> str:
    """SHA-256 (hex) of a whole map: its frame, its grid and the hashes of its tiles."""
    digest = hashlib.sha256(_plain(identity))
    for (tx, ty), found in sorted(hashes.items()):
        digest.update(f"{tx} {ty} {found}\n".encode())
    return digest.hexdigest()


def identity_of(meta: Mapping[str, object]) -> dict[str, object]:
    """The part of ``map.json`` that belongs to the hashes: what the cells are, not who says what of them."""
    frame: Mapping[str, object] = meta["frame"]  # type: ignore[assignment]
    kept = {key: meta[key] for key in ("format", "format_version", "frame", "resolution_m", "size")}
    kept["frame"] = {
        "crs": frame["crs"],
        "origin_x": float(frame["origin_x"]),  # type: ignore[arg-type]
        "origin_y": float(frame["origin_y"]),  # type: ignore[arg-type]
        "vertical": str(frame["vertical"]),
    }
    kept["resolution_m"] = float(meta["resolution_m"])  # type: ignore[arg-type]
    kept["size"] = list(meta["size"])  # type: ignore[call-overload]
    return kept


def tile_box(size: tuple[int, int], tile: Tile) -> Box:
    """The cells of a tile, clipped to a map of (nx, ny)."""
    ix, iy = tile[0] * TILE, tile[1] * TILE
    return ix, iy, min(size[0], ix + TILE), min(size[1], iy + TILE)


def tile_name(tile: Tile, content_hash: str) -> str:
    """The directory of a tile within ``tiles``."""
    return f"{tile[0]}_{tile[1]}-{content_hash[:16]}"


def version_file(path: Path, version: str) -> Path:
    """Where a version is described for good."""
    return path / "versions" / f"{version[:16]}.json"


def read_meta(path: Path, file: Path | None = None) -> dict:
    """``map.json`` of a map directory, checked for form and against its own version; no tile is looked at.

    Args:
        file: a file of ``versions`` instead.

    Raises:
        MapError: no such directory, not a map, damaged, of another format version, or contradicting itself.
    """
    if not path.is_dir():
        raise MapError("there is no such map directory", file=path, mend="Build one with `utm map build`.")
    file = file or path / "map.json"
    try:
        meta = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MapError(
            f"not a map: it holds no {file.name}", file=path, mend="Build one with `utm map build`."
        ) from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise MapError(f"damaged: {error}", file=file, mend=MEND) from None
    except ValueError as error:  # an integer of 10,000 digits
        raise MapError(f"damaged: {error}", file=file, mend=MEND) from None
    except OSError as error:
        raise MapError(f"cannot be read: {error.strerror}", file=file, mend="Check its permissions.") from None
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise MapError(f"not a {FORMAT} file", file=file, mend="Give a directory made by `utm map build`.")
    if meta.get("format_version") != FORMAT_VERSION:
        raise MapError(
            f"this program reads map format {FORMAT_VERSION}",
            file=file,
            field="format_version",
            value=meta.get("format_version"),
            mend="Build the map again from its survey.",
        )
    check_meta(meta, file)
    return meta


def check_meta(meta: Mapping, file: Path) -> None:
    """Raise MapError, naming the field, unless everything that the reader relies on is there, of its type, within
    reason, and the version follows from the tiles."""

    def number(value: object) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e12  # NaN is not

    def count(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53

    def text(value: object, pattern: str = r".+") -> bool:
        return isinstance(value, str) and re.fullmatch(pattern, value, re.DOTALL) is not None

    def facts(value: object) -> bool:
        return (
            isinstance(value, dict)
            and all(count(value.get(name)) for name in FACT_COUNTS)
            and all(number(value.get(name)) for name in FACT_HEIGHTS)
            and isinstance(value.get("ages"), list)
            and all(isinstance(age, list) and len(age) == 2 and all(map(count, age)) for age in value["ages"])
            and all(day < 1 << 16 for day, _ in value["ages"])
        )

    frame, size, dates = meta.get("frame"), meta.get("size"), meta.get("survey_dates")
    day = r"\d{4}-\d\d-\d\d"
    checks = {
        "version": text(meta.get("version"), "[0-9a-f]{64}"),
        "parent": "parent" in meta and (meta["parent"] is None or text(meta["parent"], "[0-9a-f]{64}")),
        "frame": isinstance(frame, dict)
        and text(frame.get("crs"))
        and text(frame.get("vertical"))
        and number(frame.get("origin_x"))
        and number(frame.get("origin_y"))
        and (frame.get("geoid") is None or text(frame["geoid"])),
        "resolution_m": number(meta.get("resolution_m")) and 1e-3 <= meta["resolution_m"] <= 1e5,
        "size": isinstance(size, list)
        and len(size) == 2
        and all(count(n) and n > 0 for n in size)
        and size[0] * size[1] <= MAX_CELLS,
        "tiles": isinstance(meta.get("tiles"), list)
        and all(
            isinstance(entry, dict)
            and isinstance(entry.get("tile"), list)
            and len(entry["tile"]) == 2
            and all(count(n) for n in entry["tile"])
            and text(entry.get("hash"), "[0-9a-f]{64}")
            and count(entry.get("bytes"))
            and facts(entry.get("facts"))
            for entry in meta["tiles"]
        ),
        "sources": isinstance(meta.get("sources"), list) and all(isinstance(s, dict) for s in meta["sources"]),
        "parameters": isinstance(meta.get("parameters"), dict),
        "counts": isinstance(meta.get("counts"), dict),
        "survey_dates": isinstance(dates, dict)
        and all(dates.get(end) is None or text(dates[end], day) for end in ("oldest", "newest")),
        "cleared": isinstance(meta.get("cleared", []), list),
        "notes": isinstance(meta.get("notes", []), list),
    }
    for name, good in checks.items():
        if not good:
            raise MapError("missing or malformed", file=file, field=name, mend=MEND)
    hashes = {tuple(entry["tile"]): entry["hash"] for entry in meta["tiles"]}
    wanted = -(-size[0] // TILE) * -(-size[1] // TILE)
    inside = all(tx * TILE < size[0] and ty * TILE < size[1] for tx, ty in hashes)
    if len(meta["tiles"]) != wanted or len(hashes) != wanted or not inside:
        raise MapError(
            f"must name each of the {wanted} tiles once", file=file, field="tiles", value=len(hashes), mend=MEND
        )
    if version_of(identity_of(meta), hashes) != meta["version"]:
        raise MapError(
            "does not follow from the frame and the tiles that the file states",
            file=file, field="version", value=meta["version"][:12], mend=MEND,
        )  # fmt: skip
