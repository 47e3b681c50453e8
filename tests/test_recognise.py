"""From the address of a site to a block that is valid, and that gives fiches as it is."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from lowtech_data import preview, recognise, snapshot
from lowtech_data.capture import Client, Store
from lowtech_data.cli import app
from lowtech_data.extract import extract, load_registry
from lowtech_data.recognise import MAX_REQUESTS, Proposal, Recognition, append, block
from lowtech_data.registry import RegistryError, Source
from lowtech_data.warehouse import Warehouse
from tests.capture.conftest import Site, answer, client, site, time_
from tests.extract.support import FIXTURES, make_page, make_source

__all__ = ["client", "site", "time_"]

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HTML = "text/html; charset=utf-8"
JSON = "application/json"

Look = Callable[[str], Recognition]


def fixture(name: str, site: Site) -> bytes:
    """A recorded payload, whose own addresses lead to the local site."""
    return (FIXTURES / name).read_bytes().replace(b"https://example.org", site.url("").encode())


def markup(body: str = "", head: str = "") -> bytes:
    return (
        f"<!DOCTYPE html><html lang=fr><head><title>Les ateliers</title>{head}</head>"
        f"<body>{body}</body></html>"
    ).encode()


def serve(site: Site, path: str, body: bytes, media_type: str = JSON, **headers: str) -> None:
    """Answer a path whatever its query, unless the query itself is served."""
    site.pages[path] = answer(body, Content_Type=media_type, **headers)


@pytest.fixture(autouse=True)
def any_query(site: Site) -> None:
    class Pages(dict[str, Any]):
        def get(self, path: str, default: Any = None) -> Any:
            return super().get(path) or super().get(urlsplit(path).path, default)

    site.pages = Pages()


@pytest.fixture
def look(site: Site, client: Client, tmp_path: Path) -> Look:
    store = Store(tmp_path / "entrepot" / "captures")
    fetch = recognise.Fetcher(client, store, now=NOW, folder=tmp_path)
    return lambda path: recognise.recognise(site.url(path) if path.startswith("/") else path, fetch)


@pytest.fixture
def tried(
    look: Look, client: Client, tmp_path: Path
) -> Callable[[str], tuple[Proposal, Source, preview.Preview]]:
    """The first proposal for a path, its block read back, and what it gives without a change."""

    def run(path: str) -> tuple[Proposal, Source, preview.Preview]:
        found = look(path)
        assert found.proposals, found.tried
        (proposal, *_) = found.proposals
        source = checked(proposal, tmp_path)
        registry = load_registry(tmp_path / "sources.yaml")
        given_ = preview.preview(
            source, registry, Warehouse(tmp_path / "entrepot"), now=NOW, client=client
        )
        return proposal, source, given_

    return run


def checked(proposal: Proposal, folder: Path) -> Source:
    """The source of a block pasted in an empty file."""
    (folder / "sources.yaml").write_text(f"sources:\n{block(proposal)}", encoding="utf-8")
    (source,) = load_registry(folder / "sources.yaml")
    assert source.etat == "en_pause"
    assert source.motif_etat == "à vérifier par un responsable avant la première moisson"
    return source


class TestPlatforms:
    def test_the_page_of_a_gogocarto_map_leads_to_its_api(self, site: Site, tried: Any):
        serve(site, "/", markup("<script src=/js/gogocarto.js></script>"), HTML)
        serve(site, "/api/elements.json", fixture("gogofull.json", site))
        proposal, source, found = tried("/")
        assert proposal.platform == "gogocarto"
        assert source.url == site.url("/api/elements.json")
        assert source.page == site.url("/")
        assert (source.licence, source.republication) == ("odbl-1.0", "complete")
        assert source.nom == "Les ateliers"
        assert found.fiches > 0
        assert site.paths[:2] == ["/", "/api/elements.json"]

    def test_the_address_of_its_api_is_enough(self, site: Site, tried: Any):
        serve(site, "/api/elements.json", fixture("gogofull.json", site))
        tried("/api/elements.json")
        assert site.paths[0] == "/api/elements.json"

    def test_the_page_of_a_data_fair_dataset(self, site: Site, tried: Any):
        api = "/data-fair/api/v1/datasets/acteurs"
        lines = json.loads((FIXTURES / "data_fair_1.json").read_bytes())
        del lines["next"]
        lines["total"] = len(lines["results"])
        about = {"title": "Acteurs du réemploi", "license": {"title": "Licence Ouverte 2.0"},
                 "owner": {"name": "Agence"}}  # fmt: skip
        serve(site, f"{api}/lines", json.dumps(lines).encode())
        serve(site, api, json.dumps(about).encode())
        proposal, source, found = tried("/datasets/acteurs")
        assert proposal.platform == "data_fair"
        assert source.url == site.url(f"{api}/lines")
        assert (source.nom, source.editeur, source.licence) == (
            "Acteurs du réemploi", "Agence", "lov2",
        )  # fmt: skip
        assert source.champs["nom"] == "nom"
        assert source.champs["commune"] == "ville"
        assert found.fiches == len(lines["results"])

    def test_a_yeswiki_gives_its_forms(self, site: Site, tried: Any):
        form = json.loads((FIXTURES / "yeswiki_form.json").read_bytes())
        serve(site, "/", markup("<a href='?PagePrincipale'>Accueil</a> yeswiki"), HTML)
        serve(site, "/?api/forms", json.dumps({"1": form}).encode())
        serve(site, "/?api/forms/1/entries", fixture("yeswiki_entries.json", site))
        proposal, source, found = tried("/")
        assert proposal.platform == "yeswiki_bazar"
        assert "formulaire « Lieux »" in proposal.evidence
        assert source.url == site.url("/?api/forms/1/entries")
        assert found.fiches > 0

    def test_a_mediawiki_names_its_categories(self, site: Site, look: Look, tmp_path: Path):
        link = "<link rel=EditURI href='/w/api.php?action=rsd'>"
        serve(site, "/wiki/Accueil", markup(head=link), HTML)
        about = {
            "query": {
                "general": {"sitename": "Communs", "generator": "MediaWiki 1.39.3",
                            "articlepath": "/wiki/$1"},
                "rightsinfo": {"url": "https://creativecommons.org/licenses/by-sa/4.0/"},
                "allcategories": [{"category": "Commun", "pages": 12},
                                  {"category": "Ébauche", "pages": 3}],
            }
        }  # fmt: skip

        def api(handler: Any) -> None:
            asked = parse_qs(urlsplit(handler.path).query)
            if "meta" in asked:
                body = json.dumps(about).encode()
            elif asked.get("list") == ["categorymembers"]:
                body = b'{"query": {"categorymembers": [{"pageid": 12, "ns": 0, "title": "P"}]}}'
            else:
                body = fixture("wiki_modele.json", site)
            answer(body, Content_Type=JSON)(handler)

        site.pages["/w/api.php"] = api
        (proposal, *_) = look("/wiki/Accueil").proposals
        source = checked(proposal, tmp_path)
        assert source.plateforme == "mediawiki_modele"
        assert source.options == {"categorie": "Category:Commun", "rvslots": True}
        assert (source.licence, source.nom) == ("cc-by-sa-4.0", "Communs")
        assert "Ébauche (3)" in block(proposal)

    def test_a_wiki_of_tutorials_is_a_dokit(self, site: Site, look: Look, tmp_path: Path):
        about = {"query": {"allcategories": [{"category": "Tutorials", "pages": 3}]}}

        def api(handler: Any) -> None:
            asked = parse_qs(urlsplit(handler.path).query)
            if "meta" in asked:
                body = json.dumps(about).encode()
            elif asked.get("list") == ["categorymembers"]:
                body = fixture("wiki_liste.json", site)
            else:
                body = fixture("wiki_pages_131.json", site)
            answer(body, Content_Type=JSON)(handler)

        site.pages["/api.php"] = api
        (proposal, *_) = look("/api.php").proposals
        source = checked(proposal, tmp_path)
        assert (source.plateforme, source.entite) == ("mediawiki_dokit", "ressource")

    def test_a_wordpress_gives_its_own_type_of_content(self, site: Site, tried: Any):
        link = "<link rel='https://api.w.org/' href='/wp-json/'>"
        records = json.loads((FIXTURES / "wordpress.json").read_bytes())
        types = {"post": {"rest_base": "posts"}, "lieu": {"rest_base": "lieux", "name": "Lieux"}}
        serve(site, "/", markup(head=link), HTML)
        serve(site, "/wp-json/wp/v2/types", json.dumps(types).encode())
        total = {"X_WP_Total": str(len(records)), "X_WP_TotalPages": "1"}
        serve(site, "/wp-json/wp/v2/lieux", json.dumps(records).encode(), **total)
        proposal, source, found = tried("/")
        assert proposal.platform == "wordpress"
        assert source.url == site.url("/wp-json/wp/v2")
        assert source.options == {"contenu": "lieux"}
        assert proposal.total == len(records)
        assert found.fiches > 0

    def test_a_discourse_gives_its_topics(self, site: Site, tried: Any):
        serve(site, "/", markup(head="<meta name=generator content='Discourse 3.3'>"), HTML)
        topics = json.loads((FIXTURES / "discourse.json").read_bytes())
        del topics["topic_list"]["more_topics_url"]
        serve(site, "/latest.json", json.dumps(topics).encode())
        proposal, source, found = tried("/")
        assert (proposal.platform, source.url) == ("discourse", site.url("/latest.json"))
        assert found.fiches > 0
        assert "lea_martin" not in block(proposal)

    def test_the_page_of_an_opendatasoft_dataset(self, site: Site, tried: Any):
        api = "/api/explore/v2.1/catalog/datasets/recycleries"
        about = {
            "metas": {"default": {"title": "Recycleries", "license": "ODbL", "publisher": "Pays"}}
        }
        serve(site, f"{api}/records", fixture("opendatasoft.json", site))
        serve(site, api, json.dumps(about).encode())
        proposal, source, found = tried("/explore/dataset/recycleries/table/")
        assert (proposal.platform, source.url) == ("opendatasoft", site.url(api))
        assert (source.nom, source.licence) == ("Recycleries", "odbl-1.0")
        assert source.champs["nom"] == "nom_structure"
        assert source.bornes.min == 2
        assert found.fiches == 3

    def test_a_dataset_of_a_udata_portal(self, site: Site, tried: Any):
        dataset = fixture("data_gouv.json", site)
        resources = json.loads(dataset)["resources"]
        serve(site, "/api/1/datasets/lieux/", dataset)
        for item in resources:
            if item["format"] == "csv":
                body = (
                    b"id;nom;cp;ville\n1;Atelier du Nord;59000;Lille\n2;Recyclerie;29000;Quimper\n"
                )
                serve(site, f"/api/1/datasets/r/{item['id']}", body, "text/csv")
            if item["format"] == "geojson":
                body = fixture("bzh_fablab.geojson", site)
                serve(site, f"/api/1/datasets/r/{item['id']}", body)
        proposal, source, found = tried("/api/1/datasets/lieux/")
        assert proposal.platform == "data_gouv"
        assert (source.licence, source.editeur) == ("lov2", "Syndicat de la vallée")
        assert found.fiches > 0

    def test_a_umap_is_read_through_its_layers(self, site: Site, tried: Any):
        described = fixture("umap_carte.json", site)
        serve(site, "/fr/map/lieux-d-essai_123", markup(), HTML)
        serve(site, "/fr/map/123/geojson/", described)

        class AnyLayer(type(site.pages)):  # type: ignore[misc]
            def get(self, path: str, default: Any = None) -> Any:
                layer = answer(fixture("umap_calque.json", site), Content_Type=JSON)
                return layer if "datalayer" in path else super().get(path, default)

        site.pages = AnyLayer(site.pages)
        proposal, source, found = tried("/fr/map/lieux-d-essai_123")
        assert proposal.platform == "umap"
        assert source.licence == "lov2"
        assert source.nom == "Lieux d’essai"
        assert found.fiches > 0

    def test_a_network_of_communecter(self, site: Site, look: Look, tmp_path: Path):
        path = "/api/organization/get/key/ateliers"
        serve(site, path, fixture("communecter.json", site))
        (proposal,) = look(path).proposals
        assert checked(proposal, tmp_path).plateforme == "communecter"

    def test_an_ldp_container_is_asked_for_again_as_json_ld(self, site: Site, look: Look,
                                                           tmp_path: Path):  # fmt: skip
        def container(handler: Any) -> None:
            if handler.headers["Accept"] == "application/ld+json":
                media_type, body = "application/ld+json", fixture("semapps.json", site)
            else:
                media_type, body = "text/turtle", b"<> a <http://www.w3.org/ns/ldp#Container> ."
            answer(body, Content_Type=media_type)(handler)

        site.pages["/organizations"] = container
        (proposal,) = look("/organizations").proposals
        assert checked(proposal, tmp_path).plateforme == "semapps"

    @pytest.mark.parametrize(
        ("path", "platform"),
        [("/api/interpreter", "overpass"), ("/sparql", "sparql")],
    )
    def test_a_server_of_queries_is_not_asked_for_everything(
        self, path: str, platform: str, site: Site, look: Look, tmp_path: Path
    ):
        found = look(path)
        assert checked(found.proposals[0], tmp_path).plateforme == platform
        assert site.paths == []
        assert "à remplacer" in block(found.proposals[0])

    def test_a_shared_query_is_tried(self, site: Site, tried: Any):
        serve(site, "/sparql", fixture("sparql.json", site), "application/sparql-results+json")
        query = "SELECT ?item ?itemLabel WHERE { ?item ?p ?itemLabel }"
        proposal, source, found = tried(f"/sparql?query={query.replace(' ', '%20')}")
        assert proposal.platform == "sparql"
        assert (source.url, source.options) == (site.url("/sparql"), {"requete": query})
        assert found.fiches > 0

    def test_a_page_announces_its_feed(self, site: Site, tried: Any):
        link = "<link rel=alternate type='application/rss+xml' href=/flux.xml>"
        serve(site, "/", markup(head=link), HTML)
        serve(site, "/flux.xml", fixture("rss.xml", site), "application/rss+xml")
        proposal, source, found = tried("/")
        assert (proposal.platform, source.url) == ("flux", site.url("/flux.xml"))
        assert proposal.total is None
        assert found.fiches > 0

    def test_a_sitemap_leads_to_its_most_frequent_kind_of_page(self, site: Site, tried: Any):
        places = [site.url(f"/lieux/atelier-{n}") for n in range(3)]
        urls = "".join(f"<url><loc>{u}</loc></url>" for u in [*places, site.url("/actu/une")])
        plan = f"<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'>{urls}</urlset>"
        serve(site, "/sitemap.xml", plan.encode(), "application/xml")
        for place in places:
            node = {"@context": "https://schema.org", "@type": "LocalBusiness", "@id": place,
                    "name": f"Atelier {place[-1]}"}  # fmt: skip
            head = f"<script type='application/ld+json'>{json.dumps(node)}</script>"
            serve(site, urlsplit(place).path, markup(head=head), HTML)
        serve(site, "/", markup("<p>Rien ici"), HTML)
        proposal, source, found = tried("/")
        assert proposal.platform == "sitemap"
        assert source.options == {"pages": "/lieux/", "json_ld": {"types": ["LocalBusiness"]}}
        assert (proposal.total, found.fiches) == (3, 3)

    def test_json_ld_in_the_page(self, site: Site, tried: Any):
        nodes = [{"@type": "LocalBusiness", "@id": f"#{n}", "name": f"Atelier {n}"} for n in "abc"]
        document = json.dumps({"@context": "https://schema.org", "@graph": nodes})
        head = f"<script type='application/ld+json'>{document}</script>"
        serve(site, "/carte", markup(head=head), HTML)
        proposal, source, found = tried("/carte")
        assert (proposal.platform, source.options) == ("json_ld", {"types": ["LocalBusiness"]})
        assert found.fiches == 3

    def test_a_plain_list_is_the_last_resort(self, site: Site, tried: Any):
        items = "".join(
            f"<li class=atelier><h3><a href=/a/{n}>Atelier n° {n}</a></h3>"
            f"<p class=ville>Lille</p></li>"
            for n in range(4)
        )
        menu = "<nav><ul>" + "<li><a href=/>Menu</a></li>" * 9 + "</ul></nav>"
        serve(site, "/liste", markup(f"{menu}<ul>{items}</ul>"), HTML)
        proposal, source, found = tried("/liste")
        assert proposal.platform == "html_listing"
        assert source.options["fiche"] == "li.atelier"
        assert source.champs["commune"] == "ville"
        assert found.fiches == 4

    def test_a_map_in_a_frame_is_the_listing(self, site: Site, tried: Any):
        serve(site, "/carte", markup("<iframe src='/api/elements.json'></iframe>"), HTML)
        serve(site, "/api/elements.json", fixture("gogofull.json", site))
        proposal, source, _ = tried("/carte")
        assert (proposal.platform, source.page) == ("gogocarto", site.url("/carte"))
        assert "cadre de la page" in proposal.evidence


class TestFiles:
    def test_a_csv_file_says_its_columns_and_codes(self, site: Site, tried: Any):
        serve(site, "/tiers-lieux.csv", fixture("cget.csv", site), "text/csv")
        proposal, source, found = tried("/tiers-lieux.csv")
        assert source.plateforme == "csv"
        assert source.champs["code_postal"] == "CP"
        assert source.champs["categories"] == "TYPO"
        assert source.ecarter == ["MAIL"]
        assert proposal.codes[0][0] == "Tiers lieux à dominante coworking"
        assert found.fiches > 0

    def test_a_semicolon_a_tab_and_no_header(self, site: Site, look: Look, tmp_path: Path):
        serve(site, "/a.csv", b"nom;ville\nAtelier;Lille\nForge;Brest\n", "text/csv")
        serve(site, "/b.tsv", b"nom\tville\nAtelier\tLille\nForge\tBrest\n", "text/plain")
        body = "Atelier,1 rue X,59000,Lille,https://a.fr\nForge,2 rue Y,29200,Brest,https://b.fr\n"
        serve(site, "/c.csv", body.encode(), "text/csv")
        found = [checked(look(p).proposals[0], tmp_path) for p in ("/a.csv", "/b.tsv", "/c.csv")]
        assert [s.options.get("separateur") for s in found] == [";", "\t", None]
        assert found[2].options["colonnes"] == [
            "nom", "adresse", "code_postal", "commune", "site_web",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("name", "platform"),
        [
            ("bzh_fablab.geojson", "geojson"),
            ("tableur.xlsx", "tableur"),
            ("transiscope.json", "gogocarto"),
            ("repaircafe.json", "json"),
            ("emmaus.json", "json"),
            ("okw.json", "okw"),
            ("overpass.json", "overpass"),
            ("spaceapi.json", "spaceapi"),
            ("supermarches.js", "javascript"),
            ("yeswiki_export.json", "yeswiki_bazar"),
            ("jsonld.html", "json_ld"),
        ],
    )
    def test_a_file_is_recognised_by_what_it_holds(
        self, name: str, platform: str, site: Site, look: Look, tmp_path: Path
    ):
        serve(site, "/liste", fixture(name, site), "application/octet-stream")
        found = look("/liste")
        names = [proposal.platform for proposal in found.proposals]
        assert platform in names, found.tried
        for proposal in found.proposals:
            checked(proposal, tmp_path)

    def test_columns_about_people_are_set_aside(self, site: Site, look: Look, tmp_path: Path):
        rows = [
            {"id": n, "nom": f"Atelier {n}", "contact_nom": "Camille Exemple",
             "mobile": "0612345678", "qui": f"prenom{n}@exemple.org", "contact_web": f"https://a{n}.fr"}
            for n in range(5)
        ]  # fmt: skip
        serve(site, "/l.json", json.dumps(rows).encode())
        (proposal,) = look("/l.json").proposals
        source = checked(proposal, tmp_path)
        assert set(source.ecarter) == {"contact_nom", "mobile", "qui"}
        assert source.champs["site_web"] == "contact_web"
        assert "prenom" not in block(proposal)
        assert "Camille" not in block(proposal)


class TestManners:
    def test_nothing_recognised_says_what_was_tried(self, site: Site, look: Look):
        serve(site, "/", markup("<p>Bonjour"), HTML)
        found = look("/")
        assert found.proposals == ()
        assert any("/sitemap.xml" in line for line in found.tried)

    def test_robots_are_respected(self, site: Site, look: Look):
        serve(site, "/robots.txt", b"User-agent: *\nDisallow: /\n", "text/plain")
        serve(site, "/liste.csv", b"nom,ville\nA,B\nC,D\n", "text/csv")
        found = look("/liste.csv")
        assert found.proposals == ()
        assert site.paths == []
        assert "robots" in found.tried[0]

    def test_few_requests_even_on_a_site_that_leads_everywhere(self, site: Site, look: Look):
        links = "".join(f"<a href='/f{n}.csv'>f</a><a href='/map/m_{n}'>m</a>" for n in range(50))
        head = "<meta name=generator content='Discourse MediaWiki'> gogocarto yeswiki"
        serve(site, "/", markup(links, head), HTML)
        look("/")
        assert len(site.paths) <= MAX_REQUESTS

    def test_bytes_are_kept_and_no_source_is_made_of_them(
        self, site: Site, look: Look, tmp_path: Path
    ):
        serve(site, "/l.csv", b"nom,ville\nA,B\nC,D\n", "text/csv")
        look("/l.csv")
        store = Store(tmp_path / "entrepot" / "captures")
        (kept,) = store.captures().to_pylist()
        assert kept["source_id"] == recognise.JOURNAL_ID
        assert store.read(kept["empreinte"]).startswith(b"nom,ville")
        assert store.last_complete("liste") is None

    @pytest.mark.parametrize(
        "body",
        [
            markup("<a href='http://['>x</a><iframe src='http://[/map/m_1'></iframe>"),
            b'{"query": {"allcategories": [{"category": "A", "pages": "beaucoup"}, 3]}}',
            b'{"topic_list": {"topics": [{"id": []}, 3, null]}}',
            b"[[[[1]]]]",
            b"<rss>",
            b"PK\x03\x04....",
            b"",
        ],
    )
    @pytest.mark.parametrize("path", ["/x", "/api.php", "/datasets/x", "/latest"])
    def test_no_answer_is_an_error_of_the_program(
        self, body: bytes, path: str, site: Site, look: Look
    ):
        for served in (path, "/latest.json", "/api/1/datasets/x/"):
            serve(site, served, body, "text/plain")
        assert look(path).proposals == ()

    def test_an_address_that_is_none_is_told(self, look: Look):
        for text in ("http://[", "https://", "ftp://exemple.fr/l.csv", "absent.csv"):
            found = look(text)
            assert found.proposals == ()
            assert found.tried

    def test_a_page_that_is_not_what_it_says_is_told(self, site: Site, look: Look):
        serve(site, "/api/elements.json", b'{"erreur": "fermee"}')
        found = look("/api/elements.json")
        assert found.proposals == ()
        assert any("refusée" in line for line in found.tried)


class TestBlock:
    def test_a_block_is_short(self, site: Site, look: Look):
        serve(site, "/t.csv", fixture("cget.csv", site), "text/csv")
        assert len(block(look("/t.csv").proposals[0]).splitlines()) <= 25

    def test_appended_to_a_file_and_refused_twice(self, tmp_path: Path):
        proposal = Proposal("gogocarto", "https://carte.exemple.fr/api/elements.json", "l’API")
        path = tmp_path / "sources.yaml"
        append(path, proposal)
        with pytest.raises(RegistryError, match="carte_exemple y est déjà"):
            append(path, proposal)
        append(path, Proposal("flux", "https://autre.exemple.fr/flux", "un flux"))
        assert [s.id for s in load_registry(path)] == ["carte_exemple", "autre_exemple"]

    def test_the_margin_of_the_file_is_kept(self, tmp_path: Path):
        path = tmp_path / "sources.yaml"
        path.write_text("sources: []\n")
        append(path, Proposal("flux", "https://a.exemple.fr/flux", "un flux"))
        path.write_text(path.read_text().replace("\n  ", "\n"))
        append(path, Proposal("flux", "https://b.exemple.fr/flux", "un flux"))
        assert len(load_registry(path).sources) == 2

    @settings(deadline=None)
    @given(
        title=st.text(min_size=1), code=st.text(), column=st.text(min_size=1), note=st.text(),
        total=st.integers(0, 10**6),
    )  # fmt: skip
    def test_no_text_of_a_site_breaks_the_file(
        self, title: str, code: str, column: str, note: str, total: int,
    ):  # fmt: skip
        proposal = Proposal(
            "csv", "https://exemple.fr/l.csv", note, title=title, notes=(note,), total=total,
            fields={"nom": column, "cle_source": column}, others=(column,), codes=((code, 3),),
        )  # fmt: skip
        (entry,) = yaml.safe_load(f"sources:\n{block(proposal)}")["sources"]
        assert entry["champs"] == {"nom": column, "cle_source": column}
        assert set(entry) <= set(Source.model_fields)
        Source.model_validate(entry)

    @given(st.integers(1, 10**7))
    def test_bounds_hold_what_was_found(self, total: int):
        found = recognise.bounds(total)
        assert found is not None
        assert 1 <= found["min"] <= total <= found["max"]


GUIDE = Path(__file__).parents[1] / "docs" / "ajouter-une-source.md"


def written(kind: str) -> list[str]:
    """Blocks of the guide for stewards, by what stands after their opening fence."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    return [text for name, text in blocks if name == kind]


