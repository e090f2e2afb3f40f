"""From heights to colours: shaded relief and what stands on the ground. Arrays are ``[ix, iy]``, metres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Heights = NDArray[np.float32]
Colours = NDArray[np.float32]

#: Height above the terrain from which a cell counts as an object.
OBJECT_M = 2.0

# Height of terrain above the map's lowest ground (m), colour: pale greens to warm stone, light enough to draw on
_RELIEF = (
    (0, "#e4ecd9"),
    (8, "#eaefdb"),
    (20, "#f0efd9"),
    (45, "#ece2c6"),
    (90, "#dfcfae"),
    (250, "#cbb596"),
    (900, "#f4f1ec"),
)
# Height of an object (m), colour
_OBJECTS = ((2, "#b9a99a"), (8, "#a78d7c"), (15, "#8f6a5c"), (30, "#6f4452"), (60, "#43274a"), (150, "#1c1030"))
_TREES = ((2, "#c3d3a8"), (10, "#a5bf8c"), (20, "#86a873"), (40, "#5f8657"))


def relief_colours(terrain_m: Heights) -> Colours:
    """Tint of the ground by height, (nx, ny, 3), 0 to 1."""
    return ramp(terrain_m - np.float32(terrain_m.min()), _RELIEF)


def object_colours(above_m: Heights) -> Colours:
    """Colours of buildings and other objects by their height above ground, (nx, ny, 3), 0 to 1."""
    return ramp(above_m, _OBJECTS)


def tree_colours(above_m: Heights) -> Colours:
    """Colours of woods by their height above ground, (nx, ny, 3), 0 to 1."""
    return ramp(above_m, _TREES)


def ramp(values: NDArray, stops: tuple[tuple[float, str], ...]) -> Colours:
    """Colours (..., 3), 0 to 1, between stops of value (ascending) and ``#rrggbb``."""
    at = [stop for stop, _ in stops]
    colours = np.stack([rgb(colour) for _, colour in stops])
    return np.stack([np.interp(values, at, colours[:, k]).astype(np.float32) for k in range(3)], axis=-1)


def rgb(colour: str) -> Colours:
    """``#rrggbb`` as (3,), 0 to 1."""
    return np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)], np.float32)


def hillshade(heights_m: Heights, cell_m: float, *, exaggeration: float = 1.0) -> NDArray[np.float32]:
    """Brightness (nx, ny), 0 to 1, level ground 0.71: Lambert's law with the sun in the north-west, 45 degrees up.

    North-west is the cartographers' convention: lit from the south, most people see hills as hollows.
    """
    if min(heights_m.shape) < 2:
        return np.full(heights_m.shape, np.float32(np.sqrt(0.5)))
    dx, dy = np.gradient(heights_m * np.float32(exaggeration), np.float32(cell_m))
    sun = np.array([-0.5, 0.5, np.sqrt(0.5)], np.float32)  # east, north, up
    lit = (-dx * sun[0] - dy * sun[1] + sun[2]) / np.sqrt(1 + dx * dx + dy * dy)
    return np.clip(lit, 0, 1).astype(np.float32)


def box_mean(values: NDArray, radius: int) -> NDArray[np.float32]:
    """Mean over the square of ``radius`` cells around each cell, edges repeated; (nx, ny)."""
    out = np.asarray(values, np.float64)
    width = 2 * radius + 1
    for axis in (0, 1):
        padding = [(0, 0), (0, 0)]
        padding[axis] = (radius + 1, radius)
        total = np.cumsum(np.pad(out, padding, mode="edge"), axis=axis)
        ahead = np.take(total, np.arange(width, total.shape[axis]), axis)
        out = (ahead - np.take(total, np.arange(total.shape[axis] - width), axis)) / width
    return out.astype(np.float32)


def woods(above_m: Heights, cell_m: float) -> NDArray[np.bool_]:
    """A guess, for drawing only: objects that are rough on top over 8 m and more, as crowns are and roofs are not.

    Nothing in planning asks this.
    """
    raised = above_m > OBJECT_M
    calm = _median_of_nine(above_m)  # lone returns above a roof are no crowns
    rough = raised & (np.abs(calm - box_mean(calm, 1)) > 0.08)
    share = box_mean(rough, max(1, round(8 / cell_m)))
    core = share > 0.55
    return raised & (box_mean(core, max(1, round(14 / cell_m))) > 1e-6) & (share > 0.2) & (above_m < 45)


def _median_of_nine(values: Heights) -> Heights:
    padded = np.pad(values, 1, mode="edge")
    nx, ny = values.shape
    return np.median(np.stack([padded[i : i + nx, j : j + ny] for i in range(3) for j in range(3)]), axis=0)
