"""A seeded city among mountains, 16 x 20 km at 2 m, for long ways: too large for a volume of voxels, made tile by tile.

    python -m benchmarks.big_city FOLDER [--scale 1.0] [--seed 7]

Relief from 0 to about 600 m: ridges at wavelengths of 300 m to 5 km with slopes of real hills, plains between them.
On flat ground 30 % is built, 6 to 60 m high; on slopes stand woods of 15 m. From this the slab of the flight space:
the lowest layer that keeps 30 m from everything, and the ceiling 150 m over the terrain.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from utm.core.columns import lowest_clear

CELL_M = 2.0
CLEARANCE_M = 30.0
CEILING_M = 150.0
#: Columns along a side of the full city.
FULL = (8000, 10000)

_TILE = 1000  # columns
_COARSE = 16  # columns between the knots of the relief: 32 m
_PLOT = 20  # columns from one building to the next: 40 m
_BUILT = 0.30


@dataclass(frozen=True)
class BigCity:
    """The slab, memory-mapped, and the ground it was made from."""

    lowest: NDArray[np.int16]
    """(nx, ny) lowest layer of 2 m whose centre keeps the clearance."""
    highest: NDArray[np.int16]
    """(nx, ny) first layer whose centre is above the ceiling."""
    terrain: NDArray[np.int16]
    """(nx, ny) bare ground in layers, for pictures and statistics."""


def big_city(folder: str | Path, *, scale: float = 1.0, seed: int = 7) -> BigCity:
    """The city of a seed, made under ``folder`` if it is not there yet. ``scale`` shrinks its sides."""
    folder = Path(folder)
    shape = (round(FULL[0] * scale), round(FULL[1] * scale))
    names = {name: folder / f"{name}-{shape[0]}x{shape[1]}-{seed}.npy" for name in ("lowest", "highest", "terrain")}
    done = folder / f"city-{shape[0]}x{shape[1]}-{seed}.json"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        began = time.process_time()
        _make(shape, seed, names)
        done.write_text(json.dumps({"shape": shape, "seed": seed, "cpu_s": time.process_time() - began}))
    return BigCity(**{name: np.load(path, mmap_mode="r") for name, path in names.items()})


def pairs(city: BigCity, length_m: float, count: int, *, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(count, 3) starts and goals in free air about ``length_m`` apart on the ground, in random directions, each a
    random height of the lower half of its column."""
    rng = np.random.default_rng([seed, round(length_m)])
    nx, ny = city.lowest.shape
    starts, goals = [], []
    for _ in range(200 * count):
        if len(starts) == count:
            return np.array(starts, np.int64), np.array(goals, np.int64)
        angle, span = rng.uniform(0, 2 * math.pi), length_m / CELL_M
        one = np.array([rng.integers(nx), rng.integers(ny)])
        two = one + np.round(span * np.array([math.cos(angle), math.sin(angle)])).astype(int)
        if (two < 0).any() or (two >= (nx, ny)).any():
            continue
        ends = []
        for x, y in (one, two):
            low, high = int(city.lowest[x, y]), int(city.highest[x, y])
            if high - low >= 2:
                ends.append((x, y, low + int(rng.integers((high - low) // 2))))
        if len(ends) == 2:
            starts.append(ends[0])
            goals.append(ends[1])
    raise ValueError(f"the city of {nx} x {ny} columns has no room for {count} pairs {length_m} m apart")


def _noise(shape: tuple[int, int], wavelength: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Smooth random field of unit variance with one dominant wavelength, in knots."""
    fx, fy = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :]
    radius = np.hypot(fx, fy) * wavelength
    band = np.exp(-((radius - 1.0) ** 2) / 0.18)
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(shape)) * band, s=shape)
    return field / field.std()


def _relief(shape: tuple[int, int], rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Heights of the bare ground at the knots, metres, and how mountainous it is there (0 plain, 1 mountain)."""
    knot = _COARSE * CELL_M
    mask = 1 / (1 + np.exp(-3.0 * (_noise(shape, 7000 / knot, rng) + 0.35)))
    ridges = np.zeros(shape)
    for wavelength, height in ((3600, 260), (1500, 110), (700, 42), (320, 14)):
        ridges += height * (1 - np.minimum(np.abs(_noise(shape, wavelength / knot, rng)), 1.6))
    heights = mask * np.maximum(ridges + 110, 0) + (1 - mask) * 6 * (1 + _noise(shape, 900 / knot, rng))
    heights -= heights.min()
    return heights * min(1.0, 600 / heights.max()), mask


def _spline(first: int, count: int) -> tuple[NDArray[np.float64], int]:
    """Cubic B-spline weights (count, knots) of columns first, first + 1, ... and the first knot; the grid of knots
    starts two before column 0 and everything is shifted so that no index is negative."""
    at = (np.arange(first, first + count) + 0.5) / _COARSE + 4
    base = np.floor(at).astype(int)
    t = at - base
    low = int(base.min()) - 1
    weights = np.zeros((count, int(base.max()) + 3 - low))
    rows = np.arange(count)
    for k, w in enumerate(
        ((1 - t) ** 3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6, (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6, t**3 / 6)
    ):
        weights[rows, base - 1 + k - low] = w
    return weights, low


def _make(shape: tuple[int, int], seed: int, names: dict[str, Path]) -> None:
    rng = np.random.default_rng(seed)
    halo = math.ceil(CLEARANCE_M / CELL_M)
    knots = tuple(-(-n // _COARSE) + 12 for n in shape)
    relief, mask = _relief((knots[0], knots[1]), rng)
    plots = tuple(-(-n // _PLOT) + 2 * -(-halo // _PLOT) + 1 for n in shape)
    lots = rng.uniform(6, 60, plots) * (rng.random(plots) < _BUILT * _PLOT**2 / 14**2)
    # np.lib.format.open_memmap writes a .npy that np.load can map
    out = {k: np.lib.format.open_memmap(p, "w+", np.int16, shape) for k, p in names.items()}
    for x0 in range(0, shape[0], _TILE):
        for y0 in range(0, shape[1], _TILE):
            nx, ny = min(_TILE, shape[0] - x0), min(_TILE, shape[1] - y0)
            terrain, surface = _tile((x0 - halo, y0 - halo), (nx + 2 * halo, ny + 2 * halo), relief, mask, lots)
            clear = lowest_clear(surface, CELL_M, CLEARANCE_M)[halo:-halo, halo:-halo]
            ground = terrain[halo:-halo, halo:-halo]
            here = (slice(x0, x0 + nx), slice(y0, y0 + ny))
            # Voxel k is the layer from 2k to 2k + 2 metres; its centre counts
            out["lowest"][here] = np.ceil(clear / CELL_M - 0.5)
            out["highest"][here] = np.floor((ground + CEILING_M) / CELL_M - 0.5) + 1
            out["terrain"][here] = np.round(ground / CELL_M)
    for array in out.values():
        array.flush()


def _tile(
    first: tuple[int, int],
    count: tuple[int, int],
    relief: NDArray[np.float64],
    mask: NDArray[np.float64],
    lots: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Terrain and surface of one rectangle of columns, metres."""
    (wx, kx), (wy, ky) = _spline(first[0], count[0]), _spline(first[1], count[1])
    part = (slice(kx, kx + wx.shape[1]), slice(ky, ky + wy.shape[1]))
    terrain, wild = wx @ relief[part] @ wy.T, wx @ mask[part] @ wy.T
    slope = np.hypot(*np.gradient(terrain, CELL_M))
    rows, columns = (np.arange(f, f + c) + _PLOT for f, c in zip(first, count, strict=True))
    inside = ((rows % _PLOT < 14)[:, None]) & ((columns % _PLOT < 14)[None, :])
    roof = lots[np.ix_(rows // _PLOT, columns // _PLOT)] * inside
    woods = np.where((slope > 0.2) | (wild > 0.6), 15.0, 0.0)
    return terrain, terrain + np.where((slope < 0.12) & (wild < 0.5), roof, woods)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    city = big_city(asked.folder, scale=asked.scale, seed=asked.seed)
    rise = np.hypot(*np.gradient(city.terrain[::8, ::8].astype(float) / 8))
    band = city.highest[::8, ::8].astype(int) - city.lowest[::8, ::8]
    print(f"{city.lowest.shape} columns; terrain {CELL_M * int(city.terrain.max())} m at most")
    print(f"slope: median {np.median(rise):.2f}, p90 {np.percentile(rise, 90):.2f}, max {rise.max():.2f}")
    print(f"band: median {np.median(band)} layers, p5 {np.percentile(band, 5)}, closed {np.mean(band <= 0):.4%}")


if __name__ == "__main__":
    main()
