"""What readers get: complete, light, without scripts, and inert whatever a source wrote."""

from __future__ import annotations

import csv
import gzip
import io
from typing import Any
from urllib.parse import urlsplit

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from lowtech_data.site import views

from .conftest import HOSTILE, HOSTILE_ID, PLACES, RENNES_ID, Reader

PAGES = (
    "/",
    "/initiatives",
    "/initiatives?q=fablab&region=53&type=fablab&theme=fabrication",
    "/departement/29",
    "/region/53",
    "/type/fablab",
    f"/i/{RENNES_ID}",
    f"/i/{HOSTILE_ID}",
    "/sources",
    "/source/bzh_fablab",
    "/source/hostile",
    "/donnees",
    "/licences",
    "/sante",
    "/nulle-part",
    "/lowtech",
    "/lowtech/initiatives",
    "/lowtech/sources",
    f"/lowtech/initiatives/{HOSTILE_ID}",
    "/lowtech/etat_des_sources",
    "/lowtech?sql=select+*+from+initiatives",
)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_light_whole_and_accessible(site: Reader, path: str) -> None:
    answer = site.get(path, headers={"accept-encoding": "gzip"})
    assert int(answer.headers["content-length"]) <= 13_000
    page = BeautifulSoup(answer.text, "lxml")
    assert page.html is not None
    assert page.html["lang"] == "fr"
    assert page.title is not None
    assert len(page.find_all("h1")) == 1
    assert page.select_one("body > a[href='#contenu']")
    assert page.select_one("main#contenu")
    assert page.select_one("header nav[aria-label]")
    assert page.select_one("footer")
    for field in page.select("input:not([type=hidden]), select, textarea"):
        assert field.find_parent("label"), field
    for drawing in page.select("svg"):
        assert drawing["role"] == "img"
        assert drawing["aria-label"]
    assert "2026-03-03-aaaaaaaa" in answer.text
    assert "%poids%" not in answer.text


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_one_request_without_script(site: Reader, path: str) -> None:
    page = BeautifulSoup(site.get(path).text, "lxml")
    assert not page.find_all(["script", "iframe", "img", "object", "embed", "base"])
    assert [link["href"] for link in page.find_all("link")] == ["data:,"]
    for element in page.find_all(True):
        names = [name.lower() for name in element.attrs]
        assert not [name for name in names if name.startswith("on")], element
        assert "style" not in names, element


@pytest.mark.parametrize("path", PAGES)
def test_what_a_source_wrote_is_text(site: Reader, path: str) -> None:
    page = BeautifulSoup(site.get(path).text, "lxml")
    for link in page.find_all(["a", "form"]):
        address = str(link.get("href") or link.get("action") or "")
        assert urlsplit(address).scheme in ("", "http", "https", "mailto", "tel", "geo"), link
    assert "49" not in page.get_text().split()  # {{7*7}} is not computed


def test_hostile_texts_are_shown_as_they_are(site: Reader) -> None:
    page = BeautifulSoup(site.get(f"/i/{HOSTILE_ID}").text, "lxml")
    shown = page.get_text()
    for text in HOSTILE:
        assert text in shown


def test_hostile_texts_are_inert_in_every_format(site: Reader) -> None:
    assert site.get("/initiatives.json").headers["content-type"].startswith("application/json")
    kind = site.get("/initiatives.geojson").headers["content-type"]
    assert kind.startswith("application/geo+json")
    rows = list(csv.DictReader(io.StringIO(site.get("/initiatives.csv").text)))
    assert any(row["nom"] in HOSTILE for row in rows)


def test_the_front_page_tells_what_there_is(site: Reader) -> None:
    page = BeautifulSoup(site.get("/").text, "lxml")
    text = " ".join(page.get_text().split())
    assert page.select_one("form[role=search][action='/initiatives'] input[name=q]")
    assert page.select_one("a[href='/region/53']").get_text() == "Bretagne"  # type: ignore[union-attr]
    assert page.select_one("a[href='/departement/29']").get_text() == "Finistère"  # type: ignore[union-attr]
    assert page.select_one("a[href='/type/fablab']")
    assert "Dernières arrivées" in text
    assert "1 hors du cadre" in text


def test_filters_narrow_and_count(site: Reader) -> None:
    found = site.get("/initiatives.json?departement=29").json()
    assert found["total"] == 3
    assert {row["code_departement"] for row in found["initiatives"]} == {"29"}
    assert site.get("/initiatives.json?theme=reparation").json()["total"] == 1
    assert site.get("/initiatives.json?famille=revalorisation_dechets").json()["total"] == 1
    assert site.get("/initiatives.json?commune=29019").json()["total"] == 2
    assert site.get("/initiatives.json?commune=brest").json()["total"] == 2
    assert site.get("/initiatives.json?q=bricotheque").json()["total"] == 1
    assert site.get("/initiatives.json?q=QUIMPER").json()["total"] == 1
    page = BeautifulSoup(site.get("/initiatives?departement=29").text, "lxml")
    labels = [option.get_text() for option in page.select("select[name=type] option")]
    assert "Fablab (3)" in labels
    assert page.select_one("select[name=departement] option[selected]")["value"] == "29"  # type: ignore[index]


