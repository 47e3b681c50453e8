import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lowtech_data.capture import CaptureError, Client, FailureKind, Harvest, Store, harvest
from lowtech_data.extract import PLATFORMS, extract
from lowtech_data.extract.base import PayloadError
from lowtech_data.registry import Registry, Source
from tests.capture.conftest import Site, answer, moved

from .support import FIXTURES, fiches, make_page, make_source, rejected, run

PLATFORM = PLATFORMS["data_gouv"]
HOST = "https://www.exemple.fr"
DATASET = f"{HOST}/api/1/datasets/lieux-de-reemploi-de-la-vallee/"
FILE = "https://static.exemple.fr/resources/lieux/20260220-040000/lieux.csv"
ID = "1d7ab6f0-000{}-4c55-9a55-3a7be1f2c00{}"
FIELDS = {"cle_source": "id", "nom": "nom"}


def a_source(ressource: dict[str, Any] | None = None, **changes: Any) -> Source:
    options = {"ressource": ressource or {"format": "csv", "titre": "février"}}
    options |= changes.pop("options", {})
    return make_source(
        "data_gouv", **{"url": DATASET, "champs": FIELDS, "options": options, **changes}
    )


def asked(ressource: dict[str, Any], **options: Any) -> str:
    """The end of the identifier of the resource that is asked for."""
    page = make_page(FIXTURES / "data_gouv.json", DATASET)
    (request,) = PLATFORM.follow(a_source(ressource, options=options), page)
    stable = f"{HOST}/api/1/datasets/r/"
    assert request.url.startswith(stable)
    return request.url.removeprefix(stable)


class TestResource:
    @pytest.mark.parametrize(
        ("ressource", "number"),
        [
            ({"format": "csv", "titre": "février"}, 3),
            ({"format": "CSV", "titre": "Janvier 2026"}, 2),
            ({"format": "geojson"}, 4),
            ({"format": "csv", "plus_recente": True}, 3),
        ],
    )
    def test_is_chosen_by_what_it_is(self, ressource: dict[str, Any], number: int) -> None:
        assert asked(ressource) == ID.format(number, number)

    def test_is_chosen_by_its_id(self) -> None:
        assert asked({"id": ID.format(2, 2)}, lecture="csv") == ID.format(2, 2)

    def test_by_a_part_of_its_title_alone(self) -> None:
        assert asked({"titre": "CARTE"}, lecture="geojson") == ID.format(4, 4)

    def test_several_are_no_guess(self) -> None:
        reason = "plusieurs ressources conviennent : « Lieux de réemploi, janvier 2026 »"
        with pytest.raises(PayloadError, match=reason):
            asked({"format": "csv"})

    @pytest.mark.parametrize("ressource", [{"format": "ods"}, {"format": "csv", "titre": "mars"}])
    def test_none_is_told_with_those_that_are_there(self, ressource: dict[str, Any]) -> None:
        with pytest.raises(PayloadError, match=r"aucune ressource.*carte » \(geojson, 1d7ab6f0"):
            asked(ressource)

    def test_a_resource_withdrawn_is_told(self) -> None:
        with pytest.raises(PayloadError, match="aucune ressource ne convient"):
            asked({"id": "perdue"}, lecture="csv")

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ('{"message": "jeu absent"}', "trouvé : message"),
            ("[]", "trouvé : list"),
            ("{}", "trouvé : rien"),
            ('{"resources": [1]}', "trouvé : resources"),
            ('{"resources": []}', "le jeu de données a : aucune"),
            ("<html><title>Maintenance</title></html>", "page de maintenance"),
        ],
    )
    def test_something_else_than_a_dataset(self, body: str, reason: str) -> None:
        with pytest.raises(PayloadError, match=reason):
            PLATFORM.follow(a_source(), make_page(body, DATASET))


class TestRequests:
    @pytest.mark.parametrize(
        "url",
        [
            DATASET,
            DATASET.rstrip("/"),
            f"{HOST}/datasets/lieux-de-reemploi-de-la-vallee/",
            f"{HOST}/fr/datasets/lieux-de-reemploi-de-la-vallee/#/resources",
        ],
    )
    def test_the_page_of_a_dataset_leads_to_its_description(self, url: str) -> None:
        assert [request.url for request in PLATFORM.first(a_source(url=url))] == [DATASET]

    @pytest.mark.parametrize("url", [f"{HOST}/lieux.csv", f"{HOST}/fr/datasets/r/{ID}"])
    def test_another_address_is_refused(self, url: str) -> None:
        with pytest.raises(PayloadError, match="attendu l’adresse d’un jeu de données"):
            PLATFORM.first(a_source(url=url))


