"""From the address of a site to a starting block of `sources.yaml`: which platform, read how.

A site is asked as little as possible: its address alone, then one page, then the API that the page
gives away, at most `MAX_REQUESTS` in all. What is proposed was read by the extractor of its
platform, so that columns, codes and counts are those that a harvest will meet.
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlencode, urljoin, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag

from lowtech_data import capture, files
from lowtech_data.capture.errors import CaptureError, FailureKind
from lowtech_data.extract import PLATFORMS, load_registry
from lowtech_data.extract.base import Page, PayloadError, Request, declared_columns, mask, value_at
from lowtech_data.extract.decode import decode, read_html, read_json
from lowtech_data.extract.licences import NONE, read_licence
from lowtech_data.folding import fold
from lowtech_data.registry import (
    FirstOf,
    Registry,
    RegistryError,
    Separated,
    Source,
    ValueSpec,
)

MAX_REQUESTS = 8
"""Pages asked for one recognition, robots.txt not counted."""

MAX_PROPOSALS = 6
MAX_ROWS = 5_000
"""Records read to guess columns and count codes."""

CODES_SHOWN = 6
JOURNAL_ID = "reconnaissance"
"""Name in the store of what was asked for before there was a source."""

LOWER_BOUND, UPPER_BOUND = 0.7, 1.5
"""Proposed `bornes`, as shares of what was found: a listing that loses a third is broken far more
often than it is true, and one that gains half has changed its subject."""

_FILE_PLATFORMS = frozenset({"csv", "geojson", "javascript", "json", "tableur"})

MOTIVE = "à vérifier par un responsable avant la première moisson"
TO_FILL = "à compléter"


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
class _Guess:
    """A platform that the address or the page hints at, not yet tried."""

    platform: str
    url: str
    evidence: str
    options: Mapping[str, Any] = field(default_factory=dict)
    known: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the proposal that are already known."""


class _Probe:
    """Asks for pages, counts them, and remembers what was tried."""

    def __init__(self, fetch: Fetch) -> None:
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
        if known and not _is_html(known) and known.media_type != "text/turtle":
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

    def refused(self, guess: _Guess, error: Exception) -> None:
        self.tried.append(f"{guess.url} : lue comme {guess.platform}, refusée : {error}")


def recognise(url: str, fetch: Fetch) -> Recognition:
    """What an address may be harvested as. Never raises for what a site answers."""
    probe = _Probe(fetch)
    proposals = list(_guarded(probe, url, _tried(probe, url)))
    if not proposals and (page := probe.get(url)) is not None:
        found = _guarded(probe, url, _by_content(probe, page))
        proposals = list(itertools.islice(found, MAX_PROPOSALS))
    distinct = {(p.platform, p.url, str(p.options)): p for p in reversed(proposals)}
    return Recognition(url, tuple(reversed(distinct.values())), tuple(probe.tried))


def _guarded(probe: _Probe, url: str, found: Iterator[Proposal]) -> Iterator[Proposal]:
    """What is found until an answer of a shape that nobody expects, which is told."""
    try:
        yield from found
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        reason = str(error) if isinstance(error, PayloadError) else type(error).__name__
        probe.tried.append(f"{url} : d’une forme inattendue : {reason}")


def _tried(probe: _Probe, url: str) -> Iterator[Proposal]:
    """What the address alone hints at; the first platform that holds ends the search."""
    for guess in _by_address(url):
        attempt = _guarded(probe, guess.url, _verified(probe, guess))
        if found := list(itertools.islice(attempt, MAX_PROPOSALS)):
            yield from found
            return


# By the address alone


def _by_address(url: str) -> Iterator[_Guess]:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        return
    root = f"{parts.scheme}://{parts.netloc}"
    for pattern, guess in _ADDRESSES:
        if match := pattern.search(url):
            yield from guess(url, root, match)


def _simple(platform: str, template: str, evidence: str) -> _AddressRule:
    """A rule whose API address is a template of the root and of the groups of the pattern."""

    def rule(url: str, root: str, match: re.Match[str]) -> Iterator[_Guess]:
        address = template.format(*match.groups(""), url=url.partition("#")[0], root=root)
        yield _Guess(platform, address, evidence, known={"page": url})

    return rule


_AddressRule = Callable[[str, str, "re.Match[str]"], Iterator[_Guess]]


def _overpass(url: str, root: str, match: re.Match[str]) -> Iterator[_Guess]:
    asked = parse_qs(urlsplit(url).query)
    query = next((asked[name][0] for name in ("data", "Q") if asked.get(name)), "")
    endpoint = "https://overpass-api.de/api/interpreter" if match[1] else url.partition("?")[0]
    note: tuple[str, ...] = ()
    options: dict[str, Any] = {"requete": query}
    if "[out:json]" not in query:
        options = {"filtres": {"a_nommer": [{"repair": "assisted_self_service"}]}}
        note = ("filtres : un exemple, à remplacer par les étiquettes cherchées",)
    known = {
        "page": "https://www.openstreetmap.org/", "publisher": "Contributeurs d’OpenStreetMap",
        "title": "OpenStreetMap", "licence": "odbl-1.0", "notes": note,
    }  # fmt: skip
    yield _Guess("overpass", endpoint, "l’adresse d’un serveur Overpass", options, known)


def _sparql(url: str, root: str, match: re.Match[str]) -> Iterator[_Guess]:
    parts = urlsplit(url)
    query = parse_qs(parts.query).get("query", [unquote(parts.fragment)])[0]
    is_wikidata = "wikidata.org" in (parts.hostname or "")
    endpoint = "https://query.wikidata.org/sparql" if is_wikidata else url.partition("?")[0]
    note: tuple[str, ...] = ()
    if "select" not in query.lower():
        query = "SELECT ?item ?itemLabel WHERE { ?item rdfs:label ?itemLabel } LIMIT 10"
        note = ("requete : un exemple, à remplacer par la vraie question",)
    known: dict[str, Any] = {"page": url.partition("#")[0], "notes": note}
    if is_wikidata:
        known |= {"licence": "cc0-1.0", "title": "Wikidata", "publisher": "Wikidata"}
    yield _Guess("sparql", endpoint, "l’adresse d’un serveur SPARQL", {"requete": query}, known)


