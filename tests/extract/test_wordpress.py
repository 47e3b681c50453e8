import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lowtech_data.capture import CaptureError, Client, Harvest, Store, harvest
from lowtech_data.extract import PLATFORMS, extract
from lowtech_data.extract.base import PayloadError
from lowtech_data.registry import Registry, Source
from tests.capture.conftest import Answer, Site, answer

from .support import FIXTURES, everything, fiches, make_page, make_source, rejected, run

PLATFORM = PLATFORMS["wordpress"]
API = "https://ateliers.example/wp-json/wp/v2"
FIELDS: dict[str, Any] = {
    "adresse": "acf.adresse.address",
    "commune": "acf.adresse.city",
    "code_postal": "acf.adresse.post_code",
    "latitude": "acf.adresse.lat",
    "longitude": "acf.adresse.lng",
    "site_web": "acf.site",
}


def places(**changes: Any) -> Source:
    given = {
        "url": API,
        "options": {"contenu": "lieux"},
        "champs": FIELDS,
        "ecarter": ["acf.contact"],
        "ignorer": ["type_lieu"],
        "codes": {
            "réparer & transmettre": {"type": "repair_cafe"},
            "vélo": {"themes": ["mobilite"]},
        },
    }
    return make_source("wordpress", **(given | changes))


def records(start: int, count: int) -> bytes:
    return json.dumps(
        [{"id": n, "title": {"rendered": f"Lieu {n}"}} for n in range(start, start + count)]
    ).encode()


class TestRecords:
    def test_a_type_of_the_site_with_fields_of_its_own(self) -> None:
        extraction = run(places(), make_page(FIXTURES / "wordpress.json"))
        place = fiches(extraction)["412"]
        expected = {
            "nom": "Repair Café des Tanneurs – l’atelier",
            "description": "On répare ensemble le samedi […]",
            "url": "https://ateliers.example/lieu/repair-cafe-des-tanneurs/",
            "commune": "Colmar",
            "latitude": "48.0735",
            "site_web": "https://tanneurs.example/",
            "date_maj": "2025-05-17T18:21:03",
            "date_publication": "2024-02-01T10:00:00",
            "type": "repair_cafe",
            "themes": ["mobilite"],
            "pointeur": "/0",
        }
        assert {name: place[name] for name in expected} == expected
        assert not rejected(extraction)

    def test_an_empty_record_holds_nothing_invented(self) -> None:
        place = fiches(run(places(), make_page(FIXTURES / "wordpress.json")))["415"]
        assert [place[name] for name in ("description", "adresse", "latitude", "type")] == [
            None
        ] * 4

    def test_the_local_address_of_a_development_site_is_never_the_link(self) -> None:
        assert "localhost" not in everything(run(places(), make_page(FIXTURES / "wordpress.json")))

    def test_no_author_is_read_from_anywhere(self) -> None:
        champs = {**FIELDS, "attribution": ["author", "yoast_head_json.author", "_embedded.author"]}
        extraction = run(places(champs=champs), make_page(FIXTURES / "wordpress.json"))
        said = everything(extraction)
        assert "Dominique" not in said
        assert "Camille" not in said
        assert fiches(extraction)["412"]["attribution"] is None

    def test_one_taxonomy_can_be_chosen(self) -> None:
        champs = {**FIELDS, "categories": "_taxonomies.post_tag"}
        place = fiches(run(places(champs=champs), make_page(FIXTURES / "wordpress.json")))["412"]
        assert (place["type"], place["themes"]) == (None, ["mobilite"])

    def test_a_column_of_the_site_that_nobody_reads_is_told(self) -> None:
        extraction = run(places(ignorer=[]), make_page(FIXTURES / "wordpress.json"))
        assert rejected(extraction) == [("*", "type_lieu", "colonne_non_declaree")]

    @pytest.mark.parametrize(
        ("markup", "text"),
        [
            ("Entre 5 < 6 &amp; 7 > 3", "Entre 5 < 6 & 7 > 3"),
            ("<p>Un</p><p>deux<br/>trois</p>", "Un deux trois"),
            ("A<style>p{}</style>B<SCRIPT>if (a<b) perdu()</SCRIPT >C", "A B C"),
            ("A<script>perdu()", "A"),
            ("&lt;b&gt; reste un texte", "<b> reste un texte"),
        ],
    )
    def test_markup_becomes_text(self, markup: str, text: str) -> None:
        page = make_page(json.dumps([{"id": 1, "title": {"rendered": markup}}]))
        assert fiches(run(make_source("wordpress"), page))["1"]["nom"] == text

    def test_an_item_that_is_no_record_is_one_reject(self) -> None:
        extraction = run(make_source("wordpress"), make_page('[{"id": 1}, "x"]'))
        assert rejected(extraction) == [("/1", "*", "enregistrement_inattendu")]

    @given(st.text(), st.text())
    def test_any_title_and_any_embedding_is_read(self, title: str, term: str) -> None:
        record = {
            "id": 1,
            "title": {"rendered": title},
            "_embedded": {"wp:term": [[{"name": term, "taxonomy": "x"}], term, None]},
        }
        assert run(make_source("wordpress"), make_page(json.dumps([record]))).fiches.num_rows == 1


