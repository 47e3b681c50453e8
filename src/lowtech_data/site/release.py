"""Releases on disk, and the switch from one to the next without losing a request."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

logger = logging.getLogger("lowtech_data.site")

RETRY_S = 5.0
"""Pause before a release that could not be opened is tried again."""
PATIENCE_S = 1.0
"""How long a request waits for a release that is being opened, before the former one answers it."""


class ReleaseError(Exception):
    """There is no release to serve, or what is there is not one."""


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """One downloadable file of a release, as `index.json` names it."""

    name: str
    """Path inside the release, with `/`."""
    size: int
    """Bytes."""
    sha256: str
    media_type: str


@dataclass(frozen=True, slots=True)
class Release:
    """A published version on disk."""

    version: str
    date: str | None
    folder: Path
    files: dict[str, ReleaseFile]

    @property
    def database(self) -> Path:
        """The SQLite file that is served."""
        return self.folder / "lowtech.sqlite"

    @classmethod
    def read(cls, folder: Path) -> Release:
        """The release in this folder. Raises `ReleaseError` saying what is missing."""
        path = folder / "index.json"
        try:
            index = json.loads(path.read_text("utf-8"))
            files = [_file(entry) for entry in index["fichiers"]]
            release = cls(
                version=str(index["version"]),
                date=index.get("date"),
                folder=folder,
                files={file.name: file for file in files},
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ReleaseError(
                f"{path} : index de version illisible ({error!r}). Attendu : un objet avec "
                "« version » et « fichiers » (chemin, octets, sha256, type). "
                "Publiez de nouveau avec `lowtech run`."
            ) from error
        if not release.database.is_file():
            raise ReleaseError(f"{release.database} : base absente de la version.")
        return release


def _file(entry: dict[str, Any]) -> ReleaseFile:
    return ReleaseFile(
        name=str(entry["chemin"]),
        size=int(entry["octets"]),
        sha256=str(entry["sha256"]),
        media_type=str(entry["type"]),
    )


class Site(Protocol):
    """What serves one release."""

    tag: str
    """Names the release and the code that renders it: two answers with one tag are equal."""

    @property
    def app(self) -> Callable[..., Any]:
        """The ASGI application of this release."""

    async def warm(self) -> None:
        """Do once what must be done before the first request."""

    def close(self) -> None:
        """Close connections and threads; blocks until they are idle."""


class Switch:
    """Gives each request the newest release, and closes the former once its last request ends."""

    def __init__(self, releases: Path, open_site: Callable[[Release], Site]) -> None:
        """Open the release that `courante` points to. Raises `ReleaseError` without one."""
        self._link = releases / "courante"
        self._open_site = open_site
        self._target = self._read_link()
        if self._target is None:
            raise ReleaseError(
                f"{self._link} : aucune version publiée. Lancez d’abord `lowtech run` "
                "avec le même --warehouse."
            )
        self._site = open_site(Release.read(self._target))
        self._users: dict[int, int] = {}
        self._warm = asyncio.Lock()
        self._is_warm = False
        self._opening: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._retry_at = 0.0

    def _read_link(self) -> Path | None:
        try:
            return self._link.resolve(strict=True)
        except OSError:
            return None

    @asynccontextmanager
    async def current(self) -> AsyncIterator[Site]:
        """The site to answer with: it stays open until the block ends."""
        self._look()
        if self._opening is not None and not self._opening.done():
            await asyncio.wait({self._opening}, timeout=PATIENCE_S)
        if not self._is_warm:
            async with self._warm:
                if not self._is_warm:
                    await self._site.warm()
                    self._is_warm = True
        site = self._site
        key = id(site)
        self._users[key] = self._users.get(key, 0) + 1
        try:
            yield site
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key]
                if site is not self._site:
                    self._close_later(site)

    def _look(self) -> None:
        """Start taking up a new release when the link has moved."""
        if self._opening is not None and not self._opening.done():
            return
        target = self._read_link()
        if target is None or target == self._target or time.monotonic() < self._retry_at:
            return
        self._opening = asyncio.get_running_loop().create_task(self._take_up(target))

    async def _take_up(self, target: Path) -> None:
        try:
            site = await asyncio.to_thread(lambda: self._open_site(Release.read(target)))
            await site.warm()
        except Exception:
            # The former release goes on: a bad publication must not take the site down.
            self._retry_at = time.monotonic() + RETRY_S
            logger.exception("release_refused folder=%s", target.name)
            return
        former, self._site, self._target, self._is_warm = self._site, site, target, True
        if id(former) not in self._users:
            self._close_later(former)
        logger.info("release_served tag=%s", site.tag)

    def _close_later(self, site: Site) -> None:
        task = asyncio.get_running_loop().create_task(asyncio.to_thread(site.close))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close everything, after what is under way."""
        if self._opening is not None:
            await asyncio.gather(self._opening, return_exceptions=True)
        await asyncio.gather(*self._closing, return_exceptions=True)
        await asyncio.to_thread(self._site.close)
