"""What a person should know of a map before trusting it, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def concerns(meta: Mapping[str, Any]) -> list[str]:
    """What in ``map.json`` asks for a person's judgement, weightiest first; empty when nothing does."""
    counts, parameters = meta["counts"], meta["parameters"]
    sources = [source for source in meta["sources"] if not source.get("withdrawn")]
    cells = max(1, counts.get("cells", 0))
    found: list[str] = []

    def share(name: str) -> str:
        percent = 100 * counts[name] / cells
        return f"{percent:.1f} %" if percent >= 0.1 else f"{counts[name]:,} cells"

    if counts.get("cells_unknown"):
        treated = (
            "it is taken for bare ground, as --unknown open asks"
            if parameters.get("unknown") == "open"
            else f"blocked up to the highest known surface nearby and {parameters.get('unknown_margin_m', 0):g} m more"
        )
        found.append(f"{share('cells_unknown')} of the map was seen by no survey: {treated}.")
    if counts.get("cells_terrain_filtered"):
        found.append(
            f"The ground under {share('cells_terrain_filtered')} was found by a filter, not given by a surveyor: "
            "heights above ground rest on it. In dense woods it takes crowns for ground, and the legal ceiling comes "
            "out too high: a DTM (--terrain) is better."
        )
    if counts.get("cells_terrain_assumed"):
        found.append(f"No ground is known under {share('cells_terrain_assumed')}: the lowest nearby stands in.")
    if counts.get("cells_suspect"):
        found.append(
            f"{counts['cells_suspect']:,} cells are blocked by returns that the outlier filter doubts. Look at them "
            "(`utm map view MAP --layer status`) and clear what is not there (`utm map clear`)."
        )
    if parameters.get("outliers") is False:
        found.append("The returns were not filtered: every outlier is believed.")
    seen = [source for source in sources if source["kind"] in ("raster", "cloud") and source["role"] == "surface"]
    if any(not source.get("error_m") for source in seen):
        found.append("The survey's error is not stated (--survey-error), so surfaces are not raised by any.")
    written = [s["file"] for s in seen if s["kind"] == "cloud" and s.get("surveyed_says") == "file"]
    if written:
        few = ", ".join(written[:3]) + (f" and {len(written) - 3} more" if len(written) > 3 else "")
        found.append(f"The survey's day is the one on which the file was written, if nobody says better: {few}.")
    undated = [source["file"] for source in sources if not source.get("surveyed")]
    if undated:
        few = ", ".join(undated[:3]) + (f" and {len(undated) - 3} more" if len(undated) > 3 else "")
        found.append(f"Nobody says when this was surveyed (--surveyed): {few}.")
    return found
