"""The header of a PLY cloud (G. Turk, The PLY Polygon File Format, 1994)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from utm.mapping.ingest.pointfile import Layout, checked, header_lines, whole_number, with_types
from utm.mapping.ingest.reading import reading

WHAT = "PLY file"
_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4",
    "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
    "float32": "f4", "float64": "f8",
}  # fmt: skip
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
#: A comment such as ``crs EPSG:32618+5703``.
_CRS = re.compile(r"comment\s+crs[\s:=]\s*(EPSG:\d{4,6}(\+\d{4,6})?)", re.IGNORECASE)


@dataclass
class _Element:
    name: str
    count: int
    names: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    lists: bool = False

    @property
    def size(self) -> int:
        """Bytes of one, without what its lists hold."""
        return sum(int(kind[1]) for kind in self.types)


def read_layout(path: Path) -> Layout:
    """Where the vertices of a PLY file stand.

    Raises:
        SurveyError: not PLY, no x, y, z of a float type, counts that the file has no room for.
    """
    with reading(path, WHAT):
        lines, begins = header_lines(path, "end_header")
        if lines[0] != "ply":
            raise ValueError("does not begin with 'ply'")
        layout = _layout(path, lines[1:-1], begins)
    return checked(layout)


def _layout(path: Path, lines: list[str], begins: int) -> Layout:
    encoding: str | None = None
    crs: str | None = None
    elements: list[_Element] = []
    for line in lines:
        words = line.split()
        if not words or words[0] in ("comment", "obj_info"):
            if found := _CRS.fullmatch(line):
                crs = found[1].upper()
        elif words[0] == "format" and len(words) == 3 and words[1] in _ORDERS and words[2] == "1.0" and not encoding:
            encoding = words[1]
        elif words[0] == "element" and len(words) == 3:
            elements.append(_Element(words[1], whole_number(words[2], f"the number of {words[1][:20]}")))
        elif words[0] == "property" and elements:
            _add_property(elements[-1], words[1:])
        else:
            raise ValueError(f"its header has a line that does not belong there: {line[:60]!r}")
    if encoding is None:
        raise ValueError("its header does not say ascii or binary")
    names = [element.name for element in elements]
    if names.count("vertex") != 1:
        raise ValueError("its header does not announce one set of vertices")
    before, vertex, after = _split(elements, names.index("vertex"))
    if vertex.lists or any(element.lists for element in before):
        raise ValueError("lists stand before the end of its vertices")
    columns = [_column(vertex, axis) for axis in "xyz"]
    types = tuple(vertex.types[column] for column in columns)
    more = any(element.count for element in after)
    if encoding == "ascii":
        skipped = sum(element.count for element in before)
        return Layout(
            path, WHAT, "ascii", vertex.count, begins, len(vertex.names), tuple(columns), types, vertex.size, skipped,
            more, crs,
        )  # fmt: skip
    begins += sum(element.count * element.size for element in before)
    at = tuple(sum(int(kind[1]) for kind in vertex.types[:column]) for column in columns)
    layout = Layout(path, WHAT, "binary", vertex.count, begins, len(vertex.names), at, types, vertex.size, 0, more, crs)
    return with_types(layout, _ORDERS[encoding])


def _split(elements: list[_Element], at: int) -> tuple[list[_Element], _Element, list[_Element]]:
    return elements[:at], elements[at], elements[at + 1 :]


def _add_property(element: _Element, words: list[str]) -> None:
    if len(words) == 4 and words[0] == "list" and words[1] in _TYPES and words[2] in _TYPES:
        element.lists = True
        return
    if len(words) != 2 or words[0] not in _TYPES or words[1] in element.names:
        raise ValueError(f"its header has a property that cannot be: {' '.join(words)[:60]!r}")
    element.types.append(_TYPES[words[0]])
    element.names.append(words[1])


def _column(vertex: _Element, axis: str) -> int:
    if axis not in vertex.names or vertex.types[vertex.names.index(axis)][0] != "f":
        raise ValueError(f"its vertices have no {axis} of type float or double")
    return vertex.names.index(axis)
