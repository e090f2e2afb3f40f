"""City maps: opened, asked and drawn here; built in :mod:`utm.mapping.ingest`, which this package never imports."""

from utm.mapping.citymap import CityMap

__all__ = ["CityMap"]
