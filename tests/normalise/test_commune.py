"""Communes as people write them, and what a position adds to the text."""

import csv
import os
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from lowtech_data import reference

from .support import clean, each, one, rules, rules_of_each

_COMMUNES = pq.read_table(reference.REFERENCE_DIR / "communes.parquet")


def at(code: str) -> dict[str, str]:
    """The position of a commune's centre, as a source would write it, some 200 m off."""
    known = pc.and_(pc.equal(_COMMUNES["code"], code), pc.is_valid(_COMMUNES["latitude"]))
    row = _COMMUNES.filter(known).to_pylist()[0]
    return {"latitude": f"{row['latitude'] + 0.001:.5f}", "longitude": f"{row['longitude']:.5f}"}


def codes(*rows: dict[str, str]) -> list[str | None]:
    """The INSEE code found for each fiche: the district's where there is one."""
    return [f.get("code_arrondissement") or f.get("code_insee") for f in each(*rows)]


def check(cases: list[tuple[dict[str, str], str | None]]) -> None:
    found = codes(*(row for row, _ in cases))
    assert [(row, code) for (row, _), code in zip(cases, found, strict=True)] == cases


def test_the_spellings_of_one_commune():
    check(
        [
            ({"commune": "Paris XVIIIème"}, "75118"),
            ({"commune": "PARIS 14EME ARRDT"}, "75114"),
            ({"commune": "Paris 18"}, "75118"),
            ({"commune": "Paris-18e"}, "75118"),
            ({"commune": "Paris (18e)"}, "75118"),
            ({"commune": "Lyon 7e"}, "69387"),
            ({"commune": "Lyon VII"}, "69387"),
            ({"commune": "Lyon 3ème arr."}, "69383"),
            ({"commune": "Marseille 08"}, "13208"),
            ({"commune": "Marseille 1er Arrondissement"}, "13201"),
            ({"commune": "Paris 75011"}, "75111"),
            ({"commune": "13 - Marseille"}, "13055"),
            ({"commune": "13 - Marseille", "code_postal": "13003"}, "13203"),
            ({"commune": "St Etienne", "code_postal": "42000"}, "42218"),
            ({"commune": "Villeneuve d'Ascq (59)"}, "59009"),
            ({"commune": "CLERMONT FD"}, "63113"),
            ({"commune": "CLERMONT-FD CEDEX 1", "code_postal": "63001"}, "63113"),
            ({"commune": "Aix en Pce"}, "13001"),
            ({"commune": "Chalon s/Saône"}, "71076"),
            ({"commune": "Saint-Denis (93)"}, "93066"),
            ({"commune": "Saint-Denis (974)"}, "97411"),
            ({"commune": "93 Saint-Denis"}, "93066"),
            ({"commune": "Saint-Denis, Seine-Saint-Denis"}, "93066"),
            ({"commune": "Saint-Denis, La Réunion"}, "97411"),
            ({"commune": "Sète, France"}, "34301"),
            ({"commune": "Sète, Hérault, Occitanie, France"}, "34301"),
            ({"commune": "Mairie de Sète"}, "34301"),
            ({"commune": "Ville de Nantes"}, "44109"),
            ({"commune": "Commune de Biot", "code_postal": "06410"}, "06018"),
            ({"commune": "Cherbourg"}, "50129"),
        ]
    )


def test_postcodes_as_people_write_them():
    check(
        [
            ({"code_postal": "F-75011"}, "75111"),
            ({"code_postal": "FR-75011", "commune": "Paris"}, "75111"),
            ({"code_postal": "75 011", "commune": "Paris"}, "75111"),
            ({"code_postal": "75011.0", "commune": "Paris"}, "75111"),
            ({"code_postal": "6410", "commune": "Biot"}, "06018"),
            ({"code_postal": "0", "commune": "Biot"}, "06018"),
            ({"code_postal": "97xxx", "commune": "Saint-Denis"}, "97411"),
            ({"code_postal": "93xxx", "commune": "Saint-Denis"}, "93066"),
            ({"code_postal": "93***", "commune": "Saint-Denis"}, "93066"),
            ({"code_postal": "35", "commune": "Rennes"}, "35238"),
            ({"code_postal": "93", "commune": "Saint-Denis"}, "93066"),
            ({"code_postal": "44099", "commune": "NANTES CEDEX 1"}, "44109"),
            ({"code_postal": "38000 Grenoble"}, "38185"),
            ({"code_postal": "93200 Saint-Denis Cedex"}, "93066"),
            ({"commune": "38000"}, "38185"),
            ({"commune": "93200 Saint-Denis"}, "93066"),
            ({"commune": "Saint-Denis 93200"}, "93066"),
            ({"code_postal": "Saint-Denis", "commune": "93200"}, "93066"),
            ({"code_postal": "Nantes", "commune": "44000"}, "44109"),
        ]
    )


