"""A city the size of Kaga: how a build grows with area, and what the map costs to use: `python -m benchmarks.map_city`.

The same generated city at growing sizes, each built in a process of its own; then the largest map is opened, asked for
windows, and brought up to date with a new survey of a square kilometre.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from benchmarks.map_figures import (
    PICTURES,
    folder_mb,
    generator,
    in_child,
    machine,
    resident_mb,
    table,
    write_section,
)

NAME = "map_city"
WORKERS = 2
SIZES_KM = ((4, 5), (8, 10), (16, 10), (16, 20))
WINDOWS = 50
PATCH_M = 1000.0


def build(survey: str, out: str) -> dict[str, Any]:
    """A build in a child."""
    from utm.mapping.ingest.build import build_map

    seconds: dict[str, float] = {}
    began, processor = time.perf_counter(), time.process_time()
    city = build_map(Path(survey) / "dsm.tif", out, terrain=Path(survey) / "dtm.tif", workers=WORKERS, seconds=seconds)
    return {
        "took": time.perf_counter() - began, "processor": time.process_time() - processor, "seconds": seconds,
        "version": city.version, "counts": city.meta["counts"],
    }  # fmt: skip


def update(out: str, patch: str) -> dict[str, Any]:
    """An update in a child."""
    from utm.mapping.ingest.update import update_map

    seconds: dict[str, float] = {}
    began, processor = time.perf_counter(), time.process_time()
    updated = update_map(out, patch, workers=WORKERS, seconds=seconds)
    return {
        "took": time.perf_counter() - began, "processor": time.process_time() - processor, "tiles": updated.tiles,
        "seconds": seconds,
    }  # fmt: skip


def use(out: str) -> dict[str, Any]:
    """Open a map and read windows of 500 m, in a child."""
    from utm.mapping.citymap import CityMap

    before = resident_mb()
    began = time.perf_counter()
    city = CityMap.open(out)
    opened, open_mb = time.perf_counter() - began, resident_mb() - before
    width, height = city.extent_m
    corners = np.random.default_rng(3).uniform((0, 0), (width - 500, height - 500), (WINDOWS, 2)).tolist()
    passes: list[list[float]] = []
    for _ in range(2):
        times = []
        busy = time.process_time()
        for east, north in corners:
            began = time.perf_counter()
            city.window(east, north, east + 500, north + 500)
            times.append(time.perf_counter() - began)
        passes.append(times)
        busy = time.process_time() - busy
    again = time.perf_counter()
    CityMap.open(out)
    return {
        "open_s": opened, "open_again_s": time.perf_counter() - again, "open_mb": open_mb,
        "first_s": passes[0][0], "new_s": passes[0][1:], "again_s": passes[1], "busy_s": busy / WINDOWS,
        "windows_mb": resident_mb() - before,
    }  # fmt: skip


def cut_patch(survey: Path, target: Path) -> None:
    """A new survey of a square kilometre in the middle of the plain: the old one with a dozen new blocks in it."""
    with rasterio.open(survey / "dsm.tif") as dsm:
        cells = round(PATCH_M / dsm.res[0])
        window = rasterio.windows.Window(dsm.width // 3, dsm.height // 3, cells, cells)
        heights = dsm.read(1, window=window)
        for row in range(40, cells - 40, 130):
            for column in range(40, cells - 40, 160):
                block = heights[row : row + 15, column : column + 20]
                block[block != dsm.nodata] += np.float32(18)
        profile = dsm.profile | {"width": cells, "height": cells, "transform": dsm.window_transform(window)}
    with rasterio.open(target, "w", **profile) as patch:
        patch.write(heights, 1)


def line_fit(areas: list[float], seconds: list[float]) -> tuple[float, float, float]:
    """Slope, intercept and R2 of the straight line through the figures."""
    slope, intercept = np.polyfit(areas, seconds, 1)
    rest = np.asarray(seconds) - (slope * np.asarray(areas) + intercept)
    return float(slope), float(intercept), float(1 - rest.var() / np.var(seconds))


def draw(areas: list[float], took: list[float], processor: list[float], peaks: list[float]) -> None:
    """Time and memory against area, as the document shows them."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    along = np.array([0, max(areas) * 1.05])
    for name, seconds in (("wall time", took), ("processor time", processor)):
        slope, at_zero, fits = line_fit(areas, seconds)
        dots = left.scatter(areas, seconds, label=f"{name}: {slope:.2f} s/km², R² = {fits:.4f}", zorder=2)
        left.plot(along, slope * along + at_zero, color=dots.get_facecolor()[0], alpha=0.5, zorder=1)
    left.set(xlabel="km²", ylabel="s", title="Build", ylim=(0, None))
    left.legend(frameon=False, loc="upper left")
    right.plot(areas, peaks, "o-")
    right.set(xlabel="km²", ylabel="GB", title="Peak memory", ylim=(0, max(4.2, max(peaks))))
    right.axhline(4.0, color="0.6", linestyle="--")
    for axes in (left, right):
        axes.set_xlim(0, along[1])
        axes.spines[["top", "right"]].set_visible(False)
    PICTURES.mkdir(exist_ok=True)
    figure.savefig(PICTURES / "map-growth.png", dpi=110)


