"""What the address of a site says of its platform, before anything is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from lowtech_data.recognise.probe import Guess


def by_address(url: str) -> Iterator[Guess]:
    """The platforms that an address may be of, the surest first."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        return
    root = f"{parts.scheme}://{parts.netloc}"
    for pattern, guess in _ADDRESSES:
        if match := pattern.search(url):
            yield guess(url, root, match)


def _simple(platform: str, template: str, evidence: str) -> _AddressRule:
    """A rule whose API address is a template of the root and of the groups of the pattern."""

    def rule(url: str, root: str, match: re.Match[str]) -> Guess:
        address = template.format(*match.groups(""), url=url.partition("#")[0], root=root)
        return Guess(platform, address, evidence, known={"page": url})

    return rule


_AddressRule = Callable[[str, str, "re.Match[str]"], Guess]


def server_guess(platform: str, url: str) -> Guess:
    """An Overpass or SPARQL server (`platform`) at an address that may hold the query."""
    return _overpass(url) if platform == "overpass" else _sparql(url)


def _overpass(url: str, endpoint: str | None = None) -> Guess:
    asked = parse_qs(urlsplit(url).query)
    query = next((asked[name][0] for name in ("data", "Q") if asked.get(name)), "")
    endpoint = endpoint or url.partition("?")[0]
    note: tuple[str, ...] = ()
    options: dict[str, Any] = {"requete": query}
    if "[out:json]" not in query:
        options = {"filtres": {"a_nommer": [{"repair": "assisted_self_service"}]}}
        note = ("filtres : un exemple, à remplacer par les étiquettes cherchées",)
    known = {
        "page": "https://www.openstreetmap.org/", "publisher": "Contributeurs d’OpenStreetMap",
        "title": "OpenStreetMap", "licence": "odbl-1.0", "notes": note,
    }  # fmt: skip
    return Guess("overpass", endpoint, "l’adresse d’un serveur Overpass", options, known)


def _sparql(url: str) -> Guess:
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
    return Guess("sparql", endpoint, "l’adresse d’un serveur SPARQL", {"requete": query}, known)


_OVERPASS_API = "https://overpass-api.de/api/interpreter"
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
    (
        re.compile(r"^https?://(overpass-turbo)[^/]*/|/api/interpreter(?:\?|$)"),
        lambda url, _root, match: _overpass(url, _OVERPASS_API if match[1] else None),
    ),
    (
        re.compile(r"^https?://query\.wikidata\.org/|/sparql/?(?:\?|$)"),
        lambda url, _root, _match: _sparql(url),
    ),
)
