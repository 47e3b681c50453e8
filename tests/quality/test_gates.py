"""Each gate refuses the defect that it is there for, and a sound candidate passes them all."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lowtech_data import files
from lowtech_data.publish import release
from lowtech_data.quality import gates
from lowtech_data.warehouse import Warehouse
from tests.conftest import PLACES, Project, place_rows


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = Project(tmp_path_factory.mktemp("portes"))
    project.curated.mkdir()
    project.listing("alpha", place_rows("a"), donnees_du="2026-11-01")
    project.listing("beta", place_rows("b", 5), donnees_du="2026-11-10")
    _, path, problems = project.run()
    assert problems == []
    return path


def damaged(path: Path, table: str, change: str) -> None:
    """Rewrite one Parquet file of a candidate through a SQL statement on `t`."""
    file = path / "parquet" / f"{table}.parquet"
    with duckdb.connect() as con:
        con.execute(f"CREATE TABLE t AS FROM read_parquet('{file}')")
        con.execute(change)
        con.execute(f"COPY t TO '{file}' (FORMAT parquet)")


def unlink_row(path: Path) -> None:
    database = sqlite3.connect(path / "lowtech.sqlite")
    database.execute("DELETE FROM initiatives WHERE rowid = 1")
    database.commit()
    database.close()


def written_index(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Rewrite the index of a candidate."""
    index = release.read_index(path)
    change(index)
    (path / "index.json").write_text(json.dumps(index), encoding="utf-8")


DEFECTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "schema": (lambda p: damaged(p, "codes", "ALTER TABLE t RENAME uri TO url"), "codes"),
    "cles": (
        lambda p: damaged(p, "initiatives", "INSERT INTO t FROM t LIMIT 1"),
        "clés répétées",
    ),
    "references": (
        lambda p: damaged(p, "fiches", "UPDATE t SET initiative_id = 'lt-0000000000'"),
        "initiatives.id",
    ),
    "codes": (lambda p: damaged(p, "initiatives", "UPDATE t SET type = 'usine'"), "usine"),
    "identifiants": (
        lambda p: damaged(p, "identifiants", "DELETE FROM t WHERE true"),
        "sans identifiant actif",
    ),
    "provenance": (
        lambda p: damaged(p, "initiatives", "UPDATE t SET adresse = '1 rue Inventée'"),
        "sans provenance",
    ),
    "grappes": (
        lambda p: damaged(
            p,
            "fiches",
            "INSERT INTO t BY NAME SELECT * EXCLUDE (i) REPLACE (cle_source || i AS cle_source) "
            "FROM (FROM t LIMIT 1), range(25) r(i)",
        ),
        "plus de 20 fiches",
    ),
    "exactitude": (
        lambda p: written_index(
            p,
            lambda index: index["exactitude"]["masque"].update(
                precision=0.9, fusions_fausses=["a:1 / b:2 (distinct)"]
            ),
        ),
        "0,900, 0,970 attendue au moins ; paires étiquetées fusionnées à tort : a:1 / b:2",
    ),
    "volume": (lambda p: damaged(p, "initiatives", "DELETE FROM t WHERE true"), "aucune"),
    "donnees_personnelles": (
        lambda p: damaged(p, "fiches", "UPDATE t SET resume = 'appeler Zoé au 06 12 34 56 78'"),
        "fiches.resume",
    ),
    "licences": (
        lambda p: damaged(p, "sources", "UPDATE t SET republication = 'interdite'"),
        "republiée",
    ),
    "sqlite": (unlink_row, "incohérente"),
}


def test_a_sound_candidate_passes(published: Path):
    assert gates.run(published, None) == []
    assert gates.run(published, published) == []


def test_every_gate_is_tried():
    assert set(DEFECTS) == set(gates.names())


@pytest.mark.parametrize("gate", DEFECTS)
def test_a_gate_refuses_its_defect(gate: str, published: Path, tmp_path: Path):
    candidate = tmp_path / "candidat"
    shutil.copytree(published, candidate)
    defect, word = DEFECTS[gate]
    defect(candidate)
    found = gates.run(candidate, published, only=gate)
    assert found, gate
    assert {finding.gate for finding in found} == {gate}
    assert any(word in str(finding) for finding in found)


