"""The rules by which a tile is finished. They are written into the map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from utm.errors import InputError

Unknown = Literal["nearby", "open"]
Ground = Literal["auto", "filter"]


@dataclass(frozen=True)
class Parameters:
    """Lengths in metres. The halo of a tile grows with ``unknown_nearby_m``, ``nearby_m`` and ``overhang_reach``."""

    unknown: Unknown = "nearby"
    """nearby: what nobody saw is blocked up to the highest known surface nearby and a margin; open: it is taken for
    bare ground, and stays UNKNOWN."""
    unknown_nearby_m: float = 30.0
    """How far "nearby" is, for assumed surfaces and assumed terrain."""
    unknown_margin_m: float = 10.0

    discard_below_m: float = 1.0
    """A rejected return farther than this below the ground is discarded."""
    alone_m: float = 180.0
    """So is one higher than this above everything within ``nearby_m``: no flight under the ceiling of 150 m comes
    within 30 m of it, but it would close its column to everybody."""
    nearby_m: float = 30.0

    overhang_levels: int = 2
    """Air is claimed below a thing only through this many empty levels of `LAYER_M`..."""
    overhang_cells: int = 8
    """... where at least this many cells show air at the same height..."""
    overhang_reach: int = 8
    """... in the square of this many cells around."""

    ground: Ground = "auto"
    """auto: where no surveyor gave ground but returns are, it is filtered from them; filter: also where the returns
    are classified."""
    cloth_m: float = 2.0
    """Mesh of the ground filter's cloth; never finer than a cell. Measured on a photogrammetric survey of wooded hills:
    1 m finds 92 % of the ground and 2 m 74 %, but 0.3 % of what it takes for ground stands more than 2 m above it,
    against 0.01 %, in four times the time. Ground that is missed is assumed from the lowest nearby; false ground would
    lift the ceiling."""
    cloth_rigidness: int = 2
    cloth_threshold_m: float = 0.5
    """A return at most this far from the cloth is ground."""
    cloth_slopes: bool = True
    """Whether the cloth is pressed down on steep slopes afterwards."""

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("--unknown", self.unknown, get_args(Unknown)),
            ("--ground", self.ground, get_args(Ground)),
        ):
            if value not in allowed:
                raise InputError(f"must be {' or '.join(allowed)}", field=name, value=value)


def reach_cells(metres: float, cell_m: float) -> int:
    """Cells to either side that cover a distance; at least one."""
    return max(1, math.ceil(metres / cell_m))


def halo_cells(cell_m: float, p: Parameters) -> int:
    """How many cells beyond a tile may count for what the map says in it, but for ground filtered from returns."""
    nearby = max(p.unknown_nearby_m, p.nearby_m)
    return reach_cells(nearby, cell_m) + p.overhang_reach + 2
