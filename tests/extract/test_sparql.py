import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lowtech_data.capture import Client, Store, harvest
from lowtech_data.extract import PLATFORMS, Extraction, extract
from lowtech_data.extract.base import PayloadError
from lowtech_data.registry import Registry, Source
from tests.capture.conftest import Site, answer

from .support import FIXTURES, fiches, make_page, make_source, rejected, run

PLATFORM = PLATFORMS["sparql"]
ENDPOINT = "https://query.wikidata.org/sparql"
QUERY = """
SELECT ?item ?itemLabel ?itemAltLabel ?coord ?site ?type WHERE {
  ?item wdt:P31/wdt:P279* wd:Q900100; wdt:P17 wd:Q142.
  OPTIONAL { ?item wdt:P625 ?coord }
}
"""
FIELDS = {"site_web": "site", "categories": "type"}


def wikidata(**changes: Any) -> Source:
    options = {"requete": QUERY, "position": "coord"} | changes.pop("options", {})
    fields: dict[str, Any] = {"url": ENDPOINT, "champs": FIELDS, "options": options}
    return make_source("sparql", **fields | changes)


def read(*solutions: Any, **options: Any) -> Extraction:
    variables = ["item", "itemLabel", "coord"]
    document = {"head": {"vars": variables}, "results": {"bindings": solutions}}
    return run(wikidata(champs={}, options=options), make_page(json.dumps(document)))


def solution(item: str = "http://www.wikidata.org/entity/Q1", **terms: str) -> dict[str, Any]:
    literals = {name: {"type": "literal", "value": value} for name, value in terms.items()}
    return {"item": {"type": "uri", "value": item}} | literals


class TestSolutions:
    def test_one_record_per_solution(self) -> None:
        extraction = run(wikidata(), make_page(FIXTURES / "sparql.json"))
        found = fiches(extraction)
        expected = {
            "nom": "Ressourcerie d’Essai",
            "noms_alternatifs": ["La Réserve", "Essai Récup"],
            "latitude": "48.1034",
            "longitude": "-1.6012",
            "site_web": "https://ressourcerie-essai.example/",
            "identifiants": ["wikidata=Q900001"],
            "url": "https://www.wikidata.org/wiki/Q900001",
            "pointeur": "/results/bindings/0",
        }
        assert {name: found["Q900001"][name] for name in expected} == expected
        assert not rejected(extraction)

    def test_what_nobody_knows_is_empty_and_a_number_is_no_name(self) -> None:
        unknown = fiches(run(wikidata(), make_page(FIXTURES / "sparql.json")))["Q900002"]
        assert (unknown["nom"], unknown["site_web"], unknown["latitude"]) == (None, None, None)

    def test_a_variable_that_no_solution_has_is_known_all_the_same(self) -> None:
        source = wikidata(champs={"telephone": "coord2"} | FIELDS)
        document = json.loads((FIXTURES / "sparql.json").read_text())
        document["head"]["vars"].append("coord2")
        assert not rejected(run(source, make_page(json.dumps(document))))

    def test_a_variable_that_nothing_reads_is_told(self) -> None:
        extraction = run(wikidata(champs={}), make_page(FIXTURES / "sparql.json"))
        assert rejected(extraction) == [
            ("*", "site", "colonne_non_declaree"),
            ("*", "type", "colonne_non_declaree"),
        ]

    def test_an_item_elsewhere_has_its_address_for_a_key(self) -> None:
        place = fiches(read(solution("https://data.example/lieu/7")))["https://data.example/lieu/7"]
        assert (place["url"], place["identifiants"]) == ("https://data.example/lieu/7", [])

    @pytest.mark.parametrize(
        "point",
        [
            "Point(2.5 48.5)",
            "POINT (2.5 48.5)",
            "<http://www.opengis.net/def/crs/OGC/1.3/CRS84> Point(2.5 48.5)",
        ],
    )
    def test_points(self, point: str) -> None:
        place = fiches(read(solution(coord=point)))["Q1"]
        assert (place["latitude"], place["longitude"]) == ("48.5", "2.5")

    @pytest.mark.parametrize(
        "point",
        [
            "<http://www.wikidata.org/entity/Q405> Point(23.4 0.6)",
            "LineString(1 2, 3 4)",
            "Point(2.5)",
            "48.5, 2.5",
        ],
    )
    def test_a_place_that_is_no_point_of_the_earth_is_told(self, point: str) -> None:
        extraction = read(solution(coord=point))
        assert [(key, rule) for key, _, rule in rejected(extraction)] == [
            ("Q1", "geometrie_illisible")
        ]
        assert fiches(extraction)["Q1"]["latitude"] is None

    def test_what_is_not_a_solution_is_told(self) -> None:
        extraction = read("x", {"item": {"type": "bnode", "value": "t1"}}, solution())
        assert [rule for _, _, rule in rejected(extraction)] == [
            "enregistrement_inattendu",
            "cle_absente",
        ]
        assert list(fiches(extraction)) == ["Q1"]

    @given(st.permutations([solution(f"http://www.wikidata.org/entity/Q{n}") for n in (1, 2, 3)]))
    def test_the_order_of_solutions_does_not_count(self, solutions: list[Any]) -> None:
        assert list(fiches(read(*solutions))) == ["Q1", "Q2", "Q3"]