class TestOtherAnswers:
    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ('{"code": "rest_no_route", "message": "Aucune route", "data": {}}', "vérifier url"),
            (
                '{"code": "rest_forbidden", "message": "Vous n&rsquo;avez pas le droit"}',
                r"l’erreur rest_forbidden \(Vous n’avez pas le droit\)",
            ),
            ('{"name": "Ateliers", "routes": {}}', "l’index des routes"),
            ('{"id": 1, "title": {}}', r"un objet \(id, title\)"),
            ("{}", r"un objet \(vide\)"),
            ("null", "trouvé : NoneType"),
            ("", "JSON illisible"),
            ("<html><title>Connexion</title><input type=password></html>", "page de connexion"),
            ("<br />\n<b>Warning</b>: include(x.php) on line 3<br />[]", "page HTML"),
        ],
    )
    def test_what_came_instead_of_a_list_is_said(self, body: str, reason: str) -> None:
        with pytest.raises(PayloadError, match=reason):
            run(places(), make_page(body))
        with pytest.raises(PayloadError, match=reason):
            PLATFORM.follow(places(), make_page(body))

    def test_a_paging_that_stopped_early_is_refused(self) -> None:
        page = make_page(records(1, 3), headers={"x-wp-total": "9", "x-wp-totalpages": "3"})
        with pytest.raises(PayloadError, match="9 fiches annoncées, 3 reçues"):
            run(make_source("wordpress"), page)


class TestRequests:
    def query(self, source: Source) -> Mapping[str, list[str]]:
        (request,) = PLATFORM.first(source)
        assert urlsplit(request.url).path.endswith(f"/{source.options.get('contenu', 'posts')}")
        return parse_qs(urlsplit(request.url).query)

    def test_only_what_is_read_is_asked_for_and_never_who_wrote_it(self) -> None:
        query = self.query(places())
        assert query["_fields"][0].split(",") == [
            "_embedded.wp:term",
            "_links.wp:term",
            "acf",
            "date",
            "excerpt",
            "id",
            "link",
            "modified",
            "title",
        ]
        assert (query["_embed"], query["per_page"], query["page"]) == (["wp:term"], ["100"], ["1"])

    def test_terms_are_not_asked_for_when_nothing_reads_them(self) -> None:
        query = self.query(places(champs={**FIELDS, "categories": "acf.genre"}))
        assert "_embed" not in query
        assert ":term" not in query["_fields"][0]

    def test_every_column_on_demand(self) -> None:
        assert "_fields" not in self.query(places(options={"toutes_colonnes": True}))

    def test_parameters_go_with_every_request(self) -> None:
        parameters = {"categories": [3, 5], "lang": "fr", "orderby": "title"}
        source = places(options={"parametres": parameters, "lot": 2})
        page = make_page(records(1, 2), f"{API}/posts?page=2", headers={"x-wp-totalpages": "3"})
        (following,) = PLATFORM.follow(source, page)
        query = parse_qs(urlsplit(following.url).query)
        assert (query["categories"], query["lang"]) == (["3,5"], ["fr"])
        assert (query["orderby"], query["per_page"], query["page"]) == (["title"], ["2"], ["3"])

    @pytest.mark.parametrize("name", ["page", "per_page", "offset", "_embed", "_fields", "context"])
    def test_a_parameter_that_the_reader_sets_is_refused(self, name: str) -> None:
        with pytest.raises(ValidationError, match="paramètre réservé"):
            PLATFORM.options.model_validate({"parametres": {name: "1"}})

    @pytest.mark.parametrize("name", ["", "/posts", "posts/", "posts?x=1", "../users", "po sts\n"])
    def test_a_type_is_a_name(self, name: str) -> None:
        with pytest.raises(ValidationError, match="contenu"):
            PLATFORM.options.model_validate({"contenu": name})

    def test_a_site_without_rewritten_addresses(self) -> None:
        source = places(url="https://ateliers.example/?rest_route=/wp/v2")
        (request,) = PLATFORM.first(source)
        parts = urlsplit(request.url)
        assert (parts.path, parse_qs(parts.query)["rest_route"]) == ("/", ["/wp/v2/lieux"])

    @pytest.mark.parametrize(
        ("headers", "count", "following"),
        [
            ({"x-wp-totalpages": "3"}, 2, True),
            ({"x-wp-totalpages": "2"}, 2, False),
            ({"x-wp-totalpages": "0"}, 0, False),
            ({}, 2, True),
            ({}, 1, False),
            ({"x-wp-totalpages": "beaucoup"}, 2, True),
        ],
    )
    def test_what_says_that_a_page_follows(
        self, headers: Mapping[str, str], count: int, following: bool
    ) -> None:
        source = places(options={"lot": 2})
        page = make_page(records(3, count), f"{API}/posts?page=2", headers=headers)
        assert bool(PLATFORM.follow(source, page)) is following


