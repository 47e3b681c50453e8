import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowtech_data.capture import Client, Harvest, Store, harvest
from lowtech_data.extract import PLATFORMS, extract
from lowtech_data.extract.base import PayloadError
from lowtech_data.registry import Registry, Source
from tests.capture.conftest import Site, answer

from .support import FIXTURES, everything, fiches, make_page, make_source, rejected, run

PLATFORM = PLATFORMS["flux"]
RSS = FIXTURES / "rss.xml"

ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://www.w3.org/2003/01/geo/wgs84_pos#"
      xml:base="https://ateliers.example/lieux/">
  <title>Lieux</title>
  <link rel="license" href="https://creativecommons.org/licenses/by/4.0/"/>
  {suite}
  <entry>
    <id>urn:uuid:1</id>
    <title type="text">5 &lt; 6 : petits lieux</title>
    <link rel="enclosure" href="photo.jpg"/>
    <link href="un"/>
    <updated>2024-03-11T09:41:45+01:00</updated>
    <published>2023-01-02T00:00:00Z</published>
    <author><name>Dominique Exemple</name><email>dominique@ateliers.example</email></author>
    <category term="velo" label="Vélo &amp; marche"/>
    <category term="bois"/>
    <summary type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">Un <b>lieu</b>.</div></summary>
    <content type="html">&lt;p&gt;Tout l’article.&lt;/p&gt;</content>
    <source><title>Ailleurs</title><author><name>Camille Exemple</name></author></source>
    <g:Point><g:lat>48.07</g:lat><g:long>7.35</g:long></g:Point>
  </entry>
</feed>"""

RSS1 = """<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
  xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">
  <channel r:about="https://ateliers.example/"><title>Lieux</title></channel>
  <item r:about="https://ateliers.example/1">
    <title>Le lieu</title><link>https://ateliers.example/un</link>
    <dc:date>2024-03-11</dc:date><dc:subject>bois</dc:subject><dc:language>fr</dc:language>
    <dc:creator>Dominique Exemple</dc:creator>
  </item>
