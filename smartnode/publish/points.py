"""Numpy columns with a longitude and a latitude as a GeoParquet file that any GIS opens; nothing is copied row by row
in Python but the WKB.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smartnode.errors import PublishError
from smartnode.publish.parquet import GeoColumn, copy, geo_metadata, workbench

_RESERVED = frozenset({"bbox", "geometry"})
_POINT = np.dtype([("order", "u1"), ("type", "<u4"), ("x", "<f8"), ("y", "<f8")])


def write_points(
    path: Path, *, lon: NDArray[np.float64], lat: NDArray[np.float64], attributes: Mapping[str, NDArray[Any]]
) -> None:
    """Write one point per row, CRS84 degrees, with *attributes* as further columns; PublishError when the columns
    differ in length, are empty or leave the globe.
    """
    lengths = {len(lon), len(lat), *(len(column) for column in attributes.values())}
    if len(lengths) != 1 or 0 in lengths:
        message = f"the columns of {path.name} have {sorted(lengths)} rows"
        raise PublishError(message, cure="give columns of one length with at least one row")
    if not (np.abs(lon) <= 180).all() or not (np.abs(lat) <= 90).all():  # noqa: PLR2004 - the globe, in degrees
        message = f"a point of {path.name} is not on the globe"
        raise PublishError(message, cure="give longitudes within 180 and latitudes within 90 degrees")
    if reserved := _RESERVED & attributes.keys():
        message = f"{sorted(reserved)} are columns that the file writes itself"
        raise PublishError(message, cure="rename these attributes")
    column = GeoColumn(
        geometry_types=("Point",), bbox=(float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max()))
    )
    with workbench(path) as (connection, unfinished):
        connection.register("attributes", {"lon": lon, "lat": lat, **attributes})
        connection.register("places", {"geometry": _points_wkb(lon, lat)})
        query = (
            "SELECT attributes.*, {'xmin': lon, 'ymin': lat, 'xmax': lon, 'ymax': lat} AS bbox, geometry"
            " FROM attributes POSITIONAL JOIN places"
        )
        copy(connection, query, to=unfinished, metadata={"geo": geo_metadata(column)})


def _points_wkb(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.object_]:
    encoded = np.empty(len(lon), dtype=_POINT)
    encoded["order"], encoded["type"], encoded["x"], encoded["y"] = 1, 1, lon, lat
    raw, width = encoded.tobytes(), _POINT.itemsize
    return np.array([raw[at : at + width] for at in range(0, len(raw), width)], dtype=np.object_)
