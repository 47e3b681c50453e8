"""Every platform on a web of its own, harvested by the command that people run.

Three runs of one warehouse: the first one, with hosts that are tired; another one, of listings that
did not change; and one where two of them fail.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lowtech_data import capture
from lowtech_data.capture import CaptureError, Client, Store
from lowtech_data.extract import PLATFORMS, load_registry
from lowtech_data.warehouse import Warehouse
from tests.platforms.listings import PAUSE_S, Listing, all_listings, declared
from tests.platforms.server import (
    EVERYTHING_FORBIDDEN,
    LATENCY_S,
    ROBOTS,
    Exchange,
    Web,
    refused,
    reset,
    slow,
)

ROOT = Path(__file__).parents[2]
LOOPBACK = "127.0.0.0/8"
DRIP_S = 1.5

pytestmark = pytest.mark.timeout(600)


@dataclass
class Country:
    """A web with its listings, and a folder where they are harvested."""

    web: Web
    listings: Sequence[Listing]
    folder: Path
    runs: dict[str, tuple[subprocess.CompletedProcess[str], list[Exchange]]] = field(
        default_factory=dict
    )

    @classmethod
    def start(cls, folder: Path) -> Country:
        web = Web()
        try:
            country = cls(web, all_listings(web), folder)
        except OSError as error:
            web.close()
            pytest.skip(f"une seule adresse de bouclage sur cette machine ({error})")
        (folder / "curated").mkdir()
        # JSON is YAML, without its aliases.
        text = json.dumps({"sources": [declared(listing) for listing in country.listings]})
        country.sources.write_text(text, encoding="utf-8")
        return country

    @property
    def sources(self) -> Path:
        return self.folder / "sources.yaml"

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.folder / "entrepot")

    def run(self, name: str, *arguments: str) -> None:
        """`lowtech run`, with the log of what it asked."""
        self.web.forget()
        done = subprocess.run(
            [
                *(sys.executable, "-m", "lowtech_data", "run", "--sources", str(self.sources)),
                *("--warehouse", str(self.warehouse.root)),
                *("--curated", str(self.folder / "curated"), *arguments),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
            cwd=ROOT,
            env={
                **os.environ,
                "LOWTECH_RESEAUX_PERMIS": LOOPBACK,
                "DAGSTER_DISABLE_TELEMETRY": "yes",
                "COLUMNS": "200",
            },
        )
        self.runs[name] = done, sorted(self.web.log, key=lambda exchange: exchange.start)

    def listing(self, listing_id: str) -> Listing:
        return next(listing for listing in self.listings if listing.id == listing_id)

    def published(self) -> dict[str, frozenset[str]]:
        """Keys of the fiches of each source in the current release."""
        path = self.warehouse.current_release()
        assert path is not None
        found: dict[str, set[str]] = {}
        for row in pq.read_table(path / "parquet" / "fiches.parquet").to_pylist():
            found.setdefault(row["source_id"], set()).add(row["cle_source"])
        return {source: frozenset(keys) for source, keys in found.items()}


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Country]:
    country = Country.start(tmp_path_factory.mktemp("pays"))
    yield country
    country.web.close()


@pytest.fixture(scope="module")
def first(country: Country) -> Country:
    web = country.web
    lines = "/data-fair/api/v1/datasets/lieux/lines"
    records = "/api/explore/v2.1/catalog/datasets/lieux/records"
    web.hosts["donnees"].faults[lines] = [refused(429, Retry_After="1")]
    web.hosts["regional"].faults[records] = [refused(503), refused(503)]
    web.hosts["carte"].faults["/api/elements.json"] = [slow(DRIP_S)]
    country.run("first", "--as-of", "2026-11-20")
    return country


@pytest.fixture(scope="module")
def again(first: Country) -> tuple[Country, Path | None]:
    before = first.warehouse.current_release()
    first.run("again", "--as-of", "2026-11-20")
    return first, before


@pytest.fixture(scope="module")
def failing(again: tuple[Country, Path | None]) -> Country:
    country, _ = again
    country.web.hosts["annuaire"].faults["/lieux/ht-2"] = [reset]
    country.web.hosts["regional"].robots = EVERYTHING_FORBIDDEN
    country.run(
        "failing", "--as-of", "2026-11-21",
        "--only", "html_listing", "--only", "opendatasoft", "--only", "csv", "--only", "gogocarto",
    )  # fmt: skip
    return country


def by_host(log: Sequence[Exchange]) -> dict[str, list[Exchange]]:
    ordered = sorted(log, key=lambda e: (e.host, e.start))
    return {host: list(found) for host, found in itertools.groupby(ordered, lambda e: e.host)}


def without_robots(log: Sequence[Exchange]) -> list[Exchange]:
    return [exchange for exchange in log if exchange.path != ROBOTS]


def assert_polite(log: Sequence[Exchange]) -> None:
    """One request at a time on every host, and the declared pause between two of them."""
    assert log
    for host, exchanges in by_host(log).items():
        for before, after in itertools.pairwise(exchanges):
            assert after.start >= before.end + PAUSE_S, (host, before, after)


def told(country: Country, run: str) -> dict[str, str]:
    """What the summary says of each source."""
    lines = (line.split() for line in country.runs[run][0].stdout.splitlines())
    known = {listing.id for listing in country.listings}
    return {words[0]: " ".join(words[1:]) for words in lines if words and words[0] in known}


class TestFirstRun:
    def test_no_platform_is_left_out(self, country: Country) -> None:
        assert {listing.platform for listing in country.listings} == PLATFORMS.keys()

    def test_every_platform_gives_its_fiches(self, first: Country) -> None:
        done, _ = first.runs["first"]
        assert done.returncode == 0, done.stdout + done.stderr
        expected = {listing.id: listing.keys for listing in first.listings}
        assert first.published() == expected

    def test_the_summary_names_each_source_with_its_status(self, first: Country) -> None:
        said = told(first, "first")
        assert said.keys() == {listing.id for listing in first.listings}
        assert {words.split()[0] for words in said.values()} == {"réussie"}
        assert said["json_offset"].split()[1] == "5"

    def test_every_page_is_asked_for_once_and_tried_again_only_when_refused(
        self, first: Country
    ) -> None:
        asked = without_robots(first.runs["first"][1])
        served = [(e.host, e.path) for e in asked if e.status < 400]
        assert len(served) == len(set(served)) == sum(x.requests for x in first.listings)
        assert [e.status for e in asked if e.status >= 400] == [429, 503, 503]

    def test_robots_is_read_before_anything_else_and_once_a_host(self, first: Country) -> None:
        for host, exchanges in by_host(first.runs["first"][1]).items():
            assert [e.path for e in exchanges].index(ROBOTS) == 0, host
            assert [e.path for e in exchanges].count(ROBOTS) == 1, host

    def test_hosts_are_left_to_breathe(self, first: Country) -> None:
        assert_polite(first.runs["first"][1])

    def test_a_host_that_asks_for_a_rest_gets_it(self, first: Country) -> None:
        _, log = first.runs["first"]
        address = first.web.hosts["donnees"].address
        refusal, retry, *_ = without_robots(by_host(log)[address])
        assert (refusal.status, retry.status) == (429, 200)
        assert retry.path == refusal.path
        assert retry.start >= refusal.end + 1

    def test_a_host_in_trouble_is_asked_ever_more_slowly(self, first: Country) -> None:
        _, log = first.runs["first"]
        tries = without_robots(by_host(log)[first.web.hosts["regional"].address])[:3]
        assert [e.status for e in tries] == [503, 503, 200]
        waits = [after.start - before.end for before, after in itertools.pairwise(tries)]
        assert waits[0] >= 1
        assert waits[1] >= 2

    def test_a_slow_answer_is_waited_for(self, first: Country) -> None:
        _, log = first.runs["first"]
        (dump,) = without_robots(by_host(log)[first.web.hosts["carte"].address])
        assert dump.end - dump.start > 0.9 * DRIP_S
        assert first.published()["gogocarto"] == first.listing("gogocarto").keys


class TestUnchanged:
    def test_every_source_is_said_to_be_unchanged(self, again: tuple[Country, Path | None]) -> None:
        country, _ = again
        done, _ = country.runs["again"]
        assert done.returncode == 0, done.stdout + done.stderr
        assert {words.split()[0] for words in told(country, "again").values()} == {"inchangée"}

    def test_requests_are_conditional_wherever_the_platform_offers_validators(
        self, again: tuple[Country, Path | None]
    ) -> None:
        country, _ = again
        hosts = {host.address: host for host in country.web.hosts.values()}
        conditional = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}
        asked = without_robots(country.runs["again"][1])
        assert len(asked) == sum(listing.requests for listing in country.listings)
        kinds = set()
        for exchange in asked:
            accepting = {"Accept": "application/ld+json"}
            resource = hosts[exchange.host].find(exchange.path, accepting)
            assert resource is not None
            if resource.status != 200:
                continue  # the redirect to a file, which has the validators
            sent = {conditional[name] for name in resource.validators}
            assert exchange.conditions == sent, exchange
            assert exchange.status == (304 if sent else 200), exchange
            kinds.add(frozenset(sent))
        assert len(kinds) == 4

    def test_there_is_no_new_release(self, again: tuple[Country, Path | None]) -> None:
        country, before = again
        assert before is not None
        assert country.warehouse.current_release() == before
        assert len([p for p in country.warehouse.releases.iterdir() if not p.is_symlink()]) == 1

    def test_it_is_as_polite(self, again: tuple[Country, Path | None]) -> None:
        assert_polite(again[0].runs["again"][1])


class TestFailures:
    def test_the_run_says_which_sources_failed_and_why(self, failing: Country) -> None:
        done, _ = failing.runs["failing"]
        assert done.returncode == 3, done.stdout + done.stderr
        said = told(failing, "failing")
        assert said["csv"].startswith("inchangée 4")
        assert said["gogocarto"].startswith("inchangée 6")
        reasons = {
            line.partition(" : ")[0]: line
            for line in done.stdout.splitlines()
            if " : " in line and not line.startswith("Version")
        }
        assert "corps interrompu" in reasons["html_listing"]
        assert "robots.txt" in reasons["opendatasoft"]
        assert "Traceback" not in done.stdout + done.stderr

    def test_no_fiche_is_lost(self, failing: Country) -> None:
        assert failing.published() == {listing.id: listing.keys for listing in failing.listings}

    def test_a_host_that_forbids_everything_is_asked_for_nothing_else(
        self, failing: Country
    ) -> None:
        _, log = failing.runs["failing"]
        asked = by_host(log)[failing.web.hosts["regional"].address]
        assert [exchange.path for exchange in asked] == [ROBOTS]

    def test_other_sources_were_asked_as_usual(self, failing: Country) -> None:
        _, log = failing.runs["failing"]
        hosts = by_host(without_robots(log))
        for name in ("fichiers", "carte"):
            assert [e.status for e in hosts[failing.web.hosts[name].address]] == [304]


@pytest.fixture
def harvested(tmp_path: Path) -> Iterator[tuple[Country, Client, Store]]:
    country = Country.start(tmp_path)
    client = Client(contact="https://exemple.test/", allowed_networks=[ip_network(LOOPBACK)])
    yield country, client, Store(tmp_path / "captures")
    client.close()
    country.web.close()


NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_harvests_at_once_still_ask_each_host_one_thing_at_a_time(
    harvested: tuple[Country, Client, Store],
) -> None:
    country, client, store = harvested
    registry = load_registry(country.sources)

    def harvest(source_id: str) -> int:
        source = registry[source_id]
        platform = PLATFORMS[source.plateforme]
        return len(capture.harvest(source, platform, registry, store, client, now=NOON).pages)

    with ThreadPoolExecutor(12) as threads:
        pages = list(threads.map(harvest, [listing.id for listing in country.listings]))

    assert_polite(country.web.log)
    redirects = sum(exchange.status == 302 for exchange in country.web.log)
    assert sum(pages) + redirects == sum(listing.requests for listing in country.listings)
    # Harvests did go on together: on different hosts, requests were in hand at the same time.
    spans = sorted((e.start, e.end, e.host) for e in country.web.log)
    assert any(b[0] < a[1] and a[2] != b[2] for a, b in itertools.pairwise(spans)), LATENCY_S


def test_a_harvest_that_was_cut_asks_again_only_for_what_it_did_not_get(
    harvested: tuple[Country, Client, Store],
) -> None:
    country, client, store = harvested
    registry = load_registry(country.sources)
    source = registry["html_listing"]
    platform = PLATFORMS[source.plateforme]
    country.web.hosts["annuaire"].faults["/lieux/ht-2"] = [reset]
    with pytest.raises(CaptureError, match="corps interrompu"):
        capture.harvest(source, platform, registry, store, client, now=NOON)
    obtained = {e.path for e in country.web.seen("annuaire")} - {"/lieux/ht-2"}
    assert len(obtained) >= 3

    country.web.forget()
    found = capture.harvest(source, platform, registry, store, client, now=NOON)

    assert len(found.pages) == country.listing("html_listing").requests
    asked = {exchange.path for exchange in country.web.seen("annuaire")}
    assert asked.isdisjoint(obtained)
    assert "/lieux/ht-2" in asked
