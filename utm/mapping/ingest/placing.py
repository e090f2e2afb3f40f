"""From the coordinates of a survey file to the metres of the map."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyproj
from numpy.typing import ArrayLike, NDArray
from pyproj.aoi import AreaOfInterest
from pyproj.database import query_utm_crs_info
from pyproj.exceptions import CRSError, ProjError

from utm.errors import InputError, MapError, SurveyError
from utm.frames import LocalFrame, split_crs
from utm.mapping.ingest.reading import first_line
from utm.mapping.ingest.source import Source, Statement
from utm.model import Datum

Bounds = tuple[float, float, float, float]

#: A way from one geodetic datum to another that PROJ rates worse than this is no better than a guess.
WORST_ACCURACY_M = 5.0
#: Points along each edge of a box whose sides become curves; 20 km bulge by less than 1 mm between them.
_EDGE_POINTS = 101


@dataclass(frozen=True)
class Placing:
    """Where the coordinates of one file lie in a map. Picklable: what PROJ makes is kept by the process, not here."""

    statement: Statement
    frame: LocalFrame

    @property
    def same_crs(self) -> bool:
        """Whether x and y need the map's origin subtracted, nothing else."""
        return _same(self.statement.crs, self.frame.crs)

    @property
    def same_heights(self) -> bool:
        """Whether heights need no conversion but that of their unit."""
        return self.statement.vertical is self.frame.vertical

    @property
    def exact_shift(self) -> bool:
        """Whether ``place`` is ``(x - origin_x, y - origin_y, z)``, in exactly this arithmetic."""
        return self.same_crs and self.same_heights and self.statement.vertical_unit_m == 1.0

    def place(
        self, x: ArrayLike, y: ArrayLike, z: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Coordinates of the file (x first, in its units) as metres east, north and up; float64, shapes kept.

        Raises:
            SurveyError: a point that cannot be placed.
            DatumError: a geoid that does not reach the place, or is not on this machine.
        """
        x, y, z = (np.asarray(values, np.float64) for values in (x, y, z))
        if not self.same_crs:
            found = self._transformer.transform(x, y)
            x, y = (np.asarray(values, np.float64) for values in found)
        east, north = x - self.frame.origin_x, y - self.frame.origin_y
        if not (np.isfinite(east).all() and np.isfinite(north).all()):
            raise SurveyError(
                f"a point cannot be placed in {self.frame.crs[:40]}", field="coordinates",
                mend="Check the file's CRS, or give the map another with --map-crs.",
            )  # fmt: skip
        up = z if self.statement.vertical_unit_m == 1.0 else z * self.statement.vertical_unit_m
        if not self.same_heights:
            lon, lat = self.frame.to_lonlat(east, north)
            up = self.frame.up(up, self.statement.vertical, lon, lat)
        return east, north, up

    def box(self, bounds: Bounds) -> Bounds:
        """The rectangle of the map (west, south, east, north, metres) that holds a rectangle of the file."""
        west, south, east, north = bounds
        if not self.same_crs:
            west, south, east, north = self._around(bounds, "FORWARD")
        origin_x, origin_y = self.frame.origin_x, self.frame.origin_y
        return west - origin_x, south - origin_y, east - origin_x, north - origin_y

    def inverse_box(self, box_m: Bounds) -> Bounds:
        """The rectangle of the file, in its units, that holds a rectangle of the map; a little larger."""
        origin_x, origin_y = self.frame.origin_x, self.frame.origin_y
        bounds = (box_m[0] + origin_x, box_m[1] + origin_y, box_m[2] + origin_x, box_m[3] + origin_y)
        if not self.same_crs:
            bounds = self._around(bounds, "INVERSE")
        grow = 1e-4 * max(bounds[2] - bounds[0], bounds[3] - bounds[1])
        return bounds[0] - grow, bounds[1] - grow, bounds[2] + grow, bounds[3] + grow

    @property
    def _transformer(self) -> pyproj.Transformer:
        return _transformer(self.statement.crs, self.frame.crs)

    def _around(self, bounds: Bounds, direction: str) -> Bounds:
        try:
            found = _around(self.statement.crs, self.frame.crs, bounds, direction)
        except ProjError as error:
            raise SurveyError(
                f"its bounds cannot be placed in {self.frame.crs[:40]}: {first_line(error)}", field="bounds",
                value=bounds, mend="Check the file's CRS, or give the map another with --map-crs.",
            )  from error  # fmt: skip
        if not np.isfinite(found).all() or found[0] > found[2]:
            raise SurveyError(
                f"its bounds cannot be placed in {self.frame.crs[:40]}", field="bounds", value=bounds,
                mend="Check the file's CRS, or give the map another with --map-crs.",
            )  # fmt: skip
        return found


@functools.lru_cache(maxsize=4096)
def _around(crs: str, to: str, bounds: Bounds, direction: str) -> Bounds:
    return _transformer(crs, to).transform_bounds(*bounds, densify_pts=_EDGE_POINTS, errcheck=True, direction=direction)


@functools.lru_cache(maxsize=256)
def _same(one: str, other: str) -> bool:
    return one == other or pyproj.CRS.from_user_input(one).equals(
        pyproj.CRS.from_user_input(other), ignore_axis_order=True
    )


@functools.lru_cache(maxsize=256)
def _transformer(crs: str, to: str) -> pyproj.Transformer:
    """The best way between two CRS, by place where there are several; none that is a guess, none that is metres off."""
    source = pyproj.CRS.from_user_input(crs)
    # The parameters inside a bound CRS (TOWGS84) carry no accuracy; whoever made the file vouches for them
    accuracy = None if source.is_bound else WORST_ACCURACY_M
    try:
        return pyproj.Transformer.from_crs(source, to, always_xy=True, allow_ballpark=False, accuracy=accuracy)
    except ProjError as error:
        raise SurveyError(
            f"this machine knows no way from {source.name} to {to[:40]} that is right to {WORST_ACCURACY_M:g} m",
            field="crs", mend="Install the grids of its datum for PROJ with `projsync`, or reproject the file.",
        )  from error  # fmt: skip


def reach(source: Source, frame: LocalFrame) -> Bounds:
    """Where a file says that it lies: west, south, east, north in metres of a frame.

    Raises:
        SurveyError: it cannot be placed there; names the file.
    """
    half = source.step / 2
    west, south, east, north = source.bounds
    try:
        return Placing(source.stated, frame).box((west - half, south - half, east + half, north + half))
    except InputError as error:
        raise error.at(source.path) from error.__cause__


def map_crs(sources: Sequence[Source], wanted: str | None) -> str:
    """The CRS for a map: the wanted one; else the first of the sources' that is projected, in metres and counted to
    east and north; else the UTM zone of the first source, in its own geodetic datum where there are such zones, in
    WGS84 where not.

    Raises:
        SurveyError: what is wanted is no CRS, or states heights.
        MapError: it is not projected or not in metres.
    """
    if wanted is not None:
        return _wanted(wanted)
    for source in sources:
        if _serves(source.stated.crs):
            return source.stated.crs
    return _utm(sources[0])


def _wanted(text: str) -> str:
    try:
        crs = pyproj.CRS.from_user_input(text)
    except CRSError as error:
        raise SurveyError(
            f"not a coordinate reference system: {first_line(error)}", field="--map-crs", value=text[:60],
            mend="Name one, for example --map-crs EPSG:6675.",
        )  from None  # fmt: skip
    horizontal, vertical = split_crs(crs)
    if vertical is not None:
        raise SurveyError(
            "a map's heights are measured as its first source's are", field="--map-crs", value=text[:60],
            mend="Name the horizontal CRS alone.",
        )  # fmt: skip
    authority = horizontal.to_authority()
    name = ":".join(authority) if authority else horizontal.to_wkt()
    LocalFrame(name, 0.0, 0.0, Datum.WGS84)
    return name


@functools.lru_cache(maxsize=256)
def _serves(crs: str) -> bool:
    try:
        LocalFrame(crs, 0.0, 0.0, Datum.WGS84)
    except MapError:
        return False
    return True


def _utm(source: Source) -> str:
    crs = pyproj.CRS.from_user_input(source.stated.crs)
    west, south, east, north = source.bounds
    to_lonlat = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True, allow_ballpark=False)
    lon, lat = to_lonlat.transform((west + east) / 2, (south + north) / 2)
    if not (np.isfinite([lon, lat]).all() and abs(lon) <= 180 and abs(lat) <= 84):
        raise SurveyError(
            "its bounds lie in no UTM zone", file=source.path, field="bounds", value=source.bounds,
            mend="Check the file's CRS, or name the map's with --map-crs.",
        )  # fmt: skip
    place = AreaOfInterest(lon, lat, lon, lat)
    for datum in (crs.geodetic_crs.name if crs.geodetic_crs else "", "WGS 84"):
        # Exactly so named: "ETRS89 / UTM zone 31N (N-E)" is the same with other axes
        found = {
            f"{info.auth_name}:{info.code}"
            for info in query_utm_crs_info(datum_name=datum, area_of_interest=place)
            if info.name.startswith(f"{datum} / UTM zone ") and info.name[-1] in "NS"
        }
        if found:
            return min(found)
    raise SurveyError("its bounds lie in no UTM zone", file=source.path, field="bounds", value=source.bounds)
