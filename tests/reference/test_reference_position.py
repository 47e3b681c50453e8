"""The commune of a point, by the bundled index: where it is sure, near a border, abroad, at sea."""

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowtech_data import reference
from lowtech_data.reference import position


@pytest.fixture(scope="module")
def con():
    with duckdb.connect() as connection:
        reference.install(connection)
        yield connection


def located(con, *points):
    values = ", ".join(
        f"({latitude}::DOUBLE, {longitude}::DOUBLE)" for latitude, longitude in points
    )
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE points AS FROM (VALUES {values}) p(latitude, longitude)"
    )
    position.locate(con, "points", "lieux")
    found = con.execute(
        "SELECT latitude, longitude, code_insee, code_arrondissement, certain FROM lieux"
    ).fetchall()
    return {(row[0], row[1]): row[2:] for row in found}


def near(con, latitude, longitude, km):
    position.around(
        con,
        f"SELECT {latitude}::DOUBLE AS latitude, {longitude}::DOUBLE AS longitude",
        "voisins",
        km,
    )
    return dict(con.execute("SELECT code_insee, km FROM voisins").fetchall())


INSIDE = [
    (48.892, 2.345, "75056", "75118"),
    (45.7605, 4.8590, "69123", "69383"),
    (43.2965, 5.3698, "13055", "13202"),
    (47.2184, -1.5536, "44109", None),
    (-20.8823, 55.4504, "97411", None),
    (14.6037, -61.0686, "97209", None),
    (42.6977, 9.4500, "2B033", None),
    (48.457, -5.097, "29155", None),
]


def test_a_point_gives_its_commune_and_district(con):
    found = located(con, *((la, lo) for la, lo, _, _ in INSIDE))
    assert {p: row[:2] for p, row in found.items()} == {
        (la, lo): (code, district) for la, lo, code, district in INSIDE
    }


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        (50.85, 4.35),  # Bruxelles
        (46.2, 6.14),  # Genève
        (50.606, 3.388),  # Tournai
        (48.573, 7.81),  # Kehl
        (43.338, -1.789),  # Irun
        (43.738, 7.424),  # Monaco
        (47.5, -4.5),  # au large
        (18.07, -63.08),  # Saint-Martin : sans contour
        (0.0, 0.0),
        (91.0, 400.0),
    ],
)
def test_no_contour_holds_a_point_abroad_or_at_sea(con, latitude, longitude):
    assert located(con, (latitude, longitude)) == {(latitude, longitude): (None, None, False)}


def test_a_point_is_certain_in_the_middle_and_not_near_a_border(con):
    middle, border = (47.2400, -1.5400), (47.2035, -1.5336)
    found = located(con, middle, border)
    assert found[middle] == ("44109", None, True)
    assert not found[border][2]


def test_a_commune_that_may_hold_another_is_never_certain(con):
    # Neussargues en Pinatelle, dont quatre communes ont été rétablies depuis.
    codes = con.execute("SELECT code FROM ref_contours_codes WHERE partage").fetchall()
    assert ("15141",) in codes
    assert len(codes) < 100


def test_communes_around_a_point_come_with_their_distance(con):
    found = near(con, 48.892, 2.345, 2.0)
    assert found["75056"] == 0
    assert 0.5 < found["93066"] < 2
    assert "93070" in found
    assert near(con, 48.573, 7.81, 2.0).keys() == {"67482"}
    assert near(con, 50.85, 4.35, 2.0) == {}


def test_nearly_every_centre_is_in_its_commune(con):
    position.locate(con, "SELECT latitude, longitude FROM ref_communes", "centres")
    (right, sure, wrong) = con.execute(
        """SELECT avg((l.code_insee = r.code)::INT), avg(l.certain::INT),
            avg((l.code_insee <> r.code)::INT) FILTER (l.certain)
        FROM ref_communes r JOIN centres l USING (latitude, longitude)
        WHERE r.nature = 'commune'"""
    ).fetchone()
    assert right > 0.995
    assert sure > 0.75
    assert wrong < 0.0002


def test_every_commune_has_an_extent_that_holds_its_centre(con):
    outside = con.execute(
        """SELECT r.code FROM ref_communes r JOIN ref_emprises e ON r.code = e.code_insee
        WHERE r.nature = 'commune' AND r.latitude IS NOT NULL AND NOT (
            r.latitude BETWEEN sud - 0.003 AND nord + 0.003
            AND r.longitude BETWEEN ouest - 0.003 AND est + 0.003)"""
    ).fetchall()
    assert len(outside) <= 3
    without = con.execute(
        """SELECT code FROM ref_communes WHERE nature = 'commune'
            AND code NOT IN (SELECT code_insee FROM ref_emprises) ORDER BY code"""
    ).fetchall()
    assert [code for (code,) in without] == ["15031", "15035", "15047", "15171"]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(41, 51.5), st.floats(-5.5, 10)), min_size=1, max_size=20, unique=True
    )
)
def test_what_is_certain_is_also_what_is_around(con, points):
    for (latitude, longitude), (code, _, certain) in located(con, *points).items():
        around = near(con, latitude, longitude, 1.0)
        assert (code is None) or around[code] == 0
        assert not certain or min(around, key=lambda c: around[c]) == code


def test_a_district_is_certain_away_from_its_border(con):
    con.execute(
        """CREATE OR REPLACE TEMP TABLE points AS
        FROM (VALUES (48.892, 2.345), (43.2965, 5.3698)) p(latitude, longitude)"""
    )
    position.locate(con, "points", "lieux")
    found = con.execute(
        "SELECT code_arrondissement, arrondissement_certain FROM lieux ORDER BY ALL"
    ).fetchall()
    assert found == [("13202", False), ("75118", True)]
