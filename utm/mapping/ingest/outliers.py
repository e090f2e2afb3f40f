"""Which returns of a cloud are statistical outliers.

On real surveys the filter rejects wires, masts and roof edges along with the true errors, so a rejection takes nothing
away by itself: what becomes of a rejected return is decided where a tile is finished.
"""

from __future__ import annotations

import numpy as np
import open3d
from numpy.typing import NDArray

NEIGHBOURS = 16
DEVIATIONS = 3.0


def reject(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of the points (n, 3), metres, Open3D's statistical filter rejects: those whose mean distance to their 16
    neighbours is more than 3 standard deviations above the average (Rusu et al. 2008).

    It runs twice: a handful of returns hundreds of metres off make everything nearer look usual. Open3D also rejects
    points of which 16 lie in exactly one place.
    """
    if len(points) <= NEIGHBOURS:
        return np.zeros(len(points), bool)  # too few to say what is usual
    kept = np.arange(len(points))
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points - points.mean(axis=0)))
    for _ in range(2):
        if len(kept) <= NEIGHBOURS:
            break
        cloud, indices = cloud.remove_statistical_outlier(NEIGHBOURS, DEVIATIONS)
        kept = kept[np.asarray(indices, np.int64)]
    bad = np.ones(len(points), bool)
    bad[kept] = False
    return bad
