"""Requests that enrichment makes, under the bounds and the politeness of a harvest."""

from __future__ import annotations

import http
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import requests
from urllib3.exceptions import HTTPError

from lowtech_data.capture.address import Resolver, Target, declared_target, system_resolver
from lowtech_data.capture.errors import CaptureError, FailureKind, shown
from lowtech_data.capture.http import Client, _bad_status, _ConnectionFailedError, _is_passing
from lowtech_data.capture.http import _oddity as oddity_of
from lowtech_data.enrich.cache import EnrichmentError
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


class ServiceClient(Client):
    """The polite client, able to post a form and to ask for the mere head of a page."""

    def post(
        self, to: Source, fields: Sequence[tuple[str, str]], name: str, content: bytes
    ) -> bytes:
        """Send a form with one CSV file to a service's `url`, and return the answer's body.

        An overloaded or failing service is asked again after the rest that it asks for, as often as
        its bounds allow. Raises `CaptureError`.
        """
        target, tries = declared_target(to, to.url), 1
        form = requests.Request(
            "POST",
            target.url,
            {"Accept": "text/csv"},
            data=list(fields),
            files={"data": (name, content, "text/csv")},
        )
        while True:
            try:
                with self._sent(to, target, form) as response:
                    if response.status_code == http.HTTPStatus.OK:
                        body = self._session(to).body(response, target.url, to.limites.octets)
                        return b"".join(body)
                    if _is_passing(response.status_code):
                        self._rest(target, response, tries)
                    if not _is_passing(response.status_code) or tries >= to.limites.essais:
                        raise _bad_status(target, response, tries)
            except _ConnectionFailedError as failure:
                if tries >= to.limites.essais:
                    raise failure.error from failure
                self._hosts[target.host].rest_until = self.clock() + self._back_off(tries)
            tries += 1

    def look(self, site: Source, url: str, method: str) -> tuple[int, str | None]:
        """The status that an address answers, and where it sends on to; no body is read.

        Asked once, if robots.txt allows it; redirects are not followed. Raises `CaptureError`.
        """
        target = declared_target(site, url)
        rules = self._allowed_by_robots(site, target)
        head = requests.Request(method, target.url, {"Accept": "text/html, */*;q=0.5"})
        try:
            with self._sent(site, target, head, rules.crawl_delay) as response:
                if _is_passing(response.status_code):
                    self._rest(target, response, 1)
                return response.status_code, response.headers.get("Location")
        except _ConnectionFailedError as failure:
            raise failure.error from failure

    @contextmanager
    def _sent(
        self, to: Source, target: Target, request: requests.Request, delay: float = 0
    ) -> Iterator[requests.Response]:
        """One request and the head of its response, when it is the host's turn."""
        session = self._session(to)
        seconds = to.limites.delai_s
        with self._turn(target, max(to.limites.pause_s, delay)):
            prepared = session._requests.prepare_request(request)
            session._line.start(seconds)
            try:
                response = session._requests.send(
                    prepared,
                    stream=True,
                    allow_redirects=False,
                    timeout=seconds,
                    verify=session._verify,
                )
            except (requests.RequestException, HTTPError, OSError) as error:
                raise session._failure(target.url, error) from error
            with closing(response):
                if oddity := oddity_of(response.headers):
                    raise CaptureError(
                        FailureKind.RESPONSE, f"{shown(target.url)} : {oddity} ; réponse écartée"
                    )
                yield response


def status_of(error: BaseException | None) -> int | None:
    """The HTTP status that a failure comes from, its own or that of robots.txt."""
    while error is not None:
        status = getattr(error, "status", None)
        if isinstance(status, int):
            return status
        error = error.__cause__
    return None


def text_of(row: Mapping[str, Any], name: str) -> str:
    """A text of an answer, without the spaces around it; empty when it is not one."""
    value = row.get(name)
    return value.strip() if isinstance(value, str) else ""
