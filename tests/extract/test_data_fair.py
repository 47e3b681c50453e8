import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lowtech_data.capture import CaptureError, Client, FailureKind, Harvest, Store, harvest
from lowtech_data.extract import PLATFORMS, Extraction, extract
from lowtech_data.extract.base import Page, PayloadError
from lowtech_data.registry import Registry, Source
from tests.capture.conftest import FakeTime, Site, answer

from .support import FIXTURES, fiches, make_page, make_source, rejected, run

PLATFORM = PLATFORMS["data_fair"]
LINES = "https://data.ademe.fr/data-fair/api/v1/datasets/longue-vie-aux-objets/lines"

FIELDS: dict[str, Any] = {
    "cle_source": "identifiant",
    "nom": {"premier_de": ["nom_commercial", "nom"]},
    "commune": "ville",
    "latitude": {"premier_de": ["latitude", "_latitude"]},
    "longitude": {"premier_de": ["longitude", "_longitude"]},
    "siret": "siret",
    "attribution": "paternite",
    "date_maj": "date_de_derniere_modification",
    "categories": ["type_de_services", "_presences", "propositions_de_services.action"],
}
OPTIONS: dict[str, Any] = {
    "colonnes_multiples": ["type_de_services", "paternite"],
    "colonnes_presence": ["reparer", "donner", "acheter"],
    "colonnes_json": ["propositions_de_services"],
}
CODES: dict[str, Any] = {
    "recyclerie": {"type": "ressourcerie", "themes": ["reemploi"]},
    "atelier_pour_reparer_soi_meme": {"type": "repair_cafe"},
    "structure_de_collecte": {"hors_champ": True},
    "reparer": {"themes": ["reparation"]},
    "donner": {},
    "acheter": {},
}
LEFT = [
    "nom",
    "siren",
    "type_dacteur",
    "site_web",
    "telephone",
    "adresse",
    "complement_dadresse",
    "code_postal",
    "code_commune",
    "horaires_*",
    "propositions_de_services",
]


def qfdmo(**changes: Any) -> Source:
    given = {"champs": FIELDS, "options": OPTIONS, "codes": CODES, "ignorer": LEFT, **changes}
    return make_source("data_fair", url=LINES, **given)


def read(document: Any, url: str = LINES, **options: Any) -> Extraction:
    champs = {"cle_source": "id", "nom": "nom"}
    source = make_source("data_fair", url=LINES, champs=champs, options=options)
    return run(source, make_page(json.dumps(document), url))


def pages() -> list[Page]:
    return [
        make_page(FIXTURES / "data_fair_1.json", f"{LINES}?size=2"),
        make_page(FIXTURES / "data_fair_2.json", f"{LINES}?size=2&after=2"),
    ]


