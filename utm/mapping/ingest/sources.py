"""Which survey files there are, and what each says of itself. Nothing is guessed, and nothing is dropped."""

from __future__ import annotations

import datetime
import glob
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from utm.errors import SurveyError
from utm.mapping.ingest.reading import first_line
from utm.mapping.ingest.source import Kind, Role, Source, usable_day

#: What the end of a file's name promises; None where only its content tells.
SUFFIXES: dict[str, Kind | None] = {
    ".tif": "raster", ".tiff": "raster",
    ".las": "cloud", ".laz": "cloud", ".ply": "cloud", ".pcd": "cloud",
    ".gml": "model", ".xml": "model",
    ".json": None, ".geojson": None,
}  # fmt: skip
_READABLE = "Give .tif, .las, .laz, .ply, .pcd, .gml, CityJSON or GeoJSON."


def expand(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    """The files that paths, folders and patterns (``tiles/**/*.laz``) stand for, sorted, each once.

    A folder stands for the survey files directly in it. A name with ``*``, ``?`` or ``[`` in it is a pattern unless a
    file is called so.

    Raises:
        SurveyError: a pattern or a folder that holds no survey file. A plain path is not looked at; `inspect` does.
    """
    found: dict[Path, Path] = {}
    for given in [paths] if isinstance(paths, (str, Path)) else paths:
        for path in _stands_for(Path(given)):
            found.setdefault(path.resolve(), path)
    return sorted(found.values())


def _stands_for(given: Path) -> list[Path]:
    if given.is_dir() and given.suffix.lower() not in SUFFIXES:
        files = [path for path in given.iterdir() if path.is_file() and path.suffix.lower() in SUFFIXES]
        if not files:
            raise SurveyError(
                "the folder holds no survey file", file=given,
                mend=f"Name the files, or a pattern such as '{given}/**/*.laz'. {_READABLE}",
            )  # fmt: skip
        return files
    if given.exists() or not glob.has_magic(str(given)):
        return [given]
    files = [Path(path) for path in glob.glob(str(given), recursive=True) if Path(path).is_file()]
    if not files:
        raise SurveyError("no file matches the pattern", file=given, mend="Check the path.")
    return files


def sha256(path: Path) -> str:
    """Hash of a file's bytes, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inspect(
    path: Path,
    *,
    role: Role,
    crs: str | None,
    vertical: str | None,
    surveyed: datetime.date | None = None,
    error_m: float = 0.0,
) -> Source:
    """Read the header of a survey file.

    Args:
        role: what it is given as.
        crs: what the caller says the CRS is; must agree with the file where that states one.
        vertical: what the caller says heights are measured from; likewise.
        surveyed: the day of the survey; the file's own where None and the file states one.
        error_m: survey error to raise surfaces by.

    Raises:
        SurveyError: missing, empty, not what its name says, no CRS or an unusable one.
        DatumError: the heights' datum or unit is unstated, unknown, or stated twice and differently.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise SurveyError("not a kind of survey file that can be read", file=path, value=suffix, mend=_READABLE)
    if not path.is_file():
        raise SurveyError("there is no such file", file=path, mend="Check the path.")
    if path.stat().st_size == 0:
        raise SurveyError("the file is empty", file=path, mend="Copy it again from the survey.")
    kind = SUFFIXES[suffix] or _json_kind(path)
    # Each reader brings its own libraries; only those that a survey needs are loaded
    if kind == "raster":
        from utm.mapping.ingest.rasters import inspect_raster as reader
    elif kind == "cloud":
        from utm.mapping.ingest.clouds import inspect_cloud as reader
    elif kind == "model":
        from utm.mapping.ingest.models import inspect_model as reader
    else:
        from utm.mapping.ingest.obstacles import inspect_obstacles as reader
    if surveyed is not None and usable_day(surveyed) is None:
        raise SurveyError("is no day of a survey", field="--surveyed", value=surveyed.isoformat())
    return reader(path, role=role, crs=crs, vertical=vertical, surveyed=surveyed, error_m=error_m)


def _json_kind(path: Path) -> Kind:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # JSON, UTF-8, and numbers of thousands of digits
        raise SurveyError(
            f"not readable JSON: {first_line(error)}", file=path, mend="Copy it again from the survey."
        ) from None
    named = content.get("type") if isinstance(content, dict) else None
    if named == "CityJSON":
        return "model"
    if named == "FeatureCollection":
        return "obstacles"
    raise SurveyError(
        "neither CityJSON nor a GeoJSON FeatureCollection", file=path, field="type", value=named,
        mend="Give one of the two.",
    )  # fmt: skip
