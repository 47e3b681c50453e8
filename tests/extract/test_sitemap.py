import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lowtech_data.capture import CaptureError, Client, Store, harvest
from lowtech_data.extract import PLATFORMS, extract
from lowtech_data.extract.base import Page, PayloadError
from lowtech_data.registry import Registry, Source
from tests.capture.conftest import Site, answer

from .support import FIXTURES, everything, fiches, make_page, make_source, rejected, run

PLATFORM = PLATFORMS["sitemap"]
URL = "https://example.org/plan.xml"
PLAN = (FIXTURES / "plan.xml").read_text()
SELECTORS = {"fiche": "article", "champs": {"nom": "h1", "ville": ".ville"}}


def sitemap(url: str = URL, *, champs: Any = None, limites: Any = None, **options: Any) -> Source:
    if "selecteurs" not in options:
        options["json_ld"] = {"types": ["LocalBusiness"]}
    return make_source(
        "sitemap",
        url=url,
        options={"pages": "/lieux/", **options},
        champs=champs or {},
        limites={"pause_s": 0, "essais": 1, **(limites or {})},
    )


def asked(source: Source, page: Page) -> list[str]:
    return [request.url for request in PLATFORM.follow(source, page)]


def place(name: str, **more: Any) -> str:
    record = {"@context": "https://schema.org", "@type": "LocalBusiness", "name": name, **more}
    return f'<html><script type="application/ld+json">{json.dumps(record)}</script></html>'


class TestPlan:
    def test_pages_that_match_are_asked_for_once(self) -> None:
        assert asked(sitemap(), make_page(PLAN, URL)) == [
            "https://example.org/lieux/atelier-du-nord",
            "https://example.org/lieux/atelier-du-sud",
            "https://example.org/lieux/ancien?a=1&b=2",
        ]
        assert run(sitemap(), make_page(PLAN, URL)).read == 0

    @pytest.mark.parametrize(("day", "count"), [("2019-01-01", 3), ("2019-01-02", 2),
                                                ("2024-12-15", 2), ("2025-01-01", 1),
                                                ("2025-04-03", 0)])  # fmt: skip
    def test_pages_dated_before_a_day_are_not(self, day: str, count: int) -> None:
        # The month alone (2024-12) is surely before the first of January, not before its own end.
        assert len(asked(sitemap(depuis=day), make_page(PLAN, URL))) == count

    def test_an_index_leads_to_its_sitemaps(self) -> None:
        index = (
            '<s:sitemapindex xmlns:s="http://www.sitemaps.org/schemas/sitemap/0.9">'
            "<s:sitemap><s:loc>https://example.org/lieux-1.xml.gz</s:loc></s:sitemap>"
            "<s:sitemap><s:loc>/articles.xml</s:loc></s:sitemap></s:sitemapindex>"
        )
        gz, articles = "https://example.org/lieux-1.xml.gz", "https://example.org/articles.xml"
        assert asked(sitemap(), make_page(index, URL)) == [gz, articles]
        assert asked(sitemap(plans="lieux-[0-9]"), make_page(index, URL)) == [gz]

    def test_a_compressed_plan(self) -> None:
        page = make_page(gzip.compress(PLAN.encode()), f"{URL}.gz")
        assert len(asked(sitemap(f"{URL}.gz"), page)) == 3
        # The server may have said that it was compressed: it then comes inflated.
        assert len(asked(sitemap(f"{URL}.gz"), make_page(PLAN, f"{URL}.gz"))) == 3

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            (gzip.compress(b"<urlset>" + b" " * 200_000), "plus de 100000 octets"),
            (gzip.compress(PLAN.encode())[:-20], "compressé incomplet"),
            (b"\x1f\x8b\x08rien", "compressé illisible"),
        ],
    )
    def test_a_compressed_plan_that_is_too_big_or_broken(self, body: bytes, reason: str) -> None:
        source = sitemap(f"{URL}.gz", limites={"octets": 100_000})
        with pytest.raises(PayloadError, match=reason):
            PLATFORM.follow(source, make_page(body, f"{URL}.gz"))

    def test_a_compressed_plan_under_another_name_is_named(self) -> None:
        with pytest.raises(PayloadError, match="trouvé une archive gzip"):
            PLATFORM.follow(sitemap(), make_page(gzip.compress(PLAN.encode()), URL))

    def test_more_pages_than_the_limit_is_told_before_any_is_asked_for(self) -> None:
        with pytest.raises(PayloadError, match=r"3 adresses .*limites\.pages \(2\)"):
            PLATFORM.follow(sitemap(limites={"pages": 2}), make_page(PLAN, URL))

    def test_an_encoding_that_the_bytes_contradict_does_not_count(self) -> None:
        plan = PLAN.replace('encoding="UTF-8"', 'encoding="UTF-16"')
        assert len(asked(sitemap(), make_page(plan, URL))) == 3

    def test_addresses_that_are_none_are_passed_over(self) -> None:
        plan = "<urlset><url><loc>http://[x/lieux/</loc></url><url><loc>file:///lieux/</loc></url></urlset>"
        assert asked(sitemap(), make_page(plan, URL)) == []


ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (f'<!DOCTYPE u [<!ENTITY e0 "ha">{ENTITIES}]><urlset>&e9;</urlset>', "contient une DTD"),
        ('<!DOCTYPE u SYSTEM "http://127.0.0.1/a.dtd"><urlset/>', "contient une DTD"),
        ("<urlset><url></urlset>", "plan de site illisible"),
        ("<urlset>" + "<a>" * 5_000, "plan de site illisible"),
        ("<urlset>&e;</urlset>", "plan de site illisible"),
        ("<title>Entrez</title><input type=password>", "page de connexion « Entrez »"),
        ("<feed xmlns='http://www.w3.org/2005/Atom'/>", "plan de site"),
        ("https://example.org/a\n", "trouvé un texte sans balise"),
        ("", "trouvé un texte sans balise"),
    ],
)  # fmt: skip
def test_a_plan_that_is_none_is_refused(body: str, reason: str) -> None:
    for question in (run, PLATFORM.follow):
        with pytest.raises(PayloadError, match=reason):
            question(sitemap(), make_page(body, URL))


