"""Makes the rasters of a whole city that exists nowhere, of the size and shape of Kaga: coast, plain, mountains.

    python data/sample_dsm/generate_city.py --out DIR                          # 16 x 20 km at 2 m, under a minute
    python data/sample_dsm/generate_city.py --out DIR --width-km 4 --height-km 5

`dsm.tif` and `dtm.tif` are what benchmarks of the city map read; they are never committed. A smaller city is the same
city drawn smaller: shares of sea, plain, town and forest and the slopes stay, the relief shrinks with its size. So the
cost of a square kilometre can be compared between sizes.

It is written in bands of rows, each a function of its rows alone, so memory does not grow with the number of bands. The
same seed gives the same heights: nothing is used but additions, multiplications, divisions and square roots.

Coordinates inside are metres from the south-west corner; rasters have row 0 in the north. The surface is what
photogrammetry hands over: 4 cm of noise in steps of a centimetre, no data over water and in shadows.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.features import rasterize

CRS_NAME = "EPSG:6675+6695"
WEST, SOUTH = -80000.0, 26000.0
CELL_M = 2.0
NODATA = -9999.0
BAND = 512  # rows of a band: one row of blocks in the file
HALO = 32  # rows beside a band: half the diagonal of the largest building, 46 m, and the length of its shadow
RELIEF_M = 1300.0
FULL_KM2 = 16.0 * 20.0
COAST, HILLS = 0.25, 0.45  # how far on the way from the north-west (0) to the south-east (1)
LOT_M, DEPTH_M, LOTS = 16.0, 20.0, 6  # a block: two rows of lots, back to back
STREET_M = 8.0

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]


def smoothstep(edge0: float, edge1: float, x: Array) -> Array:
    t = np.clip((x - np.float32(edge0)) / np.float32(edge1 - edge0), 0, 1)
    return t * t * (3 - 2 * t)


class Noise:
    """Smooth noise, roughly -1 to 1: a cubic B-spline over random knots ``spacing`` metres apart."""

    def __init__(self, rng: np.random.Generator, spacing: float, width: float, height: float):
        self.spacing = spacing
        shape = (int(height / spacing) + 4, int(width / spacing) + 4)
        self.knots = rng.random(shape, np.float32) * np.float32(3.4) - np.float32(1.7)

    def __call__(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> Array:
        """Values (len(y), len(x)); only the knots near ``y`` are read."""
        first = int(y.min() / self.spacing)
        knots = self.knots[first : int(y.max() / self.spacing) + 4]
        return self._along(self._along(knots, x, 1, 0), y, 0, first)

    def _along(self, values: Array, places: NDArray[np.float64], axis: int, first: int) -> Array:
        cell = (places / self.spacing).astype(np.int64)
        t = (places / self.spacing - cell).astype(np.float32)
        shape = (1, -1) if axis else (-1, 1)
        weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
        total: Array | None = None
        for k, weight in enumerate(weights):
            part = values.take(cell - first + k, axis)
            part *= (weight / np.float32(6)).reshape(shape)
            total = part if total is None else np.add(total, part, out=total)
        assert total is not None
        return total


@dataclass
class Buildings:
    """All lots that may carry a building, from north to south; whether one stands depends on the ground too."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    length: NDArray[np.float64]
    depth: NDArray[np.float64]
    height: NDArray[np.float64]

    def between(self, south: float, north: float) -> slice:
        """Those whose middle lies there."""
        return slice(int(np.searchsorted(-self.y, -north)), int(np.searchsorted(-self.y, -south, side="right")))


@dataclass
class City:
    """What is drawn once, before the first band."""

    seed: int
    width: float
    height: float
    noise: dict[str, Noise]
    buildings: Buildings
    turn: tuple[float, float]
    """Cosine and sine of the street grid's angle."""
    phase: float
    stretch: float = 1.0
    """Mountains are stretched by it, so that the highest is as high as it should be."""

    @property
    def scale(self) -> float:
        """Edge of this city over that of the full one."""
        return float(np.sqrt(self.width * self.height / (FULL_KM2 * 1e6)))

    @property
    def relief(self) -> float:
        return RELIEF_M * self.scale

    @property
    def foot(self) -> float:
        """Height from which on mountains are stretched."""
        return 40.0 * self.scale

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return round(self.height / CELL_M), round(self.width / CELL_M)


@dataclass
class Ground:
    """Bare terrain of some rows, (rows, columns) each."""

    terrain: Array
    hill: Array
    """How far it rises above the plain, metres."""
    water: Mask
    unseen: Mask
    """Open water, where matching of pictures finds nothing."""
    banks: Mask
    """Too near to water to build on."""


