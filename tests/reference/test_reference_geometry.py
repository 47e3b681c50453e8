"""Contours in WKB: what is read, where their centre is, what is inside."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowtech_data.reference.geometry import Contour, read_contour, read_point

SQUARE = ((0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0), (0.0, 0.0))
HOLE = ((0.5, 0.5), (0.5, 1.5), (1.5, 1.5), (1.5, 0.5), (0.5, 0.5))

longitudes = st.floats(-179, 175).map(lambda degrees: round(degrees, 5))
latitudes = st.floats(-50, 70).map(lambda degrees: round(degrees, 5))
sizes = st.floats(0.001, 1).map(lambda degrees: round(degrees, 5))


def wkb_point(longitude, latitude):
    return struct.pack("<BI2d", 1, 1, longitude, latitude).hex()


def wkb_contour(*polygons):
    data = struct.pack("<BII", 1, 6, len(polygons))
    for rings in polygons:
        data += struct.pack("<BII", 1, 3, len(rings))
        for ring in rings:
            data += struct.pack("<I", len(ring))
            data += b"".join(struct.pack("<2d", *point) for point in ring)
    return data.hex()


def rectangle(west, south, width, height):
    east, north = west + width, south + height
    return ((west, south), (east, south), (east, north), (west, north), (west, south))


@given(longitudes, latitudes)
def test_a_point_is_read_back_as_written(longitude, latitude):
    assert read_point(wkb_point(longitude, latitude)) == (longitude, latitude)


def test_an_empty_point_is_none():
    assert read_point(wkb_point(math.nan, math.nan)) is None


def test_every_ring_of_every_polygon_is_read():
    island = rectangle(5.0, 5.0, 1.0, 1.0)
    assert read_contour(wkb_contour((SQUARE, HOLE), (island,))) == Contour((SQUARE, HOLE, island))


@pytest.mark.parametrize("read", [read_point, read_contour])
def test_another_geometry_is_refused(read):
    line = struct.pack("<BII4d", 1, 2, 2, 0, 0, 1, 1).hex()
    with pytest.raises(ValueError, match="WKB inattendu"):
        read(line)


def test_a_hole_is_outside_and_an_island_is_inside():
    contour = Contour((SQUARE, HOLE, rectangle(5.0, 5.0, 1.0, 1.0)))
    assert contour.contains((0.2, 0.2))
    assert contour.contains((5.5, 5.5))
    assert not contour.contains((1.0, 1.0))
    assert not contour.contains((3.0, 1.0))


def test_a_hole_weighs_against_its_side():
    hole_on_the_right = ((1.0, 0.5), (1.0, 1.5), (1.9, 1.5), (1.9, 0.5), (1.0, 0.5))
    (longitude, latitude), area = Contour((SQUARE, hole_on_the_right)).centroid()
    assert longitude < 1.0
    assert latitude == pytest.approx(1.0)
    assert area == pytest.approx((4 - 0.9) * math.cos(math.radians(1)))


@given(longitudes, latitudes, sizes, sizes)
def test_the_centroid_of_a_rectangle_is_its_middle_whichever_way_it_turns(west, south, dx, dy):
    ring = rectangle(west, south, dx, dy)
    middle = (west + dx / 2, south + dy / 2)
    for turned in (ring, ring[::-1]):
        contour = Contour((turned,))
        centroid, _ = contour.centroid()
        assert centroid == pytest.approx(middle, abs=1e-9)
        assert contour.contains(centroid)


def test_a_contour_without_area_has_no_centroid():
    flat = ((0.0, 0.0), (1.0, 1.0), (0.0, 0.0))
    with pytest.raises(ValueError, match="sans surface"):
        Contour((flat,)).centroid()
