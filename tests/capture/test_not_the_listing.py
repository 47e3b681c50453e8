"""A site that answers 200 with something else: refused, named, and the last data stays."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lowtech_data import snapshot
from lowtech_data.capture import Client
from lowtech_data.registry import Registry
from lowtech_data.warehouse import Warehouse

from .conftest import Site, a_source, answer

NOW = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
WEEK = timedelta(days=7)
PLACES = [("a1", "Repair Café de la Gare"), ("a2", "Atelier vélo Les Rayons")]


@dataclass(frozen=True)
class Listing:
    """A listing of one platform: how it is declared, and what it answers on a good day."""

    platform: str
    body: bytes
    media_type: str
    fields: dict[str, Any]


LISTINGS = [
    Listing(
        "json",
        json.dumps([{"id": key, "nom": name} for key, name in PLACES]).encode(),
        "application/json",
        {"champs": {"cle_source": "id", "nom": "nom"}},
    ),
    Listing(
        "csv",
        ("id,nom\n" + "".join(f"{key},{name}\n" for key, name in PLACES)).encode(),
        "text/csv",
        {"champs": {"cle_source": "id", "nom": "nom"}},
    ),
    Listing(
        "html_listing",
        (
            "<!doctype html><title>Lieux</title>"
            + "".join(f'<li class="lieu" id="{key}"><b>{name}</b>' for key, name in PLACES)
        ).encode(),
        "text/html",
        {
            "options": {"fiche": "li.lieu", "champs": {"id": "@id", "nom": "b"}, "minimum": 2},
            "champs": {"cle_source": "id", "nom": "nom"},
        },
    ),
]

LOGIN = "<html><title>Connexion</title><form><input type=password name=p></form></html>"
MAINTENANCE = "<!doctype html><title>Oups</title><h1>Site en maintenance</h1><p>Revenez demain."
CAPTCHA = "<html><title>Just a moment...</title><p>Vérification : CAPTCHA</p></html>"
PARKED = "<html><head><title>liste.test</title></head><body>Ce domaine est à vendre</body></html>"


def refresh(
    site: Site, client: Client, listing: Listing, warehouse: Warehouse, now: datetime
) -> snapshot.Outcome:
    source = a_source(
        site.url("/liste"),
        plateforme=listing.platform,
        defauts={"type": "repair_cafe"},
        **listing.fields,
    )
    registry = Registry(Path("sources.yaml"), (source,))
    return snapshot.refresh(source, registry, warehouse, now=now, client=client)


PAGES = [
    (LOGIN, "page de connexion « Connexion »"),
    (MAINTENANCE, "page de maintenance « Oups »"),
    (CAPTCHA, "contrôle anti-robot « Just a moment... »"),
    (PARKED, "« liste.test »"),
    ("", ""),
]


@pytest.mark.parametrize("listing", LISTINGS, ids=lambda listing: listing.platform)
def test_another_page_is_refused_by_its_name_and_the_last_data_stays(
    site, client, tmp_path, listing
) -> None:
    warehouse = Warehouse(tmp_path)
    good = answer(listing.body, Content_Type=listing.media_type)
    site.pages["/liste"] = good
    assert refresh(site, client, listing, warehouse, NOW).status == "ok"
    for week, (page, cause) in enumerate(PAGES, 1):
        site.pages["/liste"] = answer(page.encode(), Content_Type="text/html; charset=utf-8")
        outcome = refresh(site, client, listing, warehouse, NOW + week * WEEK)
        assert outcome.status == "rejetee_qualite"
        assert cause in (outcome.message or "")
        assert outcome.data_date == "2026-03-02"
    for week, status in enumerate([404, 410, 403, 500], 10):
        site.pages["/liste"] = answer(status=status)
        outcome = refresh(site, client, listing, warehouse, NOW + week * WEEK)
        assert outcome.status == "erreur_acces"
        assert f"HTTP {status}" in (outcome.message or "")
    kept = snapshot.load(warehouse, "liste")
    assert kept is not None
    assert sorted(kept.fiches()["nom"].to_pylist()) == sorted(name for _, name in PLACES)
    assert kept.present() == 2
    site.pages["/liste"] = good
    assert refresh(site, client, listing, warehouse, NOW + 20 * WEEK).status == "inchangee"