def grow(folder: Path, rounds: int) -> list[dict[str, Any]]:
    """Build every size in every round, sizes interleaved; medians of times, highest of peaks."""
    cities = generator("generate_city")
    found: list[dict[str, Any]] = []
    for width, height in SIZES_KM:
        survey = folder / f"{width}x{height}"
        if not (survey / "dtm.tif").exists():
            cities.generate(survey, width_km=width, height_km=height)
        found.append({"size": (width, height), "survey": survey, "took": [], "processor": [], "peak": []})
    warm = folder / "warm"
    shutil.rmtree(warm, ignore_errors=True)
    in_child(f"{__spec__.name}:build", survey=str(found[0]["survey"]), out=str(warm))  # kernels compiled
    for _ in range(rounds):
        for city in found:
            out = folder / f"map-{city['size'][0]}x{city['size'][1]}"
            shutil.rmtree(out, ignore_errors=True)
            did = in_child(f"{__spec__.name}:build", survey=str(city["survey"]), out=str(out))
            city["took"].append(did.result["took"])
            city["processor"].append(did.result["processor"])
            city["peak"].append(did.peak_mb / 1e3)
            city["seconds"], city["counts"] = did.result["seconds"], did.result["counts"]
            city["disk_mb"], city["out"] = folder_mb(out), out
            print(city["size"], f"{did.result['took']:.1f} s, processor {did.result['processor']:.1f} s, "
                  f"{did.peak_mb / 1e3:.2f} GB, {city['disk_mb']:.0f} MB")  # fmt: skip
    return found


def milliseconds(values: list[float]) -> str:
    """The median and the slowest."""
    return f"{1e3 * statistics.median(values):.1f} (slowest {1e3 * max(values):.1f})"


def growth_table(found: list[dict[str, Any]], areas: list[float], took: list[float], peaks: list[float]) -> str:
    rows = []
    for city, area, seconds, peak in zip(found, areas, took, peaks, strict=True):
        width, height = city["size"]
        stages = ", ".join(f"{stage} {value:.0f}" for stage, value in city["seconds"].items())
        cells = city["counts"]["cells"] / 1e6
        rows.append([
            f"{width} x {height} km", f"{area:.0f}", f"{cells:.0f}", f"{seconds:.1f}", f"{seconds / area:.3f}",
            f"{statistics.median(city['processor']):.0f}", f"{peak:.2f}", f"{city['disk_mb']:.0f}", stages,
        ])  # fmt: skip
    heads = [
        "city", "km2", "M cells", "s", "s/km2", "processor, s", "peak, GB", "map, MB",
        "s of stages, summed over workers",
    ]  # fmt: skip
    return table(heads, rows)


def use_table(maps: list[tuple[tuple[int, int], dict[str, Any]]]) -> str:
    heads = [
        "map", "opens, s", "memory beyond imports, MB", "first window, ms", f"{WINDOWS - 1} others, ms",
        "all of them again, ms", "of it processor, ms", "memory after all, MB",
    ]  # fmt: skip
    rows = [
        [f"{width} x {height} km", f"{did['open_s']:.3f}", f"{did['open_mb']:.1f}", f"{1e3 * did['first_s']:.1f}",
         milliseconds(did["new_s"]), milliseconds(did["again_s"]), f"{1e3 * did['busy_s']:.1f}",
         f"{did['windows_mb']:.1f}"]
        for (width, height), did in maps
    ]  # fmt: skip
    return table(heads, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", help="keep surveys and maps here, and use the surveys that lie here")
    given = parser.parse_args()
    about = machine()
    folder = Path(given.folder or tempfile.mkdtemp())
    try:
        found = grow(folder, given.rounds)
        smallest, largest = found[0], found[-1]
        used = [
            (city["size"], in_child(f"{__spec__.name}:use", out=str(city["out"])).result)
            for city in (smallest, largest)
        ]
        cut_patch(largest["survey"], folder / "patch.tif")
        updated = in_child(f"{__spec__.name}:update", out=str(largest["out"]), patch=str(folder / "patch.tif"))
        after_mb = folder_mb(largest["out"])
    finally:
        if not given.folder:
            shutil.rmtree(folder, ignore_errors=True)
    areas = [float(width * height) for width, height in SIZES_KM]
    took = [statistics.median(city["took"]) for city in found]
    peaks = [max(city["peak"]) for city in found]
    processor = [statistics.median(city["processor"]) for city in found]
    fit, processor_fit = line_fit(areas, took), line_fit(areas, processor)
    draw(areas, took, processor, peaks)
    unseen = largest["counts"]["cells_unknown"] / largest["counts"]["cells"]
    did = updated.result
    text = "\n\n".join([
        "## A city the size of Kaga",
        "The generated city (`data/sample_dsm/generate_city.py`: coast, plain, towns, 1,300 m of relief, "
        f"{unseen:.0%} unseen), surface and terrain at 2 m, {WORKERS} workers. Targets at 16 x 20 km: at most 4 GB of "
        "memory, 1.5 GB on disk, and time that grows as a straight line.",
        growth_table(found, areas, took, peaks),
        f"Straight line: {fit[1]:.1f} s + **{fit[0]:.3f} s/km2**, R2 = {fit[2]:.4f}; of processor time "
        f"{processor_fit[0]:.3f} s/km2, R2 = {processor_fit[2]:.4f}. Median of {given.rounds} round(s), highest peak "
        "of any.",
        "![Time and memory against area](pictures/map-growth.png)",
        f"Opening, and reading windows of 500 x 500 m at {WINDOWS} random places (files in the page cache). Targets: "
        "0.3 s, 100 MB, 50 ms.",
        use_table(used),
        f"A new survey of 1 km2 of the largest map: {did['tiles']} tiles made again in **{did['took']:.1f} s**, "
        f"{did['took'] / took[-1]:.1%} of the build (processor time: {did['processor'] / processor[-1]:.1%}), the "
        f"difference included; peak {updated.peak_mb / 1e3:.2f} GB; "
        f"the map with both versions is {after_mb:.0f} MB.",
        f"Machine: {about}.",
    ])  # fmt: skip
    write_section(NAME, text)


if __name__ == "__main__":
    main()
