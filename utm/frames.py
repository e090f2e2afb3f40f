"""Geodesy: between the globe, where people and drones are, and the flat metres of a map.

Used at the edges only; nothing in the core knows a longitude. Two things are never guessed here: a coordinate
reference system, and what a height is measured from. Every height goes through the WGS84 ellipsoid:

    up in the map  --(+ geoid of the map's datum)-->  ellipsoid  --(- geoid of the other datum)-->  the other height

Geoids: GSIGEO2011 and JPGEO2024 from the ``japan-geoid`` package; EGM96 from PROJ's ``egm96_15.gtx`` (Debian and
Ubuntu: package ``proj-data``); NAP and NAVD88 from the grids that PROJ's ``projsync`` fetches. PROJ without the grid
returns heights unchanged, 37 m wrong in Kaga, and a round trip does not notice; so ballpark transformations are
forbidden and a grid is opened by its path.

The grid of NAP counts from the ellipsoid of ETRS89, taken for WGS84's here (less than 0.1 m). That of NAVD88 counts
from NAD83(2011), which lies 0.5 to 1.5 m off; so the shift to ITRF2014 at epoch 2010.0 (NGS, EPSG:8970) is added.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyproj
from numpy.typing import ArrayLike, NDArray

from utm.errors import DatumError, InputError, MapError
from utm.model import Datum, Waypoint

#: Names under which a vertical datum is known to surveyors, and the EPSG codes of the vertical CRS.
_VERTICAL_NAMES = {
    "WGS84": Datum.WGS84,
    "ELLIPSOID": Datum.WGS84,
    "AMSL": Datum.AMSL,
    "EGM96": Datum.AMSL,
    "EPSG:5773": Datum.AMSL,
    "JGD2011": Datum.JGD2011,
    "GSIGEO2011": Datum.JGD2011,
    "EPSG:6695": Datum.JGD2011,
    "JGD2024": Datum.JGD2024,
    "JPGEO2024": Datum.JGD2024,
    "NAP": Datum.NAP,
    "EPSG:5709": Datum.NAP,
    "NAVD88": Datum.NAVD88,
    "EPSG:5703": Datum.NAVD88,
    "EPSG:6360": Datum.NAVD88,
    "EPSG:8228": Datum.NAVD88,
}

#: The same by the datum inside a vertical CRS without a code of its own, such as "NAVD88 height - Geoid18 (ftUS)".
_VERTICAL_DATUMS = {
    "EGM96 geoid": Datum.AMSL,
    "Japanese Geodetic Datum 2011 (vertical)": Datum.JGD2011,
    "Japanese Geodetic Datum 2024 (vertical)": Datum.JGD2024,
    "Normaal Amsterdams Peil": Datum.NAP,
    "North American Vertical Datum 1988": Datum.NAVD88,
}

#: Units of height, as surveyors write them, in metres.
HEIGHT_UNITS = {"m": 1.0, "ft": 0.3048, "ftus": 1200 / 3937}


def vertical_datum(name: str) -> Datum:
    """The datum that a surveyor's name or EPSG code stands for.

    Raises:
        DatumError: the name is not known; the message lists those that are.
    """
    datum = _VERTICAL_NAMES.get(name.strip().upper())
    if datum is None:
        raise DatumError("unknown vertical datum", value=name, mend=f"Use one of {', '.join(sorted(_VERTICAL_NAMES))}.")
    return datum


@dataclass(frozen=True)
class HeightReference:
    """What heights are measured from, and in what."""

    datum: Datum
    unit_m: float | None
    """Metres in a unit of height; None where it is not said."""


def height_reference(text: str) -> HeightReference:
    """Datum and unit from what a surveyor writes: ``JGD2011``, ``NAVD88:ftUS``, ``EPSG:6360``.

    A code of a vertical CRS states its unit, a bare name none; ``:m``, ``:ft`` (international) and ``:ftUS`` do.

    Raises:
        DatumError: an unknown datum or unit.
    """
    name, colon, unit = text.strip().partition(":")
    if name.upper() == "EPSG":
        datum = vertical_datum(text)
        (axis,) = pyproj.CRS.from_user_input(text.strip()).axis_info
        return HeightReference(datum, axis.unit_conversion_factor)
    if colon and unit.lower() not in HEIGHT_UNITS:
        raise DatumError("unknown unit of height", value=text, mend=f"Write {name}:m, {name}:ft or {name}:ftUS.")
    return HeightReference(vertical_datum(name), HEIGHT_UNITS.get(unit.lower()))


def split_crs(crs: pyproj.CRS) -> tuple[pyproj.CRS, Datum | None]:
    """The horizontal part of a CRS, and the vertical datum where it states one; as `split_reference`."""
    horizontal, reference = split_reference(crs)
    return horizontal, reference and reference.datum


def split_reference(crs: pyproj.CRS) -> tuple[pyproj.CRS, HeightReference | None]:
    """The horizontal part of a CRS, and what its heights mean where it states that.

    A three-dimensional geographic or projected CRS states ellipsoid heights. A compound CRS whose vertical part is
    not one of those that this engine knows raises DatumError rather than being dropped.
    """
    if crs.is_compound:
        horizontal, vertical = crs.sub_crs_list[0], crs.sub_crs_list[1]
        datum = _VERTICAL_DATUMS.get(vertical.datum.name if vertical.datum else "")
        if datum is None:
            authority = vertical.to_authority()
            datum = vertical_datum(":".join(authority) if authority else vertical.name)
        (axis,) = vertical.axis_info
        if axis.direction != "up":
            raise DatumError("depths are no heights", value=vertical.name, mend="Turn them into heights.")
        return horizontal, HeightReference(datum, axis.unit_conversion_factor)
    if (crs.is_geographic or crs.is_projected) and len(crs.axis_info) == 3:
        return crs.to_2d(), HeightReference(Datum.WGS84, crs.axis_info[2].unit_conversion_factor)
    return crs, None


@dataclass(frozen=True)
class _Grid:
    """A geoid as a file of PROJ's."""

    geoid: str
    file: str
    variable: str
    """Environment variable that names the file."""
    get: str


