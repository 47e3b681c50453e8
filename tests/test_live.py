"""What a source answers, told beside what is declared: one small site per kind of difference."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lowtech_data import live
from lowtech_data.capture import Client, Store
from lowtech_data.live import MAX_PAGES, Report
from lowtech_data.registry import RegistryError
from tests.capture.conftest import Site, answer, client, site, time_
from tests.conftest import Project, place_rows

__all__ = ["client", "site", "time_"]

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HTML = {"Content_Type": "text/html; charset=utf-8"}
CSV = {"Content_Type": "text/csv; charset=utf-8"}


@pytest.fixture
def listing(project: Project, site: Site) -> Project:
    """A CSV listing on the web, exactly as declared, of eight fiches."""
    project.listing("liste", place_rows("a"), url=site.url("/liste.csv"), preuve="client")
    site.pages["/liste.csv"] = answer((project.root / "liste.csv").read_bytes(), **CSV)
    return project


def check(project: Project, client: Client, source_id: str = "liste") -> Report:
    registry = project.registry()
    return live.check(registry[source_id], registry, project.warehouse, client, now=NOW)


def said(report: Report, name: str) -> tuple[bool, str]:
    (point,) = [point for point in report.points if point.name == name]
    return point.fine, point.said


def wrong(report: Report) -> list[str]:
    return [point.name for point in report.points if not point.fine]


def test_a_source_that_is_as_declared_differs_in_nothing(
    listing: Project, site: Site, client: Client
):
    report = check(listing, client)
    assert not report.differs
    assert {p.name: p.said for p in report.points} == {
        "accès": f"1 page, {(listing.root / 'liste.csv').stat().st_size} octets",
        "robots": "absent",
        "type": "text/csv",
        "plateforme": "csv",
        "colonnes": "comme déclaré",
        "codes": "tous connus",
        "nombre": "8 fiches de 8 enregistrements",
    }
    assert [p.name for p in report.points] == [n for n in live.POINTS if n != "licence"]


def test_bytes_are_kept_and_nothing_else_is(listing: Project, client: Client):
    check(listing, client)
    store = Store(listing.warehouse.captures)
    kept = store.captures().to_pylist()
    assert [(row["source_id"], store.has(row["empreinte"])) for row in kept] == [
        ("liste.verification", True)
    ]
    assert store.last_complete("liste") is None
    assert not listing.warehouse.snapshot_link("liste").exists()
    assert not listing.warehouse.database.exists()


def test_a_renamed_column_and_an_unknown_code_are_named(
    listing: Project, site: Site, client: Client
):
    text = (listing.root / "liste.csv").read_text()
    body = text.replace(",ville,", ",localite,", 1).replace("fablab", "atelier", 1)
    site.pages["/liste.csv"] = answer(body.encode(), **CSV)
    report = check(listing, client)
    assert wrong(report) == ["colonnes", "codes"]
    assert said(report, "colonnes")[1] == "déclarées, absentes : ville ; nouvelles : localite"
    assert said(report, "codes")[1] == "inconnus : atelier"


def test_a_login_page_is_not_the_platform(listing: Project, site: Site, client: Client):
    page = b"<!doctype html><title>Connexion</title><form><input type=password></form>"
    site.pages["/liste.csv"] = answer(page, **HTML)
    report = check(listing, client)
    assert wrong(report) == ["type", "plateforme"]
    assert "Connexion" in said(report, "plateforme")[1]
    assert "csv attendue" in said(report, "plateforme")[1]


def test_an_address_that_is_gone_says_its_status(listing: Project, site: Site, client: Client):
    del site.pages["/liste.csv"]
    report = check(listing, client)
    assert wrong(report) == ["accès"]
    assert "HTTP 404" in said(report, "accès")[1]


def test_robots_that_forbid_are_obeyed(listing: Project, site: Site, client: Client):
    site.pages["/robots.txt"] = answer(b"User-agent: *\nDisallow: /\n", Content_Type="text/plain")
    report = check(listing, client)
    assert wrong(report) == ["robots"]
    assert site.paths == []


@pytest.mark.parametrize(
    ("bounds", "fine", "part"),
    [
        ({"min": 20}, False, "20 attendues au moins"),
        ({"min": 1, "max": 5}, False, "5 attendues au plus"),
        ({"min": 5, "max": 10}, True, "8 fiches"),
    ],
)
def test_a_count_is_compared_with_the_bounds(
    listing: Project, client: Client, bounds: dict[str, int], fine: bool, part: str
):
    listing.blocks["liste"]["bornes"] = bounds
    listing.write()
    found, text = said(check(listing, client), "nombre")
    assert found is fine
    assert part in text


def test_the_licence_of_the_payload_is_compared_with_the_declared_one(
    project: Project, site: Site, client: Client
):
    rows = [
        {"id": f"x{n}", "name": row["nom"],
         "geo": {"latitude": row["lat"], "longitude": row["lon"]},
         "address": {"postalCode": row["cp"], "addressLocality": row["ville"]}}
        for n, row in enumerate(place_rows("g"))
    ]  # fmt: skip
    body = json.dumps({"licence": "https://opendatacommons.org/licenses/odbl/1-0/", "data": rows})
    site.pages["/api/elements.json"] = answer(body.encode(), Content_Type="application/json")
    for licence, fine in (("odbl-1.0", True), ("lov2", False)):
        project.listing(
            "carte", [], plateforme="gogocarto", url=site.url("/api/elements.json"),
            champs={}, codes={}, licence=licence,
        )  # fmt: skip
        found, text = said(check(project, client, "carte"), "licence")
        assert found is fine
        assert "odbl-1.0" in text


def test_a_long_listing_is_read_a_few_pages_and_its_size_estimated(
    project: Project, site: Site, client: Client
):
    for number in range(1, 40):
        rows = [row | {"id": f"p{number}-{row['id']}"} for row in place_rows("a", 4)]
        following = site.url(f"/api?page={number + 1}")
        body = json.dumps({"total": 156, "suivante": following, "fiches": rows})
        path = "/api" if number == 1 else f"/api?page={number}"
        site.pages[path] = answer(body.encode(), Content_Type="application/json")
    project.listing(
        "longue", [], plateforme="json", url=site.url("/api"),
        options={"chemin": "fiches", "suivant": "suivante"}, bornes={"min": 100},
    )  # fmt: skip
    report = check(project, client, "longue")
    assert len(site.paths) == MAX_PAGES
    assert "il y en a d’autres" in said(report, "accès")[1]
    assert said(report, "nombre") == (True, "20 fiches de 20 enregistrements lus ; total inconnu")


@pytest.mark.parametrize(("low", "fine"), [(100, True), (400, False)])
def test_what_a_listing_announces_is_compared_with_the_bounds(
    project: Project, site: Site, client: Client, low: int, fine: bool
):
    address = "/api/explore/v2.1/catalog/datasets/lieux"
    for offset in range(0, 100, 10):
        rows = [place_rows("o", 1)[0] | {"id": f"{offset + n}"} for n in range(10)]
        body = json.dumps({"total_count": 300, "results": rows}).encode()
        more = f"&offset={offset}" if offset else ""
        site.pages[f"{address}/records?limit=10{more}"] = answer(
            body, Content_Type="application/json"
        )
    project.listing(
        "portail", [], plateforme="opendatasoft", bornes={"min": low},
        url=site.url(address), options={"lot": 10},
    )  # fmt: skip
    found, text = said(check(project, client, "portail"), "nombre")
    assert found is fine, text
    assert "300 annoncés : environ 300 fiches" in text


def test_nothing_personal_is_told(listing: Project, site: Site, client: Client):
    page = b"<!doctype html><title>Compte de jeanne.dupont@exemple.org, 06 12 34 56 78</title>"
    site.pages["/liste.csv"] = answer(page, **HTML)
    told = " ".join(point.said for point in check(listing, client).points)
    assert "jeanne" not in told
    assert "56 78" not in told


def test_only_listings_of_the_web_are_looked_at(project: Project, client: Client):
    web = {"url": "https://exemple.org/l"}
    project.listing("locale", place_rows("l"))
    project.listing("ligne", [], **web)
    project.listing("pause", [], **web, etat="en_pause", motif_etat="à essayer")
    project.listing("retiree", [], **web, etat="retiree", motif_etat="fermée")
    project.listing("interdite", [], **web, republication="interdite")
    assert [s.id for s in live.on_the_web(project.registry())] == ["ligne", "pause"]
    with pytest.raises(RegistryError, match="fichier local"):
        check(project, client, "locale")


def test_the_command_shows_what_differs_and_says_so_by_its_exit_code(project: Project, site: Site):
    for name, status in (("bonne", 200), ("partie", 410)):
        project.listing(
            name, place_rows(name, 3), url=f"http://127.0.0.1:{site.port}/{name}.csv",
            limites={"pause_s": 0},
        )  # fmt: skip
        site.pages[f"/{name}.csv"] = answer(
            (project.root / f"{name}.csv").read_bytes(), status, **CSV
        )

    def lowtech(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lowtech_data", "sources", "check", *words,
             "--sources", str(project.sources), "--warehouse", str(project.warehouse.root)],
            capture_output=True, text=True, timeout=120, check=False,
            cwd=Path(__file__).parents[1],
            env=os.environ | {"LOWTECH_RESEAUX_PERMIS": "127.0.0.0/8"},
        )  # fmt: skip

    both = lowtech("--live", "--all")
    assert both.returncode == 3, both.stderr
    assert "Comme déclaré : 1 sur 2." in both.stdout
    assert "À revoir : partie" in both.stdout
    assert "HTTP 410" in both.stdout
    assert lowtech("--live", "bonne").returncode == 0
    assert lowtech("--live").returncode == 2
    assert lowtech("bonne").returncode == 2
    assert "valide, sources actives : 2 sur 2" in lowtech().stdout
