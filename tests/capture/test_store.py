"""What was received stays, and a crash loses nothing that was written."""

from __future__ import annotations

import hashlib
import json
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lowtech_data.capture import Capture, CaptureError, FailureKind, Store, instant
from lowtech_data.model import TABLES, codes_of

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
EARLIER, LATER = "2026-03-01T00:00:00Z", "2026-03-08T00:00:00Z"


def keep(store: Store, body: bytes) -> str:
    with store.receive() as incoming:
        incoming.write(body)
    return incoming.sha256


def record(
    store: Store, bodies: dict[str, bytes], started: str = EARLIER, source_id: str = "liste"
) -> None:
    """A complete harvest of these pages, all new."""
    recorder = store.recorder(source_id, started)
    for url, body in bodies.items():
        capture = Capture(
            url=url,
            final_url=url,
            sha256=keep(store, body),
            size=len(body),
            captured_at=started,
            media_type="application/json",
            robots="absent",
        )
        recorder.page(capture, status=200, asked_at=started, changed=True)
    recorder.complete(ended=started, unchanged=False)


def manifest(store: Store) -> Path:
    return store.root / "manifeste.jsonl"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "captures")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chunks=st.lists(st.binary(max_size=200), max_size=8))
def test_bytes_are_found_again_under_their_hash(store: Store, chunks: list[bytes]) -> None:
    with store.receive() as incoming:
        for chunk in chunks:
            incoming.write(chunk)
    body = b"".join(chunks)
    assert incoming.sha256 == hashlib.sha256(body).hexdigest()
    assert incoming.size == len(body)
    assert Store(store.root).read(incoming.sha256) == body


def test_the_folder_is_closed_to_other_accounts(store: Store) -> None:
    sha256 = keep(store, b"x")
    store.recorder("liste", EARLIER).complete(ended=EARLIER, unchanged=False)
    path = store.root / "objets" / sha256[:2] / sha256
    for folder in (store.root, path.parent.parent, path.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in (path, manifest(store)):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_reading_creates_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "captures")
    assert store.last_complete("liste") is None
    assert store.captures().num_rows == 0
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_reception_leaves_nothing(store: Store) -> None:
    def interrupted() -> None:
        with store.receive() as incoming:
            incoming.write(b"debut")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list((store.root / "objets").iterdir()) == []


