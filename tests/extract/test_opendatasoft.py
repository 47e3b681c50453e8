import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lowtech_data.capture import CaptureError, Client, FailureKind, Harvest, Store, harvest
from lowtech_data.extract import PLATFORMS, Extraction, extract
from lowtech_data.extract.base import Page, PayloadError
from lowtech_data.registry import Registry, Source
from tests.capture.conftest import Site, answer

from .support import FIXTURES, fiches, make_page, make_source, rejected, run

PLATFORM = PLATFORMS["opendatasoft"]
DATASET = "https://data.exemple.fr/api/explore/v2.1/catalog/datasets/ressourceries"
RECORDS = f"{DATASET}/records"
FIELDS: dict[str, Any] = {"cle_source": "id", "nom": "nom"}


def a_source(**changes: Any) -> Source:
    return make_source("opendatasoft", **{"url": RECORDS, "champs": FIELDS, **changes})


def a_page(total: int, *keys: int, url: str = RECORDS) -> Page:
    records = [{"id": key, "nom": f"Atelier {key}"} for key in keys]
    return make_page(json.dumps({"total_count": total, "results": records}), url)


def read(document: Any, **changes: Any) -> Extraction:
    return run(a_source(**changes), make_page(json.dumps(document), RECORDS))


def one(record: dict[str, Any], **options: Any) -> Extraction:
    return read([{"id": 1, "nom": "A", **record}], options=options)


LISTING: dict[str, Any] = {
    "cle_source": "identifiant",
    "nom": "nom_structure",
    "adresse": "adresse",
    "code_postal": "code_postal",
    "commune": "commune",
    "date_maj": "date_maj",
    "categories": "activites",
}
CODES: dict[str, Any] = {
    "Réemploi": {"type": "ressourcerie", "themes": ["reemploi"]},
    "Réparation": {"themes": ["reparation"]},
    "Collecte": {"hors_champ": True},
}


class TestRecords:
    def source(self, **changes: Any) -> Source:
        more = {"champs": LISTING, "codes": CODES, "ignorer": ["nb_salaries"]}
        return a_source(**more, **changes)

    def test_a_listing(self) -> None:
        extraction = run(self.source(), make_page(FIXTURES / "opendatasoft.json", RECORDS))
        assert (extraction.read, extraction.left_out) == (3, 1)
        assert not rejected(extraction)
        found = fiches(extraction)
        expected = {
            "nom": "Ressourcerie du Vieux Moulin",
            "commune": "Combourg",
            "latitude": "48.40862",
            "longitude": "-1.74415",
            "type": "ressourcerie",
            "date_maj": "2025-09-14",
            "pointeur": "/results/0",
        }
        assert {name: found["R-0417"][name] for name in expected} == expected
        assert found["R-0418"]["latitude"] is None

    def test_an_export_says_the_same(self) -> None:
        document = json.loads((FIXTURES / "opendatasoft.json").read_text())
        paged = run(self.source(), make_page(json.dumps(document), RECORDS))
        export = make_page(json.dumps(document["results"]), f"{DATASET}/exports/json")
        whole = run(self.source(options={"export": True}), export)
        drop = ["capture", "pointeur"]
        assert whole.fiches.drop(drop) == paged.fiches.drop(drop)
        assert fiches(whole)["R-0417"]["pointeur"] == "/0"

    def test_a_record_that_is_no_object_is_one_reject(self) -> None:
        extraction = read([{"id": 1, "nom": "A"}, "x"])
        assert rejected(extraction) == [("/1", "*", "enregistrement_inattendu")]


class TestPosition:
    @pytest.mark.parametrize("point", [{"lon": 1.5, "lat": 47}, [47, 1.5]])
    def test_both_ways_of_writing_a_point(self, point: Any) -> None:
        fiche = fiches(one({"geo_point_2d": point}))["1"]
        assert (fiche["latitude"], fiche["longitude"]) == ("47", "1.5")

    @pytest.mark.parametrize("point", ["47, 1.5", [47], {"lat": 47}, {"x": 1, "y": 2}, 47])
    def test_a_point_of_another_shape_is_told(self, point: Any) -> None:
        extraction = one({"geo_point_2d": point})
        assert rejected(extraction) == [("1", "geo_point_2d", "geometrie_illisible")]
        assert fiches(extraction)["1"]["latitude"] is None

    def test_a_point_under_another_name(self) -> None:
        source = a_source(options={"position": "coordonnees"}, ignorer=["coordonnees"])
        record = {"id": 1, "nom": "A", "coordonnees": {"lon": 1.5, "lat": 47.0}}
        extraction = run(source, make_page(json.dumps([record])))
        assert fiches(extraction)["1"]["longitude"] == "1.5"
        assert not rejected(extraction)


