"""How a city map lies on disk: one directory that QGIS opens without us.

    map.json       format, frame, sources, parameters, counts, and ``version``, the hash of the content
    terrain.tif    float32 COG, metres in the map's vertical datum: the LOWEST ground in each cell
    surface.tif    float32 COG, likewise: the highest thing in each cell, or what is assumed where nothing was seen
    status.tif     uint8 COG, the flags of :class:`Status`

Inside the program arrays over the ground are ``[ix, iy]``, east and north ascending; on disk row 0 is north.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from utm.errors import MapError

FORMAT = "skyroad-citymap"
FORMAT_VERSION = 1
LAYERS = {"terrain": "float32", "surface": "float32", "status": "uint8"}


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
RUN_DTYPE = np.dtype(
    [("ix", "u2"), ("iy", "u2"), ("from_m", "f4"), ("to_m", "f4"), ("kind", "u1"), ("source", "u2")]
)


def content_hash(identity: Mapping[str, object], layers: Mapping[str, NDArray]) -> str:
    """SHA-256 (hex) of what a map says: frame, grid and every height and flag; not paths, names or times.

    The arrays are hashed, not the files, so that another version of GDAL does not make another map.
    """
    digest = hashlib.sha256()
    digest.update(json.dumps(identity, sort_keys=True, separators=(",", ":")).encode())
    for name, dtype in LAYERS.items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(layers[name], dtype=np.dtype(dtype).newbyteorder("<")).tobytes())
    return digest.hexdigest()


def identity_of(meta: Mapping[str, object]) -> dict[str, object]:
    """The part of ``map.json`` that belongs to the content hash."""
    return {key: meta[key] for key in ("format", "format_version", "frame", "resolution_m", "size")}


def read_meta(path: Path) -> dict:
    """``map.json`` of a map directory, checked for form; the rasters are looked at by name and size only.

    Raises:
        MapError: no such directory, not a map, damaged, another format version, a raster missing or cut short.
    """
    if not path.is_dir():
        raise MapError("there is no such map directory", file=path, mend="Build one with `utm map build`.")
    file = path / "map.json"
    try:
        meta = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MapError("not a map: it holds no map.json", file=path, mend="Build one with `utm map build`.") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise MapError(f"damaged: {error}", file=file, mend="Build the map again from its survey.") from None
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
    _check_form(meta, file)
    for name, entry in meta["rasters"].items():
        raster = path / entry["file"]
        if not raster.is_file():
            raise MapError(f"the {name} raster is missing", file=raster, mend="Build the map again from its survey.")
        if raster.stat().st_size != entry["bytes"]:
            raise MapError(
                f"damaged: {entry['bytes']} bytes expected",
                file=raster,
                value=raster.stat().st_size,
                mend="Build the map again from its survey.",
            )
    return meta


def _check_form(meta: dict, file: Path) -> None:
    """Raise MapError unless every key that the reader relies on is there with a value of its type."""

    def number(value: object) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and bool(np.isfinite(value))

    frame, rasters, size = meta.get("frame"), meta.get("rasters"), meta.get("size")
    checks = {
        "version": isinstance(meta.get("version"), str),
        "frame": isinstance(frame, dict)
        and isinstance(frame.get("crs"), str)
        and isinstance(frame.get("vertical"), str)
        and number(frame.get("origin_x"))
        and number(frame.get("origin_y")),
        "resolution_m": number(meta.get("resolution_m")) and meta["resolution_m"] > 0,
        "size": isinstance(size, list) and len(size) == 2 and all(isinstance(n, int) and n > 0 for n in size),
        "rasters": isinstance(rasters, dict)
        and set(rasters) == set(LAYERS)
        and all(
            isinstance(entry, dict)
            and isinstance(entry.get("file"), str)
            and Path(entry["file"]).name == entry["file"]
            and isinstance(entry.get("bytes"), int)
            for entry in rasters.values()
        ),
        "sources": isinstance(meta.get("sources"), list),
        "parameters": isinstance(meta.get("parameters"), dict),
        "counts": isinstance(meta.get("counts"), dict),
    }
    for field, good in checks.items():
        if not good:
            raise MapError("missing or malformed", file=file, field=field, mend="Build the map again from its survey.")
