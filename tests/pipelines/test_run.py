"""The whole journey on a small project: what is published, and what keeps being published."""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lowtech_data import refine
from lowtech_data.capture import Store
from lowtech_data.publish import release
from lowtech_data.resolve.decisions import Decisions, append, new_decision
from tests.conftest import Project, place_rows


@pytest.fixture
def two_listings(project: Project) -> Project:
    project.listing("alpha", place_rows("a"), donnees_du="2026-11-01")
    project.listing("beta", place_rows("b", 5), donnees_du="2026-11-10")
    return project


def table(path: Path, name: str) -> list[dict]:
    return pq.read_table(path / "parquet" / f"{name}.parquet").to_pylist()


def sums(path: Path) -> dict[str, str]:
    return {e["chemin"]: e["sha256"] for e in release.read_index(path)["fichiers"]}


def test_two_listings_give_each_initiative_once(two_listings: Project):
    outcomes, path, problems = two_listings.run()
    assert [o.status for o in outcomes] == ["ok", "ok"]
    assert problems == []
    initiatives = table(path, "initiatives")
    assert len(initiatives) == 8
    assert sorted(i["nb_sources"] for i in initiatives) == [1, 1, 1, 2, 2, 2, 2, 2]
    assert release.verify(path) == []


def test_every_published_value_leads_to_its_bytes(two_listings: Project):
    _, path, _ = two_listings.run()
    store = Store(two_listings.warehouse.captures)
    fiches = {(f["source_id"], f["cle_source"]): f for f in table(path, "fiches")}
    captures = {c["empreinte"] for c in table(path, "captures")}
    provenances = [p for p in table(path, "provenances") if p["retenue"]]
    assert len(provenances) > 80
    for value in provenances:
        fiche = fiches[value["source_id"], value["cle_source"]]
        assert fiche["capture"] == value["capture"]
        assert fiche["capture"] in captures
        assert hashlib.sha256(store.read(fiche["capture"])).hexdigest() == fiche["capture"]


def test_nothing_new_is_no_new_release(two_listings: Project):
    _, first, _ = two_listings.run("2026-11-20")
    outcomes, second, _ = two_listings.run("2026-12-24")
    assert second == first
    assert {o.status for o in outcomes} == {"inchangee"}


def test_a_content_that_comes_back_the_same_day_is_published_again(two_listings: Project):
    rows = place_rows("a")
    names = []
    for listed in (rows, rows[:7], rows, rows[:7]):
        two_listings.listing("alpha", listed, donnees_du="2026-11-01")
        _, path, problems = two_listings.run("2026-11-20")
        assert problems == []
        assert release.verify(path) == []
        names.append(path.name)
    assert len(set(names)) == len(names)
    versions = [row["id"] for row in release.versions(path)]
    assert versions == names[::-1]


def test_a_renamed_column_is_told_and_marks_the_source(two_listings: Project):
    file = two_listings.root / "alpha.csv"
    file.write_text(file.read_text().replace(",ville,", ",localite,", 1))
    outcomes, path, _ = two_listings.run()
    message = next(o.message for o in outcomes if o.source_id == "alpha")
    assert "ville" in message
    assert "localite" in message
    assert {s["id"]: s["sante"] for s in table(path, "sources")}["alpha"] == "degradee"


def test_order_of_sources_and_rows_does_not_change_a_byte(project: Project, tmp_path: Path):
    rows = {"alpha": place_rows("a"), "beta": place_rows("b", 5)}
    for name, listed in rows.items():
        project.listing(name, listed, donnees_du="2026-11-01")
    _, first, _ = project.run()

    other = Project(tmp_path / "autre")
    other.curated.mkdir(parents=True)
    for name in sorted(rows, reverse=True):
        other.listing(name, rows[name], donnees_du="2026-11-01")
    other.blocks = dict(random.Random(3).sample(sorted(other.blocks.items()), 2))
    other.write()
    _, second, _ = other.run()
    assert first.name == second.name
    assert sums(first) == sums(second)


def test_a_decision_splits_what_a_rule_merged_and_gives_the_id_back(two_listings: Project):
    _, before, _ = two_listings.run("2026-11-20")
    merged = {i["nom"]: i["id"] for i in table(before, "initiatives")}
    decisions = two_listings.curated / "decisions.jsonl"
    line = new_decision(
        Decisions(), date="2026-11-21", qui="equipe", decision="distinct",
        a="alpha:a0", b="beta:b0", motif="deux ateliers du même quai",
    )  # fmt: skip
    append(decisions, line)
    _, split, _ = two_listings.run("2026-11-22")
    ids = {(f["source_id"], f["cle_source"]): f["initiative_id"] for f in table(split, "fiches")}
    assert ids["alpha", "a0"] == merged["Atelier Vélo du Port"]
    assert ids["beta", "b0"] != ids["alpha", "a0"]
    assert [c["type"] for c in table(split, "changements")].count("ajout") == 1

    undo = new_decision(
        Decisions.load(decisions), date="2026-11-23", qui="equipe", decision="annuler",
        annule=line.id, motif="c’était bien le même",
    )  # fmt: skip
    append(decisions, undo)
    _, again, _ = two_listings.run("2026-11-24")
    known = {i["id"]: i for i in table(again, "identifiants")}
    assert known[ids["beta", "b0"]]["remplace_par"] == ids["alpha", "a0"]


