import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowtech_data.extract.base import Extraction, PayloadError

from .support import FIXTURES, everything, fiches, make_page, make_source, rejected, run


def read(*features: Any, **more: Any) -> Extraction:
    document = {"type": "FeatureCollection", "features": list(features), **more}
    return run(make_source("geojson"), make_page(json.dumps(document)))


def feature(geometry: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": {"id": "1", **properties}}


def position(geometry: Any) -> tuple[str | None, str | None, str | None]:
    fiche = fiches(read(feature(geometry)))["1"]
    return fiche["latitude"], fiche["longitude"], fiche["precision_geo"]


def test_a_real_file() -> None:
    source = make_source(
        "geojson",
        champs={
            "adresse": "adresse",
            "code_postal": "cp",
            "commune": "ville",
            "site_web": "web",
            "categories": "structure",
        },
        ignorer=["organisation", "twitter", "mastodon", "instagram", "facebook", "rss"],
        ecarter=["email", "tel"],
        codes={"fablab": {"type": "fablab"}, "fablabMIT": {"type": "fablab"}},
    )
    extraction = run(source, make_page(FIXTURES / "bzh_fablab.geojson"))
    found = fiches(extraction)
    assert [row["type"] for row in found.values()] == ["fablab", None, "fablab"]
    assert found["1"]["latitude"] == "47.6424637"
    assert found["1"]["precision_geo"] is None
    assert found["3"]["adresse"] == "Espace associatif d'Arvor<br />Place d'Armorique"
    assert rejected(extraction) == [("3", "categories", "code_inconnu")]
    assert "prenom" not in everything(extraction)


CENTRE = "centre_de_geometrie"


@pytest.mark.parametrize(
    ("geometry", "expected"),
    [
        ({"type": "Point", "coordinates": [-2.5, 47.25, 0]}, ("47.25", "-2.5", None)),
        ({"type": "Point", "coordinates": []}, (None, None, None)),
        (None, (None, None, None)),
        ({"type": "MultiPoint", "coordinates": [[0, 0], [2, 4]]}, ("2", "1", CENTRE)),
        (
            {"type": "LineString", "coordinates": [[0, 0], [3, 0], [3, 1]]},
            ("0.125", "1.875", CENTRE),
        ),
        (
            {"type": "MultiLineString", "coordinates": [[[0, 0], [2, 0]], [[0, 2], [2, 2]]]},
            ("1", "1", CENTRE),
        ),
        (
            {"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [4, 2], [0, 2], [0, 0]]]},
            ("1", "2", CENTRE),
        ),
        (
            {
                "type": "MultiPolygon",
                "coordinates": [
                    [[[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]],
                    [[[4, 0], [6, 0], [6, 2], [4, 2], [4, 0]]],
                ],
            },
            ("1", "3", CENTRE),
        ),
        (
            {"type": "Polygon", "coordinates": [[[1, 1], [1, 1], [1, 1], [1, 1]]]},
            ("1", "1", CENTRE),
        ),
    ],
)
def test_positions(geometry: Any, expected: tuple[str, str, str]) -> None:
    assert position(geometry) == expected


@given(
    st.floats(-180, 178, allow_nan=False).map(lambda v: round(v, 5)),
    st.floats(-90, 88, allow_nan=False).map(lambda v: round(v, 5)),
    st.booleans(),
)
def test_the_centre_of_a_square_is_its_middle_whatever_its_direction(
    west: float, south: float, is_reversed: bool
) -> None:
    ring = [
        [west, south],
        [west + 2, south],
        [west + 2, south + 2],
        [west, south + 2],
        [west, south],
    ]
    latitude, longitude, _ = position(
        {"type": "Polygon", "coordinates": [ring[::-1] if is_reversed else ring]}
    )
    assert float(str(latitude)) == pytest.approx(south + 1, abs=1e-6)
    assert float(str(longitude)) == pytest.approx(west + 1, abs=1e-6)


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Point", "coordinates": ["x", "y"]},
        {"type": "Point", "coordinates": [1]},
        {"type": "Point"},
        {"type": "Polygon", "coordinates": []},
        {"type": "MultiPoint", "coordinates": []},
        {"type": "GeometryCollection", "geometries": []},
        {"coordinates": [1, 2]},
        "POINT(1 2)",
    ],
)
def test_an_unreadable_geometry_loses_the_position_and_nothing_else(geometry: Any) -> None:
    good = feature(None, id="2")
    extraction = read(feature(geometry), good)
    assert sorted(fiches(extraction)) == ["1", "2"]
    assert fiches(extraction)["1"]["latitude"] is None
    assert rejected(extraction) == [("1", "latitude", "geometrie_illisible")]


def test_the_id_of_a_feature_is_a_column() -> None:
    extraction = read({"type": "Feature", "id": 12, "geometry": None, "properties": {"name": "A"}})
    assert fiches(extraction)["12"]["nom"] == "A"


@pytest.mark.parametrize("broken", [None, {"properties": [1], "geometry": None}])
def test_a_feature_that_is_no_object(broken: Any) -> None:
    assert rejected(read(broken)) == [("/features/0", "*", "enregistrement_inattendu")]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"type": "Feature"}, "trouvé 'Feature'"),
        ([], "trouvé 'list'"),
        ({"type": "FeatureCollection"}, "sans liste « features »"),
        (
            {
                "type": "FeatureCollection",
                "features": [],
                "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2154"}},
            },
            "WGS 84, trouvé : .*2154",
        ),
    ],
)
def test_something_else_is_refused(document: Any, reason: str) -> None:
    with pytest.raises(PayloadError, match=reason):
        run(make_source("geojson"), make_page(json.dumps(document)))


def test_declared_wgs84_is_read() -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    assert read(feature(None), crs=crs).fiches.num_rows == 1