class TestPages:
    def test_json_ld(self) -> None:
        url = "https://example.org/lieux/nord"
        body = place("Atelier du Nord", author="Prenom Nom", address={"addressLocality": "Lille"})
        source = sitemap().model_copy(update={"ignorer": ["@context"]})
        extraction = run(source, make_page(body, url))
        fiche = fiches(extraction)[url]
        assert (fiche["nom"], fiche["commune"], fiche["url"]) == ("Atelier du Nord", "Lille", url)
        assert "Prenom" not in everything(extraction)
        assert not rejected(extraction)

    def test_selectors(self) -> None:
        url = "https://example.org/lieux/nord"
        source = sitemap(
            selecteurs=SELECTORS, champs={"cle_source": "_page", "nom": "nom", "commune": "ville"}
        )
        extraction = run(source, make_page("<article><h1>Nord</h1></article>", url))
        assert fiches(extraction)[url]["nom"] == "Nord"

    @pytest.mark.parametrize("options", [{}, {"selecteurs": SELECTORS}])
    def test_a_page_without_record_is_a_reject(self, options: Any) -> None:
        page = make_page("<html><title>Autre</title></html>", "https://example.org/lieux/")
        rejects = [
            (key, rule)
            for key, field, rule in rejected(run(sitemap(**options), page))
            if field == "*"
        ]
        assert rejects == [("page", "page_sans_fiche")]

    def test_a_page_leads_nowhere(self) -> None:
        assert asked(sitemap(), make_page(place("Nord"), "https://example.org/lieux/nord")) == []


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "pages"),
        ({"pages": "/a/"}, "un seul des deux"),
        ({"pages": "/a/", "json_ld": {}, "selecteurs": SELECTORS}, "un seul des deux"),
        ({"pages": "/a(/", "json_ld": {}}, "expression incorrecte '/a\\(/'"),
        ({"pages": "/a/", "selecteurs": {"fiche": "a["}}, "sélecteur CSS incorrect"),
    ],
)
def test_options_are_checked(options: Any, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        PLATFORM.options.model_validate(options)


def test_a_whole_harvest(site: Site, client: Client, tmp_path: Path) -> None:
    """Index, compressed sitemap, pages: over HTTP, then the same bytes again."""

    def plan(kind: str, *paths: str) -> bytes:
        entry = "sitemap" if kind == "sitemapindex" else "url"
        entries = "".join(f"<{entry}><loc>{site.url(path)}</loc></{entry}>" for path in paths)
        return f'<{kind} xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</{kind}>'.encode()

    lieux = plan("urlset", "/lieux/nord", "/lieux/sud", "/contact")
    site.pages["/plan.xml"] = answer(plan("sitemapindex", "/lieux.xml.gz"))
    site.pages["/lieux.xml.gz"] = answer(gzip.compress(lieux), Content_Type="application/x-gzip")
    for name in ("nord", "sud"):
        site.pages[f"/lieux/{name}"] = answer(place(name).encode(), Content_Type="text/html")
    source = sitemap(site.url("/plan.xml"))
    registry, store = Registry(tmp_path / "sources.yaml", (source,)), Store(tmp_path / "captures")
    now = datetime(2026, 3, 2, tzinfo=UTC)
    found = harvest(source, PLATFORM, registry, store, client, now=now)
    assert site.paths == ["/plan.xml", "/lieux.xml.gz", "/lieux/nord", "/lieux/sud"]
    names = {row["nom"] for row in fiches(extract(source, PLATFORM, found.bodies)).values()}
    assert names == {"nord", "sud"}
    assert harvest(source, PLATFORM, registry, store, client, now=now).status == "inchangee"
    site.pages["/lieux.xml.gz"] = answer(b"<urlset>")
    with pytest.raises(CaptureError, match="plan de site illisible"):
        harvest(source, PLATFORM, registry, store, client, now=now)
