"""Placing the cells of a raster that lies askew in the map: turned, in degrees, in another CRS or datum."""

from __future__ import annotations

import numba
import numpy as np
from affine import Affine
from numpy.typing import ArrayLike, NDArray

from utm.mapping.ingest.placing import Placing

#: Places are interpolated between nodes at most this far apart, or one cell where cells are larger.
_SPACING_M = 64.0
#: What that is off at most: the meridians of a projection bulge by 64^2 / 8 R tan(latitude), 0.1 mm at 50 degrees.
_OFF_M = 0.001

# No fastmath: -inf and NaN carry meaning here.
_kernel = numba.njit(cache=True, nogil=True, error_model="numpy")


def on_ground(transform: Affine, column: ArrayLike, row: ArrayLike) -> tuple[NDArray, NDArray]:
    """x and y of a place in a raster; whole numbers are corners of cells."""
    c, r = np.asarray(column, np.float64), np.asarray(row, np.float64)
    return transform.a * c + transform.b * r + transform.c, transform.d * c + transform.e * r + transform.f


class Lattice:
    """Where a raster's corners of cells lie in the map.

    A turned raster in the map's own CRS and datum is placed corner by corner. One that PROJ has to transform is placed
    at nodes counted from the file's first corner and interpolated between them; by what that is off, cells are grown.
    """

    def __init__(self, placing: Placing, transform: Affine, width: int, height: int, cell_m: float):
        """
        Args:
            transform: from column and row of the raster to x and y.
            cell_m: longer edge of a raster cell in metres.
        """
        self.placing, self.transform = placing, transform
        self.width, self.height = width, height
        exact = placing.same_crs and placing.same_heights
        self.stride = 1 if exact else int(np.clip(_SPACING_M // cell_m, 1, 1024))
        off_m = _OFF_M * max(1.0, (self.stride * cell_m / _SPACING_M) ** 2)
        self.off_m = 0.0 if placing.same_crs else off_m
        self.off_up_m = 0.0 if placing.same_heights else off_m

    def corners(self, rows: slice, columns: slice) -> tuple[NDArray, NDArray, NDArray]:
        """East, north and what to add to heights, float64 metres, (rows + 1, columns + 1)."""
        r_at, r0, r_share = self._between(rows, self.height)
        c_at, c0, c_share = self._between(columns, self.width)
        c, r = np.meshgrid(c_at.astype(np.float64), r_at.astype(np.float64))
        x, y = on_ground(self.transform, c, r)
        east, north, shift = (
            _bilinear(nodes, r0, r_share, c0, c_share) for nodes in self.placing.place(x, y, np.zeros(x.shape))
        )
        return east, north, shift

    def _between(self, part: slice, count: int) -> tuple[NDArray, NDArray, NDArray]:
        """Nodes that are needed, and for each corner the one before it and the share of the way to the next."""
        corner = np.arange(part.start, part.stop + 1)
        # The last node may lie beyond the raster's edge, where its plane goes on
        before = np.minimum(corner // self.stride, max(0, -(-count // self.stride) - 1))
        nodes = np.arange(before[0], before[-1] + 2) * self.stride
        return nodes, before - before[0], corner / self.stride - before


def _bilinear(nodes: NDArray, r0: NDArray, r_share: NDArray, c0: NDArray, c_share: NDArray) -> NDArray[np.float64]:
    if not r_share.any() and not c_share.any():
        return np.ascontiguousarray(nodes[np.ix_(r0, c0)])
    share = r_share[:, None]
    down = nodes[r0] * (1 - share) + nodes[r0 + 1] * share
    return down[:, c0] * (1 - c_share) + down[:, c0 + 1] * c_share


@_kernel
def bin_placed(values, valid, east, north, shift, off, off_up, highest, lowest):  # type: ignore[no-untyped-def]
    """Raise ``highest`` and lower ``lowest`` by every valid raster cell, in each map cell that the rectangle around its
    four placed corners touches, grown by ``off``.

    values, valid (rows, columns); east, north (rows + 1, columns + 1) in map cells from the corner of ``highest``;
    shift likewise, metres to add to the heights, and ``off_up`` metres either way; highest, lowest (nx, ny) f32.
    Touching at an edge, or by a millionth of a cell, is not touching.
    """
    nx, ny = highest.shape
    for r in range(values.shape[0]):
        for c in range(values.shape[1]):
            if not valid[r, c]:
                continue
            e0 = min(min(east[r, c], east[r, c + 1]), min(east[r + 1, c], east[r + 1, c + 1])) - off
            e1 = max(max(east[r, c], east[r, c + 1]), max(east[r + 1, c], east[r + 1, c + 1])) + off
            n0 = min(min(north[r, c], north[r, c + 1]), min(north[r + 1, c], north[r + 1, c + 1])) - off
            n1 = max(max(north[r, c], north[r, c + 1]), max(north[r + 1, c], north[r + 1, c + 1])) + off
            if e1 <= 0 or n1 <= 0 or e0 >= nx or n0 >= ny:
                continue
            ix0, iy0 = int(np.floor(e0 + 1e-6)), int(np.floor(n0 + 1e-6))
            ix1, iy1 = max(int(np.ceil(e1 - 1e-6)), ix0 + 1), max(int(np.ceil(n1 - 1e-6)), iy0 + 1)
            s0 = min(min(shift[r, c], shift[r, c + 1]), min(shift[r + 1, c], shift[r + 1, c + 1])) - off_up
            s1 = max(max(shift[r, c], shift[r, c + 1]), max(shift[r + 1, c], shift[r + 1, c + 1])) + off_up
            top, bottom = values[r, c] + s1, values[r, c] + s0
            up, down = np.float32(top), np.float32(bottom)
            if np.float64(up) < top:
                up = np.nextafter(up, np.float32(np.inf))
            if np.float64(down) > bottom:
                down = np.nextafter(down, np.float32(-np.inf))
            for ix in range(max(ix0, 0), min(ix1, nx)):
                for iy in range(max(iy0, 0), min(iy1, ny)):
                    if up > highest[ix, iy]:
                        highest[ix, iy] = up
                    if down < lowest[ix, iy]:
                        lowest[ix, iy] = down
