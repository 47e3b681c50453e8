import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowtech_data.extract.base import Extraction, PayloadError

from .support import FIXTURES, everything, fiches, make_page, make_source, rejected, run


def read(document: Any, url: str = "https://example.org/liste", **changes: Any) -> Extraction:
    body = document if isinstance(document, str) else json.dumps(document)
    return run(make_source("json_ld", **changes), make_page(body, url=url))


def one(document: Any, **changes: Any) -> dict[str, Any]:
    (fiche,) = fiches(read(document, **changes)).values()
    return fiche


def test_a_page_in_its_real_shape() -> None:
    source = make_source("json_ld", options={"types": ["LocalBusiness", "schema:Event"]})
    page = make_page(FIXTURES / "jsonld.html", url="https://recyclerie.example.org/contact")
    extraction = run(source, page)
    assert (extraction.read, extraction.unreadable) == (3, 1)
    found = fiches(extraction)
    lieu = found["https://recyclerie.example.org/contact#lieu"]
    assert lieu["nom"] == "La Recyclerie"
    assert lieu["adresse"] == "3 rue Basse"
    assert (lieu["code_postal"], lieu["commune"], lieu["pays"]) == ("75011", "Paris", "FR")
    assert (lieu["latitude"], lieu["longitude"]) == ("48.85", "2.35")
    assert lieu["horaires"] == "Mo,Tu 09:00-12:30; Sa 10:00-18:00"
    assert lieu["pointeur"] == "script[1]/@graph/3"
    event = found["/agenda/1"]
    assert (event["nom"], event["adresse"]) == ("Repair café", "1 place Haute, Lyon")
    assert "Prenom" not in everything(extraction)
    assert rejected(extraction) == [
        ("*", "location.name", "colonne_non_declaree"),
        ("script[3]", "*", "json_illisible"),
    ]


def test_without_types_what_pages_add_around_is_no_record() -> None:
    page = make_page(FIXTURES / "jsonld.html")
    extraction = run(make_source("json_ld", ignorer=["location.name"]), page)
    # An address with an id is a node like another: `types` tells which ones are records.
    assert sorted(fiches(extraction)) == [
        "/agenda/1",
        "https://example.org/liste#adresse",
        "https://example.org/liste#lieu",
    ]


@pytest.mark.parametrize(
    ("context", "name"),
    [
        ("https://schema.org", "name"),
        ({"schema": "http://schema.org/"}, "schema:name"),
        ({}, "schema:name"),
        ({"s": "https://schema.org/"}, "s:name"),
        ({}, "https://schema.org/name"),
        ({"nom": "http://schema.org/name"}, "nom"),
        ({"s": "https://schema.org/", "nom": {"@id": "s:name"}}, "nom"),
        (["https://schema.org", {"nom": "schema:name"}], "nom"),
    ],
)
def test_every_way_to_write_a_schema_org_term(context: Any, name: str) -> None:
    node = {"@context": context, "@id": "https://example.org/1", "@type": "Place", name: "Atelier"}
    assert one(node)["nom"] == "Atelier"


def test_other_vocabularies_keep_their_terms() -> None:
    document = {
        "@context": {"pair": "http://virtual-assembly.org/ontologies/pair#", "type": "@type"},
        "@id": "https://example.org/organizations/",
        "type": "ldp:Container",
        "ldp:contains": [
            {
                "@id": "https://example.org/organizations/1",
                "type": "pair:Organization",
                "pair:label": {"@value": "Atelier", "@language": "fr"},
                "pair:hasLocation": {"pair:latitude": 47.2, "pair:longitude": -1.5},
                "pair:hasTopic": {"@id": "https://example.org/themes/reemploi"},
            }
        ],
    }
    champs = {
        "nom": "pair:label",
        "latitude": "pair:hasLocation.pair:latitude",
        "longitude": "pair:hasLocation.pair:longitude",
        "categories": "pair:hasTopic",
    }
    codes = {"https://example.org/themes/reemploi": {"themes": ["reemploi"]}}
    fiche = one(document, champs=champs, codes=codes)
    assert (fiche["nom"], fiche["latitude"], fiche["themes"]) == ("Atelier", "47.2", ["reemploi"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([{"@value": "b", "@language": "de"}, {"@value": "a", "@language": "FR"}], "a"),
        ([{"@value": "b", "@language": "en"}, {"@value": "a", "@language": "de"}], "a"),
        ([{"@value": "a", "@language": "fr"}, {"@value": "b", "@language": "fr"}], "a; b"),
        ({"@list": ["a", {"@value": "b"}]}, "a; b"),
        ({"@set": [None, "a"]}, "a"),
        ({"@value": 12.5}, "12.5"),
        ("a", "a"),
    ],
)
def test_values(value: Any, expected: str) -> None:
    assert one({"@id": "x", "@type": "Place", "name": value})["nom"] == expected


