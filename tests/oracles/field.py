"""The clearance field, slow and obvious: every voxel against every blocked one, those outside the array included."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def clearance(blocked: NDArray[np.bool_], cell_m: float, limit_m: float) -> NDArray[np.float64]:
    """By the definition, in float64: the nearest points of two boxes. A rim of blocked voxels stands for outside."""
    walled = np.pad(blocked, 1, constant_values=True)
    solid = np.argwhere(walled) - 1
    out = np.empty(blocked.shape)
    for voxel in np.ndindex(blocked.shape):
        gaps = np.maximum(np.abs(solid - voxel) - 1, 0) * cell_m
        out[voxel] = min(limit_m, math.sqrt((gaps**2).sum(axis=1).min()))
    return out
