"""One harvest of one source: all of its pages, or none.

A harvest follows the platform from its first requests until no page leads further. Every page goes
to the store as it comes; when one fails, unless it is that of one record that is gone, the harvest
has failed and the last complete one stays the reference. The next one resumes: it does not ask
again for what was obtained a few hours before.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, time, timedelta
from mimetypes import MimeTypes
from pathlib import Path
from typing import Final, Literal, overload

from lowtech_data.capture.errors import CaptureError, FailureKind, shown
from lowtech_data.capture.http import Client, Reply, Validators
from lowtech_data.capture.store import BLOCK_BYTES, Attempt, Capture, Recorder, Store, instant
from lowtech_data.extract.base import Page, PayloadError, Platform, Request
from lowtech_data.registry import Registry, RegistryError, Source

_log = logging.getLogger(__name__)

_NO_FOLLOW: Final = next(f.default for f in fields(Platform) if f.name == "follow")
"""Platforms that never follow: their pages need not be read into memory during the harvest."""

RESUMED_WITHIN: Final = timedelta(hours=12)
"""Pages this recent, obtained by a harvest that was interrupted, are not asked for again."""

MAX_GONE: Final = 3
MAX_GONE_SHARE: Final = 0.1
"""Records' own pages that may be gone, in number or as a share: a listing still names for a while
what was taken off it."""

_MEDIA_TYPES: Final = MimeTypes(filenames=())
"""Python's own list, so that a file's type does not depend on the machine."""
_MEDIA_TYPES.add_type("application/geo+json", ".geojson")


@dataclass(frozen=True, slots=True)
class HarvestedPage:
    """One page of a harvest, whose bytes stay in the store until they are asked for."""

    store: Store
    capture: Capture

    @property
    def url(self) -> str:
        """Where the page came from, after redirects."""
        return self.capture.final_url

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes."""
        return self.capture.sha256

    @property
    def media_type(self) -> str | None:
        """As declared by the server, or by the suffix of a local file."""
        return self.capture.media_type

    @property
    def charset(self) -> str | None:
        """As declared by the server."""
        return self.capture.charset

    @property
    def captured_at(self) -> str:
        """When these bytes were received (ISO 8601, UTC)."""
        return self.capture.captured_at

    def page(self) -> Page:
        """The page with its bytes. Raises `CaptureError` when they are gone or altered."""
        body = self.store.read(self.sha256)
        return replace(self.head(), body=body)

    def head(self) -> Page:
        """The page without its bytes."""
        capture = self.capture
        return Page(
            self.url, b"", self.sha256, self.media_type, self.charset, headers=capture.headers
        )


@dataclass(frozen=True, slots=True)
class Harvest:
    """A complete harvest. Instants come from the manifest, so that a replay gives the same ones."""

    source_id: str
    started: str
    ended: str
    status: Literal["nouvelle", "inchangee"]
    """`inchangee`: the same bytes, page by page, as the last complete harvest before."""
    pages: Sequence[HarvestedPage]

    @property
    def bodies(self) -> Sequence[Page]:
        """The pages with their bytes, each read from the store when it is asked for."""
        return _Bodies(self.pages)


class _Bodies(Sequence[Page]):
    """Pages read one at a time, so that a harvest of many costs the memory of one."""

    def __init__(self, pages: Sequence[HarvestedPage]) -> None:
        self._pages = pages

    def __len__(self) -> int:
        return len(self._pages)

    @overload
    def __getitem__(self, index: int) -> Page: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Page]: ...

    def __getitem__(self, index: int | slice) -> Page | Sequence[Page]:
        if isinstance(index, slice):
            return _Bodies(self._pages[index])
        return self._pages[index].page()


def harvest(
    source: Source,
    platform: Platform,
    registry: Registry,
    store: Store,
    client: Client | None,
    *,
    now: datetime,
) -> Harvest:
    """Obtain every page of a source. `now` is when the harvest starts.

    Without a client, a listing on the web is replayed. A local source is its file, or the files of
    its folder in sorted order; nothing is followed, and nothing is written when the bytes are those
    already known.

    Raises `CaptureError` once the failure is in the manifest; a fault of this machine (disk full,
    read-only folder) is an `OSError`.
    """
    if source.is_local:
        return _Local(source, registry, store, now).run()
    if client is None:
        return replay(source, store)
    return _Remote(source, platform, store, client, now).run()


def replay(source: Source, store: Store) -> Harvest:
    """The last complete harvest of a source, from the store alone.

    Raises `CaptureError` (`absente`) when there is none.
    """
    attempt = store.last_complete(source.id)
    if attempt is None:
        raise CaptureError(
            FailureKind.MISSING,
            f"source {source.id} : aucune moisson complète dans {store.root} ; "
            "la moissonner d’abord avec le réseau",
        )
    return _as_harvest(store, attempt)


def _as_harvest(store: Store, attempt: Attempt) -> Harvest:
    return Harvest(
        source_id=attempt.source_id,
        started=attempt.started,
        ended=attempt.ended,
        status="inchangee" if attempt.unchanged else "nouvelle",
        pages=tuple(HarvestedPage(store, capture) for capture in attempt.captures),
    )


