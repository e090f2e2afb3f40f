"""Maps for people: shaded relief, what stands on it, zones, and a frame that says where and how large.

Axes are metres east and north in the map's frame, so whoever draws over the base (sky roads, tracks) plots ENU as it
is. Only matplotlib's object interface is used: pyplot costs 0.4 s to import and keeps figures alive.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Polygon
from numpy.typing import NDArray
from shapely import LineString
from shapely import Polygon as Outline2D

from utm.errors import MapError
from utm.frames import Datum, LocalFrame
from utm.mapping import shading
from utm.mapping.citymap import CityMap
from utm.mapping.decimate import Decimated, decimate
from utm.mapping.furniture import HALO, INK, Box, graticule, north_arrow, readable, scale_bar
from utm.mapping.layers import SUSPECT, TITLES, coloured
from utm.mapping.mapfile import Status
from utm.model import GeoZone, Restriction

Outline = Sequence[tuple[float, float]]

ZONE_COLOURS = {
    Restriction.PROHIBITED: "#c62828",
    Restriction.REQ_AUTHORISATION: "#c77700",
    Restriction.CONDITIONAL: "#1565c0",
    Restriction.NO_RESTRICTION: "#607d8b",
}
_WATER = "#a9cbe0"
_UNKNOWN = "#5b6770"
_OBJECT_KEYS = tuple(
    Patch(facecolor=colour, edgecolor="none", label=words)
    for colour, words in (("#a78d7c", "Building or object, 8 m"), ("#6f4452", "30 m"), ("#43274a", "60 m"))
)
_WOODS_KEY = Patch(facecolor="#a5bf8c", edgecolor="none", label="Woods (by texture)")


def plan_view(
    city_map: CityMap,
    out_png: str | Path,
    *,
    zones: Iterable[GeoZone] = (),
    places: Mapping[str, tuple[float, float]] | None = None,
    water: Iterable[Outline] = (),
    layer: str = "height",
    title: str | None = None,
    width_px: int = 2000,
) -> Path:
    """Draw a map as a PNG, in memory that follows the picture and not the city.

    Args:
        layer: what colours mean, one of `utm.mapping.layers.LAYERS`.
        zones: geo-zones to outline.
        places: names and (lon, lat) degrees to mark.
        water: outlines (lon, lat) to tint as water; a map does not know water.
        width_px: width of the picture; the height follows the map.

    Raises:
        MapError: the map is damaged, there is no such layer, or the file cannot be written.
    """
    figure, ax = map_figure(city_map, width_px=width_px, title=title or f"City map: {TITLES.get(layer, layer).lower()}")
    base = draw_base(ax, city_map, water=water, layer=layer, suspects=True)
    handles = draw_zones(ax, zones, city_map.frame)
    draw_places(ax, places or {}, city_map.frame)
    draw_legend(figure, ax, city_map, [*base, *handles])
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
        spine.set_color(INK)
        spine.set_linewidth(0.9)
    if title:
        figure.text(side / width, 1 - 0.36 / height, readable(title, "Map"), fontsize=15, color=INK, weight="bold")
    return figure, ax


def draw_base(
    ax: Axes,
    city_map: CityMap,
    *,
    water: Iterable[Outline] = (),
    box: Box | None = None,
    max_cells: int = 2400,
    layer: str = "height",
    suspects: bool = False,
) -> list[Patch]:
    """A shaded layer, unknown ground hatched, graticule, scale bar and north arrow; returns handles for a legend.

    Args:
        suspects: whether to mark what the outlier filter doubts.
        box: west, south, east, north in metres; the whole map by default. The axes' limits are set to it.
        max_cells: longest side of the picture in cells; a larger map is drawn from blocks of cells.
    """
    box = box or (0.0, 0.0, *city_map.extent_m)
    scene = decimate(city_map, box=box, cells=max_cells * max_cells, longest=max_cells)
    cell, unknown = scene.cell_m, scene.unknown
    (x0, y0), (nx, ny) = scene.origin_m, unknown.shape
    extent = (x0, x0 + nx * cell, y0, y0 + ny * cell)
    above = np.where(unknown, 0, scene.above_m).astype(np.float32)
    objects = (above > shading.OBJECT_M) & ~scene.woods
    if layer == "height":
        colour = shading.relief_colours(scene.ground_m)
        for outline in water:
            wet = _inside(city_map.frame, outline, extent, (nx, ny)) & ~objects & ~scene.woods
            colour[wet] = shading.rgb(_WATER)
        colour[scene.woods] = shading.tree_colours(above)[scene.woods]
        colour[objects] = shading.object_colours(above)[objects]
        handles = list(_OBJECT_KEYS) + ([_WOODS_KEY] if scene.woods.any() else [])
    else:
        made = coloured(layer, scene, city_map.sources, str(city_map.frame.vertical))
        colour, handles = made.rgb, list(made.legend)
    suspect = (scene.status & Status.SUSPECT) != 0 if suspects else np.zeros((nx, ny), bool)
    colour[_wider(suspect) if max(nx, ny) > 1200 else suspect] = shading.rgb(SUSPECT)
    picture = np.clip(colour * _shade(scene, above, scene.woods | objects), 0, 1)
    ax.imshow(
        np.swapaxes(picture, 0, 1), origin="lower", extent=extent, interpolation="antialiased", zorder=0, aspect="equal"
    )
    if suspect.any():
        handles.append(Patch(facecolor=SUSPECT, edgecolor="none", label="Suspect: blocked until cleared"))
    if unknown.any():
        _hatch_unknown(ax, unknown, extent)
        if layer != "status":
            words = "Not surveyed: blocked" if city_map.meta["parameters"].get("unknown") != "open" else "Not surveyed"
            handles.append(Patch(facecolor="white", edgecolor=_UNKNOWN, hatch="//////", linewidth=0.6, label=words))
    ax.set_xlim(box[0], box[2])
    ax.set_ylim(box[1], box[3])
    graticule(ax, city_map.frame, box)
    scale_bar(ax, box)
    north_arrow(ax, city_map.frame, box)
    return handles


def _shade(scene: Decimated, above: shading.Heights, raised: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Brightness (nx, ny, 1) of a city in the light."""
    # Smoothed: terrain models come in steps of centimetres, which would show as terraces
    smooth = shading.box_mean(scene.ground_m, round(10 / scene.cell_m))
    ground = shading.hillshade(smooth, scene.cell_m, exaggeration=2.0)
    light = np.where(raised, shading.hillshade(scene.ground_m + above, scene.cell_m, exaggeration=0.55), ground)
    shade = np.clip(0.42 + 0.58 * light / np.sqrt(0.5), 0, 1.15) * _cast_shadow(above, scene.cell_m)
    return shade[..., None]


