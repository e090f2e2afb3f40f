"""What is known of a survey file before it is read."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from utm.model import Datum

#: raster: a grid of heights; cloud: points; model: a 3-D city model; obstacles: power lines, masts, cranes as vectors.
Kind = Literal["raster", "cloud", "model", "obstacles"]
Role = Literal["surface", "terrain"]


def usable_day(day: datetime.date | None) -> datetime.date | None:
    """The day, if a map can count it (16 bits from 1970-01-01); of a header that was never filled in, None."""
    return day if day and datetime.date(1970, 1, 1) <= day <= datetime.date(2149, 6, 6) else None


@dataclass(frozen=True)
class Statement:
    """What the coordinates of a file mean. Nothing in it is guessed."""

    crs: str
    """Horizontal: ``EPSG:n`` where the authority is known, WKT otherwise. Any unit; x before y always."""
    vertical: Datum
    vertical_unit_m: float = 1.0
    """Metres in a unit of height (0.3048 for feet)."""
    by_file: bool = True
    """Whether the file says all of it; else whoever built the map said some of it."""


@dataclass(frozen=True)
class Source:
    """One survey file whose header has been read and found usable."""

    path: Path
    kind: Kind
    role: Role
    stated: Statement
    bounds: tuple[float, float, float, float]
    """West, south, east, north in the units of the stated CRS, x before y."""
    sha256: str
    resolution_m: float | None = None
    """Edge of a raster's cell in metres (the longer one)."""
    points: int | None = None
    """What the header of a cloud promises."""
    surveyed: datetime.date | None = None
    """The day of the survey, where it is known."""
    day_from: Literal["caller", "file"] | None = None
    """Who says so: a LAS file's day is the one on which it was written, which may be later."""
    step: float = 0.0
    """Coarsest step of the stored coordinates, in units of the CRS: a float32 northing of 4,900,000 has 0.5."""
    error_m: float = 0.0
    """Survey error that whoever builds the map stated; surfaces are raised by it."""
