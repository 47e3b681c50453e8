"""Bodies are asked for by SIRET, or by a name that one alone bears; people are never read."""

from __future__ import annotations

import json
import logging
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from lowtech_data.capture import Client
from lowtech_data.enrich import EnrichmentError, companies
from lowtech_data.enrich.cache import Cache
from lowtech_data.enrich.companies import SCHEMA, STATE_SCHEMA, Question, read
from tests.capture.conftest import FakeTime
from tests.enrich.conftest import Service, a_client, always, fiches

TODAY = date(2026, 11, 22)
SIRET, OTHER = "12345678200010", "12345678200028"
PERSON = "Quenneville"


def place(siret: str = SIRET, **said: Any) -> dict[str, Any]:
    return {
        "siret": siret,
        "adresse": "12 RUE DU PORT 29900 CONCARNEAU",
        "code_postal": "29900",
        "commune": "29039",
        "libelle_commune": "CONCARNEAU",
        "etat_administratif": "A",
        "date_fermeture": None,
        "est_siege": True,
        "ancien_siege": False,
        "statut_diffusion_etablissement": "O",
        "liste_enseignes": [f"CHEZ {PERSON}"],
    } | said


def body(
    *places: dict[str, Any], siege: dict[str, Any] | None = None, **said: Any
) -> dict[str, Any]:
    return {
        "siren": "123456782",
        "nom_complet": f"RECYCLERIE DES TILLEULS ({PERSON})",
        "nom_raison_sociale": "RECYCLERIE DES TILLEULS",
        "siege": siege or place(),
        "matching_etablissements": list(places),
        "etat_administratif": "A",
        "date_fermeture": None,
        "nature_juridique": "9220",
        "statut_diffusion": "O",
        "dirigeants": [
            {"nom": PERSON, "prenoms": "Zoé", "annee_de_naissance": "1970",
             "type_dirigeant": "personne physique"}
        ],
        "complements": {
            "est_association": True,
            "collectivite_territoriale": {"elus": [{"nom": PERSON, "fonction": "Maire"}]},
        },
    } | said  # fmt: skip


def answer(*bodies: dict[str, Any], total: int | None = None) -> bytes:
    count = len(bodies) if total is None else total
    found = {"results": list(bodies), "total_results": count, "page": 1, "per_page": 25}
    return json.dumps(found, ensure_ascii=False).encode()


CLOSED = place(etat_administratif="F", date_fermeture="2025-03-31", est_siege=False)
MOVED = CLOSED | {"ancien_siege": True}
SEAT = place(OTHER, adresse="8 AVENUE DES TILLEULS 38000 GRENOBLE", code_postal="38000",
             commune="38185", libelle_commune="GRENOBLE")  # fmt: skip


def by_siret(*bodies: dict[str, Any]) -> dict[str, Any]:
    return read(Question(SIRET), answer(*bodies))


def test_an_open_body():
    row = by_siret(body())
    assert (row["etat"], row["trouve_par"], row["siret"]) == ("ouvert", "siret", SIRET)
    assert (row["date_fermeture"], row["demenage"], row["adresse_siege"]) == (None, False, None)


def test_a_closed_establishment_is_not_a_body_that_ceased():
    closed = by_siret(body(CLOSED, siege=SEAT))
    assert (closed["etat"], closed["date_fermeture"]) == ("ferme", "2025-03-31")
    ceased = by_siret(body(CLOSED, siege=CLOSED, etat_administratif="C"))
    assert (ceased["etat"], ceased["etat_unite_legale"]) == ("cesse", "C")


def test_only_a_former_seat_says_a_new_address():
    assert by_siret(body(CLOSED, siege=SEAT))["adresse_siege"] is None
    row = by_siret(body(MOVED, siege=SEAT))
    assert row["demenage"] is True
    assert (row["siret_siege"], row["code_insee_siege"]) == (OTHER, "38185")
    assert (row["adresse_siege"], row["code_postal_siege"]) == ("8 AVENUE DES TILLEULS", "38000")
    shut = SEAT | {"etat_administratif": "F"}
    assert by_siret(body(MOVED, siege=shut))["demenage"] is False


