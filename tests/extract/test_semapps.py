import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowtech_data.capture import CaptureError, Client, FailureKind, Harvest, Store, harvest
from lowtech_data.extract import PLATFORMS, Extraction, extract
from lowtech_data.extract.base import PayloadError
from lowtech_data.registry import Registry, Source
from tests.capture.conftest import Answer, Site, answer

from .support import FIXTURES, everything, fiches, make_page, make_source, rejected, run

PLATFORM = PLATFORMS["semapps"]
HOST = "https://data.tiers-lieux.example"
LIST = f"{HOST}/organizations"
PAIR = "http://virtual-assembly.org/ontologies/pair#"
LDP = "http://www.w3.org/ns/ldp#"
GRANGE = f"{LIST}/la-grange-ouverte"
CODES: dict[str, Any] = {
    "tiers-lieu": {"type": "tiers_lieu"},
    "Réparation": {"themes": ["reparation"]},
    "énergie": {"themes": ["energie"]},
}


def places(**changes: Any) -> Source:
    return make_source("semapps", **({"url": LIST} | changes))


def read(document: Any, **changes: Any) -> Extraction:
    body = document if isinstance(document, str) else json.dumps(document)
    return run(places(**changes), make_page(body, LIST))


def container(*items: Any, **more: Any) -> dict[str, Any]:
    return {"@id": LIST, "@type": "ldp:Container", "ldp:contains": list(items), **more}


RECORD = {
    "@id": f"{LIST}/1",
    "@type": ["pair:Organization"],
    "pair:label": "Le Hangar",
    "pair:hasLocation": {
        "pair:latitude": "46.5",
        "pair:hasPostalAddress": {"pair:addressZipCode": "71999"},
    },
}


def renamed(value: Any, name: Callable[[str], str]) -> Any:
    if isinstance(value, list):
        return [renamed(item, name) for item in value]
    if isinstance(value, dict):
        return {
            name(key): [name(one) for one in below] if key == "@type" else renamed(below, name)
            for key, below in value.items()
        }
    return value


