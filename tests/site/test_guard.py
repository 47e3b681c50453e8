"""SQL and requests of strangers: refused in time, in words, without telling of the machine."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from lowtech_data.site import build_app
from lowtech_data.site.guard import BusyError, SqlTurns, Watchdog, for_log, guard_connection

from .conftest import Reader, client_of

BOMBS = {
    "endless": "with recursive t(x) as (select 1 union all select x+1 from t) "
    "select count(*) from t",
    "cross join": "select count(*) from fiches a, fiches b, fiches c, fiches d, fiches e, fiches f",
    "group_concat": "with recursive t(x) as (select 1 union all select x+1 from t) "
    "select group_concat(x) from t",
    "zeroblob": "select hex(zeroblob(400000000))",
    "randomblob": "select length(randomblob(400000000))",
    "printf": "select printf('%.*c', 400000000, 'x')",
    "format": "select format('%.*c', 400000000, 'x')",
    "replace": "with recursive t(n, x) as (select 0, 'aaaaaaaaaa' union all "
    "select n+1, replace(x, 'a', 'aaaaaaaaaa') from t where n < 12) select length(x) from t",
    "json doubling": "with recursive t(n, x) as (select 0, '[1,1,1,1]' union all "
    "select n+1, json_insert(x, '$[#]', json(x)) from t where n < 40) select length(x) from t",
}
REFUSED = (
    "attach database '/etc/passwd' as x",
    "select load_extension('x')",
    "select readfile('/etc/passwd')",
    "select writefile('x', 'y')",
    "select 1; select 2",
    "pragma database_list",
    "select * from pragma_database_list",
    "select file from pragma_database_list()",
    "select * from pragma_compile_options",
    "select * from dbstat",
    "select sqlite_version()",
    "select sqlite_source_id()",
    "insert into initiatives_fts(initiatives_fts) values ('rebuild')",
    "select fts5(1)",
    "select " + "(" * 2000 + "1" + ")" * 2000,
    " union ".join(["select 1"] * 600),
    "select 1 where 1 in (" + ",".join("1" * 5000) + f") /*{'x' * 12000}*/",
    "select 'a' like '" + "%a" * 200 + "'",
)


@pytest.mark.parametrize("name", BOMBS)
def test_a_costly_question_is_refused_in_time(site: Reader, name: str) -> None:
    began = time.monotonic()
    answer = site.get(f"/lowtech.json?sql={quote(BOMBS[name])}")
    assert answer.status_code == 400
    assert time.monotonic() - began < 5


def test_the_slowest_function_left_stays_short(site: Reader) -> None:
    long = "'aaaaaaaa'"
    for times in (8, 8, 8, 8, 6):
        long = f"replace({long}, 'a', '{'a' * times}')"
    sql = f"select instr({long}, substr({long}, 1, 98000) || 'b')"
    began = time.monotonic()
    assert site.get(f"/lowtech.json?sql={quote(sql)}").status_code in (200, 400)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("sql", REFUSED, ids=lambda sql: sql[:30])
def test_a_forbidden_question_is_refused_without_a_path(
    site: Reader, warehouse: Path, sql: str
) -> None:
    answer = site.get("/lowtech.json", params={"sql": sql})
    assert answer.status_code in (400, 414)
    assert str(warehouse) not in answer.text
    assert sqlite3.sqlite_version not in answer.text


def test_ordinary_questions_still_work(site: Reader) -> None:
    for path in (
        "/lowtech.json?sql=select+count(*)+from+initiatives",
        "/lowtech/initiatives?_search=fablab&_facet=type",
        "/lowtech/initiatives.json?_size=1000&_labels=on",
        "/lowtech/initiatives.json?_where=nb_sources>1",
        "/lowtech/fiches?_size=max",
        "/lowtech/initiatives_themes",
        "/lowtech/initiatives.csv",
    ):
        assert site.get(path).status_code == 200, path


@pytest.mark.parametrize(
    "query",
    [
        "_size=-1", "_size=abc", "_size=1000000000", "_sort=nope", "_next=zzz,zz,z", "_shape=x",
        "_where=1=1;drop", "_where=(", "_facet=nope", "_col=nope", "_sort_desc=;",
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_a_wrong_argument_is_the_readers_error(site: Reader, query: str) -> None:
    for kind in ("", ".json", ".csv"):
        status = site.get(f"/lowtech/initiatives{kind}?{query}").status_code
        assert status < 500, kind
        if kind == ".json" and not query.startswith("_next"):
            assert status == 400


def test_nothing_tells_of_the_machine(site: Reader, warehouse: Path) -> None:
    for page in ("databases", "versions", "plugins", "threads", "settings", "metadata", "actor",
                 "config", "patterns", "messages", "permissions", "allow-debug"):  # fmt: skip
        for kind in ("", ".json"):
            answer = site.get(f"/-/{page}{kind}")
            assert answer.status_code == 404
            assert str(warehouse) not in answer.text
    for path in ("/_internal", "/_memory", "/lowtech.db", "/.json", "/-/static/app.css"):
        assert site.get(path).status_code in (403, 404), path
    for path in ("/", "/lowtech", "/lowtech?_trace=1", "/lowtech/initiatives?_context=1"):
        answer = site.get(path)
        assert str(warehouse) not in answer.text
        assert "server" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [b"//ex.com/", b"//ex.com/x/", b"/\\ex.com/", b"/%5Cex.com/", b"/%0d%0aX:%20y", b"/x%00y/",
     b"/%2f%2fex.com/", b"/%2Fex.com/", b"/;//ex.com/", b"/.//ex.com/"],
)  # fmt: skip
def test_no_address_leads_off_the_site(site: Reader, path: bytes) -> None:
    status, headers, _ = site.raw(path)
    assert 300 <= status < 500
    location = headers.get("location", "/")
    assert location.startswith("/")
    assert location[1:2] not in ("/", "\\")
    assert "x" not in headers


@pytest.mark.parametrize(
    "path",
    ["/telechargements/secret.txt", "/telechargements/index.json",
     "/telechargements/../courante/secret.txt", "/telechargements/csv/../secret.txt",
     "/telechargements/%2e%2e/secret.txt", "/telechargements/%252e%252e/x",
     "/-/static/../../etc/passwd", "/telechargements//etc/passwd"],
)  # fmt: skip
def test_only_files_of_the_index_are_downloaded(site: Reader, path: str) -> None:
    status, headers, body = site.raw(path.encode())
    if status in (301, 302):
        status, _, body = site.raw(headers["location"].encode())
    assert status in (400, 404)
    assert b"index de version" not in body


@pytest.mark.parametrize("method", ["TRACE", "PUT", "POST", "DELETE", "PATCH", "CONNECT", "NOPE"])
def test_the_site_only_reads(site: Reader, method: str) -> None:
    for path in (b"/", b"/lowtech", b"/lowtech/initiatives/" + b"x"):
        status, headers, _ = site.raw(path, method=method)
        assert status == 405
        assert "GET" in headers["allow"]


def test_every_answer_carries_the_security_headers(site: Reader) -> None:
    for path in ("/", "/initiatives", "/lowtech/initiatives", "/nope", "/i/nope", "/sante.json",
                 "/lowtech?sql=nope", "/telechargements/csv/initiatives.csv"):  # fmt: skip
        headers = site.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "script-src" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "set-cookie" not in headers


def test_a_forged_host_does_not_enter_an_answer(warehouse: Path, site: Reader) -> None:
    assert site.get("/", headers={"host": "a b"}).status_code == 400
    reader = Reader.__new__(Reader)
    reader._runner = asyncio.Runner()
    reader.app = build_app(warehouse, public_url="https://lowtech.exemple.fr")
    answer = reader.get(
        "/lowtech/initiatives.json?_size=2",
        headers={"host": "evil.exemple.com", "x-forwarded-host": "evil.exemple.com"},
    )
    assert "evil" not in answer.text
    assert answer.json()["next_url"].startswith("https://lowtech.exemple.fr/")
    reader.close()


def test_too_long_an_address_is_refused(site: Reader) -> None:
    assert site.raw(b"/initiatives", b"q=" + b"x" * 64_000)[0] == 414


def test_a_failing_statement_is_logged_short_and_on_one_line(
    site: Reader, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO, logger="lowtech_data.site"):
        site.get("/lowtech.json", params={"sql": "select nope --\n" + "x" * 15_000})
    logged = [record.getMessage() for record in caplog.records]
    assert any(message.startswith("sql_refused") for message in logged)
    assert all(len(message) < 800 and "\n" not in message for message in logged)
    assert "xxxx" not in capfd.readouterr().err


def test_for_log_keeps_one_visible_line() -> None:
    assert for_log("a\nb\x1b[31m\u202ec") == "a b [31m c"
    assert len(for_log("x" * 1000)) == 301


def test_the_watchdog_interrupts_by_the_wall_clock() -> None:
    dog = Watchdog(0.2)
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    guard_connection(connection)
    began = time.monotonic()
    with pytest.raises(sqlite3.OperationalError, match="interrupted"), dog.watching(connection):
        connection.execute(BOMBS["endless"]).fetchall()
    assert time.monotonic() - began < 2
    assert connection.execute("select 1").fetchone() == (1,)
    dog.stop()


def test_turns_go_one_per_client_and_refuse_beyond_the_queue() -> None:
    async def scenario() -> None:
        turns = SqlTurns(running=2, waiting=1, patience_s=0.2)
        async with turns.turn("a"):
            with pytest.raises(BusyError):
                async with turns.turn("a"):
                    pass
            async with turns.turn("b"):
                waiting = asyncio.create_task(_enter(turns, "c"))
                await asyncio.sleep(0.05)
                with pytest.raises(BusyError):
                    await _enter(turns, "d")
                with pytest.raises(BusyError):
                    await waiting
        await _enter(turns, "a")

    async def _enter(turns: SqlTurns, client: str) -> None:
        async with turns.turn(client):
            pass

    asyncio.run(scenario())


def test_pages_answer_while_costly_questions_wait(warehouse: Path) -> None:
    async def scenario() -> tuple[list[int], list[Any], float]:
        app = build_app(warehouse)

        async def ask(number: int) -> Any:
            async with client_of(app, f"198.51.100.{number}") as client:
                return await client.get("/lowtech.json", params={"sql": BOMBS["endless"]})

        async with client_of(app) as client:
            await client.get("/")
            bombs = [asyncio.create_task(ask(number)) for number in range(12)]
            pages, slowest = [], 0.0
            while not all(bomb.done() for bomb in bombs):
                began = time.monotonic()
                pages.append((await client.get("/sources")).status_code)
                slowest = max(slowest, time.monotonic() - began)
                await asyncio.sleep(0.02)
        answers = [await bomb for bomb in bombs]
        await app.close()
        return pages, answers, slowest

    pages, answers, slowest = asyncio.run(scenario())
    assert set(pages) == {200}
    assert slowest < 3
    statuses = {answer.status_code for answer in answers}
    assert statuses == {400, 503}
    assert all(a.headers["retry-after"] for a in answers if a.status_code == 503)


def test_the_plugin_is_inert_in_another_datasette() -> None:
    from datasette.app import Datasette

    async def scenario() -> tuple[int, int, dict[str, Any]]:
        other = Datasette(memory=True)
        versions = await other.client.get("/-/versions.json")
        sql = await other.client.get("/_memory.json?sql=select+sqlite_version()")
        error = await other.client.get("/-/nope.json")
        metadata = other.metadata()
        other.executor.shutdown()
        assert error.status_code == 404
        return versions.status_code, sql.status_code, metadata

    assert asyncio.run(scenario()) == (200, 200, {})
