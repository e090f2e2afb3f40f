"""City objects as both formats say them, and what a map makes of each: which geometry counts, and as what."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Use(enum.Enum):
    """What a city object is to a map."""

    BUILDING = "solid down to the ground; its foot is ground"
    SOLID = "solid down to the ground"
    BRIDGE = "solid, with air below"
    GROUND = "ground"


#: By the class of the top-level object; whatever is not listed here is counted and not used. Objects inside a building
#: or a bridge are used as that is.
USES = {
    "Building": Use.BUILDING,
    "Bridge": Use.BRIDGE,
    "CityFurniture": Use.SOLID,
    "SolitaryVegetationObject": Use.SOLID,
    "PlantCover": Use.SOLID,
    "OtherConstruction": Use.SOLID,
    "TINRelief": Use.GROUND,
}

#: Parts of buildings and bridges that stand outdoors and have a geometry of their own.
OUTDOOR_PARTS = frozenset(
    {
        "BuildingPart", "BuildingInstallation", "BuildingConstructiveElement",
        "BridgePart", "BridgeInstallation", "BridgeConstructionElement", "BridgeConstructiveElement",
    }
)  # fmt: skip

NO_GEOMETRY = "no geometry that can be used"
NO_HEIGHT = "no height"


class Polygon(NamedTuple):
    """A piece of a surface in 3-D."""

    rings: Sequence[NDArray[np.float64]]
    """Outline, then holes, each (n, 3)."""
    is_foot: bool = False
    """Whether the file calls it the object's lower end (GroundSurface, lod0FootPrint)."""


@dataclass(eq=False)
class Element:
    """A city object, or a part of one that has geometry of its own, in every level of detail that the file has."""

    by_lod: dict[float, list[Polygon]] = field(default_factory=dict)
    """Levels 1 and higher."""
    outlines: list[Polygon] = field(default_factory=list)
    """Level 0: outlines of foot or roof."""
    measured_height_m: float | None = None
    """Top over foot."""
    parts: list[Element] = field(default_factory=list)
    """Parts of it that have geometry of their own."""
    outlines_need_height: bool = False
    """Whether an outline that is no foot may be one all the same (CityJSON does not say)."""


@dataclass(eq=False)
class CityObject:
    """Polygons that a map uses, of one object or one part of it."""

    type: str
    id: str
    use: Use
    polygons: list[Polygon]


def chosen(kind: str, id: str, whole: Element) -> tuple[list[CityObject], str | None]:
    """The geometry of an object and its parts that a map uses: the highest level of detail of each.

    Level 4 shows rooms too and is taken only where there is none of 1 to 3. Level 0 is an outline: it is raised to
    its own height plus the measured height, as high as the thing can be at most; it is left out where every height in
    it is 0, which is how files say that they have none. The outline of a whole whose parts have solids says nothing.

    Returns:
        what is used; and why, where nothing is.
    """
    use = USES[kind]
    reason, found = NO_GEOMETRY, []
    solid_parts = any(part.by_lod for part in whole.parts)
    for element in (whole, *whole.parts):
        polygons: list[Polygon] = []
        if element.by_lod:
            level = max(element.by_lod, key=lambda lod: (lod < 4, lod))
            # an extruded outline stands on its foot everywhere; a detailed shape overhangs, and only its foot does
            polygons = [Polygon(p.rings, p.is_foot or level < 2) for p in element.by_lod[level]]
        elif element.outlines and not (element is whole and solid_parts):
            polygons = _raised(element)
            reason = reason if polygons else NO_HEIGHT
        if polygons:
            found.append(CityObject(kind, id, use, polygons))
    return found, None if found else reason


def _raised(element: Element) -> list[Polygon]:
    """An outline at its foot and at the height of its top; nothing where that is not known."""
    if not any(ring[:, 2].any() for polygon in element.outlines for ring in polygon.rings):
        return []
    feet = [p for p in element.outlines if p.is_foot]
    roofs = [p for p in element.outlines if not p.is_foot]
    height = element.measured_height_m
    if roofs and feet:
        tops = [_highest(roofs), *([_highest(feet) + height] if height is not None else [])]
    elif roofs and height is None and not element.outlines_need_height:
        tops = [_highest(roofs)]
    elif height is not None:
        tops = [_highest(roofs or feet) + height]
    else:
        return []
    return feet + [Polygon([np.column_stack([r[:, :2], np.full(len(r), max(tops))]) for r in p.rings]) for p in
                   element.outlines]  # fmt: skip


def _highest(polygons: Sequence[Polygon]) -> float:
    return max(float(ring[:, 2].max()) for polygon in polygons for ring in polygon.rings)
