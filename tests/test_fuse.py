"""Fusion keeps every value, selects one of each, and does not depend on order."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lowtech_data import fuse
from lowtech_data.model import SNAPSHOT_SCHEMA

SOURCES = ("officielle", "reseau", "contributive")
DAYS = ("2026-01-01", "2026-06-01", "2026-11-01")


def fiche(source: str, key: str, entity: str, **fields: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(SNAPSHOT_SCHEMA.names)
    lists = {n: [] for n in ("noms_alternatifs", "familles", "themes", "piliers", "principes")}
    return (
        row
        | lists
        | {
            "source_id": source, "cle_source": key, "entite": "initiative", "capture": "c",
            "pointeur": "p", "regle_selection": "liste", "nom": "Atelier", "etapes": [],
            "identifiants": [], "premiere_vue": "2025-01-01", "derniere_vue": "2026-11-01",
            "_entite": entity,
        }
        | fields
    )  # fmt: skip


def fuse_rows(
    rows: list[dict[str, Any]], corrections: list[tuple[str, str, str | None, str]] | None = None
) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
    with duckdb.connect() as con:
        con.register("t", pa.Table.from_pylist(rows, SNAPSHOT_SCHEMA))
        con.execute("CREATE TABLE fiches_brutes AS FROM t")
        con.execute(
            "CREATE TABLE appartenance (source_id VARCHAR, cle_source VARCHAR, entite_id VARCHAR)"
        )
        con.executemany(
            "INSERT INTO appartenance VALUES (?, ?, ?)",
            [[r["source_id"], r["cle_source"], r["_entite"]] for r in rows],
        )
        con.execute(
            "CREATE TABLE registre_sources AS SELECT s AS id, s AS editeur, 'lov2' AS licence, "
            "NULL::VARCHAR AS attribution, s AS fiabilite, []::VARCHAR[] AS copie_de, "
            "CASE s WHEN 'faits' THEN 'faits_et_lien' ELSE 'complete' END AS republication "
            f"FROM (SELECT unnest({[*SOURCES, 'faits']}) AS s)"
        )
        con.execute(
            "CREATE TABLE transformations (source_id VARCHAR, cle_source VARCHAR, champ VARCHAR,"
            " valeur_source VARCHAR, regle VARCHAR)"
        )
        con.execute(
            "CREATE TABLE corrections "
            "(entite_id VARCHAR, champ VARCHAR, valeur VARCHAR, decision VARCHAR)"
        )
        for line in corrections or []:
            con.execute("INSERT INTO corrections VALUES (?, ?, ?, ?)", list(line))
        fuse.publishable(con)
        fuse.fuse(con, data_date="2026-11-01")
        initiatives = con.sql("FROM initiatives").to_arrow_table().to_pylist()
        provenances = con.sql("FROM provenances ORDER BY ALL").to_arrow_table().to_pylist()
    return {row["id"]: row for row in initiatives}, provenances


def test_an_official_source_wins_over_a_contributed_one():
    rows = [
        fiche("contributive", "1", "e", site_web="https://a.fr", date_maj="2026-10-01"),
        fiche("officielle", "1", "e", site_web="https://b.fr", date_maj="2020-01-01"),
    ]
    made, _ = fuse_rows(rows)
    assert made["e"]["site_web"] == "https://b.fr"


def test_the_recent_wins_between_equals_and_the_present_over_the_absent():
    rows = [
        fiche("reseau", "1", "e", site_web="https://vieux.fr", date_maj="2024-01-01"),
        fiche("reseau", "2", "e", site_web="https://neuf.fr", date_maj="2026-01-01"),
        fiche("reseau", "3", "e", site_web="https://parti.fr", date_maj="2026-09-01",
              absent_depuis="2026-10-01"),
    ]  # fmt: skip
    made, _ = fuse_rows(rows)
    assert made["e"]["site_web"] == "https://neuf.fr"


def test_place_and_position_each_come_from_one_fiche():
    brest = {"commune": "Brest", "code_insee": "29019", "code_departement": "29"}
    paris = {"commune": "Paris", "code_insee": "75056", "code_departement": "75"}
    rows = [
        fiche("officielle", "1", "e", **brest, latitude=48.3, longitude=-4.5,
              precision_geo="commune"),
        fiche("contributive", "1", "e", **brest, adresse="3 rue du Port", latitude=48.39,
              longitude=-4.48, precision_geo="numero"),
        fiche("reseau", "1", "e", **paris, latitude=48.8, longitude=2.3, precision_geo="numero"),
    ]  # fmt: skip
    made, _ = fuse_rows(rows)
    assert (made["e"]["commune"], made["e"]["adresse"]) == ("Brest", "3 rue du Port")
    assert (made["e"]["latitude"], made["e"]["longitude"]) == (48.39, -4.48)


def test_a_name_in_capitals_gives_way_and_stays_findable():
    rows = [
        fiche("officielle", "1", "e", nom="LA FORGE"),
        fiche("reseau", "1", "e", nom="La Forge"),
    ]
    made, _ = fuse_rows(rows)
    assert made["e"]["nom"] == "La Forge"
    assert made["e"]["noms_alternatifs"] == ["LA FORGE"]


def test_a_correction_wins_over_every_source():
    rows = [fiche("officielle", "1", "e", site_web="https://a.fr")]
    made, provenances = fuse_rows(rows, [("e", "site_web", "https://juste.fr", "d1")])
    assert made["e"]["site_web"] == "https://juste.fr"
    assert [p["retenue"] for p in provenances if p["valeur"] == "https://a.fr"] == [False]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("site_web", "", None),
        ("site_web", None, None),
        ("themes", "energie|habitat", ["energie", "habitat"]),
        ("themes", None, []),
        ("latitude", "48.5", 48.5),
    ],
)
def test_a_correction_replaces_or_empties_what_sources_say(name, value, expected):
    rows = [
        fiche("officielle", "1", "e", site_web="https://a.fr", themes=["eau"], latitude=48.0,
              longitude=-4.0),
    ]  # fmt: skip
    made, provenances = fuse_rows(rows, [("e", name, value, "d1")])
    assert made["e"][name] == expected
    said = [p for p in provenances if p["champ"] == name and p["source_id"] == "officielle"]
    assert [p["retenue"] for p in said] == [False]


def test_a_corrected_commune_brings_its_territories():
    paris = {"commune": "Paris", "code_insee": "75056", "code_arrondissement": "75111"}
    rows = [fiche("officielle", "1", "e", **paris, code_departement="75", code_region="11")]
    made, _ = fuse_rows(rows, [("e", "code_insee", "29019", "d1")])
    row = made["e"]
    assert (row["commune"], row["code_departement"], row["code_region"]) == ("Brest", "29", "53")
    assert row["code_arrondissement"] is None


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("latitude", "au nord", "d1 : « au nord » n’est pas une valeur de latitude"),
        ("nomm", "Forge", "d1 : le champ « nomm »"),
        ("code_insee", "99999", "d1 : « 99999 »"),
    ],
)
def test_a_correction_that_cannot_be_applied_is_named(name, value, said):
    with pytest.raises(fuse.CorrectionError, match=said):
        fuse_rows([fiche("officielle", "1", "e")], [("e", name, value, "d1")])


BREST = {"commune": "Brest", "code_insee": "29019"}
PARIS = {"commune": "Paris", "code_insee": "75056"}


def test_an_address_is_not_made_of_two_fiches():
    rows = [
        fiche("officielle", "1", "e", **PARIS, code_arrondissement="75012", code_postal="75012",
              complement_adresse="Bâtiment C"),
        fiche("reseau", "1", "e", **PARIS, code_arrondissement="75011",
              adresse="4 rue Oberkampf", code_postal="75011"),
    ]  # fmt: skip
    made, _ = fuse_rows(rows)
    row = made["e"]
    assert (row["adresse"], row["code_postal"]) == ("4 rue Oberkampf", "75011")
    assert (row["code_arrondissement"], row["complement_adresse"]) == ("75011", None)


def test_an_address_and_a_region_without_commune_are_not_lost():
    rows = [
        fiche("officielle", "1", "e", **BREST),
        fiche("reseau", "1", "e", adresse="3 rue du Port", code_postal="29200"),
    ]
    made, _ = fuse_rows([*rows, fiche("reseau", "2", "f", code_region="53")])
    assert (made["e"]["adresse"], made["e"]["code_postal"]) == ("3 rue du Port", "29200")
    assert made["f"]["code_region"] == "53"


def test_a_numbered_address_wins_over_a_street_alone():
    rows = [
        fiche("officielle", "1", "e", **BREST, adresse="rue du Port"),
        fiche("contributive", "1", "e", **BREST, adresse="3 rue du Port"),
    ]
    made, _ = fuse_rows(rows)
    assert made["e"]["adresse"] == "3 rue du Port"


def test_a_point_is_of_the_selected_street_and_never_of_another_commune():
    rows = [
        fiche("officielle", "1", "e", **BREST, adresse="3 rue du Port", latitude=48.38,
              longitude=-4.49, precision_geo="voie"),
        fiche("contributive", "1", "e", **BREST, adresse="9 quai Malbert", latitude=48.4,
              longitude=-4.5, precision_geo="numero"),
        fiche("officielle", "2", "f", **BREST, adresse="3 rue du Port"),
        fiche("officielle", "3", "f", **PARIS, latitude=48.8, longitude=2.3,
              precision_geo="numero"),
    ]  # fmt: skip
    made, provenances = fuse_rows(rows)
    assert made["e"]["latitude"] == 48.38
    assert made["f"]["latitude"] is None
    assert ("f", "48.8") in {(p["entite_id"], p["valeur"]) for p in provenances}


def test_a_kind_of_place_wins_over_a_legal_form_and_an_own_site_over_a_social_page():
    rows = [
        fiche("officielle", "1", "e", type="association", nature="organisation",
              site_web="https://www.facebook.com/forge"),
        fiche("contributive", "1", "e", type="fablab", nature="lieu",
              site_web="https://forge.fr"),
    ]  # fmt: skip
    made, _ = fuse_rows(rows)
    row = made["e"]
    assert (row["type"], row["nature"], row["site_web"]) == ("fablab", "lieu", "https://forge.fr")


@pytest.mark.parametrize(
    ("closed", "listed", "expected"),
    [
        ({"date_maj": "2025-01-01"}, {}, "ferme"),
        ({"date_maj": "2025-01-01"}, {"date_maj": "2024-01-01"}, "ferme"),
        ({"date_maj": "2025-01-01"}, {"date_maj": "2025-01-01"}, "ferme"),
        ({"date_maj": "2025-01-01"}, {"date_maj": "2026-01-01"}, "publie"),
        ({}, {"date_maj": "2026-01-01"}, "ferme"),
    ],
)
def test_a_closure_holds_until_a_fiche_is_updated_after_it(closed, listed, expected):
    rows = [
        fiche("contributive", "1", "e", statut="ferme", **closed),
        fiche("officielle", "1", "e", statut="publie", **listed),
    ]
    made, _ = fuse_rows(rows)
    assert made["e"]["statut"] == expected


def test_the_update_of_an_initiative_is_its_last_one():
    rows = [
        fiche("officielle", "1", "e", date_maj="2019-01-01"),
        fiche("contributive", "1", "e", date_maj="2026-01-01"),
    ]
    made, _ = fuse_rows(rows)
    assert made["e"]["date_maj"] == "2026-01-01"


def test_days_of_harvest_do_not_move_what_is_selected():
    def selected(first: str, second: str) -> str:
        made, _ = fuse_rows(
            [
                fiche("reseau", "1", "e", site_web="https://a.fr", derniere_vue=first),
                fiche("reseau", "2", "e", site_web="https://b.fr", derniere_vue=second),
            ]
        )
        return str(made["e"]["site_web"])

    assert selected("2026-11-01", "2026-10-01") == selected("2026-10-01", "2026-11-01")


def test_a_dated_fiche_is_more_recent_than_an_undated_one():
    rows = [
        fiche("reseau", "1", "e", site_web="https://sans-date.fr"),
        fiche("reseau", "2", "e", site_web="https://date.fr", date_maj="2026-01-01"),
    ]
    made, _ = fuse_rows(rows)
    assert made["e"]["site_web"] == "https://date.fr"


def test_two_siret_stay_and_the_siren_is_that_of_the_selected_one():
    rows = [
        fiche("contributive", "1", "e", siret="11111111100011"),
        fiche("officielle", "1", "e", siret="22222222200022"),
    ]
    made, provenances = fuse_rows(rows)
    assert (made["e"]["siret"], made["e"]["siren"]) == ("22222222200022", "222222222")
    assert sorted(p["valeur"] for p in provenances if p["champ"] == "siret") == [
        "11111111100011", "22222222200022",
    ]  # fmt: skip


def test_a_name_is_not_its_own_alternative():
    rows = [
        fiche("officielle", "1", "e", nom="La Forge"),
        fiche("reseau", "1", "e", nom="Forge", noms_alternatifs=["La Forge", "42"]),
    ]
    made, _ = fuse_rows(rows)
    assert made["e"]["noms_alternatifs"] == ["42", "Forge"]


def test_facts_and_a_link_give_no_contact_and_no_place_beyond_the_commune():
    rows = [
        fiche("faits", "1", "e", **BREST, adresse="3 rue du Port", site_web="https://a.fr",
              latitude=48.0, longitude=-4.0, resume="long", themes=["eau"]),
    ]  # fmt: skip
    made, provenances = fuse_rows(rows)
    row = made["e"]
    assert (row["commune"], row["themes"]) == ("Brest", ["eau"])
    assert {row[n] for n in ("adresse", "site_web", "latitude", "resume")} == {None}
    assert {p["champ"] for p in provenances} <= fuse.FACTS


def test_an_initiative_that_every_source_dropped_is_archived_after_the_grace():
    long_ago, lately = "2026-08-01", "2026-10-20"
    made, _ = fuse_rows(
        [
            fiche("reseau", "1", "vieille", absent_depuis=long_ago),
            fiche("reseau", "2", "recente", absent_depuis=lately),
            fiche("reseau", "3", "tenue", absent_depuis=long_ago),
            fiche("officielle", "3", "tenue"),
        ]
    )
    assert {name: row["statut"] for name, row in made.items()} == {
        "vieille": "archive", "recente": "publie", "tenue": "publie",
    }  # fmt: skip


@st.composite
def clusters(draw: st.DrawFn) -> list[dict[str, Any]]:
    rows = []
    for number in range(draw(st.integers(1, 7))):
        fields: dict[str, Any] = {"nom": draw(st.sampled_from(["Atelier", "ATELIER", "Forge"]))}
        for name in ("site_web", "telephone", "adresse", "horaires", "code_postal"):
            fields[name] = draw(st.none() | st.sampled_from([f"{name} 1", f"{name} 2"]))
        fields["code_insee"] = draw(st.none() | st.sampled_from(["29019", "75056"]))
        if draw(st.booleans()):
            fields |= {"latitude": draw(st.sampled_from([48.1, 48.2])), "longitude": -4.0}
        fields["type"] = draw(st.none() | st.sampled_from(["fablab", "association"]))
        fields["statut"] = draw(st.sampled_from(["publie", "ferme", "a_verifier"]))
        fields["themes"] = draw(st.lists(st.sampled_from(["eau", "energie"]), unique=True))
        fields["date_maj"] = draw(st.none() | st.sampled_from(DAYS))
        fields["absent_depuis"] = draw(st.none() | st.just("2026-10-01"))
        entity = draw(st.sampled_from(["e1", "e2"]))
        rows.append(fiche(draw(st.sampled_from(SOURCES)), str(number), entity, **fields))
    return rows


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(clusters(), st.randoms(use_true_random=False))
def test_no_value_is_lost_one_is_selected_and_order_does_not_matter(rows, random):
    made, provenances = fuse_rows(rows)

    said = {
        (r["_entite"], name, r["source_id"], r["cle_source"], str(r[name]))
        for r in rows
        for name in ("nom", "site_web", "telephone", "adresse", "horaires", "code_insee")
        if r[name] is not None
    }
    kept = {
        (p["entite_id"], p["champ"], p["source_id"], p["cle_source"], p["valeur"])
        for p in provenances
    }
    assert said <= kept
    for entity, row in made.items():
        for name in ("nom", "site_web", "telephone", "adresse", "horaires"):
            selected = {
                p["valeur"]
                for p in provenances
                if p["entite_id"] == entity and p["champ"] == name and p["retenue"]
            }
            assert selected == ({row[name]} if row[name] is not None else set())
        place = (row["code_insee"], row["adresse"])
        if all(place):
            assert place in {
                (r["code_insee"] or row["code_insee"], r["adresse"])
                for r in rows
                if r["_entite"] == entity
            }
        themes = {t for r in rows if r["_entite"] == entity for t in r["themes"]}
        assert row["themes"] == sorted(themes)

    shuffled = random.sample(rows, len(rows))
    assert fuse_rows(shuffled) == (made, provenances)