@pytest.mark.parametrize("start", ["", "region=53", "type=fablab&theme=fabrication", "q=fablab"])
def test_each_choice_gives_what_its_count_says(site: Reader, start: str) -> None:
    page = BeautifulSoup(site.get(f"/initiatives?{start}").text, "lxml")
    for name in ("region", "departement", "type", "theme", "famille"):
        for option in page.select(f"select[name={name}] option[value^='']"):
            code, text = str(option["value"]), option.get_text()
            if not code or code in HOSTILE:
                continue
            kept = [part for part in start.split("&") if part and not part.startswith(f"{name}=")]
            query = "&".join([*kept, f"{name}={code}"])
            total = site.get(f"/initiatives.json?{query}").json()["total"]
            assert text.endswith(f"({total})"), (query, text)


@pytest.mark.parametrize(
    "text", ['"', "*", 'a*b"', "NEAR(", "x" * 10_000, "🚲", "le la", "AND OR", "nom:x", "^", "-"]
)
def test_any_search_has_an_answer(site: Reader, text: str) -> None:
    for path in ("/initiatives", "/initiatives.json"):
        assert site.get(path, params={"q": text}).status_code == 200
        assert site.get(path, params={"commune": text}).status_code == 200
    assert site.get("/lowtech/initiatives.json", params={"_search": text}).status_code < 500


def test_a_commune_is_found_however_it_is_written(site: Reader) -> None:
    def names(query: str) -> set[str]:
        rows = site.get(f"/initiatives.json?commune={query}").json()["initiatives"]
        return {row["commune"] for row in rows}

    assert names("35000") == {"Rennes"}
    assert names("St-Denis") == names("saint denis") == {"Saint-Denis"}


def test_activities_are_found_by_their_theme_and_kind(site: Reader) -> None:
    for words, filtered in (("fablab", "type=fablab"), ("répar", "theme=reparation")):
        asked = site.get(f"/initiatives.json?q={words}").json()["total"]
        assert asked >= site.get(f"/initiatives.json?{filtered}").json()["total"] > 0


def test_an_unknown_filter_is_refused_with_the_nearest(site: Reader) -> None:
    answer = site.get("/initiatives?themes=reparation")
    assert answer.status_code == 400
    assert "« theme »" in answer.text


def test_pages_together_are_the_whole_list_without_repeat(site: Reader) -> None:
    seen: list[str] = []
    path: str | None = "/initiatives"
    while path:
        page = BeautifulSoup(site.get(path).text, "lxml")
        seen += [str(link["href"]) for link in page.select("ol.r h3 a")]
        following = page.select_one("a[rel~=next]")
        path = str(following["href"]) if following else None
    assert len(seen) == len(set(seen)) == site.get("/initiatives.json").json()["total"]
    assert len(seen) == len(PLACES) + 60 + 3


def test_an_initiative_shows_where_each_value_comes_from(site: Reader) -> None:
    text = site.get(f"/i/{RENNES_ID}").text
    page = BeautifulSoup(text, "lxml")
    words = " ".join(page.get_text().split())
    for expected in (
        "Repair café du centre",
        "Rennes",
        "02 99 00 00 00",
        "toute la liste relève du sujet",
        "Hébergé par Les Fabriques du Ponant",
        "Remorque à vélo",
        "Kity",
        "siret",
        "Autre valeur : 5 rue de la Paix",
        "licence cc-by-4.0",
        "Signaler une erreur",
        "2 mars 2026",
    ):
        assert expected in words, expected
    names = [link.get_text() for link in page.select("ol > li > a[href^='/source/']")]
    assert names == ["Fablabs bretons", "Tiers-lieux 2019"]
    assert page.select_one("a[href='https://listes.exemple.fr/1']")
    assert page.select_one("a[href='https://bricotheque.exemple.fr/?a=1&b=2']")
    assert "&amp;b=2" in text


def test_ids_redirect_go_or_explain(site: Reader) -> None:
    merged = site.get("/i/lt-fusionnee00")
    assert (merged.status_code, merged.headers["location"]) == (301, f"/i/{RENNES_ID}")
    assert site.get("/i/lt-retiree0000").status_code == 410
    unknown = site.get("/i/lt-inconnu0000")
    assert unknown.status_code == 404
    assert "cherchez par nom" in unknown.text
    assert site.get("/source/inconnue").status_code == 404


def test_a_source_tells_its_state_and_what_was_refused(site: Reader) -> None:
    text = site.get("/source/cget_2019").text
    for expected in ("lov2", "Figée", "2 mars 2026", "code_postal_inconnu", "Réussie"):
        assert expected in text


