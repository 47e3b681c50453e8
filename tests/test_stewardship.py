"""What a data steward reads and decides between two runs: queue, previews, diagnoses, releases."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from lowtech_data import diagnose, preview, refine, review, snapshot
from lowtech_data.cli import app
from lowtech_data.extract.base import PayloadError
from lowtech_data.publish import changes, release
from lowtech_data.resolve.decisions import DecisionError, Decisions, append, new_decision
from tests.conftest import Project, place_rows

DAY = date(2026, 11, 21)
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two listings; one place of the second has moved, which only a person can tell."""
    project = Project(tmp_path_factory.mktemp("suivi"))
    project.curated.mkdir()
    moved = place_rows("b", 3)
    moved[0] |= {"adresse": "40 avenue de la Gare", "lat": "47.8801", "lon": "-3.9011"}
    project.listing("alpha", place_rows("a"), donnees_du="2026-11-01")
    project.listing("beta", moved, donnees_du="2026-11-01")
    _, path, problems = project.run("2026-11-20")
    assert problems == []
    assert path is not None
    return project


def test_an_uncertain_pair_waits_for_a_person(project: Project):
    (pair,) = review.queue(project.warehouse)
    assert {pair.a, pair.b} == {"alpha:a0", "beta:b0"}
    sheet = review.show(project.warehouse, pair.a, pair.b)
    fields = {name: (left, right) for name, left, right in sheet.fields}
    assert fields["adresse"] == ("12 rue du Port", "40 avenue de la Gare")
    assert fields["nom"][0] == fields["nom"][1]
    command = ["review", "show", pair.a, pair.b, "--warehouse", str(project.warehouse.root)]
    shown = CliRunner().invoke(app, command).stdout
    marks = dict(reversed(line.split()[:2]) for line in shown.splitlines() if line[:1] in "=≈≠")
    assert (marks["adresse"], marks["nom"]) == ("≠", "=")
    assert any(name.startswith("nom") for name, _ in sheet.parts)


def test_a_decision_takes_the_pair_out_of_the_queue_and_can_be_undone(project: Project):
    path = project.curated / "decisions.jsonl"
    line = review.decide(
        project.warehouse, path, "beta:b0", "alpha:a0", "lie",
        predicate="demenage", reason="annoncé sur leur site", who="equipe", day=DAY,
    )  # fmt: skip
    try:
        assert set(line.empreintes) == {"alpha:a0", "beta:b0"}
        _, published, problems = project.run("2026-11-21")
        assert problems == []
        assert published is not None
        assert review.queue(project.warehouse) == []
        with pytest.raises(DecisionError, match="opposées"):
            review.decide(
                project.warehouse, path, "alpha:a0", "beta:b0", "identique",
                predicate=None, reason="les mêmes", who="autre", day=DAY,
            )  # fmt: skip
        assert len(path.read_text().splitlines()) == 1
    finally:
        review.undo(path, line.id, reason="erreur", who="equipe", day=DAY)
    assert Decisions.load(path).active == ()
    with pytest.raises(KeyError, match="aucune décision en vigueur"):
        review.undo(path, line.id, reason="deux fois", who="equipe", day=DAY)
    project.run("2026-11-22")
    assert len(review.queue(project.warehouse)) == 1


def test_an_unknown_fiche_is_named(project: Project):
    with pytest.raises(KeyError, match="alpha:zz"):
        review.show(project.warehouse, "alpha:zz", "beta:b0")


def test_the_queue_before_any_run_says_what_to_do(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="lowtech run"):
        review.queue(Project(tmp_path).warehouse)


def test_a_preview_counts_and_stores_no_fiche(tmp_path: Path):
    project = Project(tmp_path)
    rows = [*place_rows("a", 3), place_rows("x", 1)[0] | {"genre": "atelier secret"}]
    rows[0]["tel"] = "06 12 34 56 78"
    project.listing("neuve", rows, etat="en_pause", motif_etat="à essayer")
    registry = project.registry()
    found = preview.preview(registry["neuve"], registry, project.warehouse, now=NOW, client=None)
    assert (found.read, found.fiches, found.left_out) == (4, 4, 0)
    assert dict(found.filled)["nom"] == 1.0
    refused = {(refusal.rule, refusal.field): refusal.count for refusal in found.refusals}
    assert refused["code_inconnu", "categories"] == 1
    assert refused["mobile_ecarte", "telephone"] == 1
    assert not project.warehouse.snapshot_link("neuve").exists()

    (project.root / "neuve.csv").write_text("<html><title>Connexion</title></html>")
    with pytest.raises(PayloadError, match="Connexion"):
        preview.preview(registry["neuve"], registry, project.warehouse, now=NOW, client=None)


