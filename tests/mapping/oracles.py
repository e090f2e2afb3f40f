"""Slow, obvious twins of the kernels in ``utm/mapping/ingest/binning.py``."""

from __future__ import annotations

import math

import numpy as np


def bin_raster(values, valid, start_x, start_y, step, cell, highest, lowest):
    """Rows south to north. A raster cell and a map cell touch when they overlap by more than a millionth of a cell."""
    for r in range(values.shape[0]):
        for c in range(values.shape[1]):
            if not valid[r, c]:
                continue
            for ix in range(highest.shape[0]):
                for iy in range(highest.shape[1]):
                    x0, y0 = start_x + c * step, start_y + r * step
                    wide = min(x0 + step, (ix + 1) * cell) - max(x0, ix * cell)
                    tall = min(y0 + step, (iy + 1) * cell) - max(y0, iy * cell)
                    if wide > 1e-6 * cell and tall > 1e-6 * cell:
                        highest[ix, iy] = max(highest[ix, iy], values[r, c])
                        lowest[ix, iy] = min(lowest[ix, iy], values[r, c])


def sort_returns(rectangles, up, kind, grid):
    """Returns by map cell: {(ix, iy): (accepted, ground, rejected)}, lists of heights; and how many lie off the map.

    rectangles (n, 4): west, east, south, north, metres from the map's edge. A point lies in one cell, a rectangle in
    every cell that it touches or nearly touches. The far edge belongs to the last cell. Ground is accepted too.
    """
    near = 1e-6

    def touched(low, high, cells):
        low, high = low / grid.cell_m, high / grid.cell_m
        if high < -near or low > cells + near:
            return []
        if low == high:
            return [min(max(math.floor(low), 0), cells - 1)]
        return [n for n in range(cells) if n <= high + near and low - near < n + 1] or [0 if high < 0 else cells - 1]

    found, off = {}, 0
    for (west, east, south, north), height, what in zip(rectangles, up, kind, strict=True):
        places = [(ix, iy) for ix in touched(west, east, grid.nx) for iy in touched(south, north, grid.ny)]
        off += not places
        for place in places:
            accepted, ground, rejected = found.setdefault(place, ([], [], []))
            (rejected if what == 2 else accepted).append(height)
            if what == 1:
                ground.append(height)
    return found, off


def outliers(gone, points):
    """One more pass of the statistical filter over the points that are not gone yet; returns who is gone after it.

    Mean distance to the 16 nearest, the point itself among them, against the mean and deviation of all.
    """
    kept = np.flatnonzero(~gone)
    apart = np.linalg.norm(points[kept, None] - points[None, kept], axis=2)
    mean = np.sort(apart, axis=1)[:, :16].mean(axis=1)
    gone = gone.copy()
    gone[kept[mean >= mean.mean() + 3.0 * mean.std(ddof=1)]] = True
    return gone
