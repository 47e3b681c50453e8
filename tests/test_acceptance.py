"""A listing never seen before is harvested, shown, and published once a person has looked at it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from lowtech_data import acceptance
from lowtech_data.acceptance import AcceptanceError
from lowtech_data.cli import app
from tests.capture.conftest import Site, answer, serve
from tests.conftest import Project, place_rows

DAY = date(2026, 11, 21)
ROOT = Path(__file__).parents[1]


@pytest.fixture
def listing() -> Iterator[Site]:
    site = serve()
    yield site
    site.server.shutdown()
    site.server.server_close()


def on_the_web(project: Project, site: Site, source_id: str, preuve: str, count: int = 5) -> None:
    """A source whose rows are served over HTTP instead of lying beside the registry."""
    project.listing(source_id, place_rows(source_id, count))
    body = (project.root / f"{source_id}.csv").read_bytes()
    site.pages[f"/{source_id}.csv"] = answer(body, Content_Type="text/csv; charset=utf-8")
    project.blocks[source_id] |= {
        "url": f"http://127.0.0.1:{site.port}/{source_id}.csv", "preuve": preuve,
        "limites": {"pause_s": 0},
    }  # fmt: skip
    project.write()


def lowtech(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, where the loopback network may be contacted."""
    folders = ("--sources", str(project.sources), "--curated", str(project.curated))
    return subprocess.run(
        [sys.executable, "-m", "lowtech_data", *words, *folders,
         "--warehouse", str(project.warehouse.root)],
        capture_output=True, text=True, timeout=120, check=False, cwd=ROOT,
        env=os.environ | {"LOWTECH_RESEAUX_PERMIS": "127.0.0.0/8", "COLUMNS": "200"},
    )  # fmt: skip


def table(project: Project, name: str) -> list[dict]:
    current = project.warehouse.current_release()
    assert current is not None
    return pq.read_table(current / "parquet" / f"{name}.parquet").to_pylist()


def test_a_first_harvest_waits_until_a_person_accepts_it(project: Project, listing: Site):
    project.listing("locale", place_rows("l"), donnees_du="2026-11-01", preuve="client")
    on_the_web(project, listing, "connue", "vu")
    on_the_web(project, listing, "neuve", "client", 3)

    first = lowtech(project, "run")
    assert first.returncode == 0, first.stderr
    assert "première moisson en ligne" in first.stdout
    assert "3 fiches attendent" in first.stdout
    assert "lowtech sources accept neuve" in first.stdout
    assert {f["source_id"] for f in table(project, "fiches")} == {"locale", "connue"}
    row = {s["id"]: s for s in table(project, "sources")}["neuve"]
    assert (row["etat"], row["sante"], row["nb_fiches"]) == ("en_pause", "figee", 0)
    assert "relise avant publication" in row["motif_etat"]
    assert [m["source_id"] for m in table(project, "moissons")].count("neuve") == 1
    assert "neuve" in lowtech(project, "diagnose", "neuve").stdout

    done = lowtech(
        project, "sources", "accept", "neuve", "--motif", "trois fiches relues", "--qui", "équipe",
        "--as-of", "2026-11-21",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (line,) = map(json.loads, (project.curated / acceptance.FILE).read_text().splitlines())
    known = project.warehouse.snapshot_link("neuve").resolve() / "etat.json"
    (capture,) = json.loads(known.read_text())["captures"]
    assert line == {
        "source": "neuve", "date": "2026-11-21", "qui": "équipe", "motif": "trois fiches relues",
        "fiches": 3, "pages": 1, "capture": capture[:12],
    }  # fmt: skip

    again = lowtech(project, "run", "--offline")
    assert again.returncode == 0, again.stderr
    assert "première moisson" not in again.stdout
    assert {f["source_id"] for f in table(project, "fiches")} == {"locale", "connue", "neuve"}
    row = {s["id"]: s for s in table(project, "sources")}["neuve"]
    assert (row["etat"], row["sante"], row["nb_fiches"]) == ("active", "ok", 3)
    assert lowtech(project, "diagnose").stdout.strip() == "Rien à signaler."


def test_nothing_but_waiting_sources_publishes_nothing_and_says_why(
    project: Project, listing: Site
):
    on_the_web(project, listing, "neuve", "memoire")
    done = lowtech(project, "run")
    assert done.returncode == 1
    assert "première moisson en ligne" in done.stderr
    assert project.warehouse.current_release() is None


@pytest.mark.parametrize(
    ("preuve", "url", "waits"),
    [
        ("vu", "https://exemple.org/liste.csv", False),
        ("client", "https://exemple.org/liste.csv", True),
        ("memoire", "https://exemple.org/liste.csv", True),
        ("client", "liste.csv", False),
    ],
)
def test_only_what_comes_from_the_web_in_a_shape_never_seen_waits(
    project: Project, preuve: str, url: str, waits: bool
):
    project.listing("liste", [], preuve=preuve, url=url)
    source = project.registry()["liste"]
    assert acceptance.needs_a_person(source, ()) is waits
    assert not acceptance.needs_a_person(source, {"liste"})


def test_a_source_that_changes_its_id_stays_accepted(project: Project):
    project.listing("liste", [], preuve="client", url="https://exemple.org/l", renommee_de="avant")
    assert not acceptance.needs_a_person(project.registry()["liste"], {"avant"})


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({}, "fichier local"),
        ({"url": "https://exemple.org/l"}, "preuve: vu"),
        ({"url": "https://exemple.org/l", "preuve": "client"}, "lowtech run --only liste"),
    ],
)
def test_what_cannot_be_accepted_is_refused_and_nothing_is_written(
    project: Project, overrides: dict[str, str], said: str
):
    project.listing("liste", place_rows("l"), **overrides)
    path = project.curated / acceptance.FILE
    with pytest.raises(AcceptanceError, match=said):
        acceptance.accept(
            project.registry()["liste"], project.warehouse, path, who="x", reason="y", day=DAY
        )
    assert not path.exists()


GOOD = {
    "source": "liste", "date": "2026-11-21", "qui": "équipe", "motif": "relue", "fiches": 3,
    "pages": 1, "capture": "0123456789ab",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fiches": 0}, "fiches"),
        ({"motif": "vu avec jeanne.dupont@exemple.org"}, "motif"),
        ({"qui": "06 12 34 56 78"}, "qui"),
        ({"inconnu": 1}, "inconnu"),
        ({"date": "2026-02-30"}, "date"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, change: dict, said: str):
    path = tmp_path / acceptance.FILE
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps(GOOD | change) + "\n")
    with pytest.raises(AcceptanceError, match=f"ligne 2 : {said}"):
        acceptance.load(path)


def test_the_file_may_be_absent_or_lack_its_last_end_of_line(project: Project):
    path = project.curated / acceptance.FILE
    assert acceptance.accepted(path) == frozenset()
    path.write_text(json.dumps(GOOD))
    acceptance._append(path, acceptance.Acceptance.model_validate(GOOD | {"source": "autre"}))
    assert [line.source for line in acceptance.load(path)] == ["liste", "autre"]


def test_the_command_says_what_was_refused(project: Project):
    project.listing("liste", place_rows("l"))
    result = CliRunner().invoke(
        app,
        ["sources", "accept", "liste", "--motif", "m", "--qui", "q",
         "--sources", str(project.sources), "--curated", str(project.curated),
         "--warehouse", str(project.warehouse.root)],
    )  # fmt: skip
    assert isinstance(result.exception, AcceptanceError)