class TestGuide:
    def test_its_commands_run_in_order(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        (tmp_path / "ateliers.csv").write_text(written("csv")[0], encoding="utf-8")
        sources = tmp_path / "sources.yaml"
        places = {"--sources": str(sources), "--warehouse": str(tmp_path / "entrepot")}
        monkeypatch.setattr("lowtech_data.cli.SOURCES", sources)
        monkeypatch.chdir(tmp_path)
        ran = []
        for line in "".join(written("")).splitlines():
            words = shlex.split(line)
            if words[:2] != ["lowtech", "sources"] or words[2] == "accept":
                continue
            if words[2] == "check":
                sources.write_text(written("yaml")[0], encoding="utf-8")
            options = {"add": ["--warehouse"], "check": ["--sources"]}.get(words[2], list(places))
            more = [part for name in options for part in (name, places[name])]
            if words[2] == "report":
                snapshot_of(sources, Warehouse(tmp_path / "entrepot"))
            done = CliRunner().invoke(app, [*words[1:], *more])
            assert done.exit_code == 0, (line, done.output, done.exception)
            ran.append(words[2])
            if words[2] == "add" and "--out" in words:
                assert load_registry(sources)["ateliers"].ecarter == ["contact"]
            if words[2] == "preview":
                assert "5 lus : 4 fiches, 1 hors sujet" in done.stdout
        assert ran == ["add", "add", "check", "preview", "preview", "report"]

    def test_every_command_and_option_exists(self):
        for words in re.findall(r"`?lowtech ((?:sources )?[a-z]+)", GUIDE.read_text()):
            assert CliRunner().invoke(app, [*words.split(), "--help"]).exit_code == 0, words

    def test_its_extractor_reads(self):
        module: dict[str, Any] = {"__name__": "lignes"}
        exec(written("python")[0], module)
        page = make_page("Atelier|Lille|https://a.fr\n\nForge|Brest\n")
        found = extract(make_source("lignes"), module["PLATFORM"], [page])
        assert [row["nom"] for row in found.fiches.to_pylist()] == ["Atelier"]
        assert found.unreadable == 1


def snapshot_of(sources: Path, warehouse: Warehouse) -> None:
    """What `lowtech run` keeps of the source of the guide, without publishing."""
    registry = load_registry(sources)
    outcome = snapshot.refresh(registry["ateliers"], registry, warehouse, now=NOW, client=None)
    assert outcome.present == 4


LISTINGS = os.environ.get("LOWTECH_LISTINGS")


@pytest.mark.skipif(not LISTINGS, reason="LOWTECH_LISTINGS n’est pas donné")
@pytest.mark.parametrize(
    ("name", "platform", "least"),
    [
        ("bzh_fablab.geojson", "geojson", 100),
        ("sevadec_2022.geojson", "geojson", 80),
        ("sevadec_2023.geojson", "geojson", 80),
        ("ban_false_positives.csv", "csv", 100),
        ("cget_tierslieux_2019.csv", "csv", 1200),
        ("tierslieux_occitanie_2016.csv", "csv", 60),
        ("hinaura_yeswiki.json", "yeswiki_bazar", 1000),
        ("okw_fablabsio_fr.json", "okw", 200),
        ("paca_mednum.json", "json", 1000),
        ("transiscope_niort.json", "gogocarto", 90),
    ],
)
def test_a_real_listing_is_recognised_and_gives_fiches(
    name: str, platform: str, least: int, site: Site, tried: Any
):
    body = (Path(LISTINGS or "") / "real" / name).read_bytes()
    serve(site, f"/{name}", body, "application/octet-stream")
    proposal, _, found = tried(f"/{name}")
    assert proposal.platform == platform
    assert found.fiches >= least
