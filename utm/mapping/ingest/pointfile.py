"""PLY and PCD clouds by range, from a header that has been held against the file.

Their headers are read here and not by Open3D: its readers return memory that nobody wrote for the points that a
truncated PLY or PCD lacks, drop the points that a header forgets to count, and end the process on a compressed PCD
whose sizes lie (seen with 0.19 and 0.20). They also read a file as a whole only. Where the places and types of x, y and
z are known, numpy reads any range of points by itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from utm.errors import SurveyError
from utm.mapping.ingest.lzf import decompressed
from utm.mapping.ingest.reading import MEND, reading

#: A header is at most this long.
MAX_HEADER = 65_536
#: Compressed PCD is decompressed as a whole.
MAX_COMPRESSED = 512_000_000
#: Nothing on this globe has larger coordinates, in whatever unit.
FARTHEST = 1e8
_SHORTEST_LINE = len("0 0 0\n")
#: Coarser steps of float32 coordinates are told to whoever bins them, in units of the CRS.
_FINE_STEP = 1e-3


@dataclass(frozen=True)
class Layout:
    """Where the points of a file stand."""

    path: Path
    what: str
    """The kind of file, for messages."""
    encoding: str
    """``ascii``, ``binary`` or ``compressed`` (LZF, one field after the other)."""
    count: int
    begins: int
    """Byte at which the first point stands."""
    columns: int
    """Values in a line of ``ascii``."""
    xyz: tuple[int, int, int]
    """Byte of x, y and z within a point; in ``ascii`` the column."""
    types: tuple[str, str, str]
    """Their numpy types."""
    size: int
    """Bytes of a point."""
    skipped_lines: int = 0
    """Lines of ``ascii`` between the header and the first point."""
    more_follows: bool = False
    """Whether something other than points follows, so that the end of the points is not the end of the file."""
    crs: str | None = None

    @property
    def single(self) -> bool:
        """Whether x or y is stored in single precision."""
        return "f4" in (self.types[0][-2:], self.types[1][-2:])


def bad(path: Path, what: str, problem: str) -> SurveyError:
    """The one error of this kind of file."""
    return SurveyError(f"not a readable {what}: {problem}", file=path, mend=MEND)


def header_lines(path: Path, last: str) -> tuple[list[str], int]:
    """The lines of a header up to one whose first word is ``last``, and the byte at which the data begins.

    Raises:
        ValueError: there is no such line within ``MAX_HEADER`` bytes.
    """
    with path.open("rb") as file:
        head = file.read(MAX_HEADER)
    lines: list[str] = []
    at = 0
    while (end := head.find(b"\n", at)) >= 0:
        line = head[at:end].decode("latin-1").strip()
        lines.append(line)
        at = end + 1
        if line.split(" ", 1)[0] == last:
            return lines, at
    raise ValueError(f"its header has no line '{last}'")


def whole_number(text: str, name: str) -> int:
    """A count in a header; ValueError unless it is a plain number of at most 12 digits."""
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise ValueError(f"{name} is no usable number: {text[:40]!r}")
    return int(text)


def checked(layout: Layout) -> Layout:
    """The layout, if the file has room for its points and, where nothing else follows, for no more.

    Raises:
        SurveyError: otherwise.
    """
    room = layout.path.stat().st_size - layout.begins
    if layout.count == 0:
        raise SurveyError("the cloud holds no points", file=layout.path, mend="Leave it out.")
    least = _SHORTEST_LINE - 1 if layout.encoding == "ascii" else layout.size
    needed = layout.count * least
    if layout.encoding == "compressed":
        if needed > MAX_COMPRESSED:
            raise SurveyError(
                f"compressed PCD is read up to {MAX_COMPRESSED:,} bytes", file=layout.path, field="POINTS",
                value=layout.count, mend="Write it as binary PCD, or as LAZ.",
            )  # fmt: skip
        return layout
    longer = layout.encoding == "binary" and not layout.more_follows and room >= needed + layout.size
    if room < needed or longer:
        raise bad(
            layout.path, layout.what,
            f"the header announces {layout.count} points, which are {needed} bytes or more; there are {room}",
        )  # fmt: skip
    return layout


def read_points(layout: Layout, start: int, count: int) -> NDArray[np.float64]:
    """Points ``start`` to ``start + count`` as (count, 3) x, y, z in the units of the CRS.

    Raises:
        SurveyError: fewer points than the header promises, more, or coordinates that are not usable numbers.
    """
    with reading(layout.path, layout.what), np.errstate(invalid="ignore", over="ignore"):  # said below, as an error
        points = {"ascii": _from_text, "binary": _from_records, "compressed": _from_compressed}[layout.encoding](
            layout, start, count
        )
    sound = (np.abs(points) <= FARTHEST).all(axis=1)  # false for NaN
    if not sound.all():
        number = int(sound.argmin())
        raise SurveyError(
            "coordinates that are no place on Earth", file=layout.path, field=f"point {start + number + 1}",
            value=tuple(points[number].tolist()), mend="Remove such points, or export the cloud again.",
        )  # fmt: skip
    return points


def _from_records(layout: Layout, start: int, count: int) -> NDArray[np.float64]:
    fields = {"names": ["x", "y", "z"], "formats": layout.types, "offsets": layout.xyz, "itemsize": layout.size}
    with layout.path.open("rb") as file:
        file.seek(layout.begins + start * layout.size)
        records = np.fromfile(file, np.dtype(fields), count)  # type: ignore[call-overload]
    if len(records) != count:
        raise ValueError(f"ends after {start + len(records)} of {layout.count} points")
    return np.column_stack([records[name].astype(np.float64) for name in "xyz"])


def _from_text(layout: Layout, start: int, count: int) -> NDArray[np.float64]:
    with layout.path.open("rb") as file:
        file.seek(layout.begins)
        skip = layout.skipped_lines + start
        for _ in itertools.islice(file, skip):
            pass
        lines = list(itertools.islice(file, count))
        if len(lines) < count or not all(map(bytes.strip, lines)):
            raise ValueError(f"fewer lines than the {layout.count} points that its header announces")
        if start + count == layout.count and not layout.more_follows and any(map(bytes.strip, file)):
            raise ValueError(f"more lines than the {layout.count} points that its header announces")
    table = np.loadtxt(lines, np.float64, comments=None, ndmin=2, encoding="latin-1")
    if table.shape[1] != layout.columns:
        raise ValueError(f"{table.shape[1]} values in a line, its header announces {layout.columns}")
    # To the precision that the header states, as whoever wrote the text had it
    columns = zip(layout.xyz, layout.types, strict=True)
    return np.column_stack([table[:, column].astype(kind).astype(np.float64) for column, kind in columns])


def _from_compressed(layout: Layout, start: int, count: int) -> NDArray[np.float64]:
    data = decompressed(layout.path, layout.begins, layout.count * layout.size)
    columns = []
    for at, kind in zip(layout.xyz, layout.types, strict=True):
        first = at * layout.count + start * np.dtype(kind).itemsize
        columns.append(np.frombuffer(data, kind, count, first).astype(np.float64))
    return np.column_stack(columns)


def extent(layout: Layout, ranges: Iterable[tuple[int, int]]) -> tuple[tuple[float, float, float, float], float]:
    """West, south, east, north of all points, which are all read; and the step of coarse coordinates (0: fine).

    A float32 of a northing such as 4,900,000 m can only be a multiple of 0.5 m.
    """
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    for start, count in ranges:
        points = read_points(layout, start, count)[:, :2]
        low, high = np.minimum(low, points.min(axis=0)), np.maximum(high, points.max(axis=0))
    step = float(np.spacing(np.float32(max(np.abs(low).max(), np.abs(high).max())))) if layout.single else 0.0
    return (float(low[0]), float(low[1]), float(high[0]), float(high[1])), step if step > _FINE_STEP else 0.0


def ranges(layout: Layout, most: int, most_bytes: int) -> list[tuple[int, int]]:
    """Ranges of points (start, count): at most ``most`` each, at most ``most_bytes`` of the file's records."""
    size = 8 * layout.columns if layout.encoding == "ascii" else layout.size
    most = max(1, min(most, most_bytes // size))
    return [(at, min(most, layout.count - at)) for at in range(0, layout.count, most)]


def with_types(layout: Layout, order: str) -> Layout:
    """The layout with a byte order (``<`` or ``>``) put before its types."""
    return replace(layout, types=tuple(order + kind for kind in layout.types))