class TestHarvest:
    """The whole way, over HTTP."""

    def source(self, site: Site) -> Source:
        champs = {name: f"acf.{name}" for name in ("description", "categories", "date_maj")}
        return make_source(
            "wordpress",
            url=site.url("/wp-json/wp/v2"),
            options={"contenu": "lieux", "lot": 2},
            champs={**champs, "url": "id", "date_publication": "id"},
            limites={"essais": 1, "pause_s": 0},
        )

    def serve(self, site: Site, *sizes: int, **headers: Any) -> list[str]:
        """Addresses of the pages of these sizes."""
        paths, start = [], 1
        for number, size in enumerate(sizes, 1):
            fields = "_fields=acf%2Cid%2Ctitle"
            path = f"/wp-json/wp/v2/lieux?orderby=id&order=asc&per_page=2&page={number}&{fields}"
            site.pages[path] = answer(
                records(start, size), Content_Type="application/json; charset=UTF-8", **headers
            )
            paths.append(path)
            start += size
        return paths

    def totals(self, *sizes: int) -> dict[str, str]:
        return {"X_WP_Total": str(sum(sizes)), "X_WP_TotalPages": str(len(sizes))}

    def run(self, site: Site, folder: Path, client: Client) -> Harvest:
        source = self.source(site)
        registry = Registry(folder / "sources.yaml", (source,))
        now = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
        return harvest(source, PLATFORM, registry, Store(folder / "captures"), client, now=now)

    @pytest.mark.parametrize("sizes", [(2, 2, 1), (2, 2), (1,)])
    def test_all_pages_and_no_more(
        self, site: Site, client: Client, tmp_path: Path, sizes: tuple[int, ...]
    ) -> None:
        paths = self.serve(site, *sizes, **self.totals(*sizes))
        found = self.run(site, tmp_path, client)
        assert site.paths == paths
        extraction = extract(self.source(site), PLATFORM, found.bodies)
        assert sorted(fiches(extraction)) == [str(n + 1) for n in range(sum(sizes))]

    def test_the_same_bytes_again_are_unchanged(
        self, site: Site, client: Client, tmp_path: Path
    ) -> None:
        self.serve(site, 2, 1, **self.totals(2, 1))
        assert self.run(site, tmp_path, client).status == "nouvelle"
        assert self.run(site, tmp_path, client).status == "inchangee"

    def test_pages_known_to_the_server_still_lead_to_the_next(
        self, site: Site, client: Client, tmp_path: Path
    ) -> None:
        paths = self.serve(site, 2, 1, **self.totals(2, 1), ETag='"a"')
        self.run(site, tmp_path, client)
        for path in paths:
            site.pages[path] = answer(status=304)
        assert self.run(site, tmp_path, client).status == "inchangee"
        assert site.paths == paths * 2
        assert site.requests[-1][1]["If-None-Match"] == '"a"'

    def test_a_route_that_is_not_there_fails_the_harvest(
        self, site: Site, client: Client, tmp_path: Path
    ) -> None:
        error = b'{"code":"rest_no_route","message":"Aucune route","data":{"status":404}}'
        (path,) = self.serve(site, 1)
        missing: Answer = answer(error, 404, Content_Type="application/json")
        site.pages[path] = missing
        with pytest.raises(CaptureError, match="404"):
            self.run(site, tmp_path, client)

    def test_a_page_refused_on_the_way_fails_the_harvest(
        self, site: Site, client: Client, tmp_path: Path
    ) -> None:
        paths = self.serve(site, 2, 2, **self.totals(2, 2))
        site.pages[paths[1]] = answer(
            b'{"code":"rest_post_invalid_page_number"}', 400, Content_Type="application/json"
        )
        with pytest.raises(CaptureError, match="400"):
            self.run(site, tmp_path, client)
