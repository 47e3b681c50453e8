import json

import pytest

from lowtech_data.extract.base import PayloadError

from .support import FIXTURES, everything, fiches, make_page, make_source, rejected, run


def test_native_elements() -> None:
    extraction = run(make_source("gogocarto"), make_page(FIXTURES / "gogofull.json"))
    found = fiches(extraction)
    assert sorted(found) == ["3paH", "e1"]
    first = found["e1"]
    expected = {
        "nom": "Fiche d’essai",
        "adresse": "7 rue des Fleurs",
        "code_postal": "86470",
        "commune": "Benassay",
        "pays": "FR",
        "latitude": "46.56037",
        "longitude": "0.04569",
        "horaires": "Mo 14:00-18:00; Tu 09:00-12:00",
        "date_maj": "2024-03-11T09:41:45+01:00",
        "licence": "odbl-1.0",
        "courriel": None,
        "telephone": None,
        "url": None,
        "pointeur": "/data/0",
    }
    assert {name: first[name] for name in expected} == expected
    assert found["3paH"]["adresse"] == "6 rue de la Chevalonnerie, 79190 Sauzé-Vaussais"
    assert found["3paH"]["site_web"] is None


def test_a_refused_element_is_told_and_never_read() -> None:
    extraction = run(make_source("gogocarto"), make_page(FIXTURES / "gogofull.json"))
    assert extraction.unreadable == 1
    assert rejected(extraction) == [("/data/1", "*", "statut_refuse")]
    assert "Fiche refusée" not in everything(extraction)


@pytest.mark.parametrize("status", [-1, "-4", -6])
def test_every_negative_status_is_a_refusal(status: object) -> None:
    page = make_page(json.dumps({"data": [{"id": "1", "name": "A", "status": status}]}))
    assert run(make_source("gogocarto"), page).unreadable == 1


@pytest.mark.parametrize("status", [0, 1, "3", None, "", "-"])
def test_other_statuses_are_not(status: object) -> None:
    page = make_page(json.dumps({"data": [{"id": "1", "name": "A", "status": status}]}))
    assert run(make_source("gogocarto"), page).fiches.num_rows == 1


def test_categories_are_names_in_every_form() -> None:
    codes = {"Agriculture et alimentation": {"themes": ["alimentation"]}}
    source = make_source("gogocarto", codes=codes)
    found = fiches(run(source, make_page(FIXTURES / "gogofull.json")))
    assert [found[key]["themes"] for key in ("3paH", "e1")] == [["alimentation"]] * 2
    found = fiches(run(source, make_page(FIXTURES / "transiscope.json")))
    assert found["3oEt"]["themes"] == ["alimentation"]


def test_reshaped_elements() -> None:
    extraction = run(
        make_source("gogocarto", ecarter=["email"]), make_page(FIXTURES / "transiscope.json")
    )
    found = fiches(extraction)
    expected = {
        "nom": "A l'essentiel",
        "adresse": "6 rue de la Chevalonnerie",
        "code_postal": "79190",
        "commune": "Sauzé-vaussais",
        "latitude": "46.13373",
        "longitude": "0.10912",
        "url": "https://presdecheznous.fr/annuaire#/fiche/id/CqS",
        "licence": None,
        "courriel": None,
        "pointeur": "/0",
    }
    assert {name: found["3paH"][name] for name in expected} == expected
    assert "magasin libre-service" in found["3paH"]["description"]
    assert "Épicerie" in found["3paH"]["description"]
    assert "prenom" not in everything(extraction)
    assert not rejected(extraction)


def test_a_map_s_own_fields_are_mapped_by_its_source() -> None:
    element = {"id": "1", "name": "A", "url": "https://a.example.org", "statut_ess": "SCIC"}
    source = make_source("gogocarto", champs={"site_web": "url"})
    extraction = run(source, make_page(json.dumps({"data": [element]})))
    assert fiches(extraction)["1"]["site_web"] == "https://a.example.org"
    assert rejected(extraction) == [("*", "statut_ess", "colonne_non_declaree")]


def test_licence_after_the_elements() -> None:
    body = '{"data": [{"id": "1", "name": "A", "licence": "x"}], "licence": "CC BY 4.0"}'
    extraction = run(make_source("gogocarto", ignorer=["licence"]), make_page(body))
    assert fiches(extraction)["1"]["licence"] == "cc-by-4.0"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('{"ontology": "gogocompact", "mapping": [], "data": []}', "ontology=gogofull"),
        ('{"message": "Not found"}', "clés trouvées : message"),
        ('"x"', "attendu un objet avec « data »"),
        ("<html><title>Maintenance</title></html>", "page de maintenance"),
    ],
)
def test_something_else_is_refused(body: str, reason: str) -> None:
    with pytest.raises(PayloadError, match=reason):
        run(make_source("gogocarto"), make_page(body))


def test_an_element_that_is_no_object_is_one_reject() -> None:
    extraction = run(make_source("gogocarto"), make_page('[{"id": "1", "name": "A"}, null]'))
    assert rejected(extraction) == [("/1", "*", "enregistrement_inattendu")]


def test_a_line_or_an_area_is_placed_at_its_centre() -> None:
    square = [[[1.0, 46.0], [1.2, 46.0], [1.2, 46.2], [1.0, 46.2], [1.0, 46.0]]]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": square}}
    for shape in (feature, json.dumps(feature), feature["geometry"]):
        element = {"id": "1", "name": "Jardin", "geo": None, "geoJSONFeature": shape}
        found = fiches(run(make_source("gogocarto"), make_page(json.dumps([element]))))["1"]
        assert (found["latitude"], found["longitude"]) == ("46.1", "1.1")
        assert found["precision_geo"]


def test_a_shape_that_cannot_be_read_is_told() -> None:
    element = {"id": "1", "name": "Jardin", "geoJSONFeature": {"geometry": {"type": "Cercle"}}}
    extraction = run(make_source("gogocarto"), make_page(json.dumps([element])))
    assert fiches(extraction)["1"]["nom"] == "Jardin"
    assert rejected(extraction) == [("1", "geoJSONFeature", "geometrie_illisible")]


def test_options_are_codes_when_there_are_no_names() -> None:
    codes = {"10486": {"themes": ["reparation"]}}
    for chosen in ({"optionValues": [{"optionId": 10486, "index": 0}]}, {"taxonomy": [10486]}):
        element = {"id": "1", "name": "Atelier", **chosen}
        page = make_page(json.dumps({"data": [element]}))
        found = fiches(run(make_source("gogocarto", codes=codes), page))["1"]
        assert found["themes"] == ["reparation"]


def test_an_address_in_one_text() -> None:
    element = {"id": "1", "name": "Atelier", "address": "3 rue du Four, 79000 Niort"}
    extraction = run(make_source("gogocarto"), make_page(json.dumps([element])))
    assert fiches(extraction)["1"]["adresse"] == "3 rue du Four, 79000 Niort"
    assert not rejected(extraction)