@dataclass
class Facts:
    """What was made, for tests and tables."""

    cells: int = 0
    no_data: int = 0
    buildings: int = 0
    lowest_m: float = field(default=np.inf)
    highest_m: float = field(default=-np.inf)

    @property
    def no_data_share(self) -> float:
        return self.no_data / self.cells


def draw_city(seed: int, width_km: float, height_km: float) -> City:
    """Everything that does not depend on rows: knots of the noise, lots, the river's phase."""
    width, height = width_km * 1000.0, height_km * 1000.0
    scale = float(np.sqrt(width * height / (FULL_KM2 * 1e6)))
    rng = np.random.default_rng([seed, 9])
    spacings = {
        "coast": 1500 * scale, "range": 2600 * scale, "ridge": 1100 * scale, "spur": 480.0, "gully": 130.0,
        "plain": 420.0, "grove": 170.0, "crown": 6.0, "stand": 45.0, "shade": 52.0, "speck": 14.0,
    }  # fmt: skip
    noise = {name: Noise(rng, spacing, width, height) for name, spacing in spacings.items()}
    angle = rng.uniform(0.05, 0.3)
    cosine, sine = 1 - angle**2 / 2, angle - angle**3 / 6
    norm = np.sqrt(cosine**2 + sine**2)
    turn = float(cosine / norm), float(sine / norm)
    city = City(seed, width, height, noise, draw_buildings(rng, turn, width, height), turn, float(rng.uniform(0, 0.5)))
    every = round(50 * max(scale, 0.1) / CELL_M)
    x, y = places(city, 0, city.shape[0])
    summit = float(ground(city, x[::every], y[::every]).terrain.max())
    city.stretch = (city.relief - city.foot) / (summit - city.foot)
    return city


def draw_buildings(rng: np.random.Generator, turn: tuple[float, float], width: float, height: float) -> Buildings:
    """Towns on the plain: dense around their middles, a house here and there in the fields between."""
    scale = float(np.sqrt(width * height / (FULL_KM2 * 1e6)))
    inland, across = rng.uniform(0.03, 0.17, 11) + COAST, rng.uniform(-0.5, 0.5, 11)
    inland[0], across[0] = COAST + 0.1, 0.05
    middles = np.column_stack([(inland + across / 2) * width, (1 - inland + across / 2) * height])
    radii = scale * np.concatenate([[3000.0], rng.uniform(600.0, 1700.0, 10)])

    block_u, block_v = LOTS * LOT_M + STREET_M, 2 * DEPTH_M + STREET_M
    reach = float(np.hypot(width, height))
    u, v = np.arange(-reach, reach, block_u), np.arange(-reach, reach, block_v)
    u, v = (grid.ravel() for grid in np.meshgrid(u, v))
    x, y = turn[0] * u - turn[1] * v, turn[1] * u + turn[0] * v
    seaward = 0.5 * (x / width + 1 - y / height)
    inside = (x > 0) & (x < width) & (y > 0) & (y < height) & (seaward > COAST - 0.02) & (seaward < HILLS + 0.15)
    u, v, x, y = u[inside], v[inside], x[inside], y[inside]
    built, centre = np.full(len(x), 0.02), np.zeros(len(x))
    for (east, north), radius in zip(middles, radii, strict=True):
        nearness = 1 - np.sqrt((x - east) ** 2 + (y - north) ** 2) / radius
        built = np.maximum(built, np.minimum(0.92, 1.5 * nearness))
        centre = np.maximum(centre, nearness - 0.7)
    large = rng.random(len(x)) < 2.2 * centre
    tall = 9 + 51 * np.minimum(1.0, 3.6 * centre[large]) * rng.random(int(large.sum()))
    parts = [np.column_stack([x[large], y[large], rng.uniform((50, 22), (84, 36), (len(tall), 2)), tall])]
    for i, j in itertools.product(range(LOTS), (-1, 1)):
        draws = rng.random((len(x), 5))
        stands = ~large & (draws[:, 0] < built)
        du, dv = (i - (LOTS - 1) / 2) * LOT_M, j * DEPTH_M / 2
        draws = draws[stands]
        low = draws[:, 3] < 0.8
        storeys = np.where(low, 6 + 2.5 * draws[:, 4], 8.5 + 4 * draws[:, 4])
        at_u, at_v = u[stands] + du, v[stands] + dv
        corner = turn[0] * at_u - turn[1] * at_v, turn[1] * at_u + turn[0] * at_v
        parts.append(np.column_stack([*corner, 8 + 6 * draws[:, 1], 8.5 + 5 * draws[:, 2], storeys]))
    table = np.concatenate(parts)
    inside = (table[:, 0] > 0) & (table[:, 0] < width) & (table[:, 1] > 0) & (table[:, 1] < height)
    table = table[inside]
    table = table[np.lexsort((table[:, 0], -table[:, 1]))]
    return Buildings(*np.ascontiguousarray(table.T))


