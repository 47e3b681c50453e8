"""Named questions: each is described in both languages and answers on a real release."""

from __future__ import annotations

import math

import pytest

from lowtech_data.site.queries import QUERIES_DIR, QueryError, parse_query, read_queries

from .conftest import RENNES_ID, Reader

QUERIES = read_queries(QUERIES_DIR)
VALUES = {
    "initiatives_commune": {"commune": "35238"},
    "initiatives_pres_de": {"latitude": "48.11", "longitude": "-1.68", "rayon_km": "110"},
    "provenance_initiative": {"id": RENNES_ID},
    "ressources_par_theme": {"theme": "mobilite"},
}


def _ask(site: Reader, name: str) -> list[dict[str, object]]:
    answer = site.get(f"/lowtech/{name}.json", params={"_shape": "array", **VALUES.get(name, {})})
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, object]] = answer.json()
    return rows


@pytest.mark.parametrize("name", QUERIES)
def test_every_question_answers_with_rows(site: Reader, name: str) -> None:
    query = QUERIES[name]
    assert query.title_fr
    assert query.title_en
    assert set(VALUES.get(name, {})) == set(query.params)
    assert _ask(site, name)
    page = site.get(f"/lowtech/{name}", params=VALUES.get(name, {}))
    assert page.status_code == 200
    assert query.title_fr.split("’")[0] in page.text


def test_near_a_point_is_by_true_distance(site: Reader) -> None:
    rows = _ask(site, "initiatives_pres_de")
    distances = [float(str(row["distance_km"])) for row in rows]
    assert distances == sorted(distances)
    assert rows[0]["id"] == RENNES_ID
    for row in rows:
        assert float(str(row["distance_km"])) == pytest.approx(
            _haversine(48.11, -1.68, float(str(row["latitude"])), float(str(row["longitude"]))),
            abs=0.06,
        )
    assert {row["commune"] for row in rows} >= {"Rennes", "Vannes", "Nantes"}
    assert "Brest" not in {row["commune"] for row in rows}


def _haversine(lat_a: float, lon_a: float, lat_b: float, lon_b: float) -> float:
    a, b = math.radians(lat_a), math.radians(lat_b)
    half = (
        math.sin((b - a) / 2) ** 2
        + math.cos(a) * math.cos(b) * math.sin(math.radians(lon_b - lon_a) / 2) ** 2
    )
    return 12742 * math.asin(math.sqrt(half))


def test_questions_say_what_is_asked(site: Reader) -> None:
    assert {row["nom"] for row in _ask(site, "initiatives_commune")} == {"La Bricothèque"}
    assert [row["regle"] for row in _ask(site, "rejets_par_regle")].count(
        "code_postal_inconnu"
    ) == 1
    without = {row["code"] for row in _ask(site, "departements_sans_repair_cafe")}
    assert "29" in without
    assert "35" not in without
    disagreements = {(row["id"], row["champ"]) for row in _ask(site, "valeurs_en_desaccord")}
    assert (RENNES_ID, "adresse") in disagreements
    doubt = _ask(site, "doublons_a_revoir")[0]
    assert doubt["nom_b"] == "Bricothèque"
    assert (doubt["motif"], doubt["explication"]) == ("Chez un hôte", "L’une accueille l’autre.")
    link = _ask(site, "paires_liees")[0]
    assert (link["predicat"], link["motif"]) == ("partenaire_de", "même commune")


HEADER = "-- titre: A\n-- title: B\n-- description: C\n"


@pytest.mark.parametrize(
    "text",
    [
        "select 1",
        "-- titre: A\nselect 1",
        HEADER + "select :x",
        HEADER + "-- param x: y\nselect 1",
    ],
)
def test_a_question_without_its_header_is_refused(text: str) -> None:
    with pytest.raises(QueryError, match=r"essai\.sql"):
        parse_query("essai", text)


def test_a_question_is_read_with_its_examples() -> None:
    query = parse_query("essai", HEADER + "-- param x: ville (exemple : Rennes)\nselect :x;\n")
    assert query.sql == "select :x"
    assert query.examples == {"x": "Rennes"}