@pytest.mark.parametrize(
    "said",
    [
        {"nature_juridique": "1000"},
        {"nature_juridique": None},
        {"statut_diffusion": "P"},
        {"siege": SEAT | {"statut_diffusion_etablissement": "P"}},
    ],
)
def test_the_address_of_a_person_is_not_kept(said: dict[str, Any]):
    row = by_siret(body(MOVED, siege=SEAT) | said)
    assert row["demenage"] is True
    assert not any(row[name] for name in SCHEMA.names if name.endswith("_siege"))


def test_the_name_of_a_person_in_an_address_is_not_kept():
    seat = SEAT | {"adresse": f"CHEZ MME ZOE {PERSON.upper()} 8 AVENUE DES TILLEULS 38000 GRENOBLE"}
    row = by_siret(body(MOVED, siege=seat))
    assert PERSON.lower() not in str(row).lower()
    assert row["code_postal_siege"] == "38000"


def test_a_siret_is_found_as_such_or_not_at_all():
    assert by_siret(body(siege=SEAT))["motif"] == "introuvable"
    assert by_siret()["motif"] == "introuvable"


NAMED = Question(None, "La Recyclerie des Tilleuls", "29900")
EXACT = Question(None, "Association Recyclerie des Tilleuls", "29900")


@pytest.mark.parametrize(
    ("question", "found", "motif"),
    [
        (EXACT, answer(body()), None),
        (NAMED, answer(body()), "introuvable"),
        (EXACT, answer(body(siege=SEAT)), "introuvable"),
        (EXACT, answer(body(), body(siege=place(OTHER))), "ambigu"),
        (EXACT, answer(body(place(OTHER))), "ambigu"),
        (EXACT, answer(body(), total=26), "ambigu"),
        (EXACT, answer(body(nature_juridique="1000")), "introuvable"),
        (EXACT, answer(body(nom_raison_sociale=None)), "introuvable"),
    ],
)
def test_a_name_is_believed_when_one_body_alone_bears_it(
    question: Question, found: bytes, motif: str | None
):
    assert read(question, found)["motif"] == motif


@pytest.mark.parametrize(
    "sent", [b"", b"<html>", b"[]", b"{}", b'{"results": [1], "total_results": 1}', b"[" * 10**5]
)
def test_an_answer_in_another_shape_is_refused_without_repeating_it(sent: bytes):
    with pytest.raises(EnrichmentError) as caught:
        read(Question(SIRET), sent)
    assert "forme attendue" in str(caught.value)


def test_who_is_asked_for():
    table = fiches(
        {"siret": SIRET, "code_postal": "29900"},
        {"nom": "Recyclerie", "code_postal": "29900", "nature": "organisation"},
        {"nom": "Recyclerie", "code_postal": "29900", "nature": "lieu"},
        {"nom": "Recyclerie", "nature": "organisation"},
        {"nom": "SAS", "code_postal": "29900", "nature": "organisation"},
    )
    assert companies.questions(table) == {
        ("liste", "0"): Question(SIRET),
        ("liste", "1"): Question(None, "Recyclerie", "29900"),
    }


def a_cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "entreprises.parquet", SCHEMA)