def places(city: City, first: int, end: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middles of the columns, and of the rows from first to end."""
    return (np.arange(city.shape[1]) + 0.5) * CELL_M, city.height - (np.arange(first, end) + 0.5) * CELL_M


def lie_of_the_land(city: City, x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[Array, ...]:
    """Terrain before water is cut in; height of the plain in it; metres from the coast; way inland; way across."""
    noise, scale = city.noise, city.scale
    over, down = (x / city.width).astype(np.float32)[None, :], (1 - y / city.height).astype(np.float32)[:, None]
    inland, across = (over + down) / 2, over - down
    shore = inland - np.float32(COAST) + np.float32(0.014) * noise["coast"](x, y)
    metres = np.float32(2 / np.hypot(1 / city.width, 1 / city.height))
    coast = shore * metres
    plain = 3 * smoothstep(-20, 60, coast) + 30 * scale * smoothstep(0, 0.3, shore)
    plain += np.float32(1.6) * noise["plain"](x, y) * smoothstep(30, 200, coast)
    rise = smoothstep(HILLS, 0.99, inland + np.float32(0.035) * noise["range"](x, y))
    hill = city.relief * rise * (1 + np.float32(0.3) * noise["ridge"](x, y))
    rough = smoothstep(0.0, 0.06, rise)
    hill += rough * (np.float32(55) * np.abs(noise["spur"](x, y)) + np.float32(11) * noise["gully"](x, y))
    return plain + np.maximum(hill, 0), plain, coast, inland, across


def ground(city: City, x: NDArray[np.float64], y: NDArray[np.float64]) -> Ground:
    """Terrain of some rows with sea, lagoon and river cut in."""
    scale = city.scale
    terrain, plain, coast, inland, across = lie_of_the_land(city, x, y)
    terrain = np.where(terrain > city.foot, city.foot + (terrain - city.foot) * city.stretch, terrain)

    way = (inland * 5 + city.phase) % 2
    bend = np.where(way < 1, 4 * way * (1 - way), -4 * (way - 1) * (2 - way))
    metres = np.float32(1 / np.hypot(1 / city.width, 1 / city.height))
    aside = np.abs(across - np.float32(0.08) * bend) * metres
    half = 14 + 28 * scale
    level = np.maximum(plain - 3, 0) + 0.55 * city.relief * smoothstep(HILLS + 0.02, 1.05, inland)
    valley = 160 + 700 * scale * smoothstep(HILLS, HILLS + 0.2, inland)
    cut = level + (np.maximum(terrain, level + 1) - level) * smoothstep(0, 1, (aside - half) / (valley - half))
    terrain = np.where(aside < valley, np.minimum(cut, terrain), terrain)

    east, north = 0.2 * city.width, 0.44 * city.height
    radius = 1000 * scale
    away_x, away_y = (x - east).astype(np.float32)[None, :], (y - north).astype(np.float32)[:, None]
    lagoon = (away_x / np.float32(radius)) ** 2 + (away_y / np.float32(0.65 * radius)) ** 2
    lagoon = lagoon + np.float32(0.15) * city.noise["plain"](x, y)
    terrain = np.where(lagoon < 1.6, 2 + (terrain - 2) * smoothstep(0.95, 1.6, lagoon), terrain)

    terrain = np.where(coast < 0, 0, np.maximum(terrain, 0.3)).astype(np.float32)
    water = (coast < 0) | (aside < half) | (lagoon < 1)
    unseen = (coast < -12) | (aside < half - 5) | (lagoon < 0.92)
    banks = (coast < 40) | (aside < half + 40) | (lagoon < 1.25)
    return Ground(np.round(terrain * 100) / np.float32(100), terrain - plain, water, unseen, banks)


def roofs(city: City, land: Ground, first: int, end: int) -> Array:
    """Heights of roofs in rows first to end; -inf beside them."""
    rows, columns = land.terrain.shape
    chosen = city.buildings.between(city.height - end * CELL_M, city.height - first * CELL_M)
    b = city.buildings
    x, y = b.x[chosen], b.y[chosen]
    row, column = ((city.height - y) / CELL_M).astype(int) - first, (x / CELL_M).astype(int)
    row, column = np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)
    good = ~land.banks[row, column] & (land.hill[row, column] < 5 + 10 * city.scale)
    top = land.terrain[row, column] + b.height[chosen].astype(np.float32)
    order = np.flatnonzero(good)
    order = order[np.argsort(top[order], kind="stable")]
    side = np.array([-0.5, 0.5, 0.5, -0.5, -0.5]), np.array([-0.5, -0.5, 0.5, 0.5, -0.5])
    u, v = b.length[chosen][:, None] * side[0], b.depth[chosen][:, None] * side[1]
    corners = np.stack(
        [x[:, None] + city.turn[0] * u - city.turn[1] * v, y[:, None] + city.turn[1] * u + city.turn[0] * v], axis=-1
    )
    shapes = [({"type": "Polygon", "coordinates": [corners[n].tolist()]}, float(top[n])) for n in order]
    if not shapes:
        return np.full((rows, columns), -np.inf, np.float32)
    transform = rasterio.Affine(CELL_M, 0, 0, 0, -CELL_M, city.height - first * CELL_M)
    return rasterize(shapes, (rows, columns), fill=-np.inf, transform=transform, dtype="float32")


def bands(city: City) -> Iterator[tuple[int, Array, Array, int]]:
    """From north to south: first row, surface (NaN where nothing was seen), terrain, buildings that begin here."""
    rows = city.shape[0]
    for first in range(0, rows, BAND):
        end = min(rows, first + BAND)
        low, high = max(0, first - HALO), min(rows, end + HALO)
        x, y = places(city, low, high)
        land = ground(city, x, y)
        roof = roofs(city, land, low, high)
        shade = city.noise["shade"](x, y) + np.float32(0.35) * city.noise["speck"](x, y)
        woods = (land.hill > 7 + 4 * city.noise["grove"](x, y)) | (city.noise["grove"](x, y) > 1.15)
        woods &= ~land.water & ~np.isfinite(roof) & ~(land.banks & (land.hill < 3))
        crowns = np.clip(np.float32(12) + 4 * city.noise["crown"](x, y) + 3 * city.noise["stand"](x, y), 5, 24)
        surface = np.maximum(land.terrain + np.where(woods, crowns, 0), roof)
        # North of a tall thing, and between trees here and there, no two pictures saw the ground
        hidden = land.unseen | (woods & (shade > 0.95))
        hidden[:-2] |= (surface[2:] - surface[:-2] > 6) & (surface[2:] == roof[2:]) & (shade[:-2] > -0.1)
        rng = np.random.default_rng([city.seed, 10, first // BAND])
        shape = (end - first, city.shape[1])
        error = rng.random(shape, np.float32) + rng.random(shape, np.float32) - 1
        mine = slice(first - low, end - low)
        seen = np.round((surface[mine] + error * np.float32(0.1)) * 100) / np.float32(100)
        of_band = city.buildings.between(city.height - end * CELL_M, city.height - first * CELL_M)
        row = ((city.height - city.buildings.y[of_band]) / CELL_M).astype(int) - low
        column = (city.buildings.x[of_band] / CELL_M).astype(int)
        standing = int(np.isfinite(roof[np.clip(row, 0, len(roof) - 1), column]).sum())
        yield first, np.where(hidden[mine], np.float32(np.nan), seen), land.terrain[mine], standing


def generate(out_dir: str | Path, seed: int = 7, width_km: float = 16.0, height_km: float = 20.0) -> Facts:
    """Write ``dsm.tif`` and ``dtm.tif`` into a directory (made if absent)."""
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    city = draw_city(seed, width_km, height_km)
    rows, columns = city.shape
    profile = {
        "driver": "GTiff", "width": columns, "height": rows, "count": 1, "dtype": "float32", "nodata": NODATA,
        "crs": CRS.from_string(CRS_NAME),
        "transform": rasterio.Affine(CELL_M, 0, WEST, 0, -CELL_M, SOUTH + rows * CELL_M),
        "tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 4, "predictor": 3,
        "num_threads": 2,
    }  # fmt: skip
    facts = Facts()
    with (
        rasterio.Env(GDAL_CACHEMAX=96),
        rasterio.open(out / "dsm.tif", "w", **profile) as dsm,
        rasterio.open(out / "dtm.tif", "w", **profile) as dtm,
    ):
        for first, surface, terrain, standing in bands(city):
            window = rasterio.windows.Window(0, first, columns, len(terrain))
            hidden = np.isnan(surface)
            dsm.write(np.where(hidden, np.float32(NODATA), surface), 1, window=window)
            dtm.write(terrain, 1, window=window)
            facts.cells += terrain.size
            facts.no_data += int(hidden.sum())
            facts.buildings += standing
            facts.lowest_m = min(facts.lowest_m, float(terrain.min()))
            facts.highest_m = max(facts.highest_m, float(terrain.max()))
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True, help="directory to write into")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--width-km", type=float, default=16.0, help="default 16")
    parser.add_argument("--height-km", type=float, default=20.0, help="default 20")
    given = parser.parse_args()
    facts = generate(given.out, given.seed, given.width_km, given.height_km)
    print(
        f"{given.out}: {facts.cells / 1e6:.1f} million cells, {facts.no_data_share:.1%} without data, "
        f"{facts.lowest_m:.0f} to {facts.highest_m:.0f} m, {facts.buildings:,} buildings"
    )


if __name__ == "__main__":
    main()
