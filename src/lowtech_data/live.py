"""What a source really answers, beside what `sources.yaml` says of it.

The first thing to run on a connected machine. A few pages are asked for, as politely as a harvest
asks, and read by the source's own extractor. Their bytes are kept under a journal of their own, so
that no run takes these few pages for the whole listing. Nothing is published.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc

from lowtech_data import capture, extract, normalise
from lowtech_data.capture import CaptureError, FailureKind, Harvest
from lowtech_data.extract.base import Extraction, Page, PayloadError, Platform, Request
from lowtech_data.extract.bounded import READER, Reader, ReaderBugError
from lowtech_data.extract.licences import NONE, read_licence
from lowtech_data.redact import redacted
from lowtech_data.registry import FACTS, Registry, RegistryError, Source
from lowtech_data.warehouse import Warehouse

MAX_PAGES = 5
"""Pages asked for: an index, what it leads to, and a few records."""

NAMES_SHOWN = 8

POINTS = ("accès", "robots", "type", "plateforme", "colonnes", "codes", "nombre", "licence")
"""What is looked at, in order; a point that nothing was learnt about is not told."""

_HTML = frozenset({"text/html", "application/xhtml+xml"})
_HTML_PLATFORMS = frozenset({"html_listing", "javascript", "json_ld", "mediawiki_dokit"})
"""Platforms whose first page may be a page for people."""

WITHOUT_TOTAL: dict[str, Platform] = {
    name: replace(platform, announced=lambda page: None)
    for name, platform in extract.PLATFORMS.items()
}
"""Every platform, for the reader's child: a few pages never hold the total that they announce."""

_READER = Reader(f"{__name__}:WITHOUT_TOTAL")


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that was looked at."""

    name: str
    """One of `POINTS`."""
    fine: bool
    said: str
    """What was found, and what was expected where it differs. No personal data."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one source answered."""

    source_id: str
    points: tuple[Point, ...]

    @property
    def differs(self) -> bool:
        """Whether anything is not as declared."""
        return any(not point.fine for point in self.points)


def on_the_web(registry: Registry) -> tuple[Source, ...]:
    """The sources that can be looked at: on the web, not retired, and not forbidden."""
    return tuple(
        source
        for source in registry
        if not source.is_local and source.etat != "retiree" and source.republication != "interdite"
    )


def check(
    source: Source,
    registry: Registry,
    warehouse: Warehouse,
    client: capture.Client,
    *,
    now: datetime,
) -> Report:
    """Ask one source for `MAX_PAGES` pages at most, and compare them with its declaration.

    Whatever the source answers is a report; faults of this machine are raised (`OSError`). Raises
    `RegistryError` for a source that is a file beside the registry.
    """
    if source.is_local:
        raise RegistryError([f"source {source.id} : fichier local, rien à demander en ligne"])
    few = _Few(extract.PLATFORMS[source.plateforme])
    apart = source.model_copy(update={"id": f"{source.id}.verification"})
    store = capture.Store(warehouse.captures)
    try:
        harvest = capture.harvest(apart, few.platform(), registry, store, client, now=now)
    except CaptureError as error:
        return Report(source.id, tuple(_refused(error)))
    points = [*_reached(source, harvest, few)]
    try:
        extraction = _READER.extract(source, harvest.pages)
    except (PayloadError, CaptureError, ReaderBugError) as error:
        unknown = Point("plateforme", False, f"{source.plateforme} attendue : {_said(error)}")
        return Report(source.id, (*points, unknown))
    points += _read(source, extraction, few)
    points += _counted(source, extraction, harvest, few, now)
    points += _licences(source, extraction)
    return Report(source.id, tuple(points))


class _Few:
    """A platform that stops asking after `MAX_PAGES`, and knows whether there was more."""

    def __init__(self, platform: Platform) -> None:
        self._original = platform
        self._left = MAX_PAGES
        self.cut = False

    def platform(self) -> Platform:
        """The platform to harvest with."""
        bounded = READER.following(self._original)
        first = replace(bounded, first=lambda source: self._take(self._original.first(source)))
        if bounded is self._original:
            return first
        return replace(first, follow=lambda source, page: self._take(bounded.follow(source, page)))

    def _take(self, requests: Sequence[Request]) -> Sequence[Request]:
        taken = tuple(islice(requests, self._left))
        self._left -= len(taken)
        self.cut = self.cut or len(taken) < len(requests)
        return taken

    def announced(self, page: Page) -> int:
        """How many records the page says that the whole listing has; 0 when it does not say."""
        with suppress(PayloadError):
            return self._original.announced(page) or 0
        return 0