def test_no_person_reaches_the_cache_or_the_logs(
    service: Service, client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    service.answers["/search"] = always(200, answer(body(MOVED, siege=SEAT)))
    table = fiches({"siret": SIRET}, {"siret": OTHER})
    with caplog.at_level(logging.DEBUG):
        companies.ask(
            table, a_cache(tmp_path), client, today=TODAY, maximum=9, url=service.url("/search")
        )
    kept = a_cache(tmp_path).table()
    assert kept.num_rows == 2
    assert PERSON.lower() not in str(kept.to_pylist()).lower()
    assert PERSON.encode().lower() not in (tmp_path / "entreprises.parquet").read_bytes().lower()
    assert PERSON.lower() not in caplog.text.lower()
    assert SIRET not in caplog.text
    found = companies.states(table, a_cache(tmp_path))
    assert found.schema == STATE_SCHEMA
    assert [row["etat"] for row in found.to_pylist()] == ["ferme", "ouvert"]


def test_one_at_a_time_and_slower_than_the_service_allows(
    service: Service, client: Client, tmp_path: Path, time_: FakeTime
):
    service.answers["/search"] = always(200, answer(body()))
    table = fiches(*({"siret": f"1234567820{n:04d}"} for n in range(10)))
    start = time_.now
    report = companies.ask(
        table, a_cache(tmp_path), client, today=TODAY, maximum=8, url=service.url("/search")
    )
    assert (report.due, report.asked, report.left) == (10, 8, 2)
    assert time_.now - start >= 7 * companies.PAUSE_S
    assert 1 / companies.PAUSE_S < 7 / 2
    _, path = service.requests()[0]
    sent = parse_qs(urlsplit(path).query)
    assert sent.keys() == {"q", "page", "per_page"}
    assert "exemple.test/contact" in service.headers[0]["User-Agent"]


def test_answers_hold_for_a_month(service: Service, client: Client, tmp_path: Path):
    service.answers["/search"] = always(200, answer(body()))
    table = fiches({"siret": SIRET}, {"siret": OTHER})
    companies.ask(
        table, a_cache(tmp_path), client, today=TODAY, maximum=9, url=service.url("/search")
    )
    for days, due in ((29, 0), (30, 1), (90, 2)):
        later = TODAY + timedelta(days=days)
        cache = a_cache(tmp_path)
        assert companies.ask(table, cache, client, today=later, maximum=0).due == due


def test_an_overloaded_service_gets_the_rest_that_it_asks_for(
    service: Service, client: Client, tmp_path: Path, time_: FakeTime
):
    calls: list[int] = []

    def busy_once(handler: Any, sent: bytes) -> Any:
        calls.append(1)
        return (200, {}, answer(body())) if len(calls) > 1 else (429, {"Retry-After": "17"}, b"")

    service.answers["/search"] = busy_once
    ask = {"today": TODAY, "maximum": 9, "url": service.url("/search")}
    assert companies.ask(fiches({"siret": SIRET}), a_cache(tmp_path), client, **ask).asked == 1
    assert max(time_.slept) == pytest.approx(17)


def test_one_odd_question_does_not_stop_the_others_but_a_changed_service_does(
    service: Service, client: Client, tmp_path: Path
):
    table = fiches(*({"siret": f"1234567820{n:04d}"} for n in range(10)))
    calls: list[int] = []

    def refuses_the_first(handler: Any, sent: bytes) -> Any:
        calls.append(1)
        return (200, {}, answer(body())) if len(calls) > 1 else (400, {}, b"")

    service.answers["/search"] = refuses_the_first
    ask = {"today": TODAY, "maximum": 99, "url": service.url("/search")}
    report = companies.ask(table, a_cache(tmp_path), client, **ask)
    assert (report.asked, report.left, report.problem) == (9, 1, None)

    service.answers["/search"] = always(200, b"<html>nouvelle version</html>")
    report = companies.ask(table, a_cache(tmp_path / "autre"), client, **ask)
    assert (report.asked, report.left) == (0, 10)
    assert "forme attendue" in (report.problem or "")


def test_an_interrupted_pass_keeps_what_came(service: Service, tmp_path: Path, time_: FakeTime):
    service.answers["/search"] = always(200, answer(body()))

    class Interrupted(Client):
        asked = 0

        def get(self, *args: Any, **kwargs: Any) -> Any:
            self.asked += 1
            if self.asked == 3:
                raise KeyboardInterrupt
            return super().get(*args, **kwargs)

    table = fiches(*({"siret": f"1234567820{n:04d}"} for n in range(5)))
    with pytest.raises(KeyboardInterrupt):
        companies.ask(
            table, a_cache(tmp_path), a_client(time_, kind=Interrupted),
            today=TODAY, maximum=9, url=service.url("/search"),
        )  # fmt: skip
    assert a_cache(tmp_path).table().num_rows == 2


def test_without_network_nothing_is_asked_nor_lost(tmp_path: Path, time_: FakeTime):
    def nowhere(host: str, port: int) -> list[str]:
        raise OSError("pas de réseau")

    report = companies.ask(
        fiches({"siret": SIRET}), a_cache(tmp_path), a_client(time_, nowhere),
        today=TODAY, maximum=9, url="https://service.test/search",
    )  # fmt: skip
    assert (report.due, report.asked) == (1, 0)
    assert "nom introuvable" in (report.problem or "")
    assert not (tmp_path / "entreprises.parquet").exists()