class TestReading:
    def test_a_csv_with_its_options(self) -> None:
        source = a_source(options={"options_lecture": {"separateur": ";"}})
        extraction = run(
            source,
            make_page(FIXTURES / "data_gouv.json", DATASET),
            make_page("id;nom\n1;Ressourcerie\n", FILE),
        )
        fiche = fiches(extraction)["1"]
        assert (fiche["nom"], fiche["pointeur"]) == ("Ressourcerie", "ligne 2")
        assert not rejected(extraction)

    def test_a_geojson_has_its_positions(self) -> None:
        feature = {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [1.5, 47]},
            "properties": {"id": "1", "nom": "A"},
        }
        body = json.dumps({"type": "FeatureCollection", "features": [feature]})
        extraction = run(a_source({"format": "geojson"}), make_page(body, FILE))
        assert fiches(extraction)["1"]["longitude"] == "1.5"
        assert not rejected(extraction)

    def test_a_json(self) -> None:
        source = a_source({"format": "json"}, options={"options_lecture": {"chemin": "data"}})
        extraction = run(source, make_page('{"data": {"7": {"id": 1, "nom": "A"}}}', FILE))
        assert sorted(fiches(extraction)) == ["1"]
        assert not rejected(extraction)

    def test_a_workbook(self) -> None:
        champs = {"cle_source": "Référence", "nom": "Nom du lieu"}
        source = a_source({"format": "xlsx"}, champs=champs)
        extraction = run(source, make_page(FIXTURES / "tableur.xlsx", FILE))
        assert sorted(fiches(extraction)) == ["101", "102"]

    def test_another_thing_than_the_format_says_so(self) -> None:
        with pytest.raises(PayloadError, match="trouvé une page HTML « Fichier retiré »"):
            run(a_source(), make_page("<html><title>Fichier retiré</title></html>", FILE))


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ({}, "ressource"),
            ({"ressource": {}}, "donner id"),
            ({"ressource": {"id": "a", "format": "csv"}}, "donner id"),
            ({"ressource": {"id": "a"}}, "dire ce qui lit le fichier"),
            ({"ressource": {"format": "pdf"}}, "dire ce qui lit le fichier"),
            ({"ressource": {"format": "csv"}, "lecture": "okw"}, "lecture"),
            ({"ressource": {"format": "csv"}, "options_lecture": {"feuille": 1}}, "feuille"),
        ],
    )
    def test_are_strict(self, options: dict[str, Any], reason: str) -> None:
        with pytest.raises(ValidationError, match=reason):
            PLATFORM.options.model_validate(options)


class TestHarvest:
    """The whole way, over HTTP: the dataset, its stable address, and where this one leads."""

    API = "/api/1/datasets/lieux/"
    STABLE = f"/api/1/datasets/r/{ID.format(3, 3)}"
    PLACE = "/resources/lieux/20260220/lieux.csv"

    def source(self, site: Site, **changes: Any) -> Source:
        url, limites = site.url("/fr/datasets/lieux/"), {"pause_s": 0}
        return a_source(url=url, hotes=["static.test"], limites=limites, **changes)

    def serve(self, site: Site) -> None:
        dataset = (FIXTURES / "data_gouv.json").read_bytes()
        site.pages |= {
            self.API: answer(dataset, Content_Type="application/json", ETag='"1"'),
            self.STABLE: moved(site.url(self.PLACE, host="static.test")),
            self.PLACE: answer("id,nom\n1,Évry\n".encode(), Content_Type="text/csv", ETag='"2"'),
        }

    def run(self, source: Source, folder: Path, client: Client, day: int = 2) -> Harvest:
        registry = Registry(folder / "sources.yaml", (source,))
        now = datetime(2026, 3, day, 10, 30, tzinfo=UTC)
        return harvest(source, PLATFORM, registry, Store(folder / "captures"), client, now=now)

    def test_leads_to_the_file(self, site: Site, client: Client, tmp_path: Path) -> None:
        self.serve(site)
        source = self.source(site)
        found = self.run(source, tmp_path, client)
        assert site.paths == [self.API, self.STABLE, self.PLACE]
        assert fiches(extract(source, PLATFORM, found.bodies))["1"]["nom"] == "Évry"

    def test_nothing_changed(self, site: Site, client: Client, tmp_path: Path) -> None:
        self.serve(site)
        source = self.source(site)
        self.run(source, tmp_path, client)
        site.pages[self.API] = site.pages[self.PLACE] = answer(status=304)
        again = self.run(source, tmp_path, client, day=9)
        assert again.status == "inchangee"
        assert fiches(extract(source, PLATFORM, again.bodies))["1"]["nom"] == "Évry"

    def test_a_file_that_moved_to_a_host_not_declared_is_refused(
        self, site: Site, client: Client, tmp_path: Path
    ) -> None:
        self.serve(site)
        source = self.source(site).model_copy(update={"hotes": []})
        with pytest.raises(CaptureError, match=r"static\.test"):
            self.run(source, tmp_path, client)

    def test_a_dataset_without_the_file_fails_the_harvest(
        self, site: Site, client: Client, tmp_path: Path
    ) -> None:
        self.serve(site)
        source = self.source(site, ressource={"format": "ods"})
        with pytest.raises(CaptureError, match="aucune ressource ne convient") as caught:
            self.run(source, tmp_path, client)
        assert caught.value.kind is FailureKind.CONTENT