class TestOtherAnswers:
    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            (
                '{"error_code": "ODSQLError", "message": "champ inconnu : ville"}',
                r"trouvé : l’erreur ODSQLError \(champ inconnu : ville\)",
            ),
            ('{"nhits": 2, "records": []}', "trouvé : nhits, records"),
            ('{"results": []}', "« total_count » : attendu un nombre, trouvé NoneType"),
            ('{"total_count": "3", "results": []}', "attendu un nombre, trouvé str"),
            ('{"total_count": 3, "results": {}}', "attendu « results »"),
            ("{}", "objet vide"),
            ('"indisponible"', "trouvé : indisponible"),
            ("", "JSON illisible"),
            ("<html><title>Connexion</title><input type=password></html>", "page de connexion"),
        ],
    )
    def test_an_answer_without_records_says_what_it_is(self, body: str, reason: str) -> None:
        page = make_page(body, RECORDS)
        with pytest.raises(PayloadError, match=reason):
            run(a_source(), page)
        with pytest.raises(PayloadError, match=reason):
            PLATFORM.follow(a_source(), page)

    def test_a_listing_too_long_for_this_route_is_refused_at_the_first_page(self) -> None:
        page = a_page(10_001, 1)
        for reading in (lambda: run(a_source(), page), lambda: PLATFORM.follow(a_source(), page)):
            with pytest.raises(PayloadError, match=r"10001 enregistrements.*option export à true"):
                reading()

    def test_an_interrupted_paging_is_refused(self) -> None:
        with pytest.raises(PayloadError, match="250 fiches annoncées, 1 reçues"):
            run(a_source(), a_page(250, 1))

    def test_an_export_that_breaks_half_way_is_refused(self) -> None:
        body = '[{"id": 1, "nom": "A"},\nStreaming interrupted due to the following error: délai'
        with pytest.raises(PayloadError, match=r"export interrompu par le serveur.*délai"):
            run(a_source(), make_page(body))
        with pytest.raises(PayloadError, match="tronqué"):
            run(a_source(), make_page('[{"id": 1, "nom": "A"},'))


