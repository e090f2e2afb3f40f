"""The header of a PCD cloud, version 0.7 (pointclouds.org, The PCD file format)."""

from __future__ import annotations

from pathlib import Path

from utm.mapping.ingest.pointfile import Layout, checked, header_lines, whole_number
from utm.mapping.ingest.reading import reading

WHAT = "PCD file"
_ENCODINGS = {"ascii": "ascii", "binary": "binary", "binary_compressed": "compressed"}
_KEYS = ("VERSION", "FIELDS", "SIZE", "TYPE", "COUNT", "WIDTH", "HEIGHT", "VIEWPOINT", "POINTS", "DATA")
_SIZES = {"I": (1, 2, 4, 8), "U": (1, 2, 4, 8), "F": (4, 8)}
_MAX_FIELDS = 1000


def read_layout(path: Path) -> Layout:
    """Where the points of a PCD file stand. Its viewpoint is where the scanner stood and moves no point.

    Raises:
        SurveyError: not PCD, no x, y, z of a float type, counts that the file has no room for.
    """
    with reading(path, WHAT):
        lines, begins = header_lines(path, "DATA")
        layout = _layout(path, _entries(lines), begins)
    return checked(layout)


def _entries(lines: list[str]) -> dict[str, list[str]]:
    entries: dict[str, list[str]] = {}
    for line in lines:
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] not in _KEYS or words[0] in entries:
            raise ValueError(f"its header has a line that does not belong there: {line[:60]!r}")
        entries[words[0]] = words[1:]
    return entries


def _layout(path: Path, entries: dict[str, list[str]], begins: int) -> Layout:
    for key in ("FIELDS", "SIZE", "TYPE", "WIDTH", "HEIGHT"):
        if not entries.get(key):
            raise ValueError(f"its header has no {key}")
    names, kinds = entries["FIELDS"], entries["TYPE"]
    sizes = [whole_number(word, "SIZE") for word in entries["SIZE"]]
    counts = [whole_number(word, "COUNT") for word in entries.get("COUNT") or ["1"] * len(names)]
    if not len(names) == len(sizes) == len(kinds) == len(counts) <= _MAX_FIELDS:
        raise ValueError(f"{len(names)} fields, {len(sizes)} sizes, {len(kinds)} types, {len(counts)} counts")
    for name, size, kind, count in zip(names, sizes, kinds, counts, strict=True):
        if size not in _SIZES.get(kind, ()) or not 0 < count <= 100_000:
            raise ValueError(f"field {name[:20]} is {count} of {kind[:5]}{size}")
    width, height = (whole_number(entries[key][0], key) for key in ("WIDTH", "HEIGHT"))
    points = whole_number((entries.get("POINTS") or [str(width * height)])[0], "POINTS")
    if points != width * height:
        raise ValueError(f"{width} x {height} are not {points} points")
    encoding = _ENCODINGS.get(" ".join(entries["DATA"]))
    if encoding is None:
        raise ValueError(f"its data is {' '.join(entries['DATA'])[:20]!r}")
    places: list[int] = []
    for axis in "xyz":
        if names.count(axis) != 1:
            raise ValueError(f"its points have no {axis}, or several")
        field = names.index(axis)
        if kinds[field] != "F" or counts[field] != 1:
            raise ValueError(f"{axis} is not one number of type F")
        before = counts[:field] if encoding == "ascii" else [s * c for s, c in zip(sizes, counts, strict=True)][:field]
        places.append(sum(before))
    types = tuple(f"<f{sizes[names.index(axis)]}" for axis in "xyz")
    size = sum(s * c for s, c in zip(sizes, counts, strict=True))
    return Layout(path, WHAT, encoding, points, begins, sum(counts), tuple(places), types, size)