def test_names_that_are_wrong_by_a_letter():
    check(
        [
            ({"commune": "Strabourg", "code_postal": "67000"}, "67482"),
            ({"commune": "Strabourg", **at("67482")}, "67482"),
            ({"commune": "Strabourg"}, None),
            ({"commune": "Grenolbe", **at("38185")}, "38185"),
            ({"commune": "Strabourg", **at("38185")}, None),
            ({"commune": "Sainte-Foy", **at("69202")}, "69202"),
            ({"commune": "Villeneuve d'Asq", "code_postal": "59650"}, "59009"),
        ]
    )


def test_a_position_alone_gives_the_commune_when_it_is_certain():
    check(
        [
            (at("38185"), "38185"),
            ({"latitude": "48.892", "longitude": "2.345"}, "75118"),
            ({"latitude": "47.2035", "longitude": "-1.5336"}, None),
            ({"latitude": "47.5", "longitude": "-4.5"}, None),
            ({"commune": "France", **at("38185")}, None),
            ({"commune": "Quartier des Cordeliers", **at("38185")}, None),
        ]
    )


def test_the_position_settles_what_the_text_leaves_open():
    check(
        [
            ({"code_postal": "28140", **at("28019")}, "28019"),
            ({"code_postal": "28140"}, None),
            ({"code_postal": "38999", **at("38185")}, "38185"),
            ({"code_postal": "69999", **at("38185")}, None),
            ({"commune": "Saint-Denis", **at("93066")}, "93066"),
            ({"commune": "Saint-Denis"}, None),
            ({"commune": "Puilboreau, La Rochelle", **at("17291")}, "17291"),
            ({"commune": "Puilboreau / La Rochelle", **at("17300")}, "17300"),
            ({"commune": "Puilboreau, La Rochelle"}, None),
            ({"commune": "Puilboreau, La Rochelle", "code_postal": "17138"}, "17291"),
            ({"commune": "Rennes", "code_postal": "44000", **at("35238")}, "35238"),
        ]
    )


def test_an_open_question_has_its_reason():
    rows = [
        {"commune": "Saint-Denis"},
        {"commune": "Puilboreau, La Rochelle"},
        {"commune": "Strabourg"},
        {"commune": "Bretagne"},
        {"commune": "Nantes", "code_postal": "44000", **at("38185")},
        {"commune": "Concarneau", **at("38185")},
    ]
    wanted = [
        ("commune", "commune_ambigue"),
        ("commune", "commune_ambigue"),
        ("commune", "commune_inconnue"),
        ("commune", "commune_inconnue"),
        ("latitude", "loin_de_la_commune"),
        ("commune", "commune_contredite_par_la_position"),
    ]
    for found, rule in zip(rules_of_each(*rows), wanted, strict=True):
        assert rule in found
    assert codes(rows[4]) == ["44109"]


def test_a_region_or_a_country_is_never_a_commune():
    places = [{}, at("35238"), at("36024"), at("97411"), at("47222")]
    names = [
        "Bretagne",
        "BRETAGNE",
        "Bretagne (FR)",
        "Région Bretagne",
        "Île-de-France (FR)",
        "Ile de France",
        "Provence-Alpes-Côte d'Azur",
        "PACA",
        "Région Sud",
        "La Réunion",
        "Réunion (FR)",
        "Corse",
        "Centre-Val de Loire (FR)",
        "France",
        "FR",
        "France métropolitaine",
        "Auvergne",
        "Nord-Pas-de-Calais",
        "Belgique",
    ]
    rows = [{"commune": name, **place} for name in names for place in places]
    found = codes(*rows)
    assert [row for row, code in zip(rows, found, strict=True) if code] == []


