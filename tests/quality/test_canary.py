"""Pages served in the place of a listing are named; listings never are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lowtech_data.extract.base import Page
from lowtech_data.quality import canary
from tests.quality import mutants

ROOT = Path(__file__).parents[2]
LISTINGS = Path(os.environ.get("LOWTECH_LISTINGS", "/nonexistent")) / "real"


def page(text: str | bytes, media_type: str | None = None) -> Page:
    body = text.encode() if isinstance(text, str) else text
    return Page("https://example.org/liste", body, "0" * 64, media_type)


OTHER_PAGES = {
    mutants.LOGIN: "page de connexion « Essai »",
    mutants.CAPTCHA: "contrôle anti-robot « Essai »",
    mutants.MAINTENANCE: "page de maintenance « Essai »",
    mutants.PARKED: "page de domaine à vendre « Essai »",
    "<p>Vous devez vous connecter pour voir cette page.": "page de connexion « Essai »",
    "<script src='https://challenges.cloudflare.com/x'></script>": "contrôle anti-robot « Essai »",
    "<h1>Service momentanément indisponible</h1>": "page de maintenance « Essai »",
    "<h1>Welcome to nginx!</h1>": "page d’hébergeur sans site « Essai »",
}


@pytest.mark.parametrize("body", OTHER_PAGES)
def test_another_page_is_named_with_its_title(body: str) -> None:
    assert canary.told(page(mutants.web_page("Essai", body), "text/html")) == OTHER_PAGES[body]


def test_a_page_without_a_title_is_named_all_the_same() -> None:
    assert canary.told(page("<form><input type=password></form>")) == "page de connexion sans titre"


@pytest.mark.parametrize("body", [mutants.LOGIN, mutants.CAPTCHA], ids=["login", "captcha"])
def test_a_listing_with_such_a_box_in_its_corner_is_a_listing(body: str) -> None:
    listing = mutants.SHAPES["html_listing"].render(mutants.base("html_listing")[:20])
    assert canary.told(page(listing.replace("<nav>", f"<nav>{body}"))) is None


def test_workshops_that_do_maintenance_are_a_listing() -> None:
    text = (
        "<ul><li>Atelier de maintenance de vélos</li><li>Maintenance de machines à bois</li></ul>"
    )
    assert canary.told(page(mutants.web_page("Ateliers", text))) is None


def test_data_is_not_looked_at() -> None:
    login = mutants.web_page("Accès", mutants.LOGIN)
    assert canary.told(page(login, "application/json")) is None
    assert canary.told(page('{"nom": "captcha"}')) is None
    assert canary.told(page(b"\x00\xff<html>")) is None


def test_a_hostile_page_is_looked_at_in_linear_time() -> None:
    for piece in ("<input ", "<title", "<!--", "<div>" * 10, "domaine ", "vous "):
        canary.told(page("<" + piece * 200_000))


FILES = [
    *sorted(path for path in (ROOT / "warehouse/sample/captures").rglob("*") if path.is_file()),
    *sorted(path for path in (ROOT / "tests/extract/fixtures").rglob("*") if path.is_file()),
    *sorted(path for path in LISTINGS.rglob("*") if path.is_file()),
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_real_listing_is_taken_for_another_page(path: Path) -> None:
    assert canary.told(page(path.read_bytes())) is None