def _wider(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Cells and their four neighbours: a lone cell of thousands is smaller than a dot of the picture."""
    padded = np.pad(mask, 1)
    return mask | padded[2:, 1:-1] | padded[:-2, 1:-1] | padded[1:-1, 2:] | padded[1:-1, :-2]


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
        ax.plot(east, north, "o", ms=6.5, mfc="white", mec=INK, mew=1.5, zorder=8)
        ax.annotate(
            readable(name, "?"), (east, north), xytext=(0, -7), textcoords="offset points", ha="center", va="top",
            fontsize=8.5, color=INK, weight="bold", path_effects=list(HALO), zorder=9, clip_on=True,
        )  # fmt: skip


def draw_legend(figure: Figure, ax: Axes, city_map: CityMap, handles: Sequence[Patch | Line2D]) -> None:
    """The legend below the map, and one line on where the map comes from: frame, datum, survey dates, version."""
    height = figure.get_size_inches()[1]
    for handle in handles:
        handle.set_label(readable(str(handle.get_label()), "(name in other letters)"))
    ax.legend(
        handles=list(handles), loc="upper left", bbox_to_anchor=(ax.get_position().x0 - 0.004, 0.78 / height),
        bbox_transform=figure.transFigure, ncols=4, frameon=False, fontsize=8.5, borderaxespad=0,
        handlelength=1.9, columnspacing=2.0, labelcolor=INK,
    )  # fmt: skip
    meta = city_map.meta
    frame, dates = meta["frame"], meta["survey_dates"]
    days = sorted({day for day in dates.values() if day})
    names = [source["file"] for source in meta["sources"]]
    undated = " and on days not known" if any(not source.get("surveyed") for source in meta["sources"]) else ""
    has_geoid = frame.get("geoid") and frame["vertical"] != Datum.WGS84
    line = (
        f"{frame['crs'][:40]}, heights {frame['vertical']}"
        + (f" ({frame['geoid']})" if has_geoid else "")
        + f", cells of {city_map.resolution_m:g} m.  "
        + (f"Surveyed {' to '.join(days)}{undated}.  " if days else "Day of the survey not known.  ")
        + f"Made from {', '.join(names[:4])}{f' and {len(names) - 4} more' if len(names) > 4 else ''}.  "
        f"Map version {city_map.version[:12]}"
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
