"""A trajectory as an operator writes it, in degrees and heights of any datum, as motion in the map's metres."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from utm.airspace.space import Skies
from utm.core.beneath import terrain_below
from utm.errors import DatumError, MapError, PlanError
from utm.model import Datum, TimedWaypoint, Trajectory


def parse_trajectory(skies: Skies, points: Sequence[TimedWaypoint]) -> Trajectory:
    """The trajectory of a plan: straight and at constant speed in the map's frame between its points. All points are
    converted at once; a height above ground counts from the column of the map that its point lies in.

    Raises:
        PlanError: fewer than two points, times that do not increase, a point that is no place on the globe or lies off
            the map, a datum that does not reach there. Names the point.
    """
    if len(points) < 2:
        raise PlanError("has two points or more", field="trajectory", value=len(points))
    rows = np.array([(point.lon_deg, point.lat_deg, point.height_m, point.t_s) for point in points], np.float64)
    lon, lat, height, times = rows.T
    # Said so that NaN fails, too
    _all(np.isfinite(height) & np.isfinite(times), "has a height or a time that is not a finite number")
    _all((np.abs(lon) <= 180.0) & (np.abs(lat) <= 90.0), "is no place on the globe")
    _all(np.concatenate([[True], times[1:] > times[:-1]]), "does not come after the point before it")
    frame = skies.city_map.frame
    try:
        east, north = frame.to_map(lon, lat)
    except MapError as error:
        raise PlanError("has a point that the map's projection cannot hold", field="trajectory") from error
    datums = [point.datum for point in points]
    try:
        if all(datum is datums[0] for datum in datums):
            up = _up(skies, height, datums[0], lon, lat, east, north)
        else:
            up = np.empty(len(points))
            for datum in dict.fromkeys(datums):
                of = np.array([one is datum for one in datums])
                up[of] = _up(skies, height[of], datum, lon[of], lat[of], east[of], north[of], np.flatnonzero(of))
    except DatumError as error:
        raise PlanError(error.problem, field="trajectory", value=error.value, mend=error.mend) from error
    return Trajectory(times, np.column_stack([east, north, up]))


def _up(
    skies: Skies,
    height: NDArray[np.float64],
    datum: Datum,
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
    east: NDArray[np.float64],
    north: NDArray[np.float64],
    numbers: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """Heights of one datum as ``up``."""
    if datum is not Datum.AGL:
        return skies.city_map.frame.up(height, datum, lon, lat)
    size, cell = skies.city_map.size, skies.city_map.resolution_m
    inside = (east >= 0) & (north >= 0) & (east <= size[0] * cell) & (north <= size[1] * cell)
    _all(inside, "lies off the map", numbers)
    places = np.column_stack([east, north, height])
    with skies.ground(places, 0.0) as ground:
        return height + terrain_below(ground, places)


def _all(good: NDArray[np.bool_], problem: str, numbers: NDArray[np.int64] | None = None) -> None:
    """Raise PlanError for the first point of which it is not so."""
    if not good.all():
        n = int(good.argmin())
        raise PlanError(problem, field=f"trajectory.{n if numbers is None else int(numbers[n])}")
