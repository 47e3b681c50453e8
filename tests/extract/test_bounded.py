"""What the child process promises: the same reading, within bounds, and no trace of it after."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from lowtech_data import capture, snapshot
from lowtech_data.extract import PLATFORMS, extract
from lowtech_data.extract.base import BATCH_ROWS, PayloadError
from lowtech_data.extract.bounded import (
    GROWN_BYTES,
    BoundError,
    Reader,
    ReaderBugError,
    seconds_for,
)
from lowtech_data.registry import Source
from tests.conftest import Project, place_rows

from .support import FIXTURES, make_page, make_source

HOSTILE = "tests.extract.hostile_platforms:PLATFORMS"
BAD = "https://example.org/malsain.csv"
GOOD = "https://example.org/bon.csv"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def reader() -> Iterator[Reader]:
    reader = Reader(HOSTILE)
    yield reader
    reader.close()


@pytest.fixture
def keep(tmp_path: Path) -> Callable[..., list[capture.HarvestedPage]]:
    store = capture.Store(tmp_path / "captures")

    def kept(*pages: tuple[str, bytes]) -> list[capture.HarvestedPage]:
        found = []
        for url, body in pages:
            with store.receive() as incoming:
                incoming.write(body)
            sha256 = incoming.sha256
            at = "2026-11-01T00:00:00Z"
            found.append(
                capture.HarvestedPage(store, capture.Capture(url, url, sha256, len(body), at))
            )
        return found

    return kept


def faulty(platform: str, lecture_s: float | None = 2, **changes: Any) -> Source:
    champs = {"cle_source": "id", "nom": "nom"}
    limites = {"lecture_s": lecture_s}
    return make_source(platform, champs=champs, limites=limites, **changes)


def children(pid: int) -> set[int]:
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == pid and state != "Z":
            found.add(int(stat.parent.name))
    return found


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


@pytest.mark.parametrize(
    ("platform", "fixture", "changes"),
    [
        (
            "html_listing",
            "liste.html",
            {
                "options": {"fiche": "li", "champs": {"id": "@data-id", "nom": "h2"}},
                "champs": {"cle_source": "id", "nom": "nom"},
            },
        ),
        ("gogocarto", "gogofull.json", {}),
    ],
)
def test_the_child_reads_as_this_process_does(
    platform: str, fixture: str, changes: dict[str, Any], reader: Reader, keep: Any
) -> None:
    source = make_source(platform, **changes)
    pages = keep(*((f"https://example.org/{n}", (FIXTURES / fixture).read_bytes()) for n in "ab"))
    here = extract(source, PLATFORMS[platform], [page.page() for page in pages])
    assert here.fiches.num_rows
    assert reader.extract(source, pages) == here


def test_a_long_listing_comes_back_whole_and_in_order(reader: Reader, keep: Any) -> None:
    lines = (f"{n},Atelier {n}" for n in range(2 * BATCH_ROWS + 1, 0, -1))
    pages = keep((GOOD.replace("bon", "long"), "\n".join(["id,nom", *lines]).encode()))
    source = faulty("csv", lecture_s=60)
    here = extract(source, PLATFORMS["csv"], [page.page() for page in pages])
    found = reader.extract(source, pages)
    assert found.fiches.equals(here.fiches)
    assert found.rejects.equals(here.rejects)
    assert found.read == found.fiches.num_rows == 2 * BATCH_ROWS + 1


def test_the_child_of_a_large_process_is_kept(keep: Any) -> None:
    before = children(os.getpid())
    ballast = bytearray(b"x") * (GROWN_BYTES + 2**26)
    reader = Reader()
    try:
        started = []
        for _ in range(2):
            reader.extract(make_source("json"), keep(("https://example.org/a", b"[]")))
            time.sleep(0.2)
            started.append(children(os.getpid()) - before)
        assert started[0] == started[1]
        assert len(started[0]) == 1
    finally:
        reader.close()
    assert len(ballast) > GROWN_BYTES


def test_a_refusal_says_the_same_as_in_this_process(reader: Reader, keep: Any) -> None:
    source = make_source("json")
    pages = keep((BAD, b"<title>Maintenance</title>"))
    with pytest.raises(PayloadError) as here:
        extract(source, PLATFORMS["json"], [pages[0].page()])
    with pytest.raises(PayloadError) as there:
        reader.extract(source, pages)
    assert str(there.value) == str(here.value)


@pytest.mark.parametrize(
    ("platform", "said"),
    [
        ("hang", r"lecture arrêtée au bout de 2 s \(limites.lecture_s\) .*augmenter"),
        ("spin", r"lecture arrêtée au bout de 2 s"),
        ("eat", r"lecture arrêtée à 1024 Mio de mémoire .*vérifier"),
        ("crash", r"s’est arrêtée net \(SIGSEGV\) .*en_pause"),
        ("leave", r"s’est arrêtée net \(code 0\)"),
    ],
)
def test_a_parser_that_fails_is_a_refusal_of_its_page_and_the_next_source_is_read(
    platform: str, said: str, reader: Reader, keep: Any
) -> None:
    start = time.monotonic()
    lecture_s = 2 if platform in {"hang", "spin"} else 60
    with pytest.raises(BoundError, match=f"^source essai : {BAD} : .*{said}"):
        reader.extract(faulty(platform, lecture_s), keep((GOOD, b"1"), (BAD, b"2")))
    assert time.monotonic() - start < 20
    assert reader.extract(faulty(platform), keep((GOOD, b"1"))).fiches.num_rows == 1


def test_a_bug_is_told_without_what_the_payload_holds(reader: Reader, keep: Any) -> None:
    with pytest.raises(ReaderBugError) as caught:
        reader.extract(faulty("bug"), keep((BAD, b"secrete@example.org 06 12 34 56 78")))
    assert "hostile_platforms.py, ligne" in str(caught.value)
    assert "ZeroDivisionError : lecture de" in str(caught.value)
    assert "in _bug" in caught.value.trace
    assert "ValueError" in caught.value.trace
    for told in (str(caught.value), caught.value.trace):
        assert "secrete" not in told
        assert "34" not in told.partition("ZeroDivisionError")[2]


def test_a_fault_of_the_machine_stays_one(reader: Reader, keep: Any) -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        reader.extract(faulty("disk"), keep((BAD, b"")))
    assert (caught.value.errno, caught.value.filename) == (28, "/disque")


def test_altered_bytes_are_refused_before_anything_starts(reader: Reader, keep: Any) -> None:
    page = keep((GOOD, b"1"))[0]
    with page.store.open(page.sha256) as file:
        path = Path(file.name)
    path.write_bytes(b"2")
    before = children(os.getpid())
    with pytest.raises(capture.CaptureError, match="empreinte"):
        reader.extract(faulty("hang"), [page])
    assert children(os.getpid()) == before


def test_one_child_serves_all_sources_and_threads(reader: Reader, keep: Any) -> None:
    before = children(os.getpid())
    pages = keep((GOOD, b"1"))
    with ThreadPoolExecutor(4) as executor:
        jobs = [executor.submit(reader.extract, faulty("hang"), pages) for _ in range(8)]
        assert all(job.result().fiches.num_rows == 1 for job in jobs)
    assert len(children(os.getpid()) - before) == 1
    reader.close()
    assert children(os.getpid()) == before


def test_a_child_without_work_ends_and_another_one_comes(keep: Any) -> None:
    before = children(os.getpid())
    reader = Reader(HOSTILE, idle_s=0.05)
    pages = keep((GOOD, b"1"))
    for _ in range(2):
        assert reader.extract(faulty("hang"), pages).fiches.num_rows == 1
        assert within(5, lambda: children(os.getpid()) == before)
    reader.close()


def test_a_child_that_cannot_start_is_a_fault_of_the_machine(keep: Any) -> None:
    reader = Reader("nulle_part:RIEN")
    with pytest.raises(OSError, match="ne démarre pas"):
        reader.extract(faulty("hang"), keep((GOOD, b"1")))


ORPHAN = """
import signal, sys
from lowtech_data.extract.bounded import Reader
from tests.extract.support import make_page, make_source