def test_a_preview_without_a_fiche_says_why(tmp_path: Path):
    project = Project(tmp_path)
    project.listing("vide", [row | {"nom": ""} for row in place_rows("a", 3)])
    registry = project.registry()
    found = preview.preview(registry["vide"], registry, project.warehouse, now=NOW, client=None)
    assert (found.read, found.fiches, found.refused) == (3, 0, 3)
    assert [refusal.rule for refusal in found.refusals if refusal.loses_records] == ["nom_absent"]
    assert found.examples == ()


def test_a_first_harvest_without_a_fiche_says_why_and_what_to_do(tmp_path: Path):
    project = Project(tmp_path)
    project.curated.mkdir()
    project.listing("bonne", place_rows("a"), donnees_du="2026-11-01")
    project.listing("vide", [row | {"nom": ""} for row in place_rows("a", 3)])
    project.run("2026-11-20")
    (found,) = diagnose.diagnose(project.registry(), project.warehouse)
    assert "aucune fiche sur 3 lues : sans nom (3)" in found.what
    assert found.advice.startswith("lowtech sources preview vide")


def test_a_diagnosis_says_since_when_and_what_to_do(tmp_path: Path):
    project = Project(tmp_path)
    project.curated.mkdir()
    project.listing("bonne", place_rows("a"), donnees_du="2026-11-01")
    project.listing("pause", [], etat="en_pause", motif_etat="licence à demander")
    project.listing("casse", place_rows("c"), donnees_du="2026-11-01")
    project.run("2026-11-20")
    for day in ("2026-11-10", "2026-11-17"):
        project.listing("casse", place_rows("c", 1), donnees_du=day)
        project.run("2026-11-20")
    found = {f.source_id: f for f in diagnose.diagnose(project.registry(), project.warehouse)}
    assert set(found) == {"pause", "casse"}
    assert found["casse"].failing
    assert found["casse"].since == "2026-11-10T00:00:00Z"
    assert "données du 2026-11-01 gardées" in found["casse"].what
    assert "bornes.min" in found["casse"].advice
    assert not found["pause"].failing
    assert "licence à demander" in found["pause"].what


def test_an_altered_release_is_seen(tmp_path: Path):
    project = Project(tmp_path)
    project.curated.mkdir()
    project.listing("alpha", place_rows("a"), donnees_du="2026-11-01")
    _, path, _ = project.run("2026-11-20")
    assert path is not None
    assert release.verify(path) == []
    (path / "csv" / "initiatives.csv").write_text("id\n")
    (path / "csv" / "codes.csv").unlink()
    (path / "intrus.txt").write_text("x")
    problems = "\n".join(release.verify(path))
    assert "csv/initiatives.csv : les octets" in problems
    assert "csv/codes.csv : fichier absent" in problems
    assert "intrus.txt : fichier qui" in problems


def test_differences_between_releases_are_told_by_entity(tmp_path: Path):
    project = Project(tmp_path)
    project.curated.mkdir()
    project.listing("alpha", place_rows("a", 7), donnees_du="2026-11-01")
    _, first, _ = project.run("2026-11-02")
    rows = place_rows("a")
    rows[2]["adresse"] = "9 avenue des Tilleuls"
    project.listing("alpha", rows, donnees_du="2026-11-08")
    _, second, _ = project.run("2026-11-09")
    assert first is not None
    assert second is not None
    header, *told = changes.between(first, second)
    assert header == ("changement", "id", "nom", "champs")
    assert sorted((kind, name, fields) for kind, _, name, fields in told) == [
        ("ajout", "Tiers-lieu Le Grand Chêne", ""),
        ("modification", "La Recyclerie des Tilleuls", "adresse"),
    ]
    versions = release.versions(second)
    assert [row["id"] for row in versions] == [second.name, first.name]
    assert json.loads(versions[1]["sommes"])["lowtech.sqlite"] == next(
        entry["sha256"]
        for entry in release.read_index(first)["fichiers"]
        if entry["chemin"] == "lowtech.sqlite"
    )


