import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lowtech_data.capture import CaptureError, Client, Store, harvest
from lowtech_data.extract import PLATFORMS, Extraction, extract
from lowtech_data.extract.base import PayloadError
from lowtech_data.registry import Registry, Source
from tests.capture.conftest import Site, answer

from .support import FIXTURES, everything, fiches, make_page, make_source, rejected, run

PLATFORM = PLATFORMS["overpass"]
FILTERS: dict[str, Any] = {
    "atelier_velo": [{"shop": "bicycle", "service:bicycle:diy": True}],
    "ressourcerie": [
        {"shop": ["second_hand", "charity"]},
        {"name": {"motif": "ressourcerie|recyclerie"}},
    ],
    "hackerspace": [{"leisure": "hackerspace"}],
}
CODES: dict[str, Any] = {
    "atelier_velo": {"type": "atelier_velo", "themes": ["mobilite", "reparation"]},
    "ressourcerie": {"type": "ressourcerie", "themes": ["reemploi"]},
    "hackerspace": {"type": "hackerspace"},
}


def osm(**changes: Any) -> Source:
    fields: dict[str, Any] = {
        "url": "https://overpass-api.de/api/interpreter",
        "options": {"filtres": FILTERS},
        "codes": CODES,
    }
    return make_source("overpass", **fields | changes)


def read(elements: Any, **options: Any) -> Extraction:
    source = osm(options={"filtres": FILTERS} | options)
    return run(source, make_page(json.dumps({"elements": elements})))


def node(**tags: str) -> dict[str, Any]:
    return {"type": "node", "id": 1, "lat": 48.0, "lon": 2.0, "tags": {"name": "A"} | tags}


def query(**options: Any) -> str:
    request = PLATFORM.first(osm(options=options))[0]
    return parse_qs(urlsplit(request.url).query)["data"][0]


class TestElements:
    def test_nodes_ways_and_relations(self) -> None:
        extraction = run(osm(), make_page(FIXTURES / "overpass.json"))
        found = fiches(extraction)
        assert not rejected(extraction)
        expected = {
            "nom": "Atelier de la Roue Libre",
            "noms_alternatifs": ["La Roue Libre", "Roue Libre"],
            "adresse": "12 bis Rue des Essais",
            "code_postal": "35000",
            "commune": "Rennes",
            "latitude": "48.1000001",
            "longitude": "-1.6000002",
            "precision_geo": None,
            "courriel": "contact@roue-libre.example",
            "telephone": "+33 2 99 00 00 01",
            "site_web": "https://roue-libre.example",
            "siret": "90000001900019",
            "horaires": "We 14:00-18:00",
            "date_maj": "2025-11-02",
            "identifiants": ["osm=node/4100000001", "wikidata=Q900001"],
            "url": "https://www.openstreetmap.org/node/4100000001",
            "type": "atelier_velo",
            "licence": "odbl-1.0",
            "pointeur": "/elements/0",
        }
        workshop = found["node/4100000001"]
        assert {name: workshop[name] for name in expected} == expected
        shop = found["way/510000002"]
        assert (shop["type"], shop["adresse"], shop["commune"]) == (
            "ressourcerie",
            "3 Place du Test",
            "Lyon",
        )
        assert (shop["latitude"], shop["precision_geo"]) == ("45.7000003", "centre_de_geometrie")
        assert shop["date_maj"] == "2024-01-15T18:00:00Z"
        assert found["relation/6000003"]["type"] == "hackerspace"

    def test_who_edited_is_never_kept(self) -> None:
        source = osm(champs={"attribution": "user", "description": "uid"})
        kept = everything(run(source, make_page(FIXTURES / "overpass.json")))
        assert "Exemple" not in kept
        assert "9000" not in kept.replace("Q900001", "").replace("90000001900019", "")

    def test_tags_that_nothing_reads_are_not_news_but_other_columns_are(self) -> None:
        extraction = read([node(wheelchair="yes") | {"visible": True}])
        assert rejected(extraction) == [("*", "visible", "colonne_non_declaree")]

    def test_an_element_without_tags(self) -> None:
        found = fiches(read([{"type": "node", "id": 7, "lat": 1, "lon": 2}]))["node/7"]
        assert (found["nom"], found["identifiants"]) == (None, ["osm=node/7"])

    @pytest.mark.parametrize(
        ("element", "rule"),
        [
            ("texte", "enregistrement_inattendu"),
            ({"type": "area", "id": 3600001}, "element_inattendu"),
            ({"type": "node", "id": "1"}, "element_inattendu"),
            ({"type": "count", "id": 0, "tags": {"total": "3"}}, "element_inattendu"),
        ],
    )
    def test_what_is_not_an_element_is_told(self, element: Any, rule: str) -> None:
        extraction = read([element, node()])
        assert [reject[2] for reject in rejected(extraction)] == [rule]
        assert list(fiches(extraction)) == ["node/1"]