def test_a_commune_named_like_a_region_is_found_by_its_postcode():
    check(
        [
            ({"commune": "Bretagne", "code_postal": "36110"}, "36024"),
            ({"commune": "La Réunion", "code_postal": "47700"}, "47222"),
            ({"commune": "Bretagne", "code_postal": "35000"}, "35238"),
            ({"commune": "Vienne"}, "38544"),
        ]
    )


def test_communes_of_yesterday_lead_to_that_of_today():
    check(
        [
            ({"commune": "Hérouvillette", "code_postal": "14850"}, "14328"),
            ({"commune": "Saint-Bois", "code_postal": "01300"}, "01015"),
            ({"code_insee": "01340"}, "01015"),
            ({"commune": "Lomme", "code_postal": "59160"}, "59350"),
            ({"commune": "Châlons-sur-Marne"}, "51108"),
        ]
    )


@pytest.mark.skipif("LOWTECH_LISTINGS" not in os.environ, reason="LOWTECH_LISTINGS est absent")
def test_no_region_of_a_real_listing_becomes_a_commune():
    path = Path(os.environ["LOWTECH_LISTINGS"]) / "real" / "ban_false_positives.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = [
            {
                "nom": row["Nom"],
                "commune": row["Région(s)"],
                "latitude": row["latitude"],
                "longitude": row["longitude"],
            }
            for row in csv.DictReader(file)
        ]
    assert len(rows) == 159
    assert codes(*rows) == [None] * len(rows)


def test_two_of_name_postcode_and_point_outweigh_the_third():
    olivet = {"adresse": "12 rue Haute<br>Olivet - 45160", "commune": "Orléans"}
    two = {"adresse": "49 chemin Vert, 62340 Bouquehault. 62100 Calais"}
    check(
        [
            ({"commune": "Bourg-en-Bresse", "code_postal": "01440", **at("01451")}, "01451"),
            ({"commune": "Bourg-en-Bresse", "code_postal": "01440", **at("01053")}, "01053"),
            ({"commune": "Pont-de-Claix", "code_postal": "38000"}, "38317"),
            ({"commune": "Sophia Antipolis", "code_insee": "14327", **at("06152")}, None),
            ({"commune": "Sophia Antipolis", "code_insee": "06152", **at("06152")}, "06152"),
            ({"commune": "Nantes", "code_insee": "14327", **at("44109")}, "44109"),
            (olivet, "45232"),
            ({**olivet, **at("45232")}, "45232"),
            ({**olivet, **at("45234")}, "45234"),
            ({**olivet, "code_postal": "45000"}, "45234"),
            ({**two, **at("62161")}, "62161"),
            ({**two, **at("62193")}, "62193"),
        ]
    )


def test_small_words_and_articles_may_be_missing():
    check(
        [
            ({"commune": "Village Lac de Paladru", "code_postal": "38700"}, "38292"),
            ({"commune": "La grève sur le mignon", "code_postal": "17170"}, "17182"),
            ({"commune": "Péone-Valberg", "code_postal": "6094", **at("06094")}, "06094"),
            ({"commune": "Valberg", "code_postal": "6094"}, None),
        ]
    )


def test_a_code_written_as_a_postcode_is_not_published():
    fiche = one(commune="Péone", code_postal="6094")
    assert (fiche["code_insee"], fiche["code_postal"]) == ("06094", "06470")
    assert ("code_postal", "code_postal_contredit") in rules(commune="Péone", code_postal="6094")


def test_a_position_gives_the_district_when_it_is_certain():
    rows = [
        {"commune": "Paris", "latitude": "48.892", "longitude": "2.345"},
        {"commune": "Paris", "latitude": "48.8566", "longitude": "2.3522"},
        {
            "commune": "Lyon",
            "adresse": "2 place Haute",
            "latitude": "45.7300",
            "longitude": "4.8370",
        },
    ]
    assert [fiche["code_arrondissement"] for fiche in each(*rows)] == ["75118", None, "69387"]


def test_what_is_no_commune_in_the_postcode_is_not_shown():
    found = clean({"code_postal": "zoe quenneville"}, {"code_postal": "zoe at quenneville dot fr"})
    assert {row["champ"] for row in found.rejects.to_pylist()} == {"code_postal"}
    assert [fiche["commune"] for fiche in found.fiches.to_pylist()] == [None, None]