def harvested(project: Project) -> None:
    registry = project.registry()
    for source in registry:
        snapshot.refresh(source, registry, project.warehouse, now=NOW, client=None)


@pytest.fixture
def rekeyed(tmp_path: Path) -> Project:
    """Two listings, of which the first has given its first three places other keys."""
    project, rows = Project(tmp_path), place_rows("a")
    project.curated.mkdir()
    project.listing("alpha", rows, donnees_du="2026-11-01")
    project.listing("beta", place_rows("b", 3), donnees_du="2026-11-01")
    harvested(project)
    for number, row in enumerate(rows[:3]):
        row["id"] = f"n{number}"
    project.listing("alpha", rows, donnees_du="2026-11-08")
    harvested(project)
    lines = [
        {"ancienne": f"alpha:a{number}", "nouvelle": f"alpha:n{number}"} for number in range(3)
    ]
    (project.curated / refine.REKEYINGS_FILE).write_text("\n".join(map(json.dumps, lines)))
    return project


def decided(project: Project, decision: str, a: str, b: str) -> None:
    line = new_decision(
        Decisions(), date="2026-11-03", qui="equipe", decision=decision, a=a, b=b, motif="vus"
    )
    append(project.curated / "decisions.jsonl", line)


def refined(project: Project) -> refine.Refinement:
    return refine.refine(
        project.registry(), project.warehouse, project.curated, release_day=lambda _: DAY
    )


def test_decisions_follow_the_keys_that_a_source_changed(rekeyed: Project):
    decided(rekeyed, "distinct", "alpha:a0", "beta:b0")
    assert refined(rekeyed).warnings == ()
    with duckdb.connect(str(rekeyed.warehouse.database), read_only=True) as con:
        assert con.execute("SELECT a, b, decision FROM paires WHERE decide_par = 'humain'"
                           ).fetchall() == [("alpha:n0", "beta:b0", "distinct")]  # fmt: skip
        found = con.execute("SELECT DISTINCT initiative_id FROM fiches "
                            "WHERE cle_source IN ('n0', 'b0')").fetchall()  # fmt: skip
    assert len(found) == 2


def test_decisions_that_contradict_each_other_on_a_new_key_stop_the_refinement(rekeyed: Project):
    (rekeyed.curated / refine.REKEYINGS_FILE).write_text(
        '{"ancienne": "alpha:a0", "nouvelle": "alpha:n0"}\n'
        '{"ancienne": "alpha:a1", "nouvelle": "alpha:n0"}\n'
    )
    decided(rekeyed, "distinct", "alpha:a0", "beta:b0")
    decided(rekeyed, "identique", "alpha:a1", "beta:b0")
    with pytest.raises(DecisionError, match=r"opposées sur alpha:n0 et beta:b0.*ligne 1.*ligne 2"):
        refined(rekeyed)


def test_a_decision_about_an_absent_fiche_is_told_at_each_run(rekeyed: Project):
    (rekeyed.curated / refine.REKEYINGS_FILE).write_text(
        '{"ancienne": "alpha:a0", "nouvelle": "alpha:n0"}\n'
        '{"ancienne": "alpha:a1", "nouvelle": "alpha:n0"}\n'
    )
    decided(rekeyed, "distinct", "alpha:a2", "beta:jamais_vue")
    decided(rekeyed, "identique", "alpha:a0", "alpha:a1")
    decided(rekeyed, "distinct", "alpha:a3", "beta:b0")
    told = [warning for warning in refined(rekeyed).warnings if "décision" in warning]
    assert ["jamais_vue" in warning for warning in told] == [True, False]
    assert "decisions.jsonl, ligne 1 (distinct alpha:a2 / beta:jamais_vue" in told[0]
    assert "ligne 2 (identique alpha:a0 / alpha:a1" in told[1]
