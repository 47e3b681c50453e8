"""A new release is taken up without losing a request, and each answer is wholly of one release."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from lowtech_data.site import build_app
from lowtech_data.site.release import Release, ReleaseError, Switch

from .conftest import client_of, publish, write_release


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A warehouse with two releases whose every name says which; the first is current."""
    first = write_release(tmp_path, "2026-01-01-unununun", marker=" [un]")
    second = write_release(tmp_path, "2026-02-02-deuxdeux", marker=" [deux]")
    publish(first)
    return tmp_path, first, second


def _release_of(text: str) -> set[str]:
    return {word for word in ("un", "deux") if f"[{word}]" in text}


async def _until_served(app: Any, folder: Path) -> None:
    async with asyncio.timeout(60), client_of(app) as client:
        while folder.name not in (await client.get("/sources")).headers["etag"]:
            await asyncio.sleep(0.02)


def test_no_request_is_lost_and_no_answer_mixes_releases(two: tuple[Path, Path, Path]) -> None:
    warehouse, first, second = two
    paths = [
        "/",
        "/initiatives",
        "/i/lt-0000000001a",
        "/initiatives.json",
        "/lowtech/initiatives",
        "/lowtech/initiatives.json?_shape=array",
        "/lowtech/initiatives_commune?commune=35238",
    ]

    async def scenario() -> list[tuple[int, str, str]]:
        app = build_app(warehouse)
        seen: list[tuple[int, str, str]] = []
        stop = asyncio.Event()

        async def reader(offset: int) -> None:
            async with client_of(app) as client:
                count = offset
                while not stop.is_set():
                    path = paths[count % len(paths)]
                    answer = await client.get(path)
                    seen.append((answer.status_code, answer.headers["etag"], answer.text))
                    count += 1

        readers = [asyncio.create_task(reader(number)) for number in range(4)]
        for folder in (second, first, second):
            await asyncio.sleep(0.3)
            publish(folder)
            await _until_served(app, folder)
        stop.set()
        await asyncio.gather(*readers)
        await app.close()
        return seen

    seen = asyncio.run(scenario())
    assert {status for status, _, _ in seen} == {200}
    for _, etag, text in seen:
        assert _release_of(text) == ({"un"} if "unununun" in etag else {"deux"})
    assert {"unununun" in etag for _, etag, _ in seen} == {True, False}


def test_the_first_request_after_a_publication_gets_it(two: tuple[Path, Path, Path]) -> None:
    warehouse, _, second = two

    async def scenario() -> str:
        app = build_app(warehouse)
        async with client_of(app) as client:
            await client.get("/sources")
            publish(second)
            tag = (await client.get("/sources")).headers["etag"]
        await app.close()
        return tag

    assert second.name in asyncio.run(scenario())


def test_old_connections_and_threads_end_after_a_switch(two: tuple[Path, Path, Path]) -> None:
    warehouse, first, second = two

    async def scenario() -> tuple[int, int]:
        app = build_app(warehouse)
        async with client_of(app) as client:
            await client.get("/initiatives")
            before = threading.active_count()
            for folder in (second, first, second, first):
                publish(folder)
                await _until_served(app, folder)
            after = threading.active_count()
            for _ in range(200):
                if (after := threading.active_count()) <= before + 6:
                    break
                await asyncio.sleep(0.05)
        await app.close()
        return before, after

    before, after = asyncio.run(scenario())
    assert after <= before + 6  # threads of the event loop's own pool


def test_a_broken_release_leaves_the_former_one_served(two: tuple[Path, Path, Path]) -> None:
    warehouse, _, second = two
    (second / "index.json").write_text("{", encoding="utf-8")

    async def scenario() -> list[set[str]]:
        app = build_app(warehouse)
        async with client_of(app) as client:
            await client.get("/")
            publish(second)
            found = []
            for _ in range(5):
                found.append(_release_of((await client.get("/initiatives")).text))
                await asyncio.sleep(0.05)
        await app.close()
        return found

    assert asyncio.run(scenario()) == [{"un"}] * 5


def test_a_cursor_of_a_former_release_is_gone(two: tuple[Path, Path, Path]) -> None:
    warehouse, _, _ = two

    async def scenario() -> tuple[int, str]:
        app = build_app(warehouse)
        async with client_of(app) as client:
            answer = await client.get("/initiatives?apres=lt-0000000001a&version=2020-01-01-x")
        await app.close()
        return answer.status_code, answer.text

    status, text = asyncio.run(scenario())
    assert status == 410
    assert "nouvelle version" in text


def test_the_etag_names_the_release_and_spares_the_answer(two: tuple[Path, Path, Path]) -> None:
    warehouse, _, _ = two

    async def scenario() -> Any:
        app = build_app(warehouse)
        async with client_of(app) as client:
            first = await client.get("/initiatives")
            again = await client.get(
                "/initiatives", headers={"if-none-match": first.headers["etag"]}
            )
        await app.close()
        return first, again

    first, again = asyncio.run(scenario())
    assert first.headers["etag"].startswith('"2026-01-01-unununun.')
    assert again.status_code == 304
    assert again.content == b""


def test_no_release_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="lowtech run"):
        build_app(tmp_path)


@pytest.mark.parametrize("index", ["[]", "{}", '{"version": "x", "fichiers": [{}]}'])
def test_an_index_that_is_not_one_is_named(tmp_path: Path, index: str) -> None:
    (tmp_path / "index.json").write_text(index, encoding="utf-8")
    with pytest.raises(ReleaseError, match=r"index\.json"):
        Release.read(tmp_path)


def test_a_release_without_its_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text(json.dumps({"version": "x", "fichiers": []}), "utf-8")
    with pytest.raises(ReleaseError, match=r"lowtech\.sqlite"):
        Release.read(tmp_path)


def test_a_site_is_closed_only_after_its_last_request(tmp_path: Path) -> None:
    class Dummy:
        def __init__(self, release: Release) -> None:
            self.tag = release.version
            self.closed = False

        @property
        def app(self) -> Any:
            raise AssertionError

        async def warm(self) -> None:
            await asyncio.sleep(0)

        def close(self) -> None:
            self.closed = True

    for version in ("a", "b"):
        folder = tmp_path / version
        folder.mkdir()
        (folder / "lowtech.sqlite").write_bytes(b"")
        (folder / "index.json").write_text(json.dumps({"version": version, "fichiers": []}))

    async def scenario() -> None:
        _link(tmp_path, "a")
        opened: list[Dummy] = []

        def open_site(release: Release) -> Dummy:
            opened.append(Dummy(release))
            return opened[-1]

        switch = Switch(tmp_path, open_site)
        async with switch.current() as slow:
            _link(tmp_path, "b")
            for _ in range(50):
                async with switch.current() as site:
                    if site.tag == "b":
                        break
                await asyncio.sleep(0.01)
            assert site.tag == "b"
            assert slow is opened[0]
            assert not opened[0].closed
        await asyncio.sleep(0.1)
        assert opened[0].closed
        await switch.close()
        assert opened[1].closed

    asyncio.run(scenario())


def _link(folder: Path, name: str) -> None:
    link = folder / "courante"
    link.unlink(missing_ok=True)
    link.symlink_to(name)