class TestLines:
    def test_a_listing_in_two_pages(self) -> None:
        extraction = run(qfdmo(), *pages())
        found = fiches(extraction)
        # A place that only collects waste is outside the subject.
        assert (extraction.read, extraction.left_out) == (3, 1)
        shop, workshop = found["aDcrgdtbqxAZFM3yYCRTue"], found["bTqpc3vwyRHLk7XnFo2dZs"]
        expected = {
            "nom": "Cap Ressourcerie",
            "commune": "Crach",
            "latitude": "47.6061646",
            "longitude": "-2.9957401",
            "siret": "83284597800028",
            "type": "ressourcerie",
            "date_maj": "2025-06-24",
            "pointeur": "/results/0",
        }
        assert {name: shop[name] for name in expected} == expected
        assert workshop["nom"] == "Repair Café Elbeuf-sur-Seine"
        assert workshop["type"] == "repair_cafe"

    def test_each_record_carries_who_it_comes_from(self) -> None:
        shop = fiches(run(qfdmo(), *pages()))["aDcrgdtbqxAZFM3yYCRTue"]
        assert shop["attribution"] == (
            "Longue Vie Aux Objets; ADEME; ADEME - SINOE; ECOMAISON; ECOSYSTEM"
        )

    def test_the_point_stands_in_for_coordinates(self) -> None:
        workshop = fiches(run(qfdmo(), *pages()))["bTqpc3vwyRHLk7XnFo2dZs"]
        assert (workshop["latitude"], workshop["longitude"]) == ("49.290368", "1.001683")

    @pytest.mark.parametrize("point", ["49.29", "49,29,1,00", [49.29, 1.0], "1;2"])
    def test_a_point_of_another_shape_is_told(self, point: Any) -> None:
        extraction = read({"results": [{"id": "1", "nom": "A", "_geopoint": point}]})
        assert rejected(extraction) == [("1", "_geopoint", "geometrie_illisible")]
        assert fiches(extraction)["1"]["latitude"] is None

    def test_a_filled_column_says_something_by_its_name(self) -> None:
        workshop = fiches(run(qfdmo(), *pages()))["bTqpc3vwyRHLk7XnFo2dZs"]
        assert workshop["themes"] == ["reparation"]

    def test_json_inside_a_text_gives_codes(self) -> None:
        document = {
            "results": [{"id": "1", "nom": "A", "services": '[{"action":"reparer","objets":[]}]'}]
        }
        source = make_source(
            "data_fair",
            champs={
                "cle_source": "id",
                "nom": "nom",
                "categories": ["services.action", "services.objets"],
            },
            options={"colonnes_json": ["services"]},
            codes=CODES,
        )
        extraction = run(source, make_page(json.dumps(document)))
        assert fiches(extraction)["1"]["themes"] == ["reparation"]
        assert not rejected(extraction)

    def test_broken_json_inside_a_text_is_told_and_loses_nothing_else(self) -> None:
        extraction = run(qfdmo(), *pages())
        assert rejected(extraction) == [
            ("bTqpc3vwyRHLk7XnFo2dZs", "propositions_de_services", "json_illisible")
        ]

    def test_technical_columns_are_not_data(self) -> None:
        technical = {"_id": "x", "_i": 1, "_rand": 2, "_score": 1.5, "_geopoint": "1,2"}
        assert not rejected(read({"results": [{"id": "1", "nom": "A", **technical}]}))

    def test_the_server_s_key_when_the_dataset_has_none(self) -> None:
        source = make_source("data_fair", champs={"nom": "nom"})
        lines = [{"_id": "a", "nom": "A"}, {"_id": "b", "nom": "B"}, {"_id": "a", "nom": "C"}]
        extraction = run(source, make_page(json.dumps({"results": lines})))
        assert sorted(fiches(extraction)) == ["a", "b"]
        assert rejected(extraction) == [("a", "cle_source", "cle_reemployee")]

    def test_a_line_that_is_no_object_is_one_reject(self) -> None:
        extraction = read({"results": [{"id": "1", "nom": "A"}, "x"]})
        assert rejected(extraction) == [("/results/1", "*", "enregistrement_inattendu")]


class TestOtherAnswers:
    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ('{"status": 400, "message": "colonne inconnue"}', r"status, message \(colonne"),
            ('{"error": "x", "results": null}', r"trouvé : error, results \(x\)"),
            ('"limite dépassée"', "trouvé : limite dépassée"),
            ("Vous avez dépassé la limite", "commence par 'Vous avez dépassé la limite'"),
            ("[]", "trouvé : list"),
            ("{}", "trouvé : objet vide"),
            ("<html><title>Maintenance</title></html>", "page de maintenance"),
        ],
    )
    def test_an_answer_without_lines_says_what_it_is(self, body: str, reason: str) -> None:
        page = make_page(body, LINES)
        with pytest.raises(PayloadError, match=reason):
            run(qfdmo(), page)
        with pytest.raises(PayloadError, match=reason):
            PLATFORM.follow(qfdmo(), page)