_DATA_FAIR = "{root}/data-fair/api/v1/datasets/{0}/lines"
_ADDRESSES: tuple[tuple[re.Pattern[str], _AddressRule], ...] = (
    (
        re.compile(r"^(.*/api/elements(?:\.json)?)(?:\?|$)"),
        _simple("gogocarto", "{url}", "l’adresse de l’API de GoGoCarto (/api/elements)"),
    ),
    (
        re.compile(r"^https?://[\w.-]+\.gogocarto\.fr(?::\d+)?(?!.*/api/)"),
        _simple("gogocarto", "{root}/api/elements.json", "une carte de gogocarto.fr"),
    ),
    (
        re.compile(r"^(https?://[^?#]*/api/v1/datasets/[^/?#]+)"),
        _simple("data_fair", "{0}/lines", "l’adresse d’un jeu de données Data Fair"),
    ),
    (
        re.compile(r"^https?://[^/]*\bdata\.gouv\.fr/(?:\w\w/)?(?:api/[12]/)?datasets/([^/?#]+)"),
        _simple(
            "data_gouv", "{root}/api/1/datasets/{0}/", "l’adresse d’un jeu de données de data.gouv"
        ),
    ),
    (
        re.compile(r"^https?://[^/]+/api/[12]/datasets/([^/?#]+)/?(?:\?|$)"),
        _simple("data_gouv", "{root}/api/1/datasets/{0}/", "l’adresse d’un portail udata"),
    ),
    (
        re.compile(
            r"^https?://(?![^/]*\bdata\.gouv\.fr/)[^/]+/(?:\w\w/)?(?:data-fair/)?datasets?/([^/?#]+)"
        ),
        _simple("data_fair", _DATA_FAIR, "la page d’un jeu de données, servi par Data Fair"),
    ),
    (
        re.compile(r"^https?://(?![^/]*\bdata\.gouv\.fr/)[^/]+/(?:\w\w/)?datasets/([^/?#]+)/?$"),
        _simple("data_gouv", "{root}/api/1/datasets/{0}/", "la page d’un jeu de données udata"),
    ),
    (
        re.compile(
            r"^https?://[^/]+/(?:explore/(?:dataset|assets)|api/explore/v2\.\d/catalog/datasets)"
            r"/([^/?#]+)"
        ),
        _simple(
            "opendatasoft",
            "{root}/api/explore/v2.1/catalog/datasets/{0}",
            "l’adresse d’un jeu de données Opendatasoft",
        ),
    ),
    (
        re.compile(r"^https?://[^?#]*/map/(?:[^/?#]*_)?\d+/?(?:[?#]|$)"),
        _simple("umap", "{url}", "l’adresse d’une carte uMap"),
    ),
    (
        re.compile(r"^(https?://[^?#]*/(?:latest|c/[\w-]+/\d+))(?:\.json)?/?(?:[?#]|$)"),
        _simple("discourse", "{0}.json", "l’adresse d’une liste de sujets Discourse"),
    ),
    (
        re.compile(r"^(https?://[^?#]*)\?api/forms/(\d+)"),
        _simple("yeswiki_bazar", "{0}?api/forms/{1}/entries", "l’adresse de l’API d’un YesWiki"),
    ),
    (
        re.compile(r"\?BazaR/json&demand=entries"),
        _simple("yeswiki_bazar", "{url}", "l’ancienne API d’un YesWiki (BazaR/json)"),
    ),
    (
        re.compile(r"^(https?://[^?#]*/wp-json)(?:/|\?|$)"),
        _simple("wordpress", "{0}/wp/v2", "l’adresse de l’API de WordPress (/wp-json)"),
    ),
    (
        re.compile(r"^(https?://[^?#]*/api\.php)(?:\?|$)"),
        _simple("mediawiki_modele", "{0}", "l’adresse de l’API de MediaWiki (api.php)"),
    ),
    (
        re.compile(r"^https?://[^?#]*/api/(?:organization|project|event|poi)/get/"),
        _simple("communecter", "{url}", "l’adresse de l’API de Communecter"),
    ),
    (
        re.compile(r"^https?://[^?#]*/costum/co/index/slug/([\w-]+)"),
        _simple(
            "communecter",
            "{root}/api/organization/get/key/{0}",
            "un réseau de Communecter (costum)",
        ),
    ),
    (re.compile(r"^https?://(overpass-turbo)[^/]*/|/api/interpreter(?:\?|$)"), _overpass),
    (re.compile(r"^https?://query\.wikidata\.org/|/sparql/?(?:\?|$)"), _sparql),
)

# Trying a guess


def _verified(probe: _Probe, guess: _Guess) -> Iterator[Proposal]:
    """The proposals that a guess leads to, once its platform has read what the address gives."""
    if guess.platform in {"overpass", "sparql"} and guess.known.get("notes"):
        # Asking such a server for everything would cost it dearly: a person says what.
        probe.tried.append(f"{guess.url} : reconnue à son adresse, pas demandée")
        yield Proposal(guess.platform, guess.url, guess.evidence, options=guess.options,
                       **guess.known)  # fmt: skip
        return
    yield from _WAYS.get(guess.platform, _listing)(probe, guess)


def _source(guess: _Guess) -> Source:
    """The source that a guess would make, to read a sample as a harvest would."""
    return Source.model_validate(
        {
            "id": JOURNAL_ID, "nom": guess.url, "editeur": TO_FILL, "plateforme": guess.platform,
            "url": guess.url, "page": guess.known.get("page"), "licence": NONE,
            "republication": "faits_et_lien", "preuve": "vu", "options": dict(guess.options),
        }
    )  # fmt: skip


def _listing(probe: _Probe, guess: _Guess) -> Iterator[Proposal]:
    """Any platform whose first page holds records."""
    request = PLATFORMS[guess.platform].first(_source(guess))[-1]
    if page := probe.get(request.url, request.accept):
        yield from _read(probe, guess, [page])


def _read(probe: _Probe, guess: _Guess, pages: Sequence[Page]) -> Iterator[Proposal]:
    source, platform = _source(guess), PLATFORMS[guess.platform]
    try:
        rows = itertools.chain.from_iterable(platform.rows(source, page) for page in pages)
        met = list(itertools.islice(rows, MAX_ROWS))
        following = platform.follow(source, pages[-1])
        total = next((n for page in pages if (n := platform.announced(page)) is not None), None)
        licence = next((found for page in pages if (found := platform.licence(page))), None)
    except (PayloadError, ValueError) as error:
        probe.refused(guess, error)
        return
    records = [row.values for row in met if hasattr(row, "values")]
    if not records:
        probe.refused(guess, PayloadError("aucun enregistrement lisible"))
        return
    if total is None and not following and len(met) < MAX_ROWS and guess.platform != "flux":
        total = len(met)
    yield _proposal(guess, source, records, total, licence)


def _map_layers(probe: _Probe, guess: _Guess) -> Iterator[Proposal]:
    """A uMap: its description, then its first layers."""
    source, platform = _source(guess), PLATFORMS["umap"]
    (request,) = platform.first(source)
    if not (described := probe.get(request.url, request.accept)):
        return
    try:
        layers = platform.follow(source, described)
        title = value_at(read_json(described), "properties.name")
    except PayloadError as error:
        probe.refused(guess, error)
        return
    pages = [page for asked in layers[:2] if (page := probe.get(asked.url, asked.accept))]
    for found in _read(probe, replace(guess, known={"title": title, **guess.known}),
                       [described, *pages]):  # fmt: skip
        yield found if len(pages) == len(layers) else replace(found, total=None)


def _described_lines(probe: _Probe, guess: _Guess) -> Iterator[Proposal]:
    """Data Fair and Opendatasoft: the lines, then what the dataset says of itself."""
    for found in _listing(probe, guess):
        about = probe.get(guess.url.removesuffix("/lines"), "application/json")
        document = _json(about)
        licence = value_at(document, "license.title") or value_at(document, "metas.default.license")
        yield replace(
            found,
            title=_text(value_at(document, "title") or value_at(document, "metas.default.title")),
            publisher=_text(
                value_at(document, "owner.name") or value_at(document, "metas.default.publisher")
            ),
            licence=found.licence or _licence(licence),
        )


