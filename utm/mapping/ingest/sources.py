"""What a survey file says of itself: kind, CRS, vertical datum, extent. Nothing is guessed, and nothing is dropped."""

from __future__ import annotations

import hashlib
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import laspy
import lazrs
import numpy as np
import pyproj
import rasterio
from laspy.errors import LaspyException
from pyproj.exceptions import CRSError, ProjError
from rasterio.errors import CRSError as RasterioCRSError
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from utm.errors import DatumError, SurveyError
from utm.frames import split_crs, vertical_datum
from utm.model import Datum

RASTER_SUFFIXES = {".tif", ".tiff"}
CLOUD_SUFFIXES = {".las", ".laz"}


@dataclass(frozen=True)
class Source:
    """One survey file whose header has been read and found usable."""

    path: Path
    kind: str
    """``raster`` or ``cloud``."""
    crs: str
    """Horizontal: ``EPSG:n`` where the authority is known, WKT otherwise."""
    vertical: Datum
    bounds: tuple[float, float, float, float]
    """West, south, east, north in the CRS."""
    resolution_m: float | None
    """Edge of a raster's cell (the longer one); None for a cloud."""
    points: int | None
    """What the header of a cloud promises."""

    def described(self, role: str) -> dict[str, object]:
        """The entry for ``map.json``: the file's name and hash, never its place."""
        entry: dict[str, object] = {
            "file": self.path.name,
            "role": role,
            "kind": self.kind,
            "sha256": _sha256(self.path),
            "crs": self.crs,
            "vertical": str(self.vertical),
        }
        if self.kind == "raster":
            return entry | {"resolution_m": self.resolution_m}
        return entry | {"points": self.points}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn what the readers raise on a bad file, headers or chunks, into a SurveyError that names the file."""
    what = {"raster": "GeoTIFF", "cloud": "LAS or LAZ file"}[kind]
    mend = "Copy it again from the survey, or leave it out."
    try:
        yield
    except SurveyError:
        raise
    except (RasterioError, LaspyException, lazrs.LazrsError, struct.error, EOFError, OSError, ValueError) as error:
        raise SurveyError(f"not a readable {what}: {_first_line(error)}", file=path, mend=mend) from error
    except (MemoryError, OverflowError) as error:
        raise SurveyError(f"its header asks for more than fits: {_first_line(error)}", file=path, mend=mend) from error
    except BaseException as error:
        # lazrs is written in Rust; a panic there is a BaseException of a class that cannot be imported
        if type(error).__name__ != "PanicException":
            raise
        raise SurveyError(f"not a readable {what}: {_first_line(error)}", file=path, mend=mend) from None


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".")[:160] if lines else type(error).__name__


def inspect(path: Path, *, crs: str | None, vertical: str | None) -> Source:
    """Read the header of a survey file.

    Args:
        crs: what the caller says the CRS is; must agree with the file where that states one.
        vertical: what the caller says heights are measured from; likewise.

    Raises:
        SurveyError: missing, empty, not what its name says, no CRS or an unusable one.
        DatumError: the heights' datum is unstated, unknown, or stated twice and differently.
    """
    suffix = path.suffix.lower()
    if suffix not in RASTER_SUFFIXES | CLOUD_SUFFIXES:
        raise SurveyError(
            "not a kind of survey file that can be read", file=path, value=suffix, mend="Give .tif, .las or .laz."
        )
    if not path.is_file():
        raise SurveyError("there is no such file", file=path, mend="Check the path.")
    if path.stat().st_size == 0:
        raise SurveyError("the file is empty", file=path, mend="Copy it again from the survey.")
    return _inspect_raster(path, crs, vertical) if suffix in RASTER_SUFFIXES else _inspect_cloud(path, crs, vertical)


def _inspect_raster(path: Path, crs: str | None, vertical: str | None) -> Source:
    with reading(path, "raster"), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # said below, as an error
        try:
            raster = rasterio.open(path)
        except RasterioCRSError as error:
            raise SurveyError(f"its CRS cannot be read: {error}", file=path, field="crs") from error
        with raster:
            stated = raster.crs.to_wkt() if raster.crs else None
            transform, bounds = raster.transform, raster.bounds
            if raster.count != 1:
                raise SurveyError(
                    "a height model has one band", file=path, field="bands", value=raster.count,
                    mend="Give the DSM, not the orthophoto.",
                )  # fmt: skip
            if np.dtype(raster.dtypes[0]).kind not in "iuf":
                raise SurveyError("heights must be real numbers", file=path, field="dtype", value=raster.dtypes[0])
            unit = (raster.units[0] or "").strip().lower()
            if unit not in ("", "m", "metre", "metres", "meter", "meters"):
                raise SurveyError(
                    "heights must be in metres", file=path, field="band unit", value=unit,
                    mend="Convert it with gdal_calc.",
                )  # fmt: skip
    placed = all(np.isfinite([*tuple(transform)[:6], *bounds]))
    if not placed or transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
        raise SurveyError(
            "the raster is not north-up, or not placed on the ground at all", file=path, field="transform",
            value=tuple(transform)[:6], mend="Warp it with gdalwarp first.",
        )  # fmt: skip
    horizontal, datum = _frame_of(path, stated, crs, vertical)
    return Source(path, "raster", horizontal, datum, tuple(bounds), max(transform.a, -transform.e), None)


def _check_las_records(path: Path) -> None:
    """Raise ValueError when the header announces more records than the file has room for.

    laspy believes the numbers: one flipped byte sends it through hundreds of millions of empty records.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(375)
    if header[:4] != b"LASF" or len(header) < 227:
        raise ValueError("no LAS header")
    header_size, points_at, records = struct.unpack_from("<HII", header, 94)
    if not header_size + 54 * records <= points_at <= size:
        raise ValueError(f"the header announces {records} records and points at byte {points_at} of {size}")
    if header[24:26] == b"\x01\x04" and len(header) == 375:  # LAS 1.4: more records may follow the points
        extended_at, extended = struct.unpack_from("<QI", header, 235)
        if extended and not extended_at + 60 * extended <= size:
            raise ValueError(f"the header announces {extended} records at byte {extended_at} of {size}")


