"""What the colours of a plan view can mean: height, surface, age, source, status; each with its legend in words."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.patches import Patch
from numpy.typing import NDArray

from utm.errors import MapError
from utm.mapping import shading
from utm.mapping.decimate import Decimated
from utm.mapping.mapfile import Status

LAYERS = ("height", "surface", "age", "source", "status")
TITLES = {
    "height": "Height above ground",
    "surface": "Height of the surface",
    "age": "Day of the survey",
    "source": "Source of the surface",
    "status": "What is known",
}
SUSPECT = "#e0218a"
_ASSUMED = "#9aa1a8"
_SOURCES = (
    "#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#0072b2", "#d55e00", "#7b6cc4", "#8c9a3b", "#b5836a",
)  # fmt: skip
# Okabe and Ito 2008 above; below pale to dark in even steps, as readable in grey
_EVEN = (
    "#f6f3df", "#e2e5b5", "#bcd8a1", "#8cc4a0", "#5eaaa5", "#4189a6", "#39689d", "#3a4a86", "#332c5c",
)  # fmt: skip
_AGES = ("#b35806", "#f1a340", "#f7e0b6", "#8fb8dd", "#2b7bba")
# Flag, colour, words; a later one that a cell has is what it shows
_STATUS = (
    (Status.FROM_RASTER, "#a9cbb7", "Seen: surface model"),
    (Status.FROM_CLOUD, "#5fae8b", "Seen: point cloud"),
    (Status.TERRAIN_FILTERED, "#c9d7a3", "Ground found by a filter"),
    (Status.TERRAIN_ASSUMED, "#e8c9a0", "Ground assumed"),
    (Status.FROM_MODEL, "#e8a13a", "Entered: model or vector"),
    (Status.UNKNOWN, _ASSUMED, "Not surveyed: blocked"),
)


@dataclass(frozen=True)
class Coloured:
    """A layer ready to be shaded."""

    rgb: NDArray[np.float32]
    """(nx, ny, 3), 0 to 1."""
    legend: Sequence[Patch]


def coloured(layer: str, scene: Decimated, sources: Sequence[Mapping[str, Any]], datum: str) -> Coloured:
    """Colours of a layer other than ``height``, which is drawn as relief and objects.

    Args:
        sources: of the map, by number.
        datum: of the heights, for the legend.

    Raises:
        MapError: there is no such layer.
    """
    if layer == "surface":
        return _surface(scene, datum)
    if layer == "age":
        return _age(scene)
    if layer == "source":
        return _source(scene, sources)
    if layer == "status":
        return _status(scene)
    raise MapError("there is no such layer", field="layer", value=layer, mend=f"Choose one of {', '.join(LAYERS)}.")


def _surface(scene: Decimated, datum: str) -> Coloured:
    top = scene.ground_m + scene.above_m
    # The hundredth part at either end goes with its neighbours, so that one mast does not take all the colours
    low, high = (float(v) for v in np.percentile(top, (1, 99)))
    high = max(high, low + 1)
    at = np.linspace(low, high, len(_EVEN))
    legend = [_patch(colour, f"{value:.0f} m {datum}") for value, colour in list(zip(at, _EVEN, strict=True))[::2]]
    return Coloured(shading.ramp(top, tuple(zip(at.tolist(), _EVEN, strict=True))), legend)


def _age(scene: Decimated) -> Coloured:
    dated = scene.age > 0
    if not dated.any():
        return Coloured(_plain(scene, _ASSUMED), [_patch(_ASSUMED, "Day of the survey not known")])
    days = np.unique(scene.age[dated])
    low, high = int(days[0]), int(days[-1])
    at = np.linspace(low - 0.5, high + 0.5, len(_AGES))
    rgb = np.where(
        dated[..., None],
        shading.ramp(scene.age.astype(np.float32), tuple(zip(at.tolist(), _AGES, strict=True))),
        _plain(scene, _ASSUMED),
    )
    shown = days if len(days) <= 5 else np.linspace(low, high, 5).astype(int)
    colours = shading.ramp(shown.astype(np.float32), tuple(zip(at.tolist(), _AGES, strict=True)))
    legend = [_patch(tuple(colour), _day(int(day))) for day, colour in zip(shown, colours, strict=True)]
    if not dated.all():
        legend.append(_patch(_ASSUMED, "Day not known"))
    return Coloured(rgb, legend)


def _source(scene: Decimated, sources: Sequence[Mapping[str, Any]]) -> Coloured:
    numbers = np.unique(scene.source)
    rgb = np.empty((*scene.source.shape, 3), np.float32)
    legend = []
    for number in numbers.tolist():
        colour = _SOURCES[(number - 1) % len(_SOURCES)] if number else _ASSUMED
        rgb[scene.source == number] = shading.rgb(colour)
        if number == 0:
            legend.append(_patch(colour, "Assumed"))
        elif len(legend) < 11:
            legend.append(_patch(colour, sources[number - 1]["file"]))
    if (more := int((numbers > 0).sum()) - len(legend)) > 0:
        legend.append(_patch("white", f"and {more} more sources"))
    return Coloured(rgb, legend)


def _status(scene: Decimated) -> Coloured:
    rgb = _plain(scene, "#ffffff")
    legend = []
    for flag, colour, words in _STATUS:
        has = (scene.status & flag) != 0
        if has.any():
            rgb[has] = shading.rgb(colour)
            legend.append(_patch(colour, words))
    return Coloured(rgb, legend)


def _plain(scene: Decimated, colour: str) -> NDArray[np.float32]:
    return np.broadcast_to(shading.rgb(colour), (*scene.status.shape, 3)).astype(np.float32)


def _patch(colour: str | tuple[float, ...], words: str) -> Patch:
    return Patch(facecolor=colour, edgecolor="none", label=words)


def _day(days: int) -> str:
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=days)).isoformat()