def test_a_map_of_languages_is_known_by_its_context() -> None:
    context = {"nom": {"@id": "schema:name", "@container": "@language"}}
    node = {"@context": context, "@id": "x", "nom": {"en": "b", "fr": "a"}}
    assert one(node)["nom"] == "a"


def test_lists_of_records() -> None:
    document = {
        "@type": "ItemList",
        "itemListElement": [
            {"@type": "ListItem", "item": {"@type": "Store", "@id": "a"}},
            {"@type": "ListItem", "item": {"@type": "Store", "@id": "b"}},
        ],
    }
    assert sorted(fiches(read(document))) == ["a", "b"]


def test_a_record_may_have_a_graph_of_its_own() -> None:
    tag = {"@id": "t", "@type": "tag"}
    assert sorted(fiches(read([{"@id": "a", "name": "A", "@graph": [tag]}]))) == ["a"]


def test_a_blank_node_has_no_key() -> None:
    document = [
        {"@id": "_:b0", "name": "A"},
        {"@id": "_:b1", "url": "https://a.example", "name": "A"},
    ]
    extraction = read(document)
    assert list(fiches(extraction)) == ["https://a.example"]
    assert rejected(extraction) == [("/0", "cle_source", "cle_absente")]


def test_a_place_by_reference() -> None:
    document = [
        {"@id": "e", "@type": "Event", "location": {"@id": "l"}},
        {
            "@id": "l",
            "@type": "Place",
            "address": {"@id": "d"},
            "geo": {"latitude": 1, "longitude": 2},
        },
        {"@id": "d", "@type": "PostalAddress", "addressLocality": "Lyon"},
    ]
    fiche = one(document, options={"types": ["Event"]})
    assert (fiche["commune"], fiche["latitude"]) == ("Lyon", "1")


def test_nodes_that_refer_to_each_other_end() -> None:
    document = [
        {"@id": "a", "location": {"@id": "b"}},
        {"@id": "b", "location": {"@id": "a"}},
    ]
    assert sorted(fiches(read(document))) == ["a", "b"]


def test_hours_that_hold_for_a_season_stay_as_they_are() -> None:
    part = {"dayOfWeek": "Monday", "opens": "09:00", "closes": "12:00", "validFrom": "2026-05-01"}
    extraction = read({"@id": "x", "openingHoursSpecification": part})
    assert fiches(extraction)["x"]["horaires"] is None
    assert ("*", "openingHoursSpecification.opens", "colonne_non_declaree") in rejected(extraction)


def test_a_variable_of_a_script() -> None:
    body = "var elements = [\n{'@id': 'a', name: 'A', url: f()},\n{'@id': 'b', name: 'B'}, f()]"
    extraction = read(body, options={"variable": "elements"})
    assert [row["nom"] for row in fiches(extraction).values()] == ["A", "B"]
    assert rejected(extraction) == [
        ("a", "url", "expression_refusee"),
        ("elements/2", "*", "expression_refusee"),
    ]


def test_a_script_that_is_javascript_rather_than_json() -> None:
    # As a real wiki writes it.
    script = '{"@context" : "http://schema.org","url":"https://a.example","name":"A",}'
    body = f'<html><script type="application/ld+json">{script}</script></html>'
    assert fiches(read(body))["https://a.example"]["nom"] == "A"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("<html><title>Connexion</title></html>", "page sans <script"),
        ({"@type": "WebSite", "name": "A"}, "types trouvés : WebSite"),
        ("[", "JSON illisible"),
        ("[]", "types trouvés : aucun"),
        ("bonjour", "JSON illisible"),
    ],
)
def test_something_else_is_refused(body: Any, reason: str) -> None:
    with pytest.raises(PayloadError, match=reason):
        read(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["@id", "@type", "@graph", "@value", "@language", "@list", "@context", "name",
                 "geo", "address", "location", "openingHoursSpecification", "dayOfWeek",
                 "schema:url"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)  # fmt: skip


@given(JSON)
def test_any_document_is_read_or_refused(document: Any) -> None:
    with contextlib.suppress(PayloadError):
        read(document)
