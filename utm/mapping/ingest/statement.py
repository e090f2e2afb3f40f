"""What the coordinates of a survey file mean: from the file and from whoever builds the map, who may not disagree."""

from __future__ import annotations

import functools
from pathlib import Path

import pyproj
from pyproj.exceptions import CRSError, ProjError

from utm.errors import DatumError, SurveyError
from utm.frames import HeightReference, height_reference, split_reference
from utm.mapping.ingest.reading import first_line
from utm.mapping.ingest.source import Statement
from utm.model import Datum

#: Two kinds of foot differ by 2 parts in a million, 3 mm on the highest roof; files and people mix up their names.
_SAME_UNIT = 1e-5


def stated(
    path: Path, in_file: str | None, crs: str | None, vertical: str | None, *, unit_m: float | None = None
) -> Statement:
    """What a file's coordinates mean.

    Args:
        path: for messages only.
        in_file: the CRS that the file states, WKT or anything that PROJ understands; None where it states none.
        crs: what the caller says it is.
        vertical: what the caller says heights are measured from: a name, a name with a unit (``NAVD88:ftUS``), or the
            code of a vertical CRS.
        unit_m: metres in a unit of height where the file states that outside of its CRS (a raster's band).

    Raises:
        SurveyError: no CRS, none that lies on the globe, or two that differ (``contradicts`` is set).
        DatumError: the heights' datum or unit is unstated, unknown, or stated twice and differently (likewise).
    """
    from_file, from_caller = _parsed(path, in_file, "crs"), _parsed(path, crs, "--crs")
    horizontal = _horizontal(path, from_file and from_file[0], from_caller and from_caller[0])
    references = [part[1] for part in (from_file, from_caller) if part and part[1]]
    if vertical is not None:
        try:
            references.append(height_reference(vertical))
        except DatumError as error:
            raise error.at(path) from None
    whole = from_file is not None and from_file[1] is not None
    datum, unit = _datum(path, references), _height_unit_m(path, references, unit_m, horizontal)
    return Statement(_name(horizontal), datum, unit, by_file=whole)


def _horizontal(path: Path, from_file: pyproj.CRS | None, from_caller: pyproj.CRS | None) -> pyproj.CRS:
    if from_file and from_caller and not _same(from_file, from_caller):
        raise SurveyError(
            f"states {_short(from_file)}, but --crs says {_short(from_caller)}", file=path, field="crs",
            mend="Leave --crs out, or mend the file.", contradicts=True,
        )  # fmt: skip
    horizontal = from_file or from_caller
    if horizontal is None:
        raise SurveyError(
            "states no coordinate reference system", file=path, field="crs",
            mend="Name it, for example --crs EPSG:6675.",
        )  # fmt: skip
    if not (horizontal.is_projected or horizontal.is_geographic):
        raise SurveyError(
            "a survey must be in projected or geographic coordinates", file=path, field="crs",
            value=_short(horizontal), mend="Reproject it, for example with gdalwarp -t_srs EPSG:6675.",
        )  # fmt: skip
    if not _lies_on_the_globe(horizontal):
        raise SurveyError(
            "its CRS cannot be placed on the globe without guessing the datum", file=path, field="crs",
            value=_short(horizontal), mend="Name a CRS with a known datum, for example --crs EPSG:6675.",
        )  # fmt: skip
    return horizontal


def _same(one: pyproj.CRS, other: pyproj.CRS) -> bool:
    """Names that ESRI writes differ from those of EPSG; the code that PROJ recognises decides then."""
    return one.equals(other, ignore_axis_order=True) or _name(one) == _name(other)


def _datum(path: Path, references: list[HeightReference]) -> Datum:
    data = {reference.datum for reference in references}
    if len(data) > 1:
        raise DatumError(
            f"heights are said to be measured from {' and from '.join(sorted(data))}", file=path,
            field="vertical datum", mend="Leave --vertical-datum out, or mend the file.", contradicts=True,
        )  # fmt: skip
    if not data:
        raise DatumError(
            "does not say what its heights are measured from", file=path, field="vertical datum",
            mend="Name it, for example --vertical-datum JGD2011.",
        )  # fmt: skip
    return data.pop()


def _height_unit_m(
    path: Path, references: list[HeightReference], unit_m: float | None, horizontal: pyproj.CRS
) -> float:
    """Metres in a unit of height: whoever states it first counts, and nobody may say otherwise.

    A bare datum name means metres, except beside feet on the ground, where it may well mean feet.
    """
    units = [unit for unit in (*(reference.unit_m for reference in references), unit_m) if unit is not None]
    for other in units[1:]:
        if abs(other / units[0] - 1) > _SAME_UNIT:
            raise DatumError(
                f"a unit of height is said to be {units[0]:g} m and {other:g} m", file=path, field="unit of height",
                mend="Say it once: leave the unit out of --vertical-datum, or mend the file.", contradicts=True,
            )  # fmt: skip
    if units:
        return units[0]
    ground = horizontal.axis_info[0]
    if horizontal.is_projected and ground.unit_conversion_factor != 1.0:
        name = references[0].datum
        raise DatumError(
            f"does not say whether its heights are in metres or feet, and its ground is in {ground.unit_name}",
            file=path, field="unit of height",
            mend=f"Say it: --vertical-datum {name}:m, {name}:ft or {name}:ftUS.",
        )  # fmt: skip
    return 1.0


def _parsed(path: Path, text: str | None, field: str) -> tuple[pyproj.CRS, HeightReference | None] | None:
    if text is None:
        return None
    try:
        return _split(text)
    except CRSError as error:
        raise SurveyError(
            f"not a coordinate reference system: {first_line(error)}", file=path, field=field, value=text[:60],
            mend="Name one, for example --crs EPSG:6675.",
        )  from None  # fmt: skip
    except DatumError as error:
        raise DatumError(error.problem, file=path, field="vertical datum", value=error.value, mend=error.mend) from None


# A city comes as thousands of files in one CRS
@functools.lru_cache(maxsize=64)
def _split(text: str) -> tuple[pyproj.CRS, HeightReference | None]:
    return split_reference(pyproj.CRS.from_user_input(text))


@functools.lru_cache(maxsize=64)
def _lies_on_the_globe(crs: pyproj.CRS) -> bool:
    try:
        pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True, allow_ballpark=False)
    except ProjError:
        return False
    return True


def _name(crs: pyproj.CRS) -> str:
    authority = crs.to_authority()
    return ":".join(authority) if authority else crs.to_wkt()


def _short(crs: pyproj.CRS) -> str:
    return _name(crs) if crs.to_authority() else crs.name[:60]
