"""Contours of communes, as hexadecimal WKB: centroid, cuts, and whether a point is inside.

Plane geometry on longitudes and latitudes: at the size of a commune the error is below the
precision that a centre is good for.
"""

from __future__ import annotations

import math
import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

Point = tuple[float, float]
"""Longitude, latitude (WGS 84, degrees)."""

Ring = tuple[Point, ...]
"""A closed line: the last point repeats the first."""

_LITTLE_ENDIAN = 1
_POINT, _POLYGON, _MULTI_POLYGON = 1, 3, 6


@dataclass(frozen=True, slots=True)
class Contour:
    """A multipolygon, as its rings: outer ones turn one way and holes the other."""

    rings: tuple[Ring, ...]

    def contains(self, point: Point) -> bool:
        """Whether a point is inside, by the number of sides that a line eastwards crosses."""
        longitude, latitude = point
        inside = False
        for (x1, y1), (x2, y2) in self._sides():
            if (y1 > latitude) != (y2 > latitude):
                crossing = x1 + (latitude - y1) * (x2 - x1) / (y2 - y1)
                if longitude < crossing:
                    inside = not inside
        return inside

    def centroid(self) -> tuple[Point, float]:
        """The centre of gravity, and the area in square degrees of latitude.

        Raises `ValueError` when the contour has no area.
        """
        # Relative to a point of the contour: far from it, products lose the small differences.
        x0, y0 = self.rings[0][0]
        area = moment_x = moment_y = 0.0
        for (x1, y1), (x2, y2) in self._sides():
            cross = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
            area += cross
            moment_x += (x1 + x2 - 2 * x0) * cross
            moment_y += (y1 + y2 - 2 * y0) * cross
        if area == 0:
            raise ValueError("Contour sans surface : aucun centre ne peut en être tiré.")
        centre = (x0 + moment_x / (3 * area), y0 + moment_y / (3 * area))
        return centre, abs(area) / 2 * math.cos(math.radians(centre[1]))

    def cuts(self, rows_per_degree: int) -> Iterator[tuple[int, float, float]]:
        """What is inside along the middle line of each row of latitude: row, west, east.

        Row `k` covers the latitudes from `k` to `k + 1` divided by `rows_per_degree`. A row whose
        middle line misses the contour is not given.
        """
        crossings: defaultdict[int, list[float]] = defaultdict(list)
        for (x1, y1), (x2, y2) in self._sides():
            south, north = min(y1, y2), max(y1, y2)
            first = math.ceil(south * rows_per_degree - 0.5)
            for row in range(first, math.ceil(north * rows_per_degree - 0.5)):
                middle = (row + 0.5) / rows_per_degree
                crossings[row].append(x1 + (middle - y1) * (x2 - x1) / (y2 - y1))
        for row, longitudes in sorted(crossings.items()):
            longitudes.sort()
            for west, east in zip(longitudes[::2], longitudes[1::2], strict=True):
                yield row, west, east

    def _sides(self) -> Iterator[tuple[Point, Point]]:
        for ring in self.rings:
            yield from pairwise(ring)


def read_point(wkb_hex: str) -> Point | None:
    """A point in hexadecimal WKB, `None` when empty. Raises `ValueError` for anything else."""
    data = bytes.fromhex(wkb_hex)
    _expect(data, 0, _POINT)
    longitude, latitude = struct.unpack_from("<2d", data, 5)
    # WKB has no empty point: by convention its coordinates are not numbers.
    return None if math.isnan(longitude) or math.isnan(latitude) else (longitude, latitude)


def read_contour(wkb_hex: str) -> Contour:
    """A multipolygon in hexadecimal WKB. Raises `ValueError` for anything else."""
    data = bytes.fromhex(wkb_hex)
    offset = _expect(data, 0, _MULTI_POLYGON)
    (polygons,) = struct.unpack_from("<I", data, offset)
    offset += 4
    rings: list[Ring] = []
    for _ in range(polygons):
        offset = _expect(data, offset, _POLYGON)
        (count,) = struct.unpack_from("<I", data, offset)
        offset += 4
        for _ in range(count):
            (points,) = struct.unpack_from("<I", data, offset)
            values = struct.unpack_from(f"<{2 * points}d", data, offset + 4)
            rings.append(tuple(zip(values[::2], values[1::2], strict=True)))
            offset += 4 + 16 * points
    return Contour(tuple(rings))


def _expect(data: bytes, offset: int, kind: int) -> int:
    order, found = struct.unpack_from("<BI", data, offset)
    if (order, found) != (_LITTLE_ENDIAN, kind):
        raise ValueError(f"WKB inattendu : géométrie de type {kind} attendue, {found} trouvée.")
    return offset + 5
