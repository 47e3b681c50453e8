import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lowtech_data.capture import CaptureError, Client, Harvest, Store, harvest
from lowtech_data.extract import PLATFORMS, extract
from lowtech_data.extract.base import PayloadError
from lowtech_data.registry import Registry, Source
from tests.capture.conftest import Site, answer

from .support import FIXTURES, everything, fiches, make_page, make_source, rejected, run

PLATFORM = PLATFORMS["spaceapi"]
COLLECTED = json.loads((FIXTURES / "spaceapi.json").read_text())
LAB, WORKSHOP = (entry["data"] for entry in COLLECTED[:2])
DIRECTORY = {
    "Labo d’Essai": "https://labo-essai.example/spaceapi.json",
    "Werkstatt": "https://werkstatt.example/status.json",
    "Fautif": "demander par courriel",
}


def space(**changes: Any) -> Source:
    fields: dict[str, Any] = {
        "url": "https://directory.spaceapi.io/",
        "defauts": {"type": "hackerspace"},
    }
    return make_source("spaceapi", **fields | changes)


def page(document: Any) -> Any:
    return make_page(json.dumps(document), "https://directory.spaceapi.io/")


def followed(**options: Any) -> list[str]:
    source = space(options=options)
    return [request.url for request in PLATFORM.follow(source, page(DIRECTORY))]


class TestSpaces:
    def test_what_a_collector_has_gathered(self) -> None:
        extraction = run(space(), page(COLLECTED))
        lab = fiches(extraction)["Labo d’Essai"]
        expected = {
            "nom": "Labo d’Essai",
            "adresse": "3 rue Basse, 29000 Quimper, France",
            "pays": "FR",
            "latitude": "47.99",
            "longitude": "-4.1",
            "site_web": "https://labo-essai.example/",
            "courriel": "contact@labo-essai.example",
            "telephone": None,
            "type": "hackerspace",
            "pointeur": "/0/data",
        }
        assert {name: lab[name] for name in expected} == expected
        assert fiches(extraction)["Werkstatt"]["courriel"] == "liste@werkstatt.example"

    def test_a_space_that_gave_no_file_is_told_and_never_made_up(self) -> None:
        extraction = run(space(), page(COLLECTED))
        assert sorted(fiches(extraction)) == ["Labo d’Essai", "Werkstatt"]
        assert rejected(extraction) == [("/2", "*", "espace_sans_reponse")]
        assert extraction.rejects["valeur_masquee"].to_pylist() == ["Hackerspace Muet : timeout"]

    def test_people_are_set_aside_before_anything_is_read(self) -> None:
        source = space(
            champs={
                "telephone": "contact.phone",
                "description": {"premier_de": ["state.trigger_person", "events.name"]},
                "attribution": ["contact.keymasters.name", "sensors.people_now_present.names"],
                "noms_alternatifs": "contact.issue_mail",
            }
        )
        kept = everything(run(source, page([COLLECTED[0]])))
        for secret in ("Camille", "camx", "39 98", "Y2Ft"):
            assert secret not in kept

    def test_a_file_of_a_space_and_a_column_that_nobody_knows(self) -> None:
        extraction = run(space(), page(LAB | {"nouveau": 1}))
        assert list(fiches(extraction)) == ["Labo d’Essai"]
        assert rejected(extraction) == [("*", "nouveau", "colonne_non_declaree")]

    def test_a_space_without_a_place(self) -> None:
        lab = fiches(run(space(), page({**LAB, "location": None})))["Labo d’Essai"]
        assert (lab["adresse"], lab["latitude"]) == (None, None)

    def test_only_some_names(self) -> None:
        source = space(options={"noms": ["labo d'essai"]})
        assert list(fiches(run(source, page(COLLECTED)))) == ["Labo d’Essai"]

    def test_only_an_area(self) -> None:
        source = space(selection={"bbox": [-5.5, 41, 10, 47.9]})
        extraction = run(source, page(COLLECTED))
        assert (extraction.fiches.num_rows, extraction.left_out) == (0, 2)
        source = space(selection={"bbox": [-5.5, 41, 5, 51]})
        assert list(fiches(run(source, page(COLLECTED)))) == ["Labo d’Essai"]

    def test_a_name_that_is_gone_is_told(self) -> None:
        with pytest.raises(PayloadError, match=r"espaces absents : Parti ; corriger"):
            run(space(options={"noms": ["Parti"]}), page(COLLECTED))
        with pytest.raises(PayloadError, match="espaces absents : Parti"):
            followed(noms=["Parti"])


