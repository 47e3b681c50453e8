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


def test_a_module_with_a_quote_missing_in_most_records_loses_only_that() -> None:
    champs = {
        "cle_source": ["departement", "ville", "nom"],
        "nom": "nom",
        "adresse": "adresse",
        "latitude": "lattitude",
        "longitude": "longitude",
        "site_web": {"premier_de": ["site_web", "facebook"]},
    }
    source = make_source(
        "javascript",
        options={"variable": "supermarches"},
        champs=champs,
        ignorer=["logo", "avancement"],
        ecarter=["courriel"],
    )
    extraction = run(source, page("supermarches_coop.js"))
    found = fiches(extraction)
    assert (extraction.read, len(found)) == (130, 130)
    assert rules(extraction) == {"propriete_illisible": 122}
    assert {row["champ"] for row in extraction.rejects.to_pylist()} == {"courriel"}
    assert {row["valeur_masquee"] for row in extraction.rejects.to_pylist()} == {""}
    filled = {name: sum(bool(fiche[name]) for fiche in found.values()) for name in champs}
    assert filled == {
        "cle_source": 130, "nom": 130, "adresse": 117, "latitude": 130, "longitude": 130,
        "site_web": 130,
    }  # fmt: skip
    assert found["06 Nice Nice Coop"]["longitude"] == "7.25735"


def test_json_ld_in_a_variable() -> None:
    champs = {
        "cle_source": "@id",
        "nom": "Name",
        "description": "label",
        "latitude": "lat",
        "longitude": "long",
        "site_web": "site",
        "categories": "taxonomy.@id",
    }
    source = make_source(
        "json_ld",
        options={"variable": "elements"},
        champs=champs,
        ignorer=["abstract", "source", "sourceDisplay", "tags", "taxonomy", "@graph"],
        ecarter=["contact"],
    )
    extraction = run(source, page("alternatives_pwa_jsonld.js"))
    found = fiches(extraction)
    assert (extraction.read, len(found)) == (700, 696)
    assert rules(extraction) == {"cle_absente": 4}
    names = ("nom", "description", "latitude", "longitude", "site_web")
    filled = {name: sum(bool(fiche[name]) for fiche in found.values()) for name in names}
    assert filled == {
        "nom": 695, "description": 541, "latitude": 696, "longitude": 696, "site_web": 297,
    }  # fmt: skip


def test_open_know_where() -> None:
    champs = {"categories": "facility.description"}
    source = make_source("okw", champs=champs, codes={"fablab": {"type": "fablab"}})
    extraction = run(source, page("okw_fablabsio_fr.json"))
    found = fiches(extraction)
    assert (extraction.read, len(found)) == (259, 259)
    assert not rules(extraction)
    names = ("nom", "adresse", "code_postal", "commune", "latitude", "type", "url")
    filled = {name: sum(bool(fiche[name]) for fiche in found.values()) for name in names}
    assert filled == {
        "nom": 259, "adresse": 256, "code_postal": 255, "commune": 259, "latitude": 245,
        "type": 259, "url": 259,
    }  # fmt: skip


@pytest.mark.parametrize(("year", "described"), [(2022, 98), (2023, 97)])
def test_every_field_inside_one_text(year: int, described: int) -> None:
    sections = {
        "themes": ["Thèmes :", "Thème :"],
        "presentation": "Description :",
        "horaires": "📅",
        "adresse": "📍",
        "telephone": "📞",
        "courriel": "📧",
        "site": "🌐",
    }
    names = ("horaires", "adresse", "telephone", "courriel")
    source = make_source(
        "geojson",
        options={"texte": {"champ": "description", "sections": sections, "listes": ["themes"]}},
        champs={name: f"description.{name}" for name in names}
        | {
            "cle_source": "name",
            "description": "description.presentation",
            "site_web": "description.site",
            "categories": "description.themes",
        },
        ignorer=["logo"],
    )
    extraction = run(source, page(f"sevadec_{year}.geojson"))
    found = fiches(extraction)
    assert (extraction.read, len(found)) == (98, 98)
    assert not rules(extraction)
    names += ("description", "site_web")
    filled = {name: sum(bool(fiche[name]) for fiche in found.values()) for name in names}
    assert filled == {
        "horaires": 9, "adresse": 98, "telephone": 94, "courriel": 86, "description": described,
        "site_web": 98,
    }  # fmt: skip


def test_a_column_of_several_values() -> None:
    champs = {
        "cle_source": "page_id",
        "nom": "title",
        "categories": {"separe": "areas_en", "par": ";"},
    }
    names = ("Energy", "Food", "Habitat", "Tools", "Water", "Health", "Hygiene", "Materials")
    source = make_source(
        "csv",
        options={"separateur": "\t"},
        champs=champs,
        codes={name: {"themes": ["eau"] if name == "Water" else []} for name in names},
    )
    extraction = run(source, page("lowtechlab_wiki_pages.tsv"))
    assert extraction.fiches.num_rows == 206
    assert "code_inconnu" not in rules(extraction)
    assert sum(fiche["themes"] == ["eau"] for fiche in fiches(extraction).values()) == 25
