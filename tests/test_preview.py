"""What a preview says besides counts: effect of an edited block, duplicates, bounds, JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lowtech_data import preview
from lowtech_data.cli import app
from tests.conftest import Project, place_rows

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two harvested listings; the second, edited since, has lost, gained and changed a fiche."""
    project = Project(tmp_path_factory.mktemp("essai"))
    project.curated.mkdir()
    project.listing("alpha", place_rows("a"), donnees_du="2026-11-01")
    project.listing("beta", place_rows("b", 5), donnees_du="2026-11-01")
    _, _, problems = project.run("2026-11-20")
    assert problems == []
    edited = [*place_rows("b", 5)[1:], place_rows("c", 6)[5]]
    edited[0] |= {"adresse": "99 rue Neuve"}
    project.listing("beta", edited)
    return project


def look(project: Project, source_id: str = "beta", **more: Any) -> preview.Preview:
    registry = project.registry()
    return preview.preview(
        registry[source_id], registry, project.warehouse, now=NOW, client=None, **more
    )


def test_an_edited_block_is_compared_with_the_last_known_fiches(project: Project):
    effect = look(project, duplicates=False).effect
    assert effect is not None
    assert (effect.known, effect.gained, effect.lost, effect.changed) == (5, 1, 1, 1)
    assert effect.changed_fields == (("adresse", 1),)
    assert effect.lost_examples == ("Atelier Vélo du Port",)


def test_an_unchanged_block_changes_nothing(project: Project):
    effect = look(project, "alpha", duplicates=False).effect
    assert effect is not None
    assert (effect.gained, effect.lost, effect.changed) == (0, 0, 0)
    assert effect.changed_fields == ()


def test_fiches_of_other_sources_that_would_merge_are_named(project: Project):
    common = look(project).duplicates
    assert common is not None
    assert common.compared == 8
    assert common.merging >= 4
    assert {pair.other_source for pair in common.examples} == {"alpha"}
    assert all(pair.name == pair.other_name for pair in common.examples)


def test_a_source_that_may_not_be_republished_is_not_compared(project: Project):
    hidden = Project(project.root, {**project.blocks})
    hidden.blocks["alpha"] = {**hidden.blocks["alpha"], "republication": "comptage"}
    before = project.sources.read_bytes()
    try:
        hidden.write()
        assert look(hidden).duplicates is None
    finally:
        project.sources.write_bytes(before)


def test_a_new_source_in_an_empty_warehouse_has_bounds_only(tmp_path: Path):
    project = Project(tmp_path)
    project.listing("neuve", place_rows("n"), etat="en_pause", motif_etat="à essayer")
    found = look(project, "neuve")
    assert (found.effect, found.duplicates) == (None, None)
    assert found.bounds == {"min": 5, "max": 12}


def test_nothing_found_proposes_no_bounds(tmp_path: Path):
    project = Project(tmp_path)
    project.listing("vide", [row | {"nom": ""} for row in place_rows("a", 3)])
    found = look(project, "vide")
    assert (found.bounds, found.duplicates) == (None, None)


def test_a_preview_stores_no_fiche(project: Project):
    link = project.warehouse.snapshot_link("beta").resolve()
    look(project)
    assert project.warehouse.snapshot_link("beta").resolve() == link


def test_the_command_tells_it_in_words_and_in_json(project: Project):
    command = ["sources", "preview", "beta", "--sources", str(project.sources)]
    command += ["--warehouse", str(project.warehouse.root)]
    said = CliRunner().invoke(app, command)
    assert said.exit_code == 0
    assert "gagnées : 1, perdues : 1, modifiées : 1" in said.stdout
    assert "= Fabrique Ouverte de Niort (alpha)" in said.stdout
    assert "bornes: {min: 3, max: 8}" in said.stdout
    as_json = CliRunner().invoke(app, [*command, "--json", "--sans-doublons"])
    found = json.loads(as_json.stdout)
    assert (found["fiches"], found["effect"]["lost"], found["duplicates"]) == (5, 1, None)