class TestDirectory:
    def test_it_leads_to_the_file_of_each_space_and_holds_no_record(self) -> None:
        assert followed(noms=["Werkstatt", "Labo d'essai"]) == [
            "https://werkstatt.example/status.json",
            "https://labo-essai.example/spaceapi.json",
        ]
        assert run(space(), page(DIRECTORY)).read == 0

    def test_what_is_not_an_address_is_told(self) -> None:
        with pytest.raises(PayloadError, match="'Fautif' : attendu l’adresse"):
            followed()

    @pytest.mark.parametrize(
        "body", ["", "{}", '{"error": "Forbidden"}', '{"space": 3}', '"x"', "<html>connexion"]
    )
    def test_anything_else_is_refused(self, body: str) -> None:
        with pytest.raises(PayloadError):
            run(space(), make_page(body))
        with pytest.raises(PayloadError):
            PLATFORM.follow(space(), make_page(body))


class TestHarvest:
    def run(self, site: Site, client: Client, folder: Path, **changes: Any) -> Harvest:
        self.source = space(url=site.url("/"), limites={"essais": 1, "pause_s": 0}, **changes)
        registry = Registry(folder / "sources.yaml", (self.source,))
        now = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
        store = Store(folder / "captures")
        return harvest(self.source, PLATFORM, registry, store, client, now=now)

    def serve(self, site: Site) -> None:
        directory = {
            "Labo d’Essai": site.url("/labo.json", host="labo.test"),
            "Werkstatt": site.url("/werkstatt.json", host="werkstatt.test"),
        }
        site.pages["/"] = answer(json.dumps(directory).encode())
        site.pages["/labo.json"] = answer(json.dumps(LAB).encode())

    def test_each_space_is_asked_at_its_own_host(
        self, site: Site, client: Client, tmp_path: Path
    ) -> None:
        self.serve(site)
        named: dict[str, Any] = {"options": {"noms": ["Labo d’Essai"]}, "hotes": ["labo.test"]}
        found = self.run(site, client, tmp_path, **named)
        assert site.paths == ["/", "/labo.json"]
        assert list(fiches(extract(self.source, PLATFORM, found.bodies))) == ["Labo d’Essai"]

    def test_a_space_that_is_gone_leaves_the_others(
        self, site: Site, client: Client, tmp_path: Path
    ) -> None:
        self.serve(site)
        found = self.run(site, client, tmp_path, hotes=["labo.test", "werkstatt.test"])
        assert list(fiches(extract(self.source, PLATFORM, found.bodies))) == ["Labo d’Essai"]

    def test_a_space_that_does_not_answer_fails_the_harvest(
        self, site: Site, client: Client, tmp_path: Path
    ) -> None:
        self.serve(site)
        site.pages["/werkstatt.json"] = answer(status=500)
        with pytest.raises(CaptureError, match="500"):
            self.run(site, client, tmp_path, hotes=["labo.test", "werkstatt.test"])

    def test_a_host_that_nobody_declared_is_not_asked(
        self, site: Site, client: Client, tmp_path: Path
    ) -> None:
        self.serve(site)
        with pytest.raises(CaptureError, match=r"labo\.test"):
            self.run(site, client, tmp_path)
        assert site.paths == ["/"]