class TestRecords:
    def test_a_place(self) -> None:
        page = make_page(FIXTURES / "semapps.json", LIST)
        extraction = run(places(codes=CODES), page)
        expected = {
            "nom": "La Grange ouverte",
            "description": "Un tiers-lieu rural. Atelier bois, café associatif.",
            "url": GRANGE,
            "adresse": "3 Grande Rue",
            "code_postal": "71998",
            "commune": "Valombre",
            "pays": "France",
            "latitude": "46.4321",
            "longitude": "4.6543",
            "site_web": "https://grange-ouverte.example",
            "courriel": "contact@grange-ouverte.example",
            "telephone": "03 85 00 00 01",
            "date_publication": "2023-05-04T09:12:00.000Z",
            "date_maj": "2024-11-02T17:40:00.000Z",
            "type": "tiers_lieu",
            "themes": ["reparation", "energie"],
            "pointeur": "/ldp:contains/0",
        }
        place = fiches(extraction)[GRANGE]
        assert {name: place[name] for name in expected} == expected
        assert rejected(extraction) == [("/ldp:contains/1", "*", "personne")]

    def test_people_are_not_read(self) -> None:
        champs = {
            "attribution": "dc:creator",
            "noms_alternatifs": ["pair:partnerOf.pair:label", "pair:affiliates"],
        }
        page = make_page(FIXTURES / "semapps.json", LIST)
        shown = everything(run(places(champs=champs), page))
        assert not [name for name in ("dupont", "Dupont", "Léa", "persons") if name in shown]

    def test_shared_equipment_is_there_for_who_asks(self) -> None:
        champs = {"noms_alternatifs": "petr:equipmentOffers.pair:label"}
        page = make_page(FIXTURES / "semapps.json", LIST)
        place = fiches(run(places(champs=champs), page))[GRANGE]
        assert place["noms_alternatifs"] == ["Raboteuse", "Four à céramique"]

    def test_an_equipment_by_itself(self) -> None:
        machine = {
            "@id": f"{HOST}/equipments/1",
            "@type": "petr:Equipment",
            "pair:label": "Raboteuse",
            "petr:hasEquipmentType": f"{HOST}/equipment-types/bois",
            "petr:model": "R-300",
            "petr:amount": 2,
            "petr:equipmentOfferedBy": GRANGE,
        }
        champs = {"categories": "_noms.petr:hasEquipmentType"}
        extraction = read(container(machine), entite="machine", champs=champs, codes={"bois": {}})
        assert fiches(extraction)[f"{HOST}/equipments/1"]["entite"] == "machine"
        assert not rejected(extraction)

    def test_a_place_that_is_the_record_itself(self) -> None:
        address = {"pair:addressStreet": "1 rue Basse", "pair:latitude": 46.1}
        place = {"@id": "/places/1", "pair:label": "Cour", "pair:hasPostalAddress": address}
        extraction = read(container(place))
        found = fiches(extraction)[f"{HOST}/places/1"]
        assert (found["adresse"], found["latitude"]) == ("1 rue Basse", "46.1")
        assert not rejected(extraction)

    def test_a_record_alone_and_a_container_of_one(self) -> None:
        alone = fiches(read(RECORD))[f"{LIST}/1"]
        held = fiches(read(container() | {"ldp:contains": RECORD}))[f"{LIST}/1"]
        assert alone | {"capture": "", "pointeur": ""} == held | {"capture": "", "pointeur": ""}

    def test_texts_in_several_languages(self) -> None:
        label = [
            {"@value": "Barn", "@language": "en"},
            {"@value": "Grange", "@language": "fr"},
        ]
        assert fiches(read(RECORD | {"pair:label": label}))[f"{LIST}/1"]["nom"] == "Grange"
        english = [label[0], {"@value": "Scheune", "@language": "de"}]
        assert fiches(read(RECORD | {"pair:label": english}))[f"{LIST}/1"]["nom"] == "Scheune"

    def test_a_property_that_nobody_declared_is_told(self) -> None:
        extraction = read(RECORD | {"pair:budget": "1000", "https://x.example/vocab#a": "b"})
        assert rejected(extraction) == [
            ("*", "https://x.example/vocab#a", "colonne_non_declaree"),
            ("*", "pair:budget", "colonne_non_declaree"),
        ]

    def test_what_is_no_record_is_told(self) -> None:
        items = (RECORD, 12, {"@id": f"{HOST}/sous", "@type": ["ldp:BasicContainer"]})
        extraction = read(container(*items, {"@id": "_:b0", "pair:label": "Sans adresse"}))
        assert [rule for *_, rule in rejected(extraction)] == [
            "enregistrement_inattendu",
            "conteneur_non_suivi",
            "cle_absente",
        ]


class TestNames:
    def same(self, document: Any) -> None:
        extraction = read(document)
        found, expected = (
            fiches(one)[f"{LIST}/1"] for one in (extraction, read(container(RECORD)))
        )
        assert found | {"capture": ""} == expected | {"capture": ""}
        assert not rejected(extraction)

    @given(st.sets(st.sampled_from(["pair:", "ldp:"])))
    def test_in_full_or_with_a_prefix(self, in_full: set[str]) -> None:
        def name(key: str) -> str:
            for prefix, address in (("pair:", PAIR), ("ldp:", LDP)):
                if prefix in in_full and key.startswith(prefix):
                    return address + key.removeprefix(prefix)
            return key

        document = container(RECORD) | {"@type": ["ldp:Container"]}
        self.same(renamed(document, name))

    def test_with_another_prefix(self) -> None:
        context = ["https://data.example/context.json", {"p": PAIR, "l": {"@id": LDP}}]
        document = container(RECORD) | {"@type": ["ldp:Container"]}
        named = renamed(document, lambda key: key.replace("pair:", "p:").replace("ldp:", "l:"))
        self.same({"@context": context, **named})

    def test_without_any_prefix(self) -> None:
        terms = {"@vocab": PAIR, "contains": f"{LDP}contains", "id": "@id", "type": "@type"}
        record = renamed(RECORD, lambda key: key.removeprefix("pair:").replace("@", ""))
        self.same({"@context": terms, "id": LIST, "contains": [record]})
        self.same({"id": LIST, "type": "ldp:Container", "contains": [RECORD]})

    def test_the_whole_form(self) -> None:
        record = RECORD | {f"{PAIR}label": [{"@value": "Le Hangar"}]}
        del record["pair:label"]
        self.same([{"@id": LIST, f"{LDP}contains": [record]}])
        self.same({"@context": {"ldp": LDP}, "@graph": [container(RECORD)]})


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ("", "tronqué"),
            ("<html><title>Archipelago</title><script>app()</script></html>", "« Archipelago »"),
            ('{"name": "NotFoundError", "message": "Introuvable", "code": 404}', "Introuvable"),
            ("[]", "trouvé : list"),
            ("{}", "objet vide"),
            ('{"@id": "https://data.tiers-lieux.example/organizations"}', "trouvé : @id"),
        ],
    )
    def test_something_else(self, body: str, message: str) -> None:
        with pytest.raises(PayloadError, match=message):
            read(body)


