"""A harvest is all of a source's pages or none, and can be read again without network."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lowtech_data.capture import CaptureError, Client, FailureKind, Harvest, Store, harvest, replay
from lowtech_data.extract.base import Page, PayloadError, Platform, Request, Row
from lowtech_data.registry import Registry, Source

from .conftest import Site, a_source, answer

NOW = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
WEEK = timedelta(days=7)


def rows(source: Source, page: Page) -> Sequence[Row]:
    return [Row(f"/{n}", value) for n, value in enumerate(json.loads(page.body)["items"])]


def next_page(source: Source, page: Page) -> Sequence[Request]:
    """Pages name the next one, as paginated APIs do; one that is not JSON is refused."""
    try:
        following = json.loads(page.body).get("next", [])
    except ValueError as error:
        raise PayloadError(f"{page.url} : JSON attendu") from error
    return [Request(url) for url in following]


PAGED = Platform("paginee", rows, follow=next_page)
SINGLE = Platform("simple", rows)


def body(items: list[Any], *following: str) -> bytes:
    return json.dumps({"items": items, "next": following}).encode()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "captures")


@pytest.fixture
def paged(site: Site) -> Source:
    """Three pages, the last of which points back to the first."""
    site.pages |= {
        "/1": answer(body([1], site.url("/2")), Content_Type="application/json", ETag='"1"'),
        "/2": answer(body([2], site.url("/3"), site.url("/2")), ETag='"2"'),
        "/3": answer(body([3], site.url("/1"))),
    }
    return a_source(site.url("/1"))


def run(
    source: Source,
    store: Store,
    client: Client | None,
    platform: Platform = PAGED,
    *,
    now: datetime = NOW,
    folder: Path = Path(),
) -> Harvest:
    registry = Registry(folder / "sources.yaml", (source,))
    return harvest(source, platform, registry, store, client, now=now)


def fails(*args: Any, **kwargs: Any) -> CaptureError:
    with pytest.raises(CaptureError) as caught:
        run(*args, **kwargs)
    return caught.value


def items(harvested: Harvest) -> list[Any]:
    return [json.loads(page.page().body)["items"] for page in harvested.pages]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# Listings on the web


def test_pages_are_followed_each_once_and_in_order(site, store, client, paged) -> None:
    done = run(paged, store, client)
    assert items(done) == [[1], [2], [3]]
    assert site.paths == ["/1", "/2", "/3"]
    assert done.status == "nouvelle"
    first = done.pages[0]
    assert first.media_type == "application/json"
    assert first.page() == Page(
        site.url("/1"), body([1], site.url("/2")), first.sha256, "application/json", None
    )


def test_paging_may_be_said_by_headers_and_is_kept_for_the_replay(site, store, client) -> None:
    def follow(source: Source, page: Page) -> Sequence[Request]:
        last = int(page.headers["x-wp-totalpages"])
        return [Request(site.url(f"/{n}")) for n in range(2, last + 1)]

    for n in (1, 2, 3):
        site.pages[f"/{n}"] = answer(
            body([n]), ETag=f'"{n}"', X_WP_TotalPages="3", Link="<x>; rel=next", Set_Cookie="a=b"
        )
    source, platform = a_source(site.url("/1")), Platform("paginee", rows, follow=follow)
    sent = {"link": "<x>; rel=next", "x-wp-totalpages": "3"}
    for again in range(2):
        done = run(source, store, client, platform, now=NOW + again * WEEK)
        assert items(done) == [[1], [2], [3]]
        assert [page.page().headers for page in done.pages] == [sent] * 3
    assert done.status == "inchangee"
    assert replay(source, Store(store.root)).pages[0].page().headers == sent


def test_instants_are_those_of_the_given_clock(site, store, client, paged, time_) -> None:
    done = run(paged, store, client)
    assert done.started == "2026-03-02T10:30:00Z"
    # One second between robots.txt and each of three pages.
    assert done.ended == "2026-03-02T10:30:03Z"
    assert [page.captured_at[-3:] for page in done.pages] == ["01Z", "02Z", "03Z"]


def test_a_replay_is_the_harvest_without_the_network(site, store, client, paged) -> None:
    done = run(paged, store, client)
    asked = len(site.requests)
    again = replay(paged, Store(store.root))
    assert (again.started, again.ended, again.status) == (done.started, done.ended, done.status)
    assert [page.page() for page in again.pages] == [page.page() for page in done.pages]
    assert len(site.requests) == asked


def test_without_a_client_the_web_is_replayed(store, client, paged) -> None:
    done = run(paged, store, client)
    assert items(run(paged, store, None, now=NOW + WEEK)) == items(done)
    assert len(store.attempts("liste")) == 1


def test_nothing_to_replay_is_said(store, paged) -> None:
    with pytest.raises(CaptureError, match="aucune moisson complète") as failure:
        replay(paged, store)
    assert failure.value.kind is FailureKind.MISSING


def test_an_unchanged_source_is_recognised_page_by_page(site, store, client, paged) -> None:
    """Page 1 answers 304, page 2 the same bytes again, page 3 has no validator."""
    first = run(paged, store, client)
    site.pages["/1"] = answer(status=304, ETag='"1bis"')
    again = run(paged, store, client, now=NOW + WEEK)
    assert again.status == "inchangee"
    assert items(again) == items(first)
    assert [p.captured_at for p in again.pages] == [p.captured_at for p in first.pages]
    assert again.started == "2026-03-09T10:30:00Z"
    asked = dict(site.requests[-3:])
    assert asked["/1"]["If-None-Match"] == '"1"'
    assert asked["/2"]["If-None-Match"] == '"2"'
    assert "If-None-Match" not in asked["/3"]
    assert store.captures().num_rows == 3
    run(paged, store, client, now=NOW + 2 * WEEK)
    assert site.requests[-3][1]["If-None-Match"] == '"1bis"'


def test_one_changed_page_makes_a_new_harvest(site, store, client, paged) -> None:
    run(paged, store, client)
    site.pages["/1"] = answer(status=304)
    site.pages["/2"] = answer(body([22], site.url("/3")))
    again = run(paged, store, client, now=NOW + WEEK)
    assert again.status == "nouvelle"
    assert items(again) == [[1], [22], [3]]
    assert store.captures().num_rows == 4


@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        (answer(status=500), FailureKind.STATUS),
        (answer(status=404), FailureKind.STATUS),
        (answer(b"<html>Site en maintenance</html>"), FailureKind.CONTENT),
        (answer(status=302, Location="http://ailleurs.test/"), FailureKind.REDIRECT),
    ],
)
def test_one_failed_page_fails_the_harvest_and_the_last_good_one_stays(
    site, store, client, paged, broken, kind
) -> None:
    good = run(paged, store, client)
    site.pages |= {"/1": answer(body([11], site.url("/2"))), "/2": broken}
    error = fails(paged, store, client, now=NOW + WEEK)
    assert error.kind is kind
    again = Store(store.root)
    assert items(replay(paged, again)) == items(good)
    last = again.attempts("liste")[-1]
    assert (last.complete, last.error, last.message) == (False, kind.value, error.message)
    assert last.started == "2026-03-09T10:30:00Z"


@pytest.mark.parametrize("page", ["/1", "/2", "/3"])
@pytest.mark.parametrize("status", [404, 410])
def test_a_page_that_is_gone_fails_the_harvest_wherever_it_is(
    site, store, client, paged, page, status
) -> None:
    good = run(paged, store, client)
    site.pages[page] = answer(status=status)
    assert fails(paged, store, client, now=NOW + WEEK).kind is FailureKind.STATUS
    assert items(replay(paged, store)) == items(good)


def detailed(site, count: int) -> tuple[Source, Platform]:
    """A list of records that each have a page."""
    site.pages["/liste"] = answer(body([0], *(site.url(f"/fiche/{n}") for n in range(count))))
    site.pages |= {f"/fiche/{n}": answer(body([n])) for n in range(count)}

    def follow(source: Source, page: Page) -> Sequence[Request]:
        return [Request(request.url, record=True) for request in next_page(source, page)]

    return a_source(site.url("/liste")), Platform("paginee", rows, follow=follow)


@pytest.mark.parametrize("status", [404, 410])
def test_the_page_of_one_record_that_is_gone_is_that_record_s_affair(
    site, store, client, status
) -> None:
    source, platform = detailed(site, 20)
    site.pages["/fiche/7"] = answer(status=status)
    harvest = run(source, store, client, platform)
    assert site.url("/fiche/7") not in [page.url for page in harvest.pages]
    assert len(harvest.pages) == 20
    again = run(source, store, client, platform, now=NOW + WEEK)
    assert again.status == "inchangee"


def test_many_records_gone_at_once_fail_the_harvest(site, store, client) -> None:
    source, platform = detailed(site, 20)
    site.pages |= {f"/fiche/{n}": answer(status=404) for n in range(4)}
    error = fails(source, store, client, platform)
    assert error.kind is FailureKind.STATUS
    assert "4 pages de fiches introuvables sur 20" in error.message


def test_the_page_of_a_record_that_is_refused_or_broken_fails_the_harvest(
    site, store, client
) -> None:
    source, platform = detailed(site, 20)
    site.pages["/fiche/7"] = answer(status=403)
    fails(source, store, client, platform)


@pytest.mark.parametrize(
    "broken",
    [
        answer(b'{"items": [2]', Content_Length="100"),
        answer(b"x", Content_Encoding="zstd"),
        answer(b"\x1f\x8b\x08\x00", Content_Encoding="gzip"),
        answer(b"x" * 200),
    ],
    ids=["cut", "encoding", "cut gzip", "over the limit"],
)
def test_a_broken_page_is_neither_read_nor_stored(site, store, client, paged, broken) -> None:
    read: list[str] = []

    def follow(source: Source, page: Page) -> Sequence[Request]:
        read.append(page.url)
        return next_page(source, page)

    def close(handler) -> None:
        broken(handler)
        handler.close_connection = True

    site.pages["/2"] = close
    source = paged.model_copy(update={"limites": paged.limites.model_copy(update={"octets": 150})})
    fails(source, store, client, Platform("paginee", rows, follow=follow))
    assert read == [site.url("/1")]
    objects = [path.name for path in (store.root / "objets").rglob("*") if path.is_file()]
    assert objects == [hashlib.sha256(body([1], site.url("/2"))).hexdigest()]


def test_a_harvest_stops_when_robots_txt_changes_its_mind(
    site, store, client, paged, time_
) -> None:
    good = run(paged, store, client)
    site.requests.clear()

    def a_day_passes_after_the_second(source: Source, page: Page) -> Sequence[Request]:
        if page.url.endswith("/2"):
            site.pages["/robots.txt"] = answer(b"User-agent: *\nDisallow: /")
            time_.now += 24 * 3600 + 1
        return next_page(source, page)

    slow = Platform("paginee", rows, follow=a_day_passes_after_the_second)
    assert fails(paged, store, client, slow, now=NOW + WEEK).kind is FailureKind.ROBOTS
    assert site.paths == ["/1", "/2"]
    assert items(replay(paged, store)) == items(good)


def test_a_bug_that_a_page_wakes_is_a_failure_on_record(site, store, client, paged) -> None:
    def buggy(source: Source, page: Page) -> Sequence[Request]:
        return [][int("1")]

    error = fails(paged, store, client, Platform("paginee", rows, follow=buggy))
    assert error.kind is FailureKind.CONTENT
    assert "IndexError" in error.message
    assert store.attempts("liste")[-1].error == FailureKind.CONTENT.value


def test_what_a_server_says_of_a_page_is_one_line_of_the_manifest(site, store, client) -> None:
    def write(handler) -> None:
        handler.wfile.write(
            b'HTTP/1.1 200 OK\r\nETag: "a\r\n {"type": "expurgation"}"\r\n'
            b'Content-Type: text/html; charset="\x0b\xe2\x80\xa8"\r\nContent-Length: 12\r\n\r\n'
            b'{"items":[]}'
        )

    site.pages["/1"] = write
    run(a_source(site.url("/1")), store, client)
    lines = (store.root / "manifeste.jsonl").read_text(encoding="utf-8").split("\n")
    assert [json.loads(line)["type"] for line in lines if line] == ["reponse", "moisson"]


def test_a_page_to_follow_on_an_undeclared_host_is_refused(site, store, client) -> None:
    site.pages["/1"] = answer(body([1], "http://127.0.0.1/"))
    assert fails(a_source(site.url("/1")), store, client).kind is FailureKind.ADDRESS
    assert site.paths == ["/1"]


def test_paging_that_never_ends_is_a_failure_not_a_cut_list(site, store, client) -> None:
    for n in range(10):
        site.pages[f"/{n}"] = answer(body([n], site.url(f"/{n + 1}")))
    source = a_source(site.url("/0"), limites={"pages": 4})
    error = fails(source, store, client)
    assert error.kind is FailureKind.PAGES
    assert "limites.pages" in error.message
    assert len(site.paths) == 4


def test_as_many_pages_as_the_limit_are_fine(site, store, client, paged) -> None:
    source = paged.model_copy(update={"limites": paged.limites.model_copy(update={"pages": 3})})
    assert len(run(source, store, client).pages) == 3


def test_a_platform_with_nothing_to_ask_is_a_failure(site, store, client, paged) -> None:
    silent = Platform("muette", rows, first=lambda source: [])
    assert fails(paged, store, client, silent).kind is FailureKind.CONTENT


def test_bytes_erased_since_are_asked_for_again(site, store, client, paged) -> None:
    done = run(paged, store, client)
    store.expunge(done.pages[0].sha256, "essai", now=NOW)
    again = run(paged, store, client, now=NOW + WEEK)
    assert "If-None-Match" not in site.requests[-3][1]
    assert items(again) == [[1], [2], [3]]
    assert again.pages[0].captured_at.startswith("2026-03-09")


def test_a_large_dump_is_harvested_and_replayed_in_little_memory(site, store, client) -> None:
    block = b"x" * 65_536

    def dump(handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(block) * 640))
        handler.end_headers()
        for _ in range(640):
            handler.wfile.write(block)

    site.pages["/dump"] = dump
    source = a_source(site.url("/dump"), limites={"octets": 50_000_000})
    tracemalloc.start()
    try:
        done = run(source, store, client, SINGLE)
        replay(source, store)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert done.pages[0].capture.size == 640 * 65_536
    assert peak < 4_000_000


def test_a_harvest_killed_between_pages_leaves_the_last_one(site, store, client, paged) -> None:
    good = run(paged, store, client)
    code = (
        "import os, sys; from pathlib import Path\n"
        "from lowtech_data.capture import Capture, Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "recorder = store.recorder('liste', '2026-03-09T00:00:00Z')\n"
        "with store.receive() as incoming: incoming.write(b'{}')\n"
        "capture = Capture('/1', '/1', incoming.sha256, 2, '2026-03-09T00:00:00Z')\n"
        "recorder.page(capture, status=200, asked_at='2026-03-09T00:00:00Z', changed=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(store.root)], check=False)
    assert killed.returncode == -9
    assert items(replay(paged, Store(store.root))) == items(good)


def test_an_interrupted_harvest_resumes_where_it_stopped(site, store, client, paged) -> None:
    third = site.pages.pop("/3")
    assert fails(paged, store, client).kind is FailureKind.STATUS
    site.pages["/3"] = third
    asked = len(site.paths)
    resumed = run(paged, Store(store.root), client, now=NOW + timedelta(hours=3))
    assert site.paths[asked:] == ["/3"]
    assert items(resumed) == [[1], [2], [3]]
    assert [page.captured_at[:13] for page in resumed.pages] == [
        "2026-03-02T10", "2026-03-02T10", "2026-03-02T13",
    ]  # fmt: skip


def test_what_was_obtained_long_ago_is_asked_for_again_on_condition(
    site, store, client, paged
) -> None:
    third = site.pages.pop("/3")
    fails(paged, store, client)
    site.pages["/3"] = third
    asked = len(site.paths)
    done = run(paged, store, client, now=NOW + WEEK)
    assert site.paths[asked:] == ["/1", "/2", "/3"]
    assert [page.captured_at[:10] for page in done.pages] == [
        "2026-03-02", "2026-03-02", "2026-03-09",
    ]  # fmt: skip


def test_a_page_that_leads_nowhere_is_asked_for_again(site, store, client, paged) -> None:
    good, site.pages["/2"] = site.pages["/2"], answer(b"<html>Maintenance</html>")
    assert fails(paged, store, client).kind is FailureKind.CONTENT
    site.pages["/2"] = good
    assert items(run(paged, store, client)) == [[1], [2], [3]]


# Files beside the registry


@pytest.fixture
def local(tmp_path: Path) -> Path:
    folder = tmp_path / "registre"
    folder.mkdir()
    (folder / "liste.geojson").write_bytes(body([1]))
    return folder


def test_a_local_file_is_one_page_dated_by_the_source(store, client, local) -> None:
    source = a_source("liste.geojson", donnees_du="2022-05-17")
    done = run(source, store, client, folder=local)
    (page,) = done.pages
    assert (done.started, done.ended, done.status) == (
        "2022-05-17T00:00:00Z",
        "2022-05-17T00:00:00Z",
        "nouvelle",
    )
    assert (page.url, page.media_type, page.captured_at) == (
        "liste.geojson",
        "application/geo+json",
        "2022-05-17T00:00:00Z",
    )
    assert page.page().body == body([1])


def test_a_local_file_without_a_date_is_of_the_day(store, client, local) -> None:
    assert run(a_source("liste.geojson"), store, client, folder=local).started == (
        "2026-03-02T00:00:00Z"
    )


@pytest.mark.parametrize("dated", [{}, {"donnees_du": "2022-05-17"}])
def test_the_same_local_bytes_change_nothing(store, client, local, dated) -> None:
    source = a_source("liste.geojson", **dated)
    first = run(source, store, client, folder=local)
    before = tree(store.root)
    again = run(source, Store(store.root), client, folder=local, now=NOW + WEEK)
    assert tree(store.root) == before
    assert again.status == "inchangee"
    assert (again.started, again.ended) == (first.started, first.ended)
    assert items(again) == items(first)
    assert replay(source, Store(store.root)).status == "nouvelle"


def test_new_local_bytes_or_a_new_date_are_a_new_harvest(store, client, local) -> None:
    run(a_source("liste.geojson", donnees_du="2022-05-17"), store, client, folder=local)
    (local / "liste.geojson").write_bytes(body([2]))
    changed = run(a_source("liste.geojson", donnees_du="2022-05-17"), store, client, folder=local)
    assert (changed.status, items(changed)) == ("nouvelle", [[2]])
    dated = run(a_source("liste.geojson", donnees_du="2023-01-01"), store, client, folder=local)
    assert dated.pages[0].captured_at == "2023-01-01T00:00:00Z"


def test_a_local_folder_is_its_files_in_order(store, client, local) -> None:
    pages = local / "pages"
    (pages / "b").mkdir(parents=True)
    for name in ("z.json", "b/1.json", "a.json"):
        (pages / name).write_bytes(body([name]))
    done = run(a_source("pages/"), store, client, folder=local)
    assert [page.url for page in done.pages] == ["pages/a.json", "pages/b/1.json", "pages/z.json"]
    assert items(done) == [["a.json"], ["b/1.json"], ["z.json"]]
    (pages / "a.json").unlink()
    assert len(run(a_source("pages/"), store, client, folder=local).pages) == 2


def test_links_are_refused_wherever_they_are(store, client, local, tmp_path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_bytes(b"{}")
    (local / "pages").mkdir()
    (local / "pages" / "lien.json").symlink_to(secret)
    (local / "alias.json").symlink_to(local / "liste.geojson")
    (local / "dehors.json").symlink_to(secret)
    (local / "dossier").symlink_to(local / "pages")
    for url in ("pages", "alias.json", "dehors.json", "dossier/lien.json", "../secret.json"):
        assert fails(a_source(url), store, client, folder=local).kind is FailureKind.FILE


def test_a_special_file_is_refused_not_waited_for(store, client, local) -> None:
    (local / "pages").mkdir()
    os.mkfifo(local / "pages" / "tube")
    assert fails(a_source("pages"), store, client, folder=local).kind is FailureKind.FILE


def test_missing_and_empty_and_too_large_are_failures_on_record(store, client, local) -> None:
    (local / "vide").mkdir()
    expected = [
        (a_source("absent.json"), FailureKind.FILE),
        (a_source("vide"), FailureKind.FILE),
        (a_source("liste.geojson", limites={"octets": 3}), FailureKind.SIZE),
    ]
    for source, kind in expected:
        assert fails(source, store, client, folder=local).kind is kind
    recorded = [attempt.error for attempt in Store(store.root).attempts("liste")]
    assert recorded == [kind.value for _, kind in expected]


def test_more_files_than_the_limit_are_a_failure(store, client, local) -> None:
    (local / "pages").mkdir()
    for n in range(3):
        (local / "pages" / f"{n}.json").write_bytes(body([n]))
    source = a_source("pages", limites={"pages": 2})
    assert fails(source, store, client, folder=local).kind is FailureKind.PAGES


def test_local_bytes_erased_since_are_received_again(store, client, local) -> None:
    source = a_source("liste.geojson")
    done = run(source, store, client, folder=local)
    store.expunge(done.pages[0].sha256, "essai", now=NOW)
    with pytest.raises(CaptureError) as failure:
        replay(source, store).pages[0].page()
    assert failure.value.kind is FailureKind.EXPUNGED
    again = run(source, store, client, folder=local)
    assert items(again) == [[1]]
    assert items(replay(source, Store(store.root))) == [[1]]
