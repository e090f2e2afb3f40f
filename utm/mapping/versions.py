"""The versions of a map that lie in one directory."""

from __future__ import annotations

from pathlib import Path

from utm.errors import MapError
from utm.mapping.mapfile import MEND, read_meta, version_file


def versions_of(path: Path) -> list[dict[str, object]]:
    """Every version in a map's directory: the current one, then back along the parents, then any that lie beside (what
    a killed writer had finished but not made current).

    Returns:
        for each: version, parent (the one that was current before, or None), current (bool), survey_dates, sources (how
        many), cleared (how often suspects were), bytes (of its tiles, which other versions may share).

    Raises:
        MapError: one of them cannot be read.
    """
    current = read_meta(path)
    metas = {current["version"]: current}
    for file in _files(path):
        meta = read_meta(path, file)
        if file.name != version_file(path, meta["version"]).name:
            raise MapError("holds another version than its name says", file=file, mend=MEND)
        metas.setdefault(meta["version"], meta)
    line: list[str] = []
    at = current["version"]
    while at in metas and at not in line:  # a map may come back to what it was
        line.append(at)
        at = metas[at]["parent"]
    line += sorted(set(metas) - set(line))
    return [_told(metas[version], current=version == current["version"]) for version in line]


def find_version(path: Path, prefix: str) -> Path:
    """The file of the one version that begins so.

    Raises:
        MapError: none does, or several do; the message lists them.
    """
    if not path.is_dir():
        raise MapError("there is no such map directory", file=path, mend="Build one with `utm map build`.")
    found = [file for file in _files(path) if prefix and file.stem.startswith(prefix[:16].lower())]
    if len(found) != 1:
        raise no_such_version(path, prefix, several=len(found) > 1)
    return found[0]


def no_such_version(path: Path, prefix: str, *, several: bool = False) -> MapError:
    """The error that lists the versions that there are."""
    listed = ", ".join(file.stem[:12] for file in _files(path)) or "none"
    problem = "several versions begin so" if several else "the map has no such version"
    return MapError(problem, file=path, field="version", value=prefix, mend=f"There are: {listed}.")


def _files(path: Path) -> list[Path]:
    return sorted((path / "versions").glob("*.json"))


def _told(meta: dict, *, current: bool) -> dict[str, object]:
    return {
        "version": meta["version"],
        "parent": meta["parent"],
        "current": current,
        "survey_dates": meta["survey_dates"],
        "sources": len(meta["sources"]),
        "cleared": len(meta.get("cleared", [])),
        "bytes": sum(entry["bytes"] for entry in meta["tiles"]),
    }