def _dataset(probe: _Probe, guess: _Guess) -> Iterator[Proposal]:
    """A dataset of a udata portal: its most recent file that can be read."""
    page = probe.get(guess.url, "application/json")
    document = _json(page)
    resources = document.get("resources") if isinstance(document, Mapping) else None
    readable = [
        item
        for item in (resources if isinstance(resources, list) else ())
        if isinstance(item, Mapping) and fold(str(item.get("format") or "")) in _FILE_ORDER
    ]
    if not readable:
        if page:
            probe.refused(guess, PayloadError("aucun fichier CSV, GeoJSON, JSON, XLSX ou ODS"))
        return
    readable.sort(key=lambda item: str(item.get("last_modified") or ""), reverse=True)
    readable.sort(key=lambda item: _FILE_ORDER.index(fold(str(item["format"]))))
    chosen = readable[0]
    kind = fold(str(chosen["format"]))
    alike = [item for item in readable if fold(str(item["format"])) == kind]
    wanted: dict[str, Any] = {"id": str(chosen["id"])} if len(alike) > 1 else {"format": kind}
    stable = urljoin(guess.url, f"/api/1/datasets/r/{chosen['id']}")
    host = urlsplit(str(chosen.get("url") or "")).hostname
    hosts = tuple(filter(None, [host if host != urlsplit(guess.url).hostname else None]))
    file = probe.get(stable, "*/*", hosts)
    if file is None:
        return
    known = {
        "title": _text(document.get("title")), "hosts": hosts,
        "publisher": _text(value_at(document, "organization.name")),
        "licence": _licence(document.get("license")), **guess.known,
        "notes": (f"fichier : « {_line(chosen.get('title'))} » ({kind}), de {len(readable)}",),
    }  # fmt: skip
    for found in itertools.islice(_of_bytes(probe, replace(file, url=stable)), 1):
        options: dict[str, Any] = {"ressource": wanted}
        if found.options or wanted.get("id"):
            options |= {"lecture": found.platform}
        if found.options:
            options |= {"options_lecture": dict(found.options)}
        fields = dict(found.fields)
        mapping = PLATFORMS[found.platform].mapping
        for target in ("cle_source", "nom"):
            # The portal's reader has neither: it does not know which reader will be used.
            if target not in fields and target in mapping:
                fields[target] = mapping[target]
        yield replace(
            found, platform="data_gouv", url=guess.url, evidence=guess.evidence, options=options,
            fields=fields, **known,
        )  # fmt: skip


_FILE_ORDER = ("geojson", "csv", "json", "xlsx", "ods")


def _site_contents(probe: _Probe, guess: _Guess) -> Iterator[Proposal]:
    """A WordPress: the types of the site itself, or its posts when it has none."""
    types = _json(probe.get(f"{guess.url}/types", "application/json"))
    own = {
        str(kind.get("rest_base") or name): _text(kind.get("name"))
        for name, kind in (types.items() if isinstance(types, Mapping) else ())
        if isinstance(kind, Mapping) and not _WP_TYPES.match(name)
    }
    if not own and not isinstance(types, Mapping):
        return
    for base, name in list(own.items())[:3] or [("posts", None)]:
        options = {"contenu": base}
        sample = replace(guess, options={**options, "toutes_colonnes": True})
        for found in _listing(probe, sample):
            evidence = f"{guess.evidence}, type « {name or base} »"
            yield replace(found, options=options, others=(), evidence=evidence)


_WP_TYPES = re.compile(
    r"(?:post|page|attachment|nav_menu_item|wp_\w+|elementor_\w+|e-\w+|jp_\w+|feedback|acf-\w+)$"
)


def _wiki(probe: _Probe, guess: _Guess) -> Iterator[Proposal]:
    """A MediaWiki: `Category:Tutorials` of a Dokit, else its category with the most pages."""
    asked = {
        "action": "query", "format": "json", "formatversion": "2", "meta": "siteinfo",
        "siprop": "general|rightsinfo", "list": "allcategories", "acprop": "size", "acmin": "3",
        "aclimit": "500",
    }  # fmt: skip
    about = _json(probe.get(f"{guess.url}?{urlencode(asked)}", "application/json"))
    listed = value_at(about, "query.allcategories")
    sizes = {
        str(item.get("category")): int(item.get("pages") or 0)
        for item in (listed if isinstance(listed, list) else ())
        if isinstance(item, Mapping)
    }
    if not sizes:
        return
    by_size = sorted(sizes, key=lambda name: (-sizes[name], name))
    is_dokit = "Tutorials" in sizes
    category = "Tutorials" if is_dokit else by_size[0]
    general = value_at(about, "query.general")
    general = general if isinstance(general, Mapping) else {}
    options: dict[str, Any] = {} if is_dokit else {"categorie": f"Category:{category}"}
    path = str(general.get("articlepath") or "/wiki/$1").partition("$1")[0]
    options |= {"chemin_page": path} if path.startswith("/") and path != "/wiki/" else {}
    version = re.match(r"MediaWiki 1\.(\d+)", str(general.get("generator")))
    options |= {"rvslots": True} if version and int(version[1]) >= 32 else {}
    shown = ", ".join(f"{_line(name)} ({sizes[name]})" for name in by_size[:6])
    rights = value_at(about, "query.rightsinfo")
    rights = rights if isinstance(rights, Mapping) else {}
    known = {
        "title": _text(general.get("sitename")), "resource": is_dokit,
        "licence": _licence(rights.get("url")) or _licence(rights.get("text")),
        "notes": (f"catégories (pages) : {shown}",),
    }  # fmt: skip
    known = {**guess.known, **{name: said for name, said in known.items() if said}}
    name = "mediawiki_dokit" if is_dokit else "mediawiki_modele"
    tried = replace(guess, platform=name, options=options, known=known)
    source, platform = _source(tried), PLATFORMS[name]
    (request,) = platform.first(source)
    members = probe.get(request.url, request.accept)
    try:
        following = platform.follow(source, members) if members else ()
    except PayloadError as error:
        probe.refused(tried, error)
        return
    if following and (contents := probe.get(following[0].url, following[0].accept)):
        for found in _read(probe, tried, [contents]):
            yield replace(found, total=sizes[category])


def _forms(probe: _Probe, guess: _Guess) -> Iterator[Proposal]:
    """A YesWiki: the entries of each of its forms, the first ones."""
    if not guess.url.endswith("?api/forms"):
        yield from _listing(probe, guess)
        return
    document = _json(probe.get(guess.url, "application/json"))
    forms = list(document.values() if isinstance(document, Mapping) else document or ())
    for form in [f for f in forms if isinstance(f, Mapping) and f.get("bn_id_nature")][:3]:
        entries = f"{guess.url}/{form['bn_id_nature']}/entries"
        name = _text(form.get("bn_label_nature"))
        evidence = f"{guess.evidence}, formulaire « {name} »"
        yield from _listing(
            probe,
            replace(guess, url=entries, evidence=evidence, known={**guess.known, "title": name}),
        )


def _sitemap(probe: _Probe, guess: _Guess) -> Iterator[Proposal]:
    """A sitemap: its most frequent kind of page, of which one is asked for."""
    page = probe.get(guess.url)
    if page is None:
        return
    text = decode(page).text if not page.body.startswith(b"\x1f\x8b") else ""
    found = re.findall(r"<(?:\w+:)?loc>\s*(?:<!\[CDATA\[)?\s*([^<\s\]]+)", text)
    places = [place.replace("&amp;", "&") for place in found[:20_000]]
    if "<sitemapindex" in text[:4_000]:
        inner = sorted(places, key=lambda place: (not _LISTS.search(place), place))
        if inner:
            deeper = replace(guess, url=inner[0], known={**guess.known, "index": guess.url})
            yield from _sitemap(probe, deeper) if "index" not in guess.known else ()
        return
    kinds = Counter(kind for place in places if (kind := _kind_of_page(place)))
    if not kinds:
        probe.refused(guess, PayloadError("aucune page dans le plan"))
        return
    kind, count = kinds.most_common(1)[0]
    first = next(place for place in places if _kind_of_page(place) == kind)
    record = probe.get(first)
    if record is None:
        return
    options: dict[str, Any] = {"pages": re.escape(kind)}
    linked = _linked_types(record)
    if linked:
        options["json_ld"] = {"types": linked[:3]}
    else:
        options["selecteurs"] = {"fiche": "body", "champs": {"nom": "h1"}}
    known = {k: v for k, v in guess.known.items() if k != "index"}
    address = guess.known.get("index", guess.url)
    tried = _Guess("sitemap", address, guess.evidence, options, known)
    note = f"pages retenues : {kind} ({count} de {len(places)})"
    for proposal in _read(probe, tried, [record]):
        yield replace(proposal, total=count, notes=(note,))