class TestRequests:
    def asked(self, **changes: Any) -> tuple[str, dict[str, list[str]]]:
        (request,) = PLATFORM.first(a_source(**changes))
        assert request.accept == "application/json"
        return request.url.partition("?")[0], parse_qs(urlsplit(request.url).query)

    @pytest.mark.parametrize("url", [DATASET, f"{DATASET}/", RECORDS, f"{DATASET}/exports/json"])
    def test_any_address_of_the_dataset_leads_to_the_route_of_the_option(self, url: str) -> None:
        assert self.asked(url=url) == (RECORDS, {"limit": ["100"]})
        assert self.asked(url=url, options={"export": True}) == (f"{DATASET}/exports/json", {})

    def test_filters(self) -> None:
        options = {
            "lot": 20,
            "select": ["id", "nom"],
            "where": 'nom like "atelier" and annee >= 2024',
            "refine": {"region": "Bretagne", "activite": ["Réemploi & don", "a:b"]},
            "order_by": "id",
        }
        url, query = self.asked(url=f"{RECORDS}?lang=fr", options=options)
        assert url == RECORDS
        assert query == {
            "lang": ["fr"],
            "limit": ["20"],
            "select": ["id,nom"],
            "where": ['nom like "atelier" and annee >= 2024'],
            "refine": ["region:Bretagne", "activite:Réemploi & don", "activite:a:b"],
            "order_by": ["id"],
        }

    @pytest.mark.parametrize("options", [{"lot": 101}, {"lot": 0}, {"q": "x"}, {"select": "id"}])
    def test_options_are_strict(self, options: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            PLATFORM.options.model_validate(options)

    def test_the_end_of_the_records_is_the_end(self) -> None:
        assert not PLATFORM.follow(a_source(), a_page(2, 1, 2))
        assert not PLATFORM.follow(a_source(), a_page(0))
        assert not PLATFORM.follow(a_source(), make_page('[{"id": 1}]', f"{DATASET}/exports/json"))

    def test_an_empty_page_before_the_end_is_refused(self) -> None:
        page = a_page(5, url=f"{RECORDS}?limit=2&offset=2")
        with pytest.raises(PayloadError, match="page vide après 2 enregistrements sur 5"):
            PLATFORM.follow(a_source(), page)

    @given(total=st.integers(0, 10_000), lot=st.integers(1, 100), given=st.integers(1, 100))
    def test_paging_meets_every_record_once_and_never_asks_too_far(
        self, total: int, lot: int, given: int
    ) -> None:
        """Whatever a page holds, `given` records or what is left of them."""
        total %= 50 * min(lot, given)
        source, met = a_source(options={"lot": lot}), 0
        (request,) = PLATFORM.first(source)
        for _ in range(60):
            query = parse_qs(urlsplit(request.url).query)
            limit, offset = int(query["limit"][0]), int(query.get("offset", ["0"])[0])
            assert (offset, offset + limit <= 10_000) == (met, True)
            size = min(limit, given, total - offset)
            met += size
            page = make_page(
                json.dumps({"total_count": total, "results": [{}] * size}), request.url
            )
            if not (following := PLATFORM.follow(source, page)):
                break
            (request,) = following
        assert met == total

    def test_the_last_page_that_can_be_asked_for_is_cut_to_the_limit(self) -> None:
        page = a_page(10_000, *range(60), url=f"{RECORDS}?limit=100&offset=9900")
        (request,) = PLATFORM.follow(a_source(), page)
        query = parse_qs(urlsplit(request.url).query)
        assert (query["limit"], query["offset"]) == (["40"], ["9960"])


class TestHarvest:
    """The whole way, over HTTP."""

    PATH = "/api/explore/v2.1/catalog/datasets/ateliers"

    def source(self, site: Site, **options: Any) -> Source:
        options = {"lot": 2, "where": 'ville="Le Mans"', **options}
        return a_source(url=site.url(self.PATH), options=options, limites={"pause_s": 0})

    def serve(self, site: Site, total: int) -> None:
        for offset in range(0, total, 2):
            query = {"where": 'ville="Le Mans"', "limit": 2} | (
                {"offset": offset} if offset else {}
            )
            body = a_page(total, *range(offset, min(offset + 2, total))).body
            site.pages[f"{self.PATH}/records?{urlencode(query)}"] = answer(
                body, Content_Type="application/json; charset=utf-8", ETag=f'"{offset}"'
            )

    def run(self, source: Source, folder: Path, client: Client, day: int = 2) -> Harvest:
        registry = Registry(folder / "sources.yaml", (source,))
        now = datetime(2026, 3, day, 10, 30, tzinfo=UTC)
        return harvest(source, PLATFORM, registry, Store(folder / "captures"), client, now=now)

    def test_all_pages(self, site: Site, client: Client, tmp_path: Path) -> None:
        self.serve(site, 5)
        source = self.source(site)
        found = self.run(source, tmp_path, client)
        extraction = extract(source, PLATFORM, found.bodies)
        assert len(found.pages) == 3
        assert sorted(fiches(extraction)) == ["0", "1", "2", "3", "4"]
        assert not rejected(extraction)

    def test_pages_that_have_not_changed_are_followed_from_what_is_kept(
        self, site: Site, client: Client, tmp_path: Path
    ) -> None:
        self.serve(site, 5)
        source = self.source(site)
        first = self.run(source, tmp_path, client)
        for path in site.pages:
            site.pages[path] = answer(status=304)
        again = self.run(source, tmp_path, client, day=9)
        assert again.status == "inchangee"
        assert [page.sha256 for page in again.pages] == [page.sha256 for page in first.pages]

    def test_an_export_is_one_request(self, site: Site, client: Client, tmp_path: Path) -> None:
        query = urlencode({"where": 'ville="Le Mans"'})
        path = f"{self.PATH}/exports/json?{query}"
        site.pages[path] = answer(b'[{"id": 1, "nom": "A"}]', Content_Type="application/json")
        source = self.source(site, export=True)
        extraction = extract(source, PLATFORM, self.run(source, tmp_path, client).bodies)
        assert sorted(fiches(extraction)) == ["1"]
        assert site.paths == [path]

    def test_a_listing_too_long_fails_the_harvest_with_what_to_do(
        self, site: Site, client: Client, tmp_path: Path
    ) -> None:
        self.serve(site, 2)
        (path,) = site.pages
        site.pages[path] = answer(a_page(12_000, 1, 2).body, Content_Type="application/json")
        with pytest.raises(CaptureError, match="option export") as caught:
            self.run(self.source(site), tmp_path, client)
        assert caught.value.kind is FailureKind.CONTENT