def relabelled(
    project: Project, folder: Path, rows: list[tuple[str, str, str]]
) -> release.Candidate:
    """A candidate of the project, measured on pairs of like records labelled at will."""
    (folder / "fiches.csv").write_text(
        "source,cle_source,nom,adresse,code_postal,commune,latitude,longitude,site_web\n"
        + "".join(
            f"{source},{number},{name},{address},{code},{town},{lat},{lon},\n"
            for number, (name, address, code, town, lat, lon) in enumerate(PLACES)
            for source in ("alpha", "beta")
        ),
        encoding="utf-8",
    )
    (folder / "paires.csv").write_text(
        "source_a,cle_a,source_b,cle_b,etiquette,part\n"
        + "".join(f"alpha,{a},beta,{b},{label},mesure\n" for a, b, label in rows),
        encoding="utf-8",
    )
    files.remove_tree(project.warehouse.releases)
    return release.build(project.warehouse, evaluation=folder)


def test_an_engine_that_merges_what_people_tell_apart_is_refused(project: Project, tmp_path: Path):
    project.listing("alpha", place_rows("a"), donnees_du="2026-11-01")
    project.run()
    labels = [("0", "0", "identique"), ("1", "1", "distinct"), ("2", "2", "distinct")]
    candidate = relabelled(project, tmp_path, labels)
    found = gates.run(candidate.directory, None, only="exactitude")
    assert all(finding.blocking for finding in found)
    assert "alpha:1 / beta:1 (distinct) ; alpha:2 / beta:2 (distinct)" in str(found[0])


def test_an_engine_that_finds_too_little_is_refused(project: Project, tmp_path: Path):
    project.listing("alpha", place_rows("a"), donnees_du="2026-11-01")
    project.run()
    labels = [("0", "0", "identique"), *((str(n), str(n + 1), "identique") for n in range(1, 6))]
    candidate = relabelled(project, tmp_path, labels)
    found = gates.run(candidate.directory, None, only="exactitude")
    assert any("rappel avec tous les champs" in str(finding) for finding in found)


def test_accuracy_that_nobody_measured_is_said_and_does_not_block(project: Project, tmp_path: Path):
    project.listing("alpha", place_rows("a"), donnees_du="2026-11-01")
    project.run()
    files.remove_tree(project.warehouse.releases)
    candidate = release.build(project.warehouse, evaluation=tmp_path / "absent").directory
    (found,) = gates.run(candidate, None)
    assert "non mesurée" in str(found)
    assert not found.blocking
    (row,) = release.versions(candidate)
    assert (row["precision"], row["rappel"]) == (None, None)


def test_a_release_says_how_right_its_matching_is(published: Path):
    measured = release.read_index(published)["exactitude"]
    low, high = measured["tous_les_champs"]["precision_95"]
    assert low < measured["tous_les_champs"]["precision"] <= high
    (row,) = release.versions(published)
    assert row["precision"] == measured["tous_les_champs"]["precision"]
    assert row["rappel"] == measured["tous_les_champs"]["rappel"]


def test_a_fall_in_numbers_against_the_published_release_is_refused(
    published: Path, tmp_path: Path
):
    candidate = tmp_path / "candidat"
    shutil.copytree(published, candidate)
    damaged(candidate, "initiatives", "DELETE FROM t WHERE rowid > 4")
    (found,) = gates.run(candidate, published, only="volume")
    assert "5 initiatives contre 8" in str(found)


def test_a_territory_of_another_level_is_refused(published: Path, tmp_path: Path):
    candidate = tmp_path / "candidat"
    shutil.copytree(published, candidate)
    damaged(candidate, "initiatives", "UPDATE t SET code_region = '29'")
    (found,) = gates.run(candidate, published, only="references")
    assert "initiatives.code_region" in str(found)


def test_a_forgotten_identifier_is_refused(published: Path, tmp_path: Path):
    candidate = tmp_path / "candidat"
    shutil.copytree(published, candidate)
    damaged(published_copy := candidate, "identifiants", "DELETE FROM t WHERE rowid = 0")
    found = gates.run(published_copy, published, only="identifiants")
    assert any("oubliés" in str(finding) for finding in found)


def test_a_candidate_that_was_not_approved_is_not_published(published: Path, tmp_path: Path):
    warehouse = Warehouse(tmp_path)
    shutil.copytree(published, warehouse.candidate)
    with pytest.raises(release.NotApprovedError, match="contrôles"):
        release.commit(warehouse)
    release.approve(warehouse)
    index = warehouse.candidate / "index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"date": "2026-01-01"}))
    with pytest.raises(release.NotApprovedError):
        release.commit(warehouse)
    release.approve(warehouse)
    assert release.commit(warehouse).name == published.name
    assert warehouse.current_release() == warehouse.releases / published.name
