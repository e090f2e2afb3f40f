"""What a map carries besides its content: graticule, scale bar, north arrow, and letters that any machine can draw."""

from __future__ import annotations

import functools

import numpy as np
from matplotlib import font_manager, patheffects
from matplotlib.axes import Axes
from matplotlib.patches import Polygon

from utm.frames import LocalFrame

#: West, south, east, north in metres.
Box = tuple[float, float, float, float]
INK = "#26323a"
#: White round letters and lines that lie on the map.
HALO = (patheffects.withStroke(linewidth=2.6, foreground="white", alpha=0.9),)


@functools.cache
def _glyphs() -> frozenset[int]:
    return frozenset(font_manager.get_font(font_manager.findfont("DejaVu Sans")).get_charmap())


def readable(text: str, otherwise: str) -> str:
    """The text if the font that ships with matplotlib can write it, otherwise the other: no machine shows boxes."""
    return text if all(ord(letter) in _glyphs() or letter == "\n" for letter in text) else otherwise


def graticule(ax: Axes, frame: LocalFrame, box: Box) -> None:
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
            ax.plot(x, y, color=INK, lw=0.4, alpha=0.28, zorder=1)
        digits = max(0, int(np.ceil(-np.log10(step) - 1e-9)))
        labels = [f"{abs(v):.{digits}f}°{_hemisphere(v, axis)}" for v in values]
        (ax.set_xticks if axis == "x" else ax.set_yticks)(ticks, labels)
    ax.tick_params(labelsize=7.5, colors=INK, length=3, width=0.8)
    for label in ax.get_yticklabels():
        label.set_rotation(90)
        label.set_verticalalignment("center")


def _hemisphere(value: float, axis: str) -> str:
    return ("E" if value >= 0 else "W") if axis == "x" else ("N" if value >= 0 else "S")


def _round_step(rough: float) -> float:
    power = 10.0 ** np.floor(np.log10(rough))
    return float(power * min((1, 2, 5, 10), key=lambda m: abs(m * power - rough)))


def scale_bar(ax: Axes, box: Box) -> None:
    """A bar of a round length in the south-east corner."""
    west, south, east, north = box
    length = _round_step((east - west) / 6)
    x, y = east - 0.03 * (east - west) - length, south + 0.045 * (north - south)
    tall = 0.008 * (east - west) * 0.55
    for k in range(4):
        ax.add_patch(
            Polygon(
                [(x + length * (k + i) / 4, y + tall * j) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))],
                facecolor=INK if k % 2 == 0 else "white",
                edgecolor=INK,
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
            color=INK, path_effects=list(HALO), zorder=10,
        )  # fmt: skip


def north_arrow(ax: Axes, frame: LocalFrame, box: Box) -> None:
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
    ax.add_patch(Polygon(placed, facecolor=INK, edgecolor="white", linewidth=1.2, zorder=10))
    ax.annotate(
        "N", tuple(placed[0]), xytext=(0, 3), textcoords="offset points", ha="center", fontsize=9, weight="bold",
        color=INK, path_effects=list(HALO), zorder=10,
    )  # fmt: skip
