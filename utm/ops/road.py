"""From a granted corridor to what an autopilot is sent: corners, speeds, a fence, a ceiling. Pure."""

from __future__ import annotations

import itertools
import math

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.polygon import orient

from utm.errors import CannotFly
from utm.frames import LocalFrame
from utm.model import Datum, Leg, OperationalIntent, SkyRoad

#: A knot nearer than this to the straight line between its neighbours is no corner.
_STRAIGHT_M = 0.01
#: Points nearer than this to each other, horizontally, are above each other.
_SAME_PLACE_M = 0.01
#: Slower than this is hovering.
_HOVER_M_S = 0.02
#: PX4 takes 64 vertices for everything; some are left for others.
_MOST_CORNERS = 60
#: An edge that is straight in longitude and latitude is not straight on the map. It is checked at points this far
#: apart; in between it is off by less than 0.1 mm.
_EDGE_STEP_M = 50.0


def sky_road(intent: OperationalIntent, frame: LocalFrame) -> SkyRoad:
    """The intent's corridor as take-off, legs, landing, fence and ceiling. Heights become AMSL (EGM96).

    The timed centre line has knots wherever the speed changes; only its real corners become waypoints. Each leg gets
    the speed it cruises at. The fence is one simple polygon of at most 60 corners: nowhere further than the
    corridor's half-width from the centre line, and nowhere nearer than half of that.

    Args:
        intent: its centre line climbs straight up from a pad and comes straight down to another.
        frame: the map's.

    Raises:
        CannotFly: the centre line has no column at an end, hovers on the way, or its fence cannot be one polygon.
    """
    line = intent.corridor.centre_line
    points = np.array(line.enu_m)
    first, last = _columns(intent.id, points)
    moved = np.flatnonzero(np.linalg.norm(points - points[0], axis=1) > _SAME_PLACE_M)
    depart_s = float(line.t_s[moved[0] - 1])
    corners = _corners(points[first : last + 1])
    if len(corners) < 2:
        raise CannotFly(f"{intent.id}: the centre line goes straight up and down again; there is no leg to fly")
    speeds = _speeds(intent, first, corners)
    top_m = float(points[:, 2].max()) + intent.corridor.above_m
    lon, lat = frame.to_lonlat(points[:, 0], points[:, 1])
    return SkyRoad(
        intent_id=intent.id,
        depart_s=depart_s,
        pad=frame.waypoint(points[0], Datum.AMSL),
        takeoff_amsl_m=frame.waypoint(points[first], Datum.AMSL).height_m,
        legs=tuple(
            Leg(to=frame.waypoint(points[first + corner], Datum.AMSL), speed_m_s=speed)
            for corner, speed in zip(corners[1:], speeds, strict=True)
        ),
        land=frame.waypoint(points[-1], Datum.AMSL),
        fence_deg=fence(intent.id, points[:, :2], intent.corridor.half_width_m, frame),
        # The geoid is not level: the ceiling is the highest that the top is anywhere along the road.
        ceiling_amsl_m=float(frame.height(top_m, Datum.AMSL, lon, lat).max()),
    )


def _columns(intent_id: str, points: NDArray[np.float64]) -> tuple[int, int]:
    """Index of the top of the take-off column, and of the top of the landing column."""
    from_start = np.linalg.norm(points[:, :2] - points[0, :2], axis=1) > _SAME_PLACE_M
    from_end = np.linalg.norm(points[:, :2] - points[-1, :2], axis=1) > _SAME_PLACE_M
    if not from_start.any() or not from_end.any():
        raise CannotFly(f"{intent_id}: the centre line goes straight up and down again; there is no leg to fly")
    first = int(np.argmax(from_start)) - 1
    last = len(points) - int(np.argmax(from_end[::-1]))
    if points[first, 2] <= points[0, 2]:
        raise CannotFly(f"{intent_id}: the centre line does not begin with a climb straight up from the pad")
    if points[last, 2] <= points[-1, 2]:
        raise CannotFly(f"{intent_id}: the centre line does not end with a descent straight down to the pad")
    return first, last


def _corners(points: NDArray[np.float64]) -> list[int]:
    """Indices (first and last included) where the line through the points (n, 3) turns.

    A stretch is straight when every knot on it lies within 1 cm of its chord and none goes back along it.
    """
    corners = [0]
    end = 1
    for candidate in range(2, len(points)):
        if not _is_straight(points[corners[-1] : candidate + 1]):
            corners.append(end)
        end = candidate
    corners.append(end)
    return corners if len(points) > 1 else [0]


