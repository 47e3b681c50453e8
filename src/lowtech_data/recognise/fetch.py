"""Pages asked for by the polite client, for a recognition."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from lowtech_data import capture
from lowtech_data.capture.errors import CaptureError, FailureKind
from lowtech_data.extract.base import Page, Request
from lowtech_data.recognise.probe import JOURNAL_ID, Guess
from lowtech_data.registry import Registry, Source


class Fetcher:
    """Pages through the polite client, their bytes kept in the store under `JOURNAL_ID`."""

    def __init__(
        self, client: capture.Client, store: capture.Store, *, now: datetime, folder: Path
    ) -> None:
        """`folder` is that of the registry, where addresses without a scheme are files."""
        self._client = client
        self._store = store
        self._now = now
        self._folder = folder
        self._start = client.clock()
        self._recorder = store.recorder(JOURNAL_ID, capture.instant(now))

    def __call__(self, url: str, accept: str = "*/*", hosts: Sequence[str] = ()) -> Page:
        """One page. Raises `CaptureError` when it cannot be had."""
        try:
            source = Guess("json", url, "").source()
        except ValueError as error:
            raise CaptureError(
                FailureKind.ADDRESS,
                f"{url} : attendu https://… ou un fichier du dossier des sources",
            ) from error
        if source.is_local:
            return self._local(source)
        asked_at = self._instant()
        host = urlsplit(url).hostname or ""
        other = host.removeprefix("www.") if host.startswith("www.") else f"www.{host}"
        named = [] if re.fullmatch(r"[\d.]+|\[.*\]|localhost", host) else [other]
        source = source.model_copy(update={"hotes": [*named, *hosts]})
        try:
            return self._obtain(source, Request(url.partition("#")[0], accept), asked_at)
        except CaptureError as error:
            self._recorder.failed_page(url, error, asked_at=asked_at)
            raise

    def _local(self, source: Source) -> Page:
        path = Registry(self._folder / "sources.yaml", ()).local_path(source)
        try:
            body = path.read_bytes()
        except OSError as error:
            raise CaptureError(FailureKind.FILE, f"{path} : {error.strerror}") from error
        return Page(source.url, body, hashlib.sha256(body).hexdigest())

    def _obtain(self, source: Source, request: Request, asked_at: str) -> Page:
        with (
            self._client.get(source, request) as reply,
            self._store.receive() as incoming,
        ):
            for chunk in reply.chunks():
                incoming.write(chunk)
        captured = capture.Capture(
            url=request.url, final_url=reply.url, sha256=incoming.sha256, size=incoming.size,
            captured_at=self._instant(), media_type=reply.media_type, charset=reply.charset,
            robots=reply.robots, headers=reply.headers,
        )  # fmt: skip
        self._recorder.page(captured, status=reply.status, asked_at=asked_at, changed=True)
        body = self._store.read(incoming.sha256)
        return Page(
            reply.url, body, incoming.sha256, reply.media_type, reply.charset, headers=reply.headers
        )

    def _instant(self) -> str:
        elapsed = timedelta(seconds=self._client.clock() - self._start)
        return capture.instant(self._now.astimezone(UTC) + elapsed)