class _Remote:
    """The harvest of a listing on the web."""

    def __init__(
        self, source: Source, platform: Platform, store: Store, client: Client, now: datetime
    ) -> None:
        self.source = source
        self.platform = platform
        self.store = store
        self.client = client
        self.now = now
        self.clock_at_start = client.clock()
        self.recorder = store.recorder(source.id, instant(now))
        last = store.last_complete(source.id)
        self.before = last.captures if last else ()
        unfinished = [c for c in store.unfinished(source.id) if store.has(c.sha256)]
        before = [c for c in self.before if store.has(c.sha256)]
        self.known = {c.url: c for c in (*before, *unfinished)}
        since = instant(now - RESUMED_WITHIN)
        self.resumed = {c.url: c for c in unfinished if c.captured_at >= since}

    def run(self) -> Harvest:
        try:
            captures = self._pages()
            if not captures:
                raise CaptureError(
                    FailureKind.CONTENT,
                    f"source {self.source.id} : la plateforme {self.platform.name} n’a rien à "
                    "demander ; vérifier url et options de la source",
                )
        except CaptureError as error:
            self.recorder.failed(error, ended=self._instant())
            raise
        self.recorder.complete(ended=self._instant(), unchanged=_same(captures, self.before))
        return replay(self.source, self.store)

    def _pages(self) -> list[Capture]:
        """Every page, breadth first, each once, but for records that are gone."""
        captures: list[Capture] = []
        queue = deque(self._ask(lambda: self.platform.first(self.source)))
        seen: set[str] = set()
        records = gone = 0
        while queue:
            request = queue.popleft()
            if request.url in seen:
                continue
            seen.add(request.url)
            if len(seen) > self.source.limites.pages:
                raise CaptureError(
                    FailureKind.PAGES,
                    f"source {self.source.id} : plus de {self.source.limites.pages} pages ; "
                    "s’arrêter là perdrait des fiches : augmenter limites.pages, ou vérifier que "
                    "la pagination avance",
                )
            records += request.record
            try:
                capture = self._obtain(request)
            except CaptureError as error:
                if not (request.record and error.gone):
                    raise
                gone += 1
                continue
            captures.append(capture)
            queue.extend(self._following(capture))
        if gone > max(MAX_GONE, MAX_GONE_SHARE * records):
            raise CaptureError(
                FailureKind.STATUS,
                f"source {self.source.id} : {gone} pages de fiches introuvables sur {records} ; "
                "les adresses que donne la liste ont sans doute changé de forme",
            )
        return captures

    def _following(self, capture: Capture) -> Sequence[Request]:
        if self.platform.follow is _NO_FOLLOW:
            return ()
        page = HarvestedPage(self.store, capture).page()
        return self._ask(lambda: self.platform.follow(self.source, page))

    def _ask(self, question: Callable[[], Sequence[Request]]) -> Sequence[Request]:
        try:
            return question()
        except PayloadError as error:
            raise CaptureError(
                FailureKind.CONTENT,
                f"source {self.source.id} : page suivante introuvable : {error}",
            ) from error
        except Exception as error:
            # A page may wake a bug of ours: that is no reason to lose the other sources.
            _log.exception("source %s", self.source.id)
            raise CaptureError(
                FailureKind.CONTENT,
                f"source {self.source.id} : erreur du programme en cherchant la page suivante : "
                f"{type(error).__name__} : {shown(str(error))}",
            ) from error

    def _obtain(self, request: Request) -> Capture:
        asked_at = self._instant()
        resumed = self.resumed.get(request.url)
        if resumed:
            self.recorder.page(resumed, status=None, asked_at=asked_at, changed=False)
            return resumed
        known = self.known.get(request.url)
        validators = Validators(known.etag, known.last_modified) if known else None
        try:
            with self.client.get(self.source, request, validators) as reply:
                if known and reply.unchanged:
                    capture = _revalidated(known, reply)
                else:
                    capture = self._receive(request, reply)
        except CaptureError as error:
            self.recorder.failed_page(request.url, error, asked_at=asked_at)
            raise
        if known and known.sha256 == capture.sha256:
            capture = replace(capture, captured_at=known.captured_at)
            self.recorder.page(capture, status=reply.status, asked_at=asked_at, changed=False)
        else:
            self.recorder.page(capture, status=reply.status, asked_at=asked_at, changed=True)
        return capture

    def _receive(self, request: Request, reply: Reply) -> Capture:
        with self.store.receive() as incoming:
            for chunk in reply.chunks():
                incoming.write(chunk)
        return Capture(
            url=request.url,
            final_url=reply.url,
            sha256=incoming.sha256,
            size=incoming.size,
            captured_at=self._instant(),
            media_type=reply.media_type,
            charset=reply.charset,
            etag=reply.validators.etag,
            last_modified=reply.validators.last_modified,
            robots=reply.robots,
            headers=reply.headers,
        )

    def _instant(self) -> str:
        elapsed = timedelta(seconds=self.client.clock() - self.clock_at_start)
        return instant(self.now + elapsed)


