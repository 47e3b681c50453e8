"""The readers on listings as they were published, when those are at hand."""

import os
from pathlib import Path
from typing import Any

import pytest

from lowtech_data.extract import Page

from .support import fiches, make_page, make_source, rules, run

LISTINGS = Path(os.environ.get("LOWTECH_LISTINGS", "/nonexistent")) / "real"

pytestmark = pytest.mark.skipif(not LISTINGS.is_dir(), reason="LOWTECH_LISTINGS n’est pas défini")


def page(name: str) -> Page:
    return make_page(LISTINGS / name, url=f"https://example.org/{name}")


@pytest.mark.parametrize(
    ("name", "platform", "changes", "read", "kept", "rejects"),
    [
        ("transiscope_niort.json", "gogocarto", {}, 100, 100, {}),
        ("bzh_fablab.geojson", "geojson", {}, 121, 121, {}),
        ("sevadec_2022.geojson", "geojson", {"champs": {"cle_source": "name"}}, 98, 98, {}),
        ("sevadec_2023.geojson", "geojson", {"champs": {"cle_source": "name"}}, 98, 98, {}),
        (
            "okw_fablabsio_fr.json",
            "json",
            {"champs": {"cle_source": "facility.url", "nom": "facility.name"}},
            259,
            259,
            {},
        ),
        (
            "cget_tierslieux_2019.csv",
            "csv",
            {"champs": {"cle_source": "ID", "nom": "NOM_TL"}},
            1512,
            1512,
            {},
        ),
        (
            "tierslieux_occitanie_2016.csv",
            "csv",
            {
                "options": {"colonnes": ["nom", "rue", "cp", "ville", "web", "mail", "x", "tel"]},
                "champs": {"cle_source": {"modele": "{nom}, {cp}"}, "nom": "nom"},
            },
            73,
            73,
            {},
        ),
        (
            "paca_mednum.json",
            "json",
            {"champs": {"cle_source": {"modele": "{nom}, {adresse_commune}"}}},
            1245,
            1229,
            {"cle_absente": 4, "cle_reemployee": 10},
        ),
        (
            "lowtechlab_wiki_pages.tsv",
            "csv",
            {"options": {"separateur": "\t"}, "champs": {"cle_source": "page_id", "nom": "title"}},
            206,
            206,
            {},
        ),
        (
            "seed_initiatives.tsv",
            "curated_tsv",
            {
                "champs": {"cle_source": "name", "nom": "name", "site_web": "url"},
                "ignorer": [
                    "kind",
                    "departement",
                    "group",
                    "source_doc",
                    "description_fact",
                    "note",
                ],
            },
            16,
            16,
            {},
        ),
    ],
)
def test_whole_listings_are_read(
    name: str, platform: str, changes: Any, read: int, kept: int, rejects: Any
) -> None:
    extraction = run(make_source(platform, **changes), page(name))
    assert (extraction.read, extraction.fiches.num_rows) == (read, kept)
    # The mapping is short on purpose: what it does not name is said, and is not the matter here.
    found = rules(extraction)
    del found["colonne_non_declaree"]
    assert found == rejects


def test_saved_wiki_pages() -> None:
    names = sorted(path.name for path in (LISTINGS / "pages").glob("*.html"))
    extraction = run(make_source("mediawiki_dokit"), *(page(f"pages/{name}") for name in names))
    assert (extraction.read, extraction.fiches.num_rows) == (20, 19)
    assert rules(extraction) == {"sous_page_traduction": 1}
    for fiche in fiches(extraction).values():
        for field in ("nom", "description", "url", "date_maj", "difficulte", "duree", "cout"):
            assert fiche[field], (fiche["url"], field)


def test_saved_wiki_pages_agree_with_the_list_of_pages() -> None:
    champs = {
        "cle_source": "page_id",
        "nom": "title",
        "url": "url",
        "difficulte": "difficulty",
        "cout": "cost",
        "description": "description",
    }
    options = {"separateur": "\t"}
    listed = fiches(
        run(make_source("csv", champs=champs, options=options), page("lowtechlab_wiki_pages.tsv"))
    )
    names = sorted(path.name for path in (LISTINGS / "pages").glob("lowtechlab*.html"))
    read = fiches(run(make_source("mediawiki_dokit"), *(page(f"pages/{name}") for name in names)))
    both = set(listed) & set(read)
    assert len(both) >= 15
    for key in both:
        for field in ("nom", "url", "difficulte", "cout"):
            assert read[key][field] == listed[key][field], (key, field)
