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


def square_max(heights, radius):
    out = np.empty_like(heights)
    for i in range(heights.shape[0]):
        for j in range(heights.shape[1]):
            out[i, j] = heights[max(0, i - radius) : i + radius + 1, max(0, j - radius) : j + radius + 1].max()
    return out


def highest_nearby(known, radius):
    out = known.copy()
    for i in range(known.shape[0]):
        for j in range(known.shape[1]):
            reach = radius
            while math.isinf(out[i, j]):
                out[i, j] = known[max(0, i - reach) : i + reach + 1, max(0, j - reach) : j + reach + 1].max()
                reach *= 2
    return out


def judge(ix, iy, z, ground, highest, below_m, gap_m, radius):
    """Everything seen so far as a list; no early way out."""
    verdicts = []
    for a, b, height in zip(ix, iy, z, strict=True):
        if height < ground[a, b] - np.float32(below_m):
            verdicts.append(1)
            continue
        square = np.s_[max(0, a - radius) : a + radius + 1, max(0, b - radius) : b + radius + 1]
        nearest = max(highest[square].max(), ground[square].max())
        if height > nearest + np.float32(gap_m):
            verdicts.append(2)
            continue
        verdicts.append(0)
        highest[a, b] = max(highest[a, b], height)
    return np.array(verdicts, np.uint8)