</r:RDF>"""

ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
BOMB = (
    f'<!DOCTYPE rss [<!ENTITY e0 "ha">{ENTITIES}]>'
    "<rss><channel><item><guid>1</guid><title>&e9;</title></item></channel></rss>"
)


def feed(**changes: Any) -> Source:
    given = {"champs": {"commune": "lieu:ville"}, **changes}
    return make_source("flux", url="https://ateliers.example/feed", **given)


def item(content: str, namespaces: str = "") -> str:
    return f"<rss {namespaces}><channel><item><guid>1</guid>{content}</item></channel></rss>"


def one(content: str, namespaces: str = "") -> dict[str, Any]:
    return fiches(run(make_source("flux"), make_page(item(content, namespaces))))["1"]


class TestFormats:
    def test_rss_2(self) -> None:
        page = make_page(RSS, "https://ateliers.example/feed")
        codes = {"énergie & cuisson": {"themes": ["energie"]}, "bois": {"themes": ["habitat"]}}
        extraction = run(feed(codes=codes), page)
        article = fiches(extraction)["https://ateliers.example/?p=81"]
        expected = {
            "nom": "L’atelier & le four",
            "description": "Cuire au soleil , sans gaz.",
            "url": "https://ateliers.example/four-solaire/",
            "themes": ["energie", "habitat"],
            "commune": "Colmar",
            "latitude": "48.0735",
            "longitude": "7.3577",
            "date_publication": "2024-03-05T23:30:00+01:00",
            "date_maj": None,
            "licence": "cc-by-sa-4.0",
            "pointeur": "/item[1]",
        }
        assert {name: article[name] for name in expected} == expected

    def test_what_is_not_understood_is_told_or_left_as_written(self) -> None:
        extraction = run(feed(), make_page(RSS))
        key = "https://ateliers.example/velo/"
        assert rejected(extraction) == [(key, "georss:point", "geometrie_illisible")]
        assert fiches(extraction)[key]["url"] == key
        assert fiches(extraction)[key]["date_publication"] == "mars 2024"

    def test_atom(self) -> None:
        extraction = run(make_source("flux"), make_page(ATOM.format(suite="")))
        place = fiches(extraction)["urn:uuid:1"]
        expected = {
            "nom": "5 < 6 : petits lieux",
            "description": "Un lieu.",
            "url": "https://ateliers.example/lieux/un",
            "latitude": "48.07",
            "longitude": "7.35",
            "date_maj": "2024-03-11T09:41:45+01:00",
            "date_publication": "2023-01-02T00:00:00Z",
            "licence": "cc-by-4.0",
        }
        assert {name: place[name] for name in expected} == expected
        assert not rejected(extraction)

    def test_labels_of_atom_categories_before_their_terms(self) -> None:
        source = make_source("flux", codes={"x": {}})
        extraction = run(source, make_page(ATOM.format(suite="")))
        shown = [row["valeur_masquee"] for row in extraction.rejects.to_pylist()]
        assert shown == ["Vélo & marche", "bois"]

    def test_rss_1(self) -> None:
        extraction = run(make_source("flux"), make_page(RSS1))
        place = fiches(extraction)["https://ateliers.example/1"]
        assert (place["nom"], place["url"]) == ("Le lieu", "https://ateliers.example/un")
        assert (place["date_publication"], place["langue"]) == ("2024-03-11", "fr")
        assert not rejected(extraction)

    @pytest.mark.parametrize("document", [RSS.read_text(), ATOM.format(suite=""), RSS1])
    def test_nobody_who_wrote_is_read(self, document: str) -> None:
        paths = ["author", "author.name", "dc:creator", "source.author.name"]
        source = make_source("flux", champs={"attribution": paths})
        said = everything(run(source, make_page(document)))
        assert not re.search("Dominique|Camille|@", said)

    def test_bodies_of_articles_are_not_read(self) -> None:
        for document in (RSS.read_text(), ATOM.format(suite="")):
            assert "Tout l’article" not in everything(run(feed(), make_page(document)))


class TestItems:
    @pytest.mark.parametrize("written", ["1.5 2.5", " 1.5\n2.5 ", "1.5,2.5", "1.5, 2.5"])
    def test_ways_of_writing_a_point(self, written: str) -> None:
        georss = 'xmlns:s="http://www.georss.org/georss" xmlns:gml="http://www.opengis.net/gml"'
        nested = f"<gml:Point><gml:pos>{written}</gml:pos></gml:Point>"
        for content in (f"<s:point>{written}</s:point>", f"<s:where>{nested}</s:where>"):
            place = one(content, georss)
            assert (place["latitude"], place["longitude"]) == ("1.5", "2.5")

    def test_a_key_is_never_invented(self) -> None:
        page = make_page("<rss><channel><item><title>A</title></item></channel></rss>")
        assert rejected(run(make_source("flux"), page)) == [
            ("/item[1]", "cle_source", "cle_absente")
        ]

    def test_an_element_of_another_vocabulary_is_told_by_the_prefix_of_the_feed(self) -> None:
        document = item("<v:a><v:b>1</v:b><v:b>2</v:b></v:a>", 'xmlns:v="https://x.example/"')
        extraction = run(make_source("flux"), make_page(document))
        assert rejected(extraction) == [("*", "v:a.v:b", "colonne_non_declaree")]
        source = make_source("flux", champs={"commune": "v:a.v:b"})
        assert fiches(run(source, make_page(document)))["1"]["commune"] == "1; 2"

    def test_characters_that_xml_cannot_hold_lose_no_record(self) -> None:
        assert one("<title>Ate\x0blier\x08</title>")["nom"] == "Atelier"

    @pytest.mark.parametrize("charset", ["iso-8859-1", "windows-1252", "utf-8", "utf-16"])
    def test_the_declared_charset(self, charset: str) -> None:
        text = f'<?xml version="1.0" encoding="{charset}"?>{item("<title>Été</title>")}'
        page = make_page(text.encode(charset))
        assert fiches(run(make_source("flux"), page))["1"]["nom"] == "Été"

    def test_nesting_has_an_end(self) -> None:
        deep = "<a>" * 200 + "fond" + "</a>" * 200
        extraction = run(make_source("flux"), make_page(item(deep)))
        ((_, column, rule),) = rejected(extraction)
        assert (column.count("a"), rule) == (8, "colonne_non_declaree")

    @given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=40))
    def test_any_text_of_any_field_is_read(self, text: str) -> None:
        escaped = text.replace("&", "&amp;").replace("<", "&lt;")
        names = ("title", "link", "pubDate", "category", "description", "v")
        content = "".join(f"<{name}>{escaped}</{name}>" for name in names)
        assert run(make_source("flux"), make_page(item(content))).fiches.num_rows == 1


class TestOtherAnswers:
    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ("<!DOCTYPE html><title>Connexion</title><input type=password>", "page de connexion"),
            ('<html xmlns="http://www.w3.org/1999/xhtml"><body/></html>', "attendu un flux"),
            ("<opml version='2.0'><body/></opml>", "trouvé un document XML <opml>"),
            ("<rss version='2.0'/>", "trouvé un document XML <rss>"),
            ("<rss><channel><item><title>a", r"XML illisible, ligne 1, colonne \d+"),
            (item("<title>&eacute;t&eacute;</title>"), r"XML illisible.*eacute"),
            ("<!DOCTYPE rss><rss><channel/></rss>", "DOCTYPE"),
            (BOMB, "DOCTYPE|amplification"),
            ('{"items": []}', "trouvé un texte qui commence par '{\"items"),
            (" ", "trouvé rien"),
        ],
    )
    def test_what_came_instead_of_a_feed_is_said(self, body: str, reason: str) -> None:
        page = make_page(body)
        for read in (lambda: run(make_source("flux"), page), lambda: PLATFORM.follow(feed(), page)):
            with pytest.raises(PayloadError, match=reason):
                read()


class TestHarvest:
    def run(self, source: Source, folder: Path, client: Client) -> Harvest:
        registry = Registry(folder / "sources.yaml", (source,))
        now = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
        return harvest(source, PLATFORM, registry, Store(folder / "captures"), client, now=now)

    def test_pages_are_followed_to_the_end_and_known_ones_too(
        self, site: Site, client: Client, tmp_path: Path
    ) -> None:
        links = ["feed?page=2", "feed?page=3", "feed?page=3#fin"]
        paths = ["/feed", "/feed?page=2", "/feed?page=3"]
        for number, (path, link) in enumerate(zip(paths, links, strict=True)):
            document = ATOM.format(suite=f'<link rel="next" href="{link}"/>').replace(
                "uuid:1", f"uuid:{number}"
            )
            document = document.replace("https://ateliers.example/lieux/", "")
            site.pages[path] = answer(
                document.encode(), Content_Type="application/atom+xml", ETag=f'"{number}"'
            )
        source = make_source("flux", url=site.url("/feed"), limites={"pause_s": 0})
        found = self.run(source, tmp_path, client)
        assert len(fiches(extract(source, PLATFORM, found.bodies))) == 3
        for path in paths:
            site.pages[path] = answer(status=304)
        assert self.run(source, tmp_path, client).status == "inchangee"
        assert site.paths == paths * 2
