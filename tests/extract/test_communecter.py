import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowtech_data.capture import CaptureError, Client, FailureKind, Harvest, Store, harvest
from lowtech_data.extract import PLATFORMS, extract
from lowtech_data.extract.base import PayloadError
from lowtech_data.registry import Registry, Source
from tests.capture.conftest import Answer, Site, answer

from .support import FIXTURES, everything, fiches, make_page, make_source, rejected, run

PLATFORM = PLATFORMS["communecter"]
LIST = "https://reseau.example/api/organization/get/key/ateliers/limit/2"
PAGE = make_page(FIXTURES / "communecter.json", LIST)
CODES: dict[str, Any] = {"Atelier partagé": {"type": "atelier_partage"}, "Fablab": {}}


def network(**changes: Any) -> Source:
    return make_source("communecter", **({"url": LIST, "codes": CODES} | changes))


def listing(*keys: str, following: Any = None) -> str:
    entities: Any = {key: {"name": f"Lieu {key}"} for key in keys} or []
    return json.dumps({"meta": {"limit": 2, "next": following}, "entities": entities})


class TestRecords:
    def test_an_organisation(self) -> None:
        extraction = run(network(), PAGE)
        key = "5a1b2c3d4e5f60718293a4b5"
        expected = {
            "nom": "La Fabrique des Trois Ponts",
            "description": "Tiers-lieu et atelier partagé.",
            "url": f"https://reseau.example/#page.type.organizations.id.{key}",
            "adresse": "3 quai des Trois Ponts",
            "code_postal": "35999",
            "commune": "Valombre",
            "code_insee": "35998",
            "pays": "FR",
            "latitude": "48.1234",
            "longitude": "-1.6543",
            "site_web": "https://troisponts.example",
            "courriel": "contact@troisponts.example",
            "telephone": "02 99 00 00 01",
            "date_maj": "1710144765",
            "type": "atelier_partage",
            "pointeur": f"/entities/{key}",
        }
        place = fiches(extraction)[key]
        assert {name: place[name] for name in expected} == expected
        assert not rejected(extraction)

    def test_what_php_writes_for_nothing_is_nothing(self) -> None:
        place = fiches(run(network(), PAGE))["6b1b2c3d4e5f60718293a4b6"]
        empty = ("adresse", "commune", "latitude", "telephone", "courriel", "description", "type")
        assert not [name for name in empty if place[name]]
        assert (place["site_web"], place["date_maj"]) == ("https://hangar.example", "1610144765")

    def test_people_are_not_read(self) -> None:
        champs = {"description": "links.members.name", "attribution": "creator"}
        extraction = run(network(champs=champs), PAGE)
        assert "Dupont" not in everything(extraction)
        assert "551e46daa1aa144b700041b0" not in everything(extraction)

    @pytest.mark.parametrize("key", ["id", "_id"])
    def test_entities_in_a_list_name_themselves(self, key: str) -> None:
        named = {"$id": "a1"} if key == "_id" else "a1"
        body = json.dumps({"entities": [{key: named, "name": "Lieu"}, {"name": "Sans clé"}, "b"]})
        extraction = run(network(), make_page(body, LIST))
        assert list(fiches(extraction)) == ["a1"]
        assert extraction.unreadable == 2

    @given(st.lists(st.sampled_from(["Atelier partagé", "Fablab", "Bois"]), min_size=1))
    def test_a_list_is_the_same_with_gaps_or_without(self, tags: list[str]) -> None:
        gaps = {str(2 * index): tag for index, tag in enumerate(tags)}
        both = [
            run(network(), make_page(json.dumps({"entities": {"a": {"tags": written}}}), LIST))
            for written in (tags, gaps)
        ]
        assert both[0].rejects == both[1].rejects
        assert fiches(both[0])["a"]["type"] == fiches(both[1])["a"]["type"]

    def test_a_column_that_nobody_declared_is_told(self) -> None:
        body = '{"entities": {"a": {"name": "Lieu", "openingHours": "lundi"}}}'
        extraction = run(network(), make_page(body, LIST))
        assert rejected(extraction) == [("*", "openingHours", "colonne_non_declaree")]


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ("", "tronqué"),
            ("<html><title>Accueil</title><body>Bienvenue</body></html>", "page HTML « Accueil »"),
            ('{"result": false, "msg": "Clé inconnue"}', r"result, msg \(Clé inconnue\)"),
            ('{"entities": null}', "trouvé : entities"),
            ("[]", "trouvé : list"),
        ],
    )
    def test_something_else(self, body: str, message: str) -> None:
        with pytest.raises(PayloadError, match=message):
            run(network(), make_page(body, LIST))

    @pytest.mark.parametrize("what", ["person/get", "citoyens/get/limit/10"])
    def test_a_list_of_people(self, what: str) -> None:
        with pytest.raises(PayloadError, match="liste de personnes"):
            run(network(), make_page(listing("a"), f"https://reseau.example/api/{what}"))

    @pytest.mark.parametrize(
        ("following", "message"), [(LIST, "n’avance pas"), ({"a": 1}, "attendu une adresse")]
    )
    def test_a_next_page_that_is_none(self, following: Any, message: str) -> None:
        with pytest.raises(PayloadError, match=message):
            PLATFORM.follow(network(), make_page(listing("a", following=following), LIST))


