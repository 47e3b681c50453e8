"""Addresses are placed only where the service says the same street in the same commune."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from datetime import date, timedelta
from email import message_from_bytes
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lowtech_data import reference
from lowtech_data.capture import Client
from lowtech_data.capture.http import MAX_RETRY_AFTER_S
from lowtech_data.enrich import EnrichmentError, addresses
from lowtech_data.enrich.addresses import POSITION_SCHEMA, SCHEMA, SCORES, Question, judge
from lowtech_data.enrich.cache import Cache
from tests.capture.conftest import FakeTime
from tests.enrich.conftest import Service, a_client, always, fiches

CASES = list(
    csv.DictReader((Path(__file__).parent / "adresses_reponses.csv").open(encoding="utf-8"))
)
TODAY = date(2026, 11, 22)
PLACE = {"adresse": "12 rue du Port", "code_postal": "29900", "code_insee": "29039"}


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        reference.install(con)
        yield con


def asked(row: dict[str, str]) -> Question:
    return Question(row["adresse"], row["code_postal"], row["code_insee"], row["code_insee"])


@pytest.mark.parametrize("case", CASES, ids=[row["cas"] for row in CASES])
def test_an_answer_is_believed_or_refused_for_its_reason(
    con: duckdb.DuckDBPyConnection, case: dict[str, str]
):
    [verdict] = judge(con, [(asked(case), case)])
    assert verdict.outcome == case["attendu"]
    assert verdict.outcome in addresses.LABELS
    if verdict.motif is None:
        assert verdict.latitude == pytest.approx(float(case["latitude"]), abs=1e-6)
        assert verdict.longitude == pytest.approx(float(case["longitude"]), abs=1e-6)


def test_verdicts_do_not_depend_on_the_batch(con: duckdb.DuckDBPyConnection):
    pairs = [(asked(case), case) for case in CASES]
    assert judge(con, pairs) == [judge(con, [pair])[0] for pair in pairs]
    assert judge(con, pairs[::-1]) == judge(con, pairs)[::-1]


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("1 rue du Docteur Calmette", "Rue Calmette", True),
        ("1 rue Calmette", "Rue du Dr Calmette", True),
        ("1 rue Curie", "Rue Marie Curie", True),
        ("1 rue Pierre Curie", "Rue Marie Curie", False),
        ("1 rue M. Curie", "Rue Marie Curie", True),
        ("1 rue P. Curie", "Rue Marie Curie", False),
        ("12-14 rue du Port", "Rue du Port", True),
        ("12, rue du Port", "Rue du Port", True),
        ("1 rue A", "Rue D", False),
        ("ZA du Moulin", "Za du Moulin", True),
        ("1 rue Martin", "Rue Marin", False),
    ],
)
def test_streets_are_compared_word_for_word(
    con: duckdb.DuckDBPyConnection, ours: str, theirs: str, same: bool
):
    answer = CASES[6] | {"result_label": f"{theirs} 29900 Concarneau", "result_score": "0.95"}
    [verdict] = judge(con, [(Question(ours, "29900", "29039", "29039"), answer)])
    assert verdict.motif == (None if same else "voie")


def test_a_street_not_written_the_same_needs_no_near_rival(con: duckdb.DuckDBPyConnection):
    case = next(case for case in CASES if case["cas"].startswith("prénom"))
    near, far = case | {"result_score_next": "0.7"}, case | {"result_score_next": "0.5"}
    assert [v.motif for v in judge(con, [(asked(case), near), (asked(case), far)])] == [
        "ambigue",
        None,
    ]


def test_only_a_street_in_a_commune_without_a_point_is_asked_for():
    table = fiches(
        PLACE,
        PLACE | {"latitude": 47.87, "longitude": -3.92, "precision_geo": "commune"},
        PLACE | {"latitude": 47.87, "longitude": -3.92, "precision_geo": "inconnue"},
        PLACE | {"latitude": 47.87, "longitude": -3.92, "precision_geo": "numero"},
        PLACE | {"adresse": None},
        PLACE | {"adresse": "29900"},
        PLACE | {"adresse": "12 rue"},
        PLACE | {"code_insee": None},
    )
    assert [key for _, key in addresses.questions(table)] == ["0", "1"]


def test_a_district_is_sent_by_its_own_code():
    paris = {"adresse": "14 rue Oberkampf", "code_postal": "75011", "code_insee": "75056"}
    known, unknown = addresses.questions(
        fiches(paris | {"code_arrondissement": "75111"}, paris)
    ).values()
    assert (known.citycode, unknown.citycode) == ("75111", None)


def geocoder(handler: BaseHTTPRequestHandler, sent: bytes) -> tuple[int, dict[str, str], bytes]:
    """Answers as the national service does: the lines sent, and the columns of its result."""
    head = f"Content-Type: {handler.headers['Content-Type']}\r\n\r\n".encode()
    parts: dict[str, Any] = {}
    for part in message_from_bytes(head + sent, policy=HTTP).iter_parts():
        parts[part.get_param("name", header="content-disposition")] = part.get_content()
    assert parts["columns"].strip() == "adresse"
    assert (parts["postcode"].strip(), parts["citycode"].strip()) == ("code_postal", "code_insee")
    known = {case["adresse"]: case for case in reversed(CASES)}
    out = io.StringIO()
    data = parts["data"]
    rows = list(csv.DictReader(io.StringIO(data if isinstance(data, str) else data.decode())))
    names = [*rows[0], "longitude", "latitude", *(n for n in CASES[0] if n.startswith("result_"))]
    writer = csv.DictWriter(out, names, extrasaction="ignore")
    writer.writeheader()
    for row in rows:
        writer.writerow(known.get(row["adresse"], {"result_status": "not-found"}) | row)
    return 200, {"Content-Type": "text/csv; charset=utf-8"}, out.getvalue().encode()


def a_cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "adresses.parquet", SCHEMA)


def test_what_is_answered_is_kept_and_not_asked_again(
    service: Service, client: Client, tmp_path: Path
):
    service.answers["/csv"] = geocoder
    table = fiches(PLACE, PLACE, PLACE | {"adresse": "9 rue Inconnue"})
    ask = {"maximum": 10, "url": service.url("/csv")}
    report = addresses.ask(table, a_cache(tmp_path), client, today=TODAY, **ask)
    assert (report.due, report.asked, report.left, report.problem) == (2, 2, 0, None)
    assert report.outcomes == {"numero": 1, "refus:non_trouvee": 1}

    found = addresses.positions(table, a_cache(tmp_path))
    assert found.schema == POSITION_SCHEMA
    assert [row["cle_source"] for row in found.to_pylist()] == ["0", "1"]
    assert found.to_pylist()[0] == {
        "source_id": "liste", "cle_source": "0", "latitude": 47.8722, "longitude": -3.9187,
        "precision_geo": "numero", "code_insee": "29039", "service": "geopf_geocodage",
        "date": "2026-11-22", "score": 0.97,
    }  # fmt: skip

    for days, due in ((0, 0), (89, 0), (90, 1), (364, 1), (365, 2)):
        later = TODAY + timedelta(days=days)
        again = addresses.ask(table, a_cache(tmp_path), client, today=later, maximum=0)
        assert again.due == due
    assert len(service.asked) == 1


def test_nothing_but_addresses_is_sent(service: Service, client: Client, tmp_path: Path):
    service.answers["/csv"] = geocoder
    table = fiches(PLACE | {"nom": "Chez Quenneville", "cle_source": "quenneville-1"})
    addresses.ask(
        table, a_cache(tmp_path), client, today=TODAY, maximum=10, url=service.url("/csv")
    )
    [(method, _, body)] = service.asked
    assert method == "POST"
    assert b"0,12 rue du Port,29900,29039" in body
    assert b"uenneville" not in body


def test_the_cache_holds_neither_addresses_nor_names(
    service: Service, client: Client, tmp_path: Path
):
    service.answers["/csv"] = geocoder
    cache = a_cache(tmp_path)
    addresses.ask(fiches(PLACE), cache, client, today=TODAY, maximum=10, url=service.url("/csv"))
    assert "Port" not in str(cache.table().to_pylist())
    assert (
        cache.table().column("empreinte")[0].as_py()
        == next(iter(addresses.questions(fiches(PLACE)).values())).empreinte
    )


def test_a_pass_cut_short_keeps_the_batches_that_came(
    service: Service, client: Client, tmp_path: Path
):
    calls = []

    def dies_at_the_third(handler: BaseHTTPRequestHandler, sent: bytes) -> Any:
        calls.append(1)
        return geocoder(handler, sent) if len(calls) < 3 else (400, {}, b"")

    service.answers["/csv"] = dies_at_the_third
    table = fiches(*(PLACE | {"adresse": f"{n} rue du Port"} for n in range(1, 6)))
    ask = {"today": TODAY, "maximum": 10, "url": service.url("/csv"), "batch": 1}
    report = addresses.ask(table, a_cache(tmp_path), client, **ask)
    assert (report.asked, report.left) == (2, 3)
    assert "HTTP 400" in (report.problem or "")
    assert a_cache(tmp_path).table().num_rows == 2
    service.answers["/csv"] = geocoder
    assert addresses.ask(table, a_cache(tmp_path), client, **ask).due == 3


def test_an_interrupted_pass_keeps_the_batches_that_came(
    service: Service, tmp_path: Path, time_: FakeTime
):
    service.answers["/csv"] = geocoder

    class Interrupted(Client):
        sent = 0

        def post(self, *args: Any, **kwargs: Any) -> bytes:
            self.sent += 1
            if self.sent == 2:
                raise KeyboardInterrupt
            return super().post(*args, **kwargs)

    client = a_client(time_, kind=Interrupted)
    table = fiches(*(PLACE | {"adresse": f"{n} rue du Port"} for n in range(1, 4)))
    with pytest.raises(KeyboardInterrupt):
        addresses.ask(
            table, a_cache(tmp_path), client,
            today=TODAY, maximum=10, url=service.url("/csv"), batch=1,
        )  # fmt: skip
    assert a_cache(tmp_path).table().num_rows == 1


def test_an_overloaded_service_gets_the_rest_that_it_asks_for(
    service: Service, client: Client, tmp_path: Path, time_: FakeTime
):
    calls = []

    def busy_once(handler: BaseHTTPRequestHandler, sent: bytes) -> Any:
        calls.append(1)
        return geocoder(handler, sent) if len(calls) > 1 else (429, {"Retry-After": "42"}, b"")

    service.answers["/csv"] = busy_once
    ask = {"today": TODAY, "maximum": 10, "url": service.url("/csv")}
    assert addresses.ask(fiches(PLACE), a_cache(tmp_path), client, **ask).problem is None
    assert max(time_.slept) == pytest.approx(42)


def test_a_service_that_asks_for_too_long_a_rest_is_left(
    service: Service, client: Client, tmp_path: Path, time_: FakeTime
):
    service.answers["/csv"] = always(429, Retry_After=str(int(MAX_RETRY_AFTER_S) + 1))
    ask = {"today": TODAY, "maximum": 10, "url": service.url("/csv")}
    report = addresses.ask(fiches(PLACE), a_cache(tmp_path), client, **ask)
    assert (report.asked, len(service.asked)) == (0, 1)
    assert "nouvel essai à la prochaine exécution" in (report.problem or "")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"n,adresse\n0,12 rue du Port\n", "longitude"),
        (b"<html>maintenance</html>", "longitude"),
        (b"\xff\xfe", "illisible"),
        (
            ("n," + ",".join(n for n in addresses._RECEIVED[1:]) + "\n7,,,,,,,,,,,\n").encode(),
            "pas été demandée",
        ),
    ],
)
def test_an_answer_in_another_shape_is_not_kept(
    service: Service, client: Client, tmp_path: Path, body: bytes, reason: str
):
    service.answers["/csv"] = always(200, body)
    report = addresses.ask(
        fiches(PLACE), a_cache(tmp_path), client,
        today=TODAY, maximum=10, url=service.url("/csv"),
    )  # fmt: skip
    assert report.asked == 0
    assert reason in (report.problem or "")
    assert not (tmp_path / "adresses.parquet").exists()


def test_without_network_nothing_is_asked_nor_lost(tmp_path: Path, time_: FakeTime):
    def nowhere(host: str, port: int) -> list[str]:
        raise OSError("pas de réseau")

    report = addresses.ask(
        fiches(PLACE), a_cache(tmp_path), a_client(time_, nowhere), today=TODAY, maximum=10,
        url="https://service.test/csv",
    )  # fmt: skip
    assert (report.due, report.asked) == (1, 0)
    assert "nom introuvable" in (report.problem or "")


def test_a_cache_of_another_shape_is_refused_with_what_to_do(tmp_path: Path):
    (tmp_path / "adresses.parquet").write_bytes(b"autre chose")
    with pytest.raises(EnrichmentError, match="supprimer ce fichier"):
        a_cache(tmp_path)


LISTINGS = os.environ.get("LOWTECH_LISTINGS")


@pytest.mark.skipif(not LISTINGS, reason="LOWTECH_LISTINGS n’est pas défini")
def test_every_known_false_positive_is_refused(con: duckdb.DuckDBPyConnection):
    """Whatever the score, and even if the commune of the wrong answer were that of the fiche."""
    path = Path(LISTINGS or "") / "real" / "ban_false_positives.csv"
    rows = list(csv.DictReader(path.open(encoding="utf-8-sig")))
    assert len(rows) == 159
    communes = {
        (name, postcode): code
        for code, name, postcode in con.execute(
            "SELECT code, nom, unnest(codes_postaux) FROM ref_communes"
        ).fetchall()
    }
    for row in rows:
        street, city = row["BAN_adress"], row["BAN_city"]
        postcode = row["BAN_adress_full"].removeprefix(street).split()[0]
        code = communes[city, postcode]
        address = row["Adresse"] or row["Région(s)"]
        as_listed = fiches({"adresse": address})
        assert not addresses.questions(as_listed)
        for kind in SCORES:
            answer = {
                "longitude": row["longitude"], "latitude": row["latitude"],
                "result_score": "1", "result_score_next": "", "result_type": kind,
                "result_label": row["BAN_adress_full"], "result_street": "",
                "result_housenumber": "", "result_postcode": postcode,
                "result_citycode": code, "result_status": "ok",
            }  # fmt: skip
            [verdict] = judge(con, [(Question(address, None, code, code), answer)])
            assert verdict.motif == "voie", (address, street)
