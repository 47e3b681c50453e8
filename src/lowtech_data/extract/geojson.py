"""GeoJSON (RFC 7946): one record per feature, its properties, and its position.

`latitude` and `longitude` are added to the properties. Lines and areas have no position of their
own: their centre is given instead, and `_precision` says so.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lowtech_data.extract.base import Lost, Page, PayloadError, Platform, Row, Unreadable
from lowtech_data.extract.decode import read_json
from lowtech_data.extract.sections import Sections, split
from lowtech_data.registry import Source, Strict

CENTRE = "centre_de_geometrie"
"""`_precision` of a position computed from a line or an area."""

_WGS84 = ("CRS84", "EPSG::4326", "EPSG:4326")

_Point = tuple[float, float]


class Options(Strict):
    """How the file is encoded, and how a property that holds all the others is cut."""

    encodage: str | None = None
    texte: Sections | None = None


def _rows(source: Source, page: Page) -> Iterator[Row | Unreadable]:
    options = Options.model_validate(source.options)
    document = read_json(page, options.encodage)
    for index, feature in enumerate(_features(document)):
        pointer = f"/features/{index}"
        properties = feature.get("properties") or {} if isinstance(feature, Mapping) else None
        if not isinstance(properties, Mapping):
            yield Unreadable(pointer, "enregistrement_inattendu", type(feature).__name__)
            continue
        where, lost = _where(feature.get("geometry"))
        number = {"id": feature["id"]} if "id" in feature else {}
        values: dict[str, Any] = {**number, **properties, **where}
        if options.texte:
            values, more = split(values, options.texte)
            lost = [*lost, *more]
        yield Row(pointer, values, lost)


def _features(document: Any) -> Sequence[Any]:
    if not isinstance(document, Mapping) or document.get("type") != "FeatureCollection":
        found = document.get("type") if isinstance(document, Mapping) else type(document).__name__
        raise PayloadError(f"attendu une FeatureCollection GeoJSON, trouvé {found!r}")
    features = document.get("features")
    if not isinstance(features, list):
        raise PayloadError("FeatureCollection sans liste « features »")
    # Withdrawn from the standard, still written by older tools: degrees must not be assumed.
    crs = document.get("crs")
    if crs and not str(crs).rstrip("'\"}").endswith(_WGS84):
        raise PayloadError(f"coordonnées attendues en WGS 84, trouvé : {str(crs)[:120]}")
    return features


def _where(geometry: Any) -> tuple[dict[str, Any], list[Lost]]:
    """What a geometry says; a record without a readable one is still a record."""
    try:
        return position(geometry), []
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        return {}, [Lost("latitude", "geometrie_illisible", type(error).__name__)]


def position(geometry: Any) -> dict[str, Any]:
    """`latitude` and `longitude` of a GeoJSON geometry; of its centre, said so, unless a point.

    Raises `TypeError`, `ValueError`, `ArithmeticError` or `LookupError` when it is not one.
    """
    if geometry is None:
        return {}
    kind = geometry["type"]
    if kind == "Point":
        # An empty array is how a point without position is written.
        if not geometry["coordinates"]:
            return {}
        longitude, latitude = _point(geometry["coordinates"])
        return {"latitude": latitude, "longitude": longitude}
    longitude, latitude = _centre(geometry)
    return {"latitude": latitude, "longitude": longitude, "_precision": CENTRE}


def _centre(geometry: Mapping[str, Any]) -> _Point:
    """Centroid: of the outer rings by area, of lines by length, of points by number."""
    coordinates = geometry.get("coordinates")
    match geometry["type"]:
        case "MultiPoint":
            weighted = [(1.0, _point(point)) for point in coordinates or ()]
        case "LineString":
            weighted = _segments(coordinates)
        case "MultiLineString":
            weighted = [part for line in coordinates or () for part in _segments(line)]
        case "Polygon":
            weighted = [_area(coordinates)]
        case "MultiPolygon":
            weighted = [_area(polygon) for polygon in coordinates or ()]
        case other:
            raise ValueError(other)
    total = sum(weight for weight, _ in weighted)
    if not total:
        points = [point for _, point in weighted]
        weighted, total = [(1.0, point) for point in points], len(points)
    return (
        round(sum(weight * point[0] for weight, point in weighted) / total, 7),
        round(sum(weight * point[1] for weight, point in weighted) / total, 7),
    )


def _segments(line: Any) -> list[tuple[float, _Point]]:
    points = [_point(point) for point in line]
    return [
        (math.dist(a, b), ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2))
        for a, b in itertools.pairwise(points)
    ]


def _area(polygon: Any) -> tuple[float, _Point]:
    """Area and centroid of the outer ring (shoelace formula), in degrees."""
    points = [_point(point) for point in polygon[0]]
    # Relative to the first point: differences of close numbers, without loss of digits.
    x0, y0 = points[0]
    ring = [(x - x0, y - y0) for x, y in points]
    crosses = [a[0] * b[1] - b[0] * a[1] for a, b in itertools.pairwise(ring)]
    double = sum(crosses)
    if not double:
        middle = sum(x for x, _ in ring) / len(ring), sum(y for _, y in ring) / len(ring)
        return 0.0, (x0 + middle[0], y0 + middle[1])
    x = sum((a[0] + b[0]) * c for a, b, c in zip(ring, ring[1:], crosses, strict=False))
    y = sum((a[1] + b[1]) * c for a, b, c in zip(ring, ring[1:], crosses, strict=False))
    return abs(double) / 2, (x0 + x / (3 * double), y0 + y / (3 * double))


def _point(position: Any) -> _Point:
    longitude, latitude = position[0], position[1]
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in (longitude, latitude)):
        raise TypeError(position)
    return longitude, latitude


PLATFORM = Platform(
    name="geojson",
    rows=_rows,
    options=Options,
    mapping={
        "cle_source": "id",
        "nom": "name",
        "latitude": "latitude",
        "longitude": "longitude",
        "precision_geo": "_precision",
    },
)