_LISTS = re.compile(r"(?i)lieu|annuaire|place|listing|atelier|structure|adherent|fiche|point")


def _kind_of_page(place: str) -> str | None:
    """The folders of the address of a page, which pages of one kind share."""
    folder = urlsplit(place).path.rstrip("/").rpartition("/")[0]
    return f"{folder}/" if folder else None


def _linked_types(page: Page) -> list[str]:
    """Types of the JSON-LD records of a page, the most frequent first; none for what is no page."""
    try:
        rows = list(itertools.islice(PLATFORMS["json_ld"].rows(_SCRATCH, page), MAX_ROWS))
    except PayloadError:
        return []
    types: Counter[str] = Counter()
    for row in rows:
        given = row.values.get("@type") if hasattr(row, "values") else None
        types.update([given] if isinstance(given, str) else given or ())
    return [name for name, _ in types.most_common() if name not in {"Organization", "WebSite"}] or [
        name for name, _ in types.most_common() if name == "Organization"
    ]


_WAYS: Mapping[str, Callable[[_Probe, _Guess], Iterator[Proposal]]] = {
    "umap": _map_layers,
    "data_fair": _described_lines,
    "opendatasoft": _described_lines,
    "data_gouv": _dataset,
    "wordpress": _site_contents,
    "mediawiki_modele": _wiki,
    "yeswiki_bazar": _forms,
    "sitemap": _sitemap,
}

_SCRATCH = _source(_Guess("json_ld", "https://localhost/", ""))


# By what the address gives


def _by_content(probe: _Probe, page: Page) -> Iterator[Proposal]:
    """What a page is; for a web page, what it leads to, the surest first."""
    if "ldp#" in page.headers.get("link", "") or (page.media_type or "") == "text/turtle":
        yield from _listing(probe, _Guess("semapps", page.url, "un conteneur LDP (en-tête Link)"))
        return
    if _is_html(page):
        yield from _by_markup(probe, page)
        return
    yield from _of_bytes(probe, page)


def _of_bytes(probe: _Probe, page: Page) -> Iterator[Proposal]:
    """A file or the answer of an API, by its first bytes then by its shape."""
    if page.body.startswith(b"PK\x03\x04"):
        evidence = "un classeur (archive ZIP : XLSX ou ODS)"
        found = list(_read(probe, _Guess("tableur", page.url, evidence), [page]))
        yield from found or _read(
            probe, _Guess("tableur", page.url, evidence, {"feuille": 1}), [page]
        )
        return
    text = decode(page).text
    start = text.lstrip("\ufeff \t\r\n")
    if start.startswith("<"):
        yield from _of_xml(probe, page, start)
    elif start[:1] in {"{", "["}:
        yield from _of_json(probe, page, read_json(page))
    elif variable := _VARIABLE.search(text[:20_000]):
        name = variable[1] or variable[2]
        linked = '"@id"' in text[:20_000] or '"@type"' in text[:20_000]
        guess = _Guess("json_ld" if linked else "javascript", page.url,
                       f"la variable « {name} » d’un script", {"variable": name})  # fmt: skip
        yield from _read(probe, guess, [page])
    elif (dialect := _csv_dialect(text)) is not None:
        separator = dialect.get("separateur", ",")
        evidence = f"un texte en colonnes, séparées par {separator!r}"
        yield from _read(probe, _Guess("csv", page.url, evidence, dialect), [page])
    else:
        probe.tried.append(f"{page.url} : texte sans colonnes, ni JSON, ni XML")


_VARIABLE = re.compile(
    r"^\s*(?:(?:export\s+)?(?:const|let|var)\s+([\w$]+)\s*=|export\s+(default))\s*[\[{]", re.M
)


def _of_xml(probe: _Probe, page: Page, start: str) -> Iterator[Proposal]:
    root = re.search(r"<(?:\w+:)?(rss|RDF|feed|urlset|sitemapindex|html)[\s>:]", start[:4_000])
    match root[1] if root else "":
        case "rss" | "RDF" | "feed":
            yield from _read(probe, _Guess("flux", page.url, "un flux RSS ou Atom"), [page])
        case "urlset" | "sitemapindex":
            yield from _sitemap(probe, _Guess("sitemap", page.url, "un plan de site (sitemap)"))
        case _:
            probe.tried.append(f"{page.url} : XML d’une forme inconnue")


def _csv_dialect(text: str) -> dict[str, Any] | None:
    """Options of the platform `csv`, or nothing when lines have no common number of cells."""
    best: tuple[float, str, list[list[str]]] = (0, "", [])
    for separator in ",;\t|":
        cells = list(itertools.islice(csv.reader(io.StringIO(text), delimiter=separator), 50))
        lines = [line for line in cells if any(map(str.strip, line))]
        width, same = Counter(map(len, lines)).most_common(1)[0] if lines else (0, 0)
        if width > 1 and same >= 0.5 * len(lines) and len(lines) > 1:
            best = max(best, (width * same / len(lines), separator, lines))
    _, separator, lines = best
    if not lines:
        return None
    options: dict[str, Any] = {} if separator == "," else {"separateur": separator}
    names = [cell.strip() for cell in lines[0]]
    if any(_is_value(cell) for cell in names):
        options["colonnes"] = _names_by_content(list(zip(*_even(lines), strict=True)))
    elif len(set(filter(None, names))) < len([name for name in names if name]):
        options |= {"colonnes": _apart(names), "lignes_a_sauter": 1}
    return options


def _even(lines: Sequence[list[str]]) -> list[list[str]]:
    width = Counter(map(len, lines)).most_common(1)[0][0]
    return [line for line in lines if len(line) == width]


def _is_value(cell: str) -> bool:
    """Whether a cell of a first line is data: no column is named so."""
    return bool(re.search(r"https?://|\S@\S|^\d{4,}$|^-?\d+[.,]\d+$", cell))


def _names_by_content(columns: Sequence[Sequence[str]]) -> list[str]:
    """Names for columns that have none: by what their cells look like, else their number."""
    names: list[str] = []
    for number, cells in enumerate(columns, 1):
        filled = [cell.strip() for cell in cells if cell.strip()]
        name = next((n for n, shape in _SHAPES if filled and _share(filled, shape) >= 0.6), None)
        name = name or ("nom" if number == 1 else f"colonne_{number}")
        if name == "code_postal":
            names = ["adresse" if n == f"colonne_{number - 1}" else n for n in names]
        if names and names[-1] == "code_postal" and name.startswith("colonne_"):
            name = "commune"
        names.append(name)
    return _apart(names)


def _apart(names: Sequence[str]) -> list[str]:
    met: Counter[str] = Counter()
    told = []
    for number, given in enumerate(names, 1):
        name = given or f"colonne_{number}"
        met[name] += 1
        told.append(name if met[name] == 1 else f"{name}_{met[name]}")
    return told


_MAIL = re.compile(r"[^\s@]+@[^\s@]+\.\w+")
_PHONE = re.compile(r"(?:\+?33|0)?[\s.]?[1-9](?:[\s.-]?\d{2}){4}")
_MOBILE = re.compile(r"(?:\+?33|0)\s?[67](?:[\s.-]?\d{2}){4}")
_SHAPES = (
    ("courriel", _MAIL),
    ("site_web", re.compile(r"(?:https?://|www\.)\S+")),
    ("code_postal", re.compile(r"\d{4,5}")),
    ("telephone", _PHONE),
)


def _share(values: Sequence[Any], shape: re.Pattern[str]) -> float:
    return sum(1 for v in values if shape.fullmatch(str(v).strip())) / max(len(values), 1)


