"""What the air is like and what the ground below asks for: the same for every flight of an airspace."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utm.model.wind import CALM, Wind


class LayerKind(enum.StrEnum):
    """What the numbers of a cost layer are."""

    PEOPLE = "people"
    """People below, per square kilometre: ground risk."""
    NOISE = "noise"
    """How much noise below disturbs, 0 to 1: homes, schools, hospitals, shrines."""
    RADIO = "radio"
    """Share of time with a usable command link, 0 to 1."""
    ROADS = "roads"
    """Above 0 where a sky road leads that traffic should keep to."""
    OBSTACLES = "obstacles"
    """None: it is the distance to everything on the map that counts."""


@dataclass(frozen=True, slots=True, eq=False)
class CostLayer:
    """What makes some air dearer than other air. A metre never costs less than a metre."""

    name: str
    kind: LayerKind
    weight: float
    """At its worst a metre costs ``1 + weight`` metres."""
    values: NDArray[np.float32] | None = None
    """(nx, ny) over the whole map, cells of ``cell_m`` from its south-west corner; None for ``obstacles``."""
    cell_m: float = math.nan
    content: str = ""
    """Hash of the values."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise ValueError(f"the weight of layer {self.name} must be a finite number above zero, got {self.weight!r}")
        if (self.values is None) != (self.kind is LayerKind.OBSTACLES):
            raise ValueError(f"a layer of kind {self.kind} {'needs' if self.values is None else 'has no'} values")


@dataclass(frozen=True, slots=True, eq=False)
class Conditions:
    """The forecast and the cost layers by which ways are chosen."""

    wind: Wind = CALM
    layers: tuple[CostLayer, ...] = ()

    @property
    def calm(self) -> bool:
        """Whether there is no wind at any height."""
        return not self.wind.velocity_m_s.any()


#: No wind, no layers.
PLAIN = Conditions()