class TestHarvest:
    """The whole way, over HTTP."""

    def run(self, source: Source, folder: Path, client: Client) -> Harvest:
        registry = Registry(folder / "sources.yaml", (source,))
        now = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
        return harvest(source, PLATFORM, registry, Store(folder / "captures"), client, now=now)

    def source(self, site: Site) -> Source:
        return places(url=site.url("/organizations"), limites={"pause_s": 0})

    def test_links_are_followed_then_unchanged(
        self, site: Site, client: Client, tmp_path: Path
    ) -> None:
        def tagged(document: Any, tag: str) -> Answer:
            def write(handler: Any) -> None:
                assert handler.headers["Accept"] == "application/ld+json"
                is_known = handler.headers.get("If-None-Match") == tag
                unchanged = answer(b"", 304, length=False, ETag=tag)
                (unchanged if is_known else answer(json.dumps(document).encode(), ETag=tag))(
                    handler
                )

            return write

        held = [
            RECORD | {"@id": "/organizations/1"},
            site.url("/organizations/2"),
            {"@id": "/organizations/3", "@type": "ldp:Resource"},
            {"@id": "/persons/jean", "@type": "pair:Person"},
        ]
        site.pages = {
            "/organizations": tagged(container(*held), '"1"'),
            "/organizations/2": tagged(RECORD | {"@id": "/organizations/2"}, '"2"'),
            "/organizations/3": tagged(RECORD | {"@id": "/organizations/3"}, '"3"'),
        }
        source = self.source(site)
        for status in ("nouvelle", "inchangee"):
            found = self.run(source, tmp_path, client)
            assert found.status == status
            extraction = extract(source, PLATFORM, found.bodies)
            assert sorted(fiches(extraction)) == [
                site.url(f"/organizations/{number}") for number in (1, 2, 3)
            ]
            assert [rule for *_, rule in rejected(extraction)] == ["personne"]
        assert site.paths == ["/organizations", "/organizations/2", "/organizations/3"] * 2

    def test_links_of_a_file_are_told(self) -> None:
        source = places(url="captures/organizations.json")
        page = make_page(json.dumps(container(f"{LIST}/1")), source.url)
        assert [rule for *_, rule in rejected(run(source, page))] == ["lien_non_suivi"]
        assert not PLATFORM.follow(source, page)

    def test_a_page_for_people_instead_of_data_fails_the_harvest(
        self, site: Site, client: Client, tmp_path: Path
    ) -> None:
        page = b"<!DOCTYPE html><html><title>Archipelago</title><div id=root></div></html>"
        site.pages["/organizations"] = answer(page, Content_Type="text/html")
        with pytest.raises(CaptureError, match="Archipelago") as caught:
            self.run(self.source(site), tmp_path, client)
        assert caught.value.kind is FailureKind.CONTENT
