"""LAS and LAZ: what a header says, and point records by range.

laspy and lazrs believe the numbers in a file. One flipped byte sends them through hundreds of millions of empty
records, or makes them ask for more memory than the machine has, which ends a Rust program and Python with it. So the
counts that they act on are held against the size of the file first.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import lazrs
import numpy as np
from laspy import DecompressionSelection, LasHeader
from numpy.typing import NDArray
from pyproj.exceptions import CRSError

from utm.errors import SurveyError
from utm.mapping.ingest.pointfile import FARTHEST
from utm.mapping.ingest.reading import MEND, first_line, reading

WHAT = "LAS or LAZ file"
GROUND_CLASS = 2
NOISE_CLASSES = (7, 18)  # low and high noise of the LAS standard: the surveyor's own rejections
#: A compressed chunk is decoded as a whole. LASzip writes chunks of 50,000 points.
MAX_CHUNK = 2_000_000
#: Where the formats from 6 on store fields apart, only these are decompressed (coordinates always are).
_FIELDS = (
    DecompressionSelection.XY_RETURNS_CHANNEL
    | DecompressionSelection.Z
    | DecompressionSelection.CLASSIFICATION
    | DecompressionSelection.FLAGS
)


@dataclass(frozen=True, eq=False)
class Records:
    """Point records as they are stored: ``x = X * scale + offset``."""

    X: NDArray[np.int32]
    Y: NDArray[np.int32]
    Z: NDArray[np.int32]
    classes: NDArray[np.uint8]
    noise: NDArray[np.bool_]
    """Marked as noise or as withheld by the surveyor."""
    scales: NDArray[np.float64]
    offsets: NDArray[np.float64]
    low: NDArray[np.float64]
    """(3,) lower bounds that the header states, one step of the scale wider."""
    high: NDArray[np.float64]
    """(3,) upper bounds, likewise."""

    def coordinates(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """x, y, z in the units of the CRS, computed as laspy does."""
        with np.errstate(over="ignore"):  # an infinite one is outside of any bounds
            x, y, z = (
                values * scale + offset
                for values, scale, offset in zip((self.X, self.Y, self.Z), self.scales, self.offsets, strict=True)
            )
        return x, y, z

    def outside(self, *axes: NDArray[np.float64]) -> int:
        """Index of the first of the coordinates x, y, z outside the bounds that the header states; -1 if none is."""
        bad = np.zeros(len(self.X), bool)
        for values, low, high in zip(axes, self.low, self.high, strict=True):
            bad |= ~((values >= low) & (values <= high))
        return int(bad.argmax()) if bad.any() else -1


def read_header(path: Path) -> tuple[LasHeader, str | None]:
    """The header of a file whose counts fit its size, and the CRS that it states as WKT.

    Raises:
        SurveyError: not LAS, cut short, counts that contradict one another, no points, unusable bounds or scales.
    """
    with reading(path, WHAT), path.open("rb") as file:
        _check_records(file)
        header = LasHeader.read_from(file, read_evlrs=True)
        _check_points(file, header)
        try:
            stated = header.parse_crs()
        except (CRSError, UnicodeDecodeError, RuntimeError, KeyError, IndexError) as error:
            raise SurveyError(f"its CRS cannot be read: {first_line(error)}", file=path, field="crs") from error
    if header.point_count == 0:
        raise SurveyError("the cloud holds no points", file=path, mend="Leave it out.")
    low, high, scales = (np.asarray(values, np.float64) for values in (header.mins, header.maxs, header.scales))
    usable = np.isfinite([*scales, *header.offsets]).all() and (scales > 0).all() and (low <= high).all()
    if not usable or not (np.abs([low, high]) <= FARTHEST).all():
        raise SurveyError(
            "the header's bounds or scales are not usable numbers", file=path, field="bounds",
            value=(*low.tolist(), *high.tolist()), mend="Write the file again with its survey program.",
        )  # fmt: skip
    return header, stated.to_wkt() if stated else None


def _check_records(file: BinaryIO) -> None:
    """Raise ValueError when the header announces more variable-length records than the file has room for."""
    size = file.seek(0, 2)
    file.seek(0)
    header = file.read(375)
    file.seek(0)
    if header[:4] != b"LASF" or len(header) < 227:
        raise ValueError("no LAS header")
    header_size, points_at, records = struct.unpack_from("<HII", header, 94)
    if not header_size + 54 * records <= points_at <= size:
        raise ValueError(f"the header announces {records} records and points at byte {points_at} of {size}")
    if header[24:26] == b"\x01\x04" and len(header) == 375:  # LAS 1.4: more records may follow the points
        extended_at, extended = struct.unpack_from("<QI", header, 235)
        if extended and not extended_at + 60 * extended <= size:
            raise ValueError(f"the header announces {extended} records at byte {extended_at} of {size}")


def _check_points(file: BinaryIO, header: LasHeader) -> None:
    """Raise ValueError when the file cannot hold the points that its header announces, or holds more."""
    count = header.point_count
    if header.are_points_compressed:
        if count and not _chunks(file, header):
            raise ValueError(f"the header announces {count} points, but no chunk follows")
        return
    end = header.start_of_first_evlr if header.number_of_evlrs else file.seek(0, 2)
    room = (end - header.offset_to_point_data) // header.point_format.size
    if count > room:
        raise ValueError(f"the header announces {count} points, the file has room for {room}")
    if count < room and not header.start_of_waveform_data_packet_record:
        raise ValueError(f"the header announces {count} points, but {room} follow")


def _chunks(file: BinaryIO, header: LasHeader) -> list[tuple[int, int]]:
    """Points and bytes of each chunk of a LAZ file; ValueError when its table cannot be true.

    The last chunk may hold fewer points than it says.
    """
    laszip = lazrs.LazVlr(_laszip(header))
    if laszip.item_size() != header.point_format.size:
        raise ValueError(f"records of {header.point_format.size} bytes are compressed as {laszip.item_size()}")
    size = file.seek(0, 2)
    start = header.offset_to_point_data
    file.seek(start)
    (table,) = struct.unpack("<q", file.read(8))
    if table == -1:  # written to a stream: the table's place stands at the end
        file.seek(-8, 2)
        (table,) = struct.unpack("<q", file.read(8))
    if not start + 8 <= table <= size - 8:
        raise ValueError(f"its table of chunks should be at byte {table} of {size}")
    file.seek(table)
    _version, number = struct.unpack("<II", file.read(8))
    if number * 4 > table - start:  # a chunk holds at least an uncompressed point
        raise ValueError(f"{number} chunks of points in {table - start} bytes")
    file.seek(start)
    chunks = [(int(points), int(length)) for points, length in lazrs.read_chunk_table(file, laszip)]
    if sum(length for _, length in chunks) > table - start - 8:
        raise ValueError("its chunks are longer than the file")
    most = max((points for points, _ in chunks), default=0)
    if most > MAX_CHUNK:
        raise ValueError(
            f"compressed in chunks of {most} points, {MAX_CHUNK} are read; write it with LASzip's usual 50000"
        )
    held = sum(points for points, _ in chunks)
    if chunks and not held - chunks[-1][0] < header.point_count <= held:
        raise ValueError(
            f"the header announces {header.point_count} points, its {len(chunks)} chunks hold up to {held}"
        )
    if chunks:
        chunks[-1] = (header.point_count - (held - chunks[-1][0]), chunks[-1][1])
    return chunks


def _laszip(header: LasHeader) -> bytes:
    """The record that says how a LAZ file is compressed; ValueError when there is none."""
    return header.vlrs[header.vlrs.index("LasZipVlr")].record_data


def ranges(path: Path, most: int, most_bytes: int) -> list[tuple[int, int]]:
    """Ranges of points (start, count) of a file that `read_header` found good, cut where chunks end.

    Args:
        most: points in a range, unless a single chunk holds more.
        most_bytes: bytes of a range's records, likewise.
    """
    with reading(path, WHAT), path.open("rb") as file:
        header = LasHeader.read_from(file, read_evlrs=False)
        most = max(1, min(most, most_bytes // header.point_format.size))
        if not header.are_points_compressed:
            return [(at, min(most, header.point_count - at)) for at in range(0, header.point_count, most)]
        chunks = _chunks(file, header)
    edges = [0]
    end = 0
    for points, _ in chunks:
        if end + points - edges[-1] > most and end > edges[-1]:
            edges.append(end)
        end += points
    return [(start, stop - start) for start, stop in pairwise([*edges, end]) if stop > start]


def read_records(path: Path, start: int, count: int) -> Records:
    """The point records of one of `ranges`.

    lazrs holds the interpreter's lock while it decompresses, but on every core: two threads that read a file each
    need as long as one that reads both. The chunks are handed to it from here, since its own seeking loses the last
    of chunks that differ in length (0.9).

    Raises:
        SurveyError: the file is damaged, or ends before the points that its header promises.
    """
    with reading(path, WHAT), path.open("rb") as file:
        header = LasHeader.read_from(file, read_evlrs=False)
        if header.are_points_compressed:
            records = _decompressed(file, header, start, count)
        else:
            file.seek(header.offset_to_point_data + start * header.point_format.size)
            records = np.fromfile(file, header.point_format.dtype(), count)
    if len(records) != count:
        raise SurveyError(
            f"the header promises {header.point_count} points", file=path, field="points", value=start + len(records),
            mend=MEND,
        )  # fmt: skip
    if "raw_classification" in records.dtype.names:  # formats 0 to 5: the flags share a byte with the class
        classes = records["raw_classification"] & 31
        withheld = records["raw_classification"] & 128
    else:
        classes = records["classification"]
        withheld = records["classification_flags"] & 4
    scales = np.asarray(header.scales, np.float64)
    noise = np.logical_or.reduce([withheld != 0, *(classes == noise_class for noise_class in NOISE_CLASSES)])
    return Records(
        records["X"], records["Y"], records["Z"], classes, noise, scales, np.asarray(header.offsets, np.float64),
        header.mins - scales, header.maxs + scales,
    )  # fmt: skip


def _decompressed(file: BinaryIO, header: LasHeader, start: int, count: int) -> NDArray:
    wanted: list[tuple[int, int]] = []
    at = 0
    begins = header.offset_to_point_data + 8
    for points, length in _chunks(file, header):
        if at < start:
            begins += length
        elif at < start + count:
            wanted.append((points, length))
        at += points
    if sum(points for points, _ in wanted) != count:
        raise ValueError(f"its chunks do not end at points {start} and {start + count}")
    file.seek(begins)
    data = file.read(sum(length for _, length in wanted))
    out = np.empty(count * header.point_format.size, np.uint8)
    lazrs.decompress_points_with_chunk_table(data, _laszip(header), out, wanted, _FIELDS.to_lazrs())
    return out.view(header.point_format.dtype())