class TestFilters:
    @pytest.mark.parametrize(
        ("tags", "kind"),
        [
            ({"shop": "bicycle", "service:bicycle:diy": "yes"}, "atelier_velo"),
            ({"shop": "bicycle", "service:bicycle:diy": "no"}, None),
            ({"shop": "bicycle"}, None),
            ({"shop": "clothes; charity"}, "ressourcerie"),
            ({"shop": "charity_box"}, None),
            ({"name": "La RECYCLERIE"}, "ressourcerie"),
        ],
    )
    def test_an_element_has_the_code_of_the_filters_that_it_passes(
        self, tags: dict[str, str], kind: str | None
    ) -> None:
        assert fiches(read([node(**tags)]))["node/1"]["type"] == kind

    def test_the_query(self) -> None:
        asked = query(filtres=FILTERS | {"presence": [{"repair": "*"}], "bis": [{"repair": "*"}]})
        assert asked.splitlines() == [
            "[out:json][timeout:180];",
            'area["ISO3166-1"="FR"]->.zone;',
            "(",
            'nwr["shop"="bicycle"]["service:bicycle:diy"="yes"](area.zone);',
            'nwr["shop"~"(^|;) *(second_hand|charity) *(;|$)"](area.zone);',
            'nwr["name"~"ressourcerie|recyclerie",i](area.zone);',
            'nwr["leisure"="hackerspace"](area.zone);',
            'nwr["repair"](area.zone);',
            ");",
            "out center meta;",
        ]

    def test_another_area_and_more_time(self) -> None:
        asked = query(filtres={"a": [{"shop": "x"}]}, zone={"ISO3166-2": "FR-59"}, delai=600)
        assert asked.startswith('[out:json][timeout:600];\narea["ISO3166-2"="FR-59"]->.zone;')

    def test_a_whole_query_is_sent_as_it_is(self) -> None:
        given = '[out:json];nwr["name"="a & b + é"](area:3602202162);out center meta;'
        assert query(requete=given) == given

    @given(st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda text: text != "*"))
    def test_no_value_leaves_its_quotes(self, value: str) -> None:
        after = query(filtres={"a": [{"k": value}]}).split('"k"="', 1)[1]
        literal = re.match(r'(?:[^"\\]|\\.)*', after, re.DOTALL)
        assert literal
        assert re.sub(r"\\(.)", r"\1", literal[0], flags=re.DOTALL) == value
        assert after[literal.end() :].startswith('"](area.zone);\n')

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({}, "l’un des deux"),
            ({"filtres": {"a": [{"k": "v"}]}, "requete": "[out:json];"}, "l’un des deux"),
            ({"requete": "node(1);out;"}, "out:json"),
            ({"filtres": {"a": []}}, "trouvé rien"),
            ({"filtres": {"a": [{"k": {"motif": "("}}]}}, "expression rationnelle"),
        ],
    )
    def test_options_that_ask_for_nothing_are_refused(
        self, options: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ValidationError, match=message):
            PLATFORM.options.model_validate(options)


class TestRefusals:
    @pytest.mark.parametrize(
        "remark",
        [
            'runtime error: Query timed out in "query" at line 4 after 181 seconds.',
            "runtime error: Query run out of memory using about 2048 MB of RAM.",
        ],
    )
    def test_an_answer_cut_by_the_server_is_refused(self, remark: str) -> None:
        body = json.dumps({"elements": [node()], "remark": remark})
        with pytest.raises(PayloadError, match=r"incomplète.*1 éléments.*runtime error.*delai"):
            run(osm(), make_page(body))

    def test_the_error_page_of_the_server_is_quoted(self) -> None:
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<html><head><title>OSM3S Response</title>'
            '</head><body><p><strong style="color:#FF0000">Error</strong>: runtime error:'
            " open64: 0 Success dispatcher_client::1 too busy</p></body></html>"
        )
        with pytest.raises(PayloadError, match=r"n’a pas répondu.*too busy"):
            run(osm(), make_page(body))

    @pytest.mark.parametrize("body", ["", "[]", "{}", '{"elements": null}', "<html>connexion"])
    def test_anything_else_is_refused(self, body: str) -> None:
        with pytest.raises(PayloadError):
            run(osm(), make_page(body))


def test_a_harvest_over_http(site: Site, client: Client, tmp_path: Path) -> None:
    source = osm(url=site.url("/api/interpreter"), limites={"essais": 1, "pause_s": 0})
    path = f"/api/interpreter?data={quote(query(filtres=FILTERS), safe='')}"
    body = (FIXTURES / "overpass.json").read_bytes()
    site.pages[path] = [answer(body, Content_Type="application/json"), answer(b"occupe", 504)]
    registry = Registry(tmp_path / "sources.yaml", (source,))
    now = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
    store = Store(tmp_path / "captures")
    found = harvest(source, PLATFORM, registry, store, client, now=now)
    assert extract(source, PLATFORM, found.bodies).fiches.num_rows == 3
    with pytest.raises(CaptureError, match="504"):
        harvest(source, PLATFORM, registry, store, client, now=now)
