"""Faults of the machine: closed folders, full disks, broken downloads.

Root writes everywhere, which hides the first: checks run in a child process that is nobody.
"""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lowtech_data.capture import CaptureError, FailureKind, Store, harvest, replay
from lowtech_data.extract.base import Platform
from lowtech_data.registry import Registry

from .conftest import a_source, answer
from .test_store import EARLIER, LATER, keep, manifest, record

NOBODY = 65534
NOW = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
PLATFORM = Platform("simple", lambda source, page: [])


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every account reaches, unlike pytest's own."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    path.chmod(0o755)
    shutil.rmtree(path)


def in_a_child(check: Callable[[], None]) -> None:
    """Run a check in a child process without privileges, and fail with what it says."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            check()
            code = 0
        except BaseException:
            os.write(writing, traceback.format_exc().encode()[:60_000])
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as report:
        told = report.read().decode()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, told


def belongs_to_nobody(folder: Path) -> None:
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)


def test_a_folder_that_cannot_be_written_is_a_fault_of_the_machine(folder: Path) -> None:
    folder.chmod(0o555)

    def check() -> None:
        with pytest.raises(PermissionError) as caught:
            keep(Store(folder / "captures"), b"x")
        assert str(folder) in str(caught.value)

    in_a_child(check)
    assert list(folder.iterdir()) == []


def test_a_store_that_became_read_only_can_still_be_replayed(folder: Path) -> None:
    store = Store(folder / "captures")
    record(store, {"/1": b"a"})
    belongs_to_nobody(folder)
    for path in (store.root, store.root / "objets"):
        path.chmod(0o500)
    manifest(store).chmod(0o400)

    def check() -> None:
        again = Store(store.root)
        assert replay(a_source("https://liste.test/"), again).bodies[0].body == b"a"
        with pytest.raises(PermissionError):
            keep(again, b"b")
        with pytest.raises(PermissionError):
            again.recorder("liste", LATER).complete(ended=LATER, unchanged=True)

    in_a_child(check)
    for path in (store.root, store.root / "objets"):
        path.chmod(0o700)
    assert Store(store.root).last_complete("liste").started == EARLIER


def test_another_account_reads_nothing_of_the_captures(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be another account")
    store = Store(folder / "captures")
    record(store, {"/1": b"a"})
    sha256 = store.last_complete("liste").captures[0].sha256

    def check() -> None:
        for path in (store.root / "objets" / sha256[:2] / sha256, manifest(store)):
            with pytest.raises(PermissionError):
                path.read_bytes()

    in_a_child(check)


def test_an_unreadable_local_file_is_a_failure_of_the_source(folder: Path) -> None:
    (folder / "liste.json").write_bytes(b"{}")
    (folder / "liste.json").chmod(0)
    (folder / "travail").mkdir()
    belongs_to_nobody(folder / "travail")
    source = a_source("liste.json")
    registry = Registry(folder / "sources.yaml", (source,))

    def check() -> None:
        store = Store(folder / "travail" / "captures")
        with pytest.raises(CaptureError) as caught:
            harvest(source, PLATFORM, registry, store, None, now=NOW)
        assert caught.value.kind is FailureKind.FILE
        assert "liste.json" in caught.value.message

    in_a_child(check)


def with_room_for(size: int, do: Callable[[], None]) -> None:
    """Run under a limit on the size of files, which fails a write as a full disk does: midway."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        do()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)


def test_a_disk_that_fills_up_during_a_download_leaves_nothing_of_it(
    folder: Path, site, client
) -> None:
    site.pages["/liste"] = answer(b"a")
    source = a_source(site.url("/liste"))
    registry = Registry(folder / "sources.yaml", (source,))
    store = Store(folder / "captures")
    harvest(source, PLATFORM, registry, store, client, now=NOW)
    site.pages["/liste"] = answer(b"b" * 1_000_000)

    def full() -> None:
        with pytest.raises(OSError, match="File too large"):
            harvest(source, PLATFORM, registry, store, client, now=NOW)

    before = {path for path in store.root.rglob("*") if path.is_file()}
    with_room_for(100_000, full)
    assert {path for path in store.root.rglob("*") if path.is_file()} == before
    assert replay(source, Store(store.root)).bodies[0].body == b"a"
    harvested = harvest(source, PLATFORM, registry, store, client, now=NOW)
    assert len(harvested.bodies[0].body) == 1_000_000


def test_a_disk_that_fills_up_in_a_line_of_the_manifest_spoils_no_other(folder: Path) -> None:
    store = Store(folder / "captures")
    record(store, {"/1": b"a"})
    whole = manifest(store).read_bytes()
    recorder = store.recorder("liste", LATER)

    def full() -> None:
        with pytest.raises(OSError, match="File too large"):
            recorder.complete(ended=LATER, unchanged=True)

    with_room_for(len(whole) + 20, full)
    assert manifest(store).read_bytes() == whole
    record(store, {"/1": b"b"}, LATER)
    assert Store(store.root).last_complete("liste").started == LATER