def _of_json(probe: _Probe, page: Page, document: Any) -> Iterator[Proposal]:
    for test, platform, evidence in _JSON_SHAPES:
        if test(document):
            guess = _Guess(platform, page.url, evidence)
            match platform:
                case "data_gouv":
                    yield from _dataset(probe, guess)
                case "overpass" | "sparql":
                    yield from _unasked(probe, guess)
                case "umap" if document.get("type") == "Feature":
                    yield from _map_layers(probe, guess)
                case "wordpress" if isinstance(document, Mapping):
                    yield from _site_contents(probe, replace(guess, url=f"{page.url}/wp/v2"))
                case "yeswiki_bazar":
                    yield from _read(probe, _exported(guess, document), [page])
                case _:
                    yield from _read(probe, guess, [page])
            return
    if (where := _records_at(document)) is None:
        probe.tried.append(f"{page.url} : JSON sans liste d’enregistrements")
        return
    options: dict[str, Any] = {"chemin": where} if where else {}
    following = next((p for p in _NEXT if isinstance(value_at(document, p), str)), None)
    options |= {"suivant": following} if following else {}
    if position := _position_text(value_at(document, where) if where else document):
        options["latitude_longitude"] = position
    evidence = f"du JSON, enregistrements {f'sous « {where} »' if where else 'à la racine'}"
    yield from _read(probe, _Guess("json", page.url, evidence, options), [page])


def _unasked(probe: _Probe, guess: _Guess) -> Iterator[Proposal]:
    """An answer whose address holds the query, or does not say what was asked."""
    rule = _overpass if guess.platform == "overpass" else _sparql
    no_page = re.match("()", "")
    for asked in rule(guess.url, "", no_page) if no_page else ():
        yield from _verified(probe, replace(asked, evidence=guess.evidence))


_NEXT = ("next", "links.next", "meta.next", "suivant", "nextPage")


def _first_item(document: Any) -> Mapping[str, Any]:
    """The first record of a list or of an object of records; empty when there is none."""
    items = list(document.values()) if isinstance(document, Mapping) else document
    found = items[0] if isinstance(items, list) and items else None
    return found if isinstance(found, Mapping) else {}


def _has(*paths: str) -> Callable[[Any], bool]:
    return lambda d: isinstance(d, Mapping) and all(value_at(d, p) is not None for p in paths)


def _item_has(*keys: str) -> Callable[[Any], bool]:
    return lambda d: all(key in _first_item(d) for key in keys)


def _is_container(document: Any) -> bool:
    return isinstance(document, Mapping) and any("contains" in key for key in document) and (
        "ldp" in json.dumps(document.get("type", document.get("@type")))
        or "ldp:contains" in document
    )  # fmt: skip


_JSON_SHAPES: tuple[tuple[Callable[[Any], bool], str, str], ...] = (
    (_has("data", "ontology"), "gogocarto", "l’export de GoGoCarto (« ontology », « data »)"),
    (_item_has("title", "location", "categories"), "gogocarto", "des fiches de GoGoCarto"),
    (_item_has("name", "sourceKey", "geo"), "gogocarto", "des fiches de GoGoCarto"),
    (_has("total_count", "results"), "opendatasoft", "l’API d’Opendatasoft (« total_count »)"),
    (_has("results.bindings", "head.vars"), "sparql", "des réponses SPARQL"),
    (_has("osm3s", "elements"), "overpass", "une réponse d’Overpass (« osm3s »)"),
    (_has("resources", "slug"), "data_gouv", "un jeu de données udata (« resources »)"),
    (_has("topic_list.topics"), "discourse", "des sujets de Discourse (« topic_list »)"),
    (_has("entities", "meta"), "communecter", "l’API de Communecter (« entities »)"),
    (
        lambda d: (
            _has("properties.datalayers")(d)
            or (_has("type", "layers")(d) and d["type"] == "umap")
            or (_has("features", "_umap_options")(d))
        ),
        "umap",
        "une carte uMap ou un de ses calques",
    ),
    (
        lambda d: _has("features")(d) and d.get("type") == "FeatureCollection",
        "geojson",
        "une FeatureCollection GeoJSON",
    ),
    (_is_container, "semapps", "un conteneur LDP (« ldp:contains »)"),
    (_has("namespaces", "routes"), "wordpress", "l’index de l’API de WordPress"),
    (_item_has("bf_titre"), "yeswiki_bazar", "des fiches Bazar de YesWiki (« bf_titre »)"),
    (
        _item_has("datetime_create", "bf_latitude"),
        "yeswiki_bazar",
        "l’export d’un formulaire de YesWiki (« datetime_create »)",
    ),
    (_item_has("facility"), "okw", "des ateliers Open Know-Where (« facility »)"),
    (_item_has("space", "data", "url"), "spaceapi", "le collecteur de SpaceAPI"),
    (
        lambda d: _has("@graph")(d) or "@type" in _first_item(d) or _has("@context", "@type")(d),
        "json_ld",
        "du JSON-LD (« @type »)",
    ),
)


def _exported(guess: _Guess, document: Any) -> _Guess:
    """The guess with what makes a key of an export of YesWiki, whose rows have none."""
    if "bf_titre" in _first_item(document) or "id_fiche" in _first_item(document):
        return guess
    items = [item for item in document if isinstance(item, Mapping)][:MAX_ROWS]
    fields, *_ = _guessed(_columns(items), {})
    name, commune = fields.get("nom"), fields.get("commune")
    apart = [c for c in ("datetime_create", fields.get("adresse")) if isinstance(c, str)]
    options = {"cle": [c for c in (name, commune) if isinstance(c, str)], "departage": apart}
    return replace(guess, options=options)


def _records_at(document: Any, path: str = "", depth: int = 0) -> str | None:
    """Dotted path to the longest list or object of records; empty for the document itself."""
    best: tuple[int, str] | None = None
    for where, value in _containers(document, path, depth):
        items = list(value.values()) if isinstance(value, Mapping) else value
        count = len(items)
        is_records = count and all(isinstance(item, Mapping) for item in items)
        if is_records and (isinstance(value, list) or count >= 3) and (
            best is None or count > best[0]
        ):  # fmt: skip
            best = (count, where)
    return best[1] if best else None