def _revalidated(known: Capture, reply: Reply) -> Capture:
    """The known page, with the validators that a 304 may renew (RFC 9111 §4.3.4)."""
    return replace(
        known,
        etag=reply.validators.etag or known.etag,
        last_modified=reply.validators.last_modified or known.last_modified,
        robots=reply.robots,
        headers=reply.headers or known.headers,
    )


class _Local:
    """The harvest of files beside the registry."""

    def __init__(self, source: Source, registry: Registry, store: Store, now: datetime) -> None:
        self.source = source
        self.registry = registry
        self.store = store
        day = source.donnees_du or now.astimezone(UTC).date()
        self.date = instant(datetime.combine(day, time(), UTC))
        self.last = store.last_complete(source.id)

    def run(self) -> Harvest:
        recorder = self.store.recorder(self.source.id, self.date)
        try:
            files = self._files()
            captures = [self._describe(path, url) for path, url in files]
            if self.last and self._is_known(captures):
                return replace(_as_harvest(self.store, self.last), status="inchangee")
            for (path, _), capture in zip(files, captures, strict=True):
                self._receive(path, capture)
        except CaptureError as error:
            recorder.failed_page(self.source.url, error, asked_at=self.date)
            recorder.failed(error, ended=self.date)
            raise
        self._record(recorder, captures)
        return replay(self.source, self.store)

    def _record(self, recorder: Recorder, captures: Sequence[Capture]) -> None:
        before = self.last.captures if self.last else ()
        known = {(c.url, c.sha256, c.captured_at) for c in before if self.store.has(c.sha256)}
        for capture in captures:
            changed = (capture.url, capture.sha256, capture.captured_at) not in known
            recorder.page(capture, status=None, asked_at=self.date, changed=changed)
        recorder.complete(ended=self.date, unchanged=_same(captures, before))

    def _is_known(self, captures: Sequence[Capture]) -> bool:
        """Whether the store already has these pages, of this date when the source states one."""
        before = self.last.captures if self.last else ()
        dated = not self.source.donnees_du or all(c.captured_at == self.date for c in before)
        return dated and _same(captures, before) and all(self.store.has(c.sha256) for c in before)

    def _files(self) -> list[tuple[Path, str]]:
        """Files and their addresses, relative to the registry."""
        try:
            path = self.registry.local_path(self.source)
        except RegistryError as error:
            raise CaptureError(FailureKind.FILE, str(error)) from error
        plain = Path(os.path.normpath(self.registry.path.resolve().parent / self.source.url))
        if path != plain:
            raise self._bad_file(plain, "lien symbolique refusé ; mettre le fichier lui-même")
        if path.is_file():
            return [(path, self.source.url)]
        if not path.is_dir():
            raise self._bad_file(path, "introuvable ; corriger url dans le fichier des sources")
        found = [
            (item, f"{self.source.url.rstrip('/')}/{item.relative_to(path).as_posix()}")
            for item in sorted(path.rglob("*"), key=lambda item: item.relative_to(path).as_posix())
            if item.is_symlink() or not item.is_dir()
        ]
        if not found:
            raise self._bad_file(path, "dossier vide ; y mettre les fichiers de la source")
        if len(found) > self.source.limites.pages:
            raise CaptureError(
                FailureKind.PAGES,
                f"source {self.source.id} : {path} : {len(found)} fichiers, plus que "
                f"limites.pages ({self.source.limites.pages}) ; augmenter cette limite",
            )
        return found

    def _describe(self, path: Path, url: str) -> Capture:
        if path.is_symlink() or not path.is_file():
            raise self._bad_file(path, "lien symbolique ou fichier spécial refusé")
        size = path.stat().st_size
        if size > self.source.limites.octets:
            raise CaptureError(
                FailureKind.SIZE,
                f"source {self.source.id} : {path} : {size} octets, plus que limites.octets "
                f"({self.source.limites.octets}) ; augmenter cette limite si c’est bien la liste",
            )
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise self._bad_file(path, f"illisible ({error.strerror})") from error
        media_type, _ = _MEDIA_TYPES.guess_type(path.name)
        return Capture(url, url, digest, size, self.date, media_type)

    def _receive(self, path: Path, capture: Capture) -> None:
        with self.store.receive() as incoming, path.open("rb") as file:
            while chunk := file.read(BLOCK_BYTES):
                incoming.write(chunk)
            if incoming.sha256 != capture.sha256:
                raise self._bad_file(path, "modifié pendant sa lecture ; relancer")

    def _bad_file(self, path: Path, reason: str) -> CaptureError:
        return CaptureError(FailureKind.FILE, f"source {self.source.id} : {path} : {reason}")


def _same(captures: Sequence[Capture], before: Sequence[Capture]) -> bool:
    return [(c.url, c.sha256) for c in captures] == [(c.url, c.sha256) for c in before]