def _inspect_cloud(path: Path, crs: str | None, vertical: str | None) -> Source:
    with reading(path, "cloud"):
        _check_las_records(path)
    with reading(path, "cloud"), laspy.open(path) as reader:
        header = reader.header
        try:
            stated = header.parse_crs()
        except (CRSError, UnicodeDecodeError, RuntimeError, KeyError, IndexError) as error:
            raise SurveyError(f"its CRS cannot be read: {_first_line(error)}", file=path, field="crs") from error
        points = int(header.point_count)
        low, high = np.asarray(header.mins, np.float64), np.asarray(header.maxs, np.float64)
        scales = np.asarray(header.scales, np.float64)
    if points == 0:
        raise SurveyError("the cloud holds no points", file=path, mend="Leave it out.")
    if not (np.isfinite([*low, *high, *scales]).all() and (scales > 0).all() and (low <= high).all()):
        raise SurveyError(
            "the header's bounds or scales are not usable numbers", file=path, field="bounds",
            value=(*low.tolist(), *high.tolist()), mend="Write the file again with its survey program.",
        )  # fmt: skip
    horizontal, datum = _frame_of(path, stated.to_wkt() if stated else None, crs, vertical)
    return Source(path, "cloud", horizontal, datum, (low[0], low[1], high[0], high[1]), None, points)


def _frame_of(path: Path, stated: str | None, crs: str | None, vertical: str | None) -> tuple[str, Datum]:
    """Horizontal CRS and vertical datum from the file and from what the caller said; they may not disagree."""
    in_file = _parsed(path, stated)
    by_caller = _parsed(path, crs, "--crs")
    if in_file is None and by_caller is None:
        raise SurveyError(
            "states no coordinate reference system", file=path, field="crs",
            mend="Name it, for example --crs EPSG:6675.",
        )  # fmt: skip
    if in_file and by_caller and not in_file[0].equals(by_caller[0], ignore_axis_order=True):
        raise SurveyError(
            f"states {_name(in_file[0])}, but --crs says {_name(by_caller[0])}", file=path, field="crs",
            mend="Leave --crs out, or mend the file.",
        )  # fmt: skip
    horizontal = (in_file or by_caller)[0]
    if not horizontal.is_projected:
        raise SurveyError(
            "a survey must be in a projected CRS", file=path, field="crs", value=_name(horizontal),
            mend="Reproject it, for example with gdalwarp -t_srs EPSG:6675.",
        )  # fmt: skip
    for axis in horizontal.axis_info[:2]:
        if axis.unit_conversion_factor != 1.0:
            raise SurveyError(
                "a survey must be in metres", file=path, field="crs", value=axis.unit_name,
                mend="Reproject it to a CRS in metres, for example with gdalwarp -t_srs EPSG:6675.",
            )  # fmt: skip
    try:
        pyproj.Transformer.from_crs("EPSG:4326", horizontal, always_xy=True, allow_ballpark=False)
    except ProjError as error:
        raise SurveyError(
            "its CRS cannot be placed on the globe without guessing the datum", file=path, field="crs",
            value=_name(horizontal)[:60], mend="Name a CRS with a known datum, for example --crs EPSG:6675.",
        )  from error  # fmt: skip
    said = vertical_datum(vertical) if vertical is not None else None
    data = {datum for datum in (in_file and in_file[1], by_caller and by_caller[1], said) if datum}
    if len(data) > 1:
        raise DatumError(
            f"heights are said to be measured from {' and from '.join(sorted(data))}", file=path,
            field="vertical datum", mend="Leave --vertical-datum out, or mend the file.",
        )  # fmt: skip
    if not data:
        raise DatumError(
            "does not say what its heights are measured from", file=path, field="vertical datum",
            mend="Name it, for example --vertical-datum JGD2011.",
        )  # fmt: skip
    datum = data.pop()
    if datum is Datum.AGL:
        raise DatumError("a survey's heights cannot be above ground", file=path, field="vertical datum")
    return _name(horizontal), datum


def _parsed(path: Path, text: str | None, field: str = "crs") -> tuple[pyproj.CRS, Datum | None] | None:
    if text is None:
        return None
    try:
        return split_crs(pyproj.CRS.from_user_input(text))
    except CRSError as error:
        raise SurveyError(
            f"not a coordinate reference system: {_first_line(error)}", file=path, field=field, value=text[:60],
            mend="Name one, for example --crs EPSG:6675.",
        )  from None  # fmt: skip
    except DatumError as error:
        raise error.at(path) from None


def _name(crs: pyproj.CRS) -> str:
    authority = crs.to_authority()
    return ":".join(authority) if authority else crs.to_wkt()
