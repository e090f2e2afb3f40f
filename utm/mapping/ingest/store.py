"""Putting a map on disk so that whoever opens it, whenever, finds a whole version: the old one or the new.

Tiles and versions are written beside, flushed to the disk and renamed; ``map.json`` is exchanged last. Whoever is
killed leaves nothing but files that the next writer removes.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyproj
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError  # what closing a file raises on a full disk, and is exported nowhere
from rasterio.crs import CRS

from utm.errors import MapError
from utm.mapping.citymap import CityMap
from utm.mapping.facts import tile_facts
from utm.mapping.ingest.mosaic import mosaic_xml
from utm.mapping.mapfile import (
    FORMAT,
    FORMAT_VERSION,
    LAYERS,
    RUN_DTYPE,
    RunKind,
    Tile,
    TileContent,
    check_meta,
    identity_of,
    read_meta,
    tile_box,
    tile_hash,
    tile_name,
    version_file,
    version_of,
)
from utm.mapping.tilefile import VOXELS, read_tile

#: Vertical CRS by datum. JGD2024 has no code yet, ellipsoid heights are no vertical CRS.
_VERTICAL_EPSG = {"AMSL": 5773, "JGD2011": 6695, "NAP": 5709, "NAVD88": 5703}
#: Files of a tile that are flushed at a time.
_AT_ONCE = 4
_TILE_NAME = re.compile(r"\d+_\d+-[0-9a-f]{16}")
_LEFTOVERS = re.compile(r"\.lock|\.scratch-.*|\..*\.partial-.*|tiles|versions|(" + "|".join(LAYERS) + r")\.vrt")


def write_tile(out: Path, identity: Mapping[str, Any], tile: Tile, content: TileContent) -> dict[str, Any]:
    """Put one tile on disk. May run in any process, in several at once, and twice.

    Args:
        out: the map's directory.
        identity: ``map.json``, or as much of it as `identity_of` wants.
        content: of the shape that the tile has in this map.

    Returns:
        the tile's entry in ``map.json``: tile, hash, bytes, facts (see `tile_facts`).

    Raises:
        ValueError: the content contradicts itself.
        MapError: the disk refused.
    """
    identity = identity_of(identity)
    nx, ny = identity["size"]
    ix0, iy0, ix1, iy1 = tile_box((nx, ny), tile)
    content.check((ix1 - ix0, iy1 - iy0))
    found = tile_hash(identity, tile, content)
    tiles = out / "tiles"
    place, partial = tiles / tile_name(tile, found), tiles / f".partial-{uuid.uuid4().hex}"
    try:
        if not _holds(place, identity, tile, content, found):
            partial.mkdir(parents=True)
            _write_files(partial, identity, tile, content)
            _sync_tree(partial)
            if place.exists():  # damaged: nothing else has this name and another content
                os.rename(place, tiles / f".partial-{uuid.uuid4().hex}")
            try:
                os.rename(partial, place)
            except OSError as error:  # somebody else has just written the same
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
            _sync(tiles)
        size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    except (rasterio.errors.RasterioError, CPLE_BaseError, OSError) as error:
        raise MapError(f"cannot be written: {error}", file=place, field="--out", mend="Is the disk full?") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return {"tile": list(tile), "hash": found, "bytes": size, "facts": tile_facts(content)}


def _holds(place: Path, identity: Mapping[str, Any], tile: Tile, content: TileContent, wanted: str) -> bool:
    if not place.is_dir():
        return False
    try:
        there = read_tile(place, content.layers["status"].shape, runs=len(content.runs) > 0)
    except MapError:  # so that building again mends a damaged map
        return False
    return tile_hash(identity, tile, there) == wanted


def _write_files(folder: Path, identity: Mapping[str, Any], tile: Tile, content: TileContent) -> None:
    frame, cell = identity["frame"], float(identity["resolution_m"])
    ix0, _, _, iy1 = tile_box(tuple(identity["size"]), tile)
    corner = rasterio.Affine(cell, 0, frame["origin_x"] + ix0 * cell, 0, -cell, frame["origin_y"] + iy1 * cell)
    crs = compound_crs(str(frame["crs"]), str(frame["vertical"]))
    # One after the other: together, on two workers, a large city took half again the processor's time
    for name in LAYERS:
        _write_cog(folder / f"{name}.tif", content.layers[name], corner, crs)
    if len(content.runs):
        _write_runs(folder / VOXELS, content.runs, str(frame["vertical"]))


def _write_cog(file: Path, cells: NDArray, corner: rasterio.Affine, crs: CRS) -> None:
    heights = cells.dtype.kind == "f"
    profile = {
        "driver": "COG",
        "width": cells.shape[0],
        "height": cells.shape[1],
        "count": 1,
        "dtype": cells.dtype.name,
        "crs": crs,
        "transform": corner,
        "compress": "deflate",
        "level": 1,  # 6 takes three times as long for the same size: heights are noise below the decimetre
        "predictor": 3 if heights else 2,
        "blocksize": 256,
        "overviews": "none",  # a tile is small; averages would lie on the unsafe side
    }
    with rasterio.open(file, "w", **profile) as raster:
        raster.write(np.ascontiguousarray(cells.T[::-1]), 1)
        raster.set_band_description(1, file.stem)
        if heights:
            raster.units = ("metre",)


def _write_runs(place: Path, runs: NDArray, vertical: str) -> None:
    import zarr
    from zarr.codecs import ZstdCodec

    about = {
        "ix": {"long_name": "column of the cell within its tile, from the west"},
        "iy": {"long_name": "row of the cell within its tile, from the south"},
        "from_m": {"long_name": "lower end of the solid run; -inf: down into the ground", "units": "m"},
        "to_m": {"long_name": "upper end of the solid run", "units": "m"},
        "kind": {
            "long_name": "what the run is",
            "flag_values": [int(kind) for kind in RunKind],
            "flag_meanings": " ".join(kind.name.lower() for kind in RunKind),
        },
        "source": {"long_name": "1-based number of the source in map.json; 0: none"},
    }
    title = "All solid runs of the columns that hold air; every other column is solid up to its surface"
    group = zarr.create_group(place, zarr_format=3, attributes={"title": title, "vertical_datum": vertical})
    for name in RUN_DTYPE.names or ():
        group.create_array(
            name,
            data=np.ascontiguousarray(runs[name]),
            chunks=(len(runs),),
            compressors=[ZstdCodec(level=5, checksum=True)],
            dimension_names=("run",),
            attributes=about[name],
        )
    _consolidate(place)


def _consolidate(place: Path) -> None:
    """Repeat the metadata of all arrays in the group, where xarray looks first. By hand, because zarr warns that this
    is not in its specification, and warnings cannot be silenced in one thread alone."""
    group = json.loads((place / "zarr.json").read_text(encoding="utf-8"))
    arrays = {
        name: json.loads((place / name / "zarr.json").read_text(encoding="utf-8")) for name in RUN_DTYPE.names or ()
    }
    group["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": arrays}
    (place / "zarr.json").write_text(json.dumps(group, indent=1), encoding="utf-8")


def compound_crs(horizontal: str, vertical: str) -> CRS:
    """The CRS for the rasters; its vertical part is left out where no code names it (`_VERTICAL_EPSG`)."""
    if vertical not in _VERTICAL_EPSG:
        return CRS.from_string(horizontal)
    if horizontal.startswith("EPSG:"):
        return CRS.from_string(f"{horizontal}+{_VERTICAL_EPSG[vertical]}")
    flat, height = pyproj.CRS(horizontal), pyproj.CRS.from_epsg(_VERTICAL_EPSG[vertical])
    return CRS.from_wkt(pyproj.crs.CompoundCRS(f"{flat.name} + {height.name}", [flat, height]).to_wkt())


def check_place(out: Path, *, replace: bool) -> None:
    """Raise MapError unless a map may be built here: a free name, an empty directory, what a killed first build left,
    or a map that may be followed by another."""
    if not out.exists() and not out.is_symlink():
        if not out.parent.is_dir():
            raise MapError("the directory above it does not exist", file=out, field="--out", mend="Make it first.")
        return
    if not out.is_dir():
        raise MapError("a file stands there", file=out, field="--out", mend="Choose another name.")
    if (out / "map.json").is_file():
        if not replace:
            raise MapError(
                "a map stands there already", file=out, field="--out", mend="Choose another name, or --replace it."
            )
        return
    there = {entry.name for entry in out.iterdir()}
    if there and not (".lock" in there and all(map(_LEFTOVERS.fullmatch, there))):
        raise MapError("the directory is not empty and not a map", file=out, field="--out", mend="Choose another name.")


class MapWriter:
    """The one writer of a map directory: a context that holds its lock and a scratch directory.

    Args:
        replace: a map that stands there may be followed by one that has nothing to do with it.
        update: a map must stand there.
        follows: the version that the update is made from must be the current one, or what others wrote in the meantime
            would be lost.

    Raises:
        MapError: on entering: the place is taken, there is no map to update, another writer is at work, or the disk
            refuses.
    """

    def __init__(self, out: str | Path, *, replace: bool = False, update: bool = False, follows: str | None = None):
        self.out = Path(out).absolute()
        self._replace, self._update, self._follows = replace, update, follows
        self._made = False
        self._lock: int | None = None
        self._scratch: Path | None = None

    @property
    def scratch(self) -> Path:
        """A directory of this writer's own, inside the map's; gone when the context ends."""
        if self._scratch is None:
            raise RuntimeError("a MapWriter is used as a context")
        return self._scratch

    def __enter__(self) -> MapWriter:
        self._check()
        try:
            self._take_lock()
            try:
                self._check()  # again: what stood there may have changed before the lock was ours
                self._sweep()
                for name in ("tiles", "versions"):
                    (self.out / name).mkdir(exist_ok=True)
                self._scratch = Path(tempfile.mkdtemp(prefix=f".scratch-{os.getpid()}-", dir=self.out))
            except BaseException:
                self._leave()
                raise
        except OSError as error:
            raise MapError(f"cannot write there: {error.strerror}", file=self.out, field="--out") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()
        # Surveys are read under `reading`, so it was the map's own files that the disk refused. numpy says so without a
        # number; what a cluster's connections raise are OSErrors as well, of classes of their own.
        if isinstance(error, OSError) and (type(error) is OSError or error.errno is not None):
            if isinstance(error, (ConnectionError, TimeoutError)):
                return
            problem = f"cannot be written: {error.strerror or error}"
            raise MapError(problem, file=self.out, field="--out", mend="Is the disk full?") from error

    def publish(self, meta: Mapping[str, Any]) -> CityMap:
        """Make a version of what was written the current one.

        Args:
            meta: all of ``map.json``; ``version`` and ``parent`` are worked out here.

        Raises:
            MapError: the disk refused, or ``meta`` is not the description of a map.
        """
        _ = self.scratch
        tiles = sorted(meta["tiles"], key=lambda entry: entry["tile"][::-1])
        whole = dict(meta) | {"format": FORMAT, "format_version": FORMAT_VERSION, "tiles": tiles}
        whole["version"] = version_of(identity_of(whole), {tuple(e["tile"]): e["hash"] for e in tiles})
        whole["parent"] = self._parent_of(whole["version"])
        whole = {"cleared": [], "notes": []} | whole
        check_meta(whole, self.out / "map.json")
        for entry in tiles:
            if not (folder := self.out / "tiles" / tile_name(tuple(entry["tile"]), entry["hash"])).is_dir():
                raise MapError("a tile was never written", file=folder)
        text = _as_text(whole)
        try:
            _write_whole(version_file(self.out, whole["version"]), text)
            frame = whole["frame"]
            wkt = compound_crs(str(frame["crs"]), str(frame["vertical"])).to_wkt()
            for name in LAYERS:
                _write_whole(self.out / f"{name}.vrt", mosaic_xml(name, whole, wkt), lasting=False)
            _write_whole(self.out / "map.json", text)
        except OSError as error:
            raise MapError(f"cannot be written: {error}", file=self.out, mend="Is the disk full?") from error
        return CityMap.open(self.out)

    def _parent_of(self, version: str) -> str | None:
        """The version that stands there; publishing the same again keeps its place in the line."""
        try:
            current = read_meta(self.out)
        except MapError:
            if self._update:
                raise
            return None  # none, or one that cannot be opened and is replaced
        return current["parent"] if current["version"] == version else current["version"]

    def _check(self) -> None:
        if self._update:
            current = read_meta(self.out)["version"]
            if self._follows not in (None, current):
                raise MapError(
                    f"the current version is {current[:12]}: only that can be changed",
                    file=self.out, field="version", value=self._follows[:12],
                    mend="An older version was named, or somebody else has just written a new one: look and try again.",
                )  # fmt: skip
        else:
            check_place(self.out, replace=self._replace)

    def _take_lock(self) -> None:
        while True:
            with contextlib.suppress(FileExistsError):
                self.out.mkdir()
                self._made = True
            lock = os.open(self.out / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                raise MapError(
                    "another build or update is writing", file=self.out, mend="Wait until it is done."
                ) from None
            # A writer that failed may have removed the directory while this one was waiting for it
            with contextlib.suppress(FileNotFoundError):
                if os.stat(self.out / ".lock").st_ino == os.fstat(lock).st_ino:
                    self._lock = lock
                    return
            os.close(lock)

    def _leave(self) -> None:
        if self._lock is None:
            return
        try:
            if (self.out / "map.json").is_file():
                self._sweep()
            elif self._made:
                shutil.rmtree(self.out, ignore_errors=True)
            else:
                for entry in list(self.out.iterdir()):
                    if _LEFTOVERS.fullmatch(entry.name):
                        _remove(entry)
        finally:
            self._scratch = None
            os.close(self._lock)
            self._lock = None

    def _sweep(self) -> None:
        """Remove what writers left: scratch, half-written files, tiles that no version names."""
        for pattern in (".scratch-*", ".*.partial-*", "versions/.*.partial-*", "tiles/.partial-*"):
            for entry in self.out.glob(pattern):
                _remove(entry)
        try:
            metas = [read_meta(self.out, file) for file in (self.out / "versions").glob("*.json")]
            metas += [read_meta(self.out)] if (self.out / "map.json").exists() else []
        except MapError:
            return  # a version that cannot be read may name any tile
        named = {tile_name(tuple(entry["tile"]), entry["hash"]) for meta in metas for entry in meta["tiles"]}
        for folder in (self.out / "tiles").glob("*"):
            if _TILE_NAME.fullmatch(folder.name) and folder.name not in named:
                _remove(folder)


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        entry.unlink(missing_ok=True)


def _as_text(meta: Mapping[str, Any]) -> str:
    """JSON with a line for each tile, so that two versions compare line by line."""
    head = json.dumps({k: v for k, v in meta.items() if k != "tiles"}, indent=1, ensure_ascii=False, allow_nan=False)
    lines = ",\n  ".join(json.dumps(entry, allow_nan=False) for entry in meta["tiles"])
    return head.removesuffix("\n}") + f',\n "tiles": [\n  {lines}\n ]\n}}\n'


def _write_whole(file: Path, text: str, *, lasting: bool = True) -> None:
    """Write beside, flush, rename: a reader sees the old file or the new.

    Args:
        lasting: whether it must be there after the power failed, too; what can be written again need not.
    """
    beside = file.with_name(f".{file.name}.partial-{uuid.uuid4().hex}")
    try:
        with beside.open("w", encoding="utf-8") as stream:
            stream.write(text)
            if lasting:
                stream.flush()
                os.fsync(stream.fileno())
        os.replace(beside, file)
    finally:
        beside.unlink(missing_ok=True)
    if lasting:
        _sync(file.parent)


def _sync_tree(folder: Path) -> None:
    """Flush a folder and all in it. Together, for the disk takes one barrier for many files as soon as for one."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(_sync, [folder, *folder.rglob("*")]))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
