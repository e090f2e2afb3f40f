"""Slow, obvious twins of the kernels in ``utm/mapping/ingest/binning.py``."""

from __future__ import annotations

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