def test_a_killed_reception_is_swept_before_the_next_one(store: Store) -> None:
    code = (
        "import os, sys; from pathlib import Path; from lowtech_data.capture import Store\n"
        "with Store(Path(sys.argv[1])).receive() as incoming:\n"
        "    incoming.write(b'x' * 100_000)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(store.root)], check=False)
    assert len(list((store.root / "objets").iterdir())) == 1
    sha256 = keep(Store(store.root), b"suivant")
    assert [item.name for item in (store.root / "objets").iterdir()] == [sha256[:2]]


@pytest.mark.parametrize("name", ["../../../etc/passwd", "", "a" * 63, "A" * 64, "é" * 64])
def test_only_hashes_name_objects(store: Store, name: str) -> None:
    with pytest.raises(CaptureError) as failure:
        store.read(name)
    assert failure.value.kind is FailureKind.MISSING


def test_missing_and_altered_bytes_are_told_apart(store: Store) -> None:
    with pytest.raises(CaptureError) as failure:
        store.read("0" * 64)
    assert failure.value.kind is FailureKind.MISSING
    sha256 = keep(store, b"x")
    (store.root / "objets" / sha256[:2] / sha256).write_bytes(b"y")
    with pytest.raises(CaptureError) as failure:
        store.read(sha256)
    assert failure.value.kind is FailureKind.CORRUPT
    keep(store, b"x")
    assert store.read(sha256) == b"x"


# The manifest


def test_the_last_complete_harvest_survives_later_failures(store: Store) -> None:
    record(store, {"/1": b"a", "/2": b"b"})
    failed = store.recorder("liste", LATER)
    failed.page(
        Capture("/1", "/1", keep(store, b"c"), 1, LATER), status=200, asked_at=LATER, changed=True
    )
    error = CaptureError(FailureKind.STATUS, "HTTP 500")
    failed.failed_page("/2", error, asked_at=LATER)
    failed.failed(error, ended=LATER)
    for seen in (store, Store(store.root)):
        reference = seen.last_complete("liste")
        assert [(c.url, seen.read(c.sha256)) for c in reference.captures] == [
            ("/1", b"a"),
            ("/2", b"b"),
        ]
        assert [(a.started, a.complete, a.error, a.message) for a in seen.attempts("liste")] == [
            (EARLIER, True, None, None),
            (LATER, False, "statut_http", "HTTP 500"),
        ]


def test_what_a_killed_harvest_wrote_is_no_part_of_the_next(store: Store) -> None:
    killed = store.recorder("liste", EARLIER)
    killed.page(
        Capture("/1", "/1", keep(store, b"a"), 1, EARLIER),
        status=200,
        asked_at=EARLIER,
        changed=True,
    )
    again = Store(store.root)
    assert again.last_complete("liste") is None
    record(again, {"/1": b"b"})
    reference = Store(store.root).last_complete("liste")
    assert [store.read(c.sha256) for c in reference.captures] == [b"b"]


def test_harvests_of_several_sources_may_interleave(store: Store) -> None:
    first, second = store.recorder("a1", EARLIER), store.recorder("b2", EARLIER)
    for rank in range(2):
        for recorder in (first, second):
            url = f"/{rank}"
            recorder.page(
                Capture(url, url, keep(store, url.encode()), 2, EARLIER),
                status=200,
                asked_at=EARLIER,
                changed=True,
            )
    second.complete(ended=EARLIER, unchanged=False)
    again = Store(store.root)
    assert [c.url for c in again.last_complete("b2").captures] == ["/0", "/1"]
    assert again.last_complete("a1") is None


def test_a_line_cut_anywhere_costs_that_line_only(store: Store) -> None:
    record(store, {"/1": b"a"})
    record(store, {"/1": b"b"}, LATER)
    content = manifest(store).read_bytes()
    before_last = content[: content.rstrip(b"\n").rfind(b"\n") + 1]
    for cut in range(len(before_last), len(content) + 1):
        manifest(store).write_bytes(content[:cut])
        again = Store(store.root)
        whole = cut >= len(content) - 1
        assert again.last_complete("liste").started == (LATER if whole else EARLIER)
        assert manifest(store).read_bytes() == content[:cut], "reading must not write"
        record(again, {"/2": b"c"}, "2026-03-09T00:00:00Z")
        lines = manifest(store).read_bytes()
        assert lines.startswith(content if whole else before_last)
        assert all(isinstance(json.loads(line), dict) for line in lines.splitlines())
        assert Store(store.root).last_complete("liste").captures[0].url == "/2"


@pytest.mark.parametrize("damage", [b"\x00garbage\n", b'{"type": "inconnu"}\n', b"[]\n"])
def test_damage_elsewhere_is_shown_with_its_line(store: Store, damage: bytes) -> None:
    record(store, {"/1": b"a"})
    content = manifest(store).read_bytes()
    manifest(store).write_bytes(content + damage + content)
    with pytest.raises(CaptureError, match=r"manifeste\.jsonl:3 : ") as failure:
        Store(store.root)
    assert failure.value.kind is FailureKind.CORRUPT


def test_a_lost_line_is_noticed(store: Store) -> None:
    record(store, {"/1": b"a", "/2": b"b"})
    lines = manifest(store).read_bytes().splitlines(keepends=True)
    manifest(store).write_bytes(lines[0] + lines[2])
    with pytest.raises(CaptureError, match="2 pages annoncées, 1 trouvées"):
        Store(store.root)


# What is published, and what is erased


def test_captures_are_rows_of_the_published_table_in_total_order(store: Store) -> None:
    record(store, {"/2": b"b", "/1": b"a"}, source_id="zz")
    record(store, {"/1": b"a"}, LATER, source_id="aa")
    table = store.captures()
    assert table.schema == TABLES["captures"].arrow_schema()
    rows = table.to_pylist()
    assert [(r["source_id"], r["url"], r["capture_le"]) for r in rows] == [
        ("aa", "/1", LATER),
        ("zz", "/1", EARLIER),
        ("zz", "/2", EARLIER),
    ]
    keys = [tuple(row[name] for name in TABLES["captures"].key) for row in rows]
    assert len(set(keys)) == len(keys)
    assert {row["etat"] for row in rows} <= codes_of("capture_etat")
    assert Store(store.root).captures() == table


def test_erased_bytes_are_gone_and_the_erasure_is_stated(store: Store) -> None:
    record(store, {"/1": b"jeanne@exemple.test", "/2": b"b"})
    sha256 = hashlib.sha256(b"jeanne@exemple.test").hexdigest()
    store.expunge(sha256, "demande d’effacement", now=NOW)
    for seen in (store, Store(store.root)):
        with pytest.raises(CaptureError) as failure:
            seen.read(sha256)
        assert failure.value.kind is FailureKind.EXPUNGED
        assert not seen.has(sha256)
        states = {row["url"]: row["etat"] for row in seen.captures().to_pylist()}
        assert states == {"/1": "expurgee", "/2": "conservee"}
    stored = b"".join(p.read_bytes() for p in store.root.rglob("*") if p.is_file())
    assert b"jeanne" not in stored
    assert "demande d’effacement".encode() in stored


def test_bytes_received_again_after_an_erasure_are_kept_again(store: Store) -> None:
    record(store, {"/1": b"x"})
    sha256 = hashlib.sha256(b"x").hexdigest()
    store.expunge(sha256, "essai", now=NOW)
    record(store, {"/1": b"x"}, LATER)
    assert Store(store.root).read(sha256) == b"x"


def test_only_what_was_received_can_be_erased(store: Store) -> None:
    with pytest.raises(CaptureError) as failure:
        store.expunge("0" * 64, "essai", now=NOW)
    assert failure.value.kind is FailureKind.MISSING


def test_instants_are_utc_to_the_second() -> None:
    paris = datetime(2026, 7, 1, 14, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))
    assert instant(paris) == "2026-07-01T12:00:00Z"
    with pytest.raises(ValueError, match="fuseau"):
        instant(datetime(2026, 7, 1))  # noqa: DTZ001 — the fault under test