def _containers(document: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(document, list | Mapping):
        yield path, document
    if isinstance(document, Mapping) and depth < 3 and len(document) <= 50:
        for key, value in document.items():
            if "." not in key:
                yield from _containers(value, f"{path}.{key}" if path else key, depth + 1)


def _position_text(records: Any) -> str | None:
    """The column that holds `"47.2, -1.5"`."""
    return next(
        (
            name
            for name, value in _first_item(records).items()
            if isinstance(value, str) and re.fullmatch(r"-?\d+\.\d+\s*,\s*-?\d+\.\d+", value)
        ),
        None,
    )


# By the markup of a web page


def _is_html(page: Page | None) -> bool:
    start = page.body[:2_000].lstrip(b"\xef\xbb\xbf \t\r\n").lower() if page else b""
    return start.startswith((b"<!doctype html", b"<html")) or (
        b"<html" in start and start.startswith((b"<!", b"<?xml"))
    )


def _by_markup(probe: _Probe, page: Page) -> Iterator[Proposal]:
    soup = read_html(page)
    title = _title(soup)
    link = soup.select_one("a[rel~=license][href], link[rel~=license][href]")
    known = {"page": page.url, "title": title}
    stated = _licence(str(link["href"])) if link else None
    seen = False
    for guess in _markup_guesses(soup, page, known):
        for found in _guarded(probe, guess.url, _verified(probe, guess)):
            seen = True
            yield replace(found, licence=found.licence or stated, title=found.title or title)
        if seen and guess.platform not in {"wordpress", "flux"}:
            return
    if len(_linked(page)) > 1:
        types = _linked_types(page)
        guess = _Guess("json_ld", page.url, "du JSON-LD dans la page", {"types": types}, known)
        for found in _read(probe, guess, [page]):
            seen = True
            yield replace(found, licence=found.licence or stated)
    if (options := _repeated(soup)) is not None:
        evidence = f"des éléments répétés dans la page ({options['fiche']})"
        guess = _Guess("html_listing", page.url, evidence, options, known)
        for found in _read(probe, guess, [page]):
            seen = True
            note = "lue dans le HTML : une liste faite pour être reprise vaut mieux, la demander"
            yield replace(found, licence=found.licence or stated, notes=(note,), total=None)
    if not seen:
        sitemap = _Guess("sitemap", urljoin(page.url, "/sitemap.xml"), "le plan du site", {}, known)
        yield from _sitemap(probe, sitemap)


def _linked(page: Page) -> list[Any]:
    try:
        return list(itertools.islice(PLATFORMS["json_ld"].rows(_SCRATCH, page), MAX_ROWS))
    except PayloadError:
        return []


def _markup_guesses(soup: BeautifulSoup, page: Page, known: Mapping[str, Any]) -> Iterator[_Guess]:
    """What the page says it is made with, then what it embeds or links to, the surest first."""
    generator = " ".join(str(m.get("content")) for m in soup.select("meta[name=generator]"))
    text = page.body.decode("utf-8", "replace")
    if "gogocarto" in text.lower():
        yield _guess(
            "gogocarto", page, "/api/elements.json", "la page d’une carte GoGoCarto", known
        )
    if edit := soup.select_one("link[rel=EditURI][href*='api.php']"):
        api = urljoin(page.url, str(edit["href"])).partition("?")[0]
        yield _Guess("mediawiki_modele", api, "un lien EditURI vers l’API de MediaWiki", {}, known)
    elif "mediawiki" in generator.lower():
        yield _guess("mediawiki_modele", page, "/api.php", f"le générateur « {generator} »", known)
    if "discourse" in generator.lower():
        yield _guess("discourse", page, "/latest.json", f"le générateur « {generator} »", known)
    if "yeswiki" in text.lower() or "wakka.php" in text:
        base = page.url.partition("?")[0]
        yield _Guess("yeswiki_bazar", f"{base}?api/forms", "une page de YesWiki", {}, known)
    yield from _embedded(soup, page, known)
    if routes := _wordpress_api(soup, page):
        yield _Guess("wordpress", routes, "un lien vers l’API de WordPress (api.w.org)", {}, known)
    for feed in soup.select(
        "link[rel=alternate][href][type*='rss'], [rel=alternate][type*='atom']"
    )[:1]:
        url = urljoin(page.url, str(feed["href"]))
        yield _Guess("flux", url, "un flux annoncé par la page (rel=alternate)", {}, known)


def _guess(platform: str, page: Page, path: str, evidence: str, known: Mapping[str, Any]) -> _Guess:
    return _Guess(platform, urljoin(page.url, path), evidence, {}, known)


def _wordpress_api(soup: BeautifulSoup, page: Page) -> str | None:
    link = soup.select_one("link[rel='https://api.w.org/'][href]")
    sent = re.search(r"<([^>]+)>;\s*rel=\"?https://api\.w\.org/", page.headers.get("link", ""))
    address = str(link["href"]) if link else sent[1] if sent else None
    if address is None:
        return None
    url = urljoin(page.url, address)
    return f"{url.rstrip('/')}/wp/v2"


def _embedded(soup: BeautifulSoup, page: Page, known: Mapping[str, Any]) -> Iterator[_Guess]:
    """Maps in a frame, links to an API or to a file of data."""
    frames = [str(f["src"]) for f in soup.select("iframe[src]") if _is_address(str(f["src"]))]
    links = [str(a["href"]) for a in soup.select("a[href]") if _is_address(str(a["href"]))]
    guesses = 0
    for address in [*frames, *links]:
        url = urljoin(page.url, address)
        for guess in _by_address(url):
            if address in links and guess.platform in {"discourse", "data_fair", "data_gouv"}:
                continue  # a link to another dataset of the portal, or to a topic
            guesses += 1
            evidence = f"{guess.evidence}, {'cadre' if address in frames else 'lien'} de la page"
            yield replace(
                guess, evidence=evidence, known={**known, **guess.known, "page": page.url}
            )
            break
        if guesses == 2:
            break
    for url in list(dict.fromkeys(urljoin(page.url, a) for a in links if _FILE.search(a)))[:2]:
        yield _Guess("fichier", url, "un fichier lié par la page", {}, known)


def _is_address(text: str) -> bool:
    try:
        return bool(urlsplit(text).path or urlsplit(text).query)
    except ValueError:
        return False


_FILE = re.compile(r"(?i)\.(?:geojson|csv|tsv|xlsx|ods)(?:$|\?)")


def _file(probe: _Probe, guess: _Guess) -> Iterator[Proposal]:
    """A file of data that a page links to."""
    if page := probe.get(guess.url):
        for found in _of_bytes(probe, page) if not _is_html(page) else ():
            yield replace(
                found, evidence=f"{guess.evidence} : {found.evidence}",
                page=guess.known.get("page"), title=guess.known.get("title"),
            )  # fmt: skip


_WAYS = {**_WAYS, "fichier": _file}


def _title(soup: BeautifulSoup) -> str | None:
    site = soup.select_one("meta[property='og:site_name'][content]")
    title = soup.select_one("title")
    return _text(site["content"] if site else title.get_text(" ") if title else None)


_ITEMS = ("li", "article", "tr", "div", "section")


def _repeated(soup: BeautifulSoup) -> dict[str, Any] | None:
    """Options of `html_listing` for the elements that a page repeats the most, by their text."""
    groups: dict[tuple[int, str, str], list[Tag]] = {}
    for tag in soup.find_all(_ITEMS):
        if tag.find_parent(["nav", "header", "footer", "aside", "form"]) is None:
            name = next(iter(tag.get_attribute_list("class")), None) or ""
            groups.setdefault((id(tag.parent), tag.name, str(name)), []).append(tag)
    scored = [
        (sum(min(len(t.get_text(" ", strip=True)), 200) for t in tags), -rank, tags)
        for rank, tags in enumerate(groups.values())
        if len(tags) >= 3 and sum(1 for t in tags if t.find(_NAMES)) >= 0.8 * len(tags)
    ]
    if not scored:
        return None
    _, _, tags = max(scored, key=lambda item: item[:2])
    record = _selector(tags[0])
    items = soup.select(record)
    columns = {"nom": next(n for n in _NAMES if _met(items, n) >= 0.8)} if any(
        _met(items, n) >= 0.8 for n in _NAMES
    ) else {"nom": "."}  # fmt: skip
    if _met(items, "a[href]") >= 0.8:
        columns["lien"] = "a@href"
    for name in dict.fromkeys(_classes(items[0])):
        if name not in columns and _met(items, f".{name}") >= 0.6:
            columns[name] = f".{name}"
    return {"fiche": record, "champs": dict(itertools.islice(columns.items(), 10))}


_NAMES = ("h1", "h2", "h3", "h4", "h5", "h6", "strong", "a", "b", "td")


def _met(items: Sequence[Tag], selector: str) -> float:
    return sum(1 for item in items if item.select_one(selector)) / max(len(items), 1)


def _selector(tag: Tag) -> str:
    name = next(iter(tag.get_attribute_list("class")), None)
    if name and re.fullmatch(r"[A-Za-z][\w-]*", str(name)):
        return f"{tag.name}.{name}"
    parent = tag.parent
    if parent is None or parent.name in {"body", "[document]"}:
        return tag.name
    mark = parent.get("id")
    if mark and re.fullmatch(r"[A-Za-z][\w-]*", str(mark)):
        return f"#{mark} > {tag.name}"
    return f"{_selector(parent)} > {tag.name}"


def _classes(item: Tag) -> Iterator[str]:
    for tag in item.find_all(True):
        for name in tag.get_attribute_list("class"):
            if name and re.fullmatch(r"[A-Za-z][\w-]*", str(name)):
                yield str(name)


# From records to the fields of the base


def _proposal(
    guess: _Guess,
    source: Source,
    records: Sequence[Mapping[str, Any]],
    total: int | None,
    licence: str | None,
) -> Proposal:
    platform = PLATFORMS[guess.platform]
    declared = declared_columns(source, platform)
    columns = _columns(records)
    filled = {
        target: spec
        for target, spec in platform.mapping.items()
        if any(_values(spec, record) for record in records)
    }
    free = {path: found for path, found in columns.items() if not declared(path)}
    fields, personal, others = _guessed(free, filled)
    everything = {**filled, **fields}
    fields = {**_needed(records, columns, everything), **fields}
    if guess.platform == "html_listing" and "lien" in columns:
        fields.setdefault("url", "lien")
    coded = {**filled, **fields}.get("categories")
    codes = Counter(text for record in records for text in _values(coded, record) if text)
    known = dict(guess.known)
    known["licence"] = _licence(licence) or known.get("licence")
    return Proposal(
        guess.platform, guess.url, guess.evidence, options=guess.options, fields=fields,
        personal=personal, others=tuple(p for p in others if p not in _used(fields)),
        codes=tuple(codes.most_common(100)), total=total, **known,
    )  # fmt: skip


def _used(fields: Mapping[str, Any]) -> set[str]:
    return {
        path for spec in fields.values() for path in (spec if isinstance(spec, list) else [spec])
    }


def _columns(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Dotted path → the values that are not blank."""
    columns: dict[str, list[Any]] = {}
    for record in records:
        for path, value in _leaves(record):
            found = columns.setdefault(path, [])
            if value not in (None, "", []):
                found.append(value)
    return columns


def _leaves(
    values: Mapping[str, Any], prefix: str = "", depth: int = 0
) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and depth < 4:
            yield from _leaves(value, f"{path}.", depth + 1)
        elif not isinstance(value, list) or not any(isinstance(v, Mapping) for v in value):
            yield path, value


def _values(spec: ValueSpec | None, record: Mapping[str, Any]) -> list[str]:
    """What a mapping reads of a record, as texts."""
    match spec:
        case str():
            found = value_at(record, spec)
            items = found if isinstance(found, list) else [found]
            return [text for item in items if (text := _text(item))]
        case list():
            return [text for part in spec for text in _values(part, record)]
        case FirstOf():
            return next((got for path in spec.premier_de if (got := _values(path, record))), [])
        case Separated():
            return [
                part.strip()
                for text in _values(spec.separe, record)
                for part in text.split(spec.par)
            ]
        case _:
            return []


_FIELD_NAMES: Mapping[str, Sequence[str]] = {
    field: names.split("|")
    for field, names in {
        "cle_source": "id|identifiant|uid|uuid|cle|key|numero|ref|reference|page id|fid|objectid"
        "|id structure|id lieu",
        "nom": "nom|name|nom structure|nom tl|nom du lieu|raison sociale|titre|title|denomination"
        "|enseigne|intitule|libelle|label|structure|page name",
        "adresse": "adresse|adresse rue|adresse postale|address|rue|voie|street|street address"
        "|adresse brut|ban adress|ban adress full",
        "complement_adresse": "complement adresse|adresse complement|adresse2|adresse 2",
        "code_postal": "code postal|cp|codepostal|postal code|postalcode|zip|zipcode|postcode"
        "|adresse code postal|ban postcode",
        "commune": "commune|ville|city|nomcom|nom commune|localite|adresse commune|town|ban city"
        "|libelle commune",
        "code_insee": "code insee|insee|inseecom|insee commune|code commune|citycode"
        "|adresse code insee",
        "latitude": "latitude|lat|lattitude|y|bf latitude",
        "longitude": "longitude|lon|lng|long|x|bf longitude",
        "site_web": "site web|site|web|website|url|site internet|contact web|external link|lien"
        "|link",
        "telephone": "telephone|tel|phone|contact telephone",
        "description": "description|presentation|resume|summary|descriptif",
        "siret": "siret|numero siret",
        "rna": "rna|numero rna",
        "horaires": "horaires|horaires ouverture|opening hours|horaires ouverture osm",
        "date_maj": "date maj|maj|updated|updated at|last modified|date modification"
        "|datetime latest|modifie le",
        "categories": "categories|categorie|category|type|typologie|typo|type lieu|type de lieu"
        "|type de structure|thematique|themes|activites|activite|domaines|tags|structure|services"
        "|familles",
    }.items()
}
"""Names of columns, folded and cut in words, by the field that they are."""

_PERSONAL_WORDS = re.compile(
    r"\b(?:contacts?|responsable|referente?|prenom|presidente?|gerante?|dirigeante?|directeur"
    r"|directrice|mobile|portable|e?mails?|courriels?|auteurs?|authors?|createur|creator|owner|user"
    r"|username|animateur|animatrice|civilite|benevole|interlocuteur|redacteur)\b"
)
_IMPERSONAL_WORDS = re.compile(
    r"\b(?:web|site|url|telephone|tel|phone|facebook|twitter|instagram|mastodon|adresse|horaires)\b"
)


def _words(path: str) -> str:
    apart = re.sub(r"(?<=[a-zà-ÿ])(?=[A-Z])", " ", path)
    return " ".join(re.findall(r"[a-z0-9]+", fold(apart)))


def _is_personal(path: str, values: Sequence[Any]) -> bool:
    words = _words(path)
    if _PERSONAL_WORDS.search(words) and ("mail" in words or not _IMPERSONAL_WORDS.search(words)):
        return True
    sample = values[:500]
    is_public_phone = re.search(r"\b(?:tel|telephone|phone)\b", words)
    return _share(sample, _MAIL) >= 0.2 or (not is_public_phone and _share(sample, _MOBILE) >= 0.2)


def _guessed(
    columns: Mapping[str, Sequence[Any]], filled: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]:
    """Fields by the names and contents of columns, columns to set aside, and the others."""
    personal = tuple(path for path, values in columns.items() if _is_personal(path, values))
    left = {path: values for path, values in columns.items() if path not in personal}
    fields: dict[str, Any] = {}
    for target, names in _FIELD_NAMES.items():
        if target in filled:
            continue
        ranked = sorted(
            (rank, len(path), path)
            for path, values in left.items()
            if (rank := _rank(path, names, target)) is not None
            and path not in fields.values()
            and _suits(target, values)
        )
        if ranked:
            fields[target] = ranked[0][2]
    return fields, personal, tuple(path for path in left if path not in fields.values())


def _rank(path: str, names: Sequence[str], target: str) -> int | None:
    """How near the name of a column is to those of a field: as a whole, its end, its start."""
    for step, words in enumerate((_words(path), _words(path.rpartition(".")[2]))):
        if words in names:
            return 100 * step + names.index(words)
    starts = [i for i, name in enumerate(names) if _words(path).startswith(f"{name} ")]
    excluded = target in {"cle_source", "description"} or re.search(
        r"departement|region|epci|metro|fichier|porteuse", fold(path)
    )
    return 300 + starts[0] if starts and not excluded else None


def _suits(target: str, values: Sequence[Any]) -> bool:
    """Whether the values of a column can be those of a field."""
    sample = values[:500]
    fits = True
    match target:
        case "latitude" | "longitude":
            bound = 90 if target == "latitude" else 180
            fits = sum(1 for v in sample if _is_degrees(v, bound)) >= 0.8 * len(sample)
        case "code_postal" | "code_insee":
            fits = _share(sample, re.compile(r"\d[\dABab]?\d{2,3}")) >= 0.3
        case "site_web":
            fits = _share(sample, re.compile(r"\S*\w\.\w\S*")) >= 0.6
        case "categories":
            is_few = len({str(v) for v in sample}) <= max(12, len(sample) / 3)
            fits = is_few and _share(sample, _LONG_NUMBER) < 0.5
        case "nom":
            fits = _share(sample, re.compile(r"[\d\s.,]+")) < 0.5
        case "cle_source":
            fits = len({str(v) for v in values}) == len(values)
    return bool(values) and fits


_LONG_NUMBER = re.compile(r"\d{3,}")


def _is_degrees(value: Any, bound: int) -> bool:
    try:
        return abs(float(str(value).replace(",", "."))) <= bound
    except ValueError:
        return False


def _needed(
    records: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Sequence[Any]],
    found: Mapping[str, Any],
) -> dict[str, Any]:
    """A name and a key, when neither the platform nor a column's name gave them."""
    fields: dict[str, Any] = {}
    if "nom" not in found:
        fields["nom"] = max(columns, key=lambda path: _as_name(columns[path]))
    name = found.get("nom", fields.get("nom"))
    key = found.get("cle_source")
    if key is not None and sum(1 for r in records if _values(key, r)) >= 0.9 * len(records):
        return fields
    label = name if isinstance(name, str) else next(iter(columns))
    place = [
        found[t] for t in ("commune", "adresse", "code_postal") if isinstance(found.get(t), str)
    ]
    tries = [label, *([label, *place[:n]] for n in range(1, len(place) + 1))]
    fields["cle_source"] = next((t for t in tries if _is_unique(t, records)), tries[-1])
    return fields


def _as_name(values: Sequence[Any]) -> tuple[int, int]:
    texts = [str(v) for v in values[:500] if isinstance(v, str) and 3 <= len(v) <= 80]
    return len({t for t in texts if not _is_value(t)}), -sum(map(len, texts))


def _is_unique(spec: Any, records: Sequence[Mapping[str, Any]]) -> bool:
    keys = [" ".join(_values(spec, record)) for record in records]
    return len(set(keys)) == len(keys)


def _text(value: Any) -> str | None:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return " ".join(str(value).split())[:200] or None
    return None


def _line(value: Any) -> str:
    """A text of a payload on one line, without what may be personal or break the file."""
    return mask(_printable(str(value or "")))[:60]


def _printable(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _licence(stated: Any) -> str | None:
    """The identifier of a licence that permits something."""
    licence, _ = read_licence(str(stated or ""))
    return None if licence == NONE else licence


def _json(page: Page | None) -> Any:
    try:
        return read_json(page) if page else None
    except PayloadError:
        return None


# The block


def block(proposal: Proposal, indent: int = 2) -> str:
    """The proposal as an entry of `sources.yaml`, to paste under `sources:` and complete."""
    p = proposal
    # What is not commercial, or not to be changed, does not mix with an open base. Nobody has
    # looked at the listing yet: its first harvest is to wait for a person.
    is_open = p.licence and not re.search(r"-n[cd]\b", p.licence)
    entry: dict[str, Any] = {
        "id": p.source_id, "nom": p.title or urlsplit(p.url).hostname or p.source_id,
        "editeur": p.publisher or TO_FILL, "plateforme": p.platform, "url": p.url,
        "page": p.page if p.page != p.url else None, "etat": "en_pause", "motif_etat": MOTIVE,
        "licence": p.licence or NONE,
        "republication": "complete" if is_open else "faits_et_lien", "preuve": "client",
        "entite": "ressource" if p.resource else None, "options": dict(p.options),
        "champs": dict(p.fields), "ecarter": list(p.personal), "bornes": bounds(p.total),
        "hotes": list(p.hosts),
    }  # fmt: skip
    lines = [f"# reconnue par {_line(p.evidence)}"]
    lines += [f"# {_printable(note)}" for note in p.notes]
    for key, value in entry.items():
        if value not in (None, {}, []):
            lines += _yaml(key, value)
        if key == "champs":
            lines += _comments(p)
    margin, rest = " " * indent + "- ", " " * (indent + 2)
    head = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    comments = [" " * indent + line for line in lines[:head]]
    entries = [margin + lines[head], *(rest + line for line in lines[head + 1 :])]
    return "\n".join([*comments, *entries]) + "\n"


def _comments(p: Proposal) -> Iterator[str]:
    if p.others:
        yield f"# colonnes non lues, à lire ou à ignorer : {_short_list(p.others)}"
    if p.codes:
        yield "# codes vus (nombre de fiches), à traduire :"
        yield "# codes:"
        for code, count in p.codes[:CODES_SHOWN]:
            yield f"#   {_scalar(_line(code))}: {{}}  # {count}"
        if len(p.codes) > CODES_SHOWN:
            yield f"#   et {len(p.codes) - CODES_SHOWN} autres codes"


def _short_list(names: Sequence[str]) -> str:
    """Names of columns in the form that `ignorer` takes, cut to what can be read."""
    shown = [_scalar(_line(name)) for name in names[:30]]
    return f"[{', '.join(shown)}{', …' if len(names) > len(shown) else ''}]"


def _dumped(value: Any, **style: Any) -> str:
    """YAML that gives the value back: written as they are, some characters would end a line."""
    text = str(yaml.safe_dump(value, allow_unicode=True, **style))
    if _LINE_ENDS.search(text):
        return str(yaml.safe_dump(value, allow_unicode=False, **style))
    return text


_LINE_ENDS = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")


def _scalar(text: str) -> str:
    return _dumped([text], default_flow_style=True, width=10_000)[1:-2]


def _yaml(name: str, value: Any) -> list[str]:
    """One key, on as few lines as it takes."""
    plain = json.loads(json.dumps(value, default=_as_yaml))
    if not isinstance(plain, dict | list):
        text = _dumped({name: plain}, width=96)
        return [text.rstrip("\n")] if "\n" not in text[:-1] else [f"{name}: {_scalar(plain)}"]
    flow = _dumped(plain, sort_keys=False, width=92, default_flow_style=True)
    first, *more = flow.rstrip("\n").splitlines()
    return [f"{name}: {first}", *(f"  {line}" for line in more)]


def _as_yaml(spec: Any) -> Any:
    """A mapping of a platform as the file writes it."""
    return spec.model_dump(mode="json")


def bounds(total: int | None) -> dict[str, int] | None:
    """`bornes` around a number of fiches; nothing when it is unknown or none."""
    if not total:
        return None
    return {"min": max(1, math.floor(LOWER_BOUND * total)), "max": math.ceil(UPPER_BOUND * total)}


def append(path: Path, proposal: Proposal) -> None:
    """Add the block at the end of a registry file, made if there is none.

    Raises `RegistryError` when the file is not valid, or has a source of this id.
    """
    if not path.exists():
        files.write_bytes(path, f"sources:\n{block(proposal)}".encode())
        return
    registry = load_registry(path)
    if any(source.id == proposal.source_id for source in registry):
        raise RegistryError(
            [f"{path} : la source {proposal.source_id} y est déjà ; la modifier, ou la renommer"]
        )
    text = path.read_text(encoding="utf-8").rstrip("\n")
    indent = re.search(r"^( *)- ", text, re.MULTILINE)
    added = block(proposal, len(indent[1]) if indent else 2)
    if re.search(r"^sources:\s*\[\s*\]\s*$", text, re.MULTILINE):
        text = re.sub(r"^sources:.*$", "sources:", text, flags=re.MULTILINE)
    files.write_bytes(path, f"{text}\n\n{added}".encode())


# Obtaining pages


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
            source = _source(_Guess("json", url, ""))
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