class TestCompleteness:
    def test_fewer_lines_than_announced_and_no_next_page(self) -> None:
        with pytest.raises(PayloadError, match="380 lignes annoncées, 1 données"):
            read({"total": 380, "results": [{"id": "1", "nom": "A"}]})

    def test_a_full_page_without_a_next_one(self) -> None:
        with pytest.raises(PayloadError, match="page pleine"):
            read({"results": [{"id": "1", "nom": "A"}]}, f"{LINES}?size=1&after=4")

    def test_an_empty_last_page_is_an_end(self) -> None:
        assert read({"results": []}, f"{LINES}?size=1&after=4").read == 0

    def test_an_interrupted_paging_is_refused(self) -> None:
        with pytest.raises(PayloadError, match="3 fiches annoncées, 2 reçues"):
            run(qfdmo(), pages()[0])

    def test_a_line_deleted_meanwhile_is_told(self) -> None:
        lines = [{"id": str(n), "nom": "A"} for n in range(100)]
        first = {"total": 101, "next": f"{LINES}?after=100", "results": lines}
        assert rejected(read(first)) == [("*", "*", "total_non_atteint")]

    def test_the_total_of_a_line_is_not_that_of_the_listing(self) -> None:
        first = {"results": [{"id": "1", "nom": "A", "total": 9}], "total": 1}
        assert rejected(read(first)) == [("*", "total", "colonne_non_declaree")]


class TestRequests:
    def query(self, source: Source) -> dict[str, list[str]]:
        (request,) = PLATFORM.first(source)
        assert request.url.startswith(f"{LINES}?")
        return parse_qs(urlsplit(request.url).query)

    def test_only_the_columns_that_are_read_are_asked_for(self) -> None:
        query = self.query(qfdmo(ecarter=["siret"]))
        assert query["size"] == ["10000"]
        assert query["select"][0].split(",") == [
            "_geopoint",
            "acheter",
            "date_de_derniere_modification",
            "donner",
            "identifiant",
            "latitude",
            "longitude",
            "nom",
            "nom_commercial",
            "paternite",
            "propositions_de_services",
            "reparer",
            "type_de_services",
            "ville",
        ]

    def test_a_dataset_without_positions(self) -> None:
        source = make_source(
            "data_fair", url=LINES, champs={"nom": "nom"}, options={"geopoint": False}
        )
        assert self.query(source)["select"] == ["_id,nom"]

    def test_every_column_on_demand(self) -> None:
        assert "select" not in self.query(qfdmo(options={"toutes_colonnes": True}))
        assert "select" not in self.query(qfdmo(champs={}, options={}))

    def test_filters(self) -> None:
        filters = {"type_dacteur_in": ["ess", "a,b"], "ANNEE_eq": 2025, "bbox": "-5,41,10,51"}
        query = self.query(qfdmo(options={"filtres": filters, "lot": 100}))
        assert query["type_dacteur_in"] == ['ess,"a,b"']
        assert (query["ANNEE_eq"], query["bbox"]) == (["2025"], ["-5,41,10,51"])
        assert query["size"] == ["100"]

    @pytest.mark.parametrize("name", ["q", "type_dacteur", "_eq", "a&b_eq", "size"])
    def test_a_filter_that_the_server_does_not_have_is_refused(self, name: str) -> None:
        with pytest.raises(ValidationError, match="filtre inconnu"):
            PLATFORM.options.model_validate({"filtres": {name: "x"}})

    @given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1)))
    def test_any_value_can_be_asked_for(self, values: list[str]) -> None:
        query = self.query(qfdmo(options={"filtres": {"a_in": values}}))
        assert len(query.get("a_in", [])) == bool(values)

    def test_the_next_address_is_followed_as_it_is(self) -> None:
        given = f"{LINES}?select=a%2Cb&after=%22x%22%2C12"
        page = make_page(json.dumps({"next": given, "results": [{}]}), LINES)
        assert [request.url for request in PLATFORM.follow(qfdmo(), page)] == [given]

    @pytest.mark.parametrize("end", [{}, {"next": None}, {"next": ""}])
    def test_the_end(self, end: dict[str, Any]) -> None:
        assert not PLATFORM.follow(qfdmo(), make_page(json.dumps({"results": [], **end}), LINES))

    def test_a_next_page_that_does_not_move_on_is_refused(self) -> None:
        page = make_page(json.dumps({"results": [{}], "next": LINES}), LINES)
        with pytest.raises(PayloadError, match="n’avance pas"):
            PLATFORM.follow(qfdmo(), page)


