"""From the address of a site to a starting block of `sources.yaml`: which platform, read how.

A site is asked as little as possible: its address alone, then one page, then the API that the page
gives away, at most `MAX_REQUESTS` in all. What is proposed was read by the extractor of its
platform, so that columns, codes and counts are those that a harvest will meet.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from lowtech_data.extract.base import Page
from lowtech_data.recognise.addresses import by_address
from lowtech_data.recognise.contents import of_bytes, verified
from lowtech_data.recognise.fetch import Fetcher
from lowtech_data.recognise.markup import by_markup
from lowtech_data.recognise.platforms import listing
from lowtech_data.recognise.probe import (
    JOURNAL_ID,
    MAX_REQUESTS,
    Fetch,
    Guess,
    Probe,
    Proposal,
    Recognition,
    is_html,
)
from lowtech_data.recognise.yaml_block import append, block, bounds

__all__ = [
    "JOURNAL_ID",
    "MAX_REQUESTS",
    "Fetch",
    "Fetcher",
    "Proposal",
    "Recognition",
    "append",
    "block",
    "bounds",
    "recognise",
]

MAX_PROPOSALS = 6


def recognise(url: str, fetch: Fetch) -> Recognition:
    """What an address may be harvested as. Never raises for what a site answers."""
    probe = Probe(fetch)
    proposals = list(probe.guarded(url, _tried(probe, url)))
    if not proposals and (page := probe.get(url)) is not None:
        found = probe.guarded(url, _by_content(probe, page))
        proposals = list(itertools.islice(found, MAX_PROPOSALS))
    distinct = {(p.platform, p.url, str(p.options)): p for p in reversed(proposals)}
    return Recognition(url, tuple(reversed(distinct.values())), tuple(probe.tried))


def _tried(probe: Probe, url: str) -> Iterator[Proposal]:
    """What the address alone hints at; the first platform that holds ends the search."""
    for guess in by_address(url):
        attempt = probe.guarded(guess.url, verified(probe, guess))
        if found := list(itertools.islice(attempt, MAX_PROPOSALS)):
            yield from found
            return


def _by_content(probe: Probe, page: Page) -> Iterator[Proposal]:
    """What a page is; for a web page, what it leads to, the surest first."""
    if "ldp#" in page.headers.get("link", "") or (page.media_type or "") == "text/turtle":
        yield from listing(probe, Guess("semapps", page.url, "un conteneur LDP (en-tête Link)"))
        return
    if is_html(page):
        yield from by_markup(probe, page)
        return
    yield from of_bytes(probe, page)
