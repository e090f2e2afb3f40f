"""Point clouds for tests in every format, version, encoding and precision."""

from __future__ import annotations

from pathlib import Path

import laspy
import numpy as np
import pyproj
from numpy.typing import NDArray

from tests.mapping.survey_files import COMPOUND, SOUTH, WEST


def write_las(
    path: Path,
    points: NDArray,
    *,
    version: str = "1.4",
    point_format: int = 6,
    crs: str | None = COMPOUND,
    classes: NDArray | int = 1,
    withheld: NDArray | None = None,
    scales: tuple[float, float, float] = (0.001, 0.001, 0.001),
    offsets: tuple[float, float, float] = (WEST, SOUTH, 0.0),
) -> Path:
    """As `write_laz`, with the version, the format and each axis to choose."""
    header = laspy.LasHeader(point_format=point_format, version=version)
    if crs:
        header.add_crs(pyproj.CRS.from_user_input(crs))
    header.scales, header.offsets = scales, offsets
    record = laspy.ScaleAwarePointRecord.zeros(len(points), header=header)
    record.x, record.y, record.z = points.T
    record.classification = np.broadcast_to(np.asarray(classes, np.uint8), len(points))
    if withheld is not None:
        record.withheld = withheld.astype(np.uint8)
    laspy.LasData(header, record).write(str(path))
    return path


_PLY_FORMATS = {"ascii": "ascii", "<": "binary_little_endian", ">": "binary_big_endian"}


def write_ply(path: Path, points: NDArray, *, dtype: str = "f8", order: str = "<", comment: str = "") -> Path:
    """Points (n, 3) as PLY with colours between and a face behind; order ``<``, ``>`` or ``ascii``."""
    name = {"f8": "double", "f4": "float"}[dtype]
    lines = [
        "ply", f"format {_PLY_FORMATS[order]} 1.0", *([f"comment {comment}"] if comment else []),
        f"element vertex {len(points)}", f"property {name} x", "property uchar red", f"property {name} y",
        f"property {name} z", "property short label", "element face 1", "property list uchar int vertex_indices",
        "end_header",
    ]  # fmt: skip
    head = ("\n".join(lines) + "\n").encode()
    exact = points.astype(dtype)
    if order == "ascii":
        digits = {"f8": 17, "f4": 9}[dtype]
        rows = [f"{x:.{digits}g} 7 {y:.{digits}g} {z:.{digits}g} -3\n" for x, y, z in exact.tolist()]
        path.write_bytes(head + "".join(rows).encode() + b"3 0 1 2\n")
        return path
    fields = [("x", dtype), ("red", "u1"), ("y", dtype), ("z", dtype), ("label", "i2")]
    table = np.zeros(len(points), np.dtype([(key, order + kind) for key, kind in fields]))
    table["x"], table["y"], table["z"] = exact.T
    table["red"], table["label"] = 7, -3
    path.write_bytes(head + table.tobytes() + b"\x03" + np.arange(3, dtype=order + "i4").tobytes())
    return path


def write_pcd(path: Path, points: NDArray, *, dtype: str = "f8", data: str = "binary") -> Path:
    """Points (n, 3) as PCD with a normal of three between and a width; data ``ascii`` or ``binary``."""
    size = int(dtype[1])
    head = (
        "# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\nFIELDS x normal y z label\n"
        f"SIZE {size} 4 {size} {size} 2\nTYPE F F F F U\nCOUNT 1 3 1 1 1\nWIDTH {len(points)}\nHEIGHT 1\n"
        f"VIEWPOINT 0 0 0 1 0 0 0\nPOINTS {len(points)}\nDATA {data}\n"
    ).encode()
    exact = points.astype(dtype)
    if data == "ascii":
        digits = {8: 17, 4: 9}[size]
        rows = [f"{x:.{digits}g} 0 0 1 {y:.{digits}g} {z:.{digits}g} 5\n" for x, y, z in exact.tolist()]
        path.write_bytes(head + "".join(rows).encode())
        return path
    real = f"<f{size}"
    fields = [("x", real), ("normal", "<f4", 3), ("y", real), ("z", real), ("label", "<u2")]
    table = np.zeros(len(points), np.dtype(fields))  # type: ignore[call-overload]
    table["x"], table["y"], table["z"] = exact.T
    path.write_bytes(head + table.tobytes())
    return path
