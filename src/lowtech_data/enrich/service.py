"""What the passes of enrichment share: whom they ask, about which fiches, and what they tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Protocol, TypeVar

import duckdb
import pyarrow as pa

from lowtech_data.capture.address import Resolver, system_resolver
from lowtech_data.capture.errors import CaptureError
from lowtech_data.enrich.cache import Cache, EnrichmentError
from lowtech_data.registry import Source
from lowtech_data.warehouse import Warehouse

WITNESS = "data.gouv.fr"
"""A name that is there as long as the network is: only looked up, never contacted."""

FICHE_COLUMNS = (
    "source_id", "cle_source", "nom", "nature", "adresse", "code_postal", "commune", "code_insee",
    "code_arrondissement", "latitude", "longitude", "precision_geo", "site_web", "siret",
)  # fmt: skip
"""What enrichment reads of a fiche."""


@dataclass(slots=True)
class Report:
    """What a pass did, for people."""

    due: int
    """Questions that no fresh answer was kept for."""
    asked: int = 0
    """Those whose answer came."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Answers by what was made of them, in codes."""
    problem: str | None = None
    """Why the pass stopped early; what came before is kept."""

    @property
    def left(self) -> int:
        """Questions left for another pass."""
        return self.due - self.asked


def present_fiches(warehouse: Warehouse) -> pa.Table:
    """The published initiatives' fiches that their source still lists (`FICHE_COLUMNS`).

    What was withdrawn or may not be published is not among them, so that no service is told of it.
    Raises `EnrichmentError` before the first run.
    """
    if not warehouse.database.is_file():
        raise EnrichmentError(
            f"{warehouse.root} : aucune fiche encore. Commencer par : lowtech run"
        )
    with duckdb.connect(str(warehouse.database), read_only=True) as con:
        return con.sql(
            f"SELECT {', '.join(FICHE_COLUMNS)} FROM fiches "
            "WHERE entite = 'initiative' AND absent_depuis IS NULL ORDER BY source_id, cle_source"
        ).to_arrow_table()


def is_online(resolve: Resolver = system_resolver) -> bool:
    """Whether names can be resolved at all: without network, every link would look dead."""
    try:
        return bool(resolve(WITNESS, 443))
    except OSError:
        return False


def is_fresh(asked_on: str, today: date, age: timedelta) -> bool:
    """Whether an answer of that day still holds; one dated after today does not."""
    return timedelta(0) <= today - date.fromisoformat(asked_on) < age


class Asked(Protocol):
    """A question that a service is asked, known in a cache by what is sent."""

    @property
    def empreinte(self) -> str:
        """Hash of what is sent."""
        ...


_Q = TypeVar("_Q", bound=Asked)


def due(
    questions: Mapping[tuple[str, str], _Q],
    cache: Cache,
    today: date,
    *,
    age: timedelta,
    age_of_nothing: timedelta,
) -> list[_Q]:
    """The questions that no fresh answer was kept for, each once, in the order of their hashes.

    An answer holds for `age`; one that gave nothing (it has a `motif`), for `age_of_nothing`.
    """
    waiting = {}
    for question in questions.values():
        known = cache.get(question.empreinte)
        holds = age_of_nothing if known and known["motif"] else age
        if known is None or not is_fresh(known["date"], today, holds):
            waiting[question.empreinte] = question
    return [waiting[key] for key in sorted(waiting)]


def answers(questions: Mapping[tuple[str, str], Asked], cache: Cache) -> list[dict[str, Any]]:
    """The answers kept that gave something, one row per fiche asked about, by source and key."""
    rows = []
    for (source, key), question in sorted(questions.items(), key=lambda item: item[0]):
        answer = cache.get(question.empreinte)
        if answer and answer["motif"] is None:
            rows.append({**answer, "source_id": source, "cle_source": key})
    return rows


def service(
    identifier: str, name: str, url: str, *, hosts: Sequence[str] = (), **limits: float
) -> Source:
    """A service or a site as the polite client takes it: its host, and the bounds of a response."""
    return Source.model_validate(
        {
            "id": identifier,
            "nom": name,
            "editeur": name,
            "plateforme": "service",
            "url": url,
            "licence": "faits",
            "republication": "interdite",
            "preuve": "client",
            "hotes": list(hosts),
            "limites": limits,
        }
    )


def status_of(error: BaseException | None) -> int | None:
    """The HTTP status that a failure comes from, its own or that of robots.txt."""
    while error is not None:
        if isinstance(error, CaptureError) and error.status:
            return error.status
        error = error.__cause__
    return None


def text_of(row: Mapping[str, Any], name: str) -> str:
    """A text of an answer, without the spaces around it; empty when it is not one."""
    value = row.get(name)
    return value.strip() if isinstance(value, str) else ""
