"""The tiles of a version as one raster for QGIS: GDAL's virtual format, written by hand, with relative paths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from utm.mapping.mapfile import LAYERS, tile_box, tile_name

_TYPES = {"float32": "Float32", "uint8": "Byte", "uint16": "UInt16"}


def mosaic_xml(name: str, meta: Mapping[str, Any], wkt: str) -> str:
    """The VRT of one layer.

    Args:
        meta: ``map.json``.
        wkt: CRS of the tiles.
    """
    nx, ny = meta["size"]
    cell, frame = float(meta["resolution_m"]), meta["frame"]
    kind = _TYPES[LAYERS[name]]
    parts = []
    for entry in meta["tiles"]:
        tile = tuple(entry["tile"])
        ix0, iy0, ix1, iy1 = tile_box((nx, ny), tile)
        wide, high = ix1 - ix0, iy1 - iy0
        blocks = 'BlockXSize="256" BlockYSize="256"'
        parts.append(
            f'<SimpleSource><SourceFilename relativeToVRT="1">tiles/{tile_name(tile, entry["hash"])}/{name}.tif'
            f"</SourceFilename><SourceBand>1</SourceBand>"
            f'<SourceProperties RasterXSize="{wide}" RasterYSize="{high}" DataType="{kind}" {blocks}/>'
            f'<SrcRect xOff="0" yOff="0" xSize="{wide}" ySize="{high}"/>'
            f'<DstRect xOff="{ix0}" yOff="{ny - iy1}" xSize="{wide}" ySize="{high}"/></SimpleSource>'
        )
    unit = "<UnitType>metre</UnitType>" if kind == "Float32" else ""
    sources = "\n  ".join(parts)
    return (
        f'<VRTDataset rasterXSize="{nx}" rasterYSize="{ny}">\n'
        f' <SRS dataAxisToSRSAxisMapping="1,2">{escape(wkt)}</SRS>\n'
        f" <GeoTransform>{frame['origin_x']!r}, {cell!r}, 0.0, {frame['origin_y'] + ny * cell!r}, 0.0, {-cell!r}"
        f"</GeoTransform>\n"
        f' <VRTRasterBand dataType="{kind}" band="1">\n  <Description>{name}</Description>{unit}\n'
        f"  {sources}\n </VRTRasterBand>\n</VRTDataset>\n"
    )
