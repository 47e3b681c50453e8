"""The JSON listings of `sources.yaml`, read through their own blocks, in the shape they have."""

from datetime import date
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from lowtech_data.extract import PLATFORMS, load_registry
from lowtech_data.normalise import normalise, workbench
from lowtech_data.registry import Registry

from .support import FIXTURES, everything, fiches, make_page, rejected, run

PLATFORM = PLATFORMS["json"]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry(Path(__file__).parents[2] / "sources.yaml")


def test_repair_cafes_in_mainland_france(registry: Registry) -> None:
    """The map is of the world: Berlin, a café overseas and one without a point are left out."""
    source = registry["repaircafe"]
    extraction = run(source, make_page(FIXTURES / "repaircafe.json", source.url))
    found = fiches(extraction)
    key = "https://www.repaircafe.org/cafe/repair-cafe-essai/"
    assert extraction.left_out == 3
    expected = {
        "nom": "Repair Café d’Essai",
        "url": key,
        "adresse": "12 rue du Test, 35000 Rennes, France",
        "latitude": "48.1113",
        "longitude": "-1.6800",
        "site_web": "essai.example.org",
        "type": "repair_cafe",
        "nature": "lieu",
        "themes": ["reparation"],
        "regle_selection": "zone",
    }
    assert {name: found[key][name] for name in expected} == expected
    assert not rejected(extraction)
    assert "prenom" not in everything(extraction)


def test_repair_cafes_of_neighbours_go_no_further(registry: Registry) -> None:
    source = registry["repaircafe"]
    extraction = run(source, make_page(FIXTURES / "repaircafe.json", source.url))
    assert "https://www.repaircafe.org/cafe/repair-cafe-proef/" in fiches(extraction)
    with workbench() as con:
        clean = normalise(con, extraction.fiches, as_of=date(2026, 3, 2))
    (fiche,) = clean.fiches.to_pylist()
    assert (fiche["code_postal"], fiche["code_insee"]) == ("35000", "35238")
    assert fiche["site_web"] == "https://essai.example.org"
    assert [row["regle"] for row in clean.rejects.to_pylist()] == ["hors_france"]


def test_repair_cafes_are_asked_for_until_an_empty_page(registry: Registry) -> None:
    source = registry["repaircafe"]
    (first,) = PLATFORM.first(source)
    assert parse_qs(urlsplit(first.url).query) == {"offset": ["0"], "limit": ["100"]}
    (second,) = PLATFORM.follow(source, make_page(FIXTURES / "repaircafe.json", first.url))
    assert parse_qs(urlsplit(second.url).query) == {"offset": ["5"], "limit": ["100"]}
    assert not PLATFORM.follow(source, make_page("[]", second.url))


def test_emmaus_shops(registry: Registry) -> None:
    """The full list is read, not the short one beside it; hours, phones and mails are not."""
    source = registry["emmaus"]
    extraction = run(source, make_page(FIXTURES / "emmaus.json", source.url))
    found = fiches(extraction)
    assert sorted(found) == ["41", "42", "43"]
    expected = {
        "nom": "Emmaüs Essai",
        "url": "https://www.emmaus-france.org/boutique/essai/",
        "adresse": "12 rue du Test 35000 Rennes",
        "complement_adresse": "Bâtiment B",
        "latitude": "48.1113",
        "longitude": "-1.6800",
        "site_web": "http://essai.example.org",
        "type": "ressourcerie",
        "courriel": None,
        "telephone": None,
    }
    assert {name: found["41"][name] for name in expected} == expected
    assert (found["42"]["latitude"], found["42"]["longitude"]) == ("46.2052", "5.2255")
    assert found["43"]["latitude"] is None
    assert not rejected(extraction)
    assert "prenom" not in everything(extraction)
    assert "0612345678" not in everything(extraction)


def test_emmaus_places_are_found_from_their_addresses(registry: Registry) -> None:
    source = registry["emmaus"]
    extraction = run(source, make_page(FIXTURES / "emmaus.json", source.url))
    with workbench() as con:
        clean = normalise(con, extraction.fiches, as_of=date(2026, 3, 2))
    places = {row["cle_source"]: row["code_insee"] for row in clean.fiches.to_pylist()}
    assert places == {"41": "35238", "42": "01053", "43": None}