_GRIDS = {
    Datum.AMSL: _Grid("EGM96", "egm96_15.gtx", "UTM_EGM96_GRID", "Install it with `apt-get install proj-data`"),
    Datum.NAP: _Grid(
        "NLGEO2018", "nl_nsgi_nlgeo2018.tif", "UTM_NAP_GRID", "Fetch it with `projsync --file nl_nsgi_nlgeo2018`"
    ),
    Datum.NAVD88: _Grid(
        "GEOID18", "us_noaa_g2018u0.tif", "UTM_NAVD88_GRID", "Fetch it with `projsync --file us_noaa_g2018u0`"
    ),
}
_GEOIDS = {
    Datum.WGS84: "none (ellipsoid)",
    Datum.AMSL: "EGM96 15'",
    Datum.JGD2011: "GSIGEO2011",
    Datum.JGD2024: "JPGEO2024 + Hrefconv2024",
    Datum.NAP: "NLGEO2018",
    Datum.NAVD88: "GEOID18",
}


def geoid_name(datum: Datum) -> str:
    """The model by which heights of a datum are converted, as a map names it."""
    if datum not in _GEOIDS:
        raise DatumError("a height above ground has no geoid", value=str(datum))
    return _GEOIDS[datum]


@functools.cache
def _japanese(datum: Datum) -> object:
    import japan_geoid

    if datum is Datum.JGD2024:
        return japan_geoid.load_embedded_jpgeo2024_hrefconv2024()
    return japan_geoid.load_embedded_gsigeo2011()


