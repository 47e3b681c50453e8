from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lowtech_data.capture import CaptureError, Client, Store, harvest
from lowtech_data.extract import PLATFORMS, extract
from lowtech_data.extract.base import Extraction, Page, PayloadError
from lowtech_data.registry import Registry, Source
from tests.capture.conftest import Site, answer

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


LIST = """<title>Ateliers</title><ul>
<li class="atelier"><h2><a href="/a/12">Atelier du Nord</a></h2></li>
<li class="atelier"><h2><a href="/a/13#plan">Atelier du Sud</a></h2></li>
<li class="atelier"><h2><a href="/a/13">Atelier du Sud, encore</a></h2></li>
<li class="atelier"><h2>Atelier sans page</h2></li>
<li class="atelier"><h2><a href="mailto:prenom.nom@example.org">Atelier par courriel</a></h2></li>
</ul><a rel="next" href="?page=2">Suite</a>"""
LAST = '<li class="atelier"><h2><a href="/a/14">Atelier de l’Est</a></h2></li>'


def details_page(name: str, rest: str = "") -> str:
    # Pages of records show other records beside, as the list does.
    beside = '<li class="atelier"><h2><a href="/a/99">Voir aussi</a></h2></li>'
    return f"<article><h1>{name}</h1>{rest}</article>{beside}"


DETAILS: dict[str, Any] = {
    "lien": "h2 a@href",
    "fiche": "article",
    "champs": {"nom": "h1", "ville": ".ville", "tel": "a.tel@href"},
}


class TestDetails:
    def source(self, url: str = "https://example.org/liste", **changes: Any) -> Source:
        options = {
            "fiche": "li.atelier", "suivant": "a[rel=next]", "details": {**DETAILS, **changes}
        }  # fmt: skip
        champs = {"cle_source": "_page", "url": "_page", "nom": "nom", "commune": "ville"}
        limites = {"pause_s": 0, "essais": 1}
        return make_source(
            "html_listing",
            url=url,
            champs=champs,
            options=options,
            ignorer=["tel"],
            limites=limites,
        )

    def pages(self) -> list[Page]:
        return [
            make_page(LIST),
            make_page(details_page("Atelier du Nord"), "https://example.org/a/12"),
            make_page(
                details_page("Atelier du Sud", "<p class=ville>Nice</p>"),
                "https://example.org/a/13",
            ),
        ]

    def test_records_come_from_their_own_pages_only(self) -> None:
        extraction = run(self.source(), *self.pages())
        found = fiches(extraction)
        assert {key: (row["nom"], row["commune"]) for key, row in found.items()} == {
            "https://example.org/a/12": ("Atelier du Nord", None),
            "https://example.org/a/13": ("Atelier du Sud", "Nice"),
        }
        assert found["https://example.org/a/12"]["pointeur"] == "article [1]"
        assert "prenom" not in everything(extraction)

    def test_a_record_without_a_page_is_a_reject(self) -> None:
        rejects = rejected(run(self.source(), self.pages()[0]))
        assert rejects == [
            ("li.atelier [4]", "*", "lien_absent"),
            ("li.atelier [5]", "*", "lien_absent"),
        ]

    def test_a_field_that_no_page_has_is_told(self) -> None:
        source = self.source().model_copy(
            update={"champs": {"cle_source": "_page", "nom": "titre"}}
        )
        assert ("*", "titre", "colonne_absente") in rejected(run(source, *self.pages()[1:]))

    def test_a_list_leads_to_each_record_once_and_to_the_next_page(self) -> None:
        requests = PLATFORM.follow(self.source(), self.pages()[0])
        assert [request.url for request in requests] == [
            "https://example.org/a/12",
            "https://example.org/a/13",
            "https://example.org/liste?page=2",
        ]

    def test_the_page_of_a_record_leads_nowhere(self) -> None:
        assert not PLATFORM.follow(self.source(), self.pages()[1])

    @pytest.mark.parametrize(
        ("page", "changes", "reason"),
        [
            (LIST, {"fiche": "ul"}, "details.fiche : 'ul' est aussi sur la liste"),
            (LIST, {"lien": "h3 a@href"}, "'h3 a@href' ne trouve aucune adresse dans les 5 fiches"),
            ("<title>Fermé</title><p>", {}, "'li.atelier' trouve 0 fois.*« Fermé »"),
        ],
    )
    def test_a_selector_that_finds_nothing_is_an_error(
        self, page: str, changes: dict[str, Any], reason: str
    ) -> None:
        source = self.source(**changes)
        with pytest.raises(PayloadError, match=reason):
            run(source, make_page(page))
        with pytest.raises(PayloadError, match=reason):
            PLATFORM.follow(source, make_page(page))

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"champs": {"nom": "h2"}}, "les mettre dans details.champs"),
            ({"details": {**DETAILS, "lien": "h2 a"}}, "lien : attendu l’attribut d’un lien"),
            ({"details": {**DETAILS, "lien": "h2 >@href"}}, "sélecteur CSS incorrect"),
            ({"details": {**DETAILS, "champs": {}}}, "champs"),
        ],
    )
    def test_options_are_checked(self, changes: dict[str, Any], reason: str) -> None:
        with pytest.raises(ValidationError, match=reason):
            PLATFORM.options.model_validate({"fiche": "li", "details": DETAILS, **changes})

    def test_a_whole_harvest(self, site: Site, client: Client, tmp_path: Path) -> None:
        for path, body in {
            "/liste": LIST,
            "/liste?page=2": LAST,
            "/a/12": details_page("Nord"),
            "/a/13": details_page("Sud"),
            "/a/14": details_page("Est"),
        }.items():
            site.pages[path] = answer(body.encode(), Content_Type="text/html; charset=utf-8")
        source = self.source(site.url("/liste"))
        registry = Registry(tmp_path / "sources.yaml", (source,))
        store, now = Store(tmp_path / "captures"), datetime(2026, 3, 2, tzinfo=UTC)
        found = harvest(source, PLATFORM, registry, store, client, now=now)
        assert site.paths == ["/liste", "/a/12", "/a/13", "/liste?page=2", "/a/14"]
        names = {row["nom"] for row in fiches(extract(source, PLATFORM, found.bodies)).values()}
        assert names == {"Nord", "Sud", "Est"}
        tight = source.model_copy(
            update={"limites": source.limites.model_copy(update={"pages": 3})}
        )
        with pytest.raises(CaptureError, match="plus de 3 pages"):
            harvest(tight, PLATFORM, registry, store, client, now=now)
