"""LZF, as compressed PCD files use it.

The format (M. Lehmann, LibLZF): a control byte below 32 is followed by that many bytes plus one, as they are; any other
holds in its top three bits a length (7: more in the next byte) and in its low five, with the next byte, how far back to
copy from.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray


@numba.njit(cache=True, nogil=True)
def _expand(data, out):  # type: ignore[no-untyped-def]
    """Decompress data (n,) u1 into out (m,) u1. Returns whether it was exactly that much."""
    at = end = 0
    n, m = data.shape[0], out.shape[0]
    while at < n:
        control = np.int64(data[at])
        at += 1
        if control < 32:
            length = control + 1
            if at + length > n or end + length > m:
                return False
            for k in range(length):
                out[end + k] = data[at + k]
            at += length
        else:
            length = (control >> 5) + 2
            if length == 9:
                if at >= n:
                    return False
                length += np.int64(data[at])
                at += 1
            if at >= n:
                return False
            start = end - 1 - ((control & 31) << 8) - np.int64(data[at])
            at += 1
            if start < 0 or end + length > m:
                return False
            for k in range(length):  # may overlap: byte by byte
                out[end + k] = out[start + k]
        end += length
    return end == m


def decompressed(path: Path, begins: int, size: int) -> NDArray[np.uint8]:
    """The data of a compressed PCD: at ``begins`` its two sizes (uint32), then the stream.

    Raises:
        ValueError: it is cut short, or does not expand to ``size`` bytes.
    """
    with path.open("rb") as file:
        file.seek(begins)
        sizes = file.read(8)
        if len(sizes) < 8:
            raise ValueError("ends before its compressed data")
        packed, unpacked = struct.unpack("<II", sizes)
        if unpacked != size:
            raise ValueError(f"its points are {size} bytes, but its data {unpacked}")
        there = file.seek(0, 2) - begins - 8
        if there < packed:  # asked before memory is taken for them
            raise ValueError(f"ends after {there} of {packed} compressed bytes")
        file.seek(begins + 8)
        data = np.fromfile(file, np.uint8, packed)
    out = np.empty(size, np.uint8)
    if not _expand(data, out):
        raise ValueError("its compressed data is damaged")
    return out