@functools.cache
def _proj_grid(datum: Datum) -> pyproj.Transformer:
    grid = _GRIDS[datum]
    named = os.environ.get(grid.variable)
    folders = [
        *pyproj.datadir.get_data_dir().split(os.pathsep),
        pyproj.datadir.get_user_data_dir(),
        "/usr/share/proj",
    ]
    candidates = [Path(named)] if named else [Path(folder) / grid.file for folder in folders]
    for path in candidates:
        if path.is_file():
            return pyproj.Transformer.from_pipeline(
                "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad "
                f"+step +proj=vgridshift +grids={path} +multiplier=1 "
                "+step +proj=unitconvert +xy_in=rad +xy_out=deg"
            )
    raise DatumError(
        f"the {grid.geoid} geoid grid {grid.file} is not on this machine",
        value=named,
        mend=f"{grid.get}, or name the file in {grid.variable}.",
    )


@functools.cache
def _nad83_to_itrf2014() -> pyproj.Transformer:
    return pyproj.Transformer.from_crs("EPSG:6319", "EPSG:7912", always_xy=True, allow_ballpark=False)


def _nad83_ellipsoid_m(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Height of the ellipsoid of NAD83(2011) above that of WGS84."""
    _, _, height, _ = _nad83_to_itrf2014().transform(lon, lat, np.zeros(lon.shape), np.full(lon.shape, 2010.0))
    return np.asarray(height, np.float64)


def geoid_m(datum: Datum, lon_deg: ArrayLike, lat_deg: ArrayLike) -> NDArray[np.float64]:
    """Height of a datum's zero surface above the WGS84 ellipsoid, metres, shape of the broadcast inputs.

    Raises:
        DatumError: AGL (has no geoid), a place outside the geoid's area, or no grid on this machine.
    """
    lon, lat = np.broadcast_arrays(np.asarray(lon_deg, np.float64), np.asarray(lat_deg, np.float64))
    if datum is Datum.WGS84:
        return np.zeros(lon.shape)
    if datum in (Datum.JGD2011, Datum.JGD2024):
        flat = _japanese(datum).get_heights(np.ascontiguousarray(lon.ravel()), np.ascontiguousarray(lat.ravel()))
        undulation = np.asarray(flat, np.float64).reshape(lon.shape)
    elif datum in _GRIDS:
        _, _, undulation = _proj_grid(datum).transform(lon, lat, np.zeros(lon.shape))
        undulation = np.asarray(undulation, np.float64)
        if datum is Datum.NAVD88:
            undulation = undulation + _nad83_ellipsoid_m(lon, lat)
    else:
        raise DatumError("a height above ground has no geoid", value=str(datum))
    if not np.isfinite(undulation).all():
        bad = np.flatnonzero(~np.isfinite(undulation.ravel()))[0]
        raise DatumError(
            f"the geoid of {datum} does not reach lon {lon.ravel()[bad]:.6f}, lat {lat.ravel()[bad]:.6f}",
            mend="Use a vertical datum that covers the place, for example WGS84.",
        )
    return undulation


def check_lonlat(lon_deg: float, lat_deg: float) -> None:
    """Raise InputError unless the pair is a place on the globe."""
    for field, value, limit in (("longitude", lon_deg, 180.0), ("latitude", lat_deg, 90.0)):
        if not (np.isfinite(value) and abs(value) <= limit):
            raise InputError(f"{field} must lie between -{limit:g} and {limit:g}", field=field, value=value)


@dataclass(frozen=True)
class LocalFrame:
    """The frame of one map: a projected CRS in metres, an origin in it, and the datum of its heights.

    ``east = x - origin_x``, ``north = y - origin_y``, ``up`` = height in ``vertical``.
    """

    crs: str
    """Projected, metres, for example ``EPSG:6675``."""
    origin_x: float
    """Easting of the frame's origin in the CRS."""
    origin_y: float
    """Northing of the frame's origin in the CRS."""
    vertical: Datum

    def __post_init__(self) -> None:
        crs = pyproj.CRS.from_user_input(self.crs)
        if not crs.is_projected or any(axis.unit_name not in ("metre", "meter") for axis in crs.axis_info[:2]):
            raise MapError(
                "a map needs a projected CRS in metres",
                value=self.crs,
                mend="Give one, for example --crs EPSG:6675 (Ishikawa).",
            )
        directions = {axis.direction for axis in crs.axis_info[:2]}
        if directions != {"east", "north"}:
            raise MapError(
                f"a map needs a CRS that counts east and north, not {' and '.join(sorted(directions))}",
                value=self.crs,
                mend="Give one, for example the UTM zone of the place.",
            )
        if self.vertical is Datum.AGL:
            raise DatumError("a map's heights cannot be above ground", value=str(self.vertical))

    @functools.cached_property
    def _to_map(self) -> pyproj.Transformer:
        try:
            return pyproj.Transformer.from_crs("EPSG:4326", self.crs, always_xy=True, allow_ballpark=False)
        except pyproj.exceptions.ProjError as error:
            raise MapError(
                "this machine knows only a ballpark way from WGS84 to the map's CRS",
                value=self.crs,
                mend="Reproject the survey, or install the grids of its datum for PROJ.",
            ) from error

    def to_map(self, lon_deg: ArrayLike, lat_deg: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """WGS84 degrees to metres east and north in this frame; shapes are kept.

        Raises:
            MapError: a place that the map's projection cannot hold.
        """
        lon, lat = np.asarray(lon_deg, np.float64), np.asarray(lat_deg, np.float64)
        x, y = self._to_map.transform(lon, lat)
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise MapError("a place that the map's projection cannot hold", value=(lon_deg, lat_deg))
        return x - self.origin_x, y - self.origin_y

    def to_lonlat(self, east_m: ArrayLike, north_m: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Metres east and north in this frame to WGS84 degrees (lon, lat); shapes are kept."""
        x = np.asarray(east_m, np.float64) + self.origin_x
        y = np.asarray(north_m, np.float64) + self.origin_y
        lon, lat = self._to_map.transform(x, y, direction="INVERSE")
        return np.asarray(lon, np.float64), np.asarray(lat, np.float64)

    def up(
        self,
        height_m: ArrayLike,
        datum: Datum,
        lon_deg: ArrayLike,
        lat_deg: ArrayLike,
        terrain_up_m: ArrayLike = np.nan,
    ) -> NDArray[np.float64]:
        """A height in any datum as ``up`` in this frame.

        Args:
            height_m: heights in ``datum``.
            terrain_up_m: ``up`` of the ground directly below; needed for AGL only.
        """
        height = np.asarray(height_m, np.float64)
        if datum is Datum.AGL:
            terrain = np.asarray(terrain_up_m, np.float64)
            if not np.isfinite(terrain).all():
                raise DatumError("a height above ground needs the ground below it", value=str(datum))
            return height + terrain
        if datum is self.vertical:
            return height + 0.0
        return height + geoid_m(datum, lon_deg, lat_deg) - geoid_m(self.vertical, lon_deg, lat_deg)

    def height(
        self,
        up_m: ArrayLike,
        datum: Datum,
        lon_deg: ArrayLike,
        lat_deg: ArrayLike,
        terrain_up_m: ArrayLike = np.nan,
    ) -> NDArray[np.float64]:
        """``up`` in this frame as a height in any datum; the reverse of :meth:`up`."""
        up = np.asarray(up_m, np.float64)
        return up - self.up(0.0, datum, lon_deg, lat_deg, terrain_up_m)

    def waypoint(self, enu_m: ArrayLike, datum: Datum) -> Waypoint:
        """One point (3,) of this frame as a place on the globe, its height in ``datum`` (not AGL)."""
        east, north, up = np.asarray(enu_m, np.float64)
        lon, lat = self.to_lonlat(east, north)
        return Waypoint(float(lon), float(lat), float(self.height(up, datum, lon, lat)), datum)