# Shells start what runs in the background deaf to Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
source = make_source(sys.argv[1], limites={"lecture_s": 600})
Reader("tests.extract.hostile_platforms:PLATFORMS").follow(source, make_page("x"))
"""


@pytest.mark.parametrize("platform", ["hang", "spin"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_the_child_never_outlives_its_parent(number: signal.Signals, platform: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", ORPHAN, platform], stderr=subprocess.PIPE, cwd=ROOT
    )
    assert parent.stderr
    assert parent.stderr.readline() == b"occupe\n"
    (child,) = children(parent.pid)
    parent.send_signal(number)
    # The child holds this pipe too: its end is the end of both.
    parent.communicate(timeout=10)
    assert within(5, lambda: not Path(f"/proc/{child}/exe").exists())


def test_next_pages_are_looked_for_in_the_child(reader: Reader) -> None:
    options = {"fiche": "li", "champs": {"nom": "."}, "suivant": "a"}
    source = make_source("html_listing", options=options)
    platform = reader.following(PLATFORMS["html_listing"])
    page = make_page('<html><a href="?page=2">suite</a>')
    assert platform.follow(source, page) == PLATFORMS["html_listing"].follow(source, page)
    assert reader.following(PLATFORMS["csv"]) is PLATFORMS["csv"]
    with pytest.raises(PayloadError, match="ZeroDivisionError"):
        reader.follow(faulty("bug"), page)
    with pytest.raises(BoundError, match=r"https://example.org/liste : lecture arrêtée"):
        reader.follow(faulty("hang", 0.5), page)


def test_a_replay_of_the_same_bytes_starts_nothing(
    project: Project, noon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.listing("alpha", place_rows("a"))
    reader = Reader()
    monkeypatch.setattr(snapshot, "READER", reader)
    registry = project.registry()
    before = children(os.getpid())

    def refresh() -> str:
        source = registry["alpha"]
        return snapshot.refresh(source, registry, project.warehouse, now=noon, client=None).status

    assert refresh() == "ok"
    assert len(children(os.getpid()) - before) == 1
    reader.close()
    assert refresh() == "inchangee"
    assert children(os.getpid()) == before


def test_the_time_grows_with_the_size_unless_the_source_says() -> None:
    source = make_source("json")
    assert seconds_for(source, 0) == 5
    assert seconds_for(source, 2_000_000) == 25
    assert seconds_for(make_source("json", limites={"lecture_s": 90}), 10**9) == 90
