"""Whether the website of a fiche still answers, judged with patience.

A site that fails once has a bad day. It is called dead after it was found missing on three
different days, two weeks apart at least, with no success between; a site that breaks (server error,
silence, expired certificate) is called broken under the same patience, never dead. A redirect to
another site is not followed: an abandoned name is often bought to sell something.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from itertools import groupby
from typing import Any
from urllib.parse import urljoin

import pyarrow as pa

from lowtech_data.capture import CaptureError, FailureKind
from lowtech_data.capture.address import Target, read_target
from lowtech_data.capture.http import Client
from lowtech_data.enrich.cache import Cache, folder
from lowtech_data.enrich.service import Report, is_fresh, service, status_of
from lowtech_data.warehouse import Warehouse

MIN_FAILURES = 3
"""Days on which a link must have failed before it is called dead, or broken."""
MIN_SPREAD = timedelta(days=14)
"""Between the first and the last of them."""
KEPT_DAYS = 5
"""Days of failure that are remembered: the first and the last ones."""
MAX_PER_SITE = 20
"""Links of one site that one pass asks for."""
MAX_REDIRECTS = 5
DEADLINE_S = 20
PAUSE_S = 2

SCHEMA = pa.schema(
    [
        ("site_web", pa.string()),
        ("etat", pa.string()),
        ("cause", pa.string()),
        ("verifie_le", pa.string()),
        ("dernier_succes", pa.string()),
        ("disparu_les", pa.list_(pa.string())),
        ("en_panne_les", pa.list_(pa.string())),
    ]
)
"""The state of a link. `cause` is a status (`404`) or a code of `capture.FailureKind`; the lists
hold the days of failure since the last success."""


class Seen(StrEnum):
    """What one look at a link shows."""

    ALIVE = "vivant"
    MISSING = "disparu"
    """The server says that it is not there (404, 410), or the name does not exist."""
    BROKEN = "en_panne"
    """No answer, an answer cut short, a server error, a refused certificate."""
    UNKNOWN = "non_verifiable"
    """Robots are not welcome, or it leads to another site: a person has to look."""


class State(StrEnum):
    """What is said of a link."""

    ALIVE = "vivant"
    IN_DOUBT = "en_doute"
    BROKEN = "en_panne"
    DEAD = "mort"
    UNKNOWN = "non_verifiable"


LABELS = {
    "vivant": "répond",
    "en_doute": "en doute, à revoir",
    "en_panne": "en panne depuis deux semaines",
    "mort": "mort",
    "non_verifiable": "à voir par une personne",
}
"""What is said of a link, for people (`Report.outcomes`)."""

AGES = {
    State.ALIVE: timedelta(days=30),
    State.IN_DOUBT: timedelta(days=7),
    State.BROKEN: timedelta(days=30),
    State.DEAD: timedelta(days=90),
    State.UNKNOWN: timedelta(days=30),
}
"""How long before a link is looked at again."""

_BROKEN_KINDS = frozenset(
    {
        FailureKind.DEADLINE,
        FailureKind.CONNECTION,
        FailureKind.TLS,
        FailureKind.TRUNCATED,
        FailureKind.RESPONSE,
    }
)
_SILENT_KINDS = frozenset({FailureKind.DNS, FailureKind.CONNECTION, FailureKind.DEADLINE})
"""Failures that are ours when the network is gone."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a link."""

    seen: Seen
    cause: str


@dataclass(frozen=True, slots=True)
class Link:
    """What is known of a link, day after day."""

    etat: State
    cause: str
    verifie_le: date
    dernier_succes: date | None = None
    disparu_les: tuple[date, ...] = ()
    en_panne_les: tuple[date, ...] = ()


def after(known: Link | None, look: Look, day: date) -> Link:
    """What is known of a link once it was looked at on `day`.

    Several failures of a day count once; a look dated before the last one changes nothing. A look
    that shows nothing leaves doubts as they were.
    """
    if known is not None and day < known.verifie_le:
        return known
    if look.seen is Seen.ALIVE:
        return Link(State.ALIVE, look.cause, day, dernier_succes=day)
    known = known or Link(State.UNKNOWN, look.cause, day)
    if look.seen is Seen.MISSING:
        known = replace(known, disparu_les=_with(known.disparu_les, day))
    elif look.seen is Seen.BROKEN:
        known = replace(known, en_panne_les=_with(known.en_panne_les, day))
    return replace(known, etat=_state(known), cause=look.cause, verifie_le=day)


def _with(days: tuple[date, ...], day: date) -> tuple[date, ...]:
    every = (*days, day) if day not in days else days
    return every if len(every) <= KEPT_DAYS else (every[0], *every[1 - KEPT_DAYS :])


def _state(link: Link) -> State:
    if _is_lasting(link.disparu_les):
        return State.DEAD
    if _is_lasting((*link.disparu_les, *link.en_panne_les)):
        return State.BROKEN
    return State.IN_DOUBT if link.disparu_les or link.en_panne_les else State.UNKNOWN


def _is_lasting(days: tuple[date, ...]) -> bool:
    return len(set(days)) >= MIN_FAILURES and max(days) - min(days) >= MIN_SPREAD


def look_at(url: str, client: Client) -> Look:
    """Ask an address for its head, then for itself when that was no success.

    Redirects are followed within the site alone (with or without `www.`, to https or not).
    """
    try:
        for method in ("HEAD", "GET"):
            look = _follow(url, client, method)
            if look.seen is Seen.ALIVE:
                break
    except CaptureError as error:
        return _failed(error)
    return look


def open_cache(warehouse: Warehouse) -> Cache:
    """The links known in a warehouse (`SCHEMA`)."""
    return Cache(folder(warehouse) / "liens.parquet", SCHEMA)


