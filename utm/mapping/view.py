"""Maps for people: shaded relief, what stands on it, zones, and a frame that says where and how large.

Axes are metres east and north in the map's frame, so whoever draws over the base (sky roads, tracks) plots ENU as it
is. Only matplotlib's object interface is used: pyplot costs 0.4 s to import and keeps figures alive.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import font_manager, patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Polygon
from numpy.typing import NDArray
from shapely import LineString
from shapely import Polygon as Outline2D

from utm.errors import MapError
from utm.frames import LocalFrame
from utm.mapping import shading
from utm.mapping.citymap import CityMap
from utm.model import GeoZone, Restriction

Outline = Sequence[tuple[float, float]]
Box = tuple[float, float, float, float]

ZONE_COLOURS = {
    Restriction.PROHIBITED: "#c62828",
    Restriction.REQ_AUTHORISATION: "#c77700",
    Restriction.CONDITIONAL: "#1565c0",
    Restriction.NO_RESTRICTION: "#607d8b",
}
_WATER = "#a9cbe0"
_INK = "#26323a"
_UNKNOWN = "#5b6770"
#: White round letters and lines that lie on the map
HALO = (patheffects.withStroke(linewidth=2.6, foreground="white", alpha=0.9),)


def plan_view(
    city_map: CityMap,
    out_png: str | Path,
    *,
    zones: Iterable[GeoZone] = (),
    places: Mapping[str, tuple[float, float]] | None = None,
    water: Iterable[Outline] = (),
    title: str | None = None,
    width_px: int = 2000,
) -> Path:
    """Draw a map as a PNG.

    Args:
        zones: geo-zones to outline.
        places: names and (lon, lat) degrees to mark.
        water: outlines (lon, lat) to tint as water; a map does not know water.
        width_px: width of the picture; the height follows the map.

    Raises:
        MapError: the map is damaged, or the file cannot be written.
    """
    figure, ax = map_figure(city_map, width_px=width_px, title=title or "City map")
    draw_base(ax, city_map, water=water)
    handles = draw_zones(ax, zones, city_map.frame)
    draw_places(ax, places or {}, city_map.frame)
    draw_legend(figure, ax, city_map, handles)
    return save(figure, out_png)


def map_figure(
    city_map: CityMap, *, width_px: int = 2000, title: str = "", box: Box | None = None
) -> tuple[Figure, Axes]:
    """A figure with one axes for a map (or a box of it: west, south, east, north in metres), framed and titled."""
    west, south, east, north = box or (0.0, 0.0, *city_map.extent_m)
    dpi = 160.0
    width = width_px / dpi
    side, top, foot = 0.62, 0.62, 1.12  # inches
    inner = width - 2 * side
    tall = float(np.clip(inner * (north - south) / (east - west), 2.5, 3 * inner))
    figure = Figure(figsize=(width, tall + top + foot), dpi=dpi, facecolor="white")
    FigureCanvasAgg(figure)
    height = tall + top + foot
    ax = figure.add_axes((side / width, foot / height, inner / width, tall / height))
    ax.set_xlim(west, east)
    ax.set_ylim(south, north)
    ax.set_aspect("equal")
    for spine in ax.spines.values():
        spine.set_color(_INK)
        spine.set_linewidth(0.9)
    if title:
        figure.text(side / width, 1 - 0.36 / height, readable(title, "Map"), fontsize=15, color=_INK, weight="bold")
    return figure, ax


def draw_base(
    ax: Axes, city_map: CityMap, *, water: Iterable[Outline] = (), box: Box | None = None, max_cells: int = 2400
) -> None:
    """Shaded relief, objects by height, unknown ground hatched, graticule, scale bar and north arrow.

    Args:
        box: west, south, east, north in metres; the whole map by default. The axes' limits are set to it.
        max_cells: longest side of the picture in cells; a larger map is drawn from blocks of cells.
    """
    box = box or (0.0, 0.0, *city_map.extent_m)
    window = city_map.window(*box)
    factor = max(1, -(-max(window.shape) // max_cells))
    cell = window.cell_m * factor
    terrain = shading.block_reduce(window.terrain_m, factor, "mean")
    surface = shading.block_reduce(window.surface_m, factor, "max")
    unknown = shading.block_reduce(window.unknown, factor, "any")
    above = np.where(unknown, 0, surface - terrain).astype(np.float32)

    colour = shading.relief_colours(terrain)
    x0, y0 = window.origin_m
    extent = (x0, x0 + terrain.shape[0] * cell, y0, y0 + terrain.shape[1] * cell)
    trees = shading.woods(above, cell)
    objects = (above > shading.OBJECT_M) & ~trees
    for outline in water:
        wet = _inside(city_map.frame, outline, extent, terrain.shape) & ~objects & ~trees
        colour[wet] = [int(_WATER[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    colour[trees] = shading.tree_colours(above)[trees]
    colour[objects] = shading.object_colours(above)[objects]
    # Smoothed: terrain models come in steps of centimetres, which would show as terraces
    ground_light = shading.hillshade(shading.box_mean(terrain, round(10 / cell)), cell, exaggeration=2.0)
    solid = np.where(unknown, terrain, terrain + above)
    light = np.where(trees | objects, shading.hillshade(solid, cell, exaggeration=0.55), ground_light)
    shade = np.clip(0.42 + 0.58 * light / np.sqrt(0.5), 0, 1.15)[..., None] * _cast_shadow(above, cell)[..., None]
    picture = np.clip(colour * shade, 0, 1)
    ax.imshow(
        np.swapaxes(picture, 0, 1), origin="lower", extent=extent, interpolation="antialiased", zorder=0, aspect="equal"
    )
    if unknown.any():
        _hatch_unknown(ax, unknown, extent)
    ax.set_xlim(box[0], box[2])
    ax.set_ylim(box[1], box[3])
    _graticule(ax, city_map.frame, box)
    _scale_bar(ax, box)
    _north_arrow(ax, city_map.frame, box)


def draw_zones(ax: Axes, zones: Iterable[GeoZone], frame: LocalFrame) -> list[Patch]:
    """Outline geo-zones with their names and limits; returns legend handles for the restrictions that occur."""
    seen: dict[Restriction, Patch] = {}
    for zone in zones:
        colour = ZONE_COLOURS[zone.restriction]
        lon, lat = np.array(zone.outline_deg).T
        corners = np.column_stack(frame.to_map(lon, lat))
        hard = zone.restriction is Restriction.PROHIBITED
        style = {"linewidth": 1.8, "linestyle": "-" if hard else (0, (6, 2.5)), "zorder": 4}
        ax.add_patch(Polygon(corners, closed=True, facecolor=colour, alpha=0.16 if hard else 0.05, zorder=3))
        ax.add_patch(Polygon(corners, closed=True, fill=False, edgecolor=colour, **style))
        lower, upper = f"{zone.lower_m:g}", f"{zone.upper_m:g} m {zone.upper_datum}"
        if zone.lower_datum is not zone.upper_datum:
            lower += f" m {zone.lower_datum}"
        middle = float(corners[:, 0].mean())
        upright = LineString([(middle, corners[:, 1].min() - 1), (middle, corners[:, 1].max() + 1)])
        top = upright.intersection(Outline2D(corners)).bounds[3]
        ax.annotate(
            f"{readable(zone.name, zone.id)}\n{lower} to {upper}" + (", at times" if zone.periods else ""),
            (middle, top), xytext=(0, 3), textcoords="offset points",
            ha="center", va="bottom", fontsize=7.5, color=colour, weight="bold", linespacing=1.15,
            path_effects=list(HALO), zorder=7, annotation_clip=True, clip_on=True,
        )  # fmt: skip
        label = zone.restriction.value.replace("_", " ").lower().replace("req ", "requires ")
        seen.setdefault(
            zone.restriction,
            Patch(
                facecolor=colour + "28",
                edgecolor=colour,
                linewidth=1.4,
                linestyle=style["linestyle"],
                label=f"Zone: {label}",
            ),
        )
    return list(seen.values())


def draw_places(ax: Axes, places: Mapping[str, tuple[float, float]], frame: LocalFrame) -> None:
    """Mark named places, given as (lon, lat) degrees."""
    for name, (lon, lat) in places.items():
        east, north = (float(v) for v in frame.to_map(lon, lat))
        ax.plot(east, north, "o", ms=6.5, mfc="white", mec=_INK, mew=1.5, zorder=8)
        ax.annotate(
            readable(name, "?"), (east, north), xytext=(0, -7), textcoords="offset points", ha="center", va="top",
            fontsize=8.5, color=_INK, weight="bold", path_effects=list(HALO), zorder=9, clip_on=True,
        )  # fmt: skip


def draw_legend(figure: Figure, ax: Axes, city_map: CityMap, extra: Sequence[Patch | Line2D] = ()) -> None:
    """The legend below the map, and one line on where the map comes from."""
    handles: list[Patch | Line2D] = [
        Patch(facecolor="#a78d7c", edgecolor="none", label="Building or object, 8 m"),
        Patch(facecolor="#6f4452", edgecolor="none", label="30 m"),
        Patch(facecolor="#43274a", edgecolor="none", label="60 m"),
        Patch(facecolor="#a5bf8c", edgecolor="none", label="Woods (by texture)"),
        *extra,
    ]
    if city_map.meta["counts"].get("cells_unknown"):
        handles.append(
            Patch(facecolor="white", edgecolor=_UNKNOWN, hatch="//////", linewidth=0.6, label="Not surveyed: blocked")
        )
    height = figure.get_size_inches()[1]
    ax.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(ax.get_position().x0 - 0.004, 0.78 / height),
        bbox_transform=figure.transFigure, ncols=4, frameon=False, fontsize=8.5, borderaxespad=0,
        handlelength=1.9, columnspacing=2.0, labelcolor=_INK,
    )  # fmt: skip
    meta = city_map.meta
    names = ", ".join(source["file"] for source in meta["sources"])
    line = (
        f"{meta['frame']['crs'][:40]}, heights {meta['frame']['vertical']}, cells of {city_map.resolution_m:g} m."
        f"  Made from {names}.  Map version {city_map.version[:12]}"
    )
    figure.text(ax.get_position().x0, 0.10 / height, readable(line, ""), fontsize=7, color="#5b6770")


def save(figure: Figure, out_png: str | Path) -> Path:
    """Write a figure as PNG: beside its place, then renamed.

    Raises:
        MapError: the file cannot be written.
    """
    out = Path(out_png)
    partial = out.with_name(f".{out.name}.partial-{os.getpid()}")
    try:
        figure.savefig(partial, format="png", metadata={"Software": None})
        os.replace(partial, out)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise MapError(
            f"the picture cannot be written: {error.strerror}", file=out, mend="Choose another place."
        ) from None
    return out


@functools.cache
def _glyphs() -> frozenset[int]:
    return frozenset(font_manager.get_font(font_manager.findfont("DejaVu Sans")).get_charmap())


def readable(text: str, otherwise: str) -> str:
    """The text if the font that ships with matplotlib can write it, otherwise the other: no machine shows boxes."""
    return text if all(ord(letter) in _glyphs() or letter == "\n" for letter in text) else otherwise


def _inside(frame: LocalFrame, outline: Outline, extent: Box, shape: tuple[int, int]) -> NDArray[np.bool_]:
    from rasterio import Affine
    from rasterio.features import rasterize

    lon, lat = np.array(outline, np.float64).T
    ring = np.column_stack(frame.to_map(lon, lat)).tolist()
    west, east, south, north = extent
    transform = Affine((east - west) / shape[0], 0, west, 0, (south - north) / shape[1], north)
    shapes = [{"type": "Polygon", "coordinates": [[*ring, ring[0]]]}]
    return rasterize(shapes, (shape[1], shape[0]), transform=transform)[::-1].T > 0


def _cast_shadow(above_m: shading.Heights, cell_m: float) -> NDArray[np.float32]:
    """Brightness factor: what lies south-east of a taller thing is in a soft shade, so that roofs stand out."""
    shadow = np.zeros(above_m.shape, np.float32)
    for step in range(1, 5):
        moved = np.zeros_like(above_m)
        moved[step:, : -step or None] = above_m[: -step or None, step:]
        shadow = np.maximum(shadow, moved - above_m - step * cell_m * 1.1)
    return 1 - 0.30 * np.clip(shadow / 6, 0, 1)


def _hatch_unknown(ax: Axes, unknown: NDArray[np.bool_], extent: Box) -> None:
    west, east, south, north = extent
    nx, ny = unknown.shape
    # A rim of zeros closes areas that touch the edge of the map
    x = west + (np.arange(nx + 2) - 0.5) * (east - west) / nx
    y = south + (np.arange(ny + 2) - 0.5) * (north - south) / ny
    mask = np.pad(unknown.astype(np.float32), 1).T
    filled = ax.contourf(x, y, mask, levels=[0.5, 1.5], colors=["#ffffff66"], hatches=["//////"], zorder=2)
    filled.set_edgecolor(_UNKNOWN)
    filled.set_linewidth(0.0)
    ax.contour(x, y, mask, levels=[0.5], colors=[_UNKNOWN], linewidths=0.8, zorder=2)


def _graticule(ax: Axes, frame: LocalFrame, box: Box) -> None:
    """Longitudes and latitudes as fine lines, labelled on the frame."""
    west, south, east, north = box
    lon, lat = frame.to_lonlat(np.array([west, east, west, east]), np.array([south, south, north, north]))
    along = np.linspace(0, 1, 33)
    for low, high, axis in ((lon.min(), lon.max(), "x"), (lat.min(), lat.max(), "y")):
        step = _round_step((high - low) / (5 if axis == "x" else 3))
        values = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
        ticks = []
        for value in values:
            fixed = np.full(along.shape, value)
            if axis == "x":
                x, y = frame.to_map(fixed, lat.min() + along * np.ptp(lat))
                ticks.append(float(np.interp(south, y, x)))
            else:
                x, y = frame.to_map(lon.min() + along * np.ptp(lon), fixed)
                ticks.append(float(np.interp(west, x, y)))
            ax.plot(x, y, color=_INK, lw=0.4, alpha=0.28, zorder=1)
        digits = max(0, int(np.ceil(-np.log10(step) - 1e-9)))
        labels = [f"{abs(v):.{digits}f}°{_hemisphere(v, axis)}" for v in values]
        (ax.set_xticks if axis == "x" else ax.set_yticks)(ticks, labels)
    ax.tick_params(labelsize=7.5, colors=_INK, length=3, width=0.8)
    for label in ax.get_yticklabels():
        label.set_rotation(90)
        label.set_verticalalignment("center")


def _hemisphere(value: float, axis: str) -> str:
    return ("E" if value >= 0 else "W") if axis == "x" else ("N" if value >= 0 else "S")


def _round_step(rough: float) -> float:
    power = 10.0 ** np.floor(np.log10(rough))
    return float(power * min((1, 2, 5, 10), key=lambda m: abs(m * power - rough)))


def _scale_bar(ax: Axes, box: Box) -> None:
    west, south, east, north = box
    length = _round_step((east - west) / 6)
    x, y = east - 0.03 * (east - west) - length, south + 0.045 * (north - south)
    tall = 0.008 * (east - west) * 0.55
    for k in range(4):
        ax.add_patch(
            Polygon(
                [(x + length * (k + i) / 4, y + tall * j) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))],
                facecolor=_INK if k % 2 == 0 else "white",
                edgecolor=_INK,
                linewidth=0.8,
                zorder=10,
            )
        )
    unit = (lambda v: f"{v / 1000:g} km") if length >= 1000 else (lambda v: f"{v:g} m")
    for at, text in ((0.0, "0"), (length / 2, f"{length / 2:g}"), (length, unit(length))):
        if at == length / 2 and length >= 1000:
            text = f"{length / 2000:g}"
        ax.annotate(
            text, (x + at, y + tall), xytext=(0, 2.5), textcoords="offset points", ha="center", fontsize=7.5,
            color=_INK, path_effects=list(HALO), zorder=10,
        )  # fmt: skip


def _north_arrow(ax: Axes, frame: LocalFrame, box: Box) -> None:
    """Points to true north, which is not quite up in a projected map."""
    west, south, east, north = box
    x, y = east - 0.028 * (east - west), north - 0.13 * (north - south)
    lon, lat = frame.to_lonlat(x, y)
    tip_x, tip_y = frame.to_map(lon, float(lat) + 1e-3)
    turn = np.arctan2(float(tip_x) - x, float(tip_y) - y)
    size = 0.017 * (east - west)
    shape = np.array([(0, 1.5), (0.5, -0.7), (0, -0.3), (-0.5, -0.7)]) * size
    c, s = np.cos(turn), np.sin(turn)
    placed = np.column_stack([x + shape[:, 0] * c + shape[:, 1] * s, y - shape[:, 0] * s + shape[:, 1] * c])
    ax.add_patch(Polygon(placed, facecolor=_INK, edgecolor="white", linewidth=1.2, zorder=10))
    ax.annotate(
        "N", tuple(placed[0]), xytext=(0, 3), textcoords="offset points", ha="center", fontsize=9, weight="bold",
        color=_INK, path_effects=list(HALO), zorder=10,
    )  # fmt: skip