def test_a_correction_wins_and_the_values_stay(two_listings: Project):
    append(
        two_listings.curated / "decisions.jsonl",
        new_decision(
            Decisions(), date="2026-11-21", qui="equipe", decision="corriger",
            a="beta:b1", champ="nom", valeur="Repair Café marnais", motif="nom d’usage",
        ),
    )  # fmt: skip
    _, path, problems = two_listings.run()
    assert problems == []
    names = {i["nom"]: i for i in table(path, "initiatives")}
    assert "Repair Café de la Marne" in names["Repair Café marnais"]["noms_alternatifs"]
    sources = {p["source_id"] for p in table(path, "provenances") if p["retenue"]}
    assert "corrections" in sources
    assert "corrections" in {s["id"] for s in table(path, "sources")}


def test_a_withdrawn_fiche_is_gone_and_its_id_says_so(project: Project):
    project.listing("alpha", place_rows("a"), donnees_du="2026-11-01")
    _, before, _ = project.run("2026-11-20")
    ids = {i["nom"]: i["id"] for i in table(before, "initiatives")}
    (project.curated / "objections.jsonl").write_text(
        json.dumps({"empreinte": refine.objection_digest("alpha", "a3"), "motif": "objection"})
        + "\n"
    )
    _, after, problems = project.run("2026-11-21")
    assert problems == []
    state = {i["id"]: i["etat"] for i in table(after, "identifiants")}
    assert state[ids["Fabrique Ouverte de Niort"]] == "retire"
    for file in after.rglob("*"):
        if file.is_file() and file.suffix in {".csv", ".json", ".jsonl"}:
            assert "Fabrique Ouverte" not in file.read_text(encoding="utf-8")
    assert b"Fabrique Ouverte" not in (after / "lowtech.sqlite").read_bytes()


def test_what_a_source_does_not_allow_is_not_published(project: Project):
    project.listing("alpha", place_rows("a"), donnees_du="2026-11-01")
    project.listing("comptee", place_rows("c", 2), donnees_du="2026-11-01",
                    republication="comptage")  # fmt: skip
    rows = [row | {"id": f"l{n}", "nom": f"Grange Ouverte {n}", "adresse": "7 rue Cachée"}
            for n, row in enumerate(place_rows("l", 3))]  # fmt: skip
    project.listing("liens", rows, donnees_du="2026-11-01", republication="faits_et_lien")
    _, path, problems = project.run()
    assert problems == []
    assert {f["source_id"] for f in table(path, "fiches")} == {"alpha", "liens"}
    names = {i["nom"]: i for i in table(path, "initiatives")}
    assert names["Grange Ouverte 0"]["commune"] == "Concarneau"
    assert names["Grange Ouverte 0"]["adresse"] is None
    counts = {s["id"]: s["nb_fiches"] for s in table(path, "sources")}
    assert counts["comptee"] == 2
    assert b"7 rue Cach" not in (path / "lowtech.sqlite").read_bytes()


def test_a_broken_decision_line_publishes_nothing_and_keeps_the_release(two_listings: Project):
    _, before, _ = two_listings.run("2026-11-20")
    (two_listings.curated / "decisions.jsonl").write_text("{pas du json\n")
    two_listings.listing("alpha", place_rows("a")[1:], donnees_du="2026-11-12")
    _, published, problems = two_listings.run("2026-11-21")
    assert published is None
    assert "ligne 1" in problems[0]
    assert two_listings.warehouse.current_release() == before


def test_a_failing_source_does_not_stop_the_others(two_listings: Project):
    two_listings.run("2026-11-20")
    (two_listings.root / "alpha.csv").write_text("<!doctype html><title>Connexion</title>")
    two_listings.blocks["alpha"]["donnees_du"] = "2026-11-12"
    two_listings.write()
    two_listings.listing("beta", place_rows("b", 6), donnees_du="2026-11-12")
    outcomes, path, _ = two_listings.run("2026-11-21")
    assert {o.source_id: o.status for o in outcomes} == {
        "alpha": "rejetee_qualite", "beta": "ok",
    }  # fmt: skip
    assert len(table(path, "initiatives")) == 8
    sources = {s["id"]: s for s in table(path, "sources")}
    assert (sources["alpha"]["sante"], sources["alpha"]["donnees_du"]) == ("cassee", "2026-11-01")
    assert (sources["beta"]["sante"], sources["beta"]["donnees_du"]) == ("ok", "2026-11-12")


def test_the_sqlite_file_finds_by_words_place_and_theme(two_listings: Project):
    _, path, _ = two_listings.run()
    db = sqlite3.connect(path / "lowtech.sqlite")
    found = db.execute(
        "SELECT i.nom FROM initiatives_fts f JOIN initiatives i ON i.rowid = f.rowid "
        "WHERE initiatives_fts MATCH 'velo concarneau'"
    ).fetchall()
    near = db.execute(
        "SELECT i.nom FROM initiatives_rtree r JOIN initiatives i ON i.rowid = r.rowid "
        "WHERE r.min_lat BETWEEN 47.8 AND 47.9 AND r.min_lon BETWEEN -4 AND -3.8"
    ).fetchall()
    themed = db.execute(
        "SELECT count(*) FROM initiatives_themes WHERE valeur = 'fabrication'"
    ).fetchone()
    assert found == near == [("Atelier Vélo du Port",)]
    assert themed == (8,)
