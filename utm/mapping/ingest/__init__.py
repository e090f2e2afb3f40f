"""From survey files to a city map. Loads laspy and Open3D, so only the command line and the demo import it."""

from utm.mapping.ingest.build import build_map

__all__ = ["build_map"]