def test_health_is_for_machines_too(site: Reader) -> None:
    document = site.get("/sante.json").json()
    assert document["version"] == "2026-03-03-aaaaaaaa"
    assert document["sante"]["ok"] == 1
    assert {source["id"] for source in document["sources"]} >= {"bzh_fablab", "cget_2019"}


def test_downloads_are_those_of_the_index(site: Reader) -> None:
    page = BeautifulSoup(site.get("/donnees").text, "lxml")
    links = [str(a["href"]) for a in page.select("a[href^='/telechargements/']")]
    assert links == ["/telechargements/csv/initiatives.csv", "/telechargements/lowtech.sqlite"]
    whole = site.get("/telechargements/lowtech.sqlite")
    assert whole.content.startswith(b"SQLite format 3")
    assert whole.headers["content-disposition"] == 'attachment; filename="lowtech.sqlite"'
    part = site.get("/telechargements/lowtech.sqlite", headers={"range": "bytes=0-14"})
    assert (part.status_code, part.content) == (206, b"SQLite format 3"[:15])
    assert part.headers["content-range"] == f"bytes 0-14/{len(whole.content)}"
    head = site.get("/telechargements/lowtech.sqlite", method="HEAD")
    assert head.content == b""
    assert int(head.headers["content-length"]) == len(whole.content)


def test_geojson_has_a_point_per_place(site: Reader) -> None:
    for path in (
        "/initiatives.geojson?departement=56",
        "/lowtech/initiatives.geojson?code_departement=56",
    ):
        document = site.get(path).json()
        assert document["type"] == "FeatureCollection"
        assert len(document["features"]) == 3
        longitude, latitude = document["features"][0]["geometry"]["coordinates"]
        assert -4 < longitude < -2
        assert 47 < latitude < 48
    refused = site.get("/lowtech/rejets.geojson")
    assert refused.status_code in (400, 404)


def test_datasette_describes_tables_in_both_languages(site: Reader) -> None:
    text = site.get("/lowtech/initiatives").text
    assert "Lieux, organisations et projets" in text
    assert "Places, organisations and projects" in text
    assert "Code postal / Postcode" in text


def test_robots_are_kept_from_combinations_of_filters(site: Reader) -> None:
    text = site.get("/robots.txt").text
    assert "Disallow: /*?" in text
    assert "Disallow: /lowtech" in text
    page = BeautifulSoup(site.get("/").text, "lxml")
    assert not [a["href"] for a in page.select("a[href]") if "?" in str(a["href"])]


def test_head_is_get_without_the_body(site: Reader) -> None:
    whole, head = site.get("/sources"), site.get("/sources", method="HEAD")
    assert head.content == b""
    assert head.headers["content-length"] == whole.headers["content-length"]


def test_text_is_compressed_only_for_who_can_read_it(site: Reader) -> None:
    plain = site.get("/", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in site.get("/", headers={"accept-encoding": "gzip;q=0"}).headers
    packed = site.get("/", headers={"accept-encoding": "br, gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.text == plain.text
    weight = f"{len(gzip.compress(plain.content, 6, mtime=0)) / 1000:.1f}".replace(".", ",")
    assert f"pèse {weight} ko" in plain.text


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://exemple.fr/a?b=c&d", True),
        ("HTTP://EXEMPLE.FR", True),
        ("javascript:alert(1)", False),
        (" javascript:alert(1)", False),
        ("java\nscript:alert(1)", False),
        ("data:text/html,x", False),
        ("//exemple.fr", False),
        ("https://a:b@exemple.fr/", False),
        ("https://exemple.fr/\"onmouseover='x'", False),
        ("http://[::1", False),
        ("", False),
        (None, False),
    ],
)
def test_only_web_addresses_become_links(address: str | None, kept: bool) -> None:
    assert (views.web_link(address) == address) is (kept or address is None)


@given(st.text(max_size=60))
def test_a_link_is_always_web_or_nothing(text: str) -> None:
    found: Any = views.web_link(text)
    assert found is None or urlsplit(found).scheme.lower() in ("http", "https")


def test_values_are_told_the_french_way() -> None:
    assert views.day("2026-03-01T04:00:00Z") == "1er mars 2026"
    assert views.day("31/02") == "31/02"
    assert views.number(12345) == "12\u202f345"
    assert views.size(1_500_000) == "1,5\u202fMo"
    assert views.selection("code:Fablab") == "sa source la classe « Fablab »"
    assert views.selection("mot:vélo") == "sa description contient le mot « vélo »"
    charter = "la charte la retient : son nom dit « recyclerie »"
    assert views.selection("charte:nom:reemploi (recyclerie)") == charter
    assert views.selection("autre chose") == "autre chose"
    assert views.phone("+33299000000") == "02 99 00 00 00"