def _is_straight(points: NDArray[np.float64]) -> bool:
    chord = points[-1] - points[0]
    length = float(np.linalg.norm(chord))
    if length == 0:
        return False
    along = (points - points[0]) @ chord / length
    off = np.linalg.norm(points - points[0] - along[:, None] * chord / length, axis=1)
    return bool(off.max() <= _STRAIGHT_M and np.diff(along).min() >= -1e-6)


def _speeds(intent: OperationalIntent, first: int, corners: list[int]) -> list[float]:
    """Cruising speed of each leg, horizontal, m/s.

    It is the highest on any piece of the leg. A leg too short to reach the aircraft's cruising speed, and a climb or
    descent on the spot, gets the cruising speed itself: the autopilot's acceleration and its vertical speed limit it.
    """
    line, aircraft = intent.corridor.centre_line, intent.plan.aircraft
    steps, times = np.diff(line.enu_m, axis=0), np.diff(line.t_s)
    horizontal = np.hypot(steps[:, 0], steps[:, 1])
    speeds = []
    for start, end in itertools.pairwise(corners):
        pieces = slice(first + start, first + end)
        if (np.linalg.norm(steps[pieces], axis=1) < _HOVER_M_S * times[pieces]).any():
            raise CannotFly(f"{intent.id}: the centre line hovers on the way, which a mission of waypoints does not")
        fastest = float((horizontal[pieces] / times[pieces]).max())
        too_short = horizontal[pieces].sum() < aircraft.cruise_m_s**2 / aircraft.acceleration_m_s2
        speeds.append(aircraft.cruise_m_s if too_short else min(fastest, aircraft.cruise_m_s))
    return speeds


def fence(
    name: str, line_m: NDArray[np.float64], half_width_m: float, frame: LocalFrame
) -> tuple[tuple[float, float], ...]:
    """One inclusion polygon around a line, as corners (lon, lat) in degrees, anticlockwise, not closed.

    Found by simplifying the line's buffer at three quarters of the half-width until it has 60 corners or fewer, then
    checked as the autopilot will read it (rounded to 1e-7 degree, edges straight in longitude and latitude): every
    point of it within the half-width of the line, the line everywhere at least half the half-width inside.

    Args:
        name: of the intent, for the message.
        line_m: (n, 2) metres east and north.
        half_width_m: the corridor's.

    Raises:
        CannotFly: the line closes a ring (an inclusion polygon has no hole), or winds too much for 60 corners.
    """
    line = shapely.LineString(line_m)
    # A buffer's round ends are drawn as chords, so it lies inside the true one: containment in it proves containment.
    outer = line.buffer(half_width_m, quad_segs=64)
    middle = line.buffer(0.75 * half_width_m, quad_segs=16)
    if len(middle.interiors) > 0:
        raise CannotFly(
            f"{name}: the road closes a ring, and a fence of one polygon has no hole; split the flight in two"
        )
    fewest = math.inf
    # The coarsest first: PX4 takes a tenth of a second to read each corner, and some boards hold no more than 16.
    for tolerance_m in half_width_m * np.linspace(0.4, 0.02, 20):
        # An edge straight in degrees leaves one straight on the map by length^2 tan(latitude) / (8 earth radii): cut
        # like this, by 1.4 % of the half-width in Japan.
        simple = orient(middle.simplify(tolerance_m).segmentize(1000.0 * math.sqrt(half_width_m)))
        corners = tuple(
            (round(float(lon), 7), round(float(lat), 7))
            for lon, lat in zip(*frame.to_lonlat(*np.array(simple.exterior.coords[:-1]).T), strict=True)
        )
        if len(corners) <= _MOST_CORNERS and _holds(corners, line, outer, half_width_m, frame):
            return corners
        fewest = min(fewest, len(corners))
    raise CannotFly(
        f"{name}: the road winds too much for a fence of {_MOST_CORNERS} corners within its width of"
        f" {2 * half_width_m:g} m (fewest tried: {fewest}); plan it with fewer turns or in two flights"
    )


def _holds(
    corners: tuple[tuple[float, float], ...],
    line: shapely.LineString,
    outer: shapely.Polygon,
    half_width_m: float,
    frame: LocalFrame,
) -> bool:
    ring = shapely.LinearRing(corners).segmentize(_EDGE_STEP_M / 111_320.0)
    polygon = shapely.Polygon(np.column_stack(frame.to_map(*np.array(ring.coords).T)))
    return (
        polygon.is_valid
        and outer.covers(polygon)
        and polygon.contains(line)
        and polygon.exterior.distance(line) >= 0.5 * half_width_m
    )