class TestRequests:
    def test_the_query_is_sent_as_it_is(self) -> None:
        request = PLATFORM.first(wikidata())[0]
        assert parse_qs(urlsplit(request.url).query) == {"query": [QUERY.strip()]}
        assert request.accept == "application/sparql-results+json"

    def test_an_address_that_has_parameters_already(self) -> None:
        source = wikidata(url="https://data.example/sparql?graph=lieux", options={})
        query = parse_qs(urlsplit(PLATFORM.first(source)[0].url).query)
        assert (query["graph"], query["query"]) == (["lieux"], [QUERY.strip()])

    @pytest.mark.parametrize("query", ["", "ASK { ?s ?p ?o }", "selection"])
    def test_a_query_that_selects_nothing_is_refused(self, query: str) -> None:
        with pytest.raises(ValidationError, match="SELECT"):
            PLATFORM.options.model_validate({"requete": query})


class TestRefusals:
    def test_an_answer_broken_off_by_the_time_of_the_server(self) -> None:
        body = (FIXTURES / "sparql.json").read_text()[:400]
        body += "\njava.util.concurrent.TimeoutException\n\tat java.util.concurrent.FutureTask"
        with pytest.raises(PayloadError, match="dépassé le temps du serveur"):
            run(wikidata(), make_page(body))

    def test_an_answer_cut_at_the_limit_of_the_query(self) -> None:
        full = "SELECT ?item { } LIMIT 2"
        with pytest.raises(PayloadError, match=r"limite de la requête \(2\)"):
            read(solution(), solution("http://www.wikidata.org/entity/Q2"), requete=full)
        assert read(solution(), requete=full).read == 1

    def test_a_variable_that_the_answer_lacks(self) -> None:
        with pytest.raises(PayloadError, match="'lieu' n’est pas dans la réponse, qui a : item,"):
            read(solution(), item="lieu")

    @pytest.mark.parametrize(
        "body",
        [
            "",
            "[]",
            "{}",
            '{"head": {}, "boolean": true}',
            '{"results": {"bindings": []}}',
            "<html>",
        ],
    )
    def test_anything_else_is_refused(self, body: str) -> None:
        with pytest.raises(PayloadError):
            run(wikidata(), make_page(body))


def test_a_harvest_over_http_then_nothing_new(site: Site, client: Client, tmp_path: Path) -> None:
    source = wikidata(url=site.url("/sparql"), limites={"essais": 1, "pause_s": 0})
    path = f"/sparql?query={quote(QUERY.strip(), safe='')}"
    body = (FIXTURES / "sparql.json").read_bytes()
    site.pages[path] = [answer(body, ETag='"1"'), answer(status=304, ETag='"1"')]
    registry = Registry(tmp_path / "sources.yaml", (source,))
    store = Store(tmp_path / "captures")
    for day, status in ((2, "nouvelle"), (3, "inchangee")):
        now = datetime(2026, 3, day, 10, 30, tzinfo=UTC)
        found = harvest(source, PLATFORM, registry, store, client, now=now)
        assert found.status == status
        assert extract(source, PLATFORM, found.bodies).fiches.num_rows == 2
