"""Blocks of `sources.yaml` that were never harvested, read in the shape that their site answers.

Records are invented; names of columns, ways of paging and oddities are those of the site. Listings
with a fixture of their own are tested with their platform (`tests/extract`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from lowtech_data.extract import PLATFORMS, Extraction, Page, load_registry
from lowtech_data.normalise import normalise, workbench
from lowtech_data.registry import Registry, Source
from tests.extract.support import FIXTURES, everything, fiches, make_page, rejected, rules, run

FILE = Path(__file__).parents[1] / "sources.yaml"
AS_OF = date(2026, 11, 20)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry(FILE)


def answers(source: Source, *documents: Any) -> list[Page]:
    """The pages of a harvest, each asked for as the platform asks for it."""
    pages: list[Page] = []
    queue = list(PLATFORMS[source.plateforme].first(source))
    for document in documents:
        request = queue.pop(0)
        text = document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)
        pages.append(make_page(text, request.url))
        queue += PLATFORMS[source.plateforme].follow(source, pages[-1])
    assert not queue, [request.url for request in queue]
    return pages


def read(source: Source, *documents: Any) -> Extraction:
    return run(source, *answers(source, *documents))


Clean = Callable[[Extraction], dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def clean() -> Iterator[Clean]:
    """Clean fiches by their keys; the reference data is loaded once."""
    with workbench() as con:

        def by_key(extraction: Extraction) -> dict[str, dict[str, Any]]:
            found = normalise(con, extraction.fiches, as_of=AS_OF).fiches.to_pylist()
            return {fiche["cle_source"]: fiche for fiche in found}

        yield by_key


def holds(fiche: dict[str, Any], expected: dict[str, Any]) -> None:
    assert {name: fiche[name] for name in expected} == expected


def test_each_paused_listing_says_what_to_do_first(registry: Registry) -> None:
    paused = [source for source in registry.sources if source.etat != "active"]
    assert len(paused) > 30
    told = {source.id: len((source.motif_etat or "").split()) for source in paused}
    assert {name for name, words in told.items() if words < 4} == {"presdecheznous"}


def test_a_paused_listing_has_a_platform_that_reads_it(registry: Registry) -> None:
    """What is still to be written of a block is said by `motif_etat`, and is never the reader."""
    assert {source.plateforme for source in registry.sources} <= PLATFORMS.keys()


def test_what_no_licence_covers_is_never_republished_whole(registry: Registry) -> None:
    without = [source for source in registry.sources if source.licence == "aucune"]
    assert {source.republication for source in without} <= {"faits_et_lien", "interdite"}


def test_the_register_of_third_places(registry: Registry, clean: Clean) -> None:
    number = "15ecb291-e759-4cfe-b9b0-55dbf2923640"
    hit = {
        "id": 12,
        "Identifiant_national": number,
        "nom_tiers_lieu": "La Fabrique d’essai",
        "adresse_nationale": "12 rue du Port 29900 Concarneau",
        "adresse_nationale_cp": "29900",
        "adresse_nationale_ville": "Concarneau",
        "adresse_nationale_region": "Bretagne",
        "adresse_nationale_lat": 47.8722,
        "adresse_nationale_lon": -3.9187,
    }
    extraction = read(registry["tierslieux_national"], {"hits": [hit], "query": "", "limit": 1000})
    assert not rejected(extraction)
    holds(
        clean(extraction)[number],
        {
            "nom": "La Fabrique d’essai",
            "adresse": "12 rue du Port",
            "code_insee": "29039",
            "type": "tiers_lieu",
            "identifiants": [f"tiers-lieux={number}"],
        },
    )


def test_the_repairers_of_the_chambers_of_trades(registry: Registry, clean: Clean) -> None:
    def repairer(number: int) -> dict[str, Any]:
        return {
            "id": number,
            "nom": f"CORDONNERIE DU PORT {number}",
            "adresse": "12 RUE DU PORT",
            "code_postal": "29900",
            "ville": "CONCARNEAU",
            "siret": "83284597800028",
            "telephone": "0612345678",
            "email": "jean.dupont@example.org",
            "website": "https://cordonnerie.example.org",
            "final_latitude": 47.8722,
            "final_longitude": -3.9187,
            "categories": "Cuir",
            "nafa": "9523ZZ",
            "rgpd": 1,
            "nom_gerant": "DUPONT Jean",
        }

    source = registry["cma_reparacteurs"]
    pages = answers(
        source,
        {"total_entries": 2, "data": [repairer(1)]},
        {"total_entries": 2, "data": [repairer(2)]},
        {"total_entries": 2, "data": []},
    )
    asked = [parse_qs(urlsplit(page.url).query) for page in pages]
    assert [query["page"] for query in asked] == [["1"], ["2"], ["3"]]
    assert {query["page_size"][0] for query in asked} == {"1000"}
    extraction = run(source, *pages)
    assert sorted(fiches(extraction)) == ["1", "2"]
    assert not rejected(extraction)
    text = everything(extraction).lower()
    assert "dupont" not in text
    assert "0612345678" not in text
    fiche = clean(extraction)["1"]
    holds(fiche, {"type": "artisan", "code_insee": "29039", "siret": "83284597800028"})


def test_the_national_map_of_digital_mediation(registry: Registry, clean: Clean) -> None:
    def place(number: int, kinds: str, **more: Any) -> dict[str, Any]:
        return {
            "id": f"Coop-{number}",
            "nom": f"Lieu d’essai {number}",
            "pivot": "00000000000000",
            "commune": "Concarneau",
            "code_postal": "29900",
            "code_insee": "29039",
            "adresse": "12 rue du Port",
            "latitude": 47.8722,
            "longitude": -3.9187,
            "horaires": "Mo-Fr 09:00-12:00",
            "date_maj": "2026-03-01",
            "typologie": kinds,
            "telephone": "+33298000000",
            "courriels": "contact@lieu.example.org",
            "site_web": "https://lieu.example.org",
            **more,
        }

    dataset = {
        "resources": [
            {"id": "r1", "title": "Lieux", "format": "csv", "last_modified": "2026-03-02"},
            {"id": "r2", "title": "Lieux", "format": "json", "last_modified": "2026-03-02"},
        ]
    }
    records = [place(1, "FABLAB|TIERS_LIEUX"), place(2, "BIB"), place(3, "RESSOURCERIE|ASSO")]
    extraction = read(registry["cartographie_num"], dataset, records)
    found = clean(extraction)
    assert sorted(found) == ["Coop-1", "Coop-3"]
    assert extraction.left_out == 1
    holds(found["Coop-1"], {"type": "fablab", "siret": None, "date_maj": "2026-03-01"})
    holds(found["Coop-3"], {"type": "ressourcerie", "horaires": "Mo-Fr 09:00-12:00"})


def test_the_hackerspaces_of_a_semantic_wiki(registry: Registry, clean: Clean) -> None:
    def space(title: str, status: str) -> dict[str, Any]:
        return {
            "printouts": {
                "Location": [{"lat": 47.8722, "lon": -3.9187}],
                "Website": ["https://espace.example.org"],
                "Hackerspace status": [{"fulltext": status, "fullurl": f"//w/{status}"}],
            },
            "fulltext": title,
            "fullurl": f"https://wiki.hackerspaces.org/{title.replace(' ', '_')}",
            "namespace": 0,
            "exists": "1",
            "displaytitle": "",
        }

    source = registry["hackerspaces_wiki"]
    results = {
        "Le Labo d’essai": space("Le Labo d’essai", "active"),
        "Fini": space("Fini", "closed"),
    }
    extraction = read(source, {"query": {"results": results, "serializer": "", "version": 2}})
    holds(
        clean(extraction)["Le Labo d’essai"],
        {"latitude": 47.8722, "site_web": "https://espace.example.org", "type": "hackerspace"},
    )
    # Without an answer, Semantic MediaWiki gives a list instead of an object.
    assert read(source, {"query": {"results": []}}).read == 0
    (request,) = PLATFORMS["json"].first(source)
    asked = parse_qs(urlsplit(request.url).query)
    assert asked["query"][0].startswith("[[Category:Hackerspace]][[Country::France]]|?Location|")


def test_the_places_of_a_forum_with_their_machines(registry: Registry, clean: Clean) -> None:
    source = registry["tierslieuxedu_forum"]
    listing = {"topic_list": {"topics": [{"id": 77, "title": "Lieu", "slug": "lieu"}]}}
    card = (
        "<dl class='h-geo'><dt>Site</dt><dd>https://lieu.example.org</dd><dt>adresse</dt>"
        "<dd>12 rue du Port<br/>29900 Concarneau</dd><dt>Latitude</dt><dd>47°52'20\"N</dd>"
        "<dt>Longitude</dt><dd>-3,9187</dd><dt>Machines</dt><dd>#laser / tour</dd></dl>"
    )
    post = {"post_number": 1, "cooked": card, "username": "lea_martin"}
    topic = {"id": 77, "title": "L’Atelier d’essai", "post_stream": {"posts": [post]}}
    extraction = read(source, listing, topic)
    fiche = clean(extraction)["77"]
    holds(fiche, {"nom": "L’Atelier d’essai", "code_insee": "29039", "type": "tiers_lieu"})
    assert fiche["latitude"] == pytest.approx(47.8722, abs=1e-3)
    assert not rejected(extraction)
    assert "lea_martin" not in everything(extraction)


def test_the_members_of_a_network_in_wikidata(registry: Registry, clean: Clean) -> None:
    source = registry["wikidata"]
    item = {
        "item": {"type": "uri", "value": "http://www.wikidata.org/entity/Q900001"},
        "itemLabel": {"type": "literal", "value": "Communauté d’essai", "xml:lang": "fr"},
        "position": {"type": "literal", "value": "Point(-3.9187 47.8722)"},
        "site": {"type": "uri", "value": "https://communaute.example.org/"},
    }
    answer = {
        "head": {"vars": ["item", "itemLabel", "position", "site"]},
        "results": {"bindings": [item]},
    }
    extraction = read(source, answer)
    assert not rejected(extraction)
    holds(
        clean(extraction)["Q900001"],
        {"nom": "Communauté d’essai", "latitude": 47.8722, "type": "ressourcerie"},
    )


@pytest.mark.parametrize(
    ("name", "line", "key"),
    [
        (
            "ecoorganismes",
            {"identifiant_externe": "RF1", "nom": "Borne", "latitudewgs84": 47.8722,
             "longitudewgs84": -3.9187},
            "RF1",
        ),
        ("sinoe_dechetteries", {"C_SERVICE": "S1", "N_SERVICE": "Déchèterie"}, "S1"),
    ],
)  # fmt: skip
def test_the_listings_of_data_fair(
    name: str, line: dict[str, Any], key: str, registry: Registry
) -> None:
    source = registry[name]
    columns = [path for path in source.champs.values() if isinstance(path, str)]
    row = {**dict.fromkeys(columns, ""), **line, "_id": "x", "_geopoint": "47.8722,-3.9187"}
    extraction = read(source, {"total": 1, "results": [row]})
    assert list(fiches(extraction)) == [key]
    assert "colonne_non_declaree" not in rules(extraction)


def test_the_directory_that_is_one_text_of_html(registry: Registry, clean: Clean) -> None:
    described = (
        "Thèmes : <br>- Réemploi / Réparation<br>Description : Un atelier.<br>"
        '<div style="visibility: hidden">vélo</div>📍 12 rue du Port 29900 Concarneau'
        "<br>📞 06 12 34 56 78<br>📧 jean.dupont@example.org<br>🌐 https://atelier.example.org"
    )
    feature = {
        "type": "Feature",
        "properties": {"name": "Atelier d’essai", "logo": "x.png", "description": described},
        "geometry": {"type": "Point", "coordinates": [-3.9187, 47.8722]},
    }
    extraction = read(registry["sevadec"], {"type": "FeatureCollection", "features": [feature]})
    holds(
        clean(extraction)["Atelier d’essai"],
        {
            "adresse": "12 rue du Port",
            "code_insee": "29039",
            "site_web": "https://atelier.example.org",
            "themes": ["reemploi", "reparation"],
            "telephone": None,
            "courriel": None,
        },
    )


@pytest.mark.parametrize(
    ("name", "wanted", "other"),
    [
        (
            "lowtechjournal_site",
            "https://www.lowtechjournal.fr/blog/billets/la-low-tech-en-essai.html",
            "https://www.lowtechjournal.fr/blog/index.html",
        ),
        (
            "ademe_librairie",
            "https://librairie.ademe.fr/economie-circulaire/1234-low-tech-essai.html",
            "https://librairie.ademe.fr/economie-circulaire.html",
        ),
    ],
)
def test_the_pages_of_a_site_map(
    name: str, wanted: str, other: str, registry: Registry, clean: Clean
) -> None:
    source = registry[name]
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    listed = "".join(f"<url><loc>{address}</loc></url>" for address in (wanted, other))
    article = "<html><body><h1>La low-tech à l’essai</h1><p>Texte protégé.</p></body></html>"
    extraction = read(source, f'<urlset xmlns="{space}">{listed}</urlset>', article)
    fiche = clean(extraction)[wanted]
    holds(fiche, {"nom": "La low-tech à l’essai", "url": wanted, "entite": "ressource"})
    assert "protégé" not in everything(extraction)


def test_the_projects_of_appropedia(registry: Registry, clean: Clean) -> None:
    source = registry["appropedia"]
    members = {"query": {"categorymembers": [{"pageid": 8, "ns": 0, "title": "Solar oven"}]}}
    text = (
        "{{Project data|authors=Jane Doe|status=Deployed|made=yes|location=Niort, France}}"
        "{{Page data|description=A solar oven|keywords=solar cooking, oven|license=CC-BY-SA-4.0}}"
    )
    page = {
        "pageid": 8,
        "title": "Solar oven",
        "pagelanguage": "en",
        "fullurl": "https://www.appropedia.org/Solar_oven",
        "revisions": [{"revid": 3, "timestamp": "2026-01-02T03:04:05Z",
                       "slots": {"main": {"content": text}}}],
    }  # fmt: skip
    extraction = read(source, members, {"query": {"pages": [page]}})
    assert "Jane Doe" not in everything(extraction)
    holds(
        clean(extraction)["8"],
        {
            "nom": "Solar oven",
            "resume": "A solar oven",
            "url": "https://www.appropedia.org/Solar_oven",
            "licence": "cc-by-sa-4.0",
            "nature_ressource": "document",
        },
    )


@pytest.mark.parametrize(
    ("name", "fixtures"),
    [
        ("ademe_aac_forum", "discourse.json"),
        ("ademe_aac_wiki", "wiki_modele.json"),
        ("bzh_fablab", "bzh_fablab.geojson"),
        ("carteco", "gogofull.json"),
        ("cget2019", "cget.csv"),
        ("emmaus", "emmaus.json"),
        ("energie_partagee", "wordpress.json"),
        ("fablabsio_okw", "okw.json"),
        ("ftl_communecter", "communecter.json"),
        ("hinaura", "yeswiki_entries.json"),
        ("lowtechlab_wiki", "wiki_pages_131.json"),
        ("lowtechlab_wiki", "wiki_pages_135.json"),
        ("makery", "gogofull.json"),
        ("osm", "overpass.json"),
        ("petr_msb", "semapps.json"),
        ("presdecheznous", "gogofull.json"),
        ("qfdmo", "data_fair_1.json data_fair_2.json"),
        ("repaircafe", "repaircafe.json"),
        ("ressourceries_gogo", "gogofull.json"),
        ("riposte_creative_bretagne", "yeswiki_entries.json"),
        ("spaceapi", "spaceapi.json"),
        ("supermarches_coop", "supermarches.js"),
        ("transiscope", "transiscope.json"),
        ("wikifab", "wiki_pages_135.json"),
        ("yeswiki_archipels", "yeswiki_entries.json"),
    ],
)
def test_a_block_reads_an_answer_of_its_platform(
    name: str, fixtures: str, registry: Registry
) -> None:
    """Every record met is accounted for: kept, left out by the rules of the block, or refused."""
    source = registry[name]
    (request, *_) = PLATFORMS[source.plateforme].first(source)
    extraction = run(
        source, *(make_page(FIXTURES / fixture, request.url) for fixture in fixtures.split())
    )
    assert extraction.read > 0
    assert extraction.fiches.num_rows + extraction.left_out > 0
