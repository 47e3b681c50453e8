import json
from typing import Any

import pytest
from pydantic import ValidationError

from lowtech_data.extract import PLATFORMS, Extraction, Page
from lowtech_data.extract.base import PayloadError
from lowtech_data.registry import Source

from .support import FIXTURES, fiches, make_page, make_source, rejected, run

CHAMPS = {"cle_source": "id", "nom": "nom"}
PLATFORM = PLATFORMS["json"]


def read(document: Any, champs: dict[str, Any] = CHAMPS, **options: Any) -> Extraction:
    return run(make_source(champs=champs, options=options), make_page(json.dumps(document)))


def test_a_real_file() -> None:
    champs = {
        "cle_source": "facility.url",
        "nom": "facility.name",
        "adresse": "address.extended",
        "code_postal": "address.zip_code",
        "commune": "region.city_town",
        "latitude": "geocoding.latitude",
    }
    source = make_source(
        champs=champs,
        ignorer=["location", "region", "facility", "geocoding", "address"],
    )
    extraction = run(source, make_page(FIXTURES / "okw.json"))
    ping = fiches(extraction)["https://www.fablabs.io/labs/ping"]
    assert (ping["nom"], ping["commune"], ping["latitude"]) == ("PiNG", "Nantes", "47.218371")
    assert ping["code_postal"] is None
    assert ping["pointeur"] == "/0"
    assert extraction.fiches.num_rows == 3
    assert not rejected(extraction)


@pytest.mark.parametrize(
    ("document", "chemin", "pointer"),
    [
        ([{"id": "1", "nom": "A"}], None, "/0"),
        ({"data": {"liste": [{"id": "1", "nom": "A"}]}}, "data.liste", "/data/liste/0"),
        ({"a/b": [{"id": "1", "nom": "A"}]}, "a/b", "/a~1b/0"),
    ],
)
def test_where_records_are(document: Any, chemin: str | None, pointer: str) -> None:
    fiche = fiches(read(document, chemin=chemin))["1"]
    assert (fiche["nom"], fiche["pointeur"]) == ("A", pointer)


def test_an_object_of_records_gives_its_keys() -> None:
    document = {"entities": {"5f/a": {"nom": "A"}, "5fb": {"nom": "B"}}}
    champs = {"cle_source": "_cle", "nom": "nom"}
    extraction = read(document, champs, chemin="entities")
    assert sorted(fiches(extraction)) == ["5f/a", "5fb"]
    assert fiches(extraction)["5f/a"]["pointeur"] == "/entities/5f~1a"
    assert not rejected(extraction)


def test_no_record_is_no_error() -> None:
    assert read([]).read == 0
    assert read({"results": []}, chemin="results").read == 0


def test_a_record_that_is_no_object_is_one_reject() -> None:
    extraction = read([{"id": "1", "nom": "A"}, "x"])
    assert rejected(extraction) == [("/1", "*", "enregistrement_inattendu")]


def test_a_missing_path_says_what_is_there() -> None:
    with pytest.raises(PayloadError, match="sous « data » ; trouvé : error, code"):
        read({"error": "x", "code": 3}, chemin="data")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("47.2, -1.5", ("47.2", "-1.5")),
        ("", (None, None)),
        (None, (None, None)),
        ("47,2,-1,5", (None, None)),
        ("47.2", (None, None)),
    ],
)
def test_a_position_in_one_text(text: str | None, expected: tuple[Any, Any]) -> None:
    champs = {**CHAMPS, "latitude": "latitude", "longitude": "longitude"}
    row = {"id": "1", "nom": "A", "gps": text}
    fiche = fiches(read([row], champs, latitude_longitude="gps"))["1"]
    assert (fiche["latitude"], fiche["longitude"]) == expected


class TestPaging:
    def follow(self, source: Source, url: str, document: Any) -> list[str]:
        page: Page = make_page(json.dumps(document), url=url)
        return [request.url for request in PLATFORM.follow(source, page)]

    def test_one_page_by_default(self) -> None:
        source = make_source()
        assert [r.url for r in PLATFORM.first(source)] == ["https://example.org/liste"]
        assert not self.follow(source, source.url, [{"id": "1"}])

    def test_next_address_of_the_payload(self) -> None:
        source = make_source(options={"chemin": "r", "suivant": "meta.next"})
        url = "https://example.org/liste?a=1"
        assert self.follow(source, url, {"r": [], "meta": {"next": "?a=2"}}) == [
            "https://example.org/liste?a=2"
        ]
        for end in ({"r": []}, {"r": [], "meta": {"next": None}}, {"r": [], "meta": {"next": url}}):
            assert not self.follow(source, url, end)

    def test_offset_until_an_empty_page(self) -> None:
        source = make_source(
            url="https://example.org/map?pays=fr", options={"decalage": {"nombre": 2}}
        )
        (first,) = PLATFORM.first(source)
        assert first.url == "https://example.org/map?pays=fr&offset=0&limit=2"
        (second,) = self.follow(source, first.url, [{"id": "1"}, {"id": "2"}])
        assert second == "https://example.org/map?pays=fr&offset=2&limit=2"
        # A server that caps pages lower than asked is still read to the end.
        (third,) = self.follow(source, second, [{"id": "3"}])
        assert third == "https://example.org/map?pays=fr&offset=3&limit=2"
        assert not self.follow(source, third, [])

    def test_a_server_that_gives_everything_is_asked_once(self) -> None:
        source = make_source(options={"decalage": {"nombre": 2}})
        (first,) = PLATFORM.first(source)
        assert not self.follow(source, first.url, [{"id": str(n)} for n in range(3)])

    def test_page_numbers(self) -> None:
        paging = {
            "parametre": "page",
            "parametre_nombre": "page_size",
            "nombre": 1000,
            "unite": "page",
            "premier": 1,
        }
        source = make_source(options={"decalage": paging})
        (first,) = PLATFORM.first(source)
        assert first.url == "https://example.org/liste?page=1&page_size=1000"
        assert self.follow(source, first.url, [{"id": "1"}]) == [
            "https://example.org/liste?page=2&page_size=1000"
        ]

    def test_one_way_of_paging(self) -> None:
        with pytest.raises(ValidationError, match="s’excluent"):
            PLATFORM.options.model_validate({"suivant": "next", "decalage": {}})
