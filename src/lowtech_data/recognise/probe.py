"""What is known of an address at each step, and the few requests that find it out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from lowtech_data.capture.errors import CaptureError
from lowtech_data.extract.base import Page, PayloadError
from lowtech_data.extract.decode import read_json
from lowtech_data.extract.licences import NONE
from lowtech_data.folding import fold
from lowtech_data.registry import Source

MAX_REQUESTS = 8
"""Pages asked for one recognition, robots.txt not counted."""

MAX_ROWS = 5_000
"""Records read to guess columns and count codes."""

JOURNAL_ID = "reconnaissance"
"""Name in the store of what was asked for before there was a source."""

TO_FILL = "à compléter"
_FILE_PLATFORMS = frozenset({"csv", "geojson", "javascript", "json", "tableur"})


class Fetch(Protocol):
    """Obtains one page. Raises `CaptureError` when it cannot be had."""

    def __call__(self, url: str, accept: str = "*/*", hosts: Sequence[str] = ()) -> Page:
        """`hosts` are those that a redirect may lead to."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """One way to read the address, already tried on what it gives."""

    platform: str
    url: str
    evidence: str
    """By what it was recognised, in words."""
    page: str | None = None
    title: str | None = None
    publisher: str | None = None
    licence: str | None = None
    """An identifier of `registry.LICENCE`, when the page or the payload states one."""
    options: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    """What `champs` should say besides the platform's own mapping."""
    personal: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    """Columns that nothing reads."""
    codes: tuple[tuple[str, int], ...] = ()
    """Codes of the source and how many records have each, the most frequent first."""
    total: int | None = None
    """Records of the whole listing, when they are known."""
    hosts: tuple[str, ...] = ()
    resource: bool = False
    notes: tuple[str, ...] = ()
    """What a person has to decide or to check."""

    @property
    def source_id(self) -> str:
        """An id from the host, and from the name of the dataset on hosts that have many."""
        parts = urlsplit(self.url)
        host = re.sub(r"^www\.", "", parts.hostname or Path(self.url).stem)
        labels = host.split(".")
        words = labels if all(map(str.isdecimal, labels)) else labels[:-1] or labels
        name = re.search(r"/(?:datasets?|map)/(?:r/)?([^/]+)", parts.path)
        form = re.search(r"api/forms/(\d+)", parts.query)
        file = re.search(r"/([\w-]+)\.(?:csv|tsv|json|geojson|xlsx|ods|js)$", parts.path)
        tail = [unquote(name[1])] if name else [f"form{form[1]}"] if form else []
        if file and not tail and self.platform in _FILE_PLATFORMS:
            tail = [file[1]]
        text = re.sub(r"[^a-z0-9]+", "_", fold(" ".join([*words, *tail]))).strip("_")
        return (text if re.match(r"[a-z]", text) else f"liste_{text}")[:40].strip("_")


@dataclass(frozen=True, slots=True)
class Recognition:
    """Everything that an address may be read as, the surest first, and what was asked."""

    url: str
    proposals: tuple[Proposal, ...]
    tried: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Guess:
    """A platform that the address or the page hints at, not yet tried."""

    platform: str
    url: str
    evidence: str
    options: Mapping[str, Any] = field(default_factory=dict)
    known: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the proposal that are already known."""

    def source(self) -> Source:
        """The source that the guess would make, to read a sample as a harvest would.

        Raises `ValueError` when the registry would refuse it.
        """
        return Source.model_validate(
            {
                "id": JOURNAL_ID, "nom": self.url, "editeur": TO_FILL, "plateforme": self.platform,
                "url": self.url, "page": self.known.get("page"), "licence": NONE,
                "republication": "faits_et_lien", "preuve": "vu", "options": dict(self.options),
            }
        )  # fmt: skip


class Probe:
    """Asks for pages, counts them, and remembers what was tried."""

    def __init__(self, fetch: Fetch) -> None:
        """Every page is obtained by `fetch`."""
        self._fetch = fetch
        self.pages: dict[tuple[str, str], Page | None] = {}
        self.tried: list[str] = []

    def get(self, url: str, accept: str = "*/*", hosts: Sequence[str] = ()) -> Page | None:
        """The page, asked for once; nothing when it cannot be had."""
        key = (url, accept)
        plain = (url, "*/*")
        if key in self.pages:
            return self.pages[key]
        known = self.pages.get(plain)
        if known and not is_html(known) and known.media_type != "text/turtle":
            return known
        if len(self.pages) >= MAX_REQUESTS:
            self.tried.append(f"{url} : pas demandée, déjà {MAX_REQUESTS} requêtes")
            return None
        try:
            page = self._fetch(url, accept, hosts)
        except CaptureError as error:
            self.tried.append(error.message if url in error.message else f"{url} : {error.message}")
            self.pages[key] = None
            return None
        self.tried.append(f"{url} : reçue ({page.media_type or 'type non dit'})")
        self.pages[key] = page
        return page

    def refused(self, guess: Guess, error: Exception) -> None:
        """Notes that the platform guessed could not read what the address gives."""
        self.tried.append(f"{guess.url} : lue comme {guess.platform}, refusée : {error}")

    def guarded(self, url: str, found: Iterator[Proposal]) -> Iterator[Proposal]:
        """What is found until an answer of a shape that nobody expects, which is told."""
        try:
            yield from found
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            reason = str(error) if isinstance(error, PayloadError) else type(error).__name__
            self.tried.append(f"{url} : d’une forme inattendue : {reason}")


def is_html(page: Page | None) -> bool:
    """Whether a page starts as a web page does."""
    start = page.body[:2_000].lstrip(b"\xef\xbb\xbf \t\r\n").lower() if page else b""
    return start.startswith((b"<!doctype html", b"<html")) or (
        b"<html" in start and start.startswith((b"<!", b"<?xml"))
    )


def json_of(page: Page | None) -> Any:
    """The JSON document of a page; nothing when there is no page, or when it is not JSON."""
    try:
        return read_json(page) if page else None
    except PayloadError:
        return None