def check(
    fiches: pa.Table,
    cache: Cache,
    open_client: Callable[[], Client],
    *,
    today: date,
    maximum: int,
    is_online: Callable[[], bool],
) -> Report:
    """Look at the links that are due, `maximum` at most, one site after the other; keep each look.

    `open_client` gives each site a client of its own. `is_online` is asked before a silence is held
    against a site: when the network is gone, the pass stops and nothing is noted. The cache is
    saved after each site and when the pass is interrupted.
    """
    due = _due(fiches, cache, today)
    report = Report(due=len(due))
    if maximum and due and not is_online():
        report.problem = "aucun nom ne se résout : pas de réseau"
        return report
    try:
        for _, links in groupby(due[:maximum], key=lambda link: link[0]):
            with closing(open_client()) as client:
                for _, url in list(links)[:MAX_PER_SITE]:
                    look = look_at(url, client)
                    if look.cause in _SILENT_KINDS and not is_online():
                        report.problem = "le réseau a disparu en cours de route"
                        return report
                    link = after(_read(cache.get(url)), look, today)
                    cache.put(_row(url, link))
                    report.asked += 1
                    report.outcomes[link.etat] += 1
            cache.save()
    finally:
        cache.save()
    return report


def states(fiches: pa.Table, cache: Cache) -> pa.Table:
    """The known links of fiches: `source_id`, `cle_source`, and `SCHEMA`, by source and key."""
    rows = [
        {**known, "source_id": row["source_id"], "cle_source": row["cle_source"]}
        for row in fiches.to_pylist()
        if row["site_web"] and (known := cache.get(row["site_web"]))
    ]
    rows.sort(key=lambda row: (row["source_id"], row["cle_source"]))
    key = [("source_id", pa.string()), ("cle_source", pa.string())]
    return pa.Table.from_pylist(rows, pa.schema([*key, *SCHEMA]))


def _due(fiches: pa.Table, cache: Cache, today: date) -> list[tuple[str, str]]:
    """Site and address of the links to look at, links of a site together."""
    due = []
    for url in set(fiches.column("site_web").to_pylist()) - {None, ""}:
        known = cache.get(url)
        if known is None or not is_fresh(known["verifie_le"], today, AGES[State(known["etat"])]):
            due.append((_site_of(url), url))
    return sorted(due)


def _site_of(url: str) -> str:
    try:
        return _bare(read_target(url).host)
    except CaptureError:
        return ""


def _bare(host: str) -> str:
    return host.removeprefix("www.")


def _follow(url: str, client: Client, method: str) -> Look:
    first = read_target(url)
    own = _bare(first.host)
    name = f"lien_{hashlib.sha256(own.encode()).hexdigest()[:16]}"
    site = service(
        name, own, first.url,
        hosts=[] if ":" in own else [own, f"www.{own}"],
        delai_s=DEADLINE_S, pause_s=PAUSE_S, essais=1,
    )  # fmt: skip
    target = first
    for _ in range(MAX_REDIRECTS + 1):
        status, location = client.look(site, target.url, method)
        if not 300 <= status < 400 or not location:
            return _of_status(status)
        following = _next(target, location)
        if following is None or _bare(following.host) != own:
            return Look(Seen.UNKNOWN, "autre_site")
        target = following
    return Look(Seen.UNKNOWN, FailureKind.REDIRECT)


def _next(target: Target, location: str) -> Target | None:
    try:
        return read_target(urljoin(target.url, location))
    except (CaptureError, ValueError):
        return None


def _of_status(status: int) -> Look:
    if 200 <= status < 300:
        return Look(Seen.ALIVE, str(status))
    if status in {404, 410}:
        return Look(Seen.MISSING, str(status))
    return Look(Seen.BROKEN if status >= 500 else Seen.UNKNOWN, str(status))


def _failed(error: CaptureError) -> Look:
    if error.kind is FailureKind.DNS:
        return Look(Seen.BROKEN if _is_passing(error) else Seen.MISSING, error.kind)
    if error.kind in _BROKEN_KINDS:
        return Look(Seen.BROKEN, error.kind)
    if error.kind is FailureKind.ROBOTS:
        if (status := status_of(error)) is not None and status >= 500:
            return Look(Seen.BROKEN, str(status))
        if getattr(error.__cause__, "kind", None) is FailureKind.REDIRECT:
            return Look(Seen.UNKNOWN, "autre_site")
    return Look(Seen.UNKNOWN, error.kind)


def _is_passing(error: CaptureError) -> bool:
    """Whether the resolver did not answer, which says nothing of the name."""
    code: Any = getattr(error.__cause__, "errno", None)
    return code in {socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM}


def _read(row: dict[str, Any] | None) -> Link | None:
    if row is None:
        return None
    success = row["dernier_succes"]
    return Link(
        State(row["etat"]),
        row["cause"],
        date.fromisoformat(row["verifie_le"]),
        date.fromisoformat(success) if success else None,
        tuple(_days(row["disparu_les"])),
        tuple(_days(row["en_panne_les"])),
    )


def _days(texts: list[str]) -> Iterator[date]:
    return (date.fromisoformat(text) for text in texts)


def _row(url: str, link: Link) -> dict[str, Any]:
    return {
        "site_web": url,
        "etat": link.etat.value,
        "cause": str(link.cause),
        "verifie_le": link.verifie_le.isoformat(),
        "dernier_succes": link.dernier_succes.isoformat() if link.dernier_succes else None,
        "disparu_les": [day.isoformat() for day in link.disparu_les],
        "en_panne_les": [day.isoformat() for day in link.en_panne_les],
    }
