"""Fusion keeps every value, selects one of each, and does not depend on order."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa
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
    rows: list[dict[str, Any]], corrections: list[tuple[str, str, str, str]] | None = None
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
            "NULL::VARCHAR AS attribution, 'complete' AS republication, s AS fiabilite, "
            f"[]::VARCHAR[] AS copie_de FROM (SELECT unnest({list(SOURCES)}) AS s)"
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
        for name in ("site_web", "telephone", "adresse", "horaires"):
            fields[name] = draw(st.none() | st.sampled_from([f"{name} 1", f"{name} 2"]))
        fields["code_insee"] = draw(st.none() | st.sampled_from(["29019", "75056"]))
        if draw(st.booleans()):
            fields |= {"latitude": draw(st.sampled_from([48.1, 48.2])), "longitude": -4.0}
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
        themes = {t for r in rows if r["_entite"] == entity for t in r["themes"]}
        assert row["themes"] == sorted(themes)

    shuffled = random.sample(rows, len(rows))
    assert fuse_rows(shuffled) == (made, provenances)
