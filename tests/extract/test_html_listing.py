from typing import Any

import pytest
from pydantic import ValidationError

from lowtech_data.extract import PLATFORMS
from lowtech_data.extract.base import Extraction, PayloadError

from .support import FIXTURES, everything, fiches, make_page, make_source, rejected, run

PLATFORM = PLATFORMS["html_listing"]
OPTIONS: dict[str, Any] = {
    "fiche": "li.atelier",
    "champs": {"id": "@data-id", "nom": "h2", "lien": "h2 a@href", "ville": ".ville"},
    "suivant": "a[rel=next]",
}
CHAMPS = {"cle_source": "id", "nom": "nom", "url": "lien", "commune": "ville"}


def read(page: Any = FIXTURES / "liste.html", **options: Any) -> Extraction:
    source = make_source("html_listing", champs=CHAMPS, options={**OPTIONS, **options})
    return run(source, make_page(page))


def test_records_of_a_page() -> None:
    extraction = read()
    found = fiches(extraction)
    assert [row["nom"] for row in found.values()] == ["Atelier du Nord", "Atelier du Sud"]
    assert found["12"]["url"] == "https://example.org/a/12"
    assert found["13"]["commune"] == "Marseille"
    assert found["13"]["pointeur"] == "li.atelier [2]"
    assert "prenom" not in everything(extraction)
    assert not rejected(extraction)


def test_several_values_stay_several_and_the_whole_element_can_be_read() -> None:
    page = '<li data-id="1"><b>x</b><b>y</b><b>x</b></li><li data-id="2">z</li>'
    champs = {"id": "@data-id", "nom": ".", "ville": "b", "lien": "b"}
    found = fiches(read(page, fiche="li", champs=champs))
    assert found["1"]["commune"] == "x; y"
    assert found["1"]["nom"] == "x y x"
    assert found["2"]["nom"] == "z"


def test_links_are_absolute_from_the_base_of_the_page() -> None:
    page = '<base href="/b/"><li data-id="1"><a href="c?d">n</a><a href="http://[x">m</a></li>'
    champs = {"id": "@data-id", "nom": "a", "ville": "a", "lien": "a@href"}
    found = fiches(read(page, fiche="li", champs=champs))
    assert found["1"]["url"] == "https://example.org/b/c?d; http://[x"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"fiche": "li.lieu"}, "'li.lieu' trouve 0 fois.*page HTML « Ateliers d'essai »"),
        ({"minimum": 3}, "trouve 2 fois, attendu au moins 3"),
        (
            {"champs": {**OPTIONS["champs"], "tel": ".tel"}},
            "champs.tel : '.tel' ne trouve rien dans les 2 fiches",
        ),
    ],
)
def test_a_selector_that_finds_nothing_is_an_error(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(PayloadError, match=reason):
        read(**options)


def test_a_field_may_be_declared_optional() -> None:
    champs = {**OPTIONS["champs"], "tel": ".tel"}
    assert read(champs=champs, facultatifs=["tel"]).fiches.num_rows == 2


def test_a_login_page_is_named() -> None:
    with pytest.raises(PayloadError, match="page de connexion « Entrez »"):
        read("<title>Entrez</title><input type=password>")


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ('<a rel="next" href="?page=2#haut">', ["https://example.org/liste?page=2"]),
        ('<a rel="next" href="/liste#bas">', []),
        ('<a rel="next" href="">', []),
        ('<a rel="next">', []),
        ("<a>", []),
    ],
)
def test_next_page(link: str, expected: list[str]) -> None:
    source = make_source("html_listing", options=OPTIONS)
    requests = PLATFORM.follow(source, make_page(f"<html>{link}suite</a></html>"))
    assert [request.url for request in requests] == expected


def test_a_next_page_that_is_a_script_is_an_error() -> None:
    source = make_source("html_listing", options=OPTIONS)
    page = make_page('<html><a rel="next" href="javascript:suite(2)">suite</a></html>')
    with pytest.raises(PayloadError, match=r"suivant : .*'javascript:suite.*passe par des scripts"):
        PLATFORM.follow(source, page)


def test_a_broken_base_address_is_no_bug() -> None:
    page = '<base href="http://[x"><li data-id="1"><a href="https://a.fr/">n</a></li>'
    champs = {"id": "@data-id", "nom": "a", "ville": "a", "lien": "a@href"}
    assert fiches(read(page, fiche="li", champs=champs))["1"]["url"] == "https://a.fr/"


def test_data_attributes_and_lazy_links_are_read_as_declared() -> None:
    page = '<li data-id="1" data-ville=" Lille " data-href="/a/1" class="x y">n</li>'
    champs = {"id": "@data-id", "nom": "@class", "ville": "@data-ville", "lien": "@data-href"}
    fiche = fiches(read(page, fiche="li", champs=champs))["1"]
    assert (fiche["nom"], fiche["commune"]) == ("x y", "Lille")
    assert fiche["url"] == "https://example.org/a/1"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"fiche": "li["}, "sélecteur CSS incorrect 'li\\['"),
        ({"champs": {"nom": "h2 >"}}, "sélecteur CSS incorrect"),
        ({"champs": {}}, "champs"),
        ({"facultatifs": ["tel"]}, "absentes de champs : tel"),
    ],
)
def test_options_are_checked(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        PLATFORM.options.model_validate({**OPTIONS, **changes})


def test_an_at_sign_inside_a_selector_is_no_separator() -> None:
    page = '<li data-id="1"><a href="/@x">n</a></li>'
    champs = {"id": "@data-id", "nom": 'a[href*="@x"]', "ville": "a", "lien": 'a[href*="@x"]@href'}
    fiche = fiches(read(page, fiche="li", champs=champs))["1"]
    assert (fiche["nom"], fiche["url"]) == ("n", "https://example.org/@x")