class TestHarvest:
    """The whole way, over HTTP, with what a busy server does."""

    PATH = "/data-fair/api/v1/datasets/acteurs/lines"
    BY_ID = "/data-fair/api/v1/datasets/wvw1zecq4f/lines"

    def source(self, site: Site) -> Source:
        champs = {"cle_source": "identifiant", "nom": "nom"}
        options = {"lot": 2, "geopoint": False}
        limites = {"essais": 2, "pause_s": 0}
        url = site.url(self.PATH)
        return make_source("data_fair", url=url, champs=champs, options=options, limites=limites)

    def serve(self, site: Site, *sizes: int) -> None:
        """Pages of these sizes, each leading to the next by the id of the dataset."""
        start = 0
        for number, size in enumerate(sizes):
            document: dict[str, Any] = {"total": sum(sizes)} if not number else {}
            if number + 1 < len(sizes):
                following = f"{self.BY_ID}?size=2&select=identifiant%2Cnom&after={start + size}"
                document["next"] = site.url(following)
            document["results"] = [
                {"identifiant": f"a{n}", "nom": f"Atelier {n}"} for n in range(start, start + size)
            ]
            path = (
                f"{self.BY_ID}?size=2&select=identifiant%2Cnom&after={start}"
                if number
                else f"{self.PATH}?size=2&select=identifiant%2Cnom"
            )
            body = json.dumps(document).encode()
            site.pages[path] = answer(body, Content_Type="application/json; charset=utf-8")
            start += size

    def run(self, source: Source, folder: Path, client: Client) -> Harvest:
        registry = Registry(folder / "sources.yaml", (source,))
        now = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
        return harvest(source, PLATFORM, registry, Store(folder / "captures"), client, now=now)

    @pytest.mark.parametrize("sizes", [(2, 2, 1), (2, 2, 0), (1,)])
    def test_all_pages(
        self, site: Site, client: Client, tmp_path: Path, sizes: Sequence[int]
    ) -> None:
        self.serve(site, *sizes)
        source = self.source(site)
        found = self.run(source, tmp_path, client)
        extraction = extract(source, PLATFORM, found.bodies)
        assert len(found.pages) == len(sizes)
        assert sorted(fiches(extraction)) == [f"a{n}" for n in range(sum(sizes))]
        assert not rejected(extraction)

    def test_a_server_that_asks_to_slow_down(
        self, site: Site, client: Client, time_: FakeTime, tmp_path: Path
    ) -> None:
        self.serve(site, 2, 1)
        last = f"{self.BY_ID}?size=2&select=identifiant%2Cnom&after=2"
        busy = answer(b"Trop de requetes", 429, Retry_After="7", Content_Type="text/plain")
        then = site.pages[last]
        assert not isinstance(then, list)
        site.pages[last] = [busy, then]
        source = self.source(site)
        extraction = extract(source, PLATFORM, self.run(source, tmp_path, client).bodies)
        assert extraction.fiches.num_rows == 3
        assert 7 in time_.slept

    def test_a_server_that_never_yields_fails_the_harvest(
        self, site: Site, client: Client, tmp_path: Path
    ) -> None:
        self.serve(site, 2, 1)
        last = f"{self.BY_ID}?size=2&select=identifiant%2Cnom&after=2"
        site.pages[last] = answer(b"Trop de requetes", 429, Content_Type="text/plain")
        with pytest.raises(CaptureError, match="429"):
            self.run(self.source(site), tmp_path, client)

    def test_an_error_told_as_a_success_fails_the_harvest(
        self, site: Site, client: Client, tmp_path: Path
    ) -> None:
        first = f"{self.PATH}?size=2&select=identifiant%2Cnom"
        site.pages[first] = answer(b'{"message": "jeu en cours d\'indexation"}')
        with pytest.raises(CaptureError, match="indexation") as caught:
            self.run(self.source(site), tmp_path, client)
        assert caught.value.kind is FailureKind.CONTENT

    def test_a_next_page_elsewhere_is_refused(
        self, site: Site, client: Client, tmp_path: Path
    ) -> None:
        first = f"{self.PATH}?size=2&select=identifiant%2Cnom"
        lines = [{"identifiant": "a"}, {"identifiant": "b"}]
        document = {"total": 4, "next": "http://ailleurs.test/lines?after=2", "results": lines}
        site.pages[first] = answer(json.dumps(document).encode())
        with pytest.raises(CaptureError, match="ailleurs"):
            self.run(self.source(site), tmp_path, client)
