"""What is assumed of a cell whose surface nobody saw: that it is blocked, as high as anything around, and more."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from utm.mapping.ingest.binning import rounded_up
from utm.mapping.ingest.grid import Box
from utm.mapping.ingest.nearby import Far, Heights, square_max
from utm.mapping.ingest.parameters import Parameters, reach_cells


def assumed_surface(
    seen: Heights,
    ground_high: Heights,
    own_ground: Heights,
    missing: NDArray[np.bool_],
    box: Box,
    far: Far,
    cell_m: float,
    p: Parameters,
) -> Heights:
    """Height up to which a cell is blocked if nobody saw it; meaningful where ``missing`` only.

    The highest of: everything seen within ``unknown_nearby_m`` (60, 120, ... m where nothing was seen so near); the
    ground known as near; the cell's own ground. To that the margin is added. Ground alone is no answer to what may
    stand on it, so a hole wider than the reach looks on for a surface although its ground is known.

    With ``unknown`` "open" it is the cell's own ground.

    Args:
        seen, ground_high: (nx, ny) over ``box``: highest seen thing (`nearby.seen_heights`) and highest known ground;
            -inf where there is none.
        own_ground: highest ground of each cell, assumed where it is not known.
    """
    if p.unknown == "open" or not missing.any():
        return own_ground.copy()
    near = reach_cells(p.unknown_nearby_m, cell_m)
    around = square_max(seen, near)
    if (beyond := missing & np.isneginf(around)).any():
        around[beyond] = far.highest(box, near)[beyond]
    if np.isneginf(ground_high).all():
        known_ground = own_ground
    else:
        known_ground = np.maximum(square_max(ground_high, near), own_ground)
    highest = np.maximum(around, known_ground).astype(np.float64)
    return rounded_up(highest + p.unknown_margin_m)