class TestPaging:
    @pytest.mark.parametrize("following", [None, "", False])
    def test_the_end(self, following: Any) -> None:
        assert not PLATFORM.follow(network(), make_page(listing("a", following=following), LIST))

    def test_a_page_without_entities_is_the_last(self) -> None:
        page = make_page(listing(following="/api/organization/get/indexMin/4"), LIST)
        assert run(network(), page).read == 0
        assert not PLATFORM.follow(network(), page)

    def test_a_file_leads_nowhere(self) -> None:
        source = network(url="captures/ateliers.json")
        assert not PLATFORM.follow(source, make_page(FIXTURES / "communecter.json", source.url))

    def run(self, source: Source, folder: Path, client: Client) -> Harvest:
        registry = Registry(folder / "sources.yaml", (source,))
        now = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
        return harvest(source, PLATFORM, registry, Store(folder / "captures"), client, now=now)

    def test_all_pages_then_unchanged(self, site: Site, client: Client, tmp_path: Path) -> None:
        def tagged(body: str, tag: str) -> Answer:
            def write(handler: Any) -> None:
                is_known = handler.headers.get("If-None-Match") == tag
                unchanged = answer(b"", 304, length=False, ETag=tag)
                (unchanged if is_known else answer(body.encode(), ETag=tag))(handler)

            return write

        root = "/api/organization/get/key/ateliers/limit/2"
        site.pages = {
            root: tagged(listing("a", "b", following=site.url(f"{root}/indexMin/2")), '"1"'),
            f"{root}/indexMin/2": tagged(listing("c", following=f"{root}/indexMin/4"), '"2"'),
            f"{root}/indexMin/4": tagged(listing(), '"3"'),
        }
        source = network(url=site.url(root), limites={"pause_s": 0})
        for status in ("nouvelle", "inchangee"):
            found = self.run(source, tmp_path, client)
            assert found.status == status
            assert sorted(fiches(extract(source, PLATFORM, found.bodies))) == ["a", "b", "c"]
        assert site.paths == [root, f"{root}/indexMin/2", f"{root}/indexMin/4"] * 2

    def test_a_next_page_elsewhere_is_refused(
        self, site: Site, client: Client, tmp_path: Path
    ) -> None:
        site.pages["/api"] = answer(listing("a", following="http://ailleurs.test/api").encode())
        source = network(url=site.url("/api"), limites={"pause_s": 0})
        with pytest.raises(CaptureError, match="ailleurs") as caught:
            self.run(source, tmp_path, client)
        assert caught.value.kind is not FailureKind.CONTENT