def _refused(error: CaptureError) -> Iterator[Point]:
    if error.kind is FailureKind.ROBOTS:
        yield Point("robots", False, _said(error))
    elif error.kind is FailureKind.CONTENT:
        # The host answered: what leads to the next page is not what the platform gives.
        yield Point("plateforme", False, _said(error))
    else:
        yield Point("accès", False, _said(error))


def _reached(source: Source, harvest: Harvest, few: _Few) -> Iterator[Point]:
    first = harvest.pages[0]
    plural = "s" if len(harvest.pages) > 1 else ""
    more = ", il y en a d’autres" if few.cut else ""
    size = sum(page.capture.size for page in harvest.pages)
    yield Point("accès", True, f"{len(harvest.pages)} page{plural}, {size} octets{more}")
    yield Point("robots", True, first.capture.robots or "absent")
    kind = first.media_type or "non dit"
    is_html = first.media_type in _HTML
    if is_html and source.plateforme not in _HTML_PLATFORMS:
        yield Point("type", False, f"{kind} : une page pour des personnes, pas des données")
    else:
        yield Point("type", True, kind)


def _read(source: Source, extraction: Extraction, few: _Few) -> Iterator[Point]:
    if not extraction.read:
        part = "dans ces pages" if few.cut else "dans toute la liste"
        yield Point("plateforme", few.cut, f"{source.plateforme} : aucun enregistrement {part}")
        return
    yield Point("plateforme", True, source.plateforme)
    absent = _names(extraction, "colonne_absente", "champ")
    new = _names(extraction, "colonne_non_declaree", "champ")
    told = _told(("déclarées, absentes", absent), ("nouvelles", new))
    yield Point("colonnes", not told, told or "comme déclaré")
    if source.codes:
        unknown = _told(("inconnus", _names(extraction, "code_inconnu", "valeur_masquee")))
        yield Point("codes", not unknown, unknown or "tous connus")


def _names(extraction: Extraction, rule: str, column: str) -> list[str]:
    rows = extraction.rejects.filter(pc.equal(extraction.rejects["regle"], rule))
    return sorted({redacted(name) for name in rows[column].to_pylist() if name})


def _told(*groups: tuple[str, Sequence[str]]) -> str:
    said = []
    for label, names in groups:
        if names:
            shown = ", ".join(names[:NAMES_SHOWN]) + ("…" if len(names) > NAMES_SHOWN else "")
            said.append(f"{label} : {shown}")
    return " ; ".join(said)


def _counted(
    source: Source, extraction: Extraction, harvest: Harvest, few: _Few, now: datetime
) -> Iterator[Point]:
    """How many fiches there are, or would be: the share kept of what is announced."""
    if not extraction.read:
        return
    fiches = _publishable(extraction.fiches, now)
    total: int | None = fiches
    said = f"{fiches} fiches de {extraction.read} enregistrements"
    if few.cut:
        announced = max(few.announced(page.page()) for page in harvest.pages)
        total = round(announced * fiches / extraction.read) if announced else None
        said += f", {announced} annoncés : environ {total} fiches" if announced else " lus"
    low, high = source.bornes.min, source.bornes.max
    if total is None:
        yield Point("nombre", True, f"{said} ; total inconnu")
    elif total < low:
        yield Point("nombre", False, f"{said} ; {low} attendues au moins (bornes.min)")
    elif high is not None and total > high:
        yield Point("nombre", False, f"{said} ; {high} attendues au plus (bornes.max)")
    else:
        yield Point("nombre", True, said)


def _publishable(raw: pa.Table, now: datetime) -> int:
    with normalise.workbench() as con:
        return int(normalise.normalise(con, raw, as_of=now.date()).fiches.num_rows)


def _licences(source: Source, extraction: Extraction) -> Iterator[Point]:
    stated = sorted({text for text in extraction.fiches["licence"].to_pylist() if text})
    if not stated:
        return
    # A text that names no known licence is shown as it is written.
    found = sorted({_identifier(text) for text in stated})
    said = ", ".join(redacted(name) for name in found[:NAMES_SHOWN])
    if source.licence in {"par_fiche", FACTS} or found == [source.licence]:
        yield Point("licence", True, said)
    else:
        yield Point("licence", False, f"la réponse dit {said} ; déclarée : {source.licence}")


def _identifier(text: str) -> str:
    licence, is_known = read_licence(text)
    return licence if is_known or licence != NONE else text[:80]


def _said(error: Exception) -> str:
    return redacted(str(error).replace(".verification", ""))
